import { failed, localPath, ORIGIN } from '../lib/site.js';
import { redirectAfter } from '../lib/supabase.js';

export const GET = (context) => redirectAfter(context, async (supabase) => {
  const query = context.url.searchParams;
  const callback = new URL('/auth/callback', ORIGIN);
  callback.searchParams.set('next', localPath(query.get('next')));
  const { data, error } = await supabase.auth.signInWithOAuth({
    provider: 'workos',
    options: { redirectTo: callback.href, queryParams: { organization: query.get('organization') }, skipBrowserRedirect: true },
  });
  return error ? failed(error.code) : data.url;
});
