// Refreshing as the client does it by itself, many at once, and after the session's end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import { application, fine, signedIn, somebody, Storage, superuser } from './helper.js';

const now = () => Math.floor(Date.now() / 1000);
const refreshes = (requests) => requests.filter((request) => request.startsWith('POST /token?grant_type=refresh_token')).length;

// The client's copy of the session says so; it goes by that alone.
const nearlyExpired = () => ({ expires_at: now() + 30 });
const expired = () => ({ expires_at: now() - 1 });

test('a client that starts with a session near its end refreshes it by itself', async () => {
  const { storage } = await signedIn(await somebody());
  const before = storage.session;
  storage.changeSession(nearlyExpired());
  const { supabase, requests } = application({ storage, autoRefreshToken: true });
  const refreshed = new EventTarget();
  const event = once(refreshed, 'TOKEN_REFRESHED', { signal: AbortSignal.timeout(10_000) });
  supabase.auth.onAuthStateChange((name) => refreshed.dispatchEvent(new Event(name)));
  await event;
  await supabase.auth.stopAutoRefresh();
  assert.equal(refreshes(requests), 1);
  assert.notEqual(storage.session.refresh_token, before.refresh_token);
  assert.ok(storage.session.expires_at > now() + 3000);
  fine(await supabase.auth.getUser());
});

test('getSession refreshes what has expired', async () => {
  const { storage, supabase } = await signedIn(await somebody());
  const before = storage.session;
  storage.changeSession(expired());
  const { session } = fine(await supabase.auth.getSession());
  assert.notEqual(session.refresh_token, before.refresh_token);
  assert.ok(session.expires_at > now());
});

test('twenty clients that refresh one session at once all go on with it', async () => {
  const { storage } = await signedIn(await somebody());
  const { access_token, refresh_token } = storage.session;
  // Twenty tabs, each with its copy, and no lock between them.
  const apps = Array.from({ length: 20 }, () => application());
  const answers = await Promise.all(apps.map(({ supabase }) => supabase.auth.refreshSession({ refresh_token })));
  const next = new Set(answers.map((answer) => fine(answer).session.refresh_token));
  assert.equal(apps.reduce((sum, { requests }) => sum + refreshes(requests), 0), 20);
  assert.equal(next.size, 1, 'all get the same refresh token');
  assert.ok(!next.has(refresh_token));
  for (const { supabase } of apps) fine(await supabase.auth.getUser());
  fine(await apps[0].supabase.auth.refreshSession());
  fine(await application().supabase.auth.getUser(access_token));
});

test('twenty calls of one client ask once', async () => {
  const { storage } = await signedIn(await somebody());
  storage.changeSession(expired());
  const { supabase, requests } = application({ storage });
  const answers = await Promise.all(Array.from({ length: 20 }, () => supabase.auth.getSession()));
  assert.equal(new Set(answers.map((answer) => fine(answer).session.access_token)).size, 1);
  assert.equal(refreshes(requests), 1);
});

test('a refresh after a sign-out elsewhere drops the session', async () => {
  const person = await somebody();
  const { storage, supabase } = await signedIn(person);
  const elsewhere = await signedIn(person);
  assert.equal((await elsewhere.supabase.auth.signOut()).error, null);

  const events = [];
  supabase.auth.onAuthStateChange((event) => events.push(event));
  storage.changeSession(expired());
  const { data, error } = await supabase.auth.refreshSession();
  assert.equal(data.session, null);
  assert.deepEqual([error.name, error.status, error.code], ['AuthApiError', 400, 'refresh_token_not_found']);
  assert.equal(storage.session, null);
  assert.ok(events.includes('SIGNED_OUT'), events);
  assert.equal(fine(await supabase.auth.getSession()).session, null);
});

test('a refresh token that was stolen and used ends the session for both', async () => {
  const { storage, supabase } = await signedIn(await somebody());
  const { refresh_token, access_token, user } = storage.session;
  const thief = application();
  for (let i = 0; i < 2; i++) fine(await thief.supabase.auth.refreshSession(i === 0 ? { refresh_token } : undefined));
  // Not somebody's parallel tab any more.
  await superuser("update auth.sessions set refreshed_at = now() - interval '1 min' where user_id = $1", [user.id]);
  storage.changeSession(expired());
  const { error } = await supabase.auth.refreshSession();
  assert.deepEqual([error.status, error.code], [400, 'refresh_token_already_used']);
  assert.equal(storage.session, null);
  // A worker of the database ends it, in a moment.
  const deadline = Date.now() + 10_000;
  let ended;
  do {
    ended = (await application().supabase.auth.getUser(access_token)).error;
  } while (!ended && Date.now() < deadline);
  assert.equal(ended?.name, 'AuthSessionMissingError');
  assert.equal((await thief.supabase.auth.getUser()).error.name, 'AuthSessionMissingError');
});

test('what is no refresh token is refused once, not retried', async () => {
  const { supabase, requests } = application({ storage: new Storage() });
  for (const [refresh_token, code] of [
    ['made-up', 'refresh_token_not_found'],
    ['A'.repeat(60), 'refresh_token_not_found'],
  ]) {
    requests.length = 0;
    const { data, error } = await supabase.auth.refreshSession({ refresh_token });
    assert.equal(data.session, null);
    assert.deepEqual([error.name, error.status, error.code], ['AuthApiError', 400, code]);
    assert.equal(refreshes(requests), 1);
  }
});
