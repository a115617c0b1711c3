-- What CREATE EXTENSION makes, and that DROP EXTENSION takes all of it away.
CREATE EXTENSION workos_auth;
-- its members, without the row and array types, which Postgres lists since 17
CREATE TEMPORARY VIEW members AS
SELECT d.classid, d.objid FROM pg_depend AS d
    LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
    LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'workos_auth') AND d.deptype = 'e'
    AND t.typcategory IS DISTINCT FROM 'A' AND c.relkind IS DISTINCT FROM 'r' AND c.relkind IS DISTINCT FROM 'v';
SELECT pg_describe_object(classid, objid, 0) AS member FROM members ORDER BY member;
SELECT string_agg(acl.privilege_type, ', ') AS public_may
FROM pg_namespace AS n, aclexplode(n.nspacl) AS acl WHERE n.nspname = 'auth' AND acl.grantee = 0;
SELECT rolname, rolcanlogin, rolinherit, rolsuper, rolbypassrls FROM pg_roles WHERE rolname ~ '^workos_auth_' ORDER BY 1;
-- tables: owner, row-level security enabled, not forced
SELECT c.relname, c.relowner::regrole AS owner, c.relrowsecurity, c.relforcerowsecurity,
    (SELECT count(*) FROM pg_policy AS p WHERE p.polrelid = c.oid) AS policies,
    obj_description(c.oid, 'pg_class') IS NOT NULL AS commented
FROM pg_class AS c WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind = 'r' ORDER BY c.relname;
-- functions: who may run them, as whom they run, and their labels
SELECT p.oid::regprocedure AS function, p.proowner::regrole AS owner, p.prosecdef AS definer, p.proconfig AS settings,
    p.provolatile AS volatility, p.proparallel AS parallel, p.proisstrict AS strict,
    has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM pg_proc AS p WHERE p.pronamespace = 'auth'::regnamespace ORDER BY p.proname, p.pronargs;
-- every object has its COMMENT
SELECT classid::regclass, pg_describe_object(classid, objid, 0) FROM members
WHERE obj_description(objid, classid::regclass::name) IS NULL;
-- every foreign key has an index that begins with its columns
SELECT c.conrelid::regclass, c.conname FROM pg_constraint AS c
WHERE c.contype = 'f' AND c.connamespace = 'auth'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_index AS i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]);
-- a dump carries every table but the sign-ins under way
SELECT c.relname FROM pg_class AS c, pg_extension AS e
WHERE e.extname = 'workos_auth' AND c.relnamespace = 'auth'::regnamespace AND c.relkind = 'r' AND NOT c.oid = ANY (e.extconfig);
-- the install wrote no row
SELECT (SELECT count(*) FROM auth.installation) + (SELECT count(*) FROM auth.signing_keys) + (SELECT count(*) FROM auth.users) AS rows;
DROP EXTENSION workos_auth;
SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend AS d
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'auth'::regnamespace;
CREATE EXTENSION workos_auth;
SELECT count(*) AS functions FROM pg_proc WHERE pronamespace = 'auth'::regnamespace;
