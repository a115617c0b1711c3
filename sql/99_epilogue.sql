-- The end of the install script and of every update script, which is the same: tools/extension-files.sh puts it behind both, in an
-- update with OR REPLACE. Whatever the
-- script has made is shut, dumped, compared and owned as everything else is, without a line of its own.

-- Every table is shut by row-level security, and carried by a dump.
DO $tables$
DECLARE
    name text;
    is_shut boolean;
    is_dumped boolean;
BEGIN
    FOR name, is_shut, is_dumped IN
        SELECT c.relname, c.relrowsecurity, coalesce(c.oid = ANY (e.extconfig), false)
        FROM pg_catalog.pg_extension AS e
            JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
            JOIN pg_catalog.pg_class AS c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
        WHERE e.extname = 'workos_auth' AND c.relkind = 'r'
        ORDER BY c.oid
    LOOP
        IF NOT is_shut THEN
            EXECUTE pg_catalog.format('ALTER TABLE auth.%I ENABLE ROW LEVEL SECURITY', name);
        END IF;
        -- A sign-in under way does not outlive a restore: its code is spent or expired by then. And a worker may write its own rows meanwhile.
        IF NOT is_dumped AND name NOT IN ('flow_states', 'worker_status') THEN
            PERFORM pg_catalog.pg_extension_config_dump(pg_catalog.format('auth.%I', name), '');
        END IF;
    END LOOP;
END
$tables$;

-- What auth.check() compares with: everything that the extension consists of now, and how each is restored. It cannot tell of itself. What
-- others had attached before an update stays theirs: auth.check() goes on saying so.
DO $installed$
DECLARE
    attached CONSTANT jsonb := coalesce(nullif(pg_catalog.current_setting('workos_auth_update.attached', true), ''), '[]');
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE FUNCTION auth.check_installed('
        'OUT version integer, OUT kind text, OUT identity text, OUT relation text, OUT name text, OUT state jsonb, OUT printed text, OUT restore text'
        ') RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 400 SET search_path = pg_catalog, pg_temp AS %L',
        (SELECT pg_catalog.format(
            'SELECT %s, i.kind, i.identity, i.relation, i.name, i.state, i.printed, i.restore FROM jsonb_to_recordset(%L)'
            ' AS i (kind text, identity text, relation text, name text, state jsonb, printed text, restore text)',
            pg_catalog.current_setting('server_version_num')::integer / 10000,
            pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m) - 'classid' - 'objid' ORDER BY m.kind COLLATE "C", m.identity COLLATE "C"))
         FROM auth.check_members() AS m
         WHERE m.identity <> 'auth.check_installed()' AND NOT attached @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array(m.kind, m.identity)))
    );
END
$installed$;
COMMENT ON FUNCTION auth.check_installed() IS
    'what auth.check_members() said when the extension was installed or last updated, under that version of Postgres; anything else is somebody else''s doing';

-- Each new object belongs to workos_auth_owner, and is open to those whom auth.rights() names and to nobody else, whatever the default
-- privileges of the superuser who runs this say. What is old keeps its owner and its rights, those too that were given by hand. Only what the
-- list says otherwise than before the update changes.
DO $rights$
DECLARE
    is_update CONSTANT boolean := coalesce(pg_catalog.current_setting('workos_auth_update.rights', true), '') <> '';
    members CONSTANT pg_catalog.oid[] := CASE WHEN is_update THEN pg_catalog.current_setting('workos_auth_update.members')::pg_catalog.oid[] ELSE '{}' END;
    before CONSTANT jsonb := CASE WHEN is_update THEN pg_catalog.current_setting('workos_auth_update.rights')::jsonb ELSE '[]' END;
    of_script text[];
    of_users text[];
    statement text;
BEGIN
    WITH before AS (
        SELECT b.bundle, b.privilege, b.object
        FROM pg_catalog.jsonb_to_recordset(before) AS b (bundle text, privilege text, object text)
    ), base (object, privilege, grantee) AS (
        SELECT r.object, r.privilege, CASE r.bundle WHEN 'everyone' THEN 'PUBLIC' ELSE 'pg_write_server_files' END
        FROM auth.rights() AS r WHERE r.bundle IN ('everyone', 'server_files')
    ), base_before (object, privilege, grantee) AS (
        SELECT b.object, b.privilege, CASE b.bundle WHEN 'everyone' THEN 'PUBLIC' ELSE 'pg_write_server_files' END
        FROM before AS b WHERE b.bundle IN ('everyone', 'server_files')
    ), changed (object) AS (
        (TABLE base EXCEPT TABLE base_before) UNION (TABLE base_before EXCEPT TABLE base)
    ), member AS (
        SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'workos_auth' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
    ), own (kind, granted_as, oid, name, owner, acl, is_new) AS (
        SELECT k.kind, k.kind, p.oid, p.oid::pg_catalog.regprocedure::text, p.proowner,
            coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_proc AS p ON m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = m.objid
            CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END) AS k (kind)
        UNION ALL
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, 'TABLE', c.oid, c.oid::pg_catalog.regclass::text, c.relowner,
            coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)), c.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_class AS c ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = m.objid
        WHERE c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'TYPE', 'TYPE', t.oid, t.oid::pg_catalog.regtype::text, t.typowner,
            coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner)), t.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_type AS t ON m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = m.objid
            JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid AND c.relkind = 'c'
        UNION ALL
        -- The row type of a table has the owner of its table, and rights of its own where default privileges gave some; otherwise it is
        -- left alone, for pg_dump cannot dump its rights and would say so. Array types have none.
        SELECT 'ROW TYPE', 'TYPE', t.oid, t.oid::pg_catalog.regtype::text, t.typowner, t.typacl, c.oid <> ALL (members)
        FROM member AS m JOIN pg_catalog.pg_type AS t ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND t.typrelid = m.objid
            JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid AND c.relkind IN ('r', 'v')
        WHERE t.typacl IS NOT NULL
        UNION ALL
        -- It stays the installing superuser's, and after DROP EXTENSION too.
        SELECT 'SCHEMA', 'SCHEMA', n.oid, n.nspname, n.nspowner, coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)), NOT is_update
        FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'auth'
    ), touched AS (
        SELECT o.* FROM own AS o WHERE o.is_new OR o.kind <> 'ROW TYPE' AND is_update AND EXISTS (
            SELECT FROM changed AS c WHERE o.granted_as = pg_catalog.split_part(c.object, ' ', 1) AND o.oid = CASE o.granted_as
                WHEN 'FUNCTION' THEN pg_catalog.to_regprocedure(pg_catalog.substr(c.object, 10))::pg_catalog.oid
                WHEN 'PROCEDURE' THEN pg_catalog.to_regprocedure(pg_catalog.substr(c.object, 11))::pg_catalog.oid
                WHEN 'TABLE' THEN pg_catalog.to_regclass(pg_catalog.substr(c.object, 7))::pg_catalog.oid
                WHEN 'TYPE' THEN pg_catalog.to_regtype(pg_catalog.substr(c.object, 6))::pg_catalog.oid
                WHEN 'SCHEMA' THEN pg_catalog.to_regnamespace(pg_catalog.substr(c.object, 8))::pg_catalog.oid END)
    ), acl (kind, granted_as, name, is_new, owner, grantee, privilege, is_grantable) AS (
        SELECT t.kind, t.granted_as, t.name, t.is_new, t.owner, a.grantee, a.privilege_type, a.is_grantable
        FROM touched AS t, pg_catalog.aclexplode(t.acl) AS a
        UNION ALL
        SELECT t.kind, t.granted_as, t.name, t.is_new, t.owner, a.grantee, pg_catalog.format('%s (%I)', a.privilege_type, c.attname), a.is_grantable
        FROM touched AS t JOIN pg_catalog.pg_attribute AS c ON t.granted_as = 'TABLE' AND c.attrelid = t.oid, pg_catalog.aclexplode(c.attacl) AS a
    )
    SELECT ARRAY(
            SELECT s.statement FROM (
                SELECT 0, pg_catalog.format('ALTER %s %s OWNER TO workos_auth_owner', t.kind, t.name)
                FROM touched AS t WHERE t.is_new AND t.kind NOT IN ('ROW TYPE', 'SCHEMA')
                UNION
                -- PUBLIC always, so that the rights are written down and the same everywhere.
                SELECT 1, pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE', t.granted_as, t.name,
                    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::pg_catalog.regrole::text END)
                FROM touched AS t CROSS JOIN LATERAL (
                    SELECT 0::pg_catalog.oid UNION SELECT a.grantee FROM acl AS a WHERE (a.granted_as, a.name) = (t.granted_as, t.name) AND a.grantee <> a.owner
                ) AS g (grantee)
                UNION
                SELECT 2, pg_catalog.format('GRANT %s ON %s TO %s', b.privilege, b.object, b.grantee)
                FROM base AS b WHERE NOT is_update OR b.object IN (SELECT c.object FROM changed AS c)
            ) AS s (step, statement) ORDER BY s.step, s.statement
        ), ARRAY(
            -- By hand, to users, on what is old.
            SELECT pg_catalog.format('GRANT %s ON %s %s TO %s%s', a.privilege, a.granted_as, a.name, a.grantee::pg_catalog.regrole,
                CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
            FROM acl AS a WHERE NOT a.is_new AND a.grantee NOT IN (0, a.owner, 'pg_write_server_files'::pg_catalog.regrole)
            UNION ALL
            -- What a bundle has got since, to whoever has every function of the bundle as it was.
            SELECT pg_catalog.format('GRANT %s ON %s TO %s', r.privilege, r.object, h.grantee::pg_catalog.regrole)
            FROM auth.rights() AS r JOIN auth.check_holders() AS h ON h.bundle = r.bundle
            WHERE is_update AND NOT EXISTS (SELECT FROM before AS b WHERE (b.bundle, b.privilege, b.object) = (r.bundle, r.privilege, r.object))
                AND NOT EXISTS (
                    SELECT FROM before AS b
                    WHERE b.bundle = r.bundle AND b.privilege = 'EXECUTE' AND b.object LIKE 'FUNCTION %'
                        AND NOT pg_catalog.has_function_privilege(h.grantee, pg_catalog.substr(b.object, 10), 'EXECUTE'))
        )
    INTO STRICT of_script, of_users;
    FOREACH statement IN ARRAY of_script LOOP
        EXECUTE statement;
    END LOOP;
    FOREACH statement IN ARRAY of_users LOOP
        PERFORM auth.grant_outside_script(statement);
    END LOOP;
    -- An install in the same transaction is no update.
    PERFORM pg_catalog.set_config('workos_auth_update.rights', '', true);
    PERFORM pg_catalog.set_config('workos_auth_update.attached', '', true);
END
$rights$;
