-- auth.create_root_key, auth.configure_workos, auth.redirect_urls.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
\getenv url SIMULATOR_URL
CREATE EXTENSION workos_auth;
-- NULL where a value is needed, and values that cannot be used
SELECT auth.configure_workos(NULL, 'https://app.example.com/callback');
SELECT auth.configure_workos('client_1', NULL);
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', api_url => NULL);
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', enabled => NULL);
SELECT auth.configure_workos('', 'https://app.example.com/callback');
SELECT auth.configure_workos('client 1', 'https://app.example.com/callback');
SELECT auth.configure_workos('client_1', '/callback');
SELECT auth.configure_workos('client_1', 'http://app.example.com/callback');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'http://api.workos.com');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'https://user@api.workos.com');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', '');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk 1');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', '/etc/hostname');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', client_secret_file => '/nonexistent/key');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', client_secret_file => '/dev/null');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', client_secret_file => '/etc/passwd');
SELECT auth.create_root_key(NULL);
SELECT auth.create_root_key('root.key');
SELECT auth.create_root_key('/nonexistent/root.key');
SELECT count(*) AS rows FROM auth.installation;
-- the test's cluster names a root key file; it may be there from an earlier test
\getenv root_key ROOT_KEY_FILE
DO $$ BEGIN
    PERFORM auth.create_root_key(current_setting('workos_auth.root_key_file'));
EXCEPTION WHEN SQLSTATE 'WA116' THEN NULL;
END $$;
\set VERBOSITY terse
SELECT auth.create_root_key(:'root_key');
\set VERBOSITY verbose
-- the first time needs a secret
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback');
SELECT count(*) AS rows FROM auth.installation;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_test_secret');
SELECT name, enabled, client_id, redirect_uri, api_url, octet_length(client_secret) > 14 AS sealed,
    position('sk_test_secret'::bytea IN client_secret) AS readable_at FROM auth.providers;
SELECT purpose, octet_length(wrapped_key) FROM auth.data_keys ORDER BY purpose;
SELECT algorithm, status, private_key IS NOT NULL AS sealed_private_key, public_key ? 'd' AS shows_private_key FROM auth.signing_keys;
-- without a secret the old one stays
SELECT client_secret AS old FROM auth.providers \gset
SELECT auth.configure_workos('client_1', 'https://app.example.com/other', enabled => false);
SELECT enabled, redirect_uri, client_secret = :'old'::bytea AS same_secret FROM auth.providers;
-- unless client_id or api_url changes
SELECT auth.configure_workos('client_2', 'https://app.example.com/other');
SELECT auth.configure_workos('client_1', 'https://app.example.com/other', api_url => 'http://127.0.0.1:1');
SELECT count(*) AS providers FROM auth.providers;
SELECT action, actor, payload FROM auth.audit_log_entries ORDER BY created_at;
-- signing keys
SELECT auth.rotate_signing_key('HS256');
SELECT auth.add_signing_key('es256');
SELECT kid AS first FROM auth.signing_keys \gset
SELECT auth.retire_signing_key(:'first');
SELECT auth.rotate_signing_key() = :'first' AS same_key;
SELECT kid = :'first' AS first, status, private_key IS NOT NULL AS sealed_private_key, retired_at IS NOT NULL AS retired FROM auth.signing_keys ORDER BY 1;
SELECT auth.retire_signing_key(NULL);
SELECT auth.retire_signing_key('no such key');
SELECT auth.retire_signing_key(:'first');
SELECT auth.retire_signing_key(:'first');
SELECT kid = :'first' AS first, status, private_key IS NOT NULL AS sealed_private_key, retired_at IS NOT NULL AS retired FROM auth.signing_keys ORDER BY 1;
SELECT action, payload ->> 'kid' = :'first' AS first FROM auth.audit_log_entries WHERE action LIKE 'signing_key%' ORDER BY created_at;
BEGIN READ ONLY;
SELECT auth.rotate_signing_key();
ROLLBACK;
-- one that is published before it signs
SELECT auth.add_signing_key() AS pending \gset
SELECT auth.add_signing_key() = :'pending' AS same_key;
SELECT status, activated_at IS NOT NULL AS has_signed, auth.jwks() -> 'keys' @> jsonb_build_array(jsonb_build_object('kid', kid)) AS published
    FROM auth.signing_keys WHERE status <> 'retired' ORDER BY 1;
SELECT auth.rotate_signing_key() = :'pending' AS same_key;
SELECT kid = :'pending' AS added, status, activated_at IS NOT NULL AS has_signed FROM auth.signing_keys WHERE status <> 'retired' ORDER BY 1;
-- RS256: the next keys are of this algorithm too, unless another is asked for
SELECT auth.add_signing_key('RS256') AS pending \gset
SELECT auth.add_signing_key() = :'pending' AS same_key, auth.add_signing_key('RS256') = :'pending' AS and_again;
\set VERBOSITY terse
SELECT auth.add_signing_key('ES256');
SELECT auth.rotate_signing_key('ES256');
\set VERBOSITY verbose
SELECT auth.rotate_signing_key() = :'pending' AS same_key;
SELECT auth.rotate_signing_key() = :'pending' AS same_key;
SELECT status, algorithm, public_key ->> 'alg' AS alg, length(public_key ->> 'n') AS n FROM auth.signing_keys WHERE algorithm = 'RS256' ORDER BY 1;
SELECT auth.rotate_signing_key('ES256') = :'pending' AS same_key;
SELECT algorithm FROM auth.signing_keys WHERE status = 'active';
-- the root key: what can be moved, and what can be given up
SELECT auth.require_ready();
SELECT auth.reseal(NULL);
SELECT auth.reseal('/nonexistent/root.key');
SELECT auth.reseal('/dev/null');
SELECT auth.reseal('/etc/passwd');
SELECT auth.reseal(:'root_key');
BEGIN;
SELECT auth.abandon_sealed_data();
SELECT auth.abandon_sealed_data();
SELECT auth.require_ready();
ROLLBACK;
BEGIN;
SELECT auth.abandon_sealed_data() -> 'signing_keys';
SELECT count(*) AS kept FROM auth.installation;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_test_secret');
SELECT auth.require_ready();
ROLLBACK;
-- where browsers may be sent
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://app.example.com/**'), ('https://*-team.vercel.app/**'), ('com.example.app:/callback');
INSERT INTO auth.redirect_urls (pattern) VALUES (NULL);
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://*');
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://**.com/');
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://example.com*');
INSERT INTO auth.redirect_urls (pattern) VALUES ('*://example.com/');
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://*@example.com/');
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://example.com:*/');
INSERT INTO auth.redirect_urls (pattern) VALUES ('localhost:3000/**');
INSERT INTO auth.redirect_urls (pattern) VALUES ('javascript:**');
UPDATE auth.redirect_urls SET pattern = 'https://*.com/' WHERE pattern = 'https://app.example.com/**';
SELECT pattern FROM auth.redirect_urls ORDER BY pattern COLLATE "C";
DELETE FROM auth.redirect_urls WHERE pattern = 'com.example.app:/callback';
