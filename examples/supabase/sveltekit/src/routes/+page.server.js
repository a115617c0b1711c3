export async function load({ locals, url }) {
  const { data: { user } } = await locals.supabase.auth.getUser();
  // A code, never a text: anybody can make a link to this page.
  const error = url.searchParams.get('error') ?? '';
  return { email: user?.email, error: /^\w{1,64}$/.test(error) ? error : undefined };
}
