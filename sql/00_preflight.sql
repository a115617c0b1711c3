\echo Use "CREATE EXTENSION workos_auth" to load this file. \quit

-- Until the end of this script: what Postgres prints, and how it reads strings, is the same for everybody.
SET LOCAL quote_all_identifiers = off;
SET LOCAL standard_conforming_strings = on;

-- Refuses to install where it would be unsafe or would collide, before anything is made.
DO $preflight$
DECLARE
    schema_oid pg_catalog.oid;
    owner_name pg_catalog.name;
    owner_is_superuser boolean;
    found text;
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'workos_auth needs a database in UTF-8'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'This one is in ' || pg_catalog.getdatabaseencoding() || ', which cannot hold every name that WorkOS sends. Nothing was changed.',
                  HINT = 'Create a database WITH ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;

    SELECT n.oid, r.rolname, r.rolsuper INTO STRICT schema_oid, owner_name, owner_is_superuser
    FROM pg_catalog.pg_namespace AS n JOIN pg_catalog.pg_roles AS r ON r.oid = n.nspowner
    WHERE n.nspname = 'auth';

    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = schema_oid AND c.relname = 'users' AND a.attname = 'encrypted_password'
    ) THEN
        RAISE EXCEPTION 'this database already has Supabase Auth'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'The schema auth holds Supabase''s own table auth.users. Nothing was changed.',
                  HINT = 'Install workos_auth in a database without Supabase Auth. Both keep their objects in the schema auth, '
                         'so that one replaces the other and they cannot share a database.';
    END IF;

    IF NOT owner_is_superuser THEN
        RAISE EXCEPTION 'the schema auth belongs to %, who is not a superuser', pg_catalog.quote_ident(owner_name)
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'Its owner could replace what sign-ins rely on. Nothing was changed.',
                  HINT = 'Run ALTER SCHEMA auth OWNER TO a superuser, or drop the schema.';
    END IF;

    SELECT pg_catalog.string_agg(CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::pg_catalog.regrole::text END, ', ')
    INTO found
    FROM pg_catalog.pg_namespace AS n, pg_catalog.aclexplode(n.nspacl) AS acl
    WHERE n.oid = schema_oid AND acl.privilege_type = 'CREATE' AND acl.grantee <> n.nspowner
        -- What default privileges gave to a schema that CREATE EXTENSION has just made is taken away at the end.
        AND n.xmin::text <> pg_catalog.pg_current_xact_id()::pg_catalog.xid::text;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'others may create objects in the schema auth'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'CREATE is granted to ' || found || '. Nothing was changed.',
                  HINT = 'Run REVOKE CREATE ON SCHEMA auth FROM ' || found || '.';
    END IF;

    -- Every object of a schema depends on it; the extension itself does too.
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) INTO found
    FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = schema_oid
        AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
    LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the schema auth is not empty'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'It holds ' || found || '. Nothing was changed.',
                  HINT = 'Move or drop what is in it: the extension keeps all its objects in the schema auth, and nothing else may stand there.';
    END IF;
END
$preflight$;

-- Two roles that nobody is a member of. workos_auth_owner owns every table and every SECURITY DEFINER function. workos_auth_nobody has no
-- rights: what others attach to the tables, such as a trigger or a default, runs as it, and so do the triggers of tables that reference them.
DO $roles$
DECLARE
    role text;
    comment text;
BEGIN
    FOR role, comment IN VALUES
        ('workos_auth_owner', 'owns the tables and definer functions of the extension workos_auth; nobody is a member'),
        ('workos_auth_nobody', 'has no rights: triggers of others run as it, on the tables of the extension workos_auth and on those that reference them; nobody is a member')
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE pg_catalog.format(
                    'CREATE ROLE %I NOLOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', role);
                EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', role, comment);
            EXCEPTION
                -- An installation in another database of the cluster made it meanwhile.
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        IF EXISTS (
            SELECT FROM pg_catalog.pg_roles
            WHERE rolname = role
                AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolcanlogin OR rolreplication OR rolbypassrls OR rolinherit)
        ) OR EXISTS (
            SELECT FROM pg_catalog.pg_auth_members AS m JOIN pg_catalog.pg_roles AS r ON r.oid IN (m.roleid, m.member)
            WHERE r.rolname = role
        ) THEN
            RAISE EXCEPTION 'the role % has members, memberships or attributes', role
                USING ERRCODE = 'duplicate_object',
                      DETAIL = 'It must be NOLOGIN NOINHERIT, without any attribute, in no role, and with nobody in it. Nothing was changed.',
                      HINT = 'Drop the role; CREATE EXTENSION makes it.';
        END IF;
    END LOOP;
END
$roles$;
