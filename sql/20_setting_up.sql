-- Setting up: administrators. The code of each function stands in src/api/setting_up.rs.

CREATE FUNCTION auth.create_root_key(path text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'create_root_key_wrapper';
COMMENT ON FUNCTION auth.create_root_key(text) IS
    'writes a fresh root key (32 random bytes, mode 0600) to a new file on the server and says which setting to put it in; superusers and pg_write_server_files';

-- Not SECURITY DEFINER: it looks at the rights of its caller and takes the owner's only to write.
CREATE FUNCTION auth.configure_workos(
    client_id text,
    redirect_uri text,
    client_secret text DEFAULT NULL,
    client_secret_file text DEFAULT NULL,
    api_url text DEFAULT 'https://api.workos.com',
    enabled boolean DEFAULT true
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'configure_workos_wrapper';
COMMENT ON FUNCTION auth.configure_workos(text, text, text, text, text, boolean) IS
    'creates or updates the WorkOS provider; seals the secret. Without a secret the old one stays, unless client_id or api_url changes. client_secret_file needs pg_read_server_files, another api_url needs superuser';

-- A name of its own: beside a second auth.configure_workos, GRANT … ON FUNCTION auth.configure_workos would be ambiguous.
CREATE FUNCTION auth.configure_authkit(
    client_id text,
    redirect_uri text,
    client_secret text DEFAULT NULL,
    client_secret_file text DEFAULT NULL,
    api_url text DEFAULT 'https://api.workos.com',
    enabled boolean DEFAULT true,
    product text DEFAULT 'authkit'
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'configure_authkit_wrapper';
COMMENT ON FUNCTION auth.configure_authkit(text, text, text, text, text, boolean, text) IS
    'as auth.configure_workos, and says through which products of WorkOS people may sign in: authkit, which is single sign-on and AuthKit, or sso. auth.configure_workos leaves that as it is';

CREATE FUNCTION auth.rotate_signing_key(algorithm text DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'rotate_signing_key_wrapper';
COMMENT ON FUNCTION auth.rotate_signing_key(text) IS
    'signs access tokens with another key from now on: the one that auth.add_signing_key published, or a fresh one; returns its kid. The algorithm is ES256 or RS256; NULL: that of the pending key, else of the key that signs today. Tokens of the old key stay good until auth.retire_signing_key';

CREATE FUNCTION auth.add_signing_key(algorithm text DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'add_signing_key_wrapper';
COMMENT ON FUNCTION auth.add_signing_key(text) IS
    'publishes a key in auth.jwks() that signs nothing until auth.rotate_signing_key; returns its kid. While one is pending, it returns that one''s kid and adds none. The algorithm is ES256 or RS256; NULL: that of the key that signs today';

CREATE FUNCTION auth.retire_signing_key(kid text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'retire_signing_key_wrapper';
COMMENT ON FUNCTION auth.retire_signing_key(text) IS
    'refuses every token of a key from the next statement on and erases its private half; not the key that signs. To be called when the last token of a rotated key has expired, or at once when the key is known to others';

-- Not SECURITY DEFINER, as auth.configure_workos.
CREATE FUNCTION auth.become_new_installation() RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'become_new_installation_wrapper';
COMMENT ON FUNCTION auth.become_new_installation() IS
    'makes a copied database an installation of its own: a new id, which it returns, new keys, no sessions; people, identities, memberships and the provider stay. Superusers only';

CREATE FUNCTION auth.take_over_installation() RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'take_over_installation_wrapper';
COMMENT ON FUNCTION auth.take_over_installation() IS
    'the installation goes on in this database, and the one that it lived in is the copy from now on; returns its id. Superusers only';

-- Not SECURITY DEFINER, as auth.configure_workos.
CREATE FUNCTION auth.reseal(new_root_key_file text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'reseal_wrapper';
COMMENT ON FUNCTION auth.reseal(text) IS
    'moves everything sealed in this database to the root key of a file and says how many values that were; 0 where all stand under it already. Nobody is signed out. Superusers only';

CREATE FUNCTION auth.abandon_sealed_data() RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'abandon_sealed_data_wrapper';
COMMENT ON FUNCTION auth.abandon_sealed_data() IS
    'for a lost root key: removes whatever only that key opens, and says what it removed; that is the provider with its secret, the signing keys and every session; people, identities and memberships stay. Then run auth.configure_workos. Superusers only';

CREATE FUNCTION auth.require_ready() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'require_ready_wrapper';
COMMENT ON FUNCTION auth.require_ready() IS
    'fails where no sign-in of a new connection can succeed. The provider is not configured; this database is a copy; the root key is missing or another one; the client secret or the signing key is missing or does not open. It does not test whether sign-ins are switched off, nor the way to WorkOS, nor the settings of accounts. For readiness probes';

CREATE FUNCTION auth.grant_sign_in(role regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'grant_sign_in_wrapper';
COMMENT ON FUNCTION auth.grant_sign_in(regrole) IS 'lets a role start sign-ins and exchange codes: the backend''s role';

CREATE FUNCTION auth.revoke_sign_in(role regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_sign_in_wrapper';
COMMENT ON FUNCTION auth.revoke_sign_in(regrole) IS 'takes back what auth.grant_sign_in gave';

CREATE FUNCTION auth.grant_broker(role regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'grant_broker_wrapper';
COMMENT ON FUNCTION auth.grant_broker(regrole) IS
    'lets a role ask WorkOS in the database''s place: it vouches for who somebody is, and so can sign in as anybody; it sees WorkOS''s API key; superusers only';

CREATE FUNCTION auth.revoke_broker(role regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_broker_wrapper';
COMMENT ON FUNCTION auth.revoke_broker(regrole) IS 'takes back what auth.grant_broker gave; superusers only';

CREATE FUNCTION auth.grant_admin(role regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'grant_admin_wrapper';
COMMENT ON FUNCTION auth.grant_admin(regrole) IS
    'makes a role an administrator: it reads people, sessions and the audit log, configures WorkOS, sets customers up there and keeps the lists; it grants sign-in, bans, revokes, moves, merges, deletes and cleans up; its own tables may reference auth.users; superusers only';

CREATE FUNCTION auth.revoke_admin(role regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_admin_wrapper';
COMMENT ON FUNCTION auth.revoke_admin(regrole) IS 'takes back what auth.grant_admin gave; superusers only';

-- A remedy of auth.check(): one statement, also where the library is not loaded, whose settings ALTER SYSTEM does not know then.
CREATE FUNCTION auth.alter_system(setting text, value text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'alter_system_wrapper';
COMMENT ON FUNCTION auth.alter_system(text, text) IS
    'what ALTER SYSTEM SET does, and a reload of the configuration; a rollback does not undo it; superusers only';

-- Another: where the library is loaded, ALTER ROLE … RESET refuses what can only be set in the configuration file, and in some minor versions
-- of Postgres a name that nobody knows.
CREATE FUNCTION auth.reset_setting(setting text, role regrole DEFAULT NULL, database text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'reset_setting_wrapper';
COMMENT ON FUNCTION auth.reset_setting(text, regrole, text) IS
    'what ALTER ROLE … IN DATABASE … RESET does with a setting of the extension, also where its name is unknown or its value bad; without a role for all, without a database for all. Says how many were kept: 1 or 0; superusers only';

CREATE FUNCTION auth.check_redirect_url() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'check_redirect_url_wrapper';
COMMENT ON FUNCTION auth.check_redirect_url() IS 'trigger of auth.redirect_urls';

CREATE FUNCTION auth.check_organization_domain() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'check_organization_domain_wrapper';
COMMENT ON FUNCTION auth.check_organization_domain() IS 'trigger of auth.organization_domains';

CREATE FUNCTION auth.check_hook() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'check_hook_wrapper';
COMMENT ON FUNCTION auth.check_hook() IS 'trigger of auth.hooks';

CREATE FUNCTION auth.audit_configuration() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'audit_configuration_wrapper';
COMMENT ON FUNCTION auth.audit_configuration() IS 'trigger of the tables that administrators write into';

CREATE FUNCTION auth.fill_in_defaults() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'fill_in_defaults_wrapper';
COMMENT ON FUNCTION auth.fill_in_defaults() IS 'trigger of auth.users and auth.identities: NULL gives the default where Supabase Auth allows NULL';

CREATE FUNCTION auth.settle_installation() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'settle_installation_wrapper';
COMMENT ON FUNCTION auth.settle_installation() IS 'trigger of auth.installation';

CREATE FUNCTION auth.forget_cached_rows() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'forget_cached_rows_wrapper';
COMMENT ON FUNCTION auth.forget_cached_rows() IS 'trigger of the tables that backends cache';

CREATE FUNCTION auth.restore_rows() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'restore_rows_wrapper';
COMMENT ON FUNCTION auth.restore_rows() IS
    'trigger of the tables with foreign keys: a restore may copy rows before those that they reference';

CREATE FUNCTION auth.member_changed() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'member_changed_wrapper';
COMMENT ON FUNCTION auth.member_changed() IS
    'trigger of auth.organization_memberships: tokens that say what a member no longer is are refused from the next statement on';

CREATE FUNCTION auth.identity_left() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'identity_left_wrapper';
COMMENT ON FUNCTION auth.identity_left() IS
    'trigger of auth.identities: an identity of a trusted issuer that goes takes its sessions with it';

CREATE FUNCTION auth.forget_authkit_token() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'forget_authkit_token_wrapper';
COMMENT ON FUNCTION auth.forget_authkit_token() IS
    'trigger of auth.sessions: what AuthKit''s session is refreshed with goes with the session';

CREATE FUNCTION auth.load_library() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'load_library_wrapper';
COMMENT ON FUNCTION auth.load_library() IS
    'the event trigger workos_auth_foreign_keys: has the library loaded before a constraint can be made';

CREATE FUNCTION auth.error_codes(
    OUT sqlstate text, OUT name text, OUT http_status integer, OUT meaning text
) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 80 AS 'MODULE_PATHNAME', 'error_codes_wrapper';
COMMENT ON FUNCTION auth.error_codes() IS 'what auth.error_codes shows';

CREATE VIEW auth.error_codes AS
    SELECT e.sqlstate, e.name, e.http_status, e.meaning FROM auth.error_codes() AS e;
COMMENT ON VIEW auth.error_codes IS 'every failure a program may want to tell apart, with the HTTP status a gateway gives it';
COMMENT ON COLUMN auth.error_codes.sqlstate IS 'five characters; two stand for all others of that class';
COMMENT ON COLUMN auth.error_codes.name IS 'the stable name; Supabase Auth''s where it has one';
COMMENT ON COLUMN auth.error_codes.http_status IS 'what a gateway answers with';
COMMENT ON COLUMN auth.error_codes.meaning IS 'the message of the error';
