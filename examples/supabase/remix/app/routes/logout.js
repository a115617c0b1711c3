import { redirect } from 'react-router';
import { supabaseFor } from '../lib/supabase.server.js';

// By POST, so that no link and no image signs anybody out; SameSite=Lax keeps other sites' forms from it.
export async function action({ request }) {
  const { supabase, headers } = supabaseFor(request);
  await supabase.auth.signOut();
  return redirect('/', { status: 303, headers });
}
