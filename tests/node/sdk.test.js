// WorkOS's own SDK against the simulator. What the SDK cannot do, the simulator does wrong.
//
// WORKOS_SIMULATOR=target/release/workos-simulator node --test

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { after, before, beforeEach, test } from 'node:test';

import {
  ConflictException,
  NotFoundException,
  OauthException,
  RateLimitExceededException,
  SignatureVerificationException,
  UnauthorizedException,
  UnprocessableEntityException,
  WorkOS,
} from '@workos-inc/node';

const clientId = 'client_demo';
const redirectUri = 'http://localhost:3000/callback';
const binary = process.env.WORKOS_SIMULATOR;

let simulator;
let base;

before(async () => {
  assert.ok(
    binary && existsSync(binary),
    `WORKOS_SIMULATOR must name the simulator's binary (cargo build -p workos_simulator), but is ${binary ?? 'not set'}`,
  );
  simulator = spawn(binary, ['--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  base = await new Promise((resolve, reject) => {
    createInterface({ input: simulator.stdout }).once('line', resolve);
    simulator.once('error', reject);
    simulator.once('exit', (code) => reject(new Error(`the simulator ended with ${code}`)));
  });
});

after(() => simulator?.kill());

beforeEach(async () => {
  for (const what of ['faults', 'requests']) {
    await fetch(`${base}/_simulator/${what}`, { method: 'DELETE' });
  }
});

function sdk(apiKey = 'sk_test_demo') {
  const { hostname, port } = new URL(base);
  return new WorkOS(apiKey, { apiHostname: hostname, port: Number(port), https: false, clientId });
}

// What a browser does, up to the redirect back to the application.
async function visit(url) {
  const response = await fetch(url, { redirect: 'manual' });
  assert.equal(response.status, 302);
  const target = new URL(response.headers.get('location'));
  assert.equal(target.origin + target.pathname, redirectUri);
  return Object.fromEntries(target.searchParams);
}

async function setFault(kind, times = 1) {
  const body = JSON.stringify({ endpoint: 'token', times, kind });
  const response = await fetch(`${base}/_simulator/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  assert.equal(response.status, 204);
}

async function tokenRequests() {
  const { requests } = await (await fetch(`${base}/_simulator/requests`)).json();
  return requests.filter(({ path }) => path === '/sso/token');
}

test('signs in through an organization', async () => {
  const workos = sdk();
  const state = 'a b&c=é';
  const url = workos.sso.getAuthorizationUrl({ organization: 'org_acme', clientId, redirectUri, state });
  const callback = await visit(url);
  assert.equal(callback.state, state);

  const { profile, accessToken, oauthTokens } = await workos.sso.getProfileAndToken({ code: callback.code, clientId });
  assert.deepEqual(profile, {
    id: 'prof_alice',
    idpId: 'okta-alice',
    organizationId: 'org_acme',
    connectionId: 'conn_acme',
    connectionType: 'OktaSAML',
    email: 'alice@acme.com',
    name: 'Alice Admin',
    firstName: 'Alice',
    lastName: 'Admin',
    role: { slug: 'admin' },
    roles: [{ slug: 'admin' }],
    groups: ['engineering', 'admins'],
    customAttributes: { department: 'Engineering', cost_center: '4711' },
    rawAttributes: {},
  });
  assert.equal(oauthTokens, undefined);
  assert.deepEqual(await workos.sso.getProfile({ accessToken }), profile);
});

test('signs in through a provider with its scopes and parameters', async () => {
  const workos = sdk();
  const url = workos.sso.getAuthorizationUrl({
    provider: 'GoogleOAuth',
    clientId,
    redirectUri,
    loginHint: 'gina@gmail.com',
    domainHint: 'gmail.com',
    providerScopes: ['openid', 'email'],
    providerQueryParams: { hd: 'gmail.com' },
  });
  const { code } = await visit(url);
  const { profile, oauthTokens } = await workos.sso.getProfileAndToken({ code, clientId });
  assert.equal(profile.organizationId, null);
  assert.match(oauthTokens.accessToken, /^provider_access_/);
  assert.deepEqual(oauthTokens.scopes, ['openid', 'email', 'profile']);
  assert.ok(oauthTokens.expiresAt > Date.now() / 1000);
});

test('signs in with PKCE, and only with its verifier', async () => {
  const workos = sdk();
  const begin = () => workos.sso.getAuthorizationUrlWithPKCE({ connection: 'conn_globex', clientId, redirectUri });

  const first = await begin();
  const callback = await visit(first.url);
  assert.equal(callback.state, first.state);
  const { codeVerifier } = first;
  const { profile } = await workos.sso.getProfileAndToken({ code: callback.code, clientId, codeVerifier });
  assert.equal(profile.id, 'prof_bob');

  for (const wrong of [undefined, (await begin()).codeVerifier]) {
    const { code } = await visit((await begin()).url);
    await assert.rejects(workos.sso.getProfileAndToken({ code, clientId, codeVerifier: wrong }), (error) => {
      assert.ok(error instanceof OauthException, error);
      assert.equal(error.status, 400);
      assert.equal(error.error, 'invalid_grant');
      return true;
    });
  }
});

test('a used code is an OauthException with a request id', async () => {
  const workos = sdk();
  const { code } = await visit(workos.sso.getAuthorizationUrl({ organization: 'org_acme', clientId, redirectUri }));
  await workos.sso.getProfileAndToken({ code, clientId });
  await assert.rejects(workos.sso.getProfileAndToken({ code, clientId }), (error) => {
    assert.ok(error instanceof OauthException, error);
    assert.equal(error.error, 'invalid_grant');
    assert.equal(error.errorDescription, 'The code has expired or has already been used.');
    assert.match(error.requestID, /^[0-9a-f-]{36}$/);
    return true;
  });
});

test('a wrong secret is an OauthException at the token endpoint and an UnauthorizedException elsewhere', async () => {
  const { code } = await visit(sdk().sso.getAuthorizationUrl({ organization: 'org_acme', clientId, redirectUri }));
  const workos = sdk('sk_test_wrong');
  await assert.rejects(workos.sso.getProfileAndToken({ code, clientId }), (error) => {
    assert.ok(error instanceof OauthException, error);
    assert.equal(error.error, 'invalid_client');
    return true;
  });
  await assert.rejects(workos.sso.listConnections(), UnauthorizedException);
  await assert.rejects(workos.sso.getProfile({ accessToken: 'sso_token_of_nobody' }), UnauthorizedException);
});

test('lists and gets connections and organizations', async () => {
  const workos = sdk();
  const all = await (await workos.sso.listConnections()).autoPagination();
  assert.equal(all.length, 9);
  const { data } = await workos.sso.listConnections({ organizationId: 'org_initech' });
  assert.deepEqual(data.map(({ id }) => id), ['conn_initech_google', 'conn_initech_okta']);
  const connection = await workos.sso.getConnection('conn_acme');
  assert.equal(connection.type, 'OktaSAML');
  assert.equal(connection.organizationId, 'org_acme');
  assert.equal(connection.state, 'active');
  assert.equal(connection.domains[0].domain, 'acme.com');
  await assert.rejects(workos.sso.getConnection('conn_nobody'), NotFoundException);

  const organizations = await workos.organizations.listOrganizations({ domains: ['globex.com'] });
  assert.deepEqual(organizations.data.map(({ id }) => id), ['org_globex']);
  assert.equal((await workos.organizations.getOrganization('org_acme')).domains[0].state, 'verified');
});

test('sets a customer up', async () => {
  const workos = sdk();
  const made = await workos.organizations.createOrganization({
    name: 'Piper',
    externalId: 'customer-7',
    metadata: { plan: 'gold' },
    domainData: [{ domain: 'piper.example', state: 'verified' }],
  });
  assert.equal(made.externalId, 'customer-7');
  assert.deepEqual(made.metadata, { plan: 'gold' });
  assert.deepEqual(await workos.organizations.getOrganizationByExternalId('customer-7'), made);
  await assert.rejects(workos.organizations.createOrganization({ name: 'Again', externalId: 'customer-7' }), (error) => {
    assert.equal(error.status, 400);
    assert.equal(error.code, 'external_id_already_used');
    return true;
  });
  const domainData = [{ domain: 'acme.com', state: 'verified' }];
  await assert.rejects(workos.organizations.createOrganization({ name: 'Again', domainData }), ConflictException);
  await assert.rejects(workos.organizations.createOrganization({ name: '' }), UnprocessableEntityException);
  const renamed = await workos.organizations.updateOrganization({ organization: made.id, name: 'Pied Piper' });
  assert.equal(renamed.name, 'Pied Piper');
  assert.deepEqual(renamed.domains, made.domains);

  const domain = await workos.organizationDomains.createOrganizationDomain({ organizationId: made.id, domain: 'piper.test' });
  assert.equal(domain.state, 'pending');
  assert.ok(domain.verificationToken);
  assert.deepEqual(await workos.organizationDomains.getOrganizationDomain(domain.id), domain);
  assert.equal((await workos.organizationDomains.verifyOrganizationDomain(domain.id)).state, 'pending');
  await workos.organizationDomains.deleteOrganizationDomain(domain.id);
  await assert.rejects(workos.organizationDomains.getOrganizationDomain(domain.id), NotFoundException);

  const { link } = await workos.adminPortal.generateLink({ organization: made.id, intent: 'sso', returnUrl: 'https://app.example/' });
  assert.match(link, /^https:/);
  const contact = await workos.organizations.createItContact({ organizationId: made.id, email: 'it@piper.example' });
  const { data } = await workos.organizations.listItContacts({ organizationId: made.id });
  assert.deepEqual(data, [contact]);
  await workos.organizations.inviteItContact({ organizationId: made.id, contactId: contact.id, intents: ['sso', 'directory_sync'] });
  await workos.organizations.revokeItContact({ organizationId: made.id, contactId: contact.id });
  await workos.organizations.deleteItContact({ organizationId: made.id, contactId: contact.id });

  await workos.organizations.deleteOrganization(made.id);
  await assert.rejects(workos.organizations.getOrganization(made.id), NotFoundException);
});

// Asks the simulator for something that WorkOS's API does not have.
async function simulate(method, what, body) {
  const response = await fetch(`${base}/_simulator/${what}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, text);
  return text === '' ? undefined : JSON.parse(text);
}

test('reads every event that the simulator can make, and what became of it', async () => {
  const { changes, events: types } = JSON.parse(await readFile(new URL('history.json', import.meta.url)));
  const ids = {};
  await simulate('PUT', 'events/settings', { hold_back_ms: 0 });
  for (const [name, change] of changes) {
    const known = JSON.stringify(change).replace(/"\$(\w+)"/g, (_, id) => JSON.stringify(ids[id]));
    ids[name] = (await simulate('POST', 'changes', JSON.parse(known))).id;
  }

  const workos = sdk();
  const events = [];
  for (let after; ; ) {
    const page = await workos.events.listEvents({ events: types, limit: 20, after, order: 'desc' });
    events.push(...page.data);
    after = page.listMetadata.after;
    if (after === null) break;
  }
  assert.deepEqual([...new Set(events.map(({ event }) => event))].sort(), types);
  const find = (type) => events.find(({ event }) => event === type).data;
  assert.equal(find('dsync.user.deleted').state, 'inactive');
  assert.deepEqual(find('dsync.user.updated').previousAttributes.state, 'active');
  assert.equal(find('dsync.group.user_added').user.idpId, 'okta-alice');
  assert.equal(find('organization_membership.updated').status, 'inactive');
  assert.equal(find('session.created').userId, 'user_anton');
  assert.deepEqual(find('role.updated').permissions, ['posts:read', 'posts:write']);
  assert.deepEqual(find('organization_role.updated').permissions, []);
  assert.ok(!Number.isNaN(Date.parse(events[0].createdAt)));

  const users = await workos.directorySync.listUsers({ directory: ids.directory });
  assert.deepEqual((await users.autoPagination()).map(({ idpId }) => idpId), ['okta-anton', 'okta-robot', 'okta-anna', 'okta-alice']);
  const [alice] = (await workos.directorySync.listUsers({ directory: ids.directory, order: 'asc' })).data;
  assert.deepEqual(alice.groups.map(({ name }) => name), ['Builders']);
  assert.deepEqual(alice.customAttributes, { depth: { of: 1 } });
  assert.equal((await workos.directorySync.listGroups({ directory: ids.directory })).data[0].name, 'Builders');
  assert.equal((await workos.directorySync.getDirectory(ids.directory)).state, 'active', 'what the SDK makes of linked');
  const memberships = await workos.userManagement.listOrganizationMemberships({ organizationId: 'org_acme', statuses: ['active', 'inactive'] });
  assert.deepEqual(memberships.data.map(({ id, role }) => [id, role.slug]), [['om_anton', 'editor']]);
  assert.equal((await workos.userManagement.getUser('user_anton')).lastName, 'Bruckner');
  assert.equal((await workos.authorization.listEnvironmentRoles()).data[0].slug, 'editor');
});

test('constructs an event of a webhook, by its signature', async () => {
  const workos = sdk();
  let secret;
  const received = new Promise((resolve) => {
    const server = createServer(async (request, response) => {
      const payload = (await request.toArray()).join('');
      response.end();
      server.close();
      resolve({ payload, sigHeader: request.headers['workos-signature'] });
    });
    server.listen(0, '127.0.0.1', async () => {
      const endpointUrl = `http://127.0.0.1:${server.address().port}/`;
      ({ secret } = await workos.webhooks.createWebhookEndpoint({ endpointUrl, events: ['user.created'] }));
      await simulate('POST', 'changes', { create_user: { email: 'webhook@acme.com' } });
    });
  });
  const { payload, sigHeader } = await received;
  assert.match(sigHeader, /^t=\d{13}, v1=[0-9a-f]{64}$/);
  const event = await workos.webhooks.constructEvent({ payload: JSON.parse(payload), sigHeader, secret });
  assert.equal(event.data.email, 'webhook@acme.com');
  await assert.rejects(
    workos.webhooks.constructEvent({ payload: JSON.parse(payload), sigHeader, secret: 'another' }),
    SignatureVerificationException,
  );
});

test('retries 429 after the time it is told, with the same code', async () => {
  const workos = sdk();
  const { code } = await visit(workos.sso.getAuthorizationUrl({ organization: 'org_acme', clientId, redirectUri }));
  await setFault({ rate_limited: { retry_after: { seconds: 1 } } });
  const begun = performance.now();
  const { profile } = await workos.sso.getProfileAndToken({ code, clientId });
  assert.equal(profile.id, 'prof_alice');
  assert.ok(performance.now() - begun > 900);
  assert.equal((await tokenRequests()).length, 2);
});

test('gives up on a limit that stays, as a RateLimitExceededException', async () => {
  const { hostname, port } = new URL(base);
  const workos = new WorkOS('sk_test_demo', { apiHostname: hostname, port: Number(port), https: false, clientId, maxRetries: 0 });
  const { code } = await visit(workos.sso.getAuthorizationUrl({ organization: 'org_acme', clientId, redirectUri }));
  await setFault({ rate_limited: { retry_after: { seconds: 7 } } }, null);
  await assert.rejects(workos.sso.getProfileAndToken({ code, clientId }), (error) => {
    assert.ok(error instanceof RateLimitExceededException, error);
    assert.equal(error.retryAfter, 7);
    return true;
  });
});

test('sends a form without a redirect_uri, as the simulator expects of every SDK', async () => {
  const workos = sdk();
  const { code } = await visit(workos.sso.getAuthorizationUrl({ organization: 'org_acme', clientId, redirectUri }));
  await workos.sso.getProfileAndToken({ code, clientId });
  const [request] = await tokenRequests();
  assert.match(request.content_type, /^application\/x-www-form-urlencoded/);
  assert.deepEqual(Object.fromEntries(request.fields), {
    client_id: clientId,
    client_secret: 'sk_test_demo',
    code,
    grant_type: 'authorization_code',
  });
});

test('picks an organization of AuthKit, and switches to another', async () => {
  const workos = sdk();
  const email = 'dora@acme.com';
  const { id: user } = await simulate('POST', 'changes', { create_user: { email } });
  for (const organization of ['org_acme', 'org_globex']) {
    await simulate('POST', 'changes', { create_membership: { user, organization, roles: ['editor'] } });
  }
  const url = workos.userManagement.getAuthorizationUrl({ provider: 'authkit', clientId, redirectUri, loginHint: email });
  const { code } = await visit(url);
  const question = await workos.userManagement.authenticateWithCode({ code, clientId }).then(assert.fail, (error) => error);
  assert.equal(question.status, 403);
  const { code: asked, organizations, pending_authentication_token: pendingAuthenticationToken } = question.rawData;
  assert.equal(asked, 'organization_selection_required');
  assert.deepEqual(organizations.map(({ id }) => id), ['org_acme', 'org_globex']);

  const picked = { clientId, pendingAuthenticationToken, organizationId: 'org_globex' };
  const session = await workos.userManagement.authenticateWithOrganizationSelection(picked);
  assert.equal(session.organizationId, 'org_globex');
  assert.equal(session.user.id, user);
  const again = await workos.userManagement.authenticateWithOrganizationSelection(picked).then(assert.fail, (error) => error);
  assert.equal(again.status, 400);
  assert.equal(again.code, 'invalid_pending_authentication_token');

  const { refreshToken } = session;
  const elsewhere = { clientId, refreshToken, organizationId: 'org_initech' };
  await assert.rejects(workos.userManagement.authenticateWithRefreshToken(elsewhere), (error) => {
    assert.ok(error instanceof OauthException, error);
    assert.equal(error.error, 'organization_membership_not_found');
    return true;
  });
  const switched = await workos.userManagement.authenticateWithRefreshToken({ clientId, refreshToken, organizationId: 'org_acme' });
  assert.equal(switched.organizationId, 'org_acme');
  const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.equal(claims(switched.accessToken).sid, claims(session.accessToken).sid);
  assert.equal(claims(switched.accessToken).org_id, 'org_acme');
  // Each is good once, and without an organization the session stays where it is.
  await assert.rejects(workos.userManagement.authenticateWithRefreshToken({ clientId, refreshToken }), (error) => {
    assert.equal(error.error, 'invalid_grant');
    return true;
  });
  const next = await workos.userManagement.authenticateWithRefreshToken({ clientId, refreshToken: switched.refreshToken });
  assert.equal(next.organizationId, 'org_acme');
  await workos.userManagement.revokeSession({ sessionId: claims(next.accessToken).sid });
  const last = { clientId, refreshToken: next.refreshToken };
  await assert.rejects(workos.userManagement.authenticateWithRefreshToken(last), (error) => {
    assert.equal(error.error, 'invalid_grant');
    return true;
  });
  await simulate('POST', 'changes', { delete_user: { id: user } });
});
