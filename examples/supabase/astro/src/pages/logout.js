import { ORIGIN } from '../lib/site.js';
import { redirectAfter } from '../lib/supabase.js';

// By POST and from this site's own pages, so that no link, no image and no form elsewhere signs anybody out.
export const POST = (context) => {
  if (context.request.headers.get('origin') !== ORIGIN) return new Response('Sign out on this site.', { status: 403 });
  return redirectAfter(context, async (supabase) => {
    await supabase.auth.signOut();
    return '/';
  });
};
