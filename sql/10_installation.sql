-- What the database is configured with: who it is, its keys, its provider, where browsers may be sent.

COMMENT ON SCHEMA auth IS 'workos_auth: sign-in with WorkOS, sessions, and the readers that policies call; nothing else belongs here';

CREATE TABLE auth.installation (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id uuid NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    system_identifier bigint,
    database_oid bigint,
    lock_key bytea
);
COMMENT ON TABLE auth.installation IS 'one row, made by the first auth.configure_workos: which installation this is';
COMMENT ON COLUMN auth.installation.singleton IS 'true, so that there is one row at most';
COMMENT ON COLUMN auth.installation.created_at IS 'when auth.configure_workos was first called here, or auth.become_new_installation last';
COMMENT ON COLUMN auth.installation.id IS 'part of every key derivation, and of the default issuer of access tokens';
COMMENT ON COLUMN auth.installation.system_identifier IS 'the cluster that it lives in';
COMMENT ON COLUMN auth.installation.database_oid IS 'the database that it lives in; in another one of this cluster the row is a copy, and nothing is signed there';
COMMENT ON COLUMN auth.installation.lock_key IS 'random; the names of locks, which pg_locks shows to everybody, are keyed with it';

CREATE TABLE auth.data_keys (
    id bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
    purpose text NOT NULL CHECK (purpose IN ('client_secret', 'signing_key', 'flow_verifier', 'refresh_token')),
    wrapped_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    retired_at timestamptz
);
CREATE UNIQUE INDEX data_keys_active_key ON auth.data_keys (purpose) WHERE retired_at IS NULL;
COMMENT ON TABLE auth.data_keys IS 'random keys, one a purpose, that seal secrets; themselves sealed under the root key, which is not in the database';
COMMENT ON COLUMN auth.data_keys.purpose IS 'what it is for: it seals client secrets, signing keys or the verifiers of flows, or makes refresh tokens';
COMMENT ON COLUMN auth.data_keys.wrapped_key IS 'the key, sealed under the root key';
COMMENT ON COLUMN auth.data_keys.created_at IS 'when it was made';
COMMENT ON COLUMN auth.data_keys.retired_at IS 'since when nothing new is sealed with it; NULL for the active key';
COMMENT ON COLUMN auth.data_keys.id IS 'an unsigned 32-bit number; stands in every refresh token';
COMMENT ON INDEX auth.data_keys_active_key IS 'one active key a purpose';

CREATE TABLE auth.signing_keys (
    kid text PRIMARY KEY,
    algorithm text NOT NULL CHECK (algorithm IN ('ES256', 'RS256')),
    public_key jsonb NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'active', 'retiring', 'retired')),
    private_key bytea,
    data_key_id bigint REFERENCES auth.data_keys (id),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    activated_at timestamptz,
    retired_at timestamptz,
    visitors_until timestamptz,
    subscription oid
);
CREATE UNIQUE INDEX signing_keys_active_key ON auth.signing_keys (subscription) NULLS NOT DISTINCT WHERE status = 'active';
CREATE INDEX signing_keys_data_key_id_idx ON auth.signing_keys (data_key_id);
COMMENT ON TABLE auth.signing_keys IS 'the keys access tokens are signed with and verified by';
COMMENT ON COLUMN auth.signing_keys.algorithm IS 'ES256 or RS256';
COMMENT ON COLUMN auth.signing_keys.status IS 'pending: published and signs nothing yet; active: signs; retiring: verifies what it has signed; retired: refused';
COMMENT ON COLUMN auth.signing_keys.data_key_id IS 'the data key that seals the private key';
COMMENT ON COLUMN auth.signing_keys.created_at IS 'when it was made';
COMMENT ON COLUMN auth.signing_keys.activated_at IS 'when it began to sign';
COMMENT ON COLUMN auth.signing_keys.retired_at IS 'when auth.retire_signing_key was called for it';
COMMENT ON COLUMN auth.signing_keys.kid IS 'the RFC 7638 thumbprint of the public key';
COMMENT ON COLUMN auth.signing_keys.public_key IS 'a JWK (RFC 7517), as auth.jwks() publishes it';
COMMENT ON COLUMN auth.signing_keys.private_key IS 'in the form of RFC 5208, sealed; absent in a database that only verifies';
COMMENT ON COLUMN auth.signing_keys.visitors_until IS 'when the last visitor''s key expires that was signed with it (auth.create_visitor_token)';
COMMENT ON COLUMN auth.signing_keys.subscription IS 'which subscription has brought the row into a verifier; NULL at the issuer';
COMMENT ON INDEX auth.signing_keys_active_key IS 'one active key at a time; in a verifier, one of each issuer';
COMMENT ON INDEX auth.signing_keys_data_key_id_idx IS 'for the foreign key';

CREATE TABLE auth.providers (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name = 'workos'),
    enabled boolean NOT NULL,
    client_id text NOT NULL,
    client_secret bytea NOT NULL,
    data_key_id bigint NOT NULL REFERENCES auth.data_keys (id),
    redirect_uri text NOT NULL,
    api_url text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    product text NOT NULL DEFAULT 'sso' CHECK (product IN ('sso', 'authkit'))
);
CREATE INDEX providers_data_key_id_idx ON auth.providers (data_key_id);
COMMENT ON TABLE auth.providers IS 'the WorkOS environment that people sign in through; written by auth.configure_workos';
COMMENT ON COLUMN auth.providers.id IS 'part of what the client secret is sealed to';
COMMENT ON COLUMN auth.providers.name IS 'workos';
COMMENT ON COLUMN auth.providers.enabled IS 'whether people may sign in; auth.configure_workos sets it';
COMMENT ON COLUMN auth.providers.client_id IS 'the client id of the WorkOS environment';
COMMENT ON COLUMN auth.providers.data_key_id IS 'the data key that seals the client secret';
COMMENT ON COLUMN auth.providers.redirect_uri IS 'where WorkOS sends the browser back to; the WorkOS dashboard lists the same';
COMMENT ON COLUMN auth.providers.api_url IS 'where WorkOS answers';
COMMENT ON COLUMN auth.providers.product IS 'through which products of WorkOS people may sign in: sso, or authkit, which is single sign-on and AuthKit; auth.configure_authkit sets it';
COMMENT ON COLUMN auth.providers.created_at IS 'when auth.configure_workos was first called';
COMMENT ON COLUMN auth.providers.updated_at IS 'when auth.configure_workos last changed it';
COMMENT ON COLUMN auth.providers.client_secret IS 'the WorkOS API key, sealed to this row, client_id and api_url';
COMMENT ON INDEX auth.providers_data_key_id_idx IS 'for the foreign key';

CREATE TABLE auth.redirect_urls (
    pattern text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_by name NOT NULL DEFAULT SESSION_USER,
    note text
);
COMMENT ON TABLE auth.redirect_urls IS 'where a browser may be sent after a sign-in, beside workos_auth.site_url; plain INSERT and DELETE, and UPDATE of the note';
COMMENT ON COLUMN auth.redirect_urls.created_at IS 'when the pattern was added';
COMMENT ON COLUMN auth.redirect_urls.created_by IS 'the database user who added it';
COMMENT ON COLUMN auth.redirect_urls.note IS 'what the address is for, in the words of whoever wrote it down; nothing of ours reads it';
COMMENT ON COLUMN auth.redirect_urls.pattern IS 'an absolute URL; * matches within a label or path segment, ** across them; a pattern that could match a foreign host or scheme is refused';

-- The function is text: pg_upgrade refuses tables with a column of regprocedure.
CREATE TABLE auth.hooks (
    event text PRIMARY KEY CHECK (event IN ('user_created', 'signed_in', 'token')),
    function text NOT NULL,
    function_owner text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_by name NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE auth.hooks IS 'functions that run on the way of a sign-in, one an event; plain INSERT, UPDATE and DELETE';
COMMENT ON COLUMN auth.hooks.created_at IS 'when the row was written';
COMMENT ON COLUMN auth.hooks.created_by IS 'the database user who wrote the row';
COMMENT ON COLUMN auth.hooks.event IS 'user_created: an account was made; signed_in: a session was opened; token: an access token is about to be signed';
COMMENT ON COLUMN auth.hooks.function_owner IS 'whose the function was when the row was written, which the extension fills in: of another owner it is not called';
COMMENT ON COLUMN auth.hooks.function IS 'schema.name(jsonb): a function that returns jsonb and runs with the rights of its owner, who is not a superuser';
