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
        ('trusted_issuers', 'SELECT'), ('issuer_keys', 'SELECT'), ('ended_sessions', 'SELECT'), ('heartbeat', 'SELECT'), ('verifier', 'SELECT'), ('feeds', 'SELECT'), ('worker_status', 'SELECT'),
        ('connections', 'SELECT'), ('roles', 'SELECT'), ('workos_memberships', 'SELECT'), ('directories', 'SELECT'), ('directory_users', 'SELECT'),
        ('directory_groups', 'SELECT'), ('directory_group_members', 'SELECT'), ('workos_removals', 'SELECT'), ('workos_events', 'SELECT'), ('workos_sync_state', 'SELECT')
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

-- What people may read where an administrator grants it to their role: the rows of their session's own organization, and of nobody who has left.
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

CREATE TRIGGER forget_authkit_token AFTER DELETE ON auth.sessions
    FOR EACH ROW EXECUTE FUNCTION auth.forget_authkit_token();
CREATE TRIGGER forget_authkit_tokens AFTER TRUNCATE ON auth.sessions
    FOR EACH STATEMENT EXECUTE FUNCTION auth.forget_authkit_token();
COMMENT ON TRIGGER forget_authkit_token ON auth.sessions IS 'what AuthKit''s session is refreshed with goes with the session';
COMMENT ON TRIGGER forget_authkit_tokens ON auth.sessions IS 'what AuthKit''s sessions are refreshed with goes with them';

-- pg_dump leaves out the foreign keys of an extension's tables, so that pg_restore -j does not know them and copies tables in any order. These
-- two let a restore's COPY pass them. ALWAYS, since the second fires where the first has switched the plain ones off.
DO $restore$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'signing_keys', 'providers', 'organization_domains', 'organization_memberships', 'identities', 'sessions', 'issuer_keys', 'directory_users',
        'authkit_tokens'
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
