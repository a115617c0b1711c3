// The same questions to every framework, as a browser asks them. FRAMEWORKS says which: directories beside this one.
// Runs beside a gateway and a simulator: tools/test-frameworks.sh.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { Browser } from '../../test/browser.js';
import { start } from './app.js';

const { FRAMEWORKS, GATEWAY_URL } = process.env;
const CHECK_ORIGIN = ['sveltekit', 'astro']; // by themselves; for the others SameSite has to do
const LONGEST_CHAIN = 10;
const EMAIL = 'alice@acme.com';

const HOSTILE = [
  'https://evil.example', 'https://evil.example/', 'HTTPS:evil.example', '//evil.example', '///evil.example', '/\\evil.example',
  '\\\\evil.example', '/%2f/evil', '/%2F%2Fevil.example', '/%5cevil.example', '/\t/evil.example', '/\n/evil.example',
  '\t//evil.example', '/\r\nSet-Cookie: a=b', '/./ /evil.example\n', '/.//evil.example', '/..//evil.example', '/x/..//evil.example',
  '/\u0000/evil.example', 'javascript:alert(1)', 'data:text/html,evil', '@evil.example', '.evil.example', ':80@evil.example',
  'evil.example', '//[', '',
];

// Goes to WorkOS and back, up to the callback of the app, which is not called yet.
async function begin(browser, { organization = 'org_acme', person = EMAIL, next } = {}) {
  const query = new URLSearchParams({ organization, ...(next !== undefined && { next }) });
  let { location } = await browser.get(`/login?${query}`);
  assert.ok(location?.startsWith(`${GATEWAY_URL}/authorize?`), location);
  location += `&login_hint=${encodeURIComponent(person)}`;
  for (let i = 0; i < LONGEST_CHAIN && !location.startsWith(browser.base); i++) {
    const answer = await browser.get(location);
    assert.ok(answer.location, `${answer.status} ${answer.text}`);
    location = new URL(answer.location, location).href;
  }
  const callback = new URL(location);
  assert.equal(`${callback.origin}${callback.pathname}`, `${browser.base}/auth/callback`);
  return callback;
}

async function signIn(browser, options) {
  const answer = await browser.get(await begin(browser, options));
  assert.ok([302, 303].includes(answer.status), `${answer.status} ${answer.text}`);
  return answer;
}

const target = (browser, { location }) => new URL(location, browser.base).href;
const sessionCookies = (browser) => [...browser.cookies].filter(([name]) => /-auth-token(\.\d+)?$/.test(name));

async function isSignedIn(browser) {
  const { status, text } = await browser.get('/');
  assert.equal(status, 200, text);
  assert.ok(!text.includes('Not signed in'), text);
  assert.notEqual(text.includes(EMAIL), text.includes('Sign in with SSO'), text);
  return text.includes(EMAIL);
}

// The headers that fetch does not let anybody choose.
function raw(url, headers) {
  return new Promise((resolve, reject) => {
    request(url, { headers, timeout: 10_000 }, (answer) => resolve(answer.resume())).on('error', reject).end();
  });
}

for (const framework of FRAMEWORKS.split(' ')) {
  describe(framework, () => {
    let app;
    before(async () => { app = await start(framework); });
    after(() => app?.stop());

    test('signs in, stays signed in, signs out', async () => {
      const browser = new Browser(app.url);
      assert.equal(await isSignedIn(browser), false);
      const answer = await signIn(browser);
      assert.equal(target(browser, answer), `${app.url}/`);
      assert.equal(await isSignedIn(browser), true);
      assert.equal(await isSignedIn(browser), true);

      assert.equal((await browser.get('/logout')).status >= 400, true, 'a link must not sign out');
      assert.equal(await isSignedIn(browser), true);

      const thief = browser.copy();
      const gone = await browser.post('/logout');
      assert.equal(gone.status, 303);
      assert.equal(target(browser, gone), `${app.url}/`);
      assert.deepEqual(sessionCookies(browser), []);
      assert.equal(await isSignedIn(browser), false);
      assert.equal(await isSignedIn(thief), false, 'the session outlives its sign-out');
    });

    if (CHECK_ORIGIN.includes(framework)) {
      test('a form of another origin signs nobody out', async () => {
        const browser = new Browser(app.url);
        await signIn(browser);
        assert.equal((await browser.fetch('/logout', { form: {}, origin: 'http://other.example' })).status, 403);
        assert.equal(await isSignedIn(browser), true);
      });
    }

    test('its cookies are for itself, and no cache keeps them', async () => {
      const browser = new Browser(app.url);
      const answers = [await browser.get('/login?organization=org_acme'), await signIn(browser)];
      for (const answer of answers) {
        assert.ok(answer.setCookie.length > 0);
        for (const cookie of answer.setCookie) {
          assert.match(cookie, /; HttpOnly/i);
          assert.match(cookie, /; SameSite=Lax/i);
          assert.doesNotMatch(cookie, /; Secure/i);
        }
      }
      const { headers } = await raw(`${app.url}/login?organization=org_acme`, {});
      assert.match(headers['cache-control'], /no-store/);
    });

    test('an expired access token is refreshed', async () => {
      const browser = new Browser(app.url);
      await signIn(browser);
      const chunks = sessionCookies(browser).sort(([a], [b]) => a.localeCompare(b));
      const value = chunks.map(([, cookie]) => cookie.value).join('').replace(/^base64-/, '');
      const session = JSON.parse(Buffer.from(value, 'base64url'));
      const expired = `base64-${Buffer.from(JSON.stringify({ ...session, expires_at: 1 })).toString('base64url')}`;
      for (const [i, [, cookie]] of chunks.entries()) {
        const size = Math.ceil(expired.length / chunks.length);
        cookie.value = expired.slice(i * size, (i + 1) * size);
      }
      const { text, setCookie } = await browser.get('/');
      assert.ok(text.includes(EMAIL), text);
      assert.ok(setCookie.some((line) => /-auth-token(\.\d+)?=base64-/.test(line)), 'no new token');
      assert.equal(await isSignedIn(browser), true);
    });

    test('goes on to the page that was asked for', async () => {
      for (const next of ['/?tab=a%20b&x=%2F', '/?q=é']) {
        const browser = new Browser(app.url);
        assert.equal(target(browser, await signIn(browser, { next })), new URL(next, app.url).href);
      }
    });

    test('never goes to another site', async () => {
      for (const next of HOSTILE) {
        // As the link to the sign-in has it, and as somebody who made the callback's address himself would have it.
        const browser = new Browser(app.url);
        const callback = await begin(browser, { next });
        assert.equal(callback.searchParams.get('next'), '/', JSON.stringify(next));
        callback.searchParams.set('next', next);
        const answer = await browser.get(callback);
        assert.ok(['/', `${app.url}/`].includes(answer.location), `${JSON.stringify(next)} led to ${answer.location}`);
        assert.ok(!answer.setCookie.some((line) => line.startsWith('a=')));
        assert.equal(await isSignedIn(browser), true);
      }
    });

    test('does not ask the request where it is', async () => {
      const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
      for (const path of ['/login?organization=org_acme', '/auth/callback?error=x&error_code=access_denied', '/auth/callback?code=x']) {
        const { statusCode, headers: { location } } = await raw(`${app.url}${path}`, headers);
        assert.ok([302, 303].includes(statusCode), `${path}: ${statusCode}`);
        assert.ok(!location.includes('evil.example'), `${path} led to ${location}`);
      }
    });

    test('says why WorkOS refused, and nothing that a link made up', async () => {
      const browser = new Browser(app.url);
      const answer = await browser.get(await begin(browser, { organization: 'org_hooli' }));
      const { status, text } = await browser.get(target(browser, answer));
      assert.equal(status, 200);
      assert.match(text, /connection_unlinked/);
      assert.equal(await isSignedIn(browser), false);

      for (const made of ['<script>alert(1)</script>', 'Call 0800 123 now', '"><img src=x>']) {
        const query = new URLSearchParams({ error: made, error_code: made, error_description: made });
        const refused = await browser.get(`/auth/callback?${query}`);
        assert.ok([302, 303].includes(refused.status), `${refused.status}`);
        for (const page of [target(browser, refused), `/?${query}`]) {
          const shown = await browser.get(page);
          assert.equal(shown.status, 200);
          assert.ok(shown.text.includes('Sign in with SSO'));
          assert.ok(!/<script>alert|<img src/.test(shown.text), shown.text);
          // Next.js and others repeat the address in a script, as a string: no page shows that.
          assert.ok(!/0800|alert/.test(shown.text.replace(/<script\b.*?<\/script>/gs, '')), shown.text);
        }
      }
    });

    test("refuses a code that is somebody else's", async () => {
      const callback = await begin(new Browser(app.url), { person: 'anna@acme.com' });
      const stranger = new Browser(app.url);
      assert.match(target(stranger, await stranger.get(callback)), /\/\?error=pkce_code_verifier_not_found$/);
      assert.deepEqual(sessionCookies(stranger), []);
      assert.equal(await isSignedIn(stranger), false);

      // One who is in the middle of a sign-in of his own has a verifier, but not this one.
      await begin(stranger);
      assert.match(target(stranger, await stranger.get(callback)), /\/\?error=(bad_code_verifier|flow_state_not_found)$/);
      assert.deepEqual(sessionCookies(stranger), []);
      assert.equal(await isSignedIn(stranger), false);

      const nothing = await stranger.get('/auth/callback');
      assert.match(target(stranger, nothing), /\/\?error=/);
    });

    test('over https its cookies are Secure', async () => {
      const https = await start(framework, 'https://app.example.com');
      try {
        const { headers } = await raw(`${https.url}/login?organization=org_acme`, { host: 'app.example.com' });
        const redirectTo = new URL(headers.location).searchParams.get('redirect_to');
        assert.equal(redirectTo, 'https://app.example.com/auth/callback?next=%2F');
        assert.ok(headers['set-cookie'].length > 0);
        for (const cookie of headers['set-cookie']) assert.match(cookie, /; Secure/i);
      } finally {
        await https.stop();
      }
    });
  });
}
