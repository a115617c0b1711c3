-- Who may do what: the one list. What is not on it, nobody but the owner may do: sql/99_give_rights.sql takes everything from everybody
-- first, so that a new function is closed until it stands here. auth.grant_sign_in and auth.grant_admin give the bundles of these names,
-- and auth.check() compares the database with the list.
CREATE FUNCTION auth.rights(OUT bundle text, OUT privilege text, OUT object text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 80 SET search_path = pg_catalog, pg_temp AS $$
    VALUES
        -- The readers, and what concerns the person of an access token alone.
        ('everyone', 'USAGE', 'SCHEMA auth'),
        ('everyone', 'USAGE', 'TYPE auth.session'),
        ('everyone', 'SELECT', 'TABLE auth.error_codes'),
        ('everyone', 'EXECUTE', 'FUNCTION auth.error_codes()'),
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
        ('sign_in', 'EXECUTE', 'FUNCTION auth.handle_callback(text, text, text, text, text, text, boolean)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.exchange_code(text, text, text, inet, text)'),
        ('sign_in', 'EXECUTE', 'FUNCTION auth.refresh_session(text, inet, text)'),

        -- What an administrator needs who is no superuser.
        ('admin', 'EXECUTE', 'FUNCTION auth.configure_workos(text, text, text, text, text, boolean)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.rotate_signing_key(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.retire_signing_key(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.ban_user(uuid, timestamptz)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.unban_user(uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.delete_user(uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.remove_member(uuid, text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_sessions(uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_organization(text)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.cleanup(integer)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.create_user(text, text, uuid)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.create_session(uuid, text, text, text, text, interval)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.as_user(uuid, name)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.grant_sign_in(regrole)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.revoke_sign_in(regrole)'),
        ('admin', 'EXECUTE', 'FUNCTION auth.rights()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_facts()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_attached()'),
        ('admin', 'EXECUTE', 'FUNCTION auth.check_installed()'),
        ('admin', 'SELECT', 'TABLE auth.redirect_urls'),
        ('admin', 'INSERT', 'TABLE auth.redirect_urls'),
        ('admin', 'DELETE', 'TABLE auth.redirect_urls'),
        ('admin', 'SELECT', 'TABLE auth.organization_domains'),
        ('admin', 'INSERT', 'TABLE auth.organization_domains'),
        ('admin', 'DELETE', 'TABLE auth.organization_domains'),
        ('admin', 'SELECT', 'TABLE auth.hooks'),
        ('admin', 'INSERT', 'TABLE auth.hooks'),
        ('admin', 'UPDATE', 'TABLE auth.hooks'),
        ('admin', 'DELETE', 'TABLE auth.hooks'),
        ('admin', 'SELECT', 'TABLE auth.audit_log_entries'),
        ('admin', 'REFERENCES', 'TABLE auth.users'),

        -- The function itself looks at this right, which a superuser gives with GRANT pg_write_server_files.
        ('server_files', 'EXECUTE', 'FUNCTION auth.create_root_key(text)')
$$;
COMMENT ON FUNCTION auth.rights() IS
    'who may do what: everyone; the bundles sign_in and admin, which auth.grant_sign_in and auth.grant_admin give; server_files, which is pg_write_server_files';
