// Somebody else's server verifies a token with a library of its own, knowing nothing but the issuer's URL.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createRemoteJWKSet, jwtVerify, SignJWT, generateKeyPair, decodeProtectedHeader } from 'jose';

import { fine, GATEWAY_URL, signedIn, somebody, superuser } from './helper.js';

async function discovered(issuer) {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  assert.equal(answer.status, 200);
  const configuration = await answer.json();
  assert.equal(configuration.issuer, issuer);
  return configuration;
}

// cooldownDuration: a key that is not known is asked for at once.
const keysOf = ({ jwks_uri }) => createRemoteJWKSet(new URL(jwks_uri), { cooldownDuration: 0 });

test('a token verifies by its issuer alone, also after a rotation of the keys', async () => {
  const configuration = await discovered(GATEWAY_URL);
  const keys = keysOf(configuration);
  const expected = {
    issuer: GATEWAY_URL,
    audience: 'authenticated',
    algorithms: configuration.id_token_signing_alg_values_supported,
  };
  const { supabase, storage } = await signedIn(await somebody());
  const before = storage.session;
  const { payload, protectedHeader } = await jwtVerify(before.access_token, keys, expected);
  assert.equal(payload.sub, before.user.id);
  assert.equal(payload.org_id, 'org_acme');
  assert.equal(payload.exp, before.expires_at);

  const [{ kid }] = await superuser('select auth.rotate_signing_key() as kid');
  assert.notEqual(kid, protectedHeader.kid);
  const { session } = fine(await supabase.auth.refreshSession());
  assert.equal(decodeProtectedHeader(session.access_token).kid, kid);
  const after = await jwtVerify(session.access_token, keys, expected);
  assert.equal(after.payload.session_id, payload.session_id);
  // The one before is good until it expires.
  await jwtVerify(before.access_token, keys, expected);
  // The client itself finds the new key, too.
  assert.equal(fine(await supabase.auth.getClaims()).header.kid, kid);
});

test('what the issuer did not sign does not verify', async () => {
  const keys = keysOf(await discovered(GATEWAY_URL));
  const { storage } = await signedIn(await somebody());
  const { access_token } = storage.session;
  const expected = { issuer: GATEWAY_URL, audience: 'authenticated' };
  await jwtVerify(access_token, keys, expected);
  for (const wrong of [{ audience: 'anon' }, { issuer: 'https://api.example.com/auth/v1' }]) {
    await assert.rejects(jwtVerify(access_token, keys, { ...expected, ...wrong }), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
  }
  const { privateKey } = await generateKeyPair('ES256');
  const { kid } = decodeProtectedHeader(access_token);
  const forged = await new SignJWT({ role: 'authenticated' })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(GATEWAY_URL)
    .setAudience('authenticated')
    .setExpirationTime('1h')
    .sign(privateKey);
  await assert.rejects(jwtVerify(forged, keys, expected), { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' });
});
