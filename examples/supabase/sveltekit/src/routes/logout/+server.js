import { redirect } from '@sveltejs/kit';

// By POST, so that no link and no image signs anybody out; SvelteKit refuses the forms of other sites.
export async function POST({ locals }) {
  await locals.supabase.auth.signOut();
  redirect(303, '/');
}
