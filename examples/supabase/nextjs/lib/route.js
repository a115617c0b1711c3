import { cookies } from 'next/headers';
import { ORIGIN } from './site.js';
import { createClient } from './supabase.js';

// A route that asks work(supabase) for a path or an address and sends the browser there.
export async function redirectAfter(work) {
  const store = await cookies();
  const headers = new Headers();
  const supabase = createClient({
    getAll: () => store.getAll(),
    setAll(toSet, noCache) {
      for (const { name, value, options } of toSet) store.set(name, value, options);
      for (const [name, value] of Object.entries(noCache)) headers.set(name, value); // no cache may keep somebody's cookies
    },
  });
  headers.set('location', new URL(await work(supabase), ORIGIN).href);
  return new Response(null, { status: 303, headers });
}
