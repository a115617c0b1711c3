-- auth.refresh_session with what is no refresh token.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE EXTENSION workos_auth;
-- before WorkOS is configured
SELECT auth.refresh_session('AQECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJR');
DO $$ BEGIN
    PERFORM auth.create_root_key(current_setting('workos_auth.root_key_file'));
EXCEPTION WHEN SQLSTATE 'WA116' THEN NULL;
END $$;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'http://127.0.0.1:1');
-- NULL, empty, too short, too long, padded, of another version
SELECT auth.refresh_session(NULL);
SELECT auth.refresh_session('');
SELECT auth.refresh_session('AQECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJ');
SELECT auth.refresh_session('AQECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJRA');
SELECT auth.refresh_session('AQECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJ=');
SELECT auth.refresh_session('AgECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJR');
SELECT auth.refresh_session(repeat('ü', 30));
SELECT auth.refresh_session(repeat('A', 1000000));
SELECT auth.refresh_session('x', 'not an address');
-- well-formed, of no session
SELECT auth.refresh_session('AQECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJR');
-- of a session, with a tag that somebody made up: under our key, under another one, without a salt
INSERT INTO auth.users (id) VALUES ('00000000-0000-4000-8000-000000000001');
INSERT INTO auth.sessions (id, user_id, refresh_token_key_id, refresh_token_salt)
SELECT '00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', id, '\x00112233445566778899aabbccddeeff'
FROM auth.data_keys WHERE purpose = 'refresh_token';
CREATE FUNCTION made_up(key_id bigint) RETURNS text LANGUAGE sql AS $$
    SELECT translate(encode(('\x01' || lpad(to_hex(key_id), 8, '0') || '00000000000040008000000000000002' || repeat('00', 24))::bytea,
        'base64'), '+/', '-_')
$$;
SELECT length(made_up(1));
SELECT auth.refresh_session(made_up(id)) FROM auth.data_keys WHERE purpose = 'refresh_token';
SELECT auth.refresh_session(made_up(id)) FROM auth.data_keys WHERE purpose = 'signing_key';
SELECT auth.refresh_session(made_up(0));
UPDATE auth.sessions SET refresh_token_salt = NULL;
SELECT auth.refresh_session(made_up(id)) FROM auth.data_keys WHERE purpose = 'refresh_token';
-- a read-only transaction, before anything else
BEGIN READ ONLY;
SELECT auth.refresh_session(NULL);
ROLLBACK;
-- nobody but a backend
CREATE ROLE regress_nobody;
SET ROLE regress_nobody;
SELECT auth.refresh_session('x');
RESET ROLE;
DROP ROLE regress_nobody;
SELECT refresh_token_counter, refreshed_at, recoveries FROM auth.sessions;
SELECT count(*) FROM auth.audit_log_entries WHERE action LIKE 'token%';
