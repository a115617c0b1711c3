-- People who do not come through WorkOS, and the identities of one's own account: what is refused, and how it is said.
\set SHOW_CONTEXT never
\set VERBOSITY verbose
CREATE EXTENSION workos_auth;
SELECT auth.create_user('a@example.com') IS NOT NULL AS made;
SELECT auth.create_session('00000000-0000-4000-8000-000000000001');
SELECT count(*) FROM auth.users;
SELECT auth.create_user('Ann@Example.com', 'org_acme', '00000000-0000-4000-8000-000000000001');
SELECT email, email_confirmed_at, invited_at IS NOT NULL AS invited, raw_app_meta_data FROM auth.users ORDER BY email;
SELECT auth.create_user('ann@example.com');
SELECT auth.create_user('bea@example.com', user_id => '00000000-0000-4000-8000-000000000001');
SELECT auth.create_user(NULL);
SELECT auth.create_user('nobody');
SELECT auth.create_session(NULL);
SELECT auth.create_session('00000000-0000-4000-8000-000000000002');
SELECT auth.create_session('00000000-0000-4000-8000-000000000001', 'org_globex');
SELECT auth.create_session('00000000-0000-4000-8000-000000000001', actor => 'sam@support.example.com');
SELECT auth.create_session('00000000-0000-4000-8000-000000000001', reason => 'ticket 4711');
SELECT auth.create_session('00000000-0000-4000-8000-000000000001', ttl => '-1 day');
SELECT auth.create_session('00000000-0000-4000-8000-000000000001', method => 'a method');
SELECT auth.as_user('00000000-0000-4000-8000-000000000001');
SELECT auth.as_user('00000000-0000-4000-8000-000000000001', 'no_such_role');
SELECT auth.link_identity(NULL, 'org_acme');
SELECT auth.link_identity('a.b.c', 'org_acme');
SELECT auth.unlink_identity(NULL, '00000000-0000-4000-8000-000000000001');
SELECT auth.unlink_identity('a.b.c', '00000000-0000-4000-8000-000000000001');
SELECT auth.remove_member(NULL, 'org_acme');
SELECT auth.remove_member('00000000-0000-4000-8000-000000000001', NULL);
SELECT auth.remove_member('00000000-0000-4000-8000-000000000002', 'org_acme');
SELECT auth.move_identity(NULL, 'org_acme');
SELECT auth.move_identity('00000000-0000-4000-8000-000000000001', NULL);
SELECT auth.move_identity('00000000-0000-4000-8000-000000000001', 'org_acme');
SELECT auth.merge_users(NULL, '00000000-0000-4000-8000-000000000001');
SELECT auth.merge_users('00000000-0000-4000-8000-000000000001', NULL);
SELECT auth.merge_users('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001');
SELECT auth.merge_users('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001');
-- a row of another table keeps the account
CREATE TABLE notes (owner uuid REFERENCES auth.users (id) ON DELETE CASCADE);
INSERT INTO notes VALUES ('00000000-0000-4000-8000-000000000001');
SELECT auth.merge_users('00000000-0000-4000-8000-000000000001', id) FROM auth.users WHERE email = 'a@example.com';
DROP TABLE notes;
-- before anything is configured there is nothing to sign a token with
SELECT auth.create_session('00000000-0000-4000-8000-000000000001');
DO $$ BEGIN
    PERFORM auth.create_root_key(current_setting('workos_auth.root_key_file'));
EXCEPTION WHEN SQLSTATE 'WA116' THEN NULL;
END $$;
SELECT auth.configure_workos('client_1', 'https://app.example.com/callback', 'sk_1', api_url => 'http://127.0.0.1:1');
SELECT refresh_token IS NOT NULL AS refreshes, user_id, email, organization_id, is_new_user, redirect_to, provider_token,
    claims #- '{amr,0,timestamp}' -> 'amr' AS amr
FROM auth.create_session('00000000-0000-4000-8000-000000000001', 'org_acme', 'magic_link');
SELECT refresh_token IS NOT NULL AS refreshes, claims -> 'act' AS act
FROM auth.create_session('00000000-0000-4000-8000-000000000001', actor => 'sam@support.example.com', reason => 'ticket 4711');
SELECT action, payload FROM auth.audit_log_entries ORDER BY created_at;
-- outside of a transaction block it ends with the statement
CREATE ROLE regress_people;
SELECT auth.as_user('00000000-0000-4000-8000-000000000001', 'regress_people') ->> 'org_id' AS org_id;
SELECT auth.uid(), current_user = session_user AS as_before;
BEGIN;
SELECT auth.as_user('00000000-0000-4000-8000-000000000001', 'regress_people') ->> 'org_id' AS org_id;
SELECT auth.uid(), auth.email(), current_user;
ROLLBACK;
SELECT auth.uid(), current_user = session_user AS as_before;
DROP ROLE regress_people;
