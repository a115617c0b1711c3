import { createServerClient } from '@supabase/ssr';
import { ORIGIN } from './site.js';

// The session lives in cookies, which scripts in the page need not read: everything happens on the server.
export const createClient = (cookies) => createServerClient(process.env.SUPABASE_URL, process.env.SUPABASE_KEY, {
  cookieOptions: { httpOnly: true, secure: ORIGIN.startsWith('https:') },
  cookies,
  realtime: { transport: class {} }, // the client wants a WebSocket, which Node 20 has not and nothing here opens
});
