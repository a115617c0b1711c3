import { redirect } from 'react-router';
import { failed, localPath } from '../lib/site.server.js';
import { supabaseFor } from '../lib/supabase.server.js';

export async function loader({ request }) {
  const { code, next, error_code: errorCode, error: refused } = Object.fromEntries(new URL(request.url).searchParams);
  if (!code) return redirect(failed(errorCode ?? refused), 303); // WorkOS's own errors come without error_code
  const { supabase, headers } = supabaseFor(request);
  // Without the verifier in this browser's cookie a code is worth nothing: a sign-in ends where it began.
  const { error } = await supabase.auth.exchangeCodeForSession(code);
  return redirect(error ? failed(error.code) : localPath(next), { status: 303, headers });
}
