-- CREATE EXTENSION refuses what would be unsafe, says what to do, and leaves nothing.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE ROLE regress_mallory;
-- a schema of somebody else's
CREATE SCHEMA auth AUTHORIZATION regress_mallory;
CREATE EXTENSION workos_auth;
DROP SCHEMA auth;
-- a schema that others may create in
CREATE SCHEMA auth;
GRANT CREATE ON SCHEMA auth TO regress_mallory, PUBLIC;
CREATE EXTENSION workos_auth;
REVOKE CREATE ON SCHEMA auth FROM regress_mallory, PUBLIC;
-- a schema that is not empty
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE EXTENSION workos_auth;
DROP FUNCTION auth.uid();
-- Supabase
CREATE TABLE auth.users (id uuid PRIMARY KEY, encrypted_password text);
CREATE EXTENSION workos_auth;
DROP TABLE auth.users;
SELECT count(*) AS objects FROM pg_depend
WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'auth'::regnamespace;
-- an ordinary user
CREATE ROLE regress_creator;
SELECT current_database() AS database \gset
GRANT CREATE ON DATABASE :"database" TO regress_creator;
SET ROLE regress_creator;
CREATE EXTENSION workos_auth;
RESET ROLE;
-- an empty schema of a superuser's is fine
CREATE EXTENSION workos_auth;
REVOKE CREATE ON DATABASE :"database" FROM regress_creator;
DROP ROLE regress_creator, regress_mallory;
-- a database that cannot hold every name
CREATE DATABASE regress_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\c regress_latin1
CREATE EXTENSION workos_auth;
\c contrib_regression
DROP DATABASE regress_latin1;
