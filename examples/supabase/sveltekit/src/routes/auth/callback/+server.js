import { redirect } from '@sveltejs/kit';
import { failed, localPath } from '$lib/site.server.js';

export async function GET({ locals, url }) {
  const { code, next, error_code: errorCode, error: refused } = Object.fromEntries(url.searchParams);
  if (!code) redirect(303, failed(errorCode ?? refused)); // WorkOS's own errors come without error_code
  // Without the verifier in this browser's cookie a code is worth nothing: a sign-in ends where it began.
  const { error } = await locals.supabase.auth.exchangeCodeForSession(code);
  redirect(303, error ? failed(error.code) : localPath(next));
}
