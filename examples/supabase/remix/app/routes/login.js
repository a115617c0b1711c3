import { redirect } from 'react-router';
import { failed, localPath, ORIGIN } from '../lib/site.server.js';
import { supabaseFor } from '../lib/supabase.server.js';

export async function loader({ request }) {
  const { supabase, headers } = supabaseFor(request);
  const query = new URL(request.url).searchParams;
  const callback = new URL('/auth/callback', ORIGIN);
  callback.searchParams.set('next', localPath(query.get('next')));
  const { data, error } = await supabase.auth.signInWithOAuth({
    provider: 'workos',
    options: { redirectTo: callback.href, queryParams: { organization: query.get('organization') }, skipBrowserRedirect: true },
  });
  return redirect(error ? failed(error.code) : data.url, { status: 303, headers });
}
