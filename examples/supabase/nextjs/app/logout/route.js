import { redirectAfter } from '../../lib/route.js';

// By POST, so that no link and no image signs anybody out; SameSite=Lax keeps other sites' forms from it.
export const POST = () => redirectAfter(async (supabase) => {
  await supabase.auth.signOut();
  return '/';
});
