-- Who may run what. Every function belongs to workos_auth_owner. PUBLIC keeps the readers, and what concerns the caller's own
-- session and account alone (auth.sign_out, auth.get_user, auth.update_user, auth.link_identity, auth.unlink_identity); the rest is given by auth.grant_sign_in and auth.grant_admin.
DO $privileges$
DECLARE
    function pg_catalog.regprocedure;
BEGIN
    FOR function IN
        SELECT p.oid FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = 'auth' ORDER BY p.oid
    LOOP
        EXECUTE 'ALTER FUNCTION ' || function::text || ' OWNER TO workos_auth_owner';
    END LOOP;
    FOREACH function IN ARRAY ARRAY[
        'auth.create_root_key(text)',
        'auth.configure_workos(text, text, text, text, text, boolean)',
        'auth.rotate_signing_key(text)', 'auth.retire_signing_key(text)',
        'auth.ban_user(uuid, timestamptz)', 'auth.unban_user(uuid)', 'auth.delete_user(uuid)',
        'auth.revoke_sessions(uuid)', 'auth.revoke_organization(text)', 'auth.cleanup(integer)',
        'auth.grant_sign_in(regrole)', 'auth.revoke_sign_in(regrole)',
        'auth.grant_admin(regrole)', 'auth.revoke_admin(regrole)',
        'auth.check_redirect_url()', 'auth.forget_cached_rows()',
        'auth.check_hook()', 'auth.audit_configuration()',
        'auth.check()', 'auth.check_facts()', 'auth.check_attached()',
        'auth.plan_support(internal)',
        'auth.start_sign_in(text, text, text, text, text, text, jsonb)',
        'auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb)',
        'auth.exchange_code(text, text, text, inet, text)', 'auth.refresh_session(text, inet, text)',
        'auth.create_user(text, text, uuid)',
        'auth.create_session(uuid, text, text, text, text, interval)',
        'auth.as_user(uuid, name)',
        'auth.handle_callback(text, text, text, text, text, text, boolean)'
    ]::pg_catalog.regprocedure[] LOOP
        EXECUTE 'REVOKE ALL ON FUNCTION ' || function::text || ' FROM PUBLIC';
    END LOOP;
END
$privileges$;
-- The function itself looks at this right, which a superuser gives with GRANT pg_write_server_files.
GRANT EXECUTE ON FUNCTION auth.create_root_key(text) TO pg_write_server_files;
ALTER VIEW auth.error_codes OWNER TO workos_auth_owner;
ALTER VIEW auth.my_sessions OWNER TO workos_auth_owner;
ALTER TYPE auth.session OWNER TO workos_auth_owner;
