import { redirect } from '@sveltejs/kit';
import { failed, localPath, ORIGIN } from '$lib/site.server.js';

export async function GET({ locals, url }) {
  const callback = new URL('/auth/callback', ORIGIN);
  callback.searchParams.set('next', localPath(url.searchParams.get('next')));
  const { data, error } = await locals.supabase.auth.signInWithOAuth({
    provider: 'workos',
    options: { redirectTo: callback.href, queryParams: { organization: url.searchParams.get('organization') }, skipBrowserRedirect: true },
  });
  redirect(303, error ? failed(error.code) : data.url);
}
