import { createServerClient, parseCookieHeader } from '@supabase/ssr';
import { ORIGIN } from './site.js';

// The session lives in cookies, which scripts in the page need not read: everything happens on the server.
export const supabaseFor = ({ request, cookies, response }) => createServerClient(process.env.SUPABASE_URL, process.env.SUPABASE_KEY, {
  cookieOptions: { httpOnly: true, secure: ORIGIN.startsWith('https:') },
  cookies: {
    getAll: () => parseCookieHeader(request.headers.get('cookie') ?? ''),
    setAll(toSet, noCache) {
      for (const { name, value, options } of toSet) cookies.set(name, value, options);
      for (const [name, value] of Object.entries(noCache)) response.headers.set(name, value); // no cache may keep the cookies
    },
  },
  realtime: { transport: class {} }, // the client wants a WebSocket, which Node 20 has not and nothing here opens
});

// A route that asks work(supabase) for a path or an address and sends the browser there.
export async function redirectAfter({ request, cookies }, work) {
  const response = new Response(null, { status: 303 });
  response.headers.set('location', await work(supabaseFor({ request, cookies, response })));
  return response;
}
