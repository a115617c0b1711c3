-- What auth.check() needs to know of the extension's own tables.

-- The only part that reads rows, hence SECURITY DEFINER. It counts; what is too much is decided in auth.check().
CREATE FUNCTION auth.check_facts(OUT fact text, OUT subject text, OUT number bigint) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 5 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'days since the active key became active', k.kid,
        pg_catalog.floor(pg_catalog.date_part('day', pg_catalog.now() OPERATOR(pg_catalog.-) coalesce(k.activated_at, k.created_at)))::pg_catalog.int8
    FROM auth.signing_keys AS k WHERE k.status OPERATOR(pg_catalog.=) 'active'
    UNION ALL
    -- Nothing was signed with a retiring key once its successor was active.
    SELECT 'seconds since a retiring key was replaced', k.kid,
        pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.min(s.activated_at)))::pg_catalog.int8
    FROM auth.signing_keys AS k JOIN auth.signing_keys AS s ON s.activated_at OPERATOR(pg_catalog.>) coalesce(k.activated_at, k.created_at)
    WHERE k.status OPERATOR(pg_catalog.=) 'retiring'
    GROUP BY k.kid
    UNION ALL
    -- Not counted any further than it matters.
    SELECT 'sessions that expired a day ago', NULL, (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.sessions AS s
            WHERE s.not_after OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 1))
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'sign-ins that expired a day ago', NULL, (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.flow_states AS f
            WHERE f.expires_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 1))
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'sign-ins without a code challenge', NULL, (
        SELECT pg_catalog.count(*) FROM (SELECT FROM auth.flow_states AS f WHERE f.code_challenge IS NULL LIMIT 10001) AS few)
$$;
COMMENT ON FUNCTION auth.check_facts() IS 'what auth.check() asks of the rows in the extension''s tables: counts and ages';

CREATE FUNCTION auth.check_copy() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_copy_wrapper';
COMMENT ON FUNCTION auth.check_copy() IS 'what auth.check() says of a database that is a copy of an installation; NULL where it is none';

-- What is attached to the extension's tables: things that belong to a table, not to the extension, so that a dump does not carry them.
CREATE FUNCTION auth.check_attached(OUT kind text, OUT identity text, OUT relation text, OUT name text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 300 SET search_path = pg_catalog, pg_temp AS $$
    WITH our_tables AS (
        SELECT c.oid
        FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid JOIN pg_class AS c ON c.oid = d.objid
        WHERE e.extname = 'workos_auth' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
            AND d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'v')
    ), attached (classid, objid, objsubid, relid, name) AS (
        SELECT 'pg_trigger'::regclass, t.oid, 0, t.tgrelid, t.tgname FROM pg_trigger AS t WHERE NOT t.tgisinternal
        UNION ALL
        SELECT 'pg_policy'::regclass, p.oid, 0, p.polrelid, p.polname FROM pg_policy AS p
        UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid, 0, r.ev_class, r.rulename FROM pg_rewrite AS r
        UNION ALL
        SELECT 'pg_class'::regclass, a.attrelid, a.attnum, a.attrelid, a.attname FROM pg_attribute AS a WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        -- Not the NOT NULL constraints of Postgres 18, which an upgrade makes.
        SELECT 'pg_constraint'::regclass, c.oid, 0, c.conrelid, c.conname FROM pg_constraint AS c WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
        UNION ALL
        -- The index of a constraint is the constraint's.
        SELECT 'pg_class'::regclass, i.indexrelid, 0, i.indrelid, c.relname
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
    )
    SELECT i.type, i.identity, a.relid::regclass::text, a.name
    FROM attached AS a JOIN our_tables AS t ON t.oid = a.relid, pg_identify_object(a.classid, a.objid, a.objsubid) AS i
$$;
COMMENT ON FUNCTION auth.check_attached() IS
    'columns, indexes, constraints, triggers, rules and policies of the extension''s tables; what auth.check_installed() did not see is somebody else''s';
