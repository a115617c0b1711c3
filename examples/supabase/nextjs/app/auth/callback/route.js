import { redirectAfter } from '../../../lib/route.js';
import { failed, localPath } from '../../../lib/site.js';

// ANCHOR: callback
export const GET = (request) => redirectAfter(async (supabase) => {
  const { code, next, error_code: errorCode, error: refused } = Object.fromEntries(request.nextUrl.searchParams);
  if (!code) return failed(errorCode ?? refused); // WorkOS's own errors come without error_code
  // Without the verifier in this browser's cookie a code is worth nothing: a sign-in ends where it began.
  const { error } = await supabase.auth.exchangeCodeForSession(code);
  return error ? failed(error.code) : localPath(next);
});
// ANCHOR_END: callback
