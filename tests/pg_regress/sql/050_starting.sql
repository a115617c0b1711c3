-- auth.start_sign_in and auth.workos_authorize_url.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE EXTENSION workos_auth;
SELECT * FROM auth.start_sign_in(organization => 'org_acme');
DO $$ BEGIN
    PERFORM auth.create_root_key(current_setting('workos_auth.root_key_file'));
EXCEPTION WHEN SQLSTATE 'WA116' THEN NULL;
END $$;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1');
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://app.example.com/**');
-- what comes back
SELECT length(state) AS state, length(code_verifier) AS verifier, expires_at > now() + interval '14 min' AS expires_in_time,
    regexp_replace(regexp_replace(url, 'code_challenge=[^&]{43}', 'code_challenge=…'), 'state=[^&]{43}', 'state=…') AS url
FROM auth.start_sign_in(organization => 'org_acme', redirect_to => 'https://app.example.com/after?x=1', login_hint => 'a&b@acme.com', domain_hint => 'acme.com',
    params => '{"prompt": "login", "provider_scopes": ["email", "profile"], "provider_query_params": {"hd": "acme.com"}, "n": 1, "t": true, "nothing": null}');
SELECT organization, connection, provider, redirect_to, mode, length(code_challenge), octet_length(state_hash) FROM auth.flow_states;
-- organization and connection: the connection is sent, both are kept
SELECT url LIKE '%connection=conn_acme%' AND url NOT LIKE '%organization=%' AS sends_the_connection
FROM auth.start_sign_in(organization => 'org_acme', connection => 'conn_acme');
SELECT url LIKE '%provider=GoogleOAuth%' AS sends_the_provider FROM auth.start_sign_in(provider => 'GoogleOAuth');
-- one call a row, however it is written
SELECT count(*) AS before FROM auth.flow_states \gset
SELECT (s).url IS NOT NULL AS url, (s).state IS NOT NULL AS state FROM (SELECT auth.start_sign_in(provider => 'GoogleOAuth') AS s) AS once;
SELECT (auth.start_sign_in(provider => 'GoogleOAuth')).state = (auth.start_sign_in(provider => 'GoogleOAuth')).state AS same;
SELECT count(*) - :before AS started FROM auth.flow_states;
DO $$
DECLARE s record; x text; seen text[] := '{}';
BEGIN
    FOR i IN 1..3 LOOP
        SELECT * INTO s FROM auth.start_sign_in(provider => 'GoogleOAuth');
        x := (auth.start_sign_in(provider => 'GoogleOAuth')).state;
        seen := seen || s.state || x;
    END LOOP;
    RAISE NOTICE 'a loop started % sign-ins', (SELECT count(DISTINCT u) FROM unnest(seen) AS u);
END $$;
-- a challenge of one's own (RFC 7636, appendix B)
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM') LIKE '%E9Melhoa%' AS shows_ours_upstream;
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM') IS NOT NULL AS begins_another;
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => 'short');
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM');
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN');
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => repeat('a', 43), code_challenge_method => NULL);
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => repeat('a', 43), code_challenge_method => 'plain');
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => repeat('a', 43), code_challenge_method => 'S512');
SET workos_auth.allow_plain_pkce = on;
SELECT auth.workos_authorize_url(organization => 'org_acme', code_challenge => repeat('a', 43), code_challenge_method => 'plain') IS NOT NULL AS plain_is_allowed;
SET workos_auth.require_code_challenge = on;
SELECT auth.workos_authorize_url(organization => 'org_acme');
RESET workos_auth.require_code_challenge;
SELECT auth.workos_authorize_url(organization => 'org_acme') IS NOT NULL AS found_by_state;
-- whom to sign in with
SELECT auth.start_sign_in();
SELECT auth.start_sign_in(organization => 'org_acme', provider => 'GoogleOAuth');
SELECT auth.start_sign_in(connection => 'conn_acme', provider => 'GoogleOAuth');
SELECT auth.start_sign_in(organization => '');
SELECT auth.start_sign_in(connection => E'conn\n');
SELECT auth.start_sign_in(organization => repeat('o', 256));
SELECT auth.start_sign_in(organization => 'org_acme', login_hint => E'a\tb');
-- where to go afterwards
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => '');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => '/after');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => '//evil.example.com');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => 'https://app.example.com\@evil.example.com/');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => 'https://app.example.com@evil.example.com/');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => 'javascript:alert(1)');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => 'https://evil.example.com/?https://app.example.com/');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => 'https://app.example.com.evil.com/');
SELECT auth.start_sign_in(organization => 'org_acme', redirect_to => 'http://127.0.0.1:3000/');
SET workos_auth.site_url = 'https://site.example.com';
SELECT (auth.start_sign_in(organization => 'org_acme', redirect_to => 'https://site.example.com/any')).url IS NOT NULL AS site_url_is_allowed;
-- further parameters
SELECT auth.start_sign_in(organization => 'org_acme', params => '{"client_id": "x"}');
SELECT auth.start_sign_in(organization => 'org_acme', params => '{"State": "x"}');
SELECT auth.start_sign_in(organization => 'org_acme', params => '{"code_challenge": "x"}');
SELECT auth.start_sign_in(organization => 'org_acme', params => '{"organization": "x"}');
SELECT auth.start_sign_in(organization => 'org_acme', params => '[]');
SELECT auth.start_sign_in(organization => 'org_acme', params => '"x"');
SELECT auth.start_sign_in(organization => 'org_acme', params => '{"a": {"b": {"c": 1}}}');
SELECT auth.start_sign_in(organization => 'org_acme', params => (repeat('[', 200) || repeat(']', 200))::jsonb);
SELECT url LIKE '%&n=123456789012345678901234567890&%' AS keeps_every_digit
FROM auth.start_sign_in(organization => 'org_acme', params => '{"n": 123456789012345678901234567890}');
-- the provider
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', enabled => false);
SELECT auth.start_sign_in(organization => 'org_acme');
-- a read-only transaction, before anything else
BEGIN READ ONLY;
SELECT auth.start_sign_in();
ROLLBACK;
-- starting removes what expired, two at a time
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback');
UPDATE auth.flow_states SET expires_at = now() - interval '1 s';
SELECT count(*) AS before FROM auth.flow_states \gset
SELECT (auth.start_sign_in(organization => 'org_acme')).url IS NOT NULL AS started;
SELECT count(*) - :before AS fewer_by_one FROM auth.flow_states;
