-- The end of every installation: each object belongs to workos_auth_owner, and is open to those whom auth.rights() names and to nobody else,
-- whatever the installing role's default privileges say.
DO $give_rights$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        WITH own (kind, name, owner, acl) AS (
            SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::pg_catalog.regprocedure::text, p.proowner,
                coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
            FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'auth'::pg_catalog.regnamespace
            UNION ALL
            SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::pg_catalog.regclass::text, c.relowner,
                coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))
            FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'auth'::pg_catalog.regnamespace AND c.relkind IN ('r', 'v')
            UNION ALL
            -- The row type of a table has the owner of its table, and rights of its own where default privileges gave some; otherwise it is
            -- left alone, for pg_dump cannot dump its rights and would say so. Array types have none.
            SELECT CASE WHEN c.relkind = 'c' THEN 'TYPE' ELSE 'ROW TYPE' END, t.oid::pg_catalog.regtype::text, t.typowner,
                coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))
            FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
            WHERE t.typnamespace = 'auth'::pg_catalog.regnamespace AND (c.relkind = 'c' OR t.typacl IS NOT NULL)
            UNION ALL
            -- It stays the installing superuser's, and after DROP EXTENSION too.
            SELECT 'SCHEMA', n.nspname, n.nspowner, coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))
            FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'auth'
        )
        SELECT s.statement FROM (
            SELECT 1, pg_catalog.format('ALTER %s %s OWNER TO workos_auth_owner', own.kind, own.name)
            FROM own WHERE own.kind NOT IN ('ROW TYPE', 'SCHEMA')
            UNION ALL
            SELECT DISTINCT 0, pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE',
                CASE own.kind WHEN 'VIEW' THEN 'TABLE' WHEN 'ROW TYPE' THEN 'TYPE' ELSE own.kind END, own.name,
                CASE grantee.role WHEN 0 THEN 'PUBLIC' ELSE grantee.role::pg_catalog.regrole::text END)
            FROM own CROSS JOIN LATERAL (
                -- PUBLIC always, so that the rights are written down and the same everywhere.
                SELECT 0::pg_catalog.oid UNION SELECT acl.grantee FROM pg_catalog.aclexplode(own.acl) AS acl WHERE acl.grantee <> own.owner
            ) AS grantee (role)
            UNION ALL
            SELECT 2, pg_catalog.format('GRANT %s ON %s TO %s', r.privilege, r.object,
                CASE r.bundle WHEN 'everyone' THEN 'PUBLIC' ELSE 'pg_write_server_files' END)
            FROM auth.rights() AS r WHERE r.bundle IN ('everyone', 'server_files')
        ) AS s (step, statement)
        ORDER BY s.step, s.statement
    LOOP
        EXECUTE statement;
    END LOOP;
END
$give_rights$;
