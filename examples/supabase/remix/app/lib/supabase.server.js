import { createServerClient, parseCookieHeader, serializeCookieHeader } from '@supabase/ssr';
import { ORIGIN } from './site.server.js';

// The client and the headers that the answer must have.
export function supabaseFor(request) {
  const headers = new Headers();
  // The session lives in cookies, which scripts in the page need not read: everything happens on the server.
  const supabase = createServerClient(process.env.SUPABASE_URL, process.env.SUPABASE_KEY, {
    cookieOptions: { httpOnly: true, secure: ORIGIN.startsWith('https:') },
    cookies: {
      getAll: () => parseCookieHeader(request.headers.get('cookie') ?? ''),
      setAll(toSet, noCache) {
        for (const { name, value, options } of toSet) headers.append('set-cookie', serializeCookieHeader(name, value, options));
        for (const [name, value] of Object.entries(noCache)) headers.set(name, value); // no cache may keep the cookies
      },
    },
    realtime: { transport: class {} }, // the client wants a WebSocket, which Node 20 has not and nothing here opens
  });
  return { supabase, headers };
}
