import { data } from 'react-router';
import { supabaseFor } from '../lib/supabase.server.js';

export async function loader({ request }) {
  const { supabase, headers } = supabaseFor(request);
  const { data: { user } } = await supabase.auth.getUser();
  // A code, never a text: anybody can make a link to this page.
  const error = new URL(request.url).searchParams.get('error') ?? '';
  return data({ email: user?.email, error: /^\w{1,64}$/.test(error) ? error : undefined }, { headers });
}

export const headers = ({ loaderHeaders }) => loaderHeaders;

export default function Home({ loaderData: { email, error } }) {
  if (email) {
    return <>
      <p>Signed in as {email}</p>
      <form method="post" action="/logout"><button>Sign out</button></form>
    </>;
  }
  return <>
    {error && <p role="alert">Not signed in: {error}</p>}
    <p><a href="/login?organization=org_acme">Sign in with SSO</a></p>
  </>;
}
