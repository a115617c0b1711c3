// linkIdentity, unlinkIdentity, getUserIdentities.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { application, Browser, fine, PAGE, signedIn, signIn, signInUrl, somebody, superuser } from './helper.js';

async function linkUrl(supabase, queryParams = { organization: 'org_acme' }) {
  const options = { redirectTo: PAGE, skipBrowserRedirect: true, queryParams };
  return fine(await supabase.auth.linkIdentity({ provider: 'workos', options })).url;
}

async function linkedPage(supabase, email, queryParams) {
  return new Browser().toPage(await linkUrl(supabase, queryParams), email);
}

async function emails(supabase) {
  const { identities } = fine(await supabase.auth.getUserIdentities());
  return identities.map(({ identity_data }) => identity_data.email).sort();
}
const known = async (profile) => (await superuser('select from auth.identities where provider_id = $1', [profile.id])).length;

test('a second identity is linked, leads into the same account, and is unlinked', async () => {
  const first = await somebody();
  const second = await somebody();
  const { supabase, storage } = await signedIn(first);
  const id = storage.session.user.id;
  const page = await linkedPage(supabase, second.email);
  const { user } = fine(await supabase.auth.exchangeCodeForSession(page.searchParams.get('code')));
  assert.equal(user.id, id);
  assert.equal(user.email, first.email);
  assert.deepEqual(await emails(supabase), [first.email, second.email].sort());

  const later = application().supabase;
  assert.equal((await signIn(later, second.email)).user.id, id);
  // From the session of the one, away with the other.
  const again = await signedIn(first);
  const { identities } = fine(await again.supabase.auth.getUserIdentities());
  fine(await again.supabase.auth.unlinkIdentity(identities.find((identity) => identity.id === second.id)));
  assert.deepEqual(await emails(again.supabase), [first.email]);
  // What it had opened has ended with it.
  assert.equal((await later.auth.getUser()).error.name, 'AuthSessionMissingError');
  assert.notEqual((await signIn(application().supabase, second.email)).user.id, id);
});

test('the last identity stays', async () => {
  const person = await somebody();
  const { supabase } = await signedIn(person);
  const [identity] = fine(await supabase.auth.getUserIdentities()).identities;
  const { error } = await supabase.auth.unlinkIdentity(identity);
  assert.deepEqual([error.name, error.status, error.code], ['AuthApiError', 422, 'single_identity_not_deletable']);
  assert.deepEqual(await emails(supabase), [person.email]);
});

test("nobody unlinks somebody else's identity", async () => {
  const { supabase } = await signedIn(await somebody());
  const other = await signedIn(await somebody());
  const [identity] = fine(await other.supabase.auth.getUserIdentities()).identities;
  const { error } = await supabase.auth.unlinkIdentity(identity);
  assert.deepEqual([error.status, error.code], [422, 'identity_not_found']);
  assert.equal((await emails(other.supabase)).length, 1);
});

test("a link begun by one person and completed by another's browser changes nothing", async () => {
  const starter = await somebody();
  const victim = await somebody();
  const { supabase } = await signedIn(starter);
  const url = await linkUrl(supabase);
  // The victim follows it, and signs in at WorkOS as always.
  const page = await new Browser().toPage(url, victim.email);
  const code = page.searchParams.get('code');
  const theirs = application();
  assert.equal((await theirs.supabase.auth.exchangeCodeForSession(code)).error.name, 'AuthPKCECodeVerifierMissingError');
  // Even in the middle of a sign-in of their own, or signed in.
  await signInUrl(theirs.supabase);
  assert.equal((await theirs.supabase.auth.exchangeCodeForSession(code)).error.code, 'bad_code_verifier');
  await signIn(theirs.supabase, victim.email);
  await signInUrl(theirs.supabase);
  assert.equal((await theirs.supabase.auth.exchangeCodeForSession(code)).error.code, 'bad_code_verifier');

  assert.deepEqual(await emails(supabase), [starter.email]);
  assert.deepEqual(await emails(theirs.supabase), [victim.email]);
  // Should the starter come by the code: the identity is somebody's by now.
  assert.equal((await supabase.auth.exchangeCodeForSession(code)).error.code, 'identity_already_exists');
  assert.deepEqual(await emails(supabase), [starter.email]);
});

test('a link is not finished once its starter has signed out', async () => {
  const { supabase, storage } = await signedIn(await somebody());
  const second = await somebody();
  const page = await linkedPage(supabase, second.email);
  // The client forgets its verifiers at a sign-out; a thief would not.
  const items = new Map(storage.items);
  assert.equal((await supabase.auth.signOut()).error, null);
  storage.items = items;
  const { error } = await supabase.auth.exchangeCodeForSession(page.searchParams.get('code'));
  assert.deepEqual([error.status, error.code], [403, 'link_session_not_found']);
  assert.equal(await known(second), 0);
});

test("an identity that is somebody's, and one of another organization, are refused", async () => {
  const { supabase } = await signedIn(await somebody());
  const taken = await somebody();
  await signedIn(taken);
  const bob = await somebody('conn_globex', 'globex.com');
  for (const [profile, queryParams, code] of [
    [taken, { organization: 'org_acme' }, 'identity_already_exists'],
    [bob, { organization: 'org_globex' }, 'cross_organization_link_disabled'],
  ]) {
    const page = await linkedPage(supabase, profile.email, queryParams);
    // The page is told: where the exchange refuses, older versions of the client remove the session.
    assert.deepEqual([page.searchParams.get('error_code'), page.searchParams.get('code')], [code, null], page.href);
    assert.equal((await emails(supabase)).length, 1);
  }
});

test('nobody links without a session', async () => {
  const link = { provider: 'workos', options: { skipBrowserRedirect: true, redirectTo: PAGE, queryParams: { organization: 'org_acme' } } };
  const nobody = await application().supabase.auth.linkIdentity(link);
  assert.equal(nobody.data.url, null);
  // The client sends its publishable key in place of a token.
  assert.deepEqual([nobody.error.status, nobody.error.code], [401, 'bad_jwt']);
});

test('a link in the implicit flow is refused', async () => {
  const person = await somebody();
  const { storage } = await signedIn(person);
  const { supabase } = application({ storage, flowType: 'implicit' });
  const { data, error } = await supabase.auth.linkIdentity({
    provider: 'workos',
    options: { redirectTo: PAGE, skipBrowserRedirect: true, queryParams: { organization: 'org_acme' } },
  });
  assert.equal(data?.url ?? null, null);
  assert.deepEqual([error.status, error.code], [400, 'validation_failed']);
  assert.deepEqual(await emails(supabase), [person.email]);
});
