-- Every setting, as a DBA reads it in pg_settings.
CREATE EXTENSION workos_auth;
SELECT auth.uid() IS NULL AS library_is_loaded;
SELECT name, boot_val, unit, context, min_val, max_val, enumvals FROM pg_settings WHERE name LIKE 'workos\_auth.%' ORDER BY name COLLATE "C";
SELECT name FROM pg_settings WHERE name LIKE 'workos\_auth.%' AND (short_desc IS NULL OR short_desc NOT LIKE '%.');
-- times take Postgres's units
SET workos_auth.access_token_ttl = '90min';
SHOW workos_auth.access_token_ttl;
-- Postgres's own words for it are not the same in every version
\set VERBOSITY sqlstate
SET workos_auth.request_timeout = '0';
\set VERBOSITY default
SET workos_auth.rls_guard = 'loud';
-- the prefix is reserved
SET workos_auth.session_tokn = 'x';
-- the token is hidden, also from its owner; superusers alone see it
CREATE ROLE regress_reader;
SET ROLE regress_reader;
SET workos_auth.session_token = 'secret';
\set VERBOSITY sqlstate
SHOW workos_auth.session_token;
SELECT current_setting('workos_auth.session_token');
SELECT set_config('workos_auth.session_token', 'other', false);
\set VERBOSITY default
SELECT count(*) FROM pg_settings WHERE name = 'workos_auth.session_token';
-- and nobody but a superuser sets anything else
SET workos_auth.allow_signup = off;
SET workos_auth.check_sessions = off;
SET workos_auth.issuer = 'mallory';
RESET workos_auth.session_token;
RESET ROLE;
-- a key file is the configuration file's to name
SET workos_auth.root_key_file = '/tmp/key';
SET workos_auth.root_key_command = 'cat /tmp/key';
SET workos_auth.root_key_command_timeout = '1min';
SET workos_auth.allow_root_key_in_data_directory = on;
-- too long a token is refused without being shown
SELECT set_config('workos_auth.session_token', repeat('a', 65537), false);
-- planted for others it is ignored, with a warning, and nobody is locked out
ALTER ROLE regress_reader LOGIN;
ALTER ROLE regress_reader SET workos_auth.session_token = 'planted';
\set VERBOSITY terse
\c - regress_reader
SELECT auth.uid();
\c - postgres
DROP ROLE regress_reader;
