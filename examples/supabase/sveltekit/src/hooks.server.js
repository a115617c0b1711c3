import { createServerClient } from '@supabase/ssr';
import { env } from '$env/dynamic/private';
import { ORIGIN } from '$lib/site.server.js';

export async function handle({ event, resolve }) {
  let noCache = {};
  // The session lives in cookies, which scripts in the page need not read: everything happens on the server.
  event.locals.supabase = createServerClient(env.SUPABASE_URL, env.SUPABASE_KEY, {
    cookieOptions: { httpOnly: true, secure: ORIGIN.startsWith('https:') },
    cookies: {
      getAll: () => event.cookies.getAll(),
      setAll(toSet, headers) {
        for (const { name, value, options } of toSet) event.cookies.set(name, value, { ...options, path: '/' });
        noCache = { ...noCache, ...headers };
      },
    },
    realtime: { transport: class {} }, // the client wants a WebSocket, which Node 20 has not and nothing here opens
  });
  const response = await resolve(event);
  for (const [name, value] of Object.entries(noCache)) response.headers.set(name, value); // no cache may keep the cookies
  return response;
}
