-- What becomes of tables, types, triggers and policies from 0.2.0 to 0.3.0. tools/extension-files.sh adds the rest.

-- First: a sign-in writes to auth.flow_states before all other tables, and a refresh to auth.sessions. Locked later, the update and they would
-- wait for each other.
LOCK TABLE auth.flow_states, auth.sessions IN ACCESS EXCLUSIVE MODE;

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

-- AuthKit's question which organization a sign-in is for, and what its sessions are refreshed with.
ALTER TABLE auth.flow_states ADD COLUMN pending_token bytea;
ALTER TABLE auth.flow_states ADD COLUMN pending_organizations text[];
ALTER TABLE auth.flow_states ADD CONSTRAINT flow_states_pending_check CHECK ((pending_token IS NULL) = (pending_organizations IS NULL)
    AND (pending_token IS NULL OR provider = 'authkit' AND mode = 'direct' AND exchange_id IS NULL));
CREATE TABLE auth.authkit_tokens (
    session_id uuid PRIMARY KEY,
    refresh_token bytea NOT NULL,
    data_key_id bigint NOT NULL REFERENCES auth.data_keys (id),
    client_id text NOT NULL,
    api_url text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX authkit_tokens_data_key_id_idx ON auth.authkit_tokens (data_key_id);
CREATE FUNCTION auth.forget_authkit_token() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'forget_authkit_token_wrapper';
CREATE TRIGGER forget_authkit_token AFTER DELETE ON auth.sessions
    FOR EACH ROW EXECUTE FUNCTION auth.forget_authkit_token();
CREATE TRIGGER forget_authkit_tokens AFTER TRUNCATE ON auth.sessions
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_authkit_token();
CREATE TRIGGER restore_begins BEFORE INSERT ON auth.authkit_tokens FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows();
CREATE TRIGGER restore_ends AFTER INSERT ON auth.authkit_tokens FOR EACH STATEMENT EXECUTE FUNCTION auth.restore_rows();
ALTER TABLE auth.authkit_tokens ENABLE ALWAYS TRIGGER restore_begins;
ALTER TABLE auth.authkit_tokens ENABLE ALWAYS TRIGGER restore_ends;
COMMENT ON TRIGGER restore_begins ON auth.authkit_tokens IS 'a restore''s COPY may bring rows before those that they reference';
COMMENT ON TRIGGER restore_ends ON auth.authkit_tokens IS 'foreign keys are checked again after a restore''s COPY';
