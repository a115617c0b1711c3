// The page of examples/browser in Debian's Chromium: a click, WorkOS's login page, and back.
// Runs through tools/test-browser.sh.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const { GATEWAY_URL, SITE_URL, SCREENSHOTS } = process.env;
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };
const TIMEOUT = 20_000;

let server;
let browser;
let contexts;
let complaints; // page errors, console errors, requests to other hosts

before(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const app = fileURLToPath(new URL('../../examples/browser/server.js', import.meta.url));
  server = spawn(process.execPath, [app], {
    env: { ...process.env, PORT: new URL(SITE_URL).port, SUPABASE_URL: new URL(GATEWAY_URL).origin },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await Promise.race([
    createInterface(server.stdout)[Symbol.asyncIterator]().next().then(({ value }) => [value]),
    new Promise((resolve) => { setTimeout(resolve, TIMEOUT, ['no answer']).unref(); }),
  ]);
  assert.equal(line, SITE_URL);
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'], timeout: 60_000 });
}, { timeout: 90_000 });

after(async () => {
  await browser?.close();
  server?.kill();
});

beforeEach(() => {
  contexts = [];
  complaints = [];
});

afterEach(async () => {
  for (const context of contexts) await context.close();
  assert.deepEqual(complaints, []);
});

async function open(options = {}) {
  const context = await browser.newContext({ viewport: PHONE, ...options });
  contexts.push(context);
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`page error: ${error.message}`));
  page.on('console', (message) => message.type() === 'error' && complaints.push(`console: ${message.text()}`));
  page.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol !== 'data:' && hostname !== '127.0.0.1') complaints.push(`request: ${request.url()}`);
  });
  await page.goto(SITE_URL);
  return page;
}

async function shoot(page, name) {
  for (const [width, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    await page.setViewportSize(viewport);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide at ${viewport.width}`);
    await page.screenshot({ path: `${SCREENSHOTS}/${name}-${width}.png` });
  }
}

const signInButton = (page, organization) => page.getByRole('button', { name: `Sign in with SSO ${organization}` });
const rows = (page) => page.locator('#todos li').allTextContents();

async function signIn(page, organization, email, picture) {
  await signInButton(page, organization).click();
  const person = page.getByRole('button', { name: email });
  await person.waitFor();
  if (picture) await shoot(page, picture);
  await person.click();
  await page.locator('#signed-in').waitFor();
  assert.equal(page.url(), `${SITE_URL}/`, 'the code is gone from the address');
}

async function add(page, title) {
  await page.locator('#title').fill(title);
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.locator('#todos li', { hasText: title }).waitFor();
}

test('Alice of Acme signs in, adds a row, reloads and signs out; Bob of Globex sees none of it', { timeout: 120_000 }, async () => {
  const page = await open();
  await signInButton(page, 'Acme').waitFor();
  await shoot(page, '1-signed-out');
  await signIn(page, 'Acme', 'alice@acme.com', '2-login');
  assert.match(await page.locator('#name').textContent(), /^Alice/);
  assert.equal(await page.locator('#email').textContent(), 'alice@acme.com');
  assert.equal(await page.locator('#organization').textContent(), 'org_acme');
  assert.deepEqual(await rows(page), []);
  await add(page, 'Order new anvils');
  await add(page, '<b>Test</b> the rocket skates');
  const hers = ['Order new anvils', '<b>Test</b> the rocket skates'];
  assert.deepEqual(await rows(page), hers);
  await shoot(page, '3-signed-in');

  await page.reload();
  await page.locator('#signed-in').waitFor();
  assert.deepEqual(await rows(page), hers);
  assert.equal(await page.locator('#email').textContent(), 'alice@acme.com');

  const other = await open({ colorScheme: 'dark' });
  await signIn(other, 'Globex', 'bob@globex.com');
  assert.equal(await other.locator('#organization').textContent(), 'org_globex');
  assert.deepEqual(await rows(other), []);
  await add(other, 'Paint the logo');
  assert.deepEqual(await rows(other), ['Paint the logo']);
  await shoot(other, '4-other-organization-dark');
  await page.reload();
  await page.locator('#signed-in').waitFor();
  assert.deepEqual(await rows(page), hers);

  await page.getByRole('button', { name: 'Sign out' }).click();
  await signInButton(page, 'Acme').waitFor();
  assert.deepEqual(await rows(page), []);
  assert.ok(!(await page.content()).includes('anvils'));
  await page.reload();
  await signInButton(page, 'Acme').waitFor();
  assert.deepEqual(await rows(page), []);
});

test('a sign-in that WorkOS refuses is shown in words', { timeout: 60_000 }, async () => {
  const page = await open();
  const button = signInButton(page, 'Acme');
  await button.waitFor();
  // The same button for an organization whose connection is not linked.
  await button.evaluate((element) => { element.dataset.organization = 'org_hooli'; });
  await button.click();
  await page.getByText('You are not signed in:').waitFor();
  assert.match(await page.locator('#error').textContent(), /You are not signed in: \S+ \S+/);
  assert.equal(page.url(), `${SITE_URL}/`);
  await button.waitFor();
  await shoot(page, '5-refused');
});

test('without a token, or with a bad one, there are no rows', { timeout: 60_000 }, async () => {
  for (const headers of [{}, { authorization: 'Bearer nonsense' }]) {
    const answer = await fetch(`${SITE_URL}/todos`, { headers });
    assert.equal(answer.status, 401, JSON.stringify(headers));
    assert.equal(typeof (await answer.json()).message, 'string');
  }
});
