// The client with its default options, which mean the implicit flow, in a page: it takes the session from the fragment.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createClient } from '@supabase/supabase-js';

import { Browser, CALLBACK_ERRORS, fine, GATEWAY_URL, KEY, load, PAGE, refusedPage, somebody, Storage, SUPABASE_URL } from './helper.js';

// In a browser every page has a world of its own; here they share one, and the client counts them.
const { warn } = console;
console.warn = (...words) => {
  if (!words.join(' ').includes('Multiple GoTrueClient instances')) warn(...words);
};

// A page is loaded and its script makes the client.
function open(href, localStorage, options) {
  const window = load(href, localStorage);
  return { window, supabase: createClient(SUPABASE_URL, KEY, options) };
}

// The button: where the page sends the browser.
async function press(localStorage, options, queryParams = { organization: 'org_acme' }) {
  const { window, supabase } = open(PAGE, localStorage, options);
  const { error } = await supabase.auth.signInWithOAuth({ provider: 'workos', options: { redirectTo: PAGE, queryParams } });
  assert.equal(error, null);
  assert.ok(window.left.startsWith(`${GATEWAY_URL}/authorize?`), window.left);
  return window.left;
}

async function signIn(person, { localStorage = new Storage(), browser = new Browser(), options } = {}) {
  const page = await browser.toPage(await press(localStorage, options), person.email);
  return { page, browser, localStorage, ...open(page.href, localStorage, options) };
}

test('the page takes the session from the fragment, cleans the address, and keeps it over a reload', async () => {
  const person = await somebody();
  const { page, window, supabase, localStorage } = await signIn(person);
  assert.equal(page.search, '');
  const { session } = fine(await supabase.auth.getSession());
  assert.equal(session.user.email, person.email);
  assert.equal(session.access_token, new URLSearchParams(page.hash.slice(1)).get('access_token'));
  assert.equal(window.location.hash, '');
  assert.equal(localStorage.session.refresh_token, session.refresh_token);

  const reloaded = open(PAGE, localStorage).supabase;
  assert.equal(fine(await reloaded.auth.getUser()).user.email, person.email);
  const refreshed = fine(await reloaded.auth.refreshSession()).session;
  assert.notEqual(refreshed.refresh_token, session.refresh_token);
  assert.equal((await reloaded.auth.signOut()).error, null);
  assert.equal(localStorage.session, null);
  const gone = open(PAGE, localStorage).supabase;
  assert.equal(fine(await gone.auth.getSession()).session, null);
});

test('a page without the client does the same with setSession', async () => {
  const person = await somebody();
  const page = await new Browser().toPage(await press(new Storage()), person.email);
  const { access_token, refresh_token } = Object.fromEntries(new URLSearchParams(page.hash.slice(1)));
  const { supabase } = open(PAGE, new Storage());
  assert.equal(fine(await supabase.auth.setSession({ access_token, refresh_token })).user.email, person.email);
});

test('two tabs of one browser sign in at once', async () => {
  const browser = new Browser();
  const people = [await somebody(), await somebody()];
  const callbacks = [];
  for (const { email } of people) callbacks.push(await browser.toCallback(await press(new Storage()), email));
  for (const [i, callback] of [...callbacks.entries()].reverse()) {
    const page = await browser.toPage(callback);
    const { supabase } = open(page.href, new Storage());
    assert.equal(fine(await supabase.auth.getUser()).user.email, people[i].email);
  }
  assert.equal(browser.cookies.size, 0);
});

test("another browser's callback signs nobody in, and the page is told", async () => {
  const attacker = await somebody();
  const [theirs, victims] = [new Browser(), new Browser()];
  const callback = await theirs.toCallback(await press(new Storage()), attacker.email);
  await victims.toCallback(await press(new Storage()), (await somebody()).email); // with a cookie of its own
  const localStorage = new Storage();
  const page = await victims.toPage(callback);
  assert.equal(page.origin + page.pathname, PAGE);
  assert.ok(!page.href.includes('token'), page.href);
  const { supabase } = open(page.href, localStorage);
  const { error } = await supabase.auth.initialize();
  assert.equal(error.name, 'AuthImplicitGrantRedirectError');
  assert.equal(error.details.error, 'access_denied');
  assert.equal(fine(await supabase.auth.getSession()).session, null);
  assert.equal(localStorage.session, null);
  // It is over for the browser that began it, too.
  const late = await theirs.toPage(callback);
  assert.ok(late.searchParams.get('error') && !late.hash.includes('access_token'), late.href);
});

for (const flowType of ['implicit', 'pkce']) {
  test(`with flowType '${flowType}' the page is told every callback error of WorkOS, and keeps the session it had`, async () => {
    const person = await somebody();
    const options = { auth: { flowType } };
    const { localStorage, supabase, window } = await signIn(person, { options });
    assert.equal(fine(await supabase.auth.getUser()).user.email, person.email);
    assert.equal(window.location.href.split('#')[0], PAGE);
    for (const code of CALLBACK_ERRORS) {
      const description = `What "${code}" means: it's said & done`;
      const page = await refusedPage(await press(localStorage, options), code, description);
      const opened = open(page.href, localStorage, options).supabase;
      const { error } = await opened.auth.initialize();
      assert.equal(error?.name, 'AuthImplicitGrantRedirectError', code);
      assert.equal(error.message, description);
      assert.deepEqual(error.details, { error: code, code });
      assert.equal(fine(await opened.auth.getUser()).user.email, person.email);
    }
  });
}

test('a callback that comes back twice tells the page its code', async () => {
  const browser = new Browser();
  const callback = await browser.toCallback(await press(new Storage()), (await somebody()).email);
  const cookies = new Map(browser.cookies);
  await browser.toPage(callback);
  browser.cookies = cookies;
  const page = await browser.toPage(callback);
  const { supabase } = open(page.href, new Storage());
  const { error } = await supabase.auth.initialize();
  assert.equal(error.name, 'AuthImplicitGrantRedirectError');
  assert.equal(error.details.code, 'bad_oauth_state', page.href);
});

test('a page that is not listed is refused before anything begins', async () => {
  const { window, supabase } = open(PAGE, new Storage());
  const options = { redirectTo: 'https://evil.example/', queryParams: { organization: 'org_acme' } };
  await supabase.auth.signInWithOAuth({ provider: 'workos', options });
  const answer = await new Browser().get(window.left);
  assert.equal(answer.status, 400);
  assert.equal(answer.headers.getSetCookie().length, 0);
  assert.equal((await answer.json()).error_code, 'redirect_to_not_allowed');
});
