// The examples from outside, as a browser sees them: the same for each of them.
//
// APP_URL is the app; APP_HTTPS_URL the same app told that browsers reach it over https; APP_LOG what it prints;
// SIMULATOR_URL the WorkOS behind it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';

import { Browser } from './browser.js';

const { APP_URL, APP_HTTPS_URL, APP_LOG, SIMULATOR_URL } = process.env;
const secrets = new Set();

function browser() {
  const made = new Browser(APP_URL);
  made.secrets = secrets; // one set for all, so that nobody is shown another's either
  return made;
}

async function signedIn(organization, options) {
  const made = browser();
  await made.signIn(organization, options);
  return made;
}

// The next request to WorkOS's endpoint meets this.
async function fault(endpoint, kind) {
  const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ endpoint, kind, times: 1 }) };
  assert.equal((await fetch(new URL('/_simulator/faults', SIMULATOR_URL), options)).status, 204);
}

const flowName = (state) => `flow_${createHash('sha256').update(state).digest('hex').slice(0, 16)}`;

async function assertSignedOut(who) {
  assert.equal((await who.get('/todos')).status, 401);
  assert.equal(who.cookies.has('session'), false);
  assert.equal(who.cookies.has('refresh'), false);
}

after(async () => {
  assert.ok(secrets.size > 20);
  const log = await readFile(APP_LOG, 'utf8');
  for (const secret of secrets) assert.ok(!log.includes(secret), 'the app prints a token or a verifier');
  assert.doesNotMatch(log, /sso_code_/, 'the app prints a code');
});

test('a stranger is offered to sign in, and sees nothing', async () => {
  const stranger = browser();
  const home = await stranger.get('/');
  assert.equal(home.status, 200);
  assert.match(home.text, /href="\/login\?organization=org_acme"/);
  assert.equal((await stranger.get('/todos')).status, 401);
  assert.equal((await stranger.post('/todos', { title: 'x' })).status, 401);
});

test('signs in and says who it is', async () => {
  const alice = browser();
  const callback = await alice.begin('org_acme');
  const [flow] = alice.flows();
  assert.equal(flow, flowName(callback.searchParams.get('state')));
  const { httponly, samesite, path, secure, 'max-age': maxAge } = alice.cookies.get(flow).attributes;
  assert.deepEqual([httponly, samesite.toLowerCase(), path, secure, maxAge], [true, 'lax', '/callback', undefined, '900']);

  const answer = await alice.get(callback);
  assert.equal(answer.location, '/');
  assert.deepEqual(alice.flows(), [], 'the cookie of the flow is gone');
  const session = alice.cookies.get('session').attributes;
  assert.deepEqual([session.httponly, session.samesite.toLowerCase(), session.path, session.secure], [true, 'lax', '/', undefined]);
  const lifetime = new Date(session.expires) - new Date();
  assert.ok(lifetime > 50 * 60_000 && lifetime < 70 * 60_000, `${lifetime}`);

  const home = await alice.get('/');
  assert.match(home.text, /alice@acme\.com of org_acme/);
});

test('cookies are Secure where browsers come over https', async () => {
  const answer = await new Browser(APP_HTTPS_URL).get('/login?organization=org_acme');
  assert.equal(answer.setCookie.length, 1);
  assert.match(answer.setCookie[0], /; Secure/);
});

test('two tabs of one browser sign in to two organizations at the same time', async () => {
  const one = browser();
  const [acme, globex] = await Promise.all([one.begin('org_acme'), one.begin('org_globex')]);
  assert.equal(one.flows().length, 2);
  await one.get(globex);
  assert.match((await one.get('/')).text, /bob@globex\.com of org_globex/);
  await one.get(acme);
  assert.match((await one.get('/')).text, /alice@acme\.com of org_acme/);
  assert.deepEqual(one.flows(), []);
});

test('each sees their own rows, colleagues and strangers alike', async () => {
  const people = {
    alice: await signedIn('org_acme'),
    anna: await signedIn('org_acme', { loginHint: 'anna@acme.com' }),
    bob: await signedIn('org_globex'),
  };
  for (const [name, who] of Object.entries(people)) {
    const answer = await who.post('/todos', { title: `${name}'s <b>todo</b>`, user_id: 'x', organization_id: 'org_acme' });
    assert.deepEqual([answer.status, answer.location], [303, '/']);
  }
  // More of them at once than the pool has connections: nobody finds another's session on one.
  const names = Array.from({ length: 60 }, (_, i) => ['alice', 'anna', 'bob', 'nobody'][i % 4]);
  await Promise.all(names.map(async (name) => {
    if (name === 'nobody') return assert.equal((await browser().get('/todos')).status, 401);
    assert.deepEqual(await people[name].todos(), [`${name}'s <b>todo</b>`]);
  }));
  const { text } = await people.bob.get('/');
  assert.match(text, /bob.*todo/);
  assert.doesNotMatch(text, /<b>|alice|anna/);
});

test('returns to where the sign-in was asked for, and never to a foreign place', async () => {
  const alice = browser();
  const answer = await alice.signIn('org_acme', { redirectTo: `${APP_URL}/todos` });
  assert.equal(answer.location, `${APP_URL}/todos`);
  for (const redirectTo of ['https://evil.example/', '//evil.example', 'javascript:alert(1)', '/relative', `${APP_URL}@evil.example/`]) {
    const refused = await browser().get(`/login?${new URLSearchParams({ organization: 'org_acme', redirect_to: redirectTo })}`);
    assert.deepEqual([refused.status, refused.location, refused.setCookie], [400, null, []], redirectTo);
  }
});

test('a sign-in is finished by the browser that began it, and by no other', async () => {
  const mallory = browser();
  const callback = await mallory.begin('org_globex');
  const victim = browser();
  const answer = await victim.get(callback);
  assert.equal(answer.status, 400);
  assert.deepEqual(answer.setCookie, []);
  // Not even with a cookie of her own in its place.
  const [own] = [await victim.begin('org_acme')];
  const [{ value }] = [victim.cookies.get(flowName(own.searchParams.get('state')))];
  victim.cookies.set(flowName(callback.searchParams.get('state')), { value, path: '/callback' });
  assert.equal((await victim.get(callback)).status, 400);
  assert.equal(victim.cookies.has('session'), false);
});

test('a callback with the state of another flow signs nobody in', async () => {
  const one = browser();
  const acme = await one.begin('org_acme');
  const globex = await one.begin('org_globex');
  const [state, verifier] = [acme.searchParams.get('state'), one.cookies.get(flowName(acme.searchParams.get('state'))).value.split('.')[1]];

  // The code of one with the state of the other, whose cookie is there.
  const mixed = new URL(globex);
  mixed.searchParams.set('state', state);
  assert.equal((await one.get(mixed)).status, 400);
  // The state of one with the verifier of the other.
  const other = globex.searchParams.get('state');
  one.cookies.set(flowName(other), { value: `${other}.${verifier}`, path: '/callback' });
  assert.equal((await one.get(globex)).status, 400);
  assert.equal(one.cookies.has('session'), false);

  // The flow that was left alone is still good.
  const untouched = await one.get(acme);
  assert.equal(untouched.location, '/', untouched.text);
  assert.match((await one.get('/')).text, /alice@acme\.com/);
});

test('a callback is good once', async () => {
  const alice = browser();
  const callback = await alice.begin('org_acme');
  const before = alice.copy();
  await alice.get(callback);
  assert.equal((await alice.get(callback)).status, 400);
  // Not with the cookie of the flow either.
  assert.equal((await before.get(callback)).status, 400);
  assert.equal(before.cookies.has('session'), false);
  assert.equal((await alice.get('/todos')).status, 200, 'the first session lives');
});

test("WorkOS's errors are shown as text, to the browser that asked alone", async () => {
  const attack = '<script>alert(1)</script>"\'&';
  const one = browser();
  const { searchParams } = await one.begin('org_acme');
  const answer = (state) => `/callback?${new URLSearchParams({ error: `access_denied${attack}`, error_description: attack, state })}`;

  const stranger = await browser().get(answer(searchParams.get('state')));
  assert.equal(stranger.status, 400);
  assert.doesNotMatch(stranger.text, /alert|access_denied/);

  const shown = await one.get(answer(searchParams.get('state')));
  assert.equal(shown.status, 400);
  assert.match(shown.text, /access_denied.*alert\(1\)/);
  assert.doesNotMatch(shown.text, /<script/);
  assert.deepEqual(one.flows(), [], 'the cookie of the flow is gone');

  // One that WorkOS really sends: nobody of that address at Acme.
  const denied = await one.get(await one.begin('org_acme', { loginHint: 'nobody@acme.com' }));
  assert.equal(denied.status, 400);
  assert.match(denied.text, /access_denied/);
});

test("trouble at WorkOS is not the person's: the same callback works a moment later", async () => {
  const alice = browser();
  const callback = await alice.begin('org_acme');
  await fault('token', { status: { code: 503 } });
  const answer = await alice.get(callback);
  assert.equal(answer.status, 500);
  assert.match(answer.text, /try again later/);
  const again = await alice.get(callback);
  assert.equal(again.location, '/', again.text);
});

test('a token too large for a cookie is an error, not a sign-in that does not last', async () => {
  const alice = browser();
  const callback = await alice.begin('org_acme');
  const groups = Array.from({ length: 150 }, (_, i) => `a group with a long name, number ${i}`);
  await fault('token', { profile_overrides: { patch: { groups } } });
  const answer = await alice.get(callback);
  assert.equal(answer.status, 400);
  assert.match(answer.text, /too large/);
  assert.equal(alice.cookies.has('session'), false);
});

test('who signs in again needs no session that lives', async () => {
  const alice = await signedIn('org_acme');
  const copy = alice.copy();
  assert.equal((await alice.post('/logout')).status, 303);
  copy.cookies.delete('session');
  assert.equal((await copy.get(await copy.begin('org_acme'))).location, '/');
  assert.equal((await copy.get('/todos')).status, 200);
});

test('a session goes on when its access token has expired', async () => {
  const alice = await signedIn('org_acme');
  const before = ['session', 'refresh'].map((name) => alice.cookies.get(name));
  const { httponly, samesite, path, secure, 'max-age': maxAge } = before[1].attributes;
  assert.deepEqual([httponly, samesite.toLowerCase(), path, secure, maxAge], [true, 'lax', '/', undefined, '604800']);
  alice.cookies.delete('session'); // as a browser does when its time is over
  assert.equal((await alice.get('/todos')).status, 200);
  const after = ['session', 'refresh'].map((name) => alice.cookies.get(name));
  after.forEach(({ value }, i) => assert.notEqual(value, before[i].value));

  // Several requests at once, all with the same refresh token.
  alice.cookies.delete('session');
  const answers = await Promise.all(Array.from({ length: 5 }, () => alice.get('/todos')));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200, 200]);
  assert.equal((await alice.get('/todos')).status, 200);

  // Signing out right then ends it all the same.
  alice.cookies.delete('session');
  const copy = alice.copy();
  assert.equal((await alice.post('/logout')).status, 303);
  assert.deepEqual([alice.cookies.has('session'), alice.cookies.has('refresh')], [false, false]);
  await assertSignedOut(copy);
});

test('a refresh token that is nonsense is forgotten', async () => {
  for (const value of ['nonsense', 'a'.repeat(3000), "'or/**/1=1--"]) {
    const victim = browser();
    victim.cookies.set('refresh', { value, path: '/' });
    await assertSignedOut(victim);
  }
});

test('signing out makes every copy of the cookie worthless at once', async () => {
  const alice = await signedIn('org_acme');
  const elsewhere = await signedIn('org_acme');
  const bob = await signedIn('org_globex');
  const thief = alice.copy();
  assert.equal((await thief.get('/todos')).status, 200);
  const answer = await alice.post('/logout');
  assert.deepEqual([answer.status, answer.location], [303, '/']);
  assert.equal(alice.cookies.has('session'), false);
  await assertSignedOut(thief);
  await assertSignedOut(elsewhere);
  assert.equal((await bob.get('/todos')).status, 200);
});

test('a token that is forged, cut or nonsense is refused, forgotten, and answered with a way to sign in', async () => {
  const alice = await signedIn('org_acme');
  const { value } = alice.cookies.get('session');
  const [head, , signature] = value.split('.');
  const claims = Buffer.from(JSON.stringify({ sub: '00000000-0000-0000-0000-000000000000', org_id: 'org_globex' })).toString('base64url');
  for (const forged of [`${head}.${claims}.${signature}`, value.slice(0, -4), 'nonsense', 'j:[1]', "'or/**/1=1--", 'a'.repeat(3000)]) {
    for (const path of ['/', '/todos']) {
      const victim = browser();
      victim.cookies.set('session', { value: forged, path: '/' });
      const answer = await victim.get(path);
      assert.equal(answer.status, 401, forged);
      assert.match(answer.text, /href="\/login/);
      assert.equal(victim.cookies.has('session'), false);
    }
  }
});

test('what makes no sense is refused, not stumbled over', async () => {
  const alice = await signedIn('org_acme');
  for (const path of ['/login', '/login?organization=', '/login?organization=%00', '/callback', '/callback?state=', '/callback?state=x&code=y', '/callback?code=y', '/callback?state=%00', '/callback?state=a&state=b']) {
    assert.equal((await alice.get(path)).status, 400, path);
  }
  // A flow of one's own, but no code, an empty one, one with a NUL byte, one that WorkOS never gave, two.
  for (const code of [[], [''], ['\0'], ['wrong'], ['a', 'b']]) {
    const callback = await alice.begin('org_acme');
    callback.searchParams.delete('code');
    code.forEach((one) => callback.searchParams.append('code', one));
    assert.equal((await alice.get(callback)).status, 400, `${callback.search}`);
  }
  const { length } = await alice.todos();
  for (const form of [{}, { title: '' }, { title: 'a\0b' }]) {
    const { status } = await alice.post('/todos', form);
    assert.ok(status >= 400 && status < 500, `${status} for ${JSON.stringify(form)}`);
  }
  assert.equal((await alice.todos()).length, length);
  await alice.post('/todos', { title: "Robert'); drop table todos; --" });
  assert.equal((await alice.todos()).at(-1), "Robert'); drop table todos; --");
});
