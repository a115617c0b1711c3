\echo Use "CREATE EXTENSION workos_auth" to load this file. \quit

-- Until the end of this script: what Postgres prints, and how it reads strings, is the same for everybody.
SET LOCAL quote_all_identifiers = off;
SET LOCAL standard_conforming_strings = on;

-- Refuses to install where it would be unsafe or would collide, before anything is made.
DO $preflight$
DECLARE
    schema_oid pg_catalog.oid;
    owner_name pg_catalog.name;
    owner_is_superuser boolean;
    found text;
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'workos_auth needs a database in UTF-8'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'This one is in ' || pg_catalog.getdatabaseencoding() || ', which cannot hold every name that WorkOS sends. Nothing was changed.',
                  HINT = 'Create a database WITH ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;

    SELECT n.oid, r.rolname, r.rolsuper INTO STRICT schema_oid, owner_name, owner_is_superuser
    FROM pg_catalog.pg_namespace AS n JOIN pg_catalog.pg_roles AS r ON r.oid = n.nspowner
    WHERE n.nspname = 'auth';

    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = schema_oid AND c.relname = 'users' AND a.attname = 'encrypted_password'
    ) THEN
        RAISE EXCEPTION 'this database already has Supabase Auth'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'The schema auth holds Supabase''s own table auth.users. Nothing was changed.',
                  HINT = 'Install workos_auth in a database without Supabase Auth. Both keep their objects in the schema auth, '
                         'so that one replaces the other and they cannot share a database.';
    END IF;

    IF NOT owner_is_superuser THEN
        RAISE EXCEPTION 'the schema auth belongs to %, who is not a superuser', pg_catalog.quote_ident(owner_name)
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'Its owner could replace what sign-ins rely on. Nothing was changed.',
                  HINT = 'Run ALTER SCHEMA auth OWNER TO a superuser, or drop the schema.';
    END IF;

    SELECT pg_catalog.string_agg(CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::pg_catalog.regrole::text END, ', ')
    INTO found
    FROM pg_catalog.pg_namespace AS n, pg_catalog.aclexplode(n.nspacl) AS acl
    WHERE n.oid = schema_oid AND acl.privilege_type = 'CREATE' AND acl.grantee <> n.nspowner
        -- What default privileges gave to a schema that CREATE EXTENSION has just made is taken away at the end.
        AND n.xmin::text <> pg_catalog.pg_current_xact_id()::pg_catalog.xid::text;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'others may create objects in the schema auth'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'CREATE is granted to ' || found || '. Nothing was changed.',
                  HINT = 'Run REVOKE CREATE ON SCHEMA auth FROM ' || found || '.';
    END IF;

    -- Every object of a schema depends on it; the extension itself does too.
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) INTO found
    FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = schema_oid
        AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
    LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the schema auth is not empty'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'It holds ' || found || '. Nothing was changed.',
                  HINT = 'Move or drop what is in it: the extension keeps all its objects in the schema auth, and nothing else may stand there.';
    END IF;
END
$preflight$;

-- Two roles that nobody is a member of. workos_auth_owner owns every table and every SECURITY DEFINER function. workos_auth_nobody has no
-- rights: what others attach to the tables, such as a trigger or a default, runs as it, and so do the triggers of tables that reference them.
DO $roles$
DECLARE
    role text;
    comment text;
BEGIN
    FOR role, comment IN VALUES
        ('workos_auth_owner', 'owns the tables and definer functions of the extension workos_auth; nobody is a member'),
        ('workos_auth_nobody', 'has no rights: triggers of others run as it, on the tables of the extension workos_auth and on those that reference them; nobody is a member')
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE pg_catalog.format(
                    'CREATE ROLE %I NOLOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', role);
                EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', role, comment);
            EXCEPTION
                -- An installation in another database of the cluster made it meanwhile.
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        IF EXISTS (
            SELECT FROM pg_catalog.pg_roles
            WHERE rolname = role
                AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolcanlogin OR rolreplication OR rolbypassrls OR rolinherit)
        ) OR EXISTS (
            SELECT FROM pg_catalog.pg_auth_members AS m JOIN pg_catalog.pg_roles AS r ON r.oid IN (m.roleid, m.member)
            WHERE r.rolname = role
        ) THEN
            RAISE EXCEPTION 'the role % has members, memberships or attributes', role
                USING ERRCODE = 'duplicate_object',
                      DETAIL = 'It must be NOLOGIN NOINHERIT, without any attribute, in no role, and with nobody in it. Nothing was changed.',
                      HINT = 'Drop the role; CREATE EXTENSION makes it.';
        END IF;
    END LOOP;
END
$roles$;
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
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
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
-- People, the organizations they belong to, and their sessions. Names follow Supabase Auth where the thing is the same.

CREATE TABLE auth.users (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    aud text NOT NULL DEFAULT 'authenticated',
    role text NOT NULL DEFAULT 'authenticated',
    email text,
    email_confirmed_at timestamptz,
    invited_at timestamptz,
    phone text UNIQUE,
    phone_confirmed_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb NOT NULL DEFAULT '{}',
    raw_user_meta_data jsonb NOT NULL DEFAULT '{}',
    is_sso_user boolean NOT NULL DEFAULT false,
    is_anonymous boolean NOT NULL DEFAULT false,
    banned_until timestamptz,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
    -- Below this line nothing of ours reads or writes. The columns are here, since SQL that was written for Supabase Auth names them. NULL
    -- takes no place in a row.
    instance_id uuid,
    encrypted_password varchar(255),
    confirmation_token varchar(255),
    confirmation_sent_at timestamptz,
    recovery_token varchar(255),
    recovery_sent_at timestamptz,
    email_change_token_new varchar(255),
    email_change varchar(255),
    email_change_sent_at timestamptz,
    is_super_admin boolean,
    phone_change text,
    phone_change_token varchar(255),
    phone_change_sent_at timestamptz,
    email_change_token_current varchar(255),
    email_change_confirm_status smallint,
    reauthentication_token varchar(255),
    reauthentication_sent_at timestamptz
);
CREATE UNIQUE INDEX users_email_key ON auth.users (pg_catalog.lower(email COLLATE "C"));
COMMENT ON TABLE auth.users IS 'people; application tables may reference id';
COMMENT ON COLUMN auth.users.id IS 'the person; what auth.uid() returns';
COMMENT ON COLUMN auth.users.aud IS 'kept as Supabase Auth has it; the aud of tokens is workos_auth.audience';
COMMENT ON COLUMN auth.users.phone IS 'a phone number that auth.import_supabase brought along; no sign-in writes it';
COMMENT ON COLUMN auth.users.phone_confirmed_at IS 'when Supabase Auth had confirmed the phone number';
COMMENT ON COLUMN auth.users.last_sign_in_at IS 'when the last session was opened';
COMMENT ON COLUMN auth.users.raw_app_meta_data IS 'the app_metadata of tokens; the person cannot change it';
COMMENT ON COLUMN auth.users.is_sso_user IS 'whether a sign-in through an organization made the account';
COMMENT ON COLUMN auth.users.is_anonymous IS 'whether Supabase Auth had made the account for an anonymous visitor; only auth.import_supabase writes it';
COMMENT ON COLUMN auth.users.deleted_at IS 'since when the person may not sign in any more; written by auth.import_supabase or by hand';
COMMENT ON COLUMN auth.users.created_at IS 'when the account was made';
COMMENT ON COLUMN auth.users.updated_at IS 'when the row was last changed by the extension';
COMMENT ON COLUMN auth.users.role IS 'the database role of the person''s sessions; never taken from WorkOS';
COMMENT ON COLUMN auth.users.email IS 'unique; NULL where another account holds the address or WorkOS does not vouch for its domain: auth.identities.email then keeps it';
COMMENT ON COLUMN auth.users.email_confirmed_at IS 'when a sign-in brought the address along, or confirmed the one that auth.create_user wrote';
COMMENT ON COLUMN auth.users.invited_at IS 'when auth.create_user made the account for somebody of an organization; until email_confirmed_at is set, that organization''s profile of this address joins it';
COMMENT ON COLUMN auth.users.raw_user_meta_data IS 'what a person may change about themselves; never decide rights by it';
COMMENT ON COLUMN auth.users.confirmed_at IS 'the earlier of email_confirmed_at and phone_confirmed_at, as in Supabase Auth';
DO $unused$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'instance_id', 'encrypted_password', 'confirmation_token', 'confirmation_sent_at', 'recovery_token', 'recovery_sent_at',
        'email_change_token_new', 'email_change', 'email_change_sent_at', 'is_super_admin', 'phone_change', 'phone_change_token',
        'phone_change_sent_at', 'email_change_token_current', 'email_change_confirm_status', 'reauthentication_token',
        'reauthentication_sent_at'
    ] LOOP
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON COLUMN auth.users.%I IS 'unused; here since SQL that was written for Supabase Auth names it'$comment$, name);
    END LOOP;
END
$unused$;
COMMENT ON COLUMN auth.users.banned_until IS 'no sign-in before this time';
COMMENT ON INDEX auth.users_email_key IS 'one account an address; folds ASCII case only';

CREATE TABLE auth.organizations (
    id text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    issuer text,
    require_sso boolean NOT NULL DEFAULT false,
    feed text,
    contested_by text
);
COMMENT ON TABLE auth.organizations IS 'WorkOS organizations that somebody has signed in from, or that auth.workos_create_organization made';
COMMENT ON COLUMN auth.organizations.created_at IS 'when it became known here';
COMMENT ON COLUMN auth.organizations.issuer IS 'the trusted issuer whose organization it is, and who alone speaks for it; NULL: WorkOS. auth.set_organization_issuer changes it';
COMMENT ON COLUMN auth.organizations.require_sso IS 'whether its sessions begin by sign-ins with WorkOS''s single sign-on alone; auth.require_sso changes it';
COMMENT ON COLUMN auth.organizations.feed IS 'the name of the subscription that has brought the row into a verifier, and stays with it when that one is copied anew; NULL at the issuer, and where it was written in this database';
COMMENT ON COLUMN auth.organizations.contested_by IS 'the name of another subscription that has brought the same organization, whose issuer is not believed about it';
COMMENT ON COLUMN auth.organizations.id IS 'WorkOS''s own id, org_…';

CREATE TABLE auth.organization_domains (
    organization_id text NOT NULL REFERENCES auth.organizations (id) ON DELETE CASCADE,
    domain text NOT NULL CHECK (domain = pg_catalog.lower(domain COLLATE "C") AND domain <> ''),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (organization_id, domain)
);
CREATE INDEX organization_domains_domain_idx ON auth.organization_domains (domain);
COMMENT ON INDEX auth.organization_domains_domain_idx IS 'for the organization of an address';
COMMENT ON COLUMN auth.organization_domains.domain IS 'what stands behind the @ of an address, in lower case (ASCII letters)';
COMMENT ON TABLE auth.organization_domains IS 'e-mail domains an organization vouches for; needed by auth.organization_for_email and by workos_auth.account_linking = email';
COMMENT ON COLUMN auth.organization_domains.organization_id IS 'the organization that vouches for addresses of the domain';
COMMENT ON COLUMN auth.organization_domains.created_at IS 'when the domain was added';

CREATE TABLE auth.organization_memberships (
    organization_id text NOT NULL REFERENCES auth.organizations (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    role text,
    roles text[] NOT NULL DEFAULT '{}',
    groups text[] NOT NULL DEFAULT '{}',
    permissions text[] NOT NULL DEFAULT '{}',
    custom_attributes jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_memberships_user_id_idx ON auth.organization_memberships (user_id);
COMMENT ON TABLE auth.organization_memberships IS 'who belongs to which organization, with what WorkOS says of them there; written at every sign-in';
COMMENT ON COLUMN auth.organization_memberships.organization_id IS 'the organization';
COMMENT ON COLUMN auth.organization_memberships.user_id IS 'the member';
COMMENT ON COLUMN auth.organization_memberships.role IS 'the WorkOS role; the claim org_role';
COMMENT ON COLUMN auth.organization_memberships.roles IS 'all WorkOS roles; the claim org_roles';
COMMENT ON COLUMN auth.organization_memberships.groups IS 'the identity provider''s groups; the claim groups';
COMMENT ON COLUMN auth.organization_memberships.permissions IS 'the WorkOS permissions; the claim permissions';
COMMENT ON COLUMN auth.organization_memberships.custom_attributes IS 'the custom attributes of the WorkOS profile';
COMMENT ON COLUMN auth.organization_memberships.created_at IS 'when the person became a member';
COMMENT ON COLUMN auth.organization_memberships.updated_at IS 'when a sign-in last changed the row';
COMMENT ON INDEX auth.organization_memberships_user_id_idx IS 'for the foreign key';

CREATE TABLE auth.identities (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    provider text NOT NULL,
    provider_id text NOT NULL,
    organization_id text REFERENCES auth.organizations (id),
    connection_id text,
    connection_type text,
    idp_id text,
    email text GENERATED ALWAYS AS (pg_catalog.lower((identity_data OPERATOR(pg_catalog.->>) 'email') COLLATE "C")) STORED,
    identity_data jsonb NOT NULL,
    last_sign_in_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    UNIQUE (provider, provider_id)
);
CREATE INDEX identities_user_id_idx ON auth.identities (user_id);
CREATE INDEX identities_organization_id_idx ON auth.identities (organization_id);
CREATE INDEX identities_email_idx ON auth.identities (pg_catalog.lower(email COLLATE "C"));
COMMENT ON TABLE auth.identities IS 'the profiles at WorkOS that lead into an account';
COMMENT ON COLUMN auth.identities.id IS 'the identity_id of auth.unlink_identity and auth.move_identity';
COMMENT ON COLUMN auth.identities.user_id IS 'the account that it leads into';
COMMENT ON COLUMN auth.identities.provider IS 'workos; what auth.import_supabase brought along keeps its own';
COMMENT ON COLUMN auth.identities.organization_id IS 'the WorkOS organization that vouches for it; NULL for a public identity provider such as Google';
COMMENT ON COLUMN auth.identities.connection_id IS 'the WorkOS connection that the person last came through';
COMMENT ON COLUMN auth.identities.connection_type IS 'WorkOS''s name for the kind of connection, such as OktaSAML';
COMMENT ON COLUMN auth.identities.identity_data IS 'what the identity provider says of the person';
COMMENT ON COLUMN auth.identities.last_sign_in_at IS 'when somebody last signed in with it';
COMMENT ON COLUMN auth.identities.created_at IS 'when it first signed in, or was linked';
COMMENT ON COLUMN auth.identities.updated_at IS 'when a sign-in last changed the row';
COMMENT ON COLUMN auth.identities.provider_id IS 'the id of the WorkOS profile, prof_…';
COMMENT ON COLUMN auth.identities.idp_id IS 'the person''s id at the identity provider: the join key to Directory Sync';
COMMENT ON COLUMN auth.identities.email IS 'the address in identity_data: as the identity provider says it, ASCII-lower-case';
COMMENT ON INDEX auth.identities_user_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.identities_organization_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.identities_email_idx IS 'for the candidates of account linking';

-- A reader looks at id and claims_version alone, so that a database which only verifies can live on a replica of this table.
CREATE TABLE auth.sessions (
    id uuid PRIMARY KEY,
    user_id uuid REFERENCES auth.users (id) ON DELETE CASCADE,
    claims_version bigint NOT NULL DEFAULT 0,
    identity_id uuid REFERENCES auth.identities (id) ON DELETE CASCADE,
    organization_id text REFERENCES auth.organizations (id) ON DELETE CASCADE,
    connection_id text,
    email text,
    aal text NOT NULL DEFAULT 'aal1',
    amr jsonb NOT NULL DEFAULT '[]',
    refresh_token_key_id bigint REFERENCES auth.data_keys (id),
    refresh_token_salt bytea,
    refresh_token_counter bigint NOT NULL DEFAULT 0,
    recoveries smallint NOT NULL DEFAULT 0,
    recovered_counter bigint,
    recovered_at timestamptz,
    actor text,
    ip inet,
    user_agent text,
    not_after timestamptz,
    refreshed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    subscription oid
) WITH (fillfactor = 85);
CREATE INDEX sessions_user_id_idx ON auth.sessions (user_id);
CREATE INDEX sessions_identity_id_idx ON auth.sessions (identity_id);
CREATE INDEX sessions_organization_id_idx ON auth.sessions (organization_id);
CREATE INDEX sessions_not_after_idx ON auth.sessions (not_after);
CREATE INDEX sessions_refresh_token_key_id_idx ON auth.sessions (refresh_token_key_id);
COMMENT ON TABLE auth.sessions IS 'live sessions; an access token is good only while the row of its session_id is here';
COMMENT ON COLUMN auth.sessions.id IS 'the session; what auth.session_id() returns';
COMMENT ON COLUMN auth.sessions.user_id IS 'whose session it is';
COMMENT ON COLUMN auth.sessions.identity_id IS 'the identity that signed in; NULL for a session of auth.create_session';
COMMENT ON COLUMN auth.sessions.organization_id IS 'the WorkOS organization that the session was opened in; what auth.organization_id() returns';
COMMENT ON COLUMN auth.sessions.connection_id IS 'the WorkOS connection that the person came through; what auth.connection_id() returns';
COMMENT ON COLUMN auth.sessions.aal IS 'the claim aal, always aal1';
COMMENT ON COLUMN auth.sessions.amr IS 'the claim amr: by what method the person signed in, and when';
COMMENT ON COLUMN auth.sessions.refresh_token_key_id IS 'the data key that its refresh tokens are made with';
COMMENT ON COLUMN auth.sessions.ip IS 'the address that the backend passed at the sign-in or the last refresh';
COMMENT ON COLUMN auth.sessions.user_agent IS 'the User-Agent that the backend passed at the sign-in or the last refresh';
COMMENT ON COLUMN auth.sessions.created_at IS 'when the person signed in';
COMMENT ON COLUMN auth.sessions.updated_at IS 'when the extension last changed the row';
COMMENT ON COLUMN auth.sessions.subscription IS 'which subscription has brought the row into a verifier; NULL at the issuer';
COMMENT ON COLUMN auth.sessions.claims_version IS 'rises when the person''s rights change; an older token is then stale';
COMMENT ON COLUMN auth.sessions.email IS 'the address of the identity that signed in';
COMMENT ON COLUMN auth.sessions.refresh_token_salt IS 'NULL for a session that cannot be refreshed';
COMMENT ON COLUMN auth.sessions.refresh_token_counter IS 'how many times it was refreshed; of the newest refresh token';
COMMENT ON COLUMN auth.sessions.recoveries IS 'how many times in a row the token before the newest one was presented late, up to recovered_counter; either an answer was lost, or there is a thief';
COMMENT ON COLUMN auth.sessions.recovered_counter IS 'the counter that the last of them was counted for';
COMMENT ON COLUMN auth.sessions.recovered_at IS 'when that was';
COMMENT ON COLUMN auth.sessions.actor IS 'who acts as this person; the claim act.sub';
COMMENT ON COLUMN auth.sessions.not_after IS 'when it ends, used or not';
COMMENT ON COLUMN auth.sessions.refreshed_at IS 'when the refresh token was last replaced';
COMMENT ON INDEX auth.sessions_user_id_idx IS 'for the foreign key and for sign-out everywhere';
COMMENT ON INDEX auth.sessions_identity_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.sessions_organization_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.sessions_not_after_idx IS 'for the clean-up of what has ended; no refresh changes the column';
COMMENT ON INDEX auth.sessions_refresh_token_key_id_idx IS 'for the foreign key';

CREATE TABLE auth.flow_states (
    id uuid PRIMARY KEY,
    mode text NOT NULL DEFAULT 'direct' CHECK (mode IN ('direct', 'brokered')),
    state_hash bytea NOT NULL UNIQUE,
    code_challenge text,
    upstream_verifier bytea NOT NULL,
    data_key_id bigint NOT NULL REFERENCES auth.data_keys (id),
    client_id text NOT NULL,
    api_url text NOT NULL,
    organization text,
    connection text,
    provider text,
    redirect_to text,
    link_user_id uuid REFERENCES auth.users (id) ON DELETE CASCADE,
    link_session_id uuid,
    code_hash bytea UNIQUE,
    profile bytea,
    exchange_id uuid UNIQUE,
    exchange_code bytea,
    exchange_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at timestamptz NOT NULL,
    CHECK ((organization IS NULL AND connection IS NULL) <> (provider IS NULL)),
    CHECK ((link_user_id IS NULL) = (link_session_id IS NULL)),
    CHECK (link_user_id IS NULL OR code_challenge IS NOT NULL),
    CHECK ((exchange_id IS NULL) = (exchange_code IS NULL) AND (exchange_id IS NULL) = (exchange_until IS NULL)),
    CHECK (CASE
        WHEN mode = 'brokered' AND exchange_id IS NULL THEN code_hash IS NOT NULL AND profile IS NOT NULL AND code_challenge IS NOT NULL
        ELSE code_hash IS NULL AND profile IS NULL END)
);
CREATE INDEX flow_states_code_challenge_idx ON auth.flow_states (code_challenge);
CREATE INDEX flow_states_expires_at_idx ON auth.flow_states (expires_at);
CREATE INDEX flow_states_data_key_id_idx ON auth.flow_states (data_key_id);
CREATE INDEX flow_states_link_user_id_idx ON auth.flow_states (link_user_id);
COMMENT ON TABLE auth.flow_states IS 'sign-ins under way: born with the authorize URL, consumed once by auth.exchange_code';
COMMENT ON COLUMN auth.flow_states.id IS 'the flow_id of the audit log and of the gateway''s log';
COMMENT ON COLUMN auth.flow_states.data_key_id IS 'the data key that seals what the row keeps sealed';
COMMENT ON COLUMN auth.flow_states.api_url IS 'what the provider was when the sign-in began, as client_id';
COMMENT ON COLUMN auth.flow_states.organization IS 'the organization that was asked for';
COMMENT ON COLUMN auth.flow_states.connection IS 'the connection that was asked for';
COMMENT ON COLUMN auth.flow_states.provider IS 'the public identity provider that was asked for, such as GoogleOAuth';
COMMENT ON COLUMN auth.flow_states.redirect_to IS 'where the application wants the browser afterwards';
COMMENT ON COLUMN auth.flow_states.created_at IS 'when the sign-in began';
COMMENT ON COLUMN auth.flow_states.expires_at IS 'when it can no longer be finished';
COMMENT ON COLUMN auth.flow_states.state_hash IS 'SHA-256 of the state; the state itself is only with the caller';
COMMENT ON COLUMN auth.flow_states.code_challenge IS 'of the caller''s verifier, by S256; one that came as plain is hashed before it is stored';
COMMENT ON COLUMN auth.flow_states.upstream_verifier IS 'the PKCE verifier toward WorkOS, sealed';
COMMENT ON COLUMN auth.flow_states.mode IS 'direct until auth.handle_callback takes the sign-in; then brokered: WorkOS''s code is refused, and our own is asked for';
COMMENT ON COLUMN auth.flow_states.code_hash IS 'SHA-256 of the code that auth.handle_callback issued; the code itself is only with the browser';
COMMENT ON COLUMN auth.flow_states.profile IS 'what WorkOS answered, its token too, sealed: no account is written before the verifier has been shown';
COMMENT ON COLUMN auth.flow_states.exchange_id IS 'names the request that a broker asks WorkOS, until it brings the answer; NULL where none does';
COMMENT ON COLUMN auth.flow_states.exchange_code IS 'the code of that request, sealed: no error about the answer may show it';
COMMENT ON COLUMN auth.flow_states.exchange_until IS 'when the answer comes too late; until then nobody else exchanges the code';
COMMENT ON COLUMN auth.flow_states.client_id IS 'what the provider was when the sign-in began: an exchange under another is refused';
COMMENT ON COLUMN auth.flow_states.link_user_id IS 'whose account the profile is to be linked to (auth.link_identity); NULL for a sign-in';
COMMENT ON COLUMN auth.flow_states.link_session_id IS 'the session that started the link, which must still live when it is finished; no foreign key, so that its end is told';
COMMENT ON INDEX auth.flow_states_code_challenge_idx IS 'for the exchange of a code of WorkOS''s; a link that is clicked twice begins two sign-ins of one challenge';
COMMENT ON INDEX auth.flow_states_expires_at_idx IS 'for the clean-up of what expired';
COMMENT ON INDEX auth.flow_states_data_key_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.flow_states_link_user_id_idx IS 'for the foreign key';

CREATE TABLE auth.audit_log_entries (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    action text NOT NULL,
    actor name NOT NULL DEFAULT SESSION_USER,
    user_id uuid,
    session_id uuid,
    organization_id text,
    connection_id text,
    ip inet,
    user_agent text,
    payload jsonb NOT NULL DEFAULT '{}',
    actor_id uuid,
    actor_act text,
    email text
);
CREATE INDEX audit_log_entries_created_at_idx ON auth.audit_log_entries (created_at);
CREATE INDEX audit_log_entries_email_released_idx ON auth.audit_log_entries (created_at) WHERE action = 'email_released';
CREATE INDEX audit_log_entries_user_id_idx ON auth.audit_log_entries (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_log_entries_email_idx ON auth.audit_log_entries (email, created_at) WHERE email IS NOT NULL;
CREATE INDEX audit_log_entries_nobody_idx ON auth.audit_log_entries (created_at) WHERE user_id IS NULL;
COMMENT ON TABLE auth.audit_log_entries IS 'what happened to accounts and to the configuration, by whom; no foreign keys, so that it outlives what it tells of';
COMMENT ON COLUMN auth.audit_log_entries.id IS 'the entry';
COMMENT ON COLUMN auth.audit_log_entries.created_at IS 'when it happened';
COMMENT ON COLUMN auth.audit_log_entries.action IS 'what happened, such as login or user_banned';
COMMENT ON COLUMN auth.audit_log_entries.session_id IS 'the session that it is about';
COMMENT ON COLUMN auth.audit_log_entries.organization_id IS 'the organization that it is about';
COMMENT ON COLUMN auth.audit_log_entries.connection_id IS 'the connection that it is about';
COMMENT ON COLUMN auth.audit_log_entries.ip IS 'the client''s address, where the caller passed one';
COMMENT ON COLUMN auth.audit_log_entries.user_agent IS 'the client''s User-Agent, where the caller passed one';
COMMENT ON COLUMN auth.audit_log_entries.actor IS 'the database user of the connection';
COMMENT ON COLUMN auth.audit_log_entries.actor_id IS 'the person whose session was current: the claim sub';
COMMENT ON COLUMN auth.audit_log_entries.actor_act IS 'who acted as that person: the claim act.sub';
COMMENT ON COLUMN auth.audit_log_entries.user_id IS 'whom it is about, as are the columns that follow';
COMMENT ON COLUMN auth.audit_log_entries.email IS 'of login_refused: the address that WorkOS named, ASCII-lower-case';
COMMENT ON COLUMN auth.audit_log_entries.payload IS 'the particulars; never a secret';
COMMENT ON INDEX auth.audit_log_entries_created_at_idx IS 'for retention and for reading the newest';
COMMENT ON INDEX auth.audit_log_entries_email_released_idx IS 'for auth.check(): connections that give people another id at each sign-in';
COMMENT ON INDEX auth.audit_log_entries_user_id_idx IS 'for reading what happened to a person, the newest first';
COMMENT ON INDEX auth.audit_log_entries_email_idx IS 'for reading why somebody could not sign in; no index on an expression, which row-level security would keep administrators from using';
COMMENT ON INDEX auth.audit_log_entries_nobody_idx IS 'for reading what is about no person, such as the configuration, the newest first';
-- Types, which an update script does not make anew as it does functions and views.

CREATE TYPE auth.session AS (
    access_token text,
    refresh_token text,
    expires_at timestamptz,
    session_id uuid,
    user_id uuid,
    email text,
    organization_id text,
    is_new_user boolean,
    redirect_to text,
    provider_token text,
    claims jsonb
);
COMMENT ON TYPE auth.session IS 'what a sign-in returns; new columns only at the end';
COMMENT ON COLUMN auth.session.access_token IS 'the signed token that says whose session it is';
COMMENT ON COLUMN auth.session.refresh_token IS 'what gets the next access token; NULL where the session cannot be refreshed';
COMMENT ON COLUMN auth.session.expires_at IS 'when the access token expires';
COMMENT ON COLUMN auth.session.session_id IS 'the session';
COMMENT ON COLUMN auth.session.user_id IS 'the person';
COMMENT ON COLUMN auth.session.email IS 'the address of the identity that signed in';
COMMENT ON COLUMN auth.session.organization_id IS 'the WorkOS organization that the session was opened in';
COMMENT ON COLUMN auth.session.is_new_user IS 'whether this sign-in made the account';
COMMENT ON COLUMN auth.session.redirect_to IS 'where the application wanted the browser afterwards';
COMMENT ON COLUMN auth.session.provider_token IS 'the access token of the identity provider, where WorkOS passes one on';
COMMENT ON COLUMN auth.session.claims IS 'the claims of the access token';
-- Whose tokens count beside our own, with which keys, and which of their sessions have ended.

CREATE TABLE auth.trusted_issuers (
    issuer text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('workos_auth', 'authkit', 'authkit_m2m', 'oidc')),
    jwks_uri text,
    audience text,
    client_id text,
    database_role text,
    claims jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    refreshed_at timestamptz
);
COMMENT ON TABLE auth.trusted_issuers IS 'whose tokens are accepted beside our own; written by auth.trust_issuer and auth.trust_workos';
COMMENT ON COLUMN auth.trusted_issuers.issuer IS 'the claim iss, compared exactly';
COMMENT ON COLUMN auth.trusted_issuers.kind IS 'which tokens are accepted: workos_auth, authkit and oidc are of people, authkit_m2m of machines';
COMMENT ON COLUMN auth.trusted_issuers.jwks_uri IS 'where auth.refresh_issuer_keys fetches the keys; NULL where auth.set_issuer_keys brings them';
COMMENT ON COLUMN auth.trusted_issuers.audience IS 'what the claim aud must hold';
COMMENT ON COLUMN auth.trusted_issuers.client_id IS 'which client a token must be made for, by the claim client_id, azp or aud';
COMMENT ON COLUMN auth.trusted_issuers.database_role IS 'the database role of its people, which auth.use_request_token takes on; NULL: that of auth.users.role, and none is taken on. Never a claim';
COMMENT ON COLUMN auth.trusted_issuers.claims IS 'which claim says organization, role, roles, groups, permissions, features or email, where it is not the one of its kind';
COMMENT ON COLUMN auth.trusted_issuers.created_at IS 'since when it is trusted';
COMMENT ON COLUMN auth.trusted_issuers.updated_at IS 'when auth.trust_issuer last changed the row';
COMMENT ON COLUMN auth.trusted_issuers.refreshed_at IS 'when its keys were last fetched or brought';

CREATE TABLE auth.issuer_keys (
    issuer text NOT NULL REFERENCES auth.trusted_issuers (issuer) ON DELETE CASCADE,
    kid text NOT NULL,
    algorithm text NOT NULL CHECK (algorithm IN ('ES256', 'RS256', 'PS256', 'EdDSA')),
    public_key jsonb NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (issuer, kid)
);
COMMENT ON TABLE auth.issuer_keys IS 'the public keys of trusted issuers; a token is verified by the key of its issuer and kid, and by no other';
COMMENT ON COLUMN auth.issuer_keys.issuer IS 'whose key it is';
COMMENT ON COLUMN auth.issuer_keys.kid IS 'the id that the issuer gave it';
COMMENT ON COLUMN auth.issuer_keys.algorithm IS 'the one algorithm that it verifies: ES256, RS256, PS256 or EdDSA';
COMMENT ON COLUMN auth.issuer_keys.public_key IS 'a JWK (RFC 7517), without what is not needed';
COMMENT ON COLUMN auth.issuer_keys.status IS 'active: verifies; retired: the issuer publishes it no more, and its tokens are refused';
COMMENT ON COLUMN auth.issuer_keys.seen_at IS 'when the key set last had it';
COMMENT ON COLUMN auth.issuer_keys.created_at IS 'when the key set first had it';

-- No foreign keys: what has ended stays so when the issuer is trusted again, or the person is accepted again.
CREATE TABLE auth.ended_sessions (
    issuer text NOT NULL,
    sid text NOT NULL DEFAULT '',
    subject text NOT NULL DEFAULT '',
    organization_id text NOT NULL DEFAULT '',
    ended_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, sid, subject, organization_id),
    CHECK (sid <> '' OR subject <> '' OR organization_id <> '')
);
CREATE INDEX ended_sessions_expires_at_idx ON auth.ended_sessions (expires_at);
COMMENT ON TABLE auth.ended_sessions IS 'sessions of trusted issuers that have ended here; a token of one is refused, however long it is good for';
COMMENT ON COLUMN auth.ended_sessions.issuer IS 'whose session it is';
COMMENT ON COLUMN auth.ended_sessions.sid IS 'the issuer''s id of the session; empty where the row is about several';
COMMENT ON COLUMN auth.ended_sessions.subject IS 'the issuer''s id of the person, whose sessions of before ended_at have ended; empty where the row is about a session or an organization';
COMMENT ON COLUMN auth.ended_sessions.organization_id IS 'with it, the sessions of this organization alone; empty otherwise';
COMMENT ON COLUMN auth.ended_sessions.ended_at IS 'when they ended; whoever signed in later is not meant';
COMMENT ON COLUMN auth.ended_sessions.expires_at IS 'when auth.cleanup() may remove the row: 400 days later, or workos_auth.session_ttl if that is longer';
COMMENT ON INDEX auth.ended_sessions_expires_at_idx IS 'for the clean-up of what nothing is left of';
-- What the background worker of workos_auth.worker_databases does. The code stands in src/worker.

CREATE TABLE auth.worker_status (
    task text PRIMARY KEY,
    last_started_at timestamptz NOT NULL,
    last_succeeded_at timestamptz,
    last_failed_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    last_count bigint NOT NULL DEFAULT 0,
    last_error text,
    next_at timestamptz NOT NULL
);
COMMENT ON TABLE auth.worker_status IS 'what the background worker did: one row a task. It is no part of a dump';
COMMENT ON COLUMN auth.worker_status.task IS 'cleanup: what auth.cleanup() does; issuer_keys: what auth.refresh_issuer_keys() does; heartbeat: what auth.send_heartbeat() does';
COMMENT ON COLUMN auth.worker_status.last_started_at IS 'when the last run began that was written down: each that fails, the one after it, and the last of several; of the others one in ten seconds';
COMMENT ON COLUMN auth.worker_status.last_succeeded_at IS 'when a run last succeeded';
COMMENT ON COLUMN auth.worker_status.last_failed_at IS 'when a run last failed';
COMMENT ON COLUMN auth.worker_status.failures IS 'how many runs have failed in a row; 0 where the last one succeeded';
COMMENT ON COLUMN auth.worker_status.last_count IS 'how many rows the last run removed, or how many keys it wrote';
COMMENT ON COLUMN auth.worker_status.last_error IS 'why a run last failed: SQLSTATE and message. What code of others may have said stands in the server''s log alone';
COMMENT ON COLUMN auth.worker_status.next_at IS 'when it is due again; after a failure soon, and later with each further one';
-- Databases that verify what this one signs, or the other way round: what logical replication carries beside sessions, keys and organizations.

CREATE TABLE auth.heartbeat (
    installation_id uuid PRIMARY KEY,
    beat bigint NOT NULL,
    sent_at timestamptz NOT NULL,
    issuer text UNIQUE CHECK (pg_catalog.octet_length(issuer) <= 2048),
    audience text CHECK (pg_catalog.octet_length(audience) <= 2048),
    is_whole boolean NOT NULL DEFAULT true,
    publications jsonb NOT NULL DEFAULT '{}',
    subscription oid UNIQUE NULLS NOT DISTINCT
);
COMMENT ON TABLE auth.heartbeat IS 'one row, which the issuer changes every second or so once auth.publish_sessions was called: by it verifiers know that nothing is missing. A verifier has a row of each issuer that feeds it';
COMMENT ON COLUMN auth.heartbeat.installation_id IS 'of which installation it is: auth.installation.id of the issuer';
COMMENT ON COLUMN auth.heartbeat.subscription IS 'which subscription has brought it here; NULL at the issuer';
COMMENT ON COLUMN auth.heartbeat.beat IS 'counts the heartbeats';
COMMENT ON COLUMN auth.heartbeat.sent_at IS 'when it was sent, by the issuer''s clock';
COMMENT ON COLUMN auth.heartbeat.issuer IS 'the claim iss of the tokens that the issuer signs';
COMMENT ON COLUMN auth.heartbeat.audience IS 'their claim aud';
COMMENT ON COLUMN auth.heartbeat.publications IS 'by which publications it is sent, and as which rows of Postgres''s catalogs; where one changed, a heartbeat is left out, since changes may have been lost; not published';
COMMENT ON COLUMN auth.heartbeat.is_whole IS 'false in a verifier that a heartbeat did not reach: changes were lost; not published';

CREATE TABLE auth.verifier (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    issuer_database text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE auth.verifier IS 'one row in a database that only verifies, made by auth.become_verifier()';
COMMENT ON COLUMN auth.verifier.singleton IS 'true, so that there is one row at most';
COMMENT ON COLUMN auth.verifier.issuer_database IS 'where the issuer is, in the words of whoever called auth.become_verifier; errors show it';
COMMENT ON COLUMN auth.verifier.created_at IS 'when auth.become_verifier() was first called';

CREATE TABLE auth.feeds (
    subscription oid PRIMARY KEY,
    name text NOT NULL,
    publications text[] NOT NULL,
    known_since timestamptz NOT NULL
);
COMMENT ON TABLE auth.feeds IS 'the subscriptions that feed a verifier, one an issuer, each from when it has copied auth.sessions on';
COMMENT ON COLUMN auth.feeds.subscription IS 'pg_subscription.oid; what another one brings is not believed';
COMMENT ON COLUMN auth.feeds.name IS 'what it was called at its copy; under another name nothing of it is believed';
COMMENT ON COLUMN auth.feeds.publications IS 'to which publications it was subscribed at its copy; of others, nothing is believed';
COMMENT ON COLUMN auth.feeds.known_since IS 'when auth.sessions was last copied whole, or truncated at the issuer: a session of before that is not there has ended';
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
-- Which version is installed, and what an update script needs. The code of each function stands in src/api/versions.rs.

CREATE FUNCTION auth.version(OUT library text, OUT sql text) RETURNS record
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'version_wrapper';
COMMENT ON FUNCTION auth.version() IS
    'the version of the library that this connection has loaded, and of the SQL objects in this database; where the library is the newer one, run ALTER EXTENSION workos_auth UPDATE';

CREATE FUNCTION auth.grant_outside_script(statement text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'grant_outside_script_wrapper';
COMMENT ON FUNCTION auth.grant_outside_script(text) IS
    'for update scripts: runs a GRANT to a user''s role so that a dump carries it. Postgres takes what a script grants for a part of the extension, and leaves it out of dumps';
-- Trusted issuers: administrators. The code of each function stands in src/api/trusted_issuers.rs.

-- Not SECURITY DEFINER: it looks at the rights of its caller and takes the owner's only to write.
CREATE FUNCTION auth.trust_issuer(
    issuer text,
    kind text,
    jwks_uri text DEFAULT NULL,
    jwks jsonb DEFAULT NULL,
    audience text DEFAULT NULL,
    client_id text DEFAULT NULL,
    database_role text DEFAULT NULL,
    claims jsonb DEFAULT '{}'
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'trust_issuer_wrapper';
COMMENT ON FUNCTION auth.trust_issuer(text, text, text, jsonb, text, text, text, jsonb) IS
    'has tokens of an issuer accepted, or says anew which; kind is workos_auth, authkit, authkit_m2m or oidc. jwks are its keys; without them, auth.refresh_issuer_keys fetches those of jwks_uri. claims says which claim means what. A jwks_uri that is not below the WorkOS api_url needs superuser';

CREATE FUNCTION auth.trust_workos() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'trust_workos_wrapper';
COMMENT ON FUNCTION auth.trust_workos() IS
    'has tokens of AuthKit accepted: of both issuers that the WorkOS environment of auth.configure_workos may have. Then run auth.refresh_issuer_keys';

CREATE FUNCTION auth.distrust_issuer(issuer text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'distrust_issuer_wrapper';
COMMENT ON FUNCTION auth.distrust_issuer(text) IS
    'refuses every token of an issuer from the next statement on, and removes its keys; its people stay in auth.users. Says how many issuers: 1, or 0 where it is not trusted';

CREATE FUNCTION auth.set_issuer_keys(issuer text, jwks jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_issuer_keys_wrapper';
COMMENT ON FUNCTION auth.set_issuer_keys(text, jsonb) IS
    'replaces the keys of a trusted issuer by those of a key set (RFC 7517), and says how many verify now; keys that are not among them are retired at once';

CREATE FUNCTION auth.refresh_issuer_keys(issuer text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'refresh_issuer_keys_wrapper';
COMMENT ON FUNCTION auth.refresh_issuer_keys(text) IS
    'fetches the key sets of trusted issuers from their jwks_uri, as auth.set_issuer_keys takes them, and says how many keys of them verify now; NULL: of all. Of several, one that fails is a WARNING, and its keys stay';

CREATE FUNCTION auth.set_organization_issuer(organization text, issuer text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_organization_issuer_wrapper';
COMMENT ON FUNCTION auth.set_organization_issuer(text, text) IS
    'says which trusted issuer an organization belongs to, from the next statement on; NULL: WorkOS. Nobody else speaks for it. Ends the sessions that sign-ins with WorkOS opened there. Says how many organizations: 1, or 0 where there is none';
-- Verifiers: databases that check what an issuer signs. The code of each function stands in src/api/verifiers.rs.

-- Not SECURITY DEFINER: a publication belongs to whoever calls.
CREATE FUNCTION auth.publish_sessions(publication name DEFAULT 'workos_auth') RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'publish_sessions_wrapper';
COMMENT ON FUNCTION auth.publish_sessions(name) IS
    'makes a publication of what verifiers need, or mends it: which sessions and organizations there are, the public keys and the heartbeat; no column with a secret. Superusers only';

CREATE FUNCTION auth.send_heartbeat() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'send_heartbeat_wrapper';
COMMENT ON FUNCTION auth.send_heartbeat() IS
    'tells verifiers that the link to this database is up, and says which heartbeat it was; NULL, and nothing is written, where no publication has auth.heartbeat. Call it once a second; the worker of workos_auth.worker_databases does';

-- Not SECURITY DEFINER, as auth.configure_workos.
CREATE FUNCTION auth.become_verifier(issuer_database text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'become_verifier_wrapper';
COMMENT ON FUNCTION auth.become_verifier(text) IS
    'has this database verify what another one signs: a subscription to the publication of auth.publish_sessions then feeds it. It signs nobody in or out. issuer_database is where the issuer is, for the hint of errors. Several subscriptions, each of another issuer, may feed it. Called again after DROP SUBSCRIPTION, it removes what that one brought, so that a new one can copy it. Superusers only';

CREATE FUNCTION auth.stop_verifying() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'stop_verifying_wrapper';
COMMENT ON FUNCTION auth.stop_verifying() IS
    'undoes auth.become_verifier(), after DROP SUBSCRIPTION: removes what was fed. Superusers only';

CREATE FUNCTION auth.keep_feeds_apart() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'keep_feeds_apart_wrapper';
COMMENT ON FUNCTION auth.keep_feeds_apart() IS
    'trigger of what a verifier is fed: notes which subscription brings a row, and refuses changes of what another one has brought';

CREATE FUNCTION auth.mark_lost_heartbeat() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'mark_lost_heartbeat_wrapper';
COMMENT ON FUNCTION auth.mark_lost_heartbeat() IS 'trigger of auth.heartbeat: notes in a verifier that a heartbeat did not arrive';

CREATE FUNCTION auth.note_ended_session() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'note_ended_session_wrapper';
COMMENT ON FUNCTION auth.note_ended_session() IS 'trigger of auth.sessions: notes in a verifier that a session was here and has ended';
-- Customers: administrators set them up at WorkOS. The code of each function stands in src/api/customers.rs.

CREATE FUNCTION auth.workos_create_organization(
    name text, external_id text DEFAULT NULL, domains text[] DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_create_organization_wrapper';
COMMENT ON FUNCTION auth.workos_create_organization(text, text, text[]) IS
    'makes an organization at WorkOS and in auth.organizations, and returns its id, org_…; its domains are to be verified. With an external_id it looks first: the same call again, also after a rollback, returns the same id. One that is there already stays as it is: where its name is another, or a domain is missing, a WARNING says so';

CREATE FUNCTION auth.workos_add_domain(
    organization text,
    domain text,
    OUT domain_id text,
    OUT state text,
    OUT txt_name text,
    OUT txt_value text
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_add_domain_wrapper';
COMMENT ON FUNCTION auth.workos_add_domain(text, text) IS
    'adds a domain to an organization of WorkOS and returns the TXT record that proves to WorkOS whose the domain is. The state is pending until WorkOS has found the record, then verified; failed where it gave up after 30 days. Of a domain that is there already it says the same; where that has failed, WorkOS looks again';

CREATE FUNCTION auth.workos_invite_it_contact(organization text, email text, intents text[]) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_invite_it_contact_wrapper';
COMMENT ON FUNCTION auth.workos_invite_it_contact(text, text, text[]) IS
    'has WorkOS send somebody at a customer a link by which they set up what intents says: sso, dsync, log_streams, domain_verification or bring_your_own_key. Returns WorkOS''s id of the contact. A rollback does not call the message back';

CREATE FUNCTION auth.workos_portal_link(
    organization text, intent text, return_url text DEFAULT NULL, success_url text DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_portal_link_wrapper';
COMMENT ON FUNCTION auth.workos_portal_link(text, text, text, text) IS
    'makes a link into WorkOS''s Admin Portal, for one click of a customer''s administrator; it ends after five minutes, and must not be sent by e-mail. The intent is sso, dsync, audit_logs, log_streams, domain_verification, certificate_renewal or bring_your_own_key. return_url and success_url are https';
-- Signing in: the backend's role. The code of each function stands in src/api/signing_in.rs.
--
-- These functions, and those of one's own account, look rows up by their keys, with plans that a backend keeps. A plan that was made
-- while auth.flow_states was all but empty, as it mostly is, would read the whole table, and with it every row that a burst of sign-ins
-- left behind, until the next autovacuum: hence enable_seqscan. Where something has to be read whole, the plan's price is then so high
-- that Postgres would compile it: hence jit.

CREATE FUNCTION auth.plan_support(internal) RETURNS internal
    LANGUAGE c AS 'MODULE_PATHNAME', 'plan_support_wrapper';
COMMENT ON FUNCTION auth.plan_support(internal) IS
    'has the library loaded when a query that needs it is planned; a SECURITY DEFINER function alone loads it when it is first run, too late to know the query';

CREATE FUNCTION auth.start_sign_in(
    organization text DEFAULT NULL,
    connection text DEFAULT NULL,
    provider text DEFAULT NULL,
    redirect_to text DEFAULT NULL,
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL,
    OUT url text,
    OUT state text,
    OUT code_verifier text,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'start_sign_in_wrapper';
COMMENT ON FUNCTION auth.start_sign_in(text, text, text, text, text, text, jsonb) IS
    'starts a sign-in: send the browser to url; keep state and code_verifier in its cookie until the callback';

CREATE FUNCTION auth.workos_authorize_url(
    organization text DEFAULT NULL,
    connection text DEFAULT NULL,
    provider text DEFAULT NULL,
    redirect_to text DEFAULT NULL,
    code_challenge text DEFAULT NULL,
    code_challenge_method text DEFAULT 'S256',
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'workos_authorize_url_wrapper';
COMMENT ON FUNCTION auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb) IS
    'starts a sign-in for a caller that holds its own PKCE verifier; the state stands in the URL';

CREATE FUNCTION auth.organization_for_email(email text) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'organization_for_email_wrapper';
COMMENT ON FUNCTION auth.organization_for_email(text) IS
    'the WorkOS organization that alone vouches for the domain of an e-mail address (auth.organization_domains); NULL where none does or several do, and for what is no address. Of people it reads nothing';

-- An argument email of auth.start_sign_in would make another function of the name, and calls such as auth.start_sign_in('org_…') ambiguous.
CREATE FUNCTION auth.start_sign_in_by_email(
    email text,
    redirect_to text DEFAULT NULL,
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL,
    OUT url text,
    OUT state text,
    OUT code_verifier text,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'start_sign_in_by_email_wrapper';
COMMENT ON FUNCTION auth.start_sign_in_by_email(text, text, text, text, jsonb) IS
    'as auth.start_sign_in with the organization of auth.organization_for_email, which must be there; the address is the login_hint unless another is given';

CREATE FUNCTION auth.workos_authorize_url_by_email(
    email text,
    redirect_to text DEFAULT NULL,
    code_challenge text DEFAULT NULL,
    code_challenge_method text DEFAULT 'S256',
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'workos_authorize_url_by_email_wrapper';
COMMENT ON FUNCTION auth.workos_authorize_url_by_email(text, text, text, text, text, text, jsonb) IS
    'as auth.workos_authorize_url with the organization of auth.organization_for_email, which must be there; the address is the login_hint unless another is given';

CREATE FUNCTION auth.handle_callback(
    code text,
    state text,
    error text DEFAULT NULL,
    error_description text DEFAULT NULL,
    connection text DEFAULT NULL,
    organization text DEFAULT NULL,
    is_bound boolean DEFAULT true
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'handle_callback_wrapper';
COMMENT ON FUNCTION auth.handle_callback(text, text, text, text, text, text, boolean) IS
    'brokered mode: consumes the query of WorkOS''s redirect and returns the URL to send the browser to; the URL has a code of our own, tokens or an error; is_bound: whether this browser began the sign-in, without which nobody is given tokens';

CREATE FUNCTION auth.exchange_code(
    code text,
    verifier text DEFAULT NULL,
    state text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'exchange_code_wrapper';
COMMENT ON FUNCTION auth.exchange_code(text, text, text, inet, text) IS
    'turns the code of the callback, WorkOS''s or auth.handle_callback''s, into a session; asks WorkOS unless that was done, writes user, identity and membership, signs the access token';

CREATE FUNCTION auth.try_exchange_code(
    code text,
    verifier text DEFAULT NULL,
    state text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL,
    OUT access_token text,
    OUT refresh_token text,
    OUT expires_at timestamptz,
    OUT session_id uuid,
    OUT user_id uuid,
    OUT email text,
    OUT organization_id text,
    OUT is_new_user boolean,
    OUT redirect_to text,
    OUT provider_token text,
    OUT claims jsonb,
    OUT error_code text,
    OUT error_sqlstate text,
    OUT error_detail text,
    OUT flow_id uuid
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'try_exchange_code_wrapper';
COMMENT ON FUNCTION auth.try_exchange_code(text, text, text, inet, text) IS
    'as auth.exchange_code, for a caller that commits; where WorkOS has named somebody who may not sign in, it raises nothing and spends the code; it writes login_refused into auth.audit_log_entries, and returns why in error_code, error_sqlstate and error_detail';

CREATE FUNCTION auth.refresh_session(
    refresh_token text,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'refresh_session_wrapper';
COMMENT ON FUNCTION auth.refresh_session(text, inet, text) IS
    'gives a session new tokens and replaces its refresh token; one that was replaced before, other than in another tab or by a lost answer, ends the session';

CREATE FUNCTION auth.accept_token(access_token text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'accept_token_wrapper';
COMMENT ON FUNCTION auth.accept_token(text) IS
    'makes the person of a good token known, whose issuer is trusted: account, identity, and the membership in the token''s organization; returns the id. For a person who is known it writes nothing';
-- Brokering: for a database that may not talk to the outside, a role with auth.grant_broker carries the request to WorkOS and its answer.
-- The code of each function stands in src/api/brokering.rs. Settings as in 30_signing_in.sql, for the same reasons.

CREATE FUNCTION auth.exchange_request(
    code text,
    verifier text DEFAULT NULL,
    state text DEFAULT NULL,
    OUT exchange_id uuid,
    OUT url text,
    OUT headers jsonb,
    OUT body text,
    OUT json_body text,
    OUT connect_timeout interval,
    OUT request_timeout interval
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'exchange_request_wrapper';
COMMENT ON FUNCTION auth.exchange_request(text, text, text) IS
    'the first half of auth.exchange_code, up to the request to WorkOS, which the caller commits, POSTs and answers with auth.exchange_answer; body holds WorkOS''s API key; json_body is for a server that answers body with 400 invalid_request_body; only for roles of auth.grant_broker';

CREATE FUNCTION auth.exchange_answer(
    exchange_id uuid,
    status integer,
    headers jsonb DEFAULT NULL,
    body text DEFAULT NULL,
    failure text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'exchange_answer_wrapper';
COMMENT ON FUNCTION auth.exchange_answer(uuid, integer, jsonb, text, text, inet, text) IS
    'the second half of auth.exchange_code: takes WorkOS''s answer, or as failure the name of the error where none came, and returns the session; the caller vouches for who somebody is; once, within request_timeout and 5 s; only for roles of auth.grant_broker';

CREATE FUNCTION auth.try_exchange_answer(
    exchange_id uuid,
    status integer,
    headers jsonb DEFAULT NULL,
    body text DEFAULT NULL,
    failure text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL,
    OUT access_token text,
    OUT refresh_token text,
    OUT expires_at timestamptz,
    OUT session_id uuid,
    OUT user_id uuid,
    OUT email text,
    OUT organization_id text,
    OUT is_new_user boolean,
    OUT redirect_to text,
    OUT provider_token text,
    OUT claims jsonb,
    OUT error_code text,
    OUT error_sqlstate text,
    OUT error_detail text,
    OUT flow_id uuid
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'try_exchange_answer_wrapper';
COMMENT ON FUNCTION auth.try_exchange_answer(uuid, integer, jsonb, text, text, inet, text) IS
    'as auth.exchange_answer, for a caller that commits; where WorkOS has named somebody who may not sign in, it raises nothing and spends the code; it writes login_refused into auth.audit_log_entries, and returns why in error_code, error_sqlstate and error_detail';

CREATE FUNCTION auth.callback_request(
    code text,
    state text,
    error text DEFAULT NULL,
    error_description text DEFAULT NULL,
    connection text DEFAULT NULL,
    organization text DEFAULT NULL,
    is_bound boolean DEFAULT true,
    OUT redirect_to text,
    OUT exchange_id uuid,
    OUT url text,
    OUT headers jsonb,
    OUT body text,
    OUT json_body text,
    OUT connect_timeout interval,
    OUT request_timeout interval
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'callback_request_wrapper';
COMMENT ON FUNCTION auth.callback_request(text, text, text, text, text, text, boolean) IS
    'the first half of auth.handle_callback: redirect_to, where WorkOS need not be asked, or the request to WorkOS, as of auth.exchange_request, for auth.callback_answer; only for roles of auth.grant_broker';

CREATE FUNCTION auth.callback_answer(
    exchange_id uuid,
    status integer,
    headers jsonb DEFAULT NULL,
    body text DEFAULT NULL,
    failure text DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'callback_answer_wrapper';
COMMENT ON FUNCTION auth.callback_answer(uuid, integer, jsonb, text, text) IS
    'the second half of auth.handle_callback: takes WorkOS''s answer and returns the URL to send the browser to; where no answer came, failure is the name of the error; the caller vouches for who somebody is; only for roles of auth.grant_broker';
-- Operating: administrators. The code of each function stands in src/api/operating.rs.

CREATE FUNCTION auth.find_user(
    email text,
    organization text DEFAULT NULL,
    OUT user_id uuid,
    OUT email text,
    OUT organization_ids text[],
    OUT identity_ids uuid[],
    OUT identity_emails text[],
    OUT banned_until timestamptz,
    OUT deleted_at timestamptz,
    OUT last_sign_in_at timestamptz,
    OUT created_at timestamptz
) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'find_user_wrapper';
COMMENT ON FUNCTION auth.find_user(text, text) IS
    'users whose address this is, in auth.users or in one of their identities, the oldest first; with an organization, its members alone';

CREATE FUNCTION auth.ban_user(user_id uuid, until timestamptz DEFAULT 'infinity') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ban_user_wrapper';
COMMENT ON FUNCTION auth.ban_user(uuid, timestamptz) IS
    'refuses a user''s sign-ins until then and ends their sessions from the next statement on; says how many users: 1, or 0 where there is none';

CREATE FUNCTION auth.unban_user(user_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'unban_user_wrapper';
COMMENT ON FUNCTION auth.unban_user(uuid) IS
    'lifts a ban; the user signs in again. Says how many users: 1, or 0 where none is banned';

CREATE FUNCTION auth.revoke_sessions(user_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_sessions_wrapper';
COMMENT ON FUNCTION auth.revoke_sessions(uuid) IS
    'ends a user''s sessions from the next statement on and says how many; the user may sign in again';

CREATE FUNCTION auth.revoke_session(session_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_session_wrapper';
COMMENT ON FUNCTION auth.revoke_session(uuid) IS
    'ends one session from the next statement on, such as that of a lost device; the user''s others go on. Says how many: 1, or 0 where there is none';

CREATE FUNCTION auth.revoke_session(issuer text, sid text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_issuer_session_wrapper';
COMMENT ON FUNCTION auth.revoke_session(text, text) IS
    'ends one session of a trusted issuer from the next statement on, by the issuer''s id of it: the claim sid. Says how many: 1, or 0 where it has ended already';

CREATE FUNCTION auth.revoke_organization(organization text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_organization_wrapper';
COMMENT ON FUNCTION auth.revoke_organization(text) IS
    'ends the sessions of a WorkOS organization from the next statement on and says how many; its people may sign in again, unless their connection is switched off at WorkOS';

CREATE FUNCTION auth.require_sso(organization text, required boolean DEFAULT true) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'require_sso_wrapper';
COMMENT ON FUNCTION auth.require_sso(text, boolean) IS
    'says whether the sessions of a WorkOS organization begin by sign-ins with WorkOS''s single sign-on alone, and ends those there that began otherwise. Sessions with an actor, of auth.create_session, go on. Says how many organizations: 1, or 0 where there is none';

CREATE FUNCTION auth.delete_user(user_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_user_wrapper';
COMMENT ON FUNCTION auth.delete_user(uuid) IS
    'deletes a user with identities, memberships and sessions; what becomes of other rows that reference auth.users is their foreign key''s own word. Says how many users: 1, or 0 where there is none';

CREATE FUNCTION auth.remove_member(user_id uuid, organization text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'remove_member_wrapper';
COMMENT ON FUNCTION auth.remove_member(uuid, text) IS
    'takes a user out of a WorkOS organization and ends their sessions there from the next statement on; they stay in every other. A sign-in through the organization makes them a member again, until WorkOS no longer lets them in. Says how many memberships: 1, or 0 where there is none';

CREATE FUNCTION auth.move_identity(identity_id uuid, organization text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'move_identity_wrapper';
COMMENT ON FUNCTION auth.move_identity(uuid, text) IS
    'says that an identity is of another WorkOS organization, and leaves it to the same account; ends the sessions that it opened, and the membership and the sessions of an organization that no other identity leads to. Refused where the account would be of several organizations, unless workos_auth.link_across_organizations is on';

CREATE FUNCTION auth.merge_users(from_user uuid, into_user uuid) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'merge_users_wrapper';
COMMENT ON FUNCTION auth.merge_users(uuid, uuid) IS
    'makes two accounts one: identities and memberships of from_user become those of into_user, a ban of either is one of both; from_user is deleted with their sessions. Refused while rows of other tables reference from_user: move them first';

CREATE FUNCTION auth.remove_orphans() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'remove_orphans_wrapper';
COMMENT ON FUNCTION auth.remove_orphans() IS
    'removes sessions and memberships of users who are not in auth.users, which a restore of one table without the other leaves, and says how many';

CREATE FUNCTION auth.cleanup(batch integer DEFAULT 1000) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'cleanup_wrapper';
COMMENT ON FUNCTION auth.cleanup(integer) IS
    'removes expired sign-ins, sessions that have ended or were idle too long, and audit entries older than workos_auth.audit_retention; at most batch rows of each, waiting for nobody; says how many in all. Idle sessions are looked for in batch pages of the table, other ones each time';
-- People without WorkOS: administrators. The code of each function stands in src/api/people_without_workos.rs.

CREATE FUNCTION auth.create_user(
    email text,
    organization text DEFAULT NULL,
    user_id uuid DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_user_wrapper';
COMMENT ON FUNCTION auth.create_user(text, text, uuid) IS
    'makes a user whom WorkOS does not know, and returns the id. With an organization it is an invitation: the first profile of that organization with this address signs in to this account';

CREATE FUNCTION auth.create_session(
    user_id uuid,
    organization text DEFAULT NULL,
    method text DEFAULT 'custom',
    actor text DEFAULT NULL,
    reason text DEFAULT NULL,
    ttl interval DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'create_session_wrapper';
COMMENT ON FUNCTION auth.create_session(uuid, text, text, text, text, interval) IS
    'opens a session of somebody whom the caller vouches for. With an actor, who needs a reason: the claim act.sub, at most 60 minutes, no refresh, audited';

CREATE FUNCTION auth.import_supabase(user_row jsonb, identity_rows jsonb) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'import_supabase_wrapper';
COMMENT ON FUNCTION auth.import_supabase(jsonb, jsonb) IS
    'writes a person who was known to Supabase Auth: a row of its auth.users, and a list of the rows of its auth.identities, by to_jsonb; returns the id, which stays. WorkOS identities come along; once more does nothing. Whoever calls it vouches for the identities';

CREATE FUNCTION auth.create_visitor_token(role name DEFAULT 'anon', ttl interval DEFAULT '365 days') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_visitor_token_wrapper';
COMMENT ON FUNCTION auth.create_visitor_token(name, interval) IS
    'signs a key that a client sends as bearer token while nobody is signed in: it names a database role and nobody. It is public. It ends with its time, or when auth.retire_signing_key retires the key that signed it';

-- Not SECURITY DEFINER: it looks at the roles of its caller and takes the owner's only to write.
CREATE FUNCTION auth.as_user(user_id uuid, as_role name DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'as_user_wrapper';
COMMENT ON FUNCTION auth.as_user(uuid, name) IS
    'for tests of policies: until the end of the transaction, this user is the current person, and as_role the current role; returns the claims. as_role must be one that the caller is a member of and that row-level security binds';
-- The identities of one's own account: everyone, with the access token of the person. The code of each function stands in src/api/identities.rs.

CREATE FUNCTION auth.link_identity(
    access_token text,
    organization text DEFAULT NULL,
    connection text DEFAULT NULL,
    provider text DEFAULT NULL,
    redirect_to text DEFAULT NULL,
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL,
    code_challenge text DEFAULT NULL,
    code_challenge_method text DEFAULT 'S256',
    OUT url text,
    OUT state text,
    OUT code_verifier text,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'link_identity_wrapper';
COMMENT ON FUNCTION auth.link_identity(text, text, text, text, text, text, text, jsonb, text, text) IS
    'as auth.start_sign_in, for the person of an access token: auth.exchange_code then adds the identity to their account and returns a new session of it. With a code_challenge the caller keeps its own verifier, and code_verifier is NULL';

CREATE FUNCTION auth.unlink_identity(access_token text, identity_id uuid) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'unlink_identity_wrapper';
COMMENT ON FUNCTION auth.unlink_identity(text, uuid) IS
    'removes one of the identities of an access token''s person, never the last, and ends the sessions that it opened; a membership that no other identity leads to goes with it';
-- Reading: everyone, in policies. The code of each function stands in src/api/reading.rs.

CREATE FUNCTION auth.session_claims() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_session_claims';
COMMENT ON FUNCTION auth.session_claims() IS 'the verified claims of the current session, as its issuer signed them; NULL without one';

CREATE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_session_claims';
COMMENT ON FUNCTION auth.jwt() IS 'the same as auth.session_claims(), under the name Supabase gives it';

CREATE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_uid';
COMMENT ON FUNCTION auth.uid() IS 'the id of the current person, auth.users.id; NULL without a session';

CREATE FUNCTION auth.role() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_role';
COMMENT ON FUNCTION auth.role() IS 'the database role of the current session; never a WorkOS role (see auth.has_role). Without a session it is never NULL: the role that the client acts as, or anon where sessions may have that role';

CREATE FUNCTION auth.email() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_email';
COMMENT ON FUNCTION auth.email() IS 'auth.users.email of the current person; NULL without a session or an address';

CREATE FUNCTION auth.session_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_session_id';
COMMENT ON FUNCTION auth.session_id() IS 'the id of the current session; NULL without one, and where an issuer''s id of it is no uuid';

CREATE FUNCTION auth.organization_id() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_organization_id';
COMMENT ON FUNCTION auth.organization_id() IS 'the WorkOS organization the current session was signed in through';

CREATE FUNCTION auth.connection_id() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_connection_id';
COMMENT ON FUNCTION auth.connection_id() IS 'the WorkOS connection the current session was signed in through';

-- Two functions a question instead of one with a default: a row whose organization is NULL must match nobody.
CREATE FUNCTION auth.has_role(role text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_role';
COMMENT ON FUNCTION auth.has_role(text) IS 'whether the person has this WorkOS role in the organization of the session';
CREATE FUNCTION auth.has_role(role text, organization text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_role_in';
COMMENT ON FUNCTION auth.has_role(text, text) IS 'whether the session is of this organization and the person has this WorkOS role there; false for a NULL organization';

CREATE FUNCTION auth.in_group("group" text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_in_group';
COMMENT ON FUNCTION auth.in_group(text) IS 'whether the identity provider puts the person into this group';
CREATE FUNCTION auth.in_group("group" text, organization text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_in_group_in';
COMMENT ON FUNCTION auth.in_group(text, text) IS 'whether the session is of this organization and its identity provider puts the person into this group; false for a NULL organization';

CREATE FUNCTION auth.has_permission(permission text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_permission';
COMMENT ON FUNCTION auth.has_permission(text) IS 'whether the person has this permission in the organization of the session';
CREATE FUNCTION auth.has_permission(permission text, organization text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_permission_in';
COMMENT ON FUNCTION auth.has_permission(text, text) IS 'whether the session is of this organization and the person has this permission there; false for a NULL organization';

CREATE FUNCTION auth.issuer() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_issuer';
COMMENT ON FUNCTION auth.issuer() IS 'who signed the token of the current session: this installation, or one of auth.trusted_issuers; NULL without one';

CREATE FUNCTION auth.subject() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_subject';
COMMENT ON FUNCTION auth.subject() IS 'the issuer''s own id of the current person, the claim sub; of a session of this installation the same as auth.uid()';

CREATE FUNCTION auth.recently_authenticated(within interval) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_recently_authenticated';
COMMENT ON FUNCTION auth.recently_authenticated(interval) IS
    'whether the person has signed in, not only refreshed, within this time, by the claim auth_time; false where the token does not say. A month has 30 days';

CREATE FUNCTION auth.has_feature(feature text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_feature';
COMMENT ON FUNCTION auth.has_feature(text) IS 'whether the token has this feature flag, by its slug: the claim feature_flags';

CREATE FUNCTION auth.set_session(access_token text, is_local boolean DEFAULT true) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'set_session_wrapper';
COMMENT ON FUNCTION auth.set_session(text, boolean) IS
    'verifies an access token and makes it the current session: until the end of the transaction, or of the connection with is_local => false; returns its claims';

CREATE FUNCTION auth.clear_session() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'clear_session_wrapper';
COMMENT ON FUNCTION auth.clear_session() IS 'takes the current session off the connection; it stays signed in';

CREATE FUNCTION auth.use_request_token() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'use_request_token_wrapper';
COMMENT ON FUNCTION auth.use_request_token() IS
    'PostgREST''s db-pre-request: makes the bearer token of the request''s Authorization header the current session; a bad one is refused with SQLSTATE PT401, which PostgREST answers with 401';

CREATE FUNCTION auth.verify_token(access_token text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'verify_token_wrapper';
COMMENT ON FUNCTION auth.verify_token(text) IS 'verifies an access token and returns its claims, without making it the current session';

CREATE FUNCTION auth.jwks() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'jwks_wrapper';
COMMENT ON FUNCTION auth.jwks() IS 'the public keys that verify access tokens, as a set of JSON Web Keys (RFC 7517)';
-- One's own account: everyone, about themselves. What changes an account or a session takes the person's access token, which other code
-- in the person's transaction, such as a table owner's trigger, cannot read. The code of each function stands in src/api/own_account.rs.

CREATE FUNCTION auth.get_user() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'get_user_wrapper';
COMMENT ON FUNCTION auth.get_user() IS
    'the current person as Supabase Auth''s GET /user returns them: what the database says now, not what the token said';

CREATE FUNCTION auth.get_user(access_token text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'get_user_of_wrapper';
COMMENT ON FUNCTION auth.get_user(text) IS
    'the person of an access token, as auth.get_user() shows them; takes one that is older than the person''s rights; refuses every other token that auth.set_session refuses, whatever role asks; makes nobody''s session the current one';

CREATE FUNCTION auth.update_user(access_token text, user_metadata jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'update_user_wrapper';
COMMENT ON FUNCTION auth.update_user(text, jsonb) IS
    'changes the user_metadata of an access token''s person, as the data of Supabase Auth''s PUT /user does; the members given replace those of the same name, null removes one; at most 4 kB in all. A token that is older than the person''s rights will do. Returns what auth.get_user() does';

CREATE FUNCTION auth.sign_out(access_token text, scope text DEFAULT 'global') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'sign_out_wrapper';
COMMENT ON FUNCTION auth.sign_out(text, text) IS
    'ends the sessions of an access token''s person from the next statement on: global (all), local (the token''s own) or others; says how many. The token''s own session must be there; the token may be older than the person''s rights, or have expired, by less than workos_auth.session_ttl';

-- A function and not a view: a condition that a query puts on a view may be tried on rows that are somebody else's.
CREATE FUNCTION auth.my_sessions(
    access_token text,
    OUT id uuid,
    OUT created_at timestamptz,
    OUT refreshed_at timestamptz,
    OUT not_after timestamptz,
    OUT ip inet,
    OUT user_agent text,
    OUT organization_id text,
    OUT connection_id text,
    OUT is_current boolean
) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'my_sessions_wrapper';
COMMENT ON FUNCTION auth.my_sessions(text) IS
    'the live sessions of an access token''s person, in every organization, the oldest first; is_current: the token''s own. ip and user_agent are what the backend passed when it was opened or last refreshed';
-- What auth.check() needs to know of the extension itself: its rows, and what it consists of.

-- The only part that reads rows, hence SECURITY DEFINER. It counts; what is too much is decided in auth.check().
CREATE FUNCTION auth.check_facts(OUT fact text, OUT subject text, OUT number bigint) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 5 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'days since the active key became active', k.kid,
        pg_catalog.floor(pg_catalog.date_part('day', pg_catalog.now() OPERATOR(pg_catalog.-) coalesce(k.activated_at, k.created_at)))::pg_catalog.int8
    FROM auth.signing_keys AS k WHERE k.status OPERATOR(pg_catalog.=) 'active'
    UNION ALL
    -- Nothing was signed with a retiring key once its successor was active. A visitor's key outlives a session's tokens.
    SELECT 'seconds since a retiring key was replaced', k.kid,
        pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.min(s.activated_at)))::pg_catalog.int8
    FROM auth.signing_keys AS k JOIN auth.signing_keys AS s ON s.activated_at OPERATOR(pg_catalog.>) coalesce(k.activated_at, k.created_at)
    WHERE k.status OPERATOR(pg_catalog.=) 'retiring' AND coalesce(k.visitors_until OPERATOR(pg_catalog.<) pg_catalog.now(), true)
    GROUP BY k.kid
    UNION ALL
    -- Not counted any further than it matters.
    SELECT 'sessions that expired a day ago', NULL, (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.sessions AS s
            WHERE s.not_after OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 1))
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'sign-ins that expired a day ago', NULL, (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.flow_states AS f
            WHERE f.expires_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 1))
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'sign-ins without a code challenge', NULL, (
        SELECT pg_catalog.count(*) FROM (SELECT FROM auth.flow_states AS f WHERE f.code_challenge IS NULL LIMIT 10001) AS few)
    UNION ALL
    SELECT 'failures of a task of the background worker', w.task, w.failures::pg_catalog.int8 FROM auth.worker_status AS w
    UNION ALL
    -- A restore that brought one table and not the other.
    SELECT 'rows of nobody', 'auth.sessions', (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.sessions AS o
            WHERE o.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'rows of nobody', 'auth.identities', (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.identities AS o
            WHERE o.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'rows of nobody', 'auth.organization_memberships', (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.organization_memberships AS o
            WHERE o.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)
            LIMIT 10001
        ) AS few)
    UNION ALL
    -- An address that went to a new account three times, each with another id of the identity provider, and the last time a week ago at most.
    SELECT 'addresses of three new accounts', s.connection_id, pg_catalog.count(*)
    FROM (
        SELECT r.connection_id, pg_catalog.max(r.created_at) AS last
        FROM (
            SELECT a.connection_id, a.user_id, a.created_at FROM auth.audit_log_entries AS a
            WHERE a.action OPERATOR(pg_catalog.=) 'email_released'
                AND a.created_at OPERATOR(pg_catalog.>) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 30))
            ORDER BY a.created_at DESC LIMIT 10000
        ) AS r JOIN auth.identities AS i ON i.user_id OPERATOR(pg_catalog.=) r.user_id AND i.connection_id OPERATOR(pg_catalog.=) r.connection_id
        GROUP BY r.connection_id, pg_catalog.lower(i.email COLLATE "C")
        HAVING pg_catalog.count(DISTINCT r.user_id) OPERATOR(pg_catalog.>=) 3
    ) AS s
    GROUP BY s.connection_id
    HAVING pg_catalog.max(s.last) OPERATOR(pg_catalog.>) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 7))
    UNION ALL
    -- Read as src/auth_hooks.rs reads it: what stands without quotes is in lower case. A name that is none was written past its trigger.
    SELECT 'owner of the function of a hook that had another owner', h.event, o.oid::pg_catalog.int8
    FROM auth.hooks AS h
        JOIN pg_catalog.pg_proc AS p ON p.pronargs OPERATOR(pg_catalog.=) 1 AND p.proargtypes[0] OPERATOR(pg_catalog.=) 'pg_catalog.jsonb'::pg_catalog.regtype
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) p.proowner
    WHERE CASE
        WHEN h.function OPERATOR(pg_catalog.~) '^("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\.("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)(\(jsonb\))?$'
        THEN pg_catalog.parse_ident(h.function, false) OPERATOR(pg_catalog.=) ARRAY[n.nspname::pg_catalog.text, p.proname::pg_catalog.text]
            AND o.rolname OPERATOR(pg_catalog.<>) h.function_owner
        ELSE false END
    UNION ALL
    -- A restore brings the row also where it leaves the function out.
    SELECT 'hook whose function is missing', h.event, NULL
    FROM auth.hooks AS h
    WHERE CASE
        WHEN h.function OPERATOR(pg_catalog.~) '^("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\.("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)(\(jsonb\))?$'
        THEN NOT EXISTS (
            SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
            WHERE p.pronargs OPERATOR(pg_catalog.=) 1 AND p.proargtypes[0] OPERATOR(pg_catalog.=) 'pg_catalog.jsonb'::pg_catalog.regtype
                AND pg_catalog.parse_ident(h.function, false) OPERATOR(pg_catalog.=) ARRAY[n.nspname::pg_catalog.text, p.proname::pg_catalog.text])
        ELSE false END
$$;
COMMENT ON FUNCTION auth.check_facts() IS 'what auth.check() asks of the rows in the extension''s tables: counts, ages, and hooks whose functions changed hands or are missing';

CREATE FUNCTION auth.check_copy() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_copy_wrapper';
COMMENT ON FUNCTION auth.check_copy() IS 'what auth.check() says of a database that is a copy of an installation; NULL where it is none';

CREATE FUNCTION auth.check_root_key(OUT name text, OUT finding text, OUT by_hand text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'check_root_key_wrapper';
COMMENT ON FUNCTION auth.check_root_key() IS 'what auth.check() says of a root key that does not open what is sealed; the name in auth.error_codes, the sentence, and what a person does then; no row where it does';

-- What the extension consists of: its functions, views and event triggers, and what belongs to its tables, which a dump does not carry.
-- Of each: state, what Postgres's catalogs say and every version says alike; printed, what this version prints of it; and restore, the one
-- statement that makes it as it is, whether it was changed or dropped. Rights and owners are looked at elsewhere.
CREATE FUNCTION auth.check_members(
    OUT kind text, OUT identity text, OUT relation text, OUT name text, OUT classid oid, OUT objid oid, OUT state jsonb, OUT printed text, OUT restore text
) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 400 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on AS $$
    WITH member AS (
        SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'workos_auth' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    ), our_table AS (
        SELECT c.oid, c.relkind FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
        WHERE c.relkind IN ('r', 'v')
    ), part (classid, objid, objsubid, relid, name, state, printed, restore) AS (
        SELECT m.classid, p.oid, 0, NULL::oid, p.proname, jsonb_build_object(
                'language', l.lanname, 'library', p.probin, 'symbol or source', p.prosrc, 'volatility', p.provolatile, 'parallel label', p.proparallel,
                'SECURITY DEFINER', p.prosecdef, 'strictness', p.proisstrict, 'leakproofness', p.proleakproof, 'return type', p.prorettype::regtype,
                'set or one', p.proretset, 'support function', p.prosupport, 'settings', p.proconfig, 'defaults', pg_get_expr(p.proargdefaults, 0)),
            NULL, CASE WHEN p.prokind <> 'a' THEN rtrim(pg_get_functiondef(p.oid), E'\n') || ';' END
        FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid JOIN pg_language AS l ON l.oid = p.prolang
        UNION ALL
        SELECT m.classid, v.oid, 0, NULL, v.relname, jsonb_build_object('options', v.reloptions, 'columns', (
                SELECT jsonb_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = v.oid)),
            pg_get_viewdef(v.oid), format('CREATE OR REPLACE VIEW %s AS %s', v.oid::regclass, pg_get_viewdef(v.oid))
        FROM member AS m JOIN pg_class AS v ON m.classid = 'pg_class'::regclass AND v.oid = m.objid WHERE v.relkind = 'v'
        UNION ALL
        SELECT m.classid, t.oid, 0, NULL, t.evtname, jsonb_build_object('event', t.evtevent, 'function', t.evtfoid::regprocedure, 'tags', t.evttags),
            NULL, format('DO %L;', format('BEGIN CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s; ALTER EXTENSION workos_auth ADD EVENT TRIGGER %I; END',
                t.evtname, t.evtevent, ' WHEN TAG IN (' || (SELECT string_agg(quote_literal(tag), ', ') FROM unnest(t.evttags) AS tag) || ')',
                t.evtfoid::regprocedure, t.evtname))
        FROM member AS m JOIN pg_event_trigger AS t ON m.classid = 'pg_event_trigger'::regclass AND t.oid = m.objid
        UNION ALL
        -- Whether it fires is looked at elsewhere.
        SELECT 'pg_trigger'::regclass, t.oid, 0, t.tgrelid, t.tgname, jsonb_build_object(
                'function', t.tgfoid::regprocedure, 'time', t.tgtype, 'columns', t.tgattr::text, 'arguments', encode(t.tgargs, 'hex'),
                'condition', t.tgqual IS NOT NULL, 'deferrability', t.tgdeferrable, 'names', concat(t.tgoldtable, ' ', t.tgnewtable)),
            NULL, format('DO %L;', format('BEGIN DROP TRIGGER IF EXISTS %I ON %s; %s;%s END', t.tgname, t.tgrelid::regclass, pg_get_triggerdef(t.oid),
                CASE WHEN t.tgenabled IN ('A', 'R') THEN format(' ALTER TABLE %s ENABLE %s TRIGGER %I;', t.tgrelid::regclass, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, t.tgname) END))
        FROM our_table AS o JOIN pg_trigger AS t ON t.tgrelid = o.oid WHERE NOT t.tgisinternal
        UNION ALL
        SELECT 'pg_policy'::regclass, p.oid, 0, p.polrelid, p.polname,
            jsonb_build_object('command', p.polcmd, 'permissiveness', p.polpermissive, 'roles', r.names), concat(e.using_text, ' ', e.check_text),
            format('DO %L;', format('BEGIN DROP POLICY IF EXISTS %I ON %s; CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s; END',
                p.polname, p.polrelid::regclass, p.polname, p.polrelid::regclass, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                r.names, ' USING (' || e.using_text || ')', ' WITH CHECK (' || e.check_text || ')'))
        FROM our_table AS o JOIN pg_policy AS p ON p.polrelid = o.oid
            CROSS JOIN LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS e (using_text, check_text)
            CROSS JOIN LATERAL (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ') FROM unnest(p.polroles) AS role) AS r (names)
        UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid, 0, r.ev_class, r.rulename, NULL, NULL, NULL
        FROM our_table AS o JOIN pg_rewrite AS r ON r.ev_class = o.oid
        UNION ALL
        SELECT 'pg_class'::regclass, a.attrelid, a.attnum, a.attrelid, a.attname,
            jsonb_build_object('type', format_type(a.atttypid, a.atttypmod), 'NOT NULL', a.attnotnull, 'generation', a.attgenerated),
            pg_get_expr(d.adbin, d.adrelid),
            format('ALTER TABLE %s ALTER COLUMN %I TYPE %s, ALTER COLUMN %I %s NOT NULL, ALTER COLUMN %I %s;', a.attrelid::regclass,
                a.attname, format_type(a.atttypid, a.atttypmod), a.attname, CASE WHEN a.attnotnull THEN 'SET' ELSE 'DROP' END,
                a.attname, coalesce('SET DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), 'DROP DEFAULT'))
        FROM our_table AS o JOIN pg_attribute AS a ON a.attrelid = o.oid LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE o.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        -- Not the NOT NULL constraints of Postgres 18, which an upgrade makes. Since 18 a constraint can be one that nobody enforces.
        SELECT 'pg_constraint'::regclass, c.oid, 0, c.conrelid, c.conname, jsonb_build_object(
                'kind', c.contype, 'deferrability', concat(c.condeferrable, c.condeferred), 'validity', c.convalidated,
                'enforcement', coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true), 'actions', concat(c.confupdtype, c.confdeltype),
                'columns', c.conkey::text, 'referenced table', c.confrelid::regclass),
            pg_get_constraintdef(c.oid),
            format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I, ADD CONSTRAINT %I %s;', c.conrelid::regclass, c.conname, c.conname, pg_get_constraintdef(c.oid))
        FROM our_table AS o JOIN pg_constraint AS c ON c.conrelid = o.oid WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
        UNION ALL
        -- The index of a constraint is the constraint's.
        SELECT 'pg_class'::regclass, i.indexrelid, 0, i.indrelid, c.relname, jsonb_build_object(
                'uniqueness', i.indisunique, 'validity', i.indisvalid, 'columns', i.indkey::text, 'condition', i.indpred IS NOT NULL),
            pg_get_indexdef(i.indexrelid),
            format('DO %L;', format('BEGIN DROP INDEX IF EXISTS %s; %s; END', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid)))
        FROM our_table AS o JOIN pg_index AS i ON i.indrelid = o.oid JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
    )
    SELECT i.type, CASE p.classid WHEN 'pg_proc'::regclass THEN p.objid::regprocedure::text ELSE i.identity END, p.relid::regclass::text, p.name, p.classid, p.objid, p.state, p.printed, p.restore
    FROM part AS p, pg_identify_object(p.classid, p.objid, p.objsubid) AS i
$$;
COMMENT ON FUNCTION auth.check_members() IS
    'functions, views and event triggers of the extension; columns, indexes, constraints, triggers, rules and policies of its tables; each with the statement that restores it; auth.check() compares them with auth.check_installed()';

-- Functions, views and event triggers are the extension's members and can only be changed or gone; what somebody adds to a table can be attached.
-- What Postgres prints is compared under the version alone that printed it.
CREATE FUNCTION auth.check_differences(
    OUT difference text, OUT kind text, OUT identity text, OUT relation text, OUT name text, OUT classid oid, OUT objid oid, OUT what text, OUT restore text
) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
    WITH member AS MATERIALIZED (SELECT m.* FROM auth.check_members() AS m),
    installed AS MATERIALIZED (SELECT i.* FROM auth.check_installed() AS i),
    changed AS (
        SELECT i.*, m.classid, m.objid, concat_ws(', ', (
                SELECT string_agg(k.key, ', ' ORDER BY k.key COLLATE "C") FROM jsonb_each(i.state) AS k WHERE k.value IS DISTINCT FROM m.state -> k.key
            ), CASE WHEN i.printed IS DISTINCT FROM m.printed AND i.version = current_setting('server_version_num')::integer / 10000 THEN 'text' END) AS what
        FROM installed AS i JOIN member AS m ON m.kind = i.kind AND m.identity = i.identity
        WHERE i.state IS DISTINCT FROM m.state OR i.printed IS DISTINCT FROM m.printed
    )
    SELECT 'changed', c.kind, c.identity, c.relation, c.name, c.classid, c.objid, c.what, c.restore FROM changed AS c WHERE c.what <> ''
    UNION ALL
    SELECT 'gone', i.kind, i.identity, i.relation, i.name, NULL, NULL, NULL, i.restore FROM installed AS i
    WHERE i.kind NOT IN ('table column', 'rule') AND NOT EXISTS (SELECT FROM member AS m WHERE m.kind = i.kind AND m.identity = i.identity)
    UNION ALL
    SELECT 'attached', m.kind, m.identity, m.relation, m.name, m.classid, m.objid, NULL, NULL FROM member AS m
    WHERE m.relation IS NOT NULL AND NOT EXISTS (SELECT FROM installed AS i WHERE i.kind = m.kind AND i.identity = m.identity)
$$;
COMMENT ON FUNCTION auth.check_differences() IS
    'what is not as auth.check_installed() says: changed, with what of it; gone; or attached to a table by somebody. An update refuses the first two, and goes on reporting the third';
-- Whom auth.check() looks at: the roles that requests of people run as, and what is unsafe in them.

CREATE FUNCTION auth.check_setting(setting text, value text, in_file boolean) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_setting_wrapper';
COMMENT ON FUNCTION auth.check_setting(text, text, boolean) IS
    'what is wrong with a setting of the extension as it is stored, in a catalog or in a configuration file; NULL where nothing is';

-- The settings that auth.check() judges, as they are in force for everybody (viewpoint 0) and for each role with settings of its own.
CREATE FUNCTION auth.check_settings(OUT viewpoint oid, OUT role oid, OUT database oid, OUT setting text, OUT value text, OUT rank integer) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
    -- What ALTER DATABASE and ALTER ROLE have planted in this database; the highest rank counts. What the library ignores is a finding of its own,
    -- in auth.check_stored_settings(), and the next rank counts.
    WITH planted AS (
        SELECT s.setrole AS role, s.setdatabase AS database, lower(split_part(c, '=', 1)) AS setting, substr(c, strpos(c, '=') + 1) AS value,
            CASE WHEN s.setrole <> 0 THEN 2 ELSE 0 END + CASE WHEN s.setdatabase <> 0 THEN 1 ELSE 0 END AS rank
        FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
        WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
            AND CASE WHEN c ~* '^workos_auth\.' THEN auth.check_setting(split_part(c, '=', 1), substr(c, strpos(c, '=') + 1), false) IS NULL ELSE true END
    ),
    -- What stands below that: the configuration file, or the default. It can be seen only while nothing covers it. SET in the caller's own
    -- session is nobody else's concern: what RESET would bring back is looked at then.
    configured AS (
        SELECT 0::oid AS role, 0::oid AS database, s.name AS setting, CASE s.source WHEN 'session' THEN s.reset_val ELSE s.setting END AS value,
            CASE s.source WHEN 'command line' THEN -2 ELSE -1 END AS rank
        FROM pg_settings AS s
        WHERE s.source IN ('default', 'override', 'environment variable', 'configuration file', 'command line')
            OR s.source = 'session' AND NOT EXISTS (
                SELECT FROM planted AS p WHERE p.setting = s.name AND (p.role = 0 OR p.role = to_regrole(quote_ident(session_user)))
            )
    ),
    viewpoint AS (SELECT 0::oid AS role UNION SELECT p.role FROM planted AS p)
    SELECT DISTINCT ON (v.role, s.setting) v.role, s.role, s.database, s.setting, s.value, s.rank
    FROM viewpoint AS v JOIN (TABLE planted UNION ALL TABLE configured) AS s ON s.role IN (0, v.role)
    WHERE s.setting ~ '^(workos_auth|log|auto_explain|pgaudit)[._]'
    ORDER BY v.role, s.setting, s.rank DESC
$$;
COMMENT ON FUNCTION auth.check_settings() IS 'settings as they are in force in this database, for everybody and for roles with settings of their own';

-- Which role can be, or act with the rights of, which other. Since Postgres 16 each membership says so itself: SET lets the member be the
-- role, INHERIT gives it the rights, and ADMIN lets it give itself what it lacks. A role that is inherited passes on rights alone. Before, all
-- memberships let the member be the role, and the member's attribute INHERIT counts for all.
CREATE FUNCTION auth.check_becomes(OUT member oid, OUT role oid, OUT fully boolean) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE membership AS (
        SELECT m.member, m.roleid AS role, m.admin_option AS admin, coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS set,
            coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) AS inherit
        FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member
    ),
    becomes (member, role, fully) AS (
        SELECT r.oid, r.oid, true FROM pg_roles AS r WHERE NOT r.rolsuper
        UNION
        SELECT b.member, m.role, m.admin OR b.fully AND m.set FROM becomes AS b JOIN membership AS m ON m.member = b.role
        WHERE m.admin OR b.fully AND m.set OR m.inherit
    )
    SELECT b.member, b.role, bool_or(b.fully) FROM becomes AS b GROUP BY b.member, b.role
$$;
COMMENT ON FUNCTION auth.check_becomes() IS
    'roles, and the roles that they can become (fully: by SET ROLE, or by granting it to themselves) or have the rights of';

-- Whoever a person's request may run as: everybody (0); the roles of workos_auth.allowed_roles; backends, whom auth.grant_sign_in was called
-- for, and who inherits from one; whoever connects as PostgREST's authenticator does, without the rights of the roles that it becomes; and all
-- that these can become. A backend that can switch to a role for people is meant to: what it reaches itself is less grave. A role that they can
-- only become and that has BYPASSRLS, such as service_role, is bound: it reaches everything anyway and is one finding by itself, as a superuser is.
CREATE FUNCTION auth.check_people(
    OUT oid oid, OUT name name, OUT is_allowed boolean, OUT is_backend boolean, OUT connects boolean, OUT switches boolean, OUT is_bound boolean
) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH setting AS MATERIALIZED (SELECT s.viewpoint, s.value FROM auth.check_settings() AS s WHERE s.setting = 'workos_auth.allowed_roles'),
    allowed AS MATERIALIZED (
        SELECT r.oid FROM pg_roles AS r
        WHERE r.rolname IN (
            SELECT btrim(name) FROM (
                SELECT s.value FROM setting AS s
                UNION SELECT current_setting('workos_auth.allowed_roles') WHERE NOT EXISTS (SELECT FROM setting AS s WHERE s.viewpoint = 0)
            ) AS list (value), regexp_split_to_table(list.value, ',') AS name
        )
    ),
    granted AS (
        SELECT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
        WHERE p.oid = to_regprocedure('auth.exchange_code(text, text, text, inet, text)') AND acl.grantee NOT IN (p.proowner, 0)
    ),
    becomes AS (SELECT b.* FROM auth.check_becomes() AS b),
    role AS (
        SELECT r.oid, r.rolname, r.rolbypassrls, r.oid IN (SELECT a.oid FROM allowed AS a) AS is_allowed,
            coalesce(has_function_privilege(r.oid, to_regprocedure('auth.exchange_code(text, text, text, inet, text)'), 'EXECUTE'), false) AS is_backend,
            r.rolcanlogin AND EXISTS (
                SELECT FROM becomes AS b
                WHERE b.member = r.oid AND b.role <> r.oid AND b.fully AND NOT pg_has_role(r.oid, b.role, 'USAGE')
                    AND (b.role IN (SELECT a.oid FROM allowed AS a) OR b.role IN (SELECT g.oid FROM granted AS g))
            ) AS connects
        FROM pg_roles AS r WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND r.rolname NOT IN ('workos_auth_owner', 'workos_auth_nobody')
    ),
    first AS (SELECT r.oid FROM role AS r WHERE r.is_allowed OR r.is_backend OR r.connects)
    SELECT 0::oid, 'public'::name, true, false, false, false, true
    UNION ALL
    SELECT r.oid, r.rolname, r.is_allowed, r.is_backend, r.connects,
        NOT r.is_allowed AND EXISTS (SELECT FROM becomes AS b WHERE b.member = r.oid AND b.fully AND b.role IN (SELECT a.oid FROM allowed AS a)),
        NOT r.rolbypassrls OR r.oid IN (SELECT f.oid FROM first AS f)
    FROM role AS r
    WHERE r.oid IN (SELECT b.role FROM becomes AS b JOIN first AS f ON f.oid = b.member WHERE b.fully)
$$;
COMMENT ON FUNCTION auth.check_people() IS 'the roles that a request of a person may run as';

-- A membership is taken back from each who gave it: since Postgres 16, one row of pg_auth_members a grantor, and what rests on it.
CREATE FUNCTION auth.check_leave(role oid, member oid, grantor oid) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('REVOKE %s FROM %s%s;', role::regrole, member::regrole,
        CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN format(' GRANTED BY %s CASCADE', grantor::regrole) END)
$$;
COMMENT ON FUNCTION auth.check_leave(oid, oid, oid) IS 'the statement that ends a membership';

-- What is unsafe in roles: those that row-level security does not bind, that can become one, that read the root key's file, administer, or broker.
CREATE FUNCTION auth.check_roles(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    WITH person AS (SELECT p.* FROM auth.check_people() AS p),
    becomes AS (SELECT b.* FROM auth.check_becomes() AS b),
    administrator AS (
        SELECT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
        WHERE p.oid = to_regprocedure('auth.configure_workos(text, text, text, text, text, boolean)') AND acl.grantee <> p.proowner
    ),
    broker AS (
        SELECT DISTINCT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
        WHERE p.oid = to_regprocedure('auth.exchange_answer(uuid, integer, jsonb, text, text, inet, text)') AND acl.grantee NOT IN (p.proowner, 0)
    ),
    -- Superusers among them are no persons, since nothing that they reach is a finding.
    role AS (
        SELECT r.*, quote_ident(d.datname) AS database, r.oid::regrole::text AS name,
            coalesce(p.is_allowed, r.rolname IN (SELECT btrim(n) FROM auth.check_settings() AS s, regexp_split_to_table(s.value, ',') AS n
                WHERE s.setting = 'workos_auth.allowed_roles')) AS is_allowed,
            coalesce(p.is_backend, EXISTS (SELECT FROM pg_proc AS f, aclexplode(f.proacl) AS acl
                WHERE f.oid = to_regprocedure('auth.exchange_code(text, text, text, inet, text)') AND acl.grantee = r.oid AND r.oid <> f.proowner)) AS is_backend,
            coalesce(p.connects, false) AS connects, p.oid IS NOT NULL AS is_person
        FROM pg_database AS d, pg_roles AS r LEFT JOIN person AS p ON p.oid = r.oid
        WHERE d.datname = current_database()
    ),
    described AS (
        SELECT r.*, CASE WHEN r.is_allowed THEN 'People act as it' WHEN r.is_backend THEN 'It signs people in'
            WHEN r.connects THEN 'It connects for people' ELSE 'Requests of people can come to run as it' END AS who
        FROM role AS r WHERE r.is_allowed OR r.is_backend OR r.is_person
    ),
    -- The memberships by which a person, or what a person can become, gets at a role that is more than it should be.
    danger AS (
        SELECT d.name, d.who, t.oid::regrole::text AS target, t.rolsuper, t.rolbypassrls, t.rolname, a.oid IS NOT NULL AS administers,
            m.roleid, m.member, m.grantor,
            bool_or(s.is_allowed) AS is_allowed, bool_or(s.is_bound AND (s.is_allowed OR NOT s.is_backend AND NOT s.connects)) AS is_request,
            bool_or(m.admin OR b.fully AND m.set) AS fully
        FROM person AS s JOIN becomes AS b ON b.member = s.oid
            JOIN (
                SELECT m.member, m.roleid, m.grantor, m.admin_option AS admin, coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS set,
                    coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) AS inherit
                FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member
                WHERE NOT r.rolsuper
            ) AS m ON m.member = b.role AND (m.admin OR b.fully AND m.set OR m.inherit)
            JOIN pg_roles AS t ON t.oid = m.roleid
            LEFT JOIN administrator AS a ON a.oid = t.oid
            JOIN (
                SELECT r.oid, r.oid::regrole::text AS name, coalesce(d.who, 'People can get at it') AS who FROM pg_roles AS r LEFT JOIN described AS d ON d.oid = r.oid
            ) AS d ON d.oid = m.member
        WHERE t.rolsuper OR t.rolbypassrls OR a.oid IS NOT NULL
            OR t.rolname IN ('pg_read_server_files', 'pg_execute_server_program', 'pg_read_all_data', 'pg_write_all_data')
        GROUP BY d.name, d.who, t.oid, t.rolsuper, t.rolbypassrls, t.rolname, a.oid, m.roleid, m.member, m.grantor
    )
    SELECT 'error', r.name, format('%s, and it is %s: row-level security does not bind it.', r.who, CASE WHEN r.rolsuper THEN 'a superuser' ELSE 'BYPASSRLS' END),
        CASE
            -- Postgres wants to keep its first superuser.
            WHEN r.oid = 10 AND r.is_allowed THEN format('ALTER DATABASE %s SET workos_auth.allowed_roles = ''authenticated'';', r.database)
            WHEN r.oid = 10 THEN format('SELECT auth.revoke_sign_in(%L);', r.name)
            ELSE format('ALTER ROLE %s%s%s;', r.name, CASE WHEN r.rolsuper THEN ' NOSUPERUSER' END, CASE WHEN r.rolbypassrls THEN ' NOBYPASSRLS' END)
        END
    FROM described AS r WHERE (r.rolsuper OR r.rolbypassrls) AND (r.is_allowed OR r.is_backend OR r.connects)
    UNION ALL
    -- Postgres 16 bounds what CREATEROLE can do to the roles that it made.
    SELECT 'error', r.name, format('%s, and it is CREATEROLE: it can make itself a member of every role that is no superuser.', r.who),
        format('ALTER ROLE %s NOCREATEROLE;', r.name)
    FROM described AS r WHERE r.rolcreaterole AND NOT r.rolsuper AND current_setting('server_version_num')::integer < 160000
    UNION ALL
    SELECT CASE WHEN f.severity = 'bypass' THEN CASE WHEN d.is_allowed THEN 'error' ELSE 'info' END ELSE f.severity END, d.name, f.finding, 
        auth.check_leave(d.roleid, d.member, d.grantor)
    FROM danger AS d CROSS JOIN LATERAL (VALUES
        (d.fully AND d.rolsuper, 'error', format('%s, and it can become %s, which row-level security does not bind.', d.who, d.target)),
        -- Supabase's service_role is that, and is meant to be. Where the role itself is a finding, its members are none.
        (d.fully AND d.rolbypassrls AND NOT d.rolsuper AND d.roleid NOT IN (SELECT r.oid FROM described AS r WHERE r.is_allowed OR r.is_backend OR r.connects), 'bypass',
            format('%s, and it can become %s, which row-level security does not bind.', d.who, d.target)),
        (d.rolname IN ('pg_read_server_files', 'pg_execute_server_program'), 'error',
            format('%s, and as a member of %s it can read the root key from the server''s files.', d.who, d.target)),
        (d.is_request AND d.rolname IN ('pg_read_all_data', 'pg_write_all_data'), 'warning',
            format('%s, and %s lets it at all that row-level security does not bind.', d.who, d.target)),
        (d.is_allowed AND d.administers, 'error', format('%s, and as a member of %s it may configure WorkOS and grant sign-in.', d.who, d.target))
    ) AS f (matches, severity, finding)
    WHERE f.matches
    UNION ALL
    SELECT 'error', r.name, 'People act as it, and it may configure WorkOS and grant sign-in.', format('SELECT auth.revoke_admin(%L);', r.name)
    FROM described AS r WHERE r.is_allowed AND r.oid IN (SELECT a.oid FROM administrator AS a)
    UNION ALL
    -- Meant, where somebody called auth.grant_broker for a gateway; never for a role that people act as.
    SELECT CASE WHEN bool_or(r.is_allowed) THEN 'error' ELSE 'info' END, k.oid::regrole::text,
        format('It may broker: it says in WorkOS''s place who somebody is, and so can sign in as anybody, and it sees WorkOS''s API key%s.',
            '; so can ' || string_agg(DISTINCT r.name, ', ') FILTER (WHERE r.oid <> k.oid)),
        format('SELECT auth.revoke_broker(%L);', k.oid::regrole)
    FROM broker AS k LEFT JOIN becomes AS b ON b.role = k.oid JOIN role AS r ON r.oid = coalesce(b.member, k.oid)
    GROUP BY k.oid
    UNION ALL
    SELECT 'error', m.member::regrole::text,
        format('It is a member of %s: %s.', m.roleid::regrole, CASE
            WHEN to_regrole('workos_auth_nobody') IN (m.roleid, m.member) THEN 'triggers of other tables'' owners run as workos_auth_nobody, which is to have no rights and nobody in it'
            ELSE 'whoever has the owner''s rights reads every table of the extension' END),
        auth.check_leave(m.roleid, m.member, m.grantor)
    FROM pg_auth_members AS m
    WHERE 'workos_auth_owner'::regrole IN (m.roleid, m.member) OR to_regrole('workos_auth_nobody') IN (m.roleid, m.member)
    UNION ALL
    SELECT 'error', 'workos_auth_nobody', 'The role is gone: nobody signs in or out, and nobody can be removed.', 'CREATE ROLE workos_auth_nobody NOLOGIN NOINHERIT;'
    WHERE to_regrole('workos_auth_nobody') IS NULL
    UNION ALL
    SELECT 'error', r.rolname, format('It has attributes, so that what runs as it can do more than %s.',
            CASE r.rolname WHEN 'workos_auth_owner' THEN 'its tables need' ELSE 'nothing' END),
        format('ALTER ROLE %I NOLOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;', r.rolname)
    FROM pg_roles AS r
    WHERE r.rolname IN ('workos_auth_owner', 'workos_auth_nobody')
        AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolcanlogin OR r.rolreplication OR r.rolbypassrls OR r.rolinherit)
$$;
COMMENT ON FUNCTION auth.check_roles() IS 'the part of auth.check() about roles';
-- What auth.check() reads in the text of functions. Bodies are text, of which Postgres keeps no dependencies, so names are looked for; every look
-- is linear in the text, which may be as long as its owner likes, and how many names are followed is bounded.

-- The functions that believe request.jwt.claims or request.headers, which whoever can send SQL can set: those whose text names them, and
-- those that call one, over three calls at most. Not those of Postgres and of extensions.
CREATE FUNCTION auth.check_believers(OUT routine oid) RETURNS SETOF oid
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH body AS MATERIALIZED (
        -- The text of a function with a body in the SQL standard's way stands elsewhere.
        SELECT p.oid, lower(p.proname) AS name, replace(lower(CASE WHEN p.prosrc = '' AND p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END), '"', '') AS text
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_language AS l ON l.oid = p.prolang
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND l.lanname NOT IN ('c', 'internal')
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    ),
    named AS MATERIALIZED (
        SELECT b.oid, b.name FROM body AS b WHERE strpos(b.text, 'request.jwt') > 0 OR strpos(b.text, 'request.headers') > 0
    ),
    -- A name counts where it is called. It is looked for as plain text first, which costs next to nothing.
    first AS MATERIALIZED (
        SELECT b.oid, b.name FROM body AS b
        WHERE EXISTS (SELECT FROM (SELECT DISTINCT n.name FROM named AS n LIMIT 100) AS n
            WHERE strpos(b.text, n.name) > 0 AND b.text ~ format('(^|[^[:alnum:]_$])%s\s*\(', regexp_replace(n.name, '([^[:alnum:]_])', '\\\1', 'g')))
    ),
    second AS MATERIALIZED (
        SELECT b.oid, b.name FROM body AS b
        WHERE EXISTS (SELECT FROM (SELECT DISTINCT n.name FROM first AS n LIMIT 100) AS n
            WHERE strpos(b.text, n.name) > 0 AND b.text ~ format('(^|[^[:alnum:]_$])%s\s*\(', regexp_replace(n.name, '([^[:alnum:]_])', '\\\1', 'g')))
    ),
    third AS (
        SELECT b.oid FROM body AS b
        WHERE EXISTS (SELECT FROM (SELECT DISTINCT n.name FROM second AS n LIMIT 100) AS n
            WHERE strpos(b.text, n.name) > 0 AND b.text ~ format('(^|[^[:alnum:]_$])%s\s*\(', regexp_replace(n.name, '([^[:alnum:]_])', '\\\1', 'g')))
    )
    SELECT n.oid FROM named AS n UNION SELECT f.oid FROM first AS f UNION SELECT s.oid FROM second AS s UNION SELECT t.oid FROM third AS t
$$;
COMMENT ON FUNCTION auth.check_believers() IS 'functions of the application that believe request.jwt.claims or request.headers, by themselves or through what they call';

-- Comparisons that visitors slip through, in the text of a policy or function: what excludes by auth.role(), which without a session is the
-- database role, or anon; whether it does no more than to raise an error for everybody but one role, which is closed; and guards that compare a
-- reader that is NULL without a session, so that IF is not true. What is matched has lost its blanks, parentheses and quotes of names.
CREATE FUNCTION auth.check_comparisons(text text, OUT excludes boolean, OUT raises boolean, OUT opens boolean)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT x.excludes, x.excludes AND regexp_replace(t.text,
            '(auth\.role(asrole)?(::[a-z]+)?(<>|!=|isdistinctfrom|notin)(''[^'']{0,63}''(::[a-z]+)?,?){1,10}|''[^'']{0,63}''(::[a-z]+)?(<>|!=|isdistinctfrom)auth\.role(::[a-z]+)?)thenraise',
            '', 'g') !~ r.excluding,
        strpos(t.text, 'ifauth.') > 0 AND t.text ~ ('ifauth\.' || r.reader || '(<>|!=)')
            OR strpos(t.text, 'then') > 0 AND t.text ~ ('(<>|!=)auth\.' || r.reader || 'then')
    FROM (SELECT translate(lower(text), E'()" \t\r\n', '')) AS s (text)
        -- IS NOT DISTINCT FROM is printed as NOT … IS DISTINCT FROM.
        CROSS JOIN LATERAL (SELECT CASE WHEN strpos(s.text, 'isdistinctfrom') = 0 THEN s.text
            ELSE regexp_replace(s.text, 'not(auth\.role(asrole)?(::[a-z]+)?)isdistinctfrom', '\1=', 'g') END) AS t (text),
        (VALUES (
            'auth\.role(asrole)?(,''[^'']{0,63}'')?(::[a-z]+)?(<>|!=|notin|isdistinctfrom)|(<>|!=|isdistinctfrom)(all)?(select)?(coalesce)?auth\.role'
            '|not(select)?(coalesce)?auth\.role(asrole)?(,''[^'']{0,63}'')?(::[a-z]+)?(=|in)',
            '(uid|email|session_id|organization_id|connection_id|(jwt|session_claims)(#?->>?''[^'']{0,63}''){1,4})(::[a-z]+)?'
        )) AS r (excluding, reader)
        CROSS JOIN LATERAL (SELECT strpos(t.text, 'auth.role') > 0 AND t.text ~ r.excluding) AS x (excludes)
$$;
COMMENT ON FUNCTION auth.check_comparisons(text) IS 'whether a text compares auth.role() by exclusion, or guards with a reader that is NULL without a session';

-- Functions that run with more rights than the person who calls them, and decide by what anybody can say.
CREATE FUNCTION auth.check_functions(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    WITH person AS (SELECT p.* FROM auth.check_people() AS p WHERE p.is_bound),
    definer AS (
        SELECT p.oid, p.proowner, p.proacl, c.excludes, c.raises, c.opens AND strpos(lower(p.prosrc), 'is null') = 0 AS opens,
            p.oid IN (SELECT b.routine FROM auth.check_believers() AS b) AS believes, w.severity, w.who
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
            CROSS JOIN LATERAL auth.check_comparisons(CASE WHEN p.prosrc = '' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END) AS c
            CROSS JOIN LATERAL (
                SELECT CASE WHEN bool_and(s.switches) THEN 'warning' ELSE 'error' END,
                    CASE WHEN bool_or(s.oid = 0) THEN 'Everybody' ELSE string_agg(quote_ident(s.name), ', ' ORDER BY s.name) END
                FROM person AS s
                WHERE has_schema_privilege(s.name, n.oid, 'USAGE') AND has_function_privilege(s.name, p.oid, 'EXECUTE')
                    AND (s.oid = 0 OR NOT pg_has_role(s.oid, p.proowner, 'USAGE'))
            ) AS w (severity, who)
        WHERE p.prosecdef AND p.prokind IN ('f', 'p') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
            AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND w.who IS NOT NULL
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    )
    SELECT CASE f.severity WHEN 'error' THEN d.severity ELSE f.severity END, d.oid::regprocedure::text, f.finding, r.statement
    FROM definer AS d CROSS JOIN LATERAL (VALUES
        (d.believes, 'error', format('%s may call it, it runs with the rights of %s, and it believes request.jwt.claims or request.headers, '
            'which whoever can send SQL can set: read auth.uid(), auth.jwt() and their like.', d.who, d.proowner::regrole)),
        (d.excludes AND NOT d.raises, 'warning', format('%s may call it, and it compares auth.role() by exclusion: '
            'without a session that is the database role, or anon; name the roles that may.', d.who)),
        (d.raises, 'info', format('%s may call it, and auth.role() decides who is refused: '
            'whoever connects as the one role that it lets through passes without a session.', d.who)),
        (d.opens, 'warning', format('%s may call it, and its IF compares a reader that is NULL without a session, so that nobody is refused then: '
            'compare with IS DISTINCT FROM.', d.who))
    ) AS f (matches, severity, finding)
        -- Who gave the right on may have given it to others too: taken with it.
        CROSS JOIN LATERAL (
            SELECT format('REVOKE ALL ON ROUTINE %s FROM %s%s;', d.oid::regprocedure, string_agg(DISTINCT r.name, ', '),
                CASE WHEN bool_or(acl.grantor <> d.proowner) THEN ' CASCADE' END)
            FROM aclexplode(coalesce(d.proacl, acldefault('f', d.proowner))) AS acl
                CROSS JOIN LATERAL (SELECT CASE g WHEN 0 THEN 'PUBLIC' ELSE g::regrole::text END
                    FROM (VALUES (acl.grantee), (acl.grantor)) AS v (g) WHERE g <> d.proowner) AS r (name)
            WHERE acl.grantee <> d.proowner AND (acl.grantee = 0 OR EXISTS (
                SELECT FROM person AS s WHERE s.oid <> 0 AND pg_has_role(s.oid, acl.grantee, 'USAGE')))
        ) AS r (statement)
    WHERE f.matches
$$;
COMMENT ON FUNCTION auth.check_functions() IS 'the part of auth.check() about SECURITY DEFINER functions';
-- What auth.check() says of the extension's own objects: whether they are what was installed, who has rights on them, and what others have
-- attached to them.
CREATE FUNCTION auth.check_own(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $check$
WITH own AS (
    SELECT d.classid, d.objid, e.oid AS extension FROM pg_extension AS e JOIN pg_depend AS d
        ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    WHERE e.extname = 'workos_auth'
),
own_relation AS (SELECT c.* FROM own AS o JOIN pg_class AS c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid),

-- WHAT IT CONSISTS OF -------------------------------------------------------------------------------------------------------------

difference AS MATERIALIZED (SELECT d.* FROM auth.check_differences() AS d),

-- WHO HAS RIGHTS ------------------------------------------------------------------------------------------------------------------

right_of AS (
    SELECT r.bundle, split_part(r.privilege, ' ', 1) AS privilege, c.name AS column_name, k.kind, n.name, CASE k.kind
            WHEN 'FUNCTION' THEN to_regprocedure(n.name)::oid
            WHEN 'TABLE' THEN to_regclass(n.name)::oid
            WHEN 'TYPE' THEN to_regtype(n.name)::oid
            WHEN 'SCHEMA' THEN to_regnamespace(n.name)::oid END AS oid
    FROM auth.rights() AS r
        CROSS JOIN LATERAL (SELECT split_part(r.object, ' ', 1)) AS k (kind)
        CROSS JOIN LATERAL (SELECT substr(r.object, strpos(r.object, ' ') + 1)) AS n (name)
        -- A right on columns is as many rows.
        LEFT JOIN LATERAL regexp_split_to_table(substring(r.privilege FROM '\((.*)\)'), ', ') AS c (name) ON true
),
acl AS (
    SELECT x.kind, x.oid, x.name, x.owner, a.grantee, a.grantor, a.privilege_type AS privilege, a.is_grantable, x.column_name,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee_name
    FROM (
        SELECT 'FUNCTION', p.oid, p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), NULL::text
        FROM own AS o JOIN pg_proc AS p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
        UNION ALL
        SELECT 'TABLE', c.oid, c.oid::regclass::text, c.relowner, coalesce(c.relacl, acldefault('r', c.relowner)), NULL FROM own_relation AS c WHERE c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'TABLE', c.oid, c.oid::regclass::text, c.relowner, a.attacl, quote_ident(a.attname)
        FROM own_relation AS c JOIN pg_attribute AS a ON a.attrelid = c.oid WHERE c.relkind IN ('r', 'v') AND a.attacl IS NOT NULL
        UNION ALL
        -- An array's rights are its element's. The row type of a table is left as Postgres makes it.
        SELECT 'TYPE', t.oid, t.oid::regtype::text, t.typowner,
            coalesce(t.typacl, CASE WHEN t.typrelid NOT IN (SELECT c.oid FROM own_relation AS c) THEN acldefault('T', t.typowner) END), NULL
        FROM pg_type AS t
        WHERE t.typcategory <> 'A'
            AND (t.oid IN (SELECT o.objid FROM own AS o WHERE o.classid = 'pg_type'::regclass) OR t.typrelid IN (SELECT c.oid FROM own_relation AS c))
        UNION ALL
        SELECT 'SCHEMA', n.oid, n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)), NULL FROM pg_namespace AS n WHERE n.nspname = 'auth'
    ) AS x (kind, oid, name, owner, acl, column_name), aclexplode(x.acl) AS a
    WHERE a.grantee <> x.owner
),
-- Whom a bundle was given.
holder AS (
    SELECT h.bundle, h.grantee, h.grantee::regrole::text AS grantee_name FROM auth.check_holders() AS h
    UNION ALL
    SELECT 'everyone', 0, 'PUBLIC'
    UNION ALL
    SELECT 'server_files', 'pg_write_server_files'::regrole, 'pg_write_server_files'
),
-- What somebody has and nobody gave by the list. REFERENCES on auth.users is for whoever builds tables on it; a replication's role reads what
-- it copies.
extra AS (
    SELECT a.* FROM acl AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    -- What Postgres gives to everybody on a table's row type, which is nothing without the table.
    WHERE NOT (a.kind = 'TYPE' AND a.grantee = 0 AND a.oid IN (SELECT c.reltype FROM own_relation AS c)) AND NOT EXISTS (
            SELECT FROM right_of AS r WHERE r.oid = a.oid AND r.kind = a.kind AND r.privilege = a.privilege AND coalesce(r.column_name = a.column_name, r.column_name IS NULL)
                AND (r.bundle = 'everyone' OR EXISTS (SELECT FROM holder AS h WHERE h.bundle = r.bundle AND h.grantee = a.grantee)))
        AND NOT (a.kind = 'TABLE' AND a.oid = to_regclass('auth.users') AND a.privilege = 'REFERENCES' AND a.grantee <> 0)
        AND NOT (a.kind = 'TABLE' AND a.privilege = 'SELECT' AND coalesce(r.rolreplication, false))
),
-- What the owner gave is taken back, and what rests on it; what another gave, with the right to give it, which may be on the whole table where
-- what was given is on a column.
revoke_plain AS (
    SELECT e.kind, e.oid, e.name, e.grantee, e.grantee_name, bool_or(e.privilege IN ('TRUNCATE', 'TRIGGER')) AS is_grave,
        string_agg(DISTINCT p.privilege, ', ' ORDER BY p.privilege) AS privileges,
        format('REVOKE %s%s ON %s %s FROM %s%s;', CASE WHEN e.grantor <> e.owner THEN 'GRANT OPTION FOR ' END,
            string_agg(DISTINCT p.privilege, ', ' ORDER BY p.privilege), e.kind, e.name,
            CASE WHEN e.grantor <> e.owner THEN e.grantor::regrole::text ELSE e.grantee_name END,
            CASE WHEN e.grantor <> e.owner OR EXISTS (SELECT FROM acl AS a WHERE a.kind = e.kind AND a.oid = e.oid AND a.grantor = e.grantee) THEN ' CASCADE' END
        ) AS statement
    FROM extra AS e CROSS JOIN LATERAL (
        SELECT e.privilege || coalesce(' (' || e.column_name || ')', '')
        WHERE e.grantor = e.owner OR e.column_name IS NULL OR EXISTS (
            SELECT FROM acl AS a WHERE a.kind = e.kind AND a.oid = e.oid AND a.grantee = e.grantor AND a.privilege = e.privilege AND a.column_name = e.column_name AND a.is_grantable)
        UNION ALL
        SELECT e.privilege WHERE e.grantor <> e.owner AND e.column_name IS NOT NULL AND EXISTS (
            SELECT FROM acl AS a WHERE a.kind = e.kind AND a.oid = e.oid AND a.grantee = e.grantor AND a.privilege = e.privilege AND a.column_name IS NULL AND a.is_grantable)
    ) AS p (privilege)
    GROUP BY e.kind, e.oid, e.name, e.owner, e.grantee, e.grantee_name, e.grantor
),
-- A right on the whole table takes those on its columns along, which an administrator is to have.
revoke AS (
    SELECT r.kind, r.oid, r.name, r.grantee, r.grantee_name, r.is_grave, r.privileges,
        CASE WHEN b.statement IS NULL THEN r.statement ELSE format('DO %L;', format('BEGIN %s %s END', r.statement, b.statement)) END AS statement
    FROM revoke_plain AS r LEFT JOIN LATERAL (
        SELECT string_agg(format('GRANT %s (%s) ON TABLE %s TO %s;', c.privilege, c.columns, r.name, r.grantee_name), ' ' ORDER BY c.privilege)
        FROM (
            SELECT g.privilege, string_agg(g.column_name, ', ')
            FROM right_of AS g JOIN holder AS h ON h.bundle = g.bundle AND h.grantee = r.grantee
            WHERE g.kind = r.kind AND g.oid = r.oid AND g.column_name IS NOT NULL AND g.privilege = ANY (string_to_array(r.privileges, ', '))
            GROUP BY g.privilege
        ) AS c (privilege, columns)
    ) AS b (statement) ON true
),
lacking AS (
    SELECT h.bundle, h.grantee_name, r.kind, r.privilege, string_agg(DISTINCT r.name COLLATE "C", ', ' ORDER BY r.name COLLATE "C") AS names, count(DISTINCT r.name) AS number
    FROM holder AS h JOIN right_of AS r ON r.bundle = h.bundle
    WHERE (r.kind = 'SCHEMA' OR r.oid IN (SELECT o.objid FROM own AS o)) AND NOT EXISTS (
        SELECT FROM acl AS a WHERE a.kind = r.kind AND a.oid = r.oid AND a.privilege = r.privilege AND a.grantee IN (h.grantee, 0)
            AND coalesce(a.column_name = r.column_name, a.column_name IS NULL)
    )
    GROUP BY h.bundle, h.grantee_name, r.kind, r.privilege
),

-- WHAT OTHERS HAVE ATTACHED -------------------------------------------------------------------------------------------------------

-- By whose hand what is attached calls a function: one that is no SECURITY DEFINER runs as whoever writes the row. For the extension's own
-- statements that is workos_auth_nobody, by hand it is an administrator or a superuser.
attached AS (
    SELECT m.*, (
            SELECT min(r.rolname) FROM pg_depend AS d JOIN pg_proc AS p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid JOIN pg_roles AS r ON r.oid = p.proowner
            WHERE NOT p.prosecdef AND NOT r.rolsuper AND r.rolname <> 'workos_auth_owner' AND (
                d.classid = m.classid AND d.objid = m.objid AND m.kind <> 'table column'
                OR m.kind = 'table column' AND d.classid = 'pg_attrdef'::regclass AND d.objid IN (
                    SELECT f.oid FROM pg_attrdef AS f JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
                    WHERE f.adrelid = m.objid AND a.attname = m.name))
        ) AS hand
    FROM difference AS m WHERE m.difference = 'attached'
),
-- Referential integrity compares as the owner of the referenced table, and casts first where the types differ: the cast may be anybody's code.
foreign_key AS (
    SELECT DISTINCT ON (c.oid) c.oid, c.conname, c.conrelid, a.attname, format_type(a.atttypid, a.atttypmod) AS type, t.attname AS target, f.oid AS relation, t.atttypid::regtype AS target_type
    FROM own_relation AS f JOIN pg_constraint AS c ON c.contype = 'f' AND c.confrelid = f.oid AND c.conparentid = 0
        CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (source, target)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.source
        JOIN pg_attribute AS t ON t.attrelid = c.confrelid AND t.attnum = k.target
        CROSS JOIN LATERAL (
            WITH RECURSIVE base AS (
                SELECT y.oid, y.typtype, y.typbasetype FROM pg_type AS y WHERE y.oid = a.atttypid
                UNION ALL SELECT y.oid, y.typtype, y.typbasetype FROM base AS b JOIN pg_type AS y ON y.oid = b.typbasetype WHERE b.typtype = 'd'
            ) SELECT b.oid FROM base AS b WHERE b.typtype <> 'd'
        ) AS b (type)
    WHERE b.type <> t.atttypid AND NOT (b.type = 'varchar'::regtype AND t.atttypid = 'text'::regtype)
    ORDER BY c.oid, k.source
)

-- FINDINGS ------------------------------------------------------------------------------------------------------------------------

-- A newer library serves the SQL of any release before it. An older one lacks functions that the SQL names.
SELECT CASE WHEN v.library > v.sql THEN 'warning' ELSE 'error' END, 'workos_auth',
    CASE WHEN v.library > v.sql
        THEN format('The library is %s, and this database still has the SQL of %s: what is new is not there yet. Run the remedy in a new connection.', n.library, n.sql)
        ELSE format('This database has the SQL of %s, and the library is %s, which lacks functions that the SQL names.', n.sql, n.library) END,
    CASE WHEN v.library > v.sql THEN 'ALTER EXTENSION workos_auth UPDATE;'
        ELSE format('SELECT ''Install the package of workos_auth %s or newer on this server, and connect anew; with shared_preload_libraries, restart it.'' AS by_hand;', n.sql) END
FROM auth.version() AS n, LATERAL (
    SELECT string_to_array(split_part(n.library, '-', 1), '.')::integer[], string_to_array(split_part(n.sql, '-', 1), '.')::integer[]
) AS v (library, sql)
WHERE v.library <> v.sql
UNION ALL
SELECT CASE WHEN c.kind IN ('index', 'table column') THEN 'warning' ELSE 'error' END,
    CASE WHEN c.kind IN ('trigger', 'policy', 'table constraint') THEN format('%I ON %s', c.name, c.relation) ELSE c.identity END,
    format('This %s of the extension is not as it was installed: its %s.', c.kind, c.what),
    -- A view's columns cannot be replaced.
    CASE WHEN c.kind = 'view' AND 'columns' = ANY (string_to_array(c.what, ', '))
        THEN format('DO %L;', format('BEGIN ALTER EXTENSION workos_auth DROP VIEW %s; DROP VIEW %s; %s ALTER VIEW %s OWNER TO workos_auth_owner; '
            'REVOKE ALL ON TYPE %s FROM PUBLIC; ALTER EXTENSION workos_auth ADD VIEW %s; END', c.identity, c.identity, c.restore, c.identity, c.identity, c.identity))
        ELSE c.restore END
FROM difference AS c WHERE c.difference = 'changed'
UNION ALL
SELECT 'error', CASE WHEN m.kind IN ('trigger', 'policy', 'table constraint') THEN format('%I ON %s', m.name, m.relation) ELSE m.identity END,
    format('This %s of the extension is gone.', m.kind),
    CASE m.kind
        WHEN 'function' THEN format('DO %L;', format('BEGIN %s ALTER FUNCTION %s OWNER TO workos_auth_owner; REVOKE ALL ON FUNCTION %s FROM PUBLIC; '
            'ALTER EXTENSION workos_auth ADD FUNCTION %s; END', m.restore, m.identity, m.identity, m.identity))
        WHEN 'view' THEN format('DO %L;', format('BEGIN %s ALTER VIEW %s OWNER TO workos_auth_owner; REVOKE ALL ON TYPE %s FROM PUBLIC; '
            'ALTER EXTENSION workos_auth ADD VIEW %s; END', m.restore, m.identity, m.identity, m.identity))
        ELSE m.restore END
FROM difference AS m WHERE m.difference = 'gone'
UNION ALL
SELECT 'error', c.oid::regclass::text, 'Row-level security of a table of the extension is off: grants alone keep its rows.',
    format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::regclass)
FROM own_relation AS c WHERE c.relkind = 'r' AND NOT c.relrowsecurity
UNION ALL
-- Those of foreign keys between the extension's own tables too: they end the sessions of whoever is deleted.
SELECT 'error', format('%I ON %s', coalesce(k.conname, t.tgname), t.tgrelid::regclass),
    format('The trigger does not always fire: %s.', CASE WHEN k.oid IS NOT NULL THEN 'rows stay behind whose foreign key leads nowhere'
        WHEN t.tgfoid = to_regprocedure('auth.forget_cached_rows()') THEN 'backends go on believing keys that are no longer good'
        WHEN t.tgfoid = to_regprocedure('auth.fill_in_defaults()') THEN 'NULL is refused where Supabase Auth allows it'
        WHEN t.tgfoid = to_regprocedure('auth.restore_rows()') THEN 'a restore fails on rows that come before those that they reference'
        WHEN t.tgfoid = to_regprocedure('auth.note_ended_session()') THEN 'a verifier accepts tokens of sessions that have just ended'
        WHEN t.tgfoid = to_regprocedure('auth.identity_left()') THEN 'a token from before makes a person known again who is gone'
        WHEN t.tgfoid = to_regprocedure('auth.mark_lost_heartbeat()') THEN 'a verifier does not notice that changes were lost'
        WHEN t.tgfoid = to_regprocedure('auth.keep_feeds_apart()') THEN 'a verifier takes what one issuer says for the word of another'
        ELSE 'what it refuses is taken' END),
    format('ALTER TABLE %s ENABLE %sTRIGGER %I;', t.tgrelid::regclass, CASE
        WHEN t.tgfoid = ANY (f.only_fed) THEN 'REPLICA '
        WHEN k.oid IS NULL THEN 'ALWAYS ' END, t.tgname)
FROM pg_trigger AS t JOIN own_relation AS c ON c.oid = t.tgrelid
    LEFT JOIN pg_constraint AS k ON k.oid = t.tgconstraint AND k.contype = 'f' AND k.conrelid IN (SELECT o.oid FROM own_relation AS o)
    CROSS JOIN (SELECT ARRAY[to_regprocedure('auth.note_ended_session()'), to_regprocedure('auth.mark_lost_heartbeat()'),
        to_regprocedure('auth.keep_feeds_apart()')]::oid[]) AS f (only_fed)
WHERE (NOT t.tgisinternal OR k.oid IS NOT NULL)
    AND CASE
        -- Where a subscription writes, and nowhere else.
        WHEN t.tgfoid = ANY (f.only_fed) THEN t.tgenabled NOT IN ('R', 'A')
        WHEN t.tgfoid IN (to_regprocedure('auth.forget_cached_rows()'), to_regprocedure('auth.restore_rows()')) THEN t.tgenabled <> 'A'
        ELSE t.tgenabled NOT IN ('O', 'A') END
UNION ALL
SELECT 'error', quote_ident(t.evtname), 'The event trigger of the extension does not fire: what it is to see goes unseen.',
    format('ALTER EVENT TRIGGER %I ENABLE;', t.evtname)
FROM own AS o JOIN pg_event_trigger AS t ON o.classid = 'pg_event_trigger'::regclass AND t.oid = o.objid WHERE t.evtenabled NOT IN ('O', 'A')
UNION ALL
SELECT 'error', i.identity, format('It belongs to %s and no longer to workos_auth_owner: its owner can change what sign-ins rely on.', x.owner::regrole),
    format('ALTER %s %s OWNER TO workos_auth_owner;', upper(i.type), i.identity)
FROM (
    SELECT o.classid, c.oid, c.relowner FROM own AS o JOIN pg_class AS c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid WHERE c.relkind IN ('r', 'v')
    UNION ALL
    SELECT o.classid, p.oid, p.proowner FROM own AS o JOIN pg_proc AS p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
) AS x (classid, objid, owner), pg_identify_object(x.classid, x.objid, 0) AS i
WHERE x.owner <> 'workos_auth_owner'::regrole
UNION ALL
SELECT 'error', 'auth', format('The schema auth belongs to %s, who is no superuser and can replace what sign-ins rely on.', r.oid::regrole),
    format('ALTER SCHEMA auth OWNER TO %s;', 10::oid::regrole)
FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner WHERE n.nspname = 'auth' AND NOT r.rolsuper
UNION ALL

-- TRUNCATE passes row-level security by, and a trigger runs with the rights of whoever writes. Some functions harm nobody.
SELECT CASE r.kind
        WHEN 'TABLE' THEN CASE WHEN r.is_grave THEN 'error' ELSE 'warning' END
        WHEN 'FUNCTION' THEN CASE WHEN r.grantee <> 0 AND r.name ~ '^auth\.(cleanup|rights|check_\w+|"check")\(' THEN 'warning' ELSE 'error' END
        WHEN 'SCHEMA' THEN 'error' ELSE 'warning' END,
    r.name,
    CASE r.kind
        WHEN 'SCHEMA' THEN format('%s may create objects in the schema auth and so answer in place of the extension.', r.grantee_name)
        WHEN 'FUNCTION' THEN CASE r.grantee WHEN 0 THEN 'Everybody may call a function that the extension keeps for a few.'
            ELSE format('%s may call a function that the extension does not give it.', r.grantee_name) END
        ELSE format('%s has rights on a %s of the extension that the extension does not give: %s.', r.grantee_name, lower(r.kind), r.privileges) END,
    r.statement
FROM revoke AS r
UNION ALL
SELECT 'warning', CASE l.number WHEN 1 THEN l.names ELSE 'auth' END,
    format('%s lacks what the extension gives: %s on %s.', CASE l.bundle WHEN 'everyone' THEN 'Everybody' ELSE l.grantee_name END, l.privilege, l.names),
    format('GRANT %s ON %s %s TO %s;', l.privilege, l.kind, l.names, l.grantee_name)
FROM lacking AS l WHERE l.bundle IN ('everyone', 'server_files')
UNION ALL
SELECT 'warning', l.grantee_name,
    format('It has a part of what auth.grant_%s gives, and lacks %s.', l.bundle, string_agg(format('%s on %s', l.privilege, l.names), '; ' ORDER BY l.kind, l.privilege)),
    -- Who has the smaller part of it was not meant to have it.
    format('SELECT auth.%s_%s(%L);', CASE
        WHEN sum(l.number) * 2 > (SELECT count(DISTINCT (r.kind, r.privilege, r.name)) FROM right_of AS r WHERE r.bundle = l.bundle) THEN 'revoke'
        ELSE 'grant' END, l.bundle, l.grantee_name)
FROM lacking AS l WHERE l.bundle NOT IN ('everyone', 'server_files') GROUP BY l.bundle, l.grantee_name
UNION ALL

SELECT CASE WHEN a.hand IS NULL THEN 'warning' ELSE 'error' END,
    CASE WHEN a.kind IN ('trigger', 'policy', 'rule', 'table constraint') THEN format('%I ON %s', a.name, a.relation) ELSE a.identity END,
    format('Somebody attached this %s to %s of the extension: %s.', a.kind, a.relation, CASE
        WHEN a.hand IS NOT NULL THEN format('what %I writes into its function runs as whoever writes to the table by hand, a superuser too', a.hand)
        WHEN a.kind = 'policy' THEN 'it opens rows that nobody is to see, and a dump does not carry it'
        WHEN a.kind = 'table column' THEN 'a dump with its values cannot be restored; keep them in a table of your own first'
        ELSE 'a dump does not carry it' END),
    CASE a.kind
        WHEN 'table column' THEN format('ALTER TABLE %s DROP COLUMN %I;', a.relation, a.name)
        WHEN 'table constraint' THEN format('ALTER TABLE %s DROP CONSTRAINT %I;', a.relation, a.name)
        WHEN 'index' THEN format('DROP INDEX %s;', a.identity)
        ELSE format('DROP %s %I ON %s;', upper(a.kind), a.name, a.relation) END
FROM attached AS a
UNION ALL
SELECT 'error', format('%I ON %s', f.conname, f.conrelid::regclass),
    format('The foreign key''s column %I is of the type %s, and %s.%I is %s: its cast runs as the extension''s owner, whatever it does.',
        f.attname, f.type, f.relation::regclass, f.target, f.target_type),
    format('ALTER TABLE %s DROP CONSTRAINT %I;', f.conrelid::regclass, f.conname)
FROM foreign_key AS f
UNION ALL
-- What references auth.users is its owner's business, who may keep a person from being deleted.
SELECT 'warning', format('%I ON %s', c.conname, c.conrelid::regclass),
    format('Its rows keep rows of %s from being removed: whoever has one can be neither signed out nor banned (23503). Make it ON DELETE CASCADE or SET NULL.', c.confrelid::regclass),
    format('ALTER TABLE %s DROP CONSTRAINT %I;', c.conrelid::regclass, c.conname)
FROM pg_constraint AS c JOIN own_relation AS f ON f.oid = c.confrelid
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confdeltype IN ('a', 'r') AND f.relname <> 'users'
    AND c.conrelid NOT IN (SELECT o.oid FROM own_relation AS o)
    AND f.relname IN ('sessions', 'identities', 'organization_memberships', 'flow_states')
UNION ALL
-- Moved, not dropped: whoever calls it by name must be told, but nothing is lost. A sequence of a column goes with its table.
SELECT 'warning', i.identity,
    format('This %s stands in the schema auth and is not the extension''s: it can answer in its place, and stands in the way of updates.', i.type),
    CASE
        WHEN to_regnamespace('public') IS NULL THEN format('DROP %s %s;', upper(i.type), i.identity)
        WHEN n.free = n.name THEN format('ALTER %s %s SET SCHEMA public;', upper(i.type), i.identity)
        -- There is one of this name already.
        ELSE format('DO %L;', format('BEGIN ALTER %s %s RENAME TO %I; ALTER %s auth.%I%s SET SCHEMA public; END',
            upper(i.type), i.identity, n.free, upper(i.type), n.free, n.arguments)) END
FROM pg_depend AS d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
    CROSS JOIN LATERAL (
        SELECT o.name, o.arguments, (
            SELECT f.free FROM (SELECT o.name || coalesce('_' || number, '') FROM (SELECT NULL::int UNION ALL SELECT generate_series(2, 100)) AS g (number) ORDER BY number NULLS FIRST) AS f (free)
            WHERE NOT EXISTS (SELECT FROM unnest(ARRAY['auth', 'public']) AS s WHERE (s <> 'auth' OR f.free <> o.name) AND CASE d.classid
                WHEN 'pg_class'::regclass THEN coalesce(to_regclass(format('%I.%I', s, f.free)), to_regtype(format('%I.%I', s, f.free))::oid) IS NOT NULL
                WHEN 'pg_type'::regclass THEN to_regtype(format('%I.%I', s, f.free)) IS NOT NULL
                WHEN 'pg_proc'::regclass THEN to_regprocedure(format('%I.%I%s', s, f.free, o.arguments)) IS NOT NULL
                ELSE false END)
            LIMIT 1) AS free
        FROM (
            SELECT coalesce(
                    (SELECT c.relname FROM pg_class AS c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid),
                    (SELECT p.proname FROM pg_proc AS p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid),
                    (SELECT t.typname FROM pg_type AS t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid), '')::text,
                CASE d.classid WHEN 'pg_proc'::regclass THEN (
                    SELECT format('(%s)', string_agg(format_type(a.type, NULL), ', ' ORDER BY a.at))
                    FROM pg_proc AS p CROSS JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY AS a (type, at) WHERE p.oid = d.objid) END
        ) AS o (name, arguments)
    ) AS n
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace('auth')
    AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_extension'::regclass)
    AND d.objid NOT IN (SELECT o.extension FROM own AS o)
    AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND (
        e.deptype = 'e' OR e.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass AND e.refclassid = 'pg_class'::regclass AND e.refobjsubid > 0))
    AND NOT EXISTS (SELECT FROM difference AS m WHERE m.difference = 'gone' AND m.kind = i.type AND (m.identity = i.identity OR d.classid = 'pg_proc'::regclass AND to_regprocedure(m.identity) = d.objid))
$check$;
COMMENT ON FUNCTION auth.check_own() IS 'the part of auth.check() about the extension''s own objects';
-- What auth.check() says of settings that are stored where nothing looks at them: ALTER ROLE, ALTER DATABASE, CREATE FUNCTION … SET and the
-- configuration files take any name and any value of a setting whose library is not loaded. The library ignores what it cannot use when it comes.

CREATE FUNCTION auth.check_preloaded() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_preloaded_wrapper';
COMMENT ON FUNCTION auth.check_preloaded() IS
    'whether shared_preload_libraries or session_preload_libraries loads the library, so that each new connection knows its settings';

-- Only for those who may read the files; Postgres looks at the right when the function runs.
CREATE FUNCTION auth.check_files(is_allowed boolean, OUT setting text, OUT value text, OUT file text, OUT line integer) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
    -- Of lines with one name the last counts; a name that is unknown is wrong in each.
    SELECT f.name, f.setting, f.sourcefile, f.sourceline
    FROM pg_file_settings AS f
    WHERE is_allowed AND f.name ~* '^workos_auth\.' AND (
        auth.check_setting(f.name, NULL, true) IS NOT NULL
        OR NOT EXISTS (SELECT FROM pg_file_settings AS later WHERE lower(later.name) = lower(f.name) AND later.seqno > f.seqno))
$$;
COMMENT ON FUNCTION auth.check_files(boolean) IS 'the settings of the extension in the configuration files, for those who may read pg_file_settings';

CREATE FUNCTION auth.check_stored_settings(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    WITH this AS (SELECT d.oid, d.datname AS name FROM pg_database AS d WHERE d.datname = current_database()),
    stored AS (
        SELECT s.setrole AS role, s.setdatabase AS database, split_part(c, '=', 1) AS setting, substr(c, strpos(c, '=') + 1) AS value
        FROM this, pg_db_role_setting AS s, unnest(s.setconfig) AS c WHERE s.setdatabase IN (0, this.oid)
    ),
    -- Only members of pg_read_all_settings see it.
    preload AS (SELECT p.setting FROM pg_settings AS p WHERE p.name = 'session_preload_libraries')
    -- Tokens, and where installations live, are looked at elsewhere.
    SELECT 'warning', s.setting, format('%s It is kept for %s.', w.finding, CASE
            WHEN s.role = 0 AND s.database = 0 THEN 'all roles'
            WHEN s.role = 0 THEN format('the database %I', this.name)
            WHEN s.database = 0 THEN format('the role %s', s.role::regrole)
            ELSE format('the role %s in the database %I', s.role::regrole, this.name) END),
        -- ALTER … RESET refuses some of these, where the library is loaded.
        format('SELECT auth.reset_setting(%L%s%s);', s.setting, ', role => ' || quote_literal(nullif(s.role, 0)::regrole),
            CASE WHEN s.database <> 0 THEN ', database => ' || quote_literal(this.name) END)
    FROM this, stored AS s CROSS JOIN LATERAL (SELECT auth.check_setting(s.setting, s.value, false)) AS w (finding)
    WHERE s.setting ~* '^workos_auth\.' AND lower(s.setting) NOT IN ('workos_auth.session_token', 'workos_auth.installation_homes') AND w.finding IS NOT NULL
    UNION ALL
    SELECT 'warning', f.setting, format('%s It is kept with the function %s, whose calls fail where the library is loaded.', w.finding, f.function),
        -- ALTER FUNCTION … RESET refuses an unknown name, where the library is loaded.
        format('SELECT %L AS by_hand;', format('Define %s again without SET %s, or with a value that counts.', f.function, f.setting))
    FROM (
        SELECT p.oid::regprocedure AS function, split_part(c, '=', 1) AS setting, substr(c, strpos(c, '=') + 1) AS value
        FROM pg_proc AS p, unnest(p.proconfig) AS c
    ) AS f CROSS JOIN LATERAL (SELECT auth.check_setting(f.setting, f.value, false)) AS w (finding)
    WHERE f.setting ~* '^workos_auth\.' AND lower(f.setting) <> 'workos_auth.session_token' AND w.finding IS NOT NULL
    UNION ALL
    SELECT 'warning', f.setting, format('%s It stands in a configuration file.', w.finding),
        format('SELECT %L AS by_hand;', format('Mend %s in line %s of %s, or take it out there, and %s.', f.setting, f.line, f.file,
            CASE WHEN EXISTS (SELECT FROM pg_settings AS p WHERE p.name = lower(f.setting) AND p.context = 'postmaster') THEN 'restart the server' ELSE 'run SELECT pg_reload_conf()' END))
    FROM (SELECT has_table_privilege('pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')) AS may (read)
        CROSS JOIN LATERAL auth.check_files(may.read) AS f
        CROSS JOIN LATERAL (SELECT auth.check_setting(f.setting, f.value, true)) AS w (finding)
    WHERE may.read AND w.finding IS NOT NULL
    UNION ALL
    SELECT 'info', 'session_preload_libraries',
        'The library is not loaded when a connection begins: until its first call there, SHOW and ALTER SYSTEM do not know its settings, and SET takes anything.',
        coalesce((
            SELECT format('ALTER DATABASE %I SET session_preload_libraries = %s;', this.name,
                concat_ws(', ', (SELECT string_agg(quote_literal(btrim(n, ' "')), ', ') FROM string_to_table(nullif(p.setting, ''), ',') AS n), quote_literal('workos_auth')))
            FROM this, preload AS p
        ), 'SELECT ''Have a superuser add workos_auth to shared_preload_libraries or session_preload_libraries.'' AS by_hand;')
    WHERE NOT auth.check_preloaded() AND NOT EXISTS (
        SELECT FROM stored AS s WHERE s.role = 0 AND s.setting = 'session_preload_libraries' AND s.value ~ '\mworkos_auth\M')
$$;
COMMENT ON FUNCTION auth.check_stored_settings() IS
    'the part of auth.check() about settings that are ignored: unknown names and bad values, wherever they are stored; and whether the library is preloaded';
-- What auth.check() says of triggers on auth.users that will keep somebody out.

-- Where the text of a trigger's function copies new.email to, NULL included. Of an INSERT that names no columns, the place is the column's number.
CREATE FUNCTION auth.check_email_copies(body text, OUT relation text, OUT attribute text, OUT place integer) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'check_email_copies_wrapper';
COMMENT ON FUNCTION auth.check_email_copies(text) IS 'the columns that the text of a function writes new.email into, as far as its INSERTs say so plainly';

CREATE FUNCTION auth.check_sign_up(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    SELECT DISTINCT 'warning', format('%I ON auth.users', t.tgname),
        format('It copies new.email into %s.%I, which is NOT NULL: whoever''s address another account holds has none in auth.users, '
            'and cannot sign up (sign_up_trigger_failed).', c.relation::regclass, a.attname),
        format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL;', c.relation::regclass, a.attname)
    FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
        CROSS JOIN LATERAL auth.check_email_copies(p.prosrc) AS e
        CROSS JOIN LATERAL (SELECT parse_ident(e.relation)) AS i (parts)
        CROSS JOIN LATERAL (
            -- A table without a schema is looked for where the function's own search path leads, and in public.
            SELECT r.oid FROM (
                SELECT 0, i.parts[1] WHERE cardinality(i.parts) = 2
                UNION ALL
                SELECT s.place, btrim(s.name, ' "')
                FROM unnest(p.proconfig) AS g, string_to_table(substr(g, 13), ',') WITH ORDINALITY AS s (name, place)
                WHERE starts_with(g, 'search_path=') AND cardinality(i.parts) = 1
                UNION ALL
                SELECT 2147483647, 'public' WHERE cardinality(i.parts) = 1
            ) AS s (place, name)
                JOIN pg_namespace AS n ON n.nspname = s.name
                JOIN pg_class AS r ON r.relnamespace = n.oid AND r.relname = i.parts[cardinality(i.parts)]
            ORDER BY s.place LIMIT 1
        ) AS c (relation)
        JOIN pg_attribute AS a ON a.attrelid = c.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
            AND CASE WHEN e.attribute IS NULL THEN a.attnum = e.place ELSE a.attname = (parse_ident(e.attribute))[1] END
    WHERE t.tgrelid = to_regclass('auth.users') AND NOT t.tgisinternal AND t.tgtype & 4 <> 0
        AND p.prosrc ~* 'new\s*\.\s*email'
$$;
COMMENT ON FUNCTION auth.check_sign_up() IS 'the part of auth.check() about triggers on auth.users that copy an address into a column that is NOT NULL';
-- The part of auth.check() about databases that verify what another one signs. Its code stands in src/verifier/checking.rs.
CREATE FUNCTION auth.check_verifier(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'check_verifier_wrapper';
COMMENT ON FUNCTION auth.check_verifier() IS 'the part of auth.check() about publications of sessions, and about a database that only verifies';
-- What auth.check() says of the background worker of this database.

CREATE FUNCTION auth.check_worker_runs() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_worker_runs_wrapper';
COMMENT ON FUNCTION auth.check_worker_runs() IS
    'whether the background worker of this database runs; NULL where there is to be none: workos_auth.worker_databases does not name the database, or the server is a standby';

CREATE FUNCTION auth.check_worker(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'warning', 'workos_auth.worker_databases',
        'The background worker of this database does not run, so that nothing of what it does is done.',
        'SELECT ''Put workos_auth into shared_preload_libraries, if it is not there, and restart the server. '
        'If the worker still does not run, the server''''s log says why. The setting max_worker_processes may be too small.'' AS by_hand;'
    WHERE NOT auth.check_worker_runs()
$$;
COMMENT ON FUNCTION auth.check_worker() IS 'the part of auth.check() about the background worker: whether it runs where it should';
-- auth.check(): what is unsafe in this database: settings, roles, functions, the extension's own objects, and what people reach of the
-- application's tables, views and policies, which stands here.
--
-- Not SECURITY DEFINER: catalogs are everybody's. search_path holds pg_catalog alone, so that names without a schema are Postgres's
-- own, and names that are printed have theirs. Compiling so long a query would take longer than running it.
CREATE FUNCTION auth.check(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $check$

-- Loads the library, so that pg_settings has its settings.
SELECT FROM auth.error_codes() LIMIT 1;

WITH RECURSIVE this AS (
    SELECT quote_ident(d.datname) AS name, current_setting('server_version_num')::integer AS version
    FROM pg_database AS d WHERE d.datname = current_database()
),

-- The one part that needs rights on tables: it is left out where somebody took these from their owner, which is a finding by itself.
fact AS (
    SELECT f.fact AS name, f.subject, f.number FROM auth.check_facts() AS f
    WHERE has_schema_privilege('workos_auth_owner', 'auth', 'USAGE') AND (
        SELECT bool_and(has_table_privilege('workos_auth_owner', t.name, 'SELECT'))
        FROM (VALUES ('auth.signing_keys'), ('auth.sessions'), ('auth.flow_states'), ('auth.hooks'), ('auth.users'), ('auth.identities'),
            ('auth.organization_memberships'), ('auth.audit_log_entries'), ('auth.worker_status')) AS t (name)
    )
),

-- SETTINGS ------------------------------------------------------------------------------------------------------------------------

-- A setting is unsafe where its value matches; of a setting with companions, only where one of these matches too.
-- on and off are matched in every spelling that Postgres takes.
rule (setting, unsafe, severity, safe, finding) AS (VALUES
    ('workos_auth.check_sessions', '^(off?|fa?l?s?e?|no?|0)$', 'warning', 'on',
        'A sign-out or a ban is not noticed: an access token is good until it expires'),
    ('workos_auth.rls_guard', '^(?!error$)', 'warning', 'error',
        'auth.set_session also serves superusers and BYPASSRLS, whom no policy binds'),
    ('workos_auth.allow_plain_pkce', '^(on|tr?u?e?|ye?s?|1)$', 'warning', 'off',
        'Whoever sees an authorize URL with a plain challenge knows its verifier'),
    ('workos_auth.require_code_challenge', '^(off?|fa?l?s?e?|no?|0)$', 'info', 'on',
        'Sign-ins have been started without a code challenge: a stolen code and state are enough to finish one'),
    ('workos_auth.allow_implicit', '^(on|tr?u?e?|ye?s?|1)$', 'info', 'off',
        'Sign-ins have been started without a code challenge: they may end with tokens in the browser''s address bar and history (implicit flow)'),
    ('workos_auth.allow_root_key_in_data_directory', '^(on|tr?u?e?|ye?s?|1)$', 'warning', 'off',
        'The root key may lie in the data directory, where every base backup copies it'),
    ('log_parameter_max_length', '^(?!\s*[-+]?0+(\.0*)?\s*[a-z]*\s*$)', 'warning', '0',
        'The server logs statements with their bind values: tokens, codes and secrets stand in its log'),
    ('log_parameter_max_length_on_error', '^(?!\s*[-+]?0+(\.0*)?\s*[a-z]*\s*$)', 'warning', '0',
        'The server logs the bind values of statements that fail: tokens, codes and secrets stand in its log'),
    ('auto_explain.log_parameter_max_length', '^(?!\s*[-+]?0+(\.0*)?\s*[a-z]*\s*$)', 'warning', '0',
        'auto_explain logs plans with their bind values: tokens, codes and secrets stand in the server''s log'),
    ('pgaudit.log_parameter', '^(on|tr?u?e?|ye?s?|1)$', 'warning', 'off',
        'pgaudit logs bind values: tokens, codes and secrets stand in the server''s log')
),
companion (setting, companion, unsafe) AS (VALUES
    -- Where no sign-in can begin without a challenge, none ends so.
    ('workos_auth.allow_implicit', 'workos_auth.require_code_challenge', '^(off?|fa?l?s?e?|no?|0)$'),
    -- ddl is not among them: such statements have no bind values.
    ('log_parameter_max_length', 'log_statement', '^(mod|all)$'),
    ('log_parameter_max_length', 'log_min_duration_statement', '^(?!\s*-)'),
    ('log_parameter_max_length', 'log_min_duration_sample', '^(?!\s*-)'),
    ('log_parameter_max_length', 'log_transaction_sample_rate', '[1-9]'),
    ('auto_explain.log_parameter_max_length', 'auto_explain.log_min_duration', '^(?!\s*-)')
),
-- Anybody may plant a text of any length in a role's settings: no value that counts is longer than what is looked at.
in_force AS (SELECT s.* FROM auth.check_settings() AS s),
-- Since Postgres 17 it can be switched off.
alter_system AS (SELECT coalesce(current_setting('allow_alter_system', true), 'on') = 'on' AS is_allowed),
unsafe_setting AS (
    SELECT i.*, r.severity, r.finding, r.safe,
        -- Whether it is unsafe for this role only because of what the role has of its own.
        i.rank >= 2 OR coalesce(c.own, false) AS own
    FROM in_force AS i JOIN rule AS r ON r.setting = i.setting AND lower(left(i.value, 100)) ~ r.unsafe
        CROSS JOIN LATERAL (
            SELECT count(*) AS known, bool_or(other.rank >= 2) FILTER (WHERE lower(left(other.value, 100)) ~ c.unsafe) AS own,
                coalesce(bool_or(lower(left(other.value, 100)) ~ c.unsafe), false) AS matches
            FROM companion AS c LEFT JOIN in_force AS other ON other.viewpoint = i.viewpoint AND other.setting = c.companion
            WHERE c.setting = i.setting
        ) AS c
    WHERE (c.known = 0 OR c.matches)
        AND (i.setting NOT IN ('workos_auth.require_code_challenge', 'workos_auth.allow_implicit')
            OR EXISTS (SELECT FROM fact AS f WHERE f.name = 'sign-ins without a code challenge' AND f.number > 0))
),

-- WHAT PEOPLE REACH ---------------------------------------------------------------------------------------------------------------

person AS (SELECT p.* FROM auth.check_people() AS p WHERE p.is_bound),
becomes AS (SELECT b.* FROM auth.check_becomes() AS b),
believer AS MATERIALIZED (SELECT b.routine AS oid FROM auth.check_believers() AS b),

-- The application's: no system schema, no temporary table, no part of an extension.
relation AS (
    SELECT c.*, c.oid::regclass::text AS name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
-- Who can read or write which, if only a column. A backend's own tables are its own business; a role that people act as has no such business.
reach AS (
    SELECT r.oid AS relation, p.oid AS person, p.name, p.switches
    FROM relation AS r JOIN person AS p ON has_schema_privilege(p.name, r.relnamespace, 'USAGE')
    WHERE (has_any_column_privilege(p.name, r.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(p.name, r.oid, 'DELETE'))
        AND (p.is_allowed OR NOT pg_has_role(p.oid, r.relowner, 'USAGE'))
),
reached AS (
    SELECT r.*, w.who, w.severity
    FROM relation AS r JOIN (
        SELECT h.relation, CASE WHEN bool_and(h.switches) THEN 'warning' ELSE 'error' END AS severity,
            CASE WHEN bool_or(h.person = 0) THEN 'everybody' ELSE string_agg(quote_ident(h.name), ', ' ORDER BY h.name) END AS who
        FROM reach AS h GROUP BY h.relation
    ) AS w ON w.relation = r.oid
),
-- Through which grants, of a table or its columns.
table_grant AS (
    SELECT g.relation, g.grantee, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS name, g.privilege,
        CASE WHEN g.grantor <> g.owner THEN g.grantor::regrole::text END AS giver
    FROM (
        SELECT c.oid, c.relowner, acl.grantee, acl.privilege_type, acl.grantor FROM pg_class AS c, aclexplode(c.relacl) AS acl WHERE acl.grantee <> c.relowner
        UNION
        SELECT c.oid, c.relowner, acl.grantee, acl.privilege_type, acl.grantor
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS acl WHERE acl.grantee <> c.relowner
    ) AS g (relation, owner, grantee, privilege, grantor)
),
person_grant AS (
    SELECT g.* FROM table_grant AS g
    WHERE g.grantee = 0 OR EXISTS (SELECT FROM person AS p WHERE p.oid <> 0 AND pg_has_role(p.oid, g.grantee, 'USAGE'))
),
-- Only the owner's grants are the owner's to take: of another's, that one's right to give goes, and all that rests on it.
revoke AS (
    SELECT g.relation, format('REVOKE ALL ON TABLE %s FROM %s%s;', g.relation::regclass, string_agg(DISTINCT n.name, ', '),
        CASE WHEN bool_or(g.giver IS NOT NULL) THEN ' CASCADE' END) AS statement
    FROM person_grant AS g CROSS JOIN LATERAL (VALUES (g.name), (g.giver)) AS n (name) WHERE n.name IS NOT NULL GROUP BY g.relation
),
-- Policies that bind somebody who reaches the table.
policy AS (
    SELECT p.*, r.name AS relation_name, format('%I ON %s', p.polname, r.name) AS name,
        pg_get_expr(p.polqual, p.polrelid) AS using_text, pg_get_expr(p.polwithcheck, p.polrelid) AS check_text
    FROM pg_policy AS p JOIN reached AS r ON r.oid = p.polrelid
    WHERE r.relrowsecurity AND EXISTS (
        SELECT FROM reach AS h, unnest(p.polroles) AS role
        WHERE h.relation = p.polrelid AND CASE WHEN 0 IN (role, h.person) THEN role = 0 ELSE pg_has_role(h.person, role, 'USAGE') END
    )
),
-- true, 1 = 1, or anything that is compared with itself: two equal halves. Whatever is looked at is looked at once from end to end: a policy's
-- text is as long as its table's owner likes.
judged_policy AS (
    SELECT p.*, p.polcmd <> 'a' AND (q.text IN ('true', 'NOTfalse') OR
            substr(q.text, length(q.text) / 2 + 1, 1) = '=' AND left(q.text, length(q.text) / 2) = right(q.text, length(q.text) / 2)) AS using_true,
        c.text IN ('true', 'NOTfalse') OR
            substr(c.text, length(c.text) / 2 + 1, 1) = '=' AND left(c.text, length(c.text) / 2) = right(c.text, length(c.text) / 2) AS check_true
    FROM policy AS p
        CROSS JOIN LATERAL (SELECT translate(p.using_text, E'() \t\r\n', '')) AS q (text)
        CROSS JOIN LATERAL (SELECT translate(p.check_text, E'() \t\r\n', '')) AS c (text)
),
-- What a policy says by itself and in the functions that it names. It believes user_metadata where that stands behind a claims reader.
read_policy AS (
    SELECT p.*, f.believes OR strpos(lower(t.text), 'request.jwt') > 0 AS believes, f.excludes OR c.excludes AS excludes,
        strpos(substr(t.text, nullif(strpos(t.text, 'auth.jwt()'), 0)), 'user_metadata') > 0
            OR strpos(substr(t.text, nullif(strpos(t.text, 'auth.session_claims()'), 0)), 'user_metadata') > 0 AS believes_people
    FROM policy AS p
        CROSS JOIN LATERAL (SELECT concat_ws(' ', p.using_text, p.check_text)) AS t (text)
        CROSS JOIN LATERAL auth.check_comparisons(t.text) AS c
        CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(f.oid IN (SELECT b.oid FROM believer AS b)), false), coalesce(bool_or(strpos(f.prosrc, 'role') > 0 AND (auth.check_comparisons(f.prosrc)).excludes), false)
            FROM pg_depend AS d JOIN pg_proc AS f ON f.oid = d.refobjid
            WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
                AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = f.oid AND e.deptype = 'e')
        ) AS f (believes, excludes)
),
-- What a view reads, through other views too, and as whom: as its owner, unless it is a security_invoker.
view AS (
    SELECT c.oid, c.relkind, c.relowner, c.relkind = 'v' AND EXISTS (
            SELECT FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'security_invoker' AND o.option_value::boolean
        ) AS is_invoker
    FROM pg_class AS c WHERE c.relkind IN ('v', 'm')
),
view_reads AS (
    SELECT DISTINCT w.ev_class AS view, d.refobjid AS relation
    FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
),
reads AS (
    SELECT v.oid AS view, v.relowner AS reader, s.relation
    FROM view AS v JOIN reached AS r ON r.oid = v.oid JOIN view_reads AS s ON s.view = v.oid
    WHERE NOT v.is_invoker
    UNION
    SELECT r.view, CASE WHEN v.is_invoker THEN r.reader ELSE v.relowner END, s.relation
    FROM reads AS r JOIN view AS v ON v.oid = r.relation JOIN view_reads AS s ON s.view = v.oid
),
-- The views whose reader some policy should bind; unbound where it does not.
protected_view AS (
    SELECT r.view, string_agg(DISTINCT t.oid::regclass::text, ', ') AS tables,
        bool_or(o.rolsuper OR o.rolbypassrls OR pg_has_role(o.oid, t.relowner, 'USAGE') AND NOT t.relforcerowsecurity) AS unbound
    FROM reads AS r JOIN pg_class AS t ON t.oid = r.relation AND t.relrowsecurity JOIN pg_roles AS o ON o.oid = r.reader
    GROUP BY r.view
),

-- A root key where backups copy it. Only those who may see data_directory learn this. To all others: a key there is refused, unless the
-- setting allows it, which is a finding. Links are not followed here.
copied_key AS (
    SELECT DISTINCT d.directory
    FROM pg_settings AS k CROSS JOIN LATERAL string_to_table(k.setting, ',') AS f (name), (
        SELECT s.setting FROM pg_settings AS s WHERE s.name = 'data_directory'
        UNION ALL SELECT pg_tablespace_location(t.oid) FROM pg_tablespace AS t
    ) AS d (directory)
    WHERE k.name = 'workos_auth.root_key_file' AND d.directory <> '' AND starts_with(ltrim(f.name, E' \t\n"'), rtrim(d.directory, '/') || '/')
),

-- FINDINGS ------------------------------------------------------------------------------------------------------------------------

found (severity, object, finding, remedy) AS (
    -- Tables that people reach without row-level security. A partition counts where it has grants of its own.
    SELECT r.severity, r.name, format('Row-level security is off: %s can get at every row that the grants reach.', r.who),
        format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.name)
    FROM reached AS r WHERE r.relkind IN ('r', 'p') AND NOT r.relrowsecurity
    UNION ALL
    SELECT r.severity, r.name, format('Row-level security cannot bind a foreign table: %s can get at every row that the grants reach.', r.who), v.statement
    FROM reached AS r JOIN revoke AS v ON v.relation = r.oid WHERE r.relkind = 'f'
    UNION ALL
    SELECT CASE WHEN p.view IS NULL THEN 'warning' ELSE r.severity END, r.name,
        format('Row-level security cannot bind a materialized view: %s can read all of it%s.', r.who, ', which was taken from ' || p.tables), v.statement
    FROM reached AS r JOIN revoke AS v ON v.relation = r.oid LEFT JOIN protected_view AS p ON p.view = r.oid WHERE r.relkind = 'm'
    UNION ALL
    -- Views that show more of a protected table than its policies do. security_invoker is there since Postgres 15.
    SELECT r.severity, r.name, format('The view reads %s as its owner %s, whom row-level security does not bind: %s can see every row it shows.',
            p.tables, r.relowner::regrole, r.who),
        CASE WHEN this.version >= 150000 THEN format('ALTER VIEW %s SET (security_invoker = true);', r.name) ELSE v.statement END
    FROM this, reached AS r JOIN protected_view AS p ON p.view = r.oid AND p.unbound LEFT JOIN revoke AS v ON v.relation = r.oid
    WHERE r.relkind = 'v' AND (this.version >= 150000 OR v.statement IS NOT NULL)
    UNION ALL
    -- Owners that their own policies do not bind. Superusers are left out (nothing binds them, and auth.set_session refuses them), and owners
    -- that nobody can be.
    SELECT CASE WHEN o.is_person THEN 'error' ELSE 'warning' END, r.name,
        format('Its policies do not bind its owner %s, %s.', r.relowner::regrole,
            CASE WHEN o.is_person THEN 'as whom requests of people may run' ELSE 'as whom a backend may connect' END),
        format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.name)
    FROM relation AS r CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM person AS p JOIN becomes AS b ON b.member = p.oid WHERE NOT p.switches AND b.role = r.relowner) AS is_person,
            EXISTS (SELECT FROM pg_roles AS l WHERE l.rolcanlogin AND NOT l.rolsuper AND pg_has_role(l.oid, r.relowner, 'USAGE')) AS is_login
    ) AS o
    WHERE r.relkind IN ('r', 'p') AND r.relrowsecurity AND NOT r.relforcerowsecurity AND (o.is_person OR o.is_login)
        AND NOT EXISTS (SELECT FROM pg_roles AS b WHERE b.oid = r.relowner AND (b.rolsuper OR b.rolbypassrls))
    UNION ALL
    -- TRUNCATE empties a table whatever its policies say; a trigger runs as whoever writes next.
    SELECT 'warning', r.name, format('%s may %s, which no policy restrains.', g.name, lower(string_agg(g.privilege, ' and ' ORDER BY g.privilege))),
        format('REVOKE %s ON TABLE %s FROM %s;', string_agg(g.privilege, ', ' ORDER BY g.privilege), r.name, g.name)
    FROM relation AS r JOIN person_grant AS g ON g.relation = r.oid
    WHERE r.relkind IN ('r', 'p') AND r.relrowsecurity AND g.privilege IN ('TRUNCATE', 'TRIGGER')
    GROUP BY r.name, g.name
    UNION ALL
    -- Policies that are just true, unless a restrictive one for the same command says more. Reading everything may be meant.
    SELECT CASE WHEN p.polcmd = 'r' THEN 'info' WHEN p.using_true THEN 'error' ELSE 'warning' END, p.name,
        format('The policy is just true: %s.', CASE
            WHEN p.polcmd = 'r' THEN 'it lets everyone it is for read every row'
            WHEN p.using_true THEN 'it lets everyone it is for get at every row'
            ELSE 'it lets everyone it is for write any row' END),
        format('ALTER POLICY %s%s%s;', p.name, CASE WHEN p.using_true THEN ' USING (false)' END, CASE WHEN p.check_true THEN ' WITH CHECK (false)' END)
    FROM judged_policy AS p
    WHERE p.polpermissive AND (p.using_true OR p.check_true) AND NOT EXISTS (
        SELECT FROM judged_policy AS r
        WHERE r.polrelid = p.polrelid AND NOT r.polpermissive AND r.polcmd IN ('*', p.polcmd) AND (0 = ANY (r.polroles) OR r.polroles @> p.polroles)
            AND (r.polcmd = 'a' OR r.using_text IS NOT NULL AND NOT r.using_true) AND NOT coalesce(r.check_true, false)
    )
    UNION ALL
    -- Policies that believe what anybody can say. Shut, not rewritten: what they meant to allow only a person can tell.
    SELECT b.severity, p.name, b.finding,
        format('ALTER POLICY %s%s%s;', p.name, CASE WHEN p.polqual IS NOT NULL THEN ' USING (false)' END,
            CASE WHEN p.polwithcheck IS NOT NULL THEN ' WITH CHECK (false)' END)
    FROM read_policy AS p CROSS JOIN LATERAL (VALUES
        (p.believes, 'error',
            'The policy believes request.jwt.claims, which whoever can send SQL can set: read auth.uid(), auth.jwt() and their like.'),
        (p.believes_people, 'error',
            'The policy believes user_metadata, which people write themselves: read what stands at the top level of auth.jwt().'),
        (p.excludes, 'warning',
            'The policy compares auth.role() by exclusion: without a session that is the database role, or anon, which slips through; name the roles that may.')
    ) AS b (matches, severity, finding)
    WHERE b.matches
    UNION ALL
    -- A view with its owner's rights is a policy, too.
    SELECT r.severity, r.name, format('The view believes request.jwt.claims, which whoever can send SQL can set, and shows %s what its owner %s may read.',
            r.who, r.relowner::regrole), s.statement
    FROM reached AS r JOIN view AS v ON v.oid = r.oid AND NOT v.is_invoker JOIN revoke AS s ON s.relation = r.oid
    WHERE r.relkind = 'v' AND (strpos(lower(pg_get_viewdef(r.oid)), 'request.jwt') > 0 OR EXISTS (
        SELECT FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
        WHERE w.ev_class = r.oid AND d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT b.oid FROM believer AS b)))
    UNION ALL

    SELECT r.* FROM auth.check_roles() AS r
    UNION ALL
    SELECT f.* FROM auth.check_functions() AS f
    UNION ALL
    SELECT s.* FROM auth.check_sign_up() AS s
    UNION ALL
    SELECT o.* FROM auth.check_own() AS o
    UNION ALL
    SELECT s.* FROM auth.check_stored_settings() AS s
    UNION ALL
    SELECT w.* FROM auth.check_worker() AS w
    UNION ALL
    -- One may fail by chance. What no worker does any more is no finding.
    SELECT 'warning', 'auth.worker_status', format('The task %s of the background worker has failed %s times in a row.', f.subject, f.number),
        format('SELECT %L AS by_hand;', format('Look at last_error of the task %s in auth.worker_status, and remove the cause. The worker tries again by itself.', f.subject))
    FROM fact AS f WHERE f.name = 'failures of a task of the background worker' AND f.number >= 3 AND auth.check_worker_runs()
    UNION ALL
    SELECT 'error', 'auth.hooks', format('The function of the hook %s belongs to %s now, and to somebody else when an administrator wrote it down: it is refused.',
            f.subject, f.number::oid::regrole),
        -- A hook may keep people out: no statement takes it away unless somebody has looked at the function.
        format('SELECT %L AS by_hand;', format('Look at the function. If a restore left its owner out, give it back with ALTER FUNCTION … OWNER TO …, to the function_owner in auth.hooks. '
            'If it is to be the hook as it is, run UPDATE auth.hooks SET function = function WHERE event = %L. If not, run DELETE FROM auth.hooks WHERE event = %L.', f.subject, f.subject))
    FROM fact AS f WHERE f.name = 'owner of the function of a hook that had another owner'
    UNION ALL
    SELECT 'error', 'auth.hooks', format('The function of the hook %s is not there: whoever needs it to sign in is refused.', f.subject),
        format('SELECT %L AS by_hand;', format('Restore the function that auth.hooks names, with its owner. If there is to be no such hook, run DELETE FROM auth.hooks WHERE event = %L.', f.subject))
    FROM fact AS f WHERE f.name = 'hook whose function is missing'
    UNION ALL

    -- Keys and clean-up.
    SELECT 'warning', 'auth.signing_keys', format('The active signing key %s is %s days old.', f.subject, f.number), 'SELECT auth.rotate_signing_key();'
    FROM fact AS f WHERE f.name = 'days since the active key became active' AND f.number > 365
    UNION ALL
    -- A day more than a token lives, since the setting may have been longer then.
    SELECT 'info', 'auth.signing_keys', format('No token that is still good was signed with the retiring key %s.', f.subject),
        format('SELECT auth.retire_signing_key(%L);', f.subject)
    FROM fact AS f JOIN pg_settings AS s ON s.name = 'workos_auth.access_token_ttl'
    WHERE f.name = 'seconds since a retiring key was replaced' AND f.number > s.setting::bigint + 86400
    UNION ALL
    SELECT 'warning', c.relation, format('More than 10000 %s: clean-up is behind.', f.name),
        'SELECT auth.cleanup(batch => 100000);'
    FROM fact AS f JOIN (VALUES
        ('sessions that expired a day ago', 'auth.sessions'),
        ('sign-ins that expired a day ago', 'auth.flow_states')
    ) AS c (fact, relation) ON c.fact = f.name
    WHERE f.number > 10000
    UNION ALL
    SELECT 'error', f.subject, format('Rows of users who are not in auth.users: %s. A restore brought one table and not the other.',
            CASE WHEN f.number > 10000 THEN 'more than 10000' ELSE f.number::text END),
        -- What leads into an account is not thrown away: the account may be in the dump.
        CASE f.subject
            WHEN 'auth.identities' THEN 'SELECT ''Restore auth.users from the same dump. Whoever has no row there comes back as a stranger.'' AS by_hand;'
            ELSE 'SELECT auth.remove_orphans();' END
    FROM fact AS f WHERE f.name = 'rows of nobody' AND f.number > 0
    UNION ALL
    SELECT 'warning', f.subject, format('The identity provider of this connection gives people another id at each sign-in, and each makes a new account: '
            '%s of their addresses went to a new account three times or more in 30 days.', f.number),
        format('SELECT %L AS by_hand;', format('In the WorkOS dashboard, map an attribute that never changes to the id (idp_id) of the people of %s. '
            'Then give them their accounts back with auth.merge_users(from_user => …, into_user => …).', f.subject))
    FROM fact AS f WHERE f.name = 'addresses of three new accounts'
    UNION ALL

    SELECT 'error', 'auth.installation', c.finding || ' Nobody can sign in here. If this one is to go on in place of the other, run SELECT auth.take_over_installation();, and not the remedy.',
        'SELECT auth.become_new_installation();'
    FROM auth.check_copy() AS c (finding) WHERE c.finding IS NOT NULL
    UNION ALL

    SELECT v.severity, v.object, v.finding, v.remedy FROM auth.check_verifier() AS v
    UNION ALL

    -- Without the setting nobody signs in until the key stands elsewhere; readers go on.
    SELECT 'error', 'workos_auth.root_key_file', format('The root key lies in %s, which every base backup copies: move it, or make a new one.', d.directory),
        CASE WHEN a.is_allowed THEN 'SELECT auth.alter_system(''workos_auth.root_key_file'', '''');'
            ELSE 'SELECT ''Take workos_auth.root_key_file out of the file that configures this server, and reload it.'' AS by_hand;' END
    FROM alter_system AS a, copied_key AS d
    UNION ALL
    -- The file may only be out of reach: no statement throws away what it seals unless somebody has decided that it is lost.
    SELECT 'error', 'workos_auth.root_key_file', k.finding, format('SELECT %L AS by_hand;', k.by_hand)
    FROM auth.check_root_key() AS k WHERE NOT EXISTS (SELECT FROM copied_key)
    UNION ALL

    -- Settings: mended where they were set. ALTER DATABASE wins over the command line, which ALTER SYSTEM does not, and over the file that
    -- Postgres may be told to leave alone; only the key's settings stand nowhere else.
    SELECT s.severity, s.setting, s.finding || CASE WHEN s.viewpoint = 0 THEN '.' ELSE format(' (for %s).', s.viewpoint::regrole) END,
        CASE
            WHEN s.viewpoint = 0 AND s.rank = -1 AND a.is_allowed THEN format('SELECT auth.alter_system(%L, %L);', s.setting, s.safe)
            WHEN s.viewpoint = 0 AND s.rank = -1 AND s.setting = 'workos_auth.allow_root_key_in_data_directory'
                THEN format('SELECT ''Take %s out of the file that configures this server, and reload it.'' AS by_hand;', s.setting)
            WHEN s.viewpoint = 0 AND s.rank = 0 THEN format('ALTER ROLE ALL SET %s = %L;', s.setting, s.safe)
            WHEN s.viewpoint = 0 THEN format('ALTER DATABASE %s SET %s = %L;', this.name, s.setting, s.safe)
            WHEN s.rank = 2 THEN format('ALTER ROLE %s SET %s = %L;', s.viewpoint::regrole, s.setting, s.safe)
            ELSE format('ALTER ROLE %s IN DATABASE %s SET %s = %L;', s.viewpoint::regrole, this.name, s.setting, s.safe)
        END
    FROM this, alter_system AS a, unsafe_setting AS s
    WHERE s.viewpoint = 0 OR s.own AND (s.rank >= 2 OR NOT EXISTS (
        SELECT FROM unsafe_setting AS e WHERE e.viewpoint = 0 AND e.setting = s.setting
    ))
    UNION ALL
    -- A token that stands in a catalog, where everybody can read it.
    SELECT 'error', 'workos_auth.session_token', 'An access token is kept in the catalogs, where everybody can read it: end its session too.',
        format('ALTER %s RESET workos_auth.session_token;', CASE
            WHEN p.role = 0 AND p.database = 0 THEN 'ROLE ALL'
            WHEN p.role = 0 THEN 'DATABASE ' || this.name
            WHEN p.database = 0 THEN 'ROLE ' || p.role::regrole
            ELSE format('ROLE %s IN DATABASE %s', p.role::regrole, this.name) END)
    FROM this, (
        SELECT s.setrole AS role, s.setdatabase AS database, lower(split_part(c, '=', 1)) AS setting, substr(c, strpos(c, '=') + 1) AS value
        FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
        WHERE s.setdatabase = 0 OR s.setdatabase = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    ) AS p WHERE p.setting = 'workos_auth.session_token' AND p.value <> ''
    UNION ALL
    SELECT 'error', p.oid::regprocedure::text, 'An access token is kept in the catalogs, where everybody can read it: end its session too.',
        format('ALTER ROUTINE %s RESET workos_auth.session_token;', p.oid::regprocedure)
    FROM pg_proc AS p WHERE EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c ~* '^workos_auth\.session_token=.')
)
SELECT f.severity, f.object, f.finding, f.remedy FROM found AS f
ORDER BY CASE f.severity WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, f.object COLLATE "C", f.finding COLLATE "C", f.remedy COLLATE "C"
$check$;
COMMENT ON FUNCTION auth.check() IS
    'what is unsafe in this database: one row a finding, the worst first, each with the one statement that mends it; no row is good news';
-- Who may do what: the one list. What is not on it, nobody but the owner may do: sql/99_epilogue.sql takes everything from everybody
-- first, so that a new function is closed until it stands here. auth.grant_sign_in, auth.grant_broker and auth.grant_admin give the bundles of
-- these names, and auth.check() compares the database with the list.
CREATE FUNCTION auth.rights(OUT bundle text, OUT privilege text, OUT object text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 120 SET search_path = pg_catalog, pg_temp AS $$
    VALUES
        -- The readers, and what concerns the person of an access token alone.
        ('everyone', 'USAGE', 'SCHEMA auth'),
        ('everyone', 'USAGE', 'TYPE auth.session'),
        ('everyone', 'SELECT', 'TABLE auth.error_codes'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.error_codes()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.version()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.session_claims()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.jwt()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.uid()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.role()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.email()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.session_id()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.organization_id()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.connection_id()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.has_role(text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.has_role(text, text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.in_group(text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.in_group(text, text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.has_permission(text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.has_permission(text, text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.issuer()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.subject()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.recently_authenticated(interval)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.has_feature(text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.set_session(text, boolean)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.clear_session()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.use_request_token()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.verify_token(text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.jwks()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.get_user()'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.get_user(text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.update_user(text, jsonb)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.my_sessions(text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.sign_out(text, text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.link_identity(text, text, text, text, text, text, text, jsonb, text, text)'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.unlink_identity(text, uuid)'),

        -- What a backend needs to sign people in.
        ('sign_in', 'EXECUTE', 'FUNCTION auth.start_sign_in(text, text, text, text, text, text, jsonb)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.organization_for_email(text)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.start_sign_in_by_email(text, text, text, text, jsonb)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.workos_authorize_url_by_email(text, text, text, text, text, text, jsonb)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.handle_callback(text, text, text, text, text, text, boolean)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.exchange_code(text, text, text, inet, text)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.try_exchange_code(text, text, text, inet, text)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.refresh_session(text, inet, text)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.accept_token(text)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.require_ready()'),

        -- What a backend needs besides that asks WorkOS in the database's place. Whoever has it can say that anybody is anybody.
        ('broker', 'EXECUTE', 'FUNCTION auth.exchange_request(text, text, text)'),
        ('broker', 'EXECUTE', 'FUNCTION auth.exchange_answer(uuid, integer, jsonb, text, text, inet, text)'),
        ('broker', 'EXECUTE', 'FUNCTION auth.try_exchange_answer(uuid, integer, jsonb, text, text, inet, text)'),
        ('broker', 'EXECUTE', 'FUNCTION auth.callback_request(text, text, text, text, text, text, boolean)'),
        ('broker', 'EXECUTE', 'FUNCTION auth.callback_answer(uuid, integer, jsonb, text, text)'),

        -- What an administrator needs who is no superuser.
        ('admin', 'EXECUTE', 'FUNCTION auth.configure_workos(text, text, text, text, text, boolean)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.add_signing_key(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.rotate_signing_key(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.retire_signing_key(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.trust_issuer(text, text, text, jsonb, text, text, text, jsonb)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.trust_workos()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.distrust_issuer(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.set_issuer_keys(text, jsonb)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.set_organization_issuer(text, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.refresh_issuer_keys(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.send_heartbeat()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.workos_create_organization(text, text, text[])'),
        ('admin', 'EXECUTE', 'FUNCTION auth.workos_add_domain(text, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.workos_invite_it_contact(text, text, text[])'),
        ('admin', 'EXECUTE', 'FUNCTION auth.workos_portal_link(text, text, text, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.find_user(text, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.ban_user(uuid, timestamptz)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.unban_user(uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.delete_user(uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.remove_member(uuid, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.move_identity(uuid, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.merge_users(uuid, uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_sessions(uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_session(uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_session(text, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.remove_orphans()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_organization(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.require_sso(text, boolean)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.cleanup(integer)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.create_user(text, text, uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.import_supabase(jsonb, jsonb)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.create_session(uuid, text, text, text, text, interval)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.create_visitor_token(name, interval)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.as_user(uuid, name)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.grant_sign_in(regrole)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_sign_in(regrole)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.rights()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_facts()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_copy()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_root_key()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_members()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_installed()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_differences()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_holders()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_settings()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_becomes()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_people()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_leave(oid, oid, oid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_believers()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_comparisons(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_roles()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_functions()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_own()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_setting(text, text, boolean)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_preloaded()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_files(boolean)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_stored_settings()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_email_copies(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_sign_up()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_verifier()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_worker_runs()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_worker()'),
        ('admin', 'SELECT', 'TABLE auth.redirect_urls'),
        ('admin', 'INSERT', 'TABLE auth.redirect_urls'),
        ('admin', 'UPDATE (note)', 'TABLE auth.redirect_urls'),
        ('admin', 'DELETE', 'TABLE auth.redirect_urls'),
        ('admin', 'SELECT', 'TABLE auth.organization_domains'),
        ('admin', 'INSERT', 'TABLE auth.organization_domains'),
        ('admin', 'DELETE', 'TABLE auth.organization_domains'),
        ('admin', 'SELECT', 'TABLE auth.hooks'),
        ('admin', 'INSERT', 'TABLE auth.hooks'),
        ('admin', 'UPDATE', 'TABLE auth.hooks'),
        ('admin', 'DELETE', 'TABLE auth.hooks'),
        ('admin', 'SELECT', 'TABLE auth.audit_log_entries'),
        ('admin', 'SELECT', 'TABLE auth.organizations'),
        ('admin', 'INSERT', 'TABLE auth.organizations'),
        -- People, by columns: nothing that is sealed, nothing that a bearer value is made of, and no column that a later version adds.
        ('admin', 'SELECT (id, aud, role, email, email_confirmed_at, invited_at, phone, phone_confirmed_at, last_sign_in_at, raw_app_meta_data, raw_user_meta_data, is_sso_user, is_anonymous, banned_until, deleted_at, created_at, updated_at, confirmed_at)', 'TABLE auth.users'),
        ('admin', 'SELECT (organization_id, user_id, role, roles, groups, permissions, custom_attributes, created_at, updated_at)', 'TABLE auth.organization_memberships'),
        ('admin', 'SELECT (id, user_id, provider, provider_id, organization_id, connection_id, connection_type, idp_id, email, identity_data, last_sign_in_at, created_at, updated_at)', 'TABLE auth.identities'),
        ('admin', 'SELECT (id, user_id, claims_version, identity_id, organization_id, connection_id, email, aal, amr, refresh_token_counter, recoveries, recovered_counter, recovered_at, actor, ip, user_agent, not_after, refreshed_at, created_at, updated_at, subscription)', 'TABLE auth.sessions'),
        ('admin', 'SELECT (kid, algorithm, public_key, status, created_at, activated_at, retired_at, visitors_until, subscription)', 'TABLE auth.signing_keys'),
        ('admin', 'SELECT (issuer, kind, jwks_uri, audience, client_id, database_role, claims, created_at, updated_at, refreshed_at)', 'TABLE auth.trusted_issuers'),
        ('admin', 'SELECT (issuer, kid, algorithm, public_key, status, seen_at, created_at)', 'TABLE auth.issuer_keys'),
        ('admin', 'SELECT (issuer, sid, subject, organization_id, ended_at, expires_at)', 'TABLE auth.ended_sessions'),
        ('admin', 'SELECT (installation_id, beat, sent_at, issuer, audience, is_whole, publications, subscription)', 'TABLE auth.heartbeat'),
        ('admin', 'SELECT (singleton, issuer_database, created_at)', 'TABLE auth.verifier'),
        ('admin', 'SELECT (subscription, name, publications, known_since)', 'TABLE auth.feeds'),
        ('admin', 'SELECT (task, last_started_at, last_succeeded_at, last_failed_at, failures, last_count, last_error, next_at)', 'TABLE auth.worker_status'),
        ('admin', 'REFERENCES', 'TABLE auth.users'),

        -- The function itself looks at this right, which a superuser gives with GRANT pg_write_server_files.
        ('server_files', 'EXECUTE', 'FUNCTION auth.create_root_key(text)')
$$;
COMMENT ON FUNCTION auth.rights() IS
    'who may do what, with columns behind the privilege where it is about these alone: everyone; the bundles sign_in, broker and admin, which auth.grant_sign_in, auth.grant_broker and auth.grant_admin give; server_files, which is pg_write_server_files';

-- Whoever may do the first thing that a bundle is for has the bundle. Rights are the one record of it: each database has its own, and a dump
-- carries them. These three functions are never dropped.
CREATE FUNCTION auth.check_holders(OUT bundle text, OUT grantee oid) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT b.bundle, a.grantee
    FROM (VALUES
        ('sign_in', 'auth.exchange_code(text, text, text, inet, text)'),
        ('broker', 'auth.exchange_answer(uuid, integer, jsonb, text, text, inet, text)'),
        ('admin', 'auth.configure_workos(text, text, text, text, text, boolean)')
    ) AS b (bundle, function) JOIN pg_proc AS p ON p.oid = to_regprocedure(b.function), aclexplode(p.proacl) AS a
    WHERE a.grantee NOT IN (0, p.proowner)
$$;
COMMENT ON FUNCTION auth.check_holders() IS 'which roles have the bundles of auth.rights() in this database; auth.check() says what they lack; an update gives them what it adds';
-- What administrators read, and what they write with plain INSERT and DELETE; who may run auth.configure_workos is one. They change
-- neither people nor the audit log: for people there are functions. Asked once a query, not for every row.
DO $policies$
DECLARE
    name text;
    command text;
BEGIN
    FOR name, command IN VALUES
        ('redirect_urls', 'ALL'), ('organization_domains', 'ALL'), ('hooks', 'ALL'), ('audit_log_entries', 'SELECT'), ('users', 'SELECT'),
        ('organization_memberships', 'SELECT'), ('identities', 'SELECT'), ('sessions', 'SELECT'), ('signing_keys', 'SELECT'), ('organizations', 'SELECT'),
        ('trusted_issuers', 'SELECT'), ('issuer_keys', 'SELECT'), ('ended_sessions', 'SELECT'), ('heartbeat', 'SELECT'), ('verifier', 'SELECT'), ('feeds', 'SELECT'), ('worker_status', 'SELECT')
    LOOP
        EXECUTE pg_catalog.format(
            $policy$CREATE POLICY administrators ON auth.%I FOR %s USING (
                (SELECT pg_catalog.has_function_privilege(CURRENT_USER, 'auth.configure_workos(text, text, text, text, text, boolean)', 'EXECUTE'))
            )$policy$, name, command);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON POLICY administrators ON auth.%I IS 'those whom auth.grant_admin made administrators'$comment$, name);
    END LOOP;
END
$policies$;
CREATE POLICY administrators_add ON auth.organizations FOR INSERT WITH CHECK (feed IS NULL AND contested_by IS NULL AND
    (SELECT pg_catalog.has_function_privilege(CURRENT_USER, 'auth.configure_workos(text, text, text, text, text, boolean)', 'EXECUTE')));
COMMENT ON POLICY administrators_add ON auth.organizations IS 'those whom auth.grant_admin made administrators';

-- Backends cache signing keys and the installation's id; a change tells them. ALWAYS, so that it also does where
-- rows arrive by replication. TRUNCATE on sessions has a trigger so that nothing may empty the table unnoticed.
CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.signing_keys
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.signing_keys
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.installation
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.installation
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.sessions
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
ALTER TABLE auth.signing_keys ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.signing_keys ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
ALTER TABLE auth.installation ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.installation ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
ALTER TABLE auth.sessions ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
COMMENT ON TRIGGER forget_cached_rows ON auth.signing_keys IS 'tells every backend that its cached keys are old';
COMMENT ON TRIGGER forget_cached_rows_truncated ON auth.signing_keys IS 'tells every backend that its cached keys are old';
COMMENT ON TRIGGER forget_cached_rows ON auth.installation IS 'tells every backend that its cached issuer is old';
COMMENT ON TRIGGER forget_cached_rows_truncated ON auth.installation IS 'tells every backend that its cached issuer is old';
COMMENT ON TRIGGER forget_cached_rows_truncated ON auth.sessions IS 'tells every backend that the table was emptied';

CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.trusted_issuers
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.trusted_issuers
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.issuer_keys
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.issuer_keys
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
ALTER TABLE auth.trusted_issuers ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.trusted_issuers ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
ALTER TABLE auth.issuer_keys ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.issuer_keys ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
COMMENT ON TRIGGER forget_cached_rows ON auth.trusted_issuers IS 'tells every backend that its cached issuers are old';
COMMENT ON TRIGGER forget_cached_rows_truncated ON auth.trusted_issuers IS 'tells every backend that its cached issuers are old';
COMMENT ON TRIGGER forget_cached_rows ON auth.issuer_keys IS 'tells every backend that its cached issuers are old';
COMMENT ON TRIGGER forget_cached_rows_truncated ON auth.issuer_keys IS 'tells every backend that its cached issuers are old';

-- Verifiers. REPLICA: they fire where a subscription changes the table, and nowhere else.
DO $fed$
DECLARE
    name text;
BEGIN
    -- After the first four, those that say whom a verifier believes: they take nothing from a subscription.
    FOREACH name IN ARRAY ARRAY['sessions', 'signing_keys', 'organizations', 'heartbeat',
        'trusted_issuers', 'issuer_keys', 'ended_sessions', 'identities', 'verifier', 'feeds'] LOOP
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER keep_feeds_apart BEFORE INSERT OR UPDATE OR DELETE ON auth.%I FOR EACH ROW EXECUTE FUNCTION auth.keep_feeds_apart()', name);
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER keep_feeds_apart_truncated BEFORE TRUNCATE ON auth.%I FOR EACH STATEMENT EXECUTE FUNCTION auth.keep_feeds_apart()', name);
        EXECUTE pg_catalog.format('ALTER TABLE auth.%I ENABLE REPLICA TRIGGER keep_feeds_apart', name);
        EXECUTE pg_catalog.format('ALTER TABLE auth.%I ENABLE REPLICA TRIGGER keep_feeds_apart_truncated', name);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON TRIGGER keep_feeds_apart ON auth.%I IS 'notes in a verifier which subscription brings a row, and refuses what it may not bring'$comment$, name);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON TRIGGER keep_feeds_apart_truncated ON auth.%I IS 'refuses in a verifier that one of several subscriptions empties the table'$comment$, name);
    END LOOP;
END
$fed$;
CREATE TRIGGER mark_lost_heartbeat BEFORE UPDATE ON auth.heartbeat FOR EACH ROW
    WHEN (NEW.beat <> OLD.beat + 1) EXECUTE FUNCTION auth.mark_lost_heartbeat();
CREATE TRIGGER mark_new_heartbeat BEFORE INSERT ON auth.heartbeat FOR EACH ROW EXECUTE FUNCTION auth.mark_lost_heartbeat();
ALTER TABLE auth.heartbeat ENABLE REPLICA TRIGGER mark_lost_heartbeat;
ALTER TABLE auth.heartbeat ENABLE REPLICA TRIGGER mark_new_heartbeat;
COMMENT ON TRIGGER mark_new_heartbeat ON auth.heartbeat IS 'notes in a verifier that the issuer began to count anew, but for the first copy';
COMMENT ON TRIGGER mark_lost_heartbeat ON auth.heartbeat IS 'notes in a verifier that a heartbeat did not arrive';

-- Triggers of statements fire for the first copy and TRUNCATE.
CREATE TRIGGER note_ended_session AFTER DELETE ON auth.sessions
    FOR EACH ROW EXECUTE FUNCTION auth.note_ended_session();
CREATE TRIGGER note_ended_sessions AFTER INSERT OR TRUNCATE ON auth.sessions
    FOR EACH STATEMENT EXECUTE FUNCTION auth.note_ended_session();
ALTER TABLE auth.sessions ENABLE REPLICA TRIGGER note_ended_session;
ALTER TABLE auth.sessions ENABLE REPLICA TRIGGER note_ended_sessions;
COMMENT ON TRIGGER note_ended_session ON auth.sessions IS 'notes in a verifier that a session was here and has ended';
COMMENT ON TRIGGER note_ended_sessions ON auth.sessions IS 'notes in a verifier that all sessions were copied, or have ended';

CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.verifier
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.verifier
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
ALTER TABLE auth.verifier ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.verifier ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
COMMENT ON TRIGGER forget_cached_rows ON auth.verifier IS 'tells every backend whether this database only verifies';
COMMENT ON TRIGGER forget_cached_rows_truncated ON auth.verifier IS 'tells every backend whether this database only verifies';
CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.feeds
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.feeds
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
ALTER TABLE auth.feeds ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.feeds ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
COMMENT ON TRIGGER forget_cached_rows ON auth.feeds IS 'tells every backend what feeds a verifier';
COMMENT ON TRIGGER forget_cached_rows_truncated ON auth.feeds IS 'tells every backend what feeds a verifier';

-- A foreign key is checked as workos_auth_owner. The library refuses one that would run somebody's cast; a session that has not loaded it
-- yet does so here: by every command that makes a constraint or changes a column's type, through a typed table, a parent or another name
-- for the table too. None that drops is among them, so that a database whose library is gone can be mended. ALWAYS, since
-- session_replication_role must not open the door.
CREATE EVENT TRIGGER workos_auth_foreign_keys ON ddl_command_start
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA', 'ALTER TYPE', 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE',
        'IMPORT FOREIGN SCHEMA', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER INDEX', 'ALTER SEQUENCE')
    EXECUTE FUNCTION auth.load_library();
ALTER EVENT TRIGGER workos_auth_foreign_keys ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER workos_auth_foreign_keys IS
    'has workos_auth refuse foreign keys to its tables from columns of another type, whose cast would run as workos_auth_owner';

-- Supabase Auth lets these be NULL, and seeds say so: NULL gives the default.
CREATE TRIGGER fill_in_defaults BEFORE INSERT ON auth.users FOR EACH ROW
    WHEN (NEW.aud IS NULL OR NEW.role IS NULL OR NEW.raw_app_meta_data IS NULL OR NEW.raw_user_meta_data IS NULL
        OR NEW.is_sso_user IS NULL OR NEW.is_anonymous IS NULL OR NEW.created_at IS NULL OR NEW.updated_at IS NULL)
    EXECUTE FUNCTION auth.fill_in_defaults();
CREATE TRIGGER fill_in_defaults BEFORE INSERT ON auth.identities FOR EACH ROW
    WHEN (NEW.created_at IS NULL OR NEW.updated_at IS NULL)
    EXECUTE FUNCTION auth.fill_in_defaults();
COMMENT ON TRIGGER fill_in_defaults ON auth.users IS 'gives the default where a statement that was written for Supabase Auth says NULL';
COMMENT ON TRIGGER fill_in_defaults ON auth.identities IS 'gives the default where a statement that was written for Supabase Auth says NULL';

CREATE TRIGGER identity_left AFTER DELETE ON auth.identities FOR EACH ROW
    WHEN (pg_catalog.strpos(OLD.provider, ':') > 0) EXECUTE FUNCTION auth.identity_left();
COMMENT ON TRIGGER identity_left ON auth.identities IS
    'ends the sessions of an identity of a trusted issuer, so that no token from before makes the person known again';

CREATE TRIGGER member_changed AFTER UPDATE ON auth.organization_memberships FOR EACH ROW
    WHEN ((OLD.organization_id, OLD.user_id, OLD.role, OLD.roles, OLD.groups, OLD.permissions)
        IS DISTINCT FROM (NEW.organization_id, NEW.user_id, NEW.role, NEW.roles, NEW.groups, NEW.permissions))
    EXECUTE FUNCTION auth.member_changed();
CREATE TRIGGER member_left AFTER DELETE ON auth.organization_memberships FOR EACH ROW EXECUTE FUNCTION auth.member_changed();
CREATE TRIGGER members_truncated AFTER TRUNCATE ON auth.organization_memberships
    FOR EACH STATEMENT EXECUTE FUNCTION auth.member_changed();
COMMENT ON TRIGGER member_changed ON auth.organization_memberships IS
    'has tokens refreshed of whoever has other rights in an organization now';
COMMENT ON TRIGGER member_left ON auth.organization_memberships IS 'ends the sessions of whoever leaves an organization';
COMMENT ON TRIGGER members_truncated ON auth.organization_memberships IS 'ends every session of an organization';
-- A copy is told by where its row says that it lives. ALWAYS, so that a row also settles where it arrives by replication.
CREATE TRIGGER settle_installation BEFORE INSERT ON auth.installation
    FOR EACH ROW EXECUTE FUNCTION auth.settle_installation();
ALTER TABLE auth.installation ENABLE ALWAYS TRIGGER settle_installation;
COMMENT ON TRIGGER settle_installation ON auth.installation IS 'a row that comes from another cluster lives here from now on';

CREATE TRIGGER check_redirect_url BEFORE INSERT OR UPDATE OF pattern ON auth.redirect_urls
    FOR EACH ROW EXECUTE FUNCTION auth.check_redirect_url();
COMMENT ON TRIGGER check_redirect_url ON auth.redirect_urls IS 'refuses a pattern that could match a foreign host or scheme';

CREATE TRIGGER check_organization_domain BEFORE INSERT OR UPDATE OF domain ON auth.organization_domains
    FOR EACH ROW EXECUTE FUNCTION auth.check_organization_domain();
COMMENT ON TRIGGER check_organization_domain ON auth.organization_domains IS 'refuses what no e-mail address has behind its @';

CREATE TRIGGER check_hook BEFORE INSERT OR UPDATE ON auth.hooks
    FOR EACH ROW EXECUTE FUNCTION auth.check_hook();
COMMENT ON TRIGGER check_hook ON auth.hooks IS 'refuses a function that may not be a hook';

CREATE TRIGGER audit_configuration AFTER INSERT OR UPDATE OR DELETE ON auth.redirect_urls
    FOR EACH ROW EXECUTE FUNCTION auth.audit_configuration();
CREATE TRIGGER audit_configuration_truncated AFTER TRUNCATE ON auth.redirect_urls
    FOR EACH STATEMENT EXECUTE FUNCTION auth.audit_configuration();
CREATE TRIGGER audit_configuration AFTER INSERT OR UPDATE OR DELETE ON auth.organization_domains
    FOR EACH ROW EXECUTE FUNCTION auth.audit_configuration();
CREATE TRIGGER audit_configuration_truncated AFTER TRUNCATE ON auth.organization_domains
    FOR EACH STATEMENT EXECUTE FUNCTION auth.audit_configuration();
CREATE TRIGGER audit_configuration AFTER INSERT OR UPDATE OR DELETE ON auth.hooks
    FOR EACH ROW EXECUTE FUNCTION auth.audit_configuration();
CREATE TRIGGER audit_configuration_truncated AFTER TRUNCATE ON auth.hooks
    FOR EACH STATEMENT EXECUTE FUNCTION auth.audit_configuration();
COMMENT ON TRIGGER audit_configuration ON auth.redirect_urls IS 'writes what administrators do into the audit log';
COMMENT ON TRIGGER audit_configuration_truncated ON auth.redirect_urls IS 'writes that the table was emptied into the audit log';
COMMENT ON TRIGGER audit_configuration ON auth.organization_domains IS 'writes what administrators do into the audit log';
COMMENT ON TRIGGER audit_configuration_truncated ON auth.organization_domains IS 'writes that the table was emptied into the audit log';
COMMENT ON TRIGGER audit_configuration ON auth.hooks IS 'writes what administrators do into the audit log';
COMMENT ON TRIGGER audit_configuration_truncated ON auth.hooks IS 'writes that the table was emptied into the audit log';

-- pg_dump leaves out the foreign keys of an extension's tables, so that pg_restore -j does not know them and copies tables in any order. These
-- two let a restore's COPY pass them. ALWAYS, since the second fires where the first has switched the plain ones off.
DO $restore$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'signing_keys', 'providers', 'organization_domains', 'organization_memberships', 'identities', 'sessions', 'issuer_keys'
    ] LOOP
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER restore_begins BEFORE INSERT ON auth.%I FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows()', name);
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER restore_ends AFTER INSERT ON auth.%I FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows()', name);
        EXECUTE pg_catalog.format('ALTER TABLE auth.%I ENABLE ALWAYS TRIGGER restore_begins', name);
        EXECUTE pg_catalog.format('ALTER TABLE auth.%I ENABLE ALWAYS TRIGGER restore_ends', name);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON TRIGGER restore_begins ON auth.%I IS 'a restore''s COPY may bring rows before those that they reference'$comment$, name);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON TRIGGER restore_ends ON auth.%I IS 'foreign keys are checked again after a restore''s COPY'$comment$, name);
    END LOOP;
END
$restore$;
-- The end of the install script and of every update script, which is the same: tools/extension-files.sh puts it behind both, in an
-- update with OR REPLACE. Whatever the
-- script has made is shut, dumped, compared and owned as everything else is, without a line of its own.

-- Every table is shut by row-level security, and carried by a dump.
DO $tables$
DECLARE
    name text;
    is_shut boolean;
    is_dumped boolean;
BEGIN
    FOR name, is_shut, is_dumped IN
        SELECT c.relname, c.relrowsecurity, coalesce(c.oid = ANY (e.extconfig), false)
        FROM pg_catalog.pg_extension AS e
            JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
            JOIN pg_catalog.pg_class AS c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
        WHERE e.extname = 'workos_auth' AND c.relkind = 'r'
        ORDER BY c.oid
    LOOP
        IF NOT is_shut THEN
            EXECUTE pg_catalog.format('ALTER TABLE auth.%I ENABLE ROW LEVEL SECURITY', name);
        END IF;
        -- A sign-in under way does not outlive a restore: its code is spent or expired by then. And a worker may write its own rows meanwhile.
        IF NOT is_dumped AND name NOT IN ('flow_states', 'worker_status') THEN
            PERFORM pg_catalog.pg_extension_config_dump(pg_catalog.format('auth.%I', name), '');
        END IF;
    END LOOP;
END
$tables$;

-- What auth.check() compares with: everything that the extension consists of now, and how each is restored. It cannot tell of itself. What
-- others had attached before an update stays theirs: auth.check() goes on saying so.
DO $installed$
DECLARE
    attached CONSTANT jsonb := coalesce(nullif(pg_catalog.current_setting('workos_auth_update.attached', true), ''), '[]');
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE FUNCTION auth.check_installed('
        'OUT version integer, OUT kind text, OUT identity text, OUT relation text, OUT name text, OUT state jsonb, OUT printed text, OUT restore text'
        ') RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 400 SET search_path = pg_catalog, pg_temp AS %L',
        (SELECT pg_catalog.format(
            'SELECT %s, i.kind, i.identity, i.relation, i.name, i.state, i.printed, i.restore FROM jsonb_to_recordset(%L)'
            ' AS i (kind text, identity text, relation text, name text, state jsonb, printed text, restore text)',
            pg_catalog.current_setting('server_version_num')::integer / 10000,
            pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m) - 'classid' - 'objid' ORDER BY m.kind COLLATE "C", m.identity COLLATE "C"))
         FROM auth.check_members() AS m
         WHERE m.identity <> 'auth.check_installed()' AND NOT attached @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array(m.kind, m.identity)))
    );
END
$installed$;
COMMENT ON FUNCTION auth.check_installed() IS
    'what auth.check_members() said when the extension was installed or last updated, under that version of Postgres; anything else is somebody else''s doing';

-- Each new object belongs to workos_auth_owner, and is open to those whom auth.rights() names and to nobody else, whatever the default
-- privileges of the superuser who runs this say. What is old keeps its owner and its rights, those too that were given by hand. Only what the
-- list says otherwise than before the update changes.
DO $rights$
DECLARE
    is_update CONSTANT boolean := coalesce(pg_catalog.current_setting('workos_auth_update.rights', true), '') <> '';
    members CONSTANT pg_catalog.oid[] := CASE WHEN is_update THEN pg_catalog.current_setting('workos_auth_update.members')::pg_catalog.oid[] ELSE '{}' END;
    before CONSTANT jsonb := CASE WHEN is_update THEN pg_catalog.current_setting('workos_auth_update.rights')::jsonb ELSE '[]' END;
    of_script text[];
    of_users text[];
    statement text;
BEGIN
    WITH before AS (
        SELECT b.bundle, b.privilege, b.object
        FROM pg_catalog.jsonb_to_recordset(before) AS b (bundle text, privilege text, object text)
    ), base (object, privilege, grantee) AS (
        SELECT r.object, r.privilege, CASE r.bundle WHEN 'everyone' THEN 'PUBLIC' ELSE 'pg_write_server_files' END
        FROM auth.rights() AS r WHERE r.bundle IN ('everyone', 'server_files')
    ), base_before (object, privilege, grantee) AS (
        SELECT b.object, b.privilege, CASE b.bundle WHEN 'everyone' THEN 'PUBLIC' ELSE 'pg_write_server_files' END
        FROM before AS b WHERE b.bundle IN ('everyone', 'server_files')
    ), changed (object) AS (
        (TABLE base EXCEPT TABLE base_before) UNION (TABLE base_before EXCEPT TABLE base)
    ), member AS (
        SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'workos_auth' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    ), own (kind, granted_as, oid, name, owner, acl, is_new) AS (
        SELECT 'FUNCTION', 'FUNCTION', p.oid, p.oid::pg_catalog.regprocedure::text, p.proowner,
            coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_proc AS p ON m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = m.objid
        UNION ALL
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, 'TABLE', c.oid, c.oid::pg_catalog.regclass::text, c.relowner,
            coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)), c.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_class AS c ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = m.objid
        WHERE c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'TYPE', 'TYPE', t.oid, t.oid::pg_catalog.regtype::text, t.typowner,
            coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner)), t.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_type AS t ON m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = m.objid
            JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid AND c.relkind = 'c'
        UNION ALL
        -- The row type of a table has the owner of its table, and rights of its own where default privileges gave some; otherwise it is
        -- left alone, for pg_dump cannot dump its rights and would say so. Array types have none.
        SELECT 'ROW TYPE', 'TYPE', t.oid, t.oid::pg_catalog.regtype::text, t.typowner, t.typacl, c.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_type AS t ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND t.typrelid = m.objid
            JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid AND c.relkind IN ('r', 'v')
        WHERE t.typacl IS NOT NULL
        UNION ALL
        -- It stays the installing superuser's, and after DROP EXTENSION too.
        SELECT 'SCHEMA', 'SCHEMA', n.oid, n.nspname, n.nspowner, coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)), NOT is_update
        FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'auth'
    ), touched AS (
        SELECT o.* FROM own AS o WHERE o.is_new OR o.kind <> 'ROW TYPE' AND is_update AND EXISTS (
            SELECT FROM changed AS c WHERE o.granted_as = pg_catalog.split_part(c.object, ' ', 1) AND o.oid = CASE o.granted_as
                WHEN 'FUNCTION' THEN pg_catalog.to_regprocedure(pg_catalog.substr(c.object, 10))::pg_catalog.oid
                WHEN 'TABLE' THEN pg_catalog.to_regclass(pg_catalog.substr(c.object, 7))::pg_catalog.oid
                WHEN 'TYPE' THEN pg_catalog.to_regtype(pg_catalog.substr(c.object, 6))::pg_catalog.oid
                WHEN 'SCHEMA' THEN pg_catalog.to_regnamespace(pg_catalog.substr(c.object, 8))::pg_catalog.oid END)
    ), acl (kind, granted_as, name, is_new, owner, grantee, privilege, is_grantable) AS (
        SELECT t.kind, t.granted_as, t.name, t.is_new, t.owner, a.grantee, a.privilege_type, a.is_grantable
        FROM touched AS t, pg_catalog.aclexplode(t.acl) AS a
        UNION ALL
        SELECT t.kind, t.granted_as, t.name, t.is_new, t.owner, a.grantee, pg_catalog.format('%s (%I)', a.privilege_type, c.attname), a.is_grantable
        FROM touched AS t JOIN pg_catalog.pg_attribute AS c ON t.granted_as = 'TABLE' AND c.attrelid = t.oid, pg_catalog.aclexplode(c.attacl) AS a
    )
    SELECT ARRAY(
            SELECT s.statement FROM (
                SELECT 0, pg_catalog.format('ALTER %s %s OWNER TO workos_auth_owner', t.kind, t.name)
                FROM touched AS t WHERE t.is_new AND t.kind NOT IN ('ROW TYPE', 'SCHEMA')
                UNION
                -- PUBLIC always, so that the rights are written down and the same everywhere.
                SELECT 1, pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE', t.granted_as, t.name,
                    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::pg_catalog.regrole::text END)
                FROM touched AS t CROSS JOIN LATERAL (
                    SELECT 0::pg_catalog.oid UNION SELECT a.grantee FROM acl AS a WHERE (a.granted_as, a.name) = (t.granted_as, t.name) AND a.grantee <> a.owner
                ) AS g (grantee)
                UNION
                SELECT 2, pg_catalog.format('GRANT %s ON %s TO %s', b.privilege, b.object, b.grantee)
                FROM base AS b WHERE NOT is_update OR b.object IN (SELECT c.object FROM changed AS c)
            ) AS s (step, statement) ORDER BY s.step, s.statement
        ), ARRAY(
            -- By hand, to users, on what is old.
            SELECT pg_catalog.format('GRANT %s ON %s %s TO %s%s', a.privilege, a.granted_as, a.name, a.grantee::pg_catalog.regrole,
                CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
            FROM acl AS a WHERE NOT a.is_new AND a.grantee NOT IN (0, a.owner, 'pg_write_server_files'::pg_catalog.regrole)
            UNION ALL
            -- What a bundle has got since, to whoever has every function of the bundle as it was.
            SELECT pg_catalog.format('GRANT %s ON %s TO %s', r.privilege, r.object, h.grantee::pg_catalog.regrole)
            FROM auth.rights() AS r JOIN auth.check_holders() AS h ON h.bundle = r.bundle
            WHERE is_update AND NOT EXISTS (SELECT FROM before AS b WHERE (b.bundle, b.privilege, b.object) = (r.bundle, r.privilege, r.object))
                AND NOT EXISTS (
                    SELECT FROM before AS b
                    WHERE b.bundle = r.bundle AND b.privilege = 'EXECUTE' AND b.object LIKE 'FUNCTION %'
                        AND NOT pg_catalog.has_function_privilege(h.grantee, pg_catalog.substr(b.object, 10), 'EXECUTE'))
        )
    INTO STRICT of_script, of_users;
    FOREACH statement IN ARRAY of_script LOOP
        EXECUTE statement;
    END LOOP;
    FOREACH statement IN ARRAY of_users LOOP
        PERFORM auth.grant_outside_script(statement);
    END LOOP;
    -- An install in the same transaction is no update.
    PERFORM pg_catalog.set_config('workos_auth_update.rights', '', true);
    PERFORM pg_catalog.set_config('workos_auth_update.attached', '', true);
END
$rights$;
