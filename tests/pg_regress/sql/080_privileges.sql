-- Who may do what, before and after the three bundles of rights.
\set SHOW_CONTEXT never
CREATE EXTENSION workos_auth;
CREATE ROLE regress_backend;
CREATE ROLE regress_admin;
CREATE ROLE regress_broker;
CREATE ROLE regress_nobody IN ROLE pg_read_all_data;
CREATE VIEW rights AS
    SELECT r.rolname, p.oid::regprocedure AS function
    FROM pg_proc AS p, pg_roles AS r
    WHERE p.pronamespace = 'auth'::regnamespace AND r.rolname LIKE 'regress\_%'
        AND has_function_privilege(r.oid, p.oid, 'EXECUTE') AND NOT has_function_privilege('public', p.oid, 'EXECUTE');
SELECT * FROM rights;
SELECT auth.grant_sign_in('regress_backend');
SELECT auth.grant_admin('regress_admin');
SELECT auth.grant_broker('regress_broker');
SELECT * FROM rights ORDER BY rolname, function::text;
SELECT auth.grant_sign_in(NULL);
SELECT auth.grant_sign_in('regress_unknown');
SELECT auth.grant_admin(0);
SELECT auth.grant_broker(NULL);
SELECT auth.grant_broker(0);
-- an administrator keeps the redirect list and lets backends in, and is no superuser
SET ROLE regress_admin;
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://app.example.com/**');
SELECT pattern FROM auth.redirect_urls;
DELETE FROM auth.redirect_urls;
SELECT auth.grant_sign_in('regress_nobody');
SELECT auth.revoke_sign_in('regress_nobody');
SELECT auth.grant_admin('regress_nobody');
SELECT auth.grant_broker('regress_nobody');
SELECT auth.exchange_request('code');
SELECT auth.create_root_key('/tmp/regress.key');
SELECT auth.configure_workos('client_1', 'https://app.example.com/', 'sk_1', api_url => 'https://evil.example.com');
SELECT auth.configure_workos('client_1', 'https://app.example.com/', client_secret_file => '/etc/hostname');
SELECT count(*) FROM auth.users;
SELECT auth.exchange_code('code');
-- whoever reads all data reads none of this
RESET ROLE;
INSERT INTO auth.redirect_urls (pattern) VALUES ('https://app.example.com/**');
INSERT INTO auth.users (email) VALUES ('a@example.com');
SET ROLE regress_nobody;
SELECT count(*) FROM auth.users;
SELECT count(*) FROM auth.redirect_urls;
SELECT auth.start_sign_in(organization => 'org_acme');
SELECT count(*) > 50 AS reads_the_error_codes FROM auth.error_codes;
RESET ROLE;
-- an application's table refers to people
CREATE TABLE todos (owner uuid REFERENCES auth.users (id));
ALTER TABLE todos OWNER TO regress_admin;
INSERT INTO todos SELECT id FROM auth.users;
-- and back
SELECT auth.revoke_sign_in('regress_backend');
SELECT auth.revoke_admin('regress_admin');
SELECT auth.revoke_broker('regress_broker');
SELECT * FROM rights;
DROP TABLE todos;
DROP OWNED BY regress_backend, regress_broker, regress_admin, regress_nobody;
DROP ROLE regress_backend, regress_broker, regress_admin, regress_nobody;
