// Supabase's client, unmodified, from npm; `supabase` is the global of its UMD build.

const $ = (id) => document.getElementById(id);
const here = `${location.origin}/`;

const { supabaseUrl, key } = await (await fetch('config.json')).json();
// Before the client is made: it reads the URL and cleans it up, too.
showCallbackError();
// ANCHOR: client
const client = window.supabase.createClient(supabaseUrl, key, { auth: { flowType: 'pkce' } });
// ANCHOR_END: client

function showError(message) {
  $('error').textContent = message;
  $('error').hidden = !message;
}

// A sign-in that failed comes back with its reason in the URL.
function showCallbackError() {
  const found = [location.search.slice(1), location.hash.slice(1)]
    .map((text) => new URLSearchParams(text)).find((parameters) => parameters.has('error'));
  if (!found) return;
  showError(`You are not signed in: ${found.get('error_description') || found.get('error')}`);
  history.replaceState(null, '', here);
}

// ANCHOR: api
// The data, with the same token. The client renews it when it is about to expire.
async function api(options = {}) {
  const { data: { session } } = await client.auth.getSession();
  const answer = await fetch('todos', {
    ...options,
    headers: { authorization: `Bearer ${session?.access_token}`, 'content-type': 'application/json' },
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message);
  return body;
}
// ANCHOR_END: api

function row({ title }) {
  const item = document.createElement('li');
  item.textContent = title; // never as HTML
  return item;
}

function showTodos(todos) {
  $('todos').replaceChildren(...todos.map(row));
  $('none').hidden = todos.length > 0;
}

async function show() {
  // ANCHOR: claims
  // Verified: against the key set that the gateway publishes, or by asking it.
  const { data } = await client.auth.getClaims();
  const claims = data?.claims;
  // ANCHOR_END: claims
  if (claims) {
    const { user_metadata: profile = {}, app_metadata: app = {}, email } = claims;
    const name = profile.full_name || profile.name || email;
    $('name').textContent = name;
    $('initial').textContent = [...name][0].toUpperCase();
    $('email').textContent = email;
    $('organization').textContent = claims.org_id ?? claims.organization_id ?? app.organization_id ?? 'no organization';
    showTodos(await api());
  } else {
    showTodos([]);
    for (const id of ['name', 'initial', 'email', 'organization']) $(id).textContent = '';
  }
  $('signed-in').hidden = !claims;
  $('signed-out').hidden = Boolean(claims);
}

// Whatever goes wrong is said in words.
const attempt = (work) => async (event) => {
  event?.preventDefault();
  try {
    showError('');
    await work(event);
  } catch (error) {
    showError(error.message);
  }
};

for (const button of document.querySelectorAll('[data-organization]')) {
  button.addEventListener('click', attempt(async () => {
    // ANCHOR: sign-in
    const { organization } = button.dataset;
    const { error } = await client.auth.signInWithOAuth({
      provider: 'workos',
      options: { redirectTo: here, queryParams: { organization } },
    });
    if (error) throw error;
    // ANCHOR_END: sign-in
  }));
}

$('sign-out').addEventListener('click', attempt(async () => {
  // ANCHOR: sign-out
  const { error } = await client.auth.signOut();
  if (error) throw error;
  // ANCHOR_END: sign-out
  await show();
}));

$('add').addEventListener('submit', attempt(async () => {
  await api({ method: 'POST', body: JSON.stringify({ title: $('title').value }) });
  $('add').reset();
  showTodos(await api());
}));

const { error } = await client.auth.initialize(); // exchanges the code, if the URL has one
if (error && $('error').hidden) showError(`You are not signed in: ${error.message}`);
await show().catch((failure) => showError(failure.message));
