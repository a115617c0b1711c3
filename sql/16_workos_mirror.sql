-- What WorkOS knows of customers and their people, as its events and lists tell it. Keyed by WorkOS's ids. What is told of something that is not
-- here yet is kept all the same: foreign keys lead only to rows that are sure to exist. The code stands in src/mirror.

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
COMMENT ON TABLE auth.connections IS 'the connections of single sign-on, as WorkOS tells of them';
COMMENT ON COLUMN auth.connections.id IS 'WorkOS''s id, conn_…';
COMMENT ON COLUMN auth.connections.organization_id IS 'the organization whose it is; NULL for none';
COMMENT ON COLUMN auth.connections.type IS 'WorkOS''s name for the kind of connection, such as OktaSAML';
COMMENT ON COLUMN auth.connections.name IS 'what people call it';
COMMENT ON COLUMN auth.connections.state IS 'active, inactive or another word of WorkOS''s';
COMMENT ON COLUMN auth.connections.certificate_expires_at IS 'when its certificate expires, where WorkOS has asked to renew it or said that it was renewed';
COMMENT ON COLUMN auth.connections.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';
COMMENT ON COLUMN auth.connections.seen_at IS 'when WorkOS last told of it, by this database''s clock';
COMMENT ON INDEX auth.connections_organization_id_idx IS 'for the connections of an organization';

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
COMMENT ON TABLE auth.roles IS 'roles and what they allow, as WorkOS tells of them; a role''s permissions are those of every token of whoever has it';
COMMENT ON COLUMN auth.roles.organization_id IS 'the organization whose role it is; empty for a role of the whole environment';
COMMENT ON COLUMN auth.roles.slug IS 'its name in tokens';
COMMENT ON COLUMN auth.roles.permissions IS 'what it allows';
COMMENT ON COLUMN auth.roles.version IS 'rises with each change of permissions above that of every other role; the access tokens of before, of those who have the role, are stale';
COMMENT ON COLUMN auth.roles.deleted_at IS 'since when WorkOS has it no more; it allows nothing then';
COMMENT ON COLUMN auth.roles.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';
COMMENT ON COLUMN auth.roles.seen_at IS 'when WorkOS last told of it, by this database''s clock';
COMMENT ON INDEX auth.roles_version_idx IS 'for the look whether a role has changed since a token was made';

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
COMMENT ON TABLE auth.workos_memberships IS 'who belongs to which organization at WorkOS (AuthKit), also people who were never here; auth.organization_memberships has those who are';
COMMENT ON COLUMN auth.workos_memberships.id IS 'WorkOS''s id, om_…';
COMMENT ON COLUMN auth.workos_memberships.organization_id IS 'the organization';
COMMENT ON COLUMN auth.workos_memberships.workos_user_id IS 'WorkOS''s id of the person, user_…: the claim sub of AuthKit''s tokens';
COMMENT ON COLUMN auth.workos_memberships.status IS 'active, pending or inactive; deleted where WorkOS has it no more. Only an active one counts';
COMMENT ON COLUMN auth.workos_memberships.directory_managed IS 'whether the customer''s directory decides about it';
COMMENT ON COLUMN auth.workos_memberships.role IS 'the slug of the role';
COMMENT ON COLUMN auth.workos_memberships.roles IS 'the slugs of all roles';
COMMENT ON COLUMN auth.workos_memberships.deleted_at IS 'when it was removed; nothing that is told of this id later is taken';
COMMENT ON COLUMN auth.workos_memberships.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';
COMMENT ON COLUMN auth.workos_memberships.seen_at IS 'when WorkOS last told of it, by this database''s clock';
COMMENT ON INDEX auth.workos_memberships_workos_user_id_idx IS 'for the sign-in of a person';
COMMENT ON INDEX auth.workos_memberships_organization_id_idx IS 'for the members of an organization';

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
COMMENT ON TABLE auth.directories IS 'the customers'' directories, as WorkOS tells of them';
COMMENT ON COLUMN auth.directories.id IS 'WorkOS''s id, directory_…';
COMMENT ON COLUMN auth.directories.organization_id IS 'the organization whose it is';
COMMENT ON COLUMN auth.directories.type IS 'WorkOS''s name for the kind of directory, such as okta scim v2.0';
COMMENT ON COLUMN auth.directories.name IS 'what people call it';
COMMENT ON COLUMN auth.directories.state IS 'linked, validating, invalid_credentials, unlinked or deleting';
COMMENT ON COLUMN auth.directories.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';
COMMENT ON COLUMN auth.directories.seen_at IS 'when WorkOS last told of it, by this database''s clock';
COMMENT ON INDEX auth.directories_organization_id_idx IS 'for the directories of an organization';

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
COMMENT ON TABLE auth.directory_users IS 'people in the customers'' directories, also those who were never here and those who have left';
COMMENT ON COLUMN auth.directory_users.id IS 'WorkOS''s id, directory_user_…; whoever comes back may get another one';
COMMENT ON COLUMN auth.directory_users.directory_id IS 'the directory';
COMMENT ON COLUMN auth.directory_users.organization_id IS 'the organization whose directory it is';
COMMENT ON COLUMN auth.directory_users.idp_id IS 'the person''s id at the identity provider: who signs in is compared with it, and where it is nobody''s, by email';
COMMENT ON COLUMN auth.directory_users.email IS 'the address there, ASCII-lower-case';
COMMENT ON COLUMN auth.directory_users.state IS 'active, suspended or inactive; deleted where WorkOS has the person no more. Only active people may sign in';
COMMENT ON COLUMN auth.directory_users.role IS 'the slug of the role that the directory''s groups give';
COMMENT ON COLUMN auth.directory_users.roles IS 'the slugs of all of these';
COMMENT ON COLUMN auth.directory_users.custom_attributes IS 'attributes that the WorkOS dashboard maps';
COMMENT ON COLUMN auth.directory_users.user_id IS 'who it is here, where exactly one person of the organization matches';
COMMENT ON COLUMN auth.directory_users.deleted_at IS 'when the person was removed; nothing that is told of this id later is taken';
COMMENT ON COLUMN auth.directory_users.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';
COMMENT ON COLUMN auth.directory_users.seen_at IS 'when WorkOS last told of it, by this database''s clock';
COMMENT ON INDEX auth.directory_users_directory_id_idx IS 'for the people of a directory';
COMMENT ON INDEX auth.directory_users_idp_id_idx IS 'for who signs in';
COMMENT ON INDEX auth.directory_users_email_idx IS 'for who signs in, by the address';
COMMENT ON INDEX auth.directory_users_user_id_idx IS 'for the foreign key, and for a person''s groups';

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
COMMENT ON TABLE auth.directory_groups IS 'groups of the customers'' directories';
COMMENT ON COLUMN auth.directory_groups.id IS 'WorkOS''s id, directory_group_…';
COMMENT ON COLUMN auth.directory_groups.directory_id IS 'the directory';
COMMENT ON COLUMN auth.directory_groups.organization_id IS 'the organization whose directory it is';
COMMENT ON COLUMN auth.directory_groups.idp_id IS 'its id at the identity provider; Okta gives the name';
COMMENT ON COLUMN auth.directory_groups.name IS 'its name, which stands in the claim groups of its members';
COMMENT ON COLUMN auth.directory_groups.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';
COMMENT ON COLUMN auth.directory_groups.seen_at IS 'when WorkOS last told of it, by this database''s clock';
COMMENT ON INDEX auth.directory_groups_directory_id_idx IS 'for the groups of a directory';
COMMENT ON INDEX auth.directory_groups_organization_id_idx IS 'for the groups of an organization';

CREATE TABLE auth.directory_group_members (
    group_id text NOT NULL,
    directory_user_id text NOT NULL,
    organization_id text,
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (group_id, directory_user_id)
);
CREATE INDEX directory_group_members_directory_user_id_idx ON auth.directory_group_members (directory_user_id);
COMMENT ON TABLE auth.directory_group_members IS 'who is in which group of a directory';
COMMENT ON COLUMN auth.directory_group_members.group_id IS 'the group';
COMMENT ON COLUMN auth.directory_group_members.directory_user_id IS 'the member';
COMMENT ON COLUMN auth.directory_group_members.organization_id IS 'the organization whose directory it is';
COMMENT ON COLUMN auth.directory_group_members.seen_at IS 'when WorkOS last told of it, by this database''s clock';
COMMENT ON INDEX auth.directory_group_members_directory_user_id_idx IS 'for the groups of a person';

CREATE TABLE auth.workos_removals (
    id text PRIMARY KEY,
    removed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE auth.workos_removals IS 'what WorkOS has removed, by its ids, which it never gives again. Nothing that is told of one later is taken, also where it was never here';
COMMENT ON COLUMN auth.workos_removals.id IS 'WorkOS''s id, such as org_… or directory_…';
COMMENT ON COLUMN auth.workos_removals.removed_at IS 'when this database was told';

CREATE TABLE auth.workos_events (
    id text PRIMARY KEY,
    event text NOT NULL,
    created_at timestamptz NOT NULL,
    source text NOT NULL CHECK (source IN ('poll', 'webhook', 'skipped'))
);
CREATE INDEX workos_events_created_at_idx ON auth.workos_events (created_at);
COMMENT ON TABLE auth.workos_events IS 'WorkOS''s events that were applied here in the last 30 days';
COMMENT ON COLUMN auth.workos_events.id IS 'WorkOS''s id, event_…';
COMMENT ON COLUMN auth.workos_events.event IS 'its type, such as dsync.user.deleted';
COMMENT ON COLUMN auth.workos_events.created_at IS 'when it happened, by WorkOS''s clock';
COMMENT ON COLUMN auth.workos_events.source IS 'what brought it first: poll, webhook; or skipped, by auth.skip_event';
COMMENT ON INDEX auth.workos_events_created_at_idx IS 'for the clean-up';

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
COMMENT ON TABLE auth.workos_sync_state IS 'one row: how far this database has followed WorkOS';
COMMENT ON COLUMN auth.workos_sync_state.singleton IS 'true, so that there is one row at most';
COMMENT ON COLUMN auth.workos_sync_state.cursor IS 'the last event that was applied: the next page is asked for after it. Only the transaction that applies a page moves it';
COMMENT ON COLUMN auth.workos_sync_state.page_at IS 'when a page was last applied';
COMMENT ON COLUMN auth.workos_sync_state.event_at IS 'when the last event happened that a page brought, by WorkOS''s clock';
COMMENT ON COLUMN auth.workos_sync_state.drained_at IS 'when a page was last applied behind which WorkOS had no other: everything of before is here';
COMMENT ON COLUMN auth.workos_sync_state.reconciled_at IS 'when the tables were last compared with all that WorkOS has';
COMMENT ON COLUMN auth.workos_sync_state.failed_at IS 'when following WorkOS last failed';
COMMENT ON COLUMN auth.workos_sync_state.last_error IS 'why: SQLSTATE and message';
COMMENT ON COLUMN auth.workos_sync_state.since IS 'when the tables were last begun to be compared with all that WorkOS has; without a cursor, events are asked for from then on';
COMMENT ON COLUMN auth.workos_sync_state.webhook_secret IS 'what WorkOS signs webhooks with, sealed with the key of auth.providers';
COMMENT ON COLUMN auth.workos_sync_state.roles_version IS 'the highest auth.roles.version there has been';
