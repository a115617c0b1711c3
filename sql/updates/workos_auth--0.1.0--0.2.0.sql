-- What becomes of tables, types, triggers and policies from 0.1.0 to 0.2.0. tools/extension-files.sh adds the rest.

-- First: a sign-in writes to it before all other tables. Locked later, it and a sign-in would wait for each other.
LOCK TABLE auth.flow_states IN ACCESS EXCLUSIVE MODE;

ALTER TABLE auth.redirect_urls ADD COLUMN note text;
ALTER TABLE auth.organizations ADD COLUMN issuer text;
ALTER TABLE auth.organizations ADD COLUMN require_sso boolean NOT NULL DEFAULT false;
ALTER TABLE auth.organizations ADD COLUMN feed text;
ALTER TABLE auth.organizations ADD COLUMN contested_by text;
ALTER TABLE auth.sessions ADD COLUMN subscription oid;
ALTER TABLE auth.signing_keys ADD COLUMN subscription oid;
DROP INDEX auth.signing_keys_active_key;
CREATE UNIQUE INDEX signing_keys_active_key ON auth.signing_keys (subscription) NULLS NOT DISTINCT WHERE status = 'active';
ALTER POLICY administrators_add ON auth.organizations WITH CHECK (feed IS NULL AND contested_by IS NULL AND
    (SELECT pg_catalog.has_function_privilege(CURRENT_USER, 'auth.configure_workos(text, text, text, text, text, boolean)', 'EXECUTE')));
CREATE INDEX organization_domains_domain_idx ON auth.organization_domains (domain);

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

CREATE TABLE auth.verifier (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    issuer_database text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE TABLE auth.feeds (
    subscription oid PRIMARY KEY,
    name text NOT NULL,
    publications text[] NOT NULL,
    known_since timestamptz NOT NULL
);

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

DO $policies$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['trusted_issuers', 'issuer_keys', 'ended_sessions', 'heartbeat', 'verifier', 'feeds', 'worker_status'] LOOP
        EXECUTE pg_catalog.format(
            $policy$CREATE POLICY administrators ON auth.%I FOR SELECT USING (
                (SELECT pg_catalog.has_function_privilege(CURRENT_USER, 'auth.configure_workos(text, text, text, text, text, boolean)', 'EXECUTE'))
            )$policy$, name);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON POLICY administrators ON auth.%I IS 'those whom auth.grant_admin made administrators'$comment$, name);
    END LOOP;
END
$policies$;

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

CREATE TRIGGER restore_begins BEFORE INSERT ON auth.issuer_keys FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows();
CREATE TRIGGER restore_ends AFTER INSERT ON auth.issuer_keys FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows();
ALTER TABLE auth.issuer_keys ENABLE ALWAYS TRIGGER restore_begins;
ALTER TABLE auth.issuer_keys ENABLE ALWAYS TRIGGER restore_ends;
COMMENT ON TRIGGER restore_begins ON auth.issuer_keys IS 'a restore''s COPY may bring rows before those that they reference';
COMMENT ON TRIGGER restore_ends ON auth.issuer_keys IS 'foreign keys are checked again after a restore''s COPY';

CREATE FUNCTION auth.identity_left() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'identity_left_wrapper';
CREATE FUNCTION auth.mark_lost_heartbeat() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'mark_lost_heartbeat_wrapper';
CREATE FUNCTION auth.note_ended_session() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'note_ended_session_wrapper';

CREATE FUNCTION auth.keep_feeds_apart() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'keep_feeds_apart_wrapper';

-- REPLICA: they fire where a subscription changes the table, and nowhere else.
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

-- Triggers of statements fire for the first copy and TRUNCATE.
CREATE TRIGGER note_ended_session AFTER DELETE ON auth.sessions
    FOR EACH ROW EXECUTE FUNCTION auth.note_ended_session();
CREATE TRIGGER note_ended_sessions AFTER INSERT OR TRUNCATE ON auth.sessions
    FOR EACH STATEMENT EXECUTE FUNCTION auth.note_ended_session();
ALTER TABLE auth.sessions ENABLE REPLICA TRIGGER note_ended_session;
ALTER TABLE auth.sessions ENABLE REPLICA TRIGGER note_ended_sessions;

CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.verifier
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.verifier
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
ALTER TABLE auth.verifier ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.verifier ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;
CREATE TRIGGER forget_cached_rows AFTER INSERT OR UPDATE OR DELETE ON auth.feeds
    FOR EACH ROW EXECUTE FUNCTION auth.forget_cached_rows();
CREATE TRIGGER forget_cached_rows_truncated AFTER TRUNCATE ON auth.feeds
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_cached_rows();
ALTER TABLE auth.feeds ENABLE ALWAYS TRIGGER forget_cached_rows;
ALTER TABLE auth.feeds ENABLE ALWAYS TRIGGER forget_cached_rows_truncated;

CREATE TRIGGER identity_left AFTER DELETE ON auth.identities FOR EACH ROW
    WHEN (pg_catalog.strpos(OLD.provider, ':') > 0) EXECUTE FUNCTION auth.identity_left();

-- The mirror of WorkOS.
ALTER TABLE auth.organizations ADD COLUMN name text;
ALTER TABLE auth.organizations ADD COLUMN external_id text;
ALTER TABLE auth.organizations ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
ALTER TABLE auth.organizations ADD COLUMN deleted_at timestamptz;
ALTER TABLE auth.organizations ADD COLUMN workos_updated_at timestamptz;
ALTER TABLE auth.organizations ADD COLUMN seen_at timestamptz;
ALTER TABLE auth.organization_domains ADD COLUMN workos_id text;
ALTER TABLE auth.organization_domains ADD COLUMN state text;
ALTER TABLE auth.organization_domains ADD COLUMN workos_updated_at timestamptz;
CREATE INDEX identities_idp_id_idx ON auth.identities (idp_id);

CREATE TABLE auth.connections (
    id text PRIMARY KEY,
    organization_id text,
    type text,
    name text,
    state text NOT NULL,
    certificate_expires_at timestamptz,
    workos_updated_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX connections_organization_id_idx ON auth.connections (organization_id);

CREATE TABLE auth.roles (
    organization_id text NOT NULL DEFAULT '',
    slug text NOT NULL,
    permissions text[] NOT NULL DEFAULT '{}',
    version bigint NOT NULL DEFAULT 0,
    deleted_at timestamptz,
    workos_updated_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (organization_id, slug)
);
CREATE INDEX roles_version_idx ON auth.roles (organization_id, version);

CREATE TABLE auth.workos_memberships (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    workos_user_id text NOT NULL,
    status text NOT NULL,
    directory_managed boolean NOT NULL DEFAULT false,
    role text,
    roles text[] NOT NULL DEFAULT '{}',
    deleted_at timestamptz,
    workos_updated_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX workos_memberships_workos_user_id_idx ON auth.workos_memberships (workos_user_id, organization_id);
CREATE INDEX workos_memberships_organization_id_idx ON auth.workos_memberships (organization_id);

CREATE TABLE auth.directories (
    id text PRIMARY KEY,
    organization_id text,
    type text,
    name text,
    state text NOT NULL,
    workos_updated_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX directories_organization_id_idx ON auth.directories (organization_id);

CREATE TABLE auth.directory_users (
    id text PRIMARY KEY,
    directory_id text NOT NULL,
    organization_id text,
    idp_id text,
    email text,
    state text NOT NULL,
    role text,
    roles text[] NOT NULL DEFAULT '{}',
    custom_attributes jsonb NOT NULL DEFAULT '{}',
    user_id uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    deleted_at timestamptz,
    workos_updated_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX directory_users_directory_id_idx ON auth.directory_users (directory_id);
CREATE INDEX directory_users_idp_id_idx ON auth.directory_users (organization_id, idp_id);
CREATE INDEX directory_users_email_idx ON auth.directory_users (organization_id, email);
CREATE INDEX directory_users_user_id_idx ON auth.directory_users (user_id);

CREATE TABLE auth.directory_groups (
    id text PRIMARY KEY,
    directory_id text NOT NULL,
    organization_id text,
    idp_id text,
    name text NOT NULL,
    workos_updated_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX directory_groups_directory_id_idx ON auth.directory_groups (directory_id);
CREATE INDEX directory_groups_organization_id_idx ON auth.directory_groups (organization_id);

CREATE TABLE auth.directory_group_members (
    group_id text NOT NULL,
    directory_user_id text NOT NULL,
    organization_id text,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (group_id, directory_user_id)
);
CREATE INDEX directory_group_members_directory_user_id_idx ON auth.directory_group_members (directory_user_id);

CREATE TABLE auth.workos_removals (
    id text PRIMARY KEY,
    removed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

CREATE TABLE auth.workos_events (
    id text PRIMARY KEY,
    event text NOT NULL,
    created_at timestamptz NOT NULL,
    source text NOT NULL CHECK (source IN ('poll', 'webhook', 'skipped'))
);
CREATE INDEX workos_events_created_at_idx ON auth.workos_events (created_at);

CREATE TABLE auth.workos_sync_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    cursor text,
    page_at timestamptz,
    event_at timestamptz,
    drained_at timestamptz,
    reconciled_at timestamptz,
    failed_at timestamptz,
    last_error text,
    roles_version bigint NOT NULL DEFAULT 0,
    since timestamptz,
    webhook_secret bytea
);

DO $policies$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'connections', 'roles', 'workos_memberships', 'directories', 'directory_users', 'directory_groups', 'directory_group_members',
        'workos_removals', 'workos_events', 'workos_sync_state'
    ] LOOP
        EXECUTE pg_catalog.format(
            $policy$CREATE POLICY administrators ON auth.%I FOR SELECT USING (
                (SELECT pg_catalog.has_function_privilege(CURRENT_USER, 'auth.configure_workos(text, text, text, text, text, boolean)', 'EXECUTE'))
            )$policy$, name);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON POLICY administrators ON auth.%I IS 'those whom auth.grant_admin made administrators'$comment$, name);
    END LOOP;
END
$policies$;
DO $own_organization$
DECLARE
    name text;
    condition text;
BEGIN
    FOR name, condition IN VALUES
        ('organizations', 'id OPERATOR(pg_catalog.=) (SELECT auth.organization_id())'),
        ('connections', 'organization_id OPERATOR(pg_catalog.=) (SELECT auth.organization_id())'),
        ('roles', 'organization_id OPERATOR(pg_catalog.=) ANY (ARRAY['''', (SELECT auth.organization_id())]) AND deleted_at IS NULL'),
        ('organization_memberships', 'organization_id OPERATOR(pg_catalog.=) (SELECT auth.organization_id())'),
        ('workos_memberships', 'organization_id OPERATOR(pg_catalog.=) (SELECT auth.organization_id()) AND status OPERATOR(pg_catalog.=) ''active'''),
        ('directories', 'organization_id OPERATOR(pg_catalog.=) (SELECT auth.organization_id())'),
        ('directory_users', 'organization_id OPERATOR(pg_catalog.=) (SELECT auth.organization_id()) AND state OPERATOR(pg_catalog.=) ''active'''),
        ('directory_groups', 'organization_id OPERATOR(pg_catalog.=) (SELECT auth.organization_id())'),
        ('directory_group_members', 'organization_id OPERATOR(pg_catalog.=) (SELECT auth.organization_id())')
    LOOP
        EXECUTE pg_catalog.format('CREATE POLICY own_organization ON auth.%I FOR SELECT USING (%s)', name, condition);
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON POLICY own_organization ON auth.%I IS 'people of a session in the organization, where an administrator has granted SELECT to their role'$comment$, name);
    END LOOP;
END
$own_organization$;

CREATE TRIGGER restore_begins BEFORE INSERT ON auth.directory_users FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows();
CREATE TRIGGER restore_ends AFTER INSERT ON auth.directory_users FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows();
ALTER TABLE auth.directory_users ENABLE ALWAYS TRIGGER restore_begins;
ALTER TABLE auth.directory_users ENABLE ALWAYS TRIGGER restore_ends;
COMMENT ON TRIGGER restore_begins ON auth.directory_users IS 'a restore''s COPY may bring rows before those that they reference';
COMMENT ON TRIGGER restore_ends ON auth.directory_users IS 'foreign keys are checked again after a restore''s COPY';

-- Signing in through AuthKit.
ALTER TABLE auth.providers ADD COLUMN product text NOT NULL DEFAULT 'sso' CHECK (product IN ('sso', 'authkit'));
ALTER TABLE auth.sessions ADD COLUMN authkit_session_id text;
CREATE INDEX sessions_authkit_session_id_idx ON auth.sessions (authkit_session_id) WHERE authkit_session_id IS NOT NULL;
ALTER TABLE auth.flow_states DROP CONSTRAINT flow_states_check;
ALTER TABLE auth.flow_states ADD CONSTRAINT flow_states_check
    CHECK (CASE provider WHEN 'authkit' THEN connection IS NULL ELSE (organization IS NULL AND connection IS NULL) <> (provider IS NULL) END);
