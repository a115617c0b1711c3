-- auth.exchange_code before WorkOS is asked: nothing here makes a request, and nothing is burnt.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE EXTENSION workos_auth;
DO $$ BEGIN
    PERFORM auth.create_root_key(current_setting('workos_auth.root_key_file'));
EXCEPTION WHEN SQLSTATE 'WA116' THEN NULL;
END $$;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'http://127.0.0.1:1');
SELECT * FROM auth.start_sign_in(organization => 'org_acme') \gset a_
SELECT * FROM auth.start_sign_in(organization => 'org_globex') \gset b_
SELECT auth.workos_authorize_url(organization => 'org_acme') AS url \gset n_
SELECT substring(:'n_url' FROM 'state=([^&]*)') AS state \gset n_
-- NULL and empty
SELECT auth.exchange_code(NULL);
SELECT auth.exchange_code('');
SELECT auth.exchange_code('code with space');
SELECT auth.exchange_code('code');
SELECT auth.exchange_code('code', '');
SELECT auth.exchange_code('code', 'short');
SELECT auth.exchange_code('code', repeat('ü', 43));
-- a verifier and a state of nobody's
SELECT auth.exchange_code('code', repeat('a', 43));
SELECT auth.exchange_code('code', NULL, 'nope');
SELECT auth.exchange_code('code', repeat('a', 43), 'nope');
-- of another sign-in
SELECT auth.exchange_code('code', :'a_code_verifier', :'b_state');
SELECT auth.exchange_code('code', :'a_code_verifier', 'nope');
SELECT auth.exchange_code('code', repeat('a', 43), :'a_state');
-- a challenge needs its verifier; a sign-in without one takes none
SELECT auth.exchange_code('code', NULL, :'a_state');
SELECT auth.exchange_code('code', repeat('a', 43), :'n_state');
-- nobody listens at port 1: WorkOS is not reached, and the code is still good
\set VERBOSITY terse
SELECT auth.exchange_code('code', :'a_code_verifier', :'a_state');
SELECT auth.exchange_code('code', NULL, :'n_state');
\set VERBOSITY verbose
-- expired
UPDATE auth.flow_states SET expires_at = now() - interval '1 s' WHERE organization = 'org_globex';
SELECT auth.exchange_code('code', :'b_code_verifier', :'b_state');
-- the provider changed, or was switched off, since
SELECT auth.configure_workos('client_2', 'https://app.example.com/callback', 'sk_2', api_url => 'http://127.0.0.1:1');
SELECT auth.exchange_code('code', :'a_code_verifier', :'a_state');
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'http://127.0.0.1:1', enabled => false);
SELECT auth.exchange_code('code', :'a_code_verifier', :'a_state');
-- a sealed value that was changed by hand
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'http://127.0.0.1:1');
UPDATE auth.providers SET client_secret = set_byte(client_secret, 20, 255 - get_byte(client_secret, 20));
\set VERBOSITY terse
SELECT auth.exchange_code('code', :'a_code_verifier', :'a_state');
\set VERBOSITY verbose
-- read-only before anything else
BEGIN READ ONLY;
SELECT auth.exchange_code(NULL);
ROLLBACK;
SELECT count(*) AS flows_still_there FROM auth.flow_states;
SELECT count(*) AS users FROM auth.users;
