-- Projects that were written for Supabase: their people, their columns, and keys for visitors. What is refused, and how it is said.
\set SHOW_CONTEXT never
\set VERBOSITY verbose
CREATE EXTENSION workos_auth;
-- people are imported before anything is configured
SELECT auth.import_supabase(NULL, '[]');
SELECT auth.import_supabase('[]', '[]');
SELECT auth.import_supabase('{"id": "7"}', '[]');
SELECT auth.import_supabase('{"id": "00000000-0000-4000-8000-000000000001"}', '{}');
SELECT auth.import_supabase('{"id": "00000000-0000-4000-8000-000000000001"}', '[{"user_id": "00000000-0000-4000-8000-000000000002"}]');
\set ann '{"id": "00000000-0000-4000-8000-000000000001", "email": "Ann@acme.com", "email_confirmed_at": "2025-01-02T03:04:05Z", "created_at": "2025-01-01T00:00:00Z"}'
\set acme '{"user_id": "00000000-0000-4000-8000-000000000001", "provider": "workos", "provider_id": "prof_1", "identity_data": {"email": "ann@acme.com", "custom_claims": {"organization_id": "org_acme", "connection_id": "conn_acme"}}}'
\set globex '{"user_id": "00000000-0000-4000-8000-000000000001", "provider": "workos", "provider_id": "prof_2", "identity_data": {"email": "ann@acme.com", "custom_claims": {"organization_id": "org_globex", "connection_id": "conn_globex"}}}'
SELECT auth.import_supabase(:'ann'::jsonb, ('[' || :'acme' || ',' || :'globex' || ']')::jsonb);
SELECT auth.import_supabase(:'ann'::jsonb, ('[' || :'acme' || ']')::jsonb);
SELECT auth.import_supabase(:'ann'::jsonb, NULL);
SELECT auth.import_supabase(:'ann'::jsonb, ('[' || :'globex' || ']')::jsonb);
SELECT email, email_confirmed_at AT TIME ZONE 'UTC' AS confirmed, confirmed_at = email_confirmed_at AS is_generated FROM auth.users;
SELECT provider_id, organization_id, connection_id, email FROM auth.identities;
SELECT action, payload FROM auth.audit_log_entries ORDER BY created_at;
-- what has no use here is there, and empty
INSERT INTO auth.users (id, email, aud, instance_id, encrypted_password, is_super_admin, raw_app_meta_data)
    VALUES ('00000000-0000-4000-8000-000000000009', 'seed@example.com', NULL, '00000000-0000-0000-0000-000000000000', '', false, NULL)
    RETURNING aud, role, raw_app_meta_data;
-- keys for visitors
CREATE ROLE regress_anon;
CREATE ROLE regress_bypass BYPASSRLS;
SELECT auth.create_visitor_token('regress_anon');
DO $$ BEGIN
    PERFORM auth.create_root_key(current_setting('workos_auth.root_key_file'));
EXCEPTION WHEN SQLSTATE 'WA116' THEN NULL;
END $$;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'http://127.0.0.1:1');
SELECT auth.create_visitor_token('regress_anon', '1 hour') AS key \gset
SELECT auth.create_visitor_token('no_such_role');
SELECT auth.create_visitor_token('regress_bypass');
SELECT auth.create_visitor_token('regress_anon', '0');
SELECT auth.create_visitor_token(NULL);
SELECT auth.set_session(:'key');
SELECT auth.verify_token(:'key');
BEGIN;
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'key')::text, true) IS NOT NULL AS set;
SELECT auth.use_request_token();
SELECT auth.uid();
-- claims that name somebody sign nobody in, and that is said once
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001", "role": "authenticated"}';
SELECT auth.uid();
SELECT auth.uid();
ROLLBACK;
SELECT visitors_until > now() AS in_use FROM auth.signing_keys;
DROP ROLE regress_anon, regress_bypass;
