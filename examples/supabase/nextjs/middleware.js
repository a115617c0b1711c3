import { NextResponse } from 'next/server';
import { createClient } from './lib/supabase.js';

export const config = { matcher: '/', runtime: 'nodejs' }; // the pages that show who is signed in

// Refreshes an access token that is running out, for the page that comes after and for the browser.
export async function middleware(request) {
  let response = NextResponse.next({ request });
  const supabase = createClient({
    getAll: () => request.cookies.getAll(),
    setAll(toSet, noCache) {
      for (const { name, value } of toSet) request.cookies.set(name, value);
      response = NextResponse.next({ request });
      for (const { name, value, options } of toSet) response.cookies.set(name, value, options);
      for (const [name, value] of Object.entries(noCache)) response.headers.set(name, value); // no cache may keep them
    },
  });
  await supabase.auth.getUser();
  return response;
}
