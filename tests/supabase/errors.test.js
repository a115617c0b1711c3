// What goes wrong, as the application is told of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  application, Browser, CALLBACK_ERRORS, fine, GATEWAY_URL, PAGE, refusedPage, signedIn, signIn, signInUrl, SITE_URL, somebody, superuser,
} from './helper.js';

// The page of a sign-in that was begun by this client and has come back with a code.
async function returned(supabase) {
  const page = await new Browser().toPage(await signInUrl(supabase), (await somebody()).email);
  return page.searchParams.get('code');
}

const told = ({ name, status, code }) => [name, status, code];

for (const error of CALLBACK_ERRORS) {
  test(`WorkOS's ${error} reaches the page, in its query and its fragment`, async () => {
    const description = `What "${error}" means: it's said & done`;
    const page = await refusedPage(await signInUrl(application().supabase), error, description);
    assert.equal(page.origin + page.pathname, PAGE);
    assert.equal(page.searchParams.get('error'), error);
    assert.equal(page.searchParams.get('error_description'), description);
    assert.equal(page.searchParams.get('code'), null);
    assert.match(page.hash, new RegExp(`^#error=${error}&`));
  });
}

for (const [queryParams, hint, error] of [
  [{ organization: 'org_hooli' }, undefined, 'connection_unlinked'],
  [{ organization: 'org_umbrella' }, undefined, 'connection_invalid'],
  [{ organization: 'org_unknown' }, undefined, 'organization_invalid'],
  [{ workos_provider: 'GitHubOAuth' }, undefined, 'connection_strategy_invalid'],
  [{ organization: 'org_acme' }, 'nobody@acme.com', 'access_denied'],
  [{ organization: 'org_acme' }, 'bob@globex.com', 'profile_not_allowed_outside_organization'],
]) {
  test(`a sign-in with ${JSON.stringify(queryParams)}${hint ? ` as ${hint}` : ''} ends in ${error}`, async () => {
    const page = await new Browser().toPage(await signInUrl(application().supabase, queryParams), hint);
    assert.equal(page.searchParams.get('error'), error);
    assert.ok(page.searchParams.get('error_description'));
  });
}

test("another client's verifier gets nothing, and does not spend the code", async () => {
  const { supabase } = application();
  const code = await returned(supabase);
  const other = application();
  await signInUrl(other.supabase);
  const { data, error } = await other.supabase.auth.exchangeCodeForSession(code);
  assert.equal(data.session, null);
  assert.deepEqual(told(error), ['AuthApiError', 400, 'bad_code_verifier']);
  assert.equal(other.storage.session, null);
  fine(await supabase.auth.exchangeCodeForSession(code));
});

test('a client without a verifier does not even ask', async () => {
  const code = await returned(application().supabase);
  const { supabase, requests } = application();
  const { error } = await supabase.auth.exchangeCodeForSession(code);
  assert.equal(error.name, 'AuthPKCECodeVerifierMissingError');
  assert.deepEqual(requests, []);
});

test('a code is good once', async () => {
  const { supabase, storage } = application();
  const url = await signInUrl(supabase);
  const verifiers = new Map(storage.items);
  const page = await new Browser().toPage(url, (await somebody()).email);
  const code = page.searchParams.get('code');
  const first = fine(await supabase.auth.exchangeCodeForSession(code)).session;
  // The client has forgotten the verifier; here it has not.
  const again = application();
  again.storage.items = verifiers;
  assert.deepEqual(told((await again.supabase.auth.exchangeCodeForSession(code)).error), ['AuthApiError', 404, 'flow_state_not_found']);
  // Nobody loses a session over it.
  fine(await supabase.auth.getUser(first.access_token));
});

test('a code that nobody gave out is not found', async () => {
  const { supabase } = application();
  await signInUrl(supabase);
  const { error } = await supabase.auth.exchangeCodeForSession('2b1f6b1e-0000-4000-8000-000000000000');
  assert.equal(error.name, 'AuthApiError');
  assert.deepEqual([error.status, error.code], [404, 'flow_state_not_found']);
});

test('a sign-in that took too long has expired', async () => {
  const { supabase } = application();
  const person = await somebody();
  const url = await signInUrl(supabase);
  const page = await new Browser().toPage(url, person.email);
  const challenge = new URL(url).searchParams.get('code_challenge');
  const changed = await superuser(
    "update auth.flow_states set expires_at = now() - interval '1 s' where code_challenge = $1 returning id", [challenge],
  );
  assert.equal(changed.length, 1);
  const { error } = await supabase.auth.exchangeCodeForSession(page.searchParams.get('code'));
  assert.deepEqual(told(error), ['AuthApiError', 422, 'flow_state_expired']);
});

test('a callback of no sign-in goes to the site, with an error', async () => {
  for (const query of ['code=x', `code=x&state=${'A'.repeat(43)}`, '']) {
    const page = await new Browser().toPage(`${GATEWAY_URL}/callback?${query}`);
    assert.equal(page.origin, SITE_URL);
    assert.ok(page.searchParams.get('error'), page.href);
    assert.equal(page.searchParams.get('code'), null);
  }
});

test('getUser refuses a forged token', async () => {
  const { supabase, storage } = await signedIn(await somebody());
  const [head, payload, signature] = storage.session.access_token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const token of [
    `${head}.${encode({ ...claims, sub: '00000000-0000-4000-8000-000000000000' })}.${signature}`,
    `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`,
    'not.a.token',
  ]) {
    const { data, error } = await supabase.auth.getUser(token);
    assert.equal(data.user, null);
    assert.deepEqual(told(error), ['AuthApiError', 401, 'bad_jwt']);
  }
  // The client's own session has nothing to do with it.
  fine(await supabase.auth.getUser());
});

test('getUser after the session ended elsewhere: AuthSessionMissingError, and the local session is gone', async () => {
  const person = await somebody();
  const { supabase, storage } = await signedIn(person);
  const elsewhere = application();
  await signIn(elsewhere.supabase, person.email);
  assert.equal((await elsewhere.supabase.auth.signOut({ scope: 'others' })).error, null);

  assert.ok(storage.session);
  const { data, error } = await supabase.auth.getUser();
  assert.equal(data.user, null);
  assert.equal(error.name, 'AuthSessionMissingError');
  assert.equal(storage.session, null);
  fine(await elsewhere.supabase.auth.getUser());
  // Signing out where nobody is signed in any more is no error.
  assert.equal((await supabase.auth.signOut()).error, null);
});

test('getUser of a client that nobody signed in with does not ask', async () => {
  const { supabase, requests } = application();
  const { error } = await supabase.auth.getUser();
  assert.equal(error.name, 'AuthSessionMissingError');
  assert.deepEqual(requests, []);
});
