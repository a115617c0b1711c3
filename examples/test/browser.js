// A browser as far as a sign-in needs one: a cookie jar, and redirects that are followed one at a time.

import assert from 'node:assert/strict';

const LARGEST_COOKIE = 4096; // name and value, as Chrome and Firefox count
const LONGEST_CHAIN = 10;

export class Browser {
  cookies = new Map(); // name => { value, path, attributes }
  secrets = new Set(); // what its cookies ever held: no page and no redirect may show it

  constructor(base) {
    this.base = base;
  }

  // Another browser that holds copies of these cookies.
  copy() {
    const browser = new Browser(this.base);
    browser.cookies = new Map(this.cookies);
    browser.secrets = this.secrets;
    return browser;
  }

  // `origin` is the site whose form it is.
  async fetch(target, { form, origin = this.base, ...options } = {}) {
    const url = new URL(target, this.base);
    const ours = url.origin === this.base;
    const headers = ours ? { cookie: this.#cookiesFor(url.pathname) } : {};
    if (form) headers.origin = origin;
    const body = form && new URLSearchParams(form);
    const answer = await fetch(url, { redirect: 'manual', headers, body, method: form ? 'POST' : 'GET', ...options });
    const result = { url, status: answer.status, location: answer.headers.get('location'), text: await answer.text() };
    result.setCookie = answer.headers.getSetCookie();
    if (ours) {
      result.setCookie.forEach((line) => this.#keep(line));
      for (const secret of this.secrets) {
        assert.ok(!result.text.includes(secret), `${url.pathname} shows a secret`);
        assert.ok(!result.location?.includes(secret), `${url.pathname} redirects with a secret`);
      }
    }
    return result;
  }

  get(target) {
    return this.fetch(target);
  }

  post(target, form = {}) {
    return this.fetch(target, { form });
  }

  // Begins a sign-in and goes on to WorkOS, who sends the browser back; returns the callback URL, not yet called.
  async begin(organization, { loginHint, redirectTo } = {}) {
    const query = new URLSearchParams({ organization, ...(redirectTo && { redirect_to: redirectTo }) });
    let { location } = await this.get(`/login?${query}`);
    if (loginHint) location += `&login_hint=${encodeURIComponent(loginHint)}`;
    for (let i = 0; i < LONGEST_CHAIN && !location.startsWith(`${this.base}/callback?`); i++) {
      const answer = await this.get(location);
      assert.ok(answer.location, `${answer.status} ${answer.text}`);
      location = new URL(answer.location, location).href;
    }
    return new URL(location);
  }

  async signIn(organization, options) {
    const answer = await this.get(await this.begin(organization, options));
    assert.ok(answer.location, `${answer.status} ${answer.text}`);
    return answer;
  }

  async todos() {
    const answer = await this.get('/todos');
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text).map(({ title }) => title);
  }

  flows() {
    return [...this.cookies.keys()].filter((name) => name.startsWith('flow_'));
  }

  #cookiesFor(path) {
    const sent = [...this.cookies].filter(([, cookie]) => cookie.path === '/' || cookie.path === path);
    return sent.map(([name, { value }]) => `${name}=${value}`).join('; ');
  }

  #keep(line) {
    const [pair, ...rest] = line.split(/; ?/);
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const attributes = Object.fromEntries(rest.map((part) => [part.split('=')[0].toLowerCase(), part.split('=')[1] ?? true]));
    const path = attributes.path ?? '/';
    const old = this.cookies.get(name);
    const ends = 'max-age' in attributes ? Number(attributes['max-age']) <= 0 : new Date(attributes.expires) <= new Date();
    if (ends) {
      // A cookie is only taken away by one of the same path.
      if (old?.path === path) this.cookies.delete(name);
      return;
    }
    if (pair.length - 1 > LARGEST_COOKIE) return; // dropped without a word
    this.cookies.set(name, { value, path, attributes });
    // The state of a flow goes through URLs anyway; its verifier does not, nor does a token or its signature.
    this.secrets.add(value).add(value.split('.').at(-1));
  }
}
