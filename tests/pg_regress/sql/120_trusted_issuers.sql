-- Tokens of other issuers: whom the database trusts, and with which keys.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE EXTENSION workos_auth;
\set keys '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "x5c": ["MIIB"]}]}'
-- without a provider there is no AuthKit to trust
SELECT auth.trust_workos();
-- what is required
SELECT auth.trust_issuer(NULL, 'oidc');
SELECT auth.trust_issuer('https://a.example.com', 'saml');
SELECT auth.trust_issuer('example', 'oidc', audience => 'api', jwks => :'keys');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', jwks => :'keys');
SELECT auth.trust_issuer('https://a.example.com', 'authkit', jwks => :'keys');
SELECT auth.trust_issuer('https://a.example.com', 'workos_auth', jwks => :'keys');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks_uri => 'http://a.example.com/jwks');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => :'keys', database_role => 'postgres');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => :'keys', claims => '{"role_of_database": "x"}');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => :'keys', claims => '{"roles": 1}');
-- key sets that are none
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => '{}');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => '{"keys": []}');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => '{"keys": [{"kty": "oct", "kid": "1", "k": "c2VjcmV0"}]}');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "AA", "y": "AA", "d": "c2VjcmV0"}]}');
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => '{"keys": [{"kty": "RSA", "kid": "1", "n": "gAAA", "e": "AQAB"}]}');
SELECT count(*) FROM auth.trusted_issuers;
-- one that is
SELECT auth.trust_issuer('https://a.example.com', 'oidc', audience => 'api', jwks => :'keys', claims => '{"organization": "tid"}');
SELECT issuer, kind, jwks_uri, audience, client_id, database_role, claims, refreshed_at IS NOT NULL AS has_keys FROM auth.trusted_issuers;
SELECT issuer, kid, algorithm, status, public_key FROM auth.issuer_keys;
SELECT auth.refresh_issuer_keys('https://a.example.com');
SELECT auth.refresh_issuer_keys('https://b.example.com');
SELECT auth.refresh_issuer_keys();
SELECT auth.set_issuer_keys('https://b.example.com', :'keys');
SELECT auth.set_issuer_keys('https://a.example.com', jsonb_set(:'keys', '{keys,0,kid}', '"2"'));
SELECT kid, status FROM auth.issuer_keys ORDER BY kid;
-- ending a session that nobody has shown here
SELECT auth.revoke_session('https://a.example.com', 'session_1');
SELECT auth.revoke_session('https://a.example.com', 'session_1');
SELECT auth.revoke_session('https://a.example.com', '');
SELECT auth.revoke_session('https://b.example.com', 'session_1');
SELECT issuer, sid, subject, organization_id FROM auth.ended_sessions;
-- readers without a session
SELECT auth.issuer(), auth.subject(), auth.has_feature('beta'), auth.recently_authenticated('5 minutes');
SELECT auth.has_feature(NULL);
SELECT auth.recently_authenticated(NULL);
SELECT auth.accept_token(NULL);
SELECT auth.accept_token('x');
SELECT auth.distrust_issuer(NULL);
SELECT auth.distrust_issuer('https://a.example.com');
SELECT auth.distrust_issuer('https://a.example.com');
SELECT (SELECT count(*) FROM auth.trusted_issuers) AS issuers, (SELECT count(*) FROM auth.issuer_keys) AS keys, (SELECT count(*) FROM auth.ended_sessions) AS ended;
SELECT action, payload FROM auth.audit_log_entries ORDER BY created_at;
