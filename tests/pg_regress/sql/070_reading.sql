-- Readers without a session, and tokens that are none.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE EXTENSION workos_auth;
SELECT auth.uid(), auth.role(), auth.email(), auth.session_id(), auth.organization_id(), auth.connection_id(),
    auth.session_claims(), auth.jwt(), auth.has_role('a'), auth.has_role('a', 'b'), auth.in_group('a'), auth.in_group('a', 'b'),
    auth.has_permission('a'), auth.has_permission('a', 'b');
SELECT auth.has_role(NULL);
SELECT auth.in_group(NULL, 'org_acme');
SELECT auth.has_permission(NULL);
SELECT auth.jwks();
-- a database that is not set up verifies nothing
SELECT auth.verify_token('a.b.c');
DO $$ BEGIN
    PERFORM auth.create_root_key(current_setting('workos_auth.root_key_file'));
EXCEPTION WHEN SQLSTATE 'WA116' THEN NULL;
END $$;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1');
SELECT jsonb_array_length(auth.jwks() -> 'keys') AS keys, auth.jwks() #> '{keys,0}' ? 'd' AS private;
SELECT auth.verify_token(NULL);
SELECT auth.verify_token('');
SELECT auth.verify_token('a.b');
SELECT auth.verify_token('a.b.c.d');
SELECT auth.verify_token('a.b.c');
-- {"alg":"none"}, {"alg":"HS256","kid":"k"}, {"alg":"ES256"}, {"alg":"ES256","kid":"k"}, the same with crit and jwk
SELECT auth.verify_token('eyJhbGciOiJub25lIn0.e30.');
SELECT auth.verify_token('eyJhbGciOiJub25lIiwia2lkIjoiayJ9.e30.');
SELECT auth.verify_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.e30.AAAA');
SELECT auth.verify_token('eyJhbGciOiJFUzI1NiJ9.e30.AAAA');
SELECT auth.verify_token('eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.e30.AAAA');
SELECT auth.verify_token('eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJjcml0IjpbXX0.e30.AAAA');
SELECT auth.verify_token('eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJqd2siOnt9fQ.e30.AAAA');
SELECT auth.verify_token('eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ==.e30.AAAA');
SELECT auth.verify_token(' eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.e30.AAAA');
SELECT auth.verify_token(repeat('a', 70000));
-- a bad token is an error in every reader, never an anonymous visitor
SET workos_auth.session_token = 'a.b.c';
SELECT auth.uid();
SELECT auth.session_claims();
SELECT auth.has_role('admin', 'org_acme');
SELECT auth.get_user();
SELECT auth.clear_session();
SELECT auth.uid();
-- setting a session
SELECT auth.set_session(NULL);
SELECT auth.set_session('a.b.c', NULL);
SELECT auth.set_session('a.b.c');
SET workos_auth.rls_guard = 'off';
SELECT auth.set_session('a.b.c');
-- what changes an account or a session takes the token, whoever is signed in
SELECT auth.sign_out(NULL);
SELECT auth.sign_out('a.b.c', NULL);
SELECT auth.my_sessions(NULL);
SELECT auth.my_sessions('a.b.c');
SELECT auth.update_user(NULL, NULL);
SELECT auth.update_user('a.b.c', NULL);
BEGIN READ ONLY;
SELECT auth.sign_out(NULL);
ROLLBACK;
-- PostgREST's headers
BEGIN;
SELECT auth.use_request_token();
SELECT set_config('request.headers', '', true), auth.use_request_token();
SELECT set_config('request.headers', '{"authorization": "Basic YTpi"}', true), auth.use_request_token();
SELECT auth.uid();
\set ON_ERROR_ROLLBACK on
SELECT set_config('request.headers', 'no JSON', true) \gset
SELECT auth.use_request_token();
SELECT set_config('request.headers', '{"authorization": ["Bearer a.b.c"]}', true) \gset
SELECT auth.use_request_token();
SELECT set_config('request.headers', '{"authorization": "Bearer a.b.c"}', true) \gset
SELECT auth.use_request_token();
SELECT set_config('request.headers', '{"authorization": "bearer"}', true) \gset
SELECT auth.use_request_token();
ROLLBACK;
