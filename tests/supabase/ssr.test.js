// @supabase/ssr: the session is in cookies, and every request has a client of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createServerClient } from '@supabase/ssr';

import { Browser, fine, KEY, PAGE, signInUrl, somebody, SUPABASE_URL } from './helper.js';

const LARGEST_COOKIE = 4096; // name and value, as Chrome and Firefox count

// A visitor's cookies at the application. Each request makes a client as the guide for server-side rendering does.
class Visitor {
  jar = new Map();
  set = []; // by the last request

  async request(route, options) {
    this.set = [];
    const cookies = {
      getAll: () => [...this.jar].map(([name, value]) => ({ name, value })),
      setAll: (written) => {
        for (const { name, value, options: attributes } of written) {
          assert.ok(name.length + value.length <= LARGEST_COOKIE, name);
          this.set.push({ name, attributes });
          if (attributes.maxAge === 0) this.jar.delete(name);
          else this.jar.set(name, value);
        }
      },
    };
    return route(createServerClient(SUPABASE_URL, KEY, { ...options, cookies }));
  }

  // What is left of a session, its verifiers aside.
  tokens() {
    return [...this.jar.keys()].filter((name) => /-auth-token(\.\d+)?$/.test(name)).sort();
  }
}

const login = (supabase) => signInUrl(supabase);
const callback = (page) => async (supabase) => fine(await supabase.auth.exchangeCodeForSession(page.searchParams.get('code')));
const user = (supabase) => supabase.auth.getUser();

async function signedIn(person) {
  const visitor = new Visitor();
  const page = await new Browser().toPage(await visitor.request(login), person.email);
  await visitor.request(callback(page));
  return visitor;
}

// The session that the cookies hold.
async function session(visitor) {
  return fine(await visitor.request((supabase) => supabase.auth.getSession())).session;
}

test('login route, callback route, and requests that know who it is', async () => {
  const person = await somebody();
  const visitor = new Visitor();
  const url = await visitor.request(login);
  assert.deepEqual(visitor.tokens(), []);
  assert.ok([...visitor.jar.keys()].some((name) => name.endsWith('-auth-token-code-verifier')), 'the verifier waits in a cookie');
  const page = await new Browser().toPage(url, person.email);
  assert.equal(page.origin + page.pathname, PAGE);
  const { user: signedIn } = await visitor.request(callback(page));
  assert.equal(signedIn.email, person.email);
  assert.ok(visitor.tokens().length > 0);
  // Without a flowId the client leaves its second copy of it, which is good for nothing any more.
  assert.ok(![...visitor.jar.keys()].some((name) => name.endsWith('-auth-token-code-verifier')), 'the verifier is used up');

  assert.equal(fine(await visitor.request(user)).user.id, signedIn.id);
  const { claims } = fine(await visitor.request((supabase) => supabase.auth.getClaims()));
  assert.equal(claims.sub, signedIn.id);
  // Another visitor has none of it.
  assert.equal((await new Visitor().request(user)).error.name, 'AuthSessionMissingError');
});

test("the code of one visitor is nothing to another's callback route", async () => {
  const visitor = new Visitor();
  const page = await new Browser().toPage(await visitor.request(login), (await somebody()).email);
  const other = new Visitor();
  const exchange = (supabase) => supabase.auth.exchangeCodeForSession(page.searchParams.get('code'));
  assert.equal((await other.request(exchange)).error.name, 'AuthPKCECodeVerifierMissingError');
  await other.request(login);
  assert.equal((await other.request(exchange)).error.code, 'bad_code_verifier');
  assert.deepEqual(other.tokens(), []);
  fine(await visitor.request(exchange));
});

test('a refresh in a request writes new cookies', async () => {
  const visitor = await signedIn(await somebody());
  const before = await session(visitor);
  const { session: after } = fine(await visitor.request((supabase) => supabase.auth.refreshSession()));
  assert.ok(visitor.set.length > 0);
  assert.notEqual(after.refresh_token, before.refresh_token);
  assert.equal((await session(visitor)).refresh_token, after.refresh_token);
  fine(await visitor.request(user));
});

test('a session in several cookies is read, refreshed and removed as a whole', async () => {
  const visitor = await signedIn(await somebody());
  const data = { about: 'x'.repeat(1980) };
  assert.equal(fine(await visitor.request((supabase) => supabase.auth.updateUser({ data }))).user.user_metadata.about.length, 1980);
  assert.ok(visitor.tokens().length > 1, visitor.tokens());
  assert.equal(fine(await visitor.request(user)).user.user_metadata.about, data.about);
  const chunks = visitor.tokens();
  assert.deepEqual(chunks, chunks.map((_, i) => chunks[0].replace(/\d+$/, i)));

  fine(await visitor.request((supabase) => supabase.auth.updateUser({ data: { about: null } })));
  fine(await visitor.request((supabase) => supabase.auth.refreshSession()));
  assert.ok(visitor.tokens().length < chunks.length, visitor.tokens());
  fine(await visitor.request(user));
});

test('signOut removes every cookie', async () => {
  const visitor = await signedIn(await somebody());
  const { access_token } = await session(visitor);
  const cookies = visitor.tokens();
  assert.equal((await visitor.request((supabase) => supabase.auth.signOut())).error, null);
  assert.deepEqual(visitor.tokens(), []);
  assert.deepEqual(visitor.set.filter(({ name }) => cookies.includes(name)).map(({ name }) => name).sort(), cookies);
  assert.equal((await visitor.request(user)).error.name, 'AuthSessionMissingError');
  const asked = await new Visitor().request((supabase) => supabase.auth.getUser(access_token));
  assert.equal(asked.error.name, 'AuthSessionMissingError');
});

test('a session that ended elsewhere takes its cookies with it at the next getUser', async () => {
  const person = await somebody();
  const visitor = await signedIn(person);
  const elsewhere = await signedIn(person);
  assert.equal((await elsewhere.request((supabase) => supabase.auth.signOut({ scope: 'others' }))).error, null);
  assert.ok(visitor.tokens().length > 0);
  assert.equal((await visitor.request(user)).error.name, 'AuthSessionMissingError');
  assert.deepEqual(visitor.tokens(), []);
  fine(await elsewhere.request(user));
});
