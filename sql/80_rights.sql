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
        ('admin', 'EXECUTE', 'FUNCTION auth.refresh_issuer_keys(text)'),
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
        ('admin', 'SELECT (id, user_id, claims_version, identity_id, organization_id, connection_id, email, aal, amr, refresh_token_counter, recoveries, recovered_counter, recovered_at, actor, ip, user_agent, not_after, refreshed_at, created_at, updated_at)', 'TABLE auth.sessions'),
        ('admin', 'SELECT (kid, algorithm, public_key, status, created_at, activated_at, retired_at, visitors_until)', 'TABLE auth.signing_keys'),
        ('admin', 'SELECT (issuer, kind, jwks_uri, audience, client_id, database_role, claims, created_at, updated_at, refreshed_at)', 'TABLE auth.trusted_issuers'),
        ('admin', 'SELECT (issuer, kid, algorithm, public_key, status, seen_at, created_at)', 'TABLE auth.issuer_keys'),
        ('admin', 'SELECT (issuer, sid, subject, organization_id, ended_at, expires_at)', 'TABLE auth.ended_sessions'),
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
