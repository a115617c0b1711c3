// A sign-in with flowType 'pkce', and what an application does with the session.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { application, Browser, fine, PAGE, signedIn, signIn, signInUrl, SITE_URL, somebody, superuser } from './helper.js';

const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

test('a sign-in gives a session that the client keeps', async () => {
  const person = await somebody();
  const { supabase, storage } = application();
  const events = [];
  supabase.auth.onAuthStateChange((event) => events.push(event));
  const { session, user } = await signIn(supabase, person.email);

  assert.equal(user.email, person.email);
  assert.equal(user.user_metadata.full_name, 'Pat Doe');
  assert.deepEqual(user.app_metadata, { provider: 'workos', providers: ['workos'] });
  assert.equal(user.identities[0].id, person.id);
  assert.equal(session.token_type, 'bearer');
  assert.equal(claimsOf(session.access_token).org_id, 'org_acme');
  assert.ok(session.provider_token);
  assert.ok(events.includes('SIGNED_IN'), events);

  assert.equal(storage.session.refresh_token, session.refresh_token);
  assert.equal(fine(await supabase.auth.getSession()).session.access_token, session.access_token);
  assert.equal(fine(await supabase.auth.getUser()).user.id, user.id);
  // The same browser, after a reload.
  const reloaded = application({ storage }).supabase;
  assert.equal(fine(await reloaded.auth.getUser()).user.id, user.id);
});

test('with appendPkceFlowIdToRedirects two sign-ins at once each find their own verifier', async () => {
  const { supabase } = application({ experimental: { appendPkceFlowIdToRedirects: true } });
  const people = [await somebody(), await somebody()];
  // Both begun, in one browser's storage, before either ends.
  const urls = [await signInUrl(supabase), await signInUrl(supabase)];
  for (const i of [0, 1]) {
    const page = await new Browser().toPage(urls[i], people[i].email);
    const flowId = page.searchParams.get('sb_flow_id');
    assert.equal(page.href.split('?')[0], PAGE);
    assert.equal(flowId, new URL(new URL(urls[i]).searchParams.get('redirect_to')).searchParams.get('sb_flow_id'));
    assert.ok(flowId);
    const session = fine(await supabase.auth.exchangeCodeForSession(page.searchParams.get('code'), { flowId }));
    assert.equal(session.user.email, people[i].email);
  }
});

test('the flow id takes no part in whether a page is listed', async () => {
  const page = 'https://app.example.com/one-page';
  await superuser('insert into auth.redirect_urls (pattern) values ($1)', [page]);
  const { supabase } = application({ experimental: { appendPkceFlowIdToRedirects: true } });
  const url = await signInUrl(supabase, { organization: 'org_acme', redirectTo: page });
  assert.match(new URL(url).searchParams.get('redirect_to'), /\?sb_flow_id=/);
  assert.equal((await new Browser().get(url)).status, 302);
  const other = url.replace('sb_flow_id', 'another');
  assert.equal((await new Browser().get(other)).status, 400);
});

test('organization, connection and workos_provider choose where to sign in', async () => {
  const acme = await somebody();
  const guest = await somebody('conn_google', 'gmail.com');
  for (const [person, queryParams, organization] of [
    [acme, { organization: 'org_acme' }, 'org_acme'],
    [acme, { connection: 'conn_acme' }, 'org_acme'],
    [guest, { workos_provider: 'GoogleOAuth' }, undefined],
  ]) {
    const { supabase } = application();
    const { user, session } = await signIn(supabase, person.email, queryParams);
    assert.equal(user.email, person.email);
    assert.equal(claimsOf(session.access_token).org_id ?? undefined, organization);
  }
});

test('without any of them, and with a page that is not listed, /authorize says so in JSON', async () => {
  const { supabase } = application();
  for (const [queryParams, code] of [
    [{}, 'selector_missing'],
    [{ organization: 'org_acme', redirectTo: 'https://evil.example/' }, 'redirect_to_not_allowed'],
    [{ organization: 'org_acme', redirectTo: `${SITE_URL}@evil.example/` }, 'redirect_to_malformed'],
  ]) {
    const answer = await new Browser().get(await signInUrl(supabase, queryParams));
    assert.equal(answer.status, 400);
    assert.equal(answer.headers.get('location'), null);
    assert.equal((await answer.json()).error_code, code);
  }
});

test('redirectTo keeps its query and its fragment', async () => {
  const person = await somebody();
  const { supabase } = application();
  const url = await signInUrl(supabase, { organization: 'org_acme', redirectTo: `${PAGE}?next=%2Ftodos&tab=1#/route` });
  const page = await new Browser().toPage(url, person.email);
  assert.equal(page.pathname, '/welcome');
  assert.equal(page.searchParams.get('next'), '/todos');
  assert.equal(page.searchParams.get('tab'), '1');
  assert.equal(page.hash, '#/route');
  fine(await supabase.auth.exchangeCodeForSession(page.searchParams.get('code')));
});

test('refreshSession replaces both tokens', async () => {
  const { supabase, storage } = await signedIn(await somebody());
  const before = storage.session;
  const { session, user } = fine(await supabase.auth.refreshSession());
  assert.notEqual(session.refresh_token, before.refresh_token);
  assert.equal(user.id, before.user.id);
  assert.equal(storage.session.refresh_token, session.refresh_token);
  assert.equal(claimsOf(session.access_token).session_id, claimsOf(before.access_token).session_id);
  fine(await supabase.auth.getUser());
});

test('setSession takes the tokens of another client', async () => {
  const { storage } = await signedIn(await somebody());
  const { supabase } = application();
  const { access_token, refresh_token, user } = storage.session;
  assert.equal(fine(await supabase.auth.setSession({ access_token, refresh_token })).user.id, user.id);
});

test('updateUser changes user_metadata and nothing else', async () => {
  const { supabase } = await signedIn(await somebody());
  const { user } = fine(await supabase.auth.updateUser({ data: { theme: 'dark' } }));
  assert.equal(user.user_metadata.theme, 'dark');
  assert.equal(user.user_metadata.full_name, 'Pat Doe');
  assert.equal(fine(await supabase.auth.getUser()).user.user_metadata.theme, 'dark');
  fine(await supabase.auth.updateUser({ data: { theme: null } }));
  assert.equal('theme' in fine(await supabase.auth.getUser()).user.user_metadata, false);

  for (const change of [{ email: 'mallory@acme.com' }, { password: 'correct horse battery' }]) {
    const { data, error } = await supabase.auth.updateUser(change);
    assert.equal(data.user, null);
    assert.deepEqual([error.name, error.status, error.code], ['AuthApiError', 400, 'validation_failed']);
  }
});

test('getClaims verifies against the JWKS, without asking for the user', async () => {
  const { supabase, storage, requests } = await signedIn(await somebody());
  const { access_token, user } = storage.session;
  requests.length = 0;
  const { claims, header } = fine(await supabase.auth.getClaims());
  assert.equal(claims.sub, user.id);
  assert.equal(claims.org_id, 'org_acme');
  assert.equal(header.alg, 'ES256');
  assert.deepEqual(requests, ['GET /.well-known/jwks.json']);

  // One letter of the payload: the keys say no.
  const [head, payload, signature] = access_token.split('.');
  const forged = Buffer.from(JSON.stringify({ ...claims, role: 'service_role' })).toString('base64url');
  assert.notEqual(forged, payload);
  const { data, error } = await supabase.auth.getClaims(`${head}.${forged}.${signature}`);
  assert.equal(data, null);
  assert.deepEqual([error.name, error.message], ['AuthInvalidJwtError', 'Invalid JWT signature']);
  assert.ok(!requests.includes('GET /user'), requests);
});

for (const [scope, ends] of [
  ['global', [true, true, true]],
  ['local', [true, false, false]],
  ['others', [false, true, true]],
  [undefined, [true, true, true]],
]) {
  test(`signOut ${scope ? `with scope ${scope}` : 'without a scope'} ends the sessions that it should`, async () => {
    const person = await somebody();
    const apps = [await signedIn(person), await signedIn(person), await signedIn(person)];
    const stranger = await signedIn(await somebody());
    const tokens = apps.map(({ storage }) => storage.session.access_token);
    const { error } = await apps[0].supabase.auth.signOut(scope && { scope });
    assert.equal(error, null);
    // The server is asked: what the clients have kept is another matter.
    const asked = application().supabase;
    const ended = await Promise.all(tokens.map(async (token) => (await asked.auth.getUser(token)).error !== null));
    assert.deepEqual(ended, ends);
    assert.equal(apps[0].storage.session === null, scope !== 'others');
    fine(await stranger.supabase.auth.getUser());
  });
}
