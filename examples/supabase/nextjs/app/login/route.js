import { redirectAfter } from '../../lib/route.js';
import { failed, localPath, ORIGIN } from '../../lib/site.js';

export const GET = (request) => redirectAfter(async (supabase) => {
  const query = request.nextUrl.searchParams;
  const callback = new URL('/auth/callback', ORIGIN);
  callback.searchParams.set('next', localPath(query.get('next')));
  const { data, error } = await supabase.auth.signInWithOAuth({
    provider: 'workos',
    options: { redirectTo: callback.href, queryParams: { organization: query.get('organization') }, skipBrowserRedirect: true },
  });
  return error ? failed(error.code) : data.url;
});
