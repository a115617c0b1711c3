import { cookies } from 'next/headers';
import { createClient } from '../lib/supabase.js';

export default async function Page({ searchParams }) {
  const store = await cookies();
  // A page cannot set cookies: middleware.js has refreshed what there was to refresh.
  const supabase = createClient({ getAll: () => store.getAll(), setAll() {} });
  const { data: { user } } = await supabase.auth.getUser();
  if (user) {
    return <>
      <p>Signed in as {user.email}</p>
      <form method="post" action="/logout"><button>Sign out</button></form>
    </>;
  }
  const { error = '' } = await searchParams;
  return <>
    {/* A code, never a text: anybody can make a link to this page. */}
    {/^\w{1,64}$/.test(error) && <p role="alert">Not signed in: {error}</p>}
    <p><a href="/login?organization=org_acme">Sign in with SSO</a></p>
  </>;
}
