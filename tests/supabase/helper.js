// What the tests share: Supabase's client as an application makes it, a browser, and people at WorkOS.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { createClient } from '@supabase/supabase-js';
import pg from 'pg';

export const { GATEWAY_URL, SIMULATOR_URL, SITE_URL } = process.env;
assert.ok(GATEWAY_URL, 'run this with tools/test-supabase.sh');

// The client adds /auth/v1 to what it is given.
export const SUPABASE_URL = GATEWAY_URL.replace(/\/auth\/v1$/, '');
export const KEY = 'sb_publishable_test'; // every client sends one; the gateway does not look at it
export const PAGE = `${SITE_URL}/welcome`;

const LONGEST_CHAIN = 10;

// https://workos.com/docs/reference/sso/get-authorization-url/error-codes
export const CALLBACK_ERRORS = [
  'access_denied',
  'ambiguous_connection_selector',
  'connection_domain_invalid',
  'connection_invalid',
  'connection_strategy_invalid',
  'connection_unlinked',
  'domain_connection_selector_not_allowed',
  'idp_initiated_sso_disabled',
  'invalid_connection_selector',
  'oauth_failed',
  'organization_invalid',
  'profile_not_allowed_outside_organization',
  'server_error',
  'signin_consent_denied',
];

// Node 20 has none, and the client's realtime part, which nothing here uses, is not made without one.
globalThis.WebSocket ??= class {};

// localStorage, as far as the client knows it.
export class Storage {
  items = new Map();

  getItem(key) {
    return this.items.get(key) ?? null;
  }

  setItem(key, value) {
    this.items.set(key, value);
  }

  removeItem(key) {
    this.items.delete(key);
  }

  // The session that the client keeps here.
  get session() {
    const found = [...this.items].find(([key]) => key.endsWith('-auth-token'));
    return found ? JSON.parse(found[1]) : null;
  }

  // Changes it behind the client's back.
  changeSession(changes) {
    const [key, value] = [...this.items].find(([name]) => name.endsWith('-auth-token'));
    this.items.set(key, JSON.stringify({ ...JSON.parse(value), ...changes }));
  }
}

// An application's client. `requests` are the paths that it has asked for.
export function application({ storage = new Storage(), url = SUPABASE_URL, ...auth } = {}) {
  const requests = [];
  const counted = (target, options) => {
    requests.push(`${options?.method ?? 'GET'} ${String(target).replace(GATEWAY_URL, '')}`);
    return fetch(target, options);
  };
  const supabase = createClient(url, KEY, {
    auth: { flowType: 'pkce', autoRefreshToken: false, storage, ...auth },
    global: { fetch: counted },
  });
  return { supabase, storage, requests };
}

// A browser as far as a sign-in needs one: the gateway's cookies, and redirects that are followed one at a time.
export class Browser {
  cookies = new Map();

  // From a sign-in's URL to the callback at the gateway, which is not called yet.
  async toCallback(url, loginHint) {
    return this.#follow(url, `${GATEWAY_URL}/callback?`, loginHint);
  }

  // From there to the page, which is not loaded.
  async toPage(url, loginHint) {
    return new URL(await this.#follow(url, SITE_URL, loginHint));
  }

  async get(url) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = url.startsWith(GATEWAY_URL) ? { cookie } : {};
    const answer = await fetch(url, { redirect: 'manual', headers });
    for (const line of url.startsWith(GATEWAY_URL) ? answer.headers.getSetCookie() : []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/; Max-Age=0/.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  async #follow(start, end, loginHint) {
    let location = start;
    for (let i = 0; i < LONGEST_CHAIN && !location.startsWith(end); i++) {
      // Who is at the keyboard: the stand-in for WorkOS has nobody to ask.
      if (loginHint && location.startsWith(SIMULATOR_URL)) location += `&login_hint=${encodeURIComponent(loginHint)}`;
      const answer = await this.get(location);
      const to = answer.headers.get('location');
      assert.ok(to, `${location} answers ${answer.status} ${await answer.text()}`);
      location = new URL(to, location).href;
    }
    assert.ok(location.startsWith(end), location);
    return location;
  }
}

// A sign-in to which WorkOS says no, in these words: the page where the browser ends.
export async function refusedPage(url, error, description) {
  const browser = new Browser();
  const toWorkos = new URL((await browser.get(url)).headers.get('location'));
  const query = { error, error_description: description, state: toWorkos.searchParams.get('state') };
  return browser.toPage(`${GATEWAY_URL}/callback?${new URLSearchParams(query)}`);
}

// Somebody whom no other test knows: what ends a person's sessions must not end another test's.
export async function somebody(connection = 'conn_acme', domain = 'acme.com') {
  const id = randomUUID().replaceAll('-', '');
  const person = { id: `prof_${id}`, connection, email: `p${id}@${domain}`, first_name: 'Pat', last_name: 'Doe', idp_id: id };
  const answer = await fetch(`${SIMULATOR_URL}/_simulator/profiles`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(person),
  });
  assert.equal(answer.status, 204, await answer.text());
  return person;
}

// The URL that the button of an application leads to.
export async function signInUrl(supabase, { redirectTo = PAGE, ...queryParams } = { organization: 'org_acme' }) {
  const options = { redirectTo, skipBrowserRedirect: true, queryParams };
  const { data, error } = await supabase.auth.signInWithOAuth({ provider: 'workos', options });
  assert.equal(error, null);
  return data.url;
}

// A sign-in from beginning to end; whom the client then knows.
export async function signIn(supabase, email, queryParams) {
  const page = await new Browser().toPage(await signInUrl(supabase, queryParams), email);
  const { data, error } = await supabase.auth.exchangeCodeForSession(page.searchParams.get('code'));
  assert.equal(error, null, page.href);
  return data;
}

// An application where this person has signed in.
export async function signedIn(person, options) {
  const app = application(options);
  await signIn(app.supabase, person.email);
  return app;
}

// What comes without an error.
export function fine({ data, error }) {
  assert.equal(error, null);
  return data;
}

// The database, as its superuser: for what no client can do.
export async function superuser(query, values) {
  const client = new pg.Client();
  await client.connect();
  try {
    return (await client.query(query, values)).rows;
  } finally {
    await client.end();
  }
}

// A page of the browser whose localStorage this is. The client looks for a session in the address bar only where there are a window
// and a document, and keeps it in localStorage unless it is told otherwise; nothing else of them is here.
export function load(href, localStorage) {
  const location = new URL(href);
  location.assign = (to) => (globalThis.window.left = to);
  const history = { state: null, replaceState: (state, title, to) => (location.href = to) };
  const globals = {
    window: { location, history, addEventListener() {}, removeEventListener() {} },
    document: { visibilityState: 'visible', addEventListener() {} },
    localStorage,
    // Other tabs would listen to it; here it would keep the process from ending.
    BroadcastChannel: undefined,
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  return globalThis.window;
}
