-- What auth.check() says of the extension's own objects: whether they are what was installed, who has rights on them, and what others have
-- attached to them.
CREATE FUNCTION auth.check_own(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $check$
WITH own AS (
    SELECT d.classid, d.objid, e.oid AS extension FROM pg_extension AS e JOIN pg_depend AS d
        ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    WHERE e.extname = 'workos_auth'
),
own_relation AS (SELECT c.* FROM own AS o JOIN pg_class AS c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid),

-- WHAT IT CONSISTS OF -------------------------------------------------------------------------------------------------------------

difference AS MATERIALIZED (SELECT d.* FROM auth.check_differences() AS d),

-- WHO HAS RIGHTS ------------------------------------------------------------------------------------------------------------------

right_of AS (
    SELECT r.bundle, split_part(r.privilege, ' ', 1) AS privilege, c.name AS column_name, k.kind, n.name, CASE k.kind
            WHEN 'FUNCTION' THEN to_regprocedure(n.name)::oid
            WHEN 'PROCEDURE' THEN to_regprocedure(n.name)::oid
            WHEN 'TABLE' THEN to_regclass(n.name)::oid
            WHEN 'TYPE' THEN to_regtype(n.name)::oid
            WHEN 'SCHEMA' THEN to_regnamespace(n.name)::oid END AS oid
    FROM auth.rights() AS r
        CROSS JOIN LATERAL (SELECT split_part(r.object, ' ', 1)) AS k (kind)
        CROSS JOIN LATERAL (SELECT substr(r.object, strpos(r.object, ' ') + 1)) AS n (name)
        -- A right on columns is as many rows.
        LEFT JOIN LATERAL regexp_split_to_table(substring(r.privilege FROM '\((.*)\)'), ', ') AS c (name) ON true
),
acl AS (
    SELECT x.kind, x.oid, x.name, x.owner, a.grantee, a.grantor, a.privilege_type AS privilege, a.is_grantable, x.column_name,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee_name
    FROM (
        SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid, p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), NULL::text
        FROM own AS o JOIN pg_proc AS p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
        UNION ALL
        SELECT 'TABLE', c.oid, c.oid::regclass::text, c.relowner, coalesce(c.relacl, acldefault('r', c.relowner)), NULL FROM own_relation AS c WHERE c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'TABLE', c.oid, c.oid::regclass::text, c.relowner, a.attacl, quote_ident(a.attname)
        FROM own_relation AS c JOIN pg_attribute AS a ON a.attrelid = c.oid WHERE c.relkind IN ('r', 'v') AND a.attacl IS NOT NULL
        UNION ALL
        -- An array's rights are its element's. The row type of a table is left as Postgres makes it.
        SELECT 'TYPE', t.oid, t.oid::regtype::text, t.typowner,
            coalesce(t.typacl, CASE WHEN t.typrelid NOT IN (SELECT c.oid FROM own_relation AS c) THEN acldefault('T', t.typowner) END), NULL
        FROM pg_type AS t
        WHERE t.typcategory <> 'A'
            AND (t.oid IN (SELECT o.objid FROM own AS o WHERE o.classid = 'pg_type'::regclass) OR t.typrelid IN (SELECT c.oid FROM own_relation AS c))
        UNION ALL
        SELECT 'SCHEMA', n.oid, n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)), NULL FROM pg_namespace AS n WHERE n.nspname = 'auth'
    ) AS x (kind, oid, name, owner, acl, column_name), aclexplode(x.acl) AS a
    WHERE a.grantee <> x.owner
),
-- Whom a bundle was given.
holder AS (
    SELECT h.bundle, h.grantee, h.grantee::regrole::text AS grantee_name FROM auth.check_holders() AS h
    UNION ALL
    SELECT 'everyone', 0, 'PUBLIC'
    UNION ALL
    SELECT 'server_files', 'pg_write_server_files'::regrole, 'pg_write_server_files'
),
-- What somebody has and nobody gave by the list. REFERENCES on auth.users is for whoever builds tables on it; a replication's role reads what
-- it copies.
extra AS (
    SELECT a.* FROM acl AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    -- What Postgres gives to everybody on a table's row type, which is nothing without the table.
    WHERE NOT (a.kind = 'TYPE' AND a.grantee = 0 AND a.oid IN (SELECT c.reltype FROM own_relation AS c)) AND NOT EXISTS (
            SELECT FROM right_of AS r WHERE r.oid = a.oid AND r.kind = a.kind AND r.privilege = a.privilege AND coalesce(r.column_name = a.column_name, r.column_name IS NULL)
                AND (r.bundle = 'everyone' OR EXISTS (SELECT FROM holder AS h WHERE h.bundle = r.bundle AND h.grantee = a.grantee)))
        AND NOT (a.kind = 'TABLE' AND a.oid = to_regclass('auth.users') AND a.privilege = 'REFERENCES' AND a.grantee <> 0)
        AND NOT (a.kind = 'TABLE' AND a.privilege = 'SELECT' AND coalesce(r.rolreplication, false))
),
-- What the owner gave is taken back, and what rests on it; what another gave, with the right to give it, which may be on the whole table where
-- what was given is on a column.
revoke_plain AS (
    SELECT e.kind, e.oid, e.name, e.grantee, e.grantee_name, bool_or(e.privilege IN ('TRUNCATE', 'TRIGGER')) AS is_grave,
        string_agg(DISTINCT p.privilege, ', ' ORDER BY p.privilege) AS privileges,
        format('REVOKE %s%s ON %s %s FROM %s%s;', CASE WHEN e.grantor <> e.owner THEN 'GRANT OPTION FOR ' END,
            string_agg(DISTINCT p.privilege, ', ' ORDER BY p.privilege), e.kind, e.name,
            CASE WHEN e.grantor <> e.owner THEN e.grantor::regrole::text ELSE e.grantee_name END,
            CASE WHEN e.grantor <> e.owner OR EXISTS (SELECT FROM acl AS a WHERE a.kind = e.kind AND a.oid = e.oid AND a.grantor = e.grantee) THEN ' CASCADE' END
        ) AS statement
    FROM extra AS e CROSS JOIN LATERAL (
        SELECT e.privilege || coalesce(' (' || e.column_name || ')', '')
        WHERE e.grantor = e.owner OR e.column_name IS NULL OR EXISTS (
            SELECT FROM acl AS a WHERE a.kind = e.kind AND a.oid = e.oid AND a.grantee = e.grantor AND a.privilege = e.privilege AND a.column_name = e.column_name AND a.is_grantable)
        UNION ALL
        SELECT e.privilege WHERE e.grantor <> e.owner AND e.column_name IS NOT NULL AND EXISTS (
            SELECT FROM acl AS a WHERE a.kind = e.kind AND a.oid = e.oid AND a.grantee = e.grantor AND a.privilege = e.privilege AND a.column_name IS NULL AND a.is_grantable)
    ) AS p (privilege)
    GROUP BY e.kind, e.oid, e.name, e.owner, e.grantee, e.grantee_name, e.grantor
),
-- A right on the whole table takes those on its columns along, which an administrator is to have.
revoke AS (
    SELECT r.kind, r.oid, r.name, r.grantee, r.grantee_name, r.is_grave, r.privileges,
        CASE WHEN b.statement IS NULL THEN r.statement ELSE format('DO %L;', format('BEGIN %s %s END', r.statement, b.statement)) END AS statement
    FROM revoke_plain AS r LEFT JOIN LATERAL (
        SELECT string_agg(format('GRANT %s (%s) ON TABLE %s TO %s;', c.privilege, c.columns, r.name, r.grantee_name), ' ' ORDER BY c.privilege)
        FROM (
            SELECT g.privilege, string_agg(g.column_name, ', ')
            FROM right_of AS g JOIN holder AS h ON h.bundle = g.bundle AND h.grantee = r.grantee
            WHERE g.kind = r.kind AND g.oid = r.oid AND g.column_name IS NOT NULL AND g.privilege = ANY (string_to_array(r.privileges, ', '))
            GROUP BY g.privilege
        ) AS c (privilege, columns)
    ) AS b (statement) ON true
),
lacking AS (
    SELECT h.bundle, h.grantee_name, r.kind, r.privilege, string_agg(DISTINCT r.name COLLATE "C", ', ' ORDER BY r.name COLLATE "C") AS names, count(DISTINCT r.name) AS number
    FROM holder AS h JOIN right_of AS r ON r.bundle = h.bundle
    WHERE (r.kind = 'SCHEMA' OR r.oid IN (SELECT o.objid FROM own AS o)) AND NOT EXISTS (
        SELECT FROM acl AS a WHERE a.kind = r.kind AND a.oid = r.oid AND a.privilege = r.privilege AND a.grantee IN (h.grantee, 0)
            AND coalesce(a.column_name = r.column_name, a.column_name IS NULL)
    )
    GROUP BY h.bundle, h.grantee_name, r.kind, r.privilege
),

-- WHAT OTHERS HAVE ATTACHED -------------------------------------------------------------------------------------------------------

-- By whose hand what is attached calls a function: one that is no SECURITY DEFINER runs as whoever writes the row. For the extension's own
-- statements that is workos_auth_nobody, by hand it is an administrator or a superuser.
attached AS (
    SELECT m.*, (
            SELECT min(r.rolname) FROM pg_depend AS d JOIN pg_proc AS p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid JOIN pg_roles AS r ON r.oid = p.proowner
            WHERE NOT p.prosecdef AND NOT r.rolsuper AND r.rolname <> 'workos_auth_owner' AND (
                d.classid = m.classid AND d.objid = m.objid AND m.kind <> 'table column'
                OR m.kind = 'table column' AND d.classid = 'pg_attrdef'::regclass AND d.objid IN (
                    SELECT f.oid FROM pg_attrdef AS f JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
                    WHERE f.adrelid = m.objid AND a.attname = m.name))
        ) AS hand
    FROM difference AS m WHERE m.difference = 'attached'
),
-- Referential integrity compares as the owner of the referenced table, and casts first where the types differ: the cast may be anybody's code.
foreign_key AS (
    SELECT DISTINCT ON (c.oid) c.oid, c.conname, c.conrelid, a.attname, format_type(a.atttypid, a.atttypmod) AS type, t.attname AS target, f.oid AS relation, t.atttypid::regtype AS target_type
    FROM own_relation AS f JOIN pg_constraint AS c ON c.contype = 'f' AND c.confrelid = f.oid AND c.conparentid = 0
        CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (source, target)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.source
        JOIN pg_attribute AS t ON t.attrelid = c.confrelid AND t.attnum = k.target
        CROSS JOIN LATERAL (
            WITH RECURSIVE base AS (
                SELECT y.oid, y.typtype, y.typbasetype FROM pg_type AS y WHERE y.oid = a.atttypid
                UNION ALL SELECT y.oid, y.typtype, y.typbasetype FROM base AS b JOIN pg_type AS y ON y.oid = b.typbasetype WHERE b.typtype = 'd'
            ) SELECT b.oid FROM base AS b WHERE b.typtype <> 'd'
        ) AS b (type)
    WHERE b.type <> t.atttypid AND NOT (b.type = 'varchar'::regtype AND t.atttypid = 'text'::regtype)
    ORDER BY c.oid, k.source
)

-- FINDINGS ------------------------------------------------------------------------------------------------------------------------

-- A newer library serves the SQL of any release before it. An older one lacks functions that the SQL names.
SELECT CASE WHEN v.library > v.sql THEN 'warning' ELSE 'error' END, 'workos_auth',
    CASE WHEN v.library > v.sql
        THEN format('The library is %s, and this database still has the SQL of %s: what is new is not there yet. Run the remedy in a new connection.', n.library, n.sql)
        ELSE format('This database has the SQL of %s, and the library is %s, which lacks functions that the SQL names.', n.sql, n.library) END,
    CASE WHEN v.library > v.sql THEN 'ALTER EXTENSION workos_auth UPDATE;'
        ELSE format('SELECT ''Install the package of workos_auth %s or newer on this server, and connect anew; with shared_preload_libraries, restart it.'' AS by_hand;', n.sql) END
FROM auth.version() AS n, LATERAL (
    SELECT string_to_array(split_part(n.library, '-', 1), '.')::integer[], string_to_array(split_part(n.sql, '-', 1), '.')::integer[]
) AS v (library, sql)
WHERE v.library <> v.sql
UNION ALL
SELECT CASE WHEN c.kind IN ('index', 'table column') THEN 'warning' ELSE 'error' END,
    CASE WHEN c.kind IN ('trigger', 'policy', 'table constraint') THEN format('%I ON %s', c.name, c.relation) ELSE c.identity END,
    format('This %s of the extension is not as it was installed: its %s.', c.kind, c.what),
    -- A view's columns cannot be replaced.
    CASE WHEN c.kind = 'view' AND 'columns' = ANY (string_to_array(c.what, ', '))
        THEN format('DO %L;', format('BEGIN ALTER EXTENSION workos_auth DROP VIEW %s; DROP VIEW %s; %s ALTER VIEW %s OWNER TO workos_auth_owner; '
            'REVOKE ALL ON TYPE %s FROM PUBLIC; ALTER EXTENSION workos_auth ADD VIEW %s; END', c.identity, c.identity, c.restore, c.identity, c.identity, c.identity))
        ELSE c.restore END
FROM difference AS c WHERE c.difference = 'changed'
UNION ALL
SELECT 'error', CASE WHEN m.kind IN ('trigger', 'policy', 'table constraint') THEN format('%I ON %s', m.name, m.relation) ELSE m.identity END,
    format('This %s of the extension is gone.', m.kind),
    CASE
        WHEN m.kind IN ('function', 'procedure') THEN format('DO %L;', format('BEGIN %s ALTER ROUTINE %s OWNER TO workos_auth_owner; REVOKE ALL ON ROUTINE %s FROM PUBLIC; '
            'ALTER EXTENSION workos_auth ADD ROUTINE %s; END', m.restore, m.identity, m.identity, m.identity))
        WHEN m.kind = 'view' THEN format('DO %L;', format('BEGIN %s ALTER VIEW %s OWNER TO workos_auth_owner; REVOKE ALL ON TYPE %s FROM PUBLIC; '
            'ALTER EXTENSION workos_auth ADD VIEW %s; END', m.restore, m.identity, m.identity, m.identity))
        ELSE m.restore END
FROM difference AS m WHERE m.difference = 'gone'
UNION ALL
SELECT 'error', c.oid::regclass::text, 'Row-level security of a table of the extension is off: grants alone keep its rows.',
    format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::regclass)
FROM own_relation AS c WHERE c.relkind = 'r' AND NOT c.relrowsecurity
UNION ALL
-- Those of foreign keys between the extension's own tables too: they end the sessions of whoever is deleted.
SELECT 'error', format('%I ON %s', coalesce(k.conname, t.tgname), t.tgrelid::regclass),
    format('The trigger does not always fire: %s.', CASE WHEN k.oid IS NOT NULL THEN 'rows stay behind whose foreign key leads nowhere'
        WHEN t.tgfoid = to_regprocedure('auth.forget_cached_rows()') THEN 'backends go on believing keys that are no longer good'
        WHEN t.tgfoid = to_regprocedure('auth.fill_in_defaults()') THEN 'NULL is refused where Supabase Auth allows it'
        WHEN t.tgfoid = to_regprocedure('auth.restore_rows()') THEN 'a restore fails on rows that come before those that they reference'
        WHEN t.tgfoid = to_regprocedure('auth.note_ended_session()') THEN 'a verifier accepts tokens of sessions that have just ended'
        WHEN t.tgfoid = to_regprocedure('auth.identity_left()') THEN 'a token from before makes a person known again who is gone'
        WHEN t.tgfoid = to_regprocedure('auth.mark_lost_heartbeat()') THEN 'a verifier does not notice that changes were lost'
        WHEN t.tgfoid = to_regprocedure('auth.forget_authkit_token()') THEN 'what opens a session at WorkOS stays when the session here has ended'
        WHEN t.tgfoid = to_regprocedure('auth.keep_feeds_apart()') THEN 'a verifier takes what one issuer says for the word of another'
        ELSE 'what it refuses is taken' END),
    format('ALTER TABLE %s ENABLE %sTRIGGER %I;', t.tgrelid::regclass, CASE
        WHEN t.tgfoid = ANY (f.only_fed) THEN 'REPLICA '
        WHEN k.oid IS NULL THEN 'ALWAYS ' END, t.tgname)
FROM pg_trigger AS t JOIN own_relation AS c ON c.oid = t.tgrelid
    LEFT JOIN pg_constraint AS k ON k.oid = t.tgconstraint AND k.contype = 'f' AND k.conrelid IN (SELECT o.oid FROM own_relation AS o)
    CROSS JOIN (SELECT ARRAY[to_regprocedure('auth.note_ended_session()'), to_regprocedure('auth.mark_lost_heartbeat()'),
        to_regprocedure('auth.keep_feeds_apart()')]::oid[]) AS f (only_fed)
WHERE (NOT t.tgisinternal OR k.oid IS NOT NULL)
    AND CASE
        -- Where a subscription writes, and nowhere else.
        WHEN t.tgfoid = ANY (f.only_fed) THEN t.tgenabled NOT IN ('R', 'A')
        WHEN t.tgfoid IN (to_regprocedure('auth.forget_cached_rows()'), to_regprocedure('auth.restore_rows()')) THEN t.tgenabled <> 'A'
        ELSE t.tgenabled NOT IN ('O', 'A') END
UNION ALL
SELECT 'error', quote_ident(t.evtname), 'The event trigger of the extension does not fire: what it is to see goes unseen.',
    format('ALTER EVENT TRIGGER %I ENABLE;', t.evtname)
FROM own AS o JOIN pg_event_trigger AS t ON o.classid = 'pg_event_trigger'::regclass AND t.oid = o.objid WHERE t.evtenabled NOT IN ('O', 'A')
UNION ALL
SELECT 'error', i.identity, format('It belongs to %s and no longer to workos_auth_owner: its owner can change what sign-ins rely on.', x.owner::regrole),
    format('ALTER %s %s OWNER TO workos_auth_owner;', upper(i.type), i.identity)
FROM (
    SELECT o.classid, c.oid, c.relowner FROM own AS o JOIN pg_class AS c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid WHERE c.relkind IN ('r', 'v')
    UNION ALL
    SELECT o.classid, p.oid, p.proowner FROM own AS o JOIN pg_proc AS p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
) AS x (classid, objid, owner), pg_identify_object(x.classid, x.objid, 0) AS i
WHERE x.owner <> 'workos_auth_owner'::regrole
UNION ALL
SELECT 'error', 'auth', format('The schema auth belongs to %s, who is no superuser and can replace what sign-ins rely on.', r.oid::regrole),
    format('ALTER SCHEMA auth OWNER TO %s;', 10::oid::regrole)
FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner WHERE n.nspname = 'auth' AND NOT r.rolsuper
UNION ALL

-- TRUNCATE passes row-level security by, and a trigger runs with the rights of whoever writes. Some functions harm nobody.
SELECT CASE r.kind
        WHEN 'TABLE' THEN CASE WHEN r.is_grave THEN 'error' ELSE 'warning' END
        WHEN 'PROCEDURE' THEN 'error'
        WHEN 'FUNCTION' THEN CASE WHEN r.grantee <> 0 AND r.name ~ '^auth\.(cleanup|rights|check_\w+|"check")\(' THEN 'warning' ELSE 'error' END
        WHEN 'SCHEMA' THEN 'error' ELSE 'warning' END,
    r.name,
    CASE r.kind
        WHEN 'SCHEMA' THEN format('%s may create objects in the schema auth and so answer in place of the extension.', r.grantee_name)
        WHEN 'FUNCTION' THEN CASE r.grantee WHEN 0 THEN 'Everybody may call a function that the extension keeps for a few.'
            ELSE format('%s may call a function that the extension does not give it.', r.grantee_name) END
        WHEN 'PROCEDURE' THEN CASE r.grantee WHEN 0 THEN 'Everybody may call a procedure that the extension keeps for a few.'
            ELSE format('%s may call a procedure that the extension does not give it.', r.grantee_name) END
        ELSE format('%s has rights on a %s of the extension that the extension does not give: %s.', r.grantee_name, lower(r.kind), r.privileges) END,
    r.statement
FROM revoke AS r
-- What people may read of their own organization, an administrator grants to their role: row-level security leaves out all else.
WHERE NOT (r.kind = 'TABLE' AND r.grantee <> 0 AND r.privileges !~ 'INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES|TRIGGER|MAINTAIN'
    AND EXISTS (SELECT FROM pg_policy AS p WHERE p.polname = 'own_organization' AND p.polrelid = to_regclass(r.name)))
UNION ALL
SELECT 'warning', CASE l.number WHEN 1 THEN l.names ELSE 'auth' END,
    format('%s lacks what the extension gives: %s on %s.', CASE l.bundle WHEN 'everyone' THEN 'Everybody' ELSE l.grantee_name END, l.privilege, l.names),
    format('GRANT %s ON %s %s TO %s;', l.privilege, l.kind, l.names, l.grantee_name)
FROM lacking AS l WHERE l.bundle IN ('everyone', 'server_files')
UNION ALL
SELECT 'warning', l.grantee_name,
    format('It has a part of what auth.grant_%s gives, and lacks %s.', l.bundle, string_agg(format('%s on %s', l.privilege, l.names), '; ' ORDER BY l.kind, l.privilege)),
    -- Who has less than a third of it was not meant to have it. A dump of an older version brings more than that.
    format('SELECT auth.%s_%s(%L);', CASE
        WHEN sum(l.number) * 3 > 2 * (SELECT count(DISTINCT (r.kind, r.privilege, r.name)) FROM right_of AS r WHERE r.bundle = l.bundle) THEN 'revoke'
        ELSE 'grant' END, l.bundle, l.grantee_name)
FROM lacking AS l WHERE l.bundle NOT IN ('everyone', 'server_files') GROUP BY l.bundle, l.grantee_name
UNION ALL

SELECT CASE WHEN a.hand IS NULL THEN 'warning' ELSE 'error' END,
    CASE WHEN a.kind IN ('trigger', 'policy', 'rule', 'table constraint') THEN format('%I ON %s', a.name, a.relation) ELSE a.identity END,
    format('Somebody attached this %s to %s of the extension: %s.', a.kind, a.relation, CASE
        WHEN a.hand IS NOT NULL THEN format('what %I writes into its function runs as whoever writes to the table by hand, a superuser too', a.hand)
        WHEN a.kind = 'policy' THEN 'it opens rows that nobody is to see, and a dump does not carry it'
        WHEN a.kind = 'table column' THEN 'a dump with its values cannot be restored; keep them in a table of your own first'
        ELSE 'a dump does not carry it' END),
    CASE a.kind
        WHEN 'table column' THEN format('ALTER TABLE %s DROP COLUMN %I;', a.relation, a.name)
        WHEN 'table constraint' THEN format('ALTER TABLE %s DROP CONSTRAINT %I;', a.relation, a.name)
        WHEN 'index' THEN format('DROP INDEX %s;', a.identity)
        ELSE format('DROP %s %I ON %s;', upper(a.kind), a.name, a.relation) END
FROM attached AS a
UNION ALL
SELECT 'error', format('%I ON %s', f.conname, f.conrelid::regclass),
    format('The foreign key''s column %I is of the type %s, and %s.%I is %s: its cast runs as the extension''s owner, whatever it does.',
        f.attname, f.type, f.relation::regclass, f.target, f.target_type),
    format('ALTER TABLE %s DROP CONSTRAINT %I;', f.conrelid::regclass, f.conname)
FROM foreign_key AS f
UNION ALL
-- What references auth.users is its owner's business, who may keep a person from being deleted.
SELECT 'warning', format('%I ON %s', c.conname, c.conrelid::regclass),
    format('Its rows keep rows of %s from being removed: whoever has one can be neither signed out nor banned (23503). Make it ON DELETE CASCADE or SET NULL.', c.confrelid::regclass),
    format('ALTER TABLE %s DROP CONSTRAINT %I;', c.conrelid::regclass, c.conname)
FROM pg_constraint AS c JOIN own_relation AS f ON f.oid = c.confrelid
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confdeltype IN ('a', 'r') AND f.relname <> 'users'
    AND c.conrelid NOT IN (SELECT o.oid FROM own_relation AS o)
    AND f.relname IN ('sessions', 'identities', 'organization_memberships', 'flow_states')
UNION ALL
-- Moved, not dropped: whoever calls it by name must be told, but nothing is lost. A sequence of a column goes with its table.
SELECT 'warning', i.identity,
    format('This %s stands in the schema auth and is not the extension''s: it can answer in its place, and stands in the way of updates.', i.type),
    CASE
        WHEN to_regnamespace('public') IS NULL THEN format('DROP %s %s;', upper(i.type), i.identity)
        WHEN n.free = n.name THEN format('ALTER %s %s SET SCHEMA public;', upper(i.type), i.identity)
        -- There is one of this name already.
        ELSE format('DO %L;', format('BEGIN ALTER %s %s RENAME TO %I; ALTER %s auth.%I%s SET SCHEMA public; END',
            upper(i.type), i.identity, n.free, upper(i.type), n.free, n.arguments)) END
FROM pg_depend AS d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
    CROSS JOIN LATERAL (
        SELECT o.name, o.arguments, (
            SELECT f.free FROM (SELECT o.name || coalesce('_' || number, '') FROM (SELECT NULL::int UNION ALL SELECT generate_series(2, 100)) AS g (number) ORDER BY number NULLS FIRST) AS f (free)
            WHERE NOT EXISTS (SELECT FROM unnest(ARRAY['auth', 'public']) AS s WHERE (s <> 'auth' OR f.free <> o.name) AND CASE d.classid
                WHEN 'pg_class'::regclass THEN coalesce(to_regclass(format('%I.%I', s, f.free)), to_regtype(format('%I.%I', s, f.free))::oid) IS NOT NULL
                WHEN 'pg_type'::regclass THEN to_regtype(format('%I.%I', s, f.free)) IS NOT NULL
                WHEN 'pg_proc'::regclass THEN to_regprocedure(format('%I.%I%s', s, f.free, o.arguments)) IS NOT NULL
                ELSE false END)
            LIMIT 1) AS free
        FROM (
            SELECT coalesce(
                    (SELECT c.relname FROM pg_class AS c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid),
                    (SELECT p.proname FROM pg_proc AS p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid),
                    (SELECT t.typname FROM pg_type AS t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid), '')::text,
                CASE d.classid WHEN 'pg_proc'::regclass THEN (
                    SELECT format('(%s)', string_agg(format_type(a.type, NULL), ', ' ORDER BY a.at))
                    FROM pg_proc AS p CROSS JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY AS a (type, at) WHERE p.oid = d.objid) END
        ) AS o (name, arguments)
    ) AS n
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace('auth')
    AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_extension'::regclass)
    AND d.objid NOT IN (SELECT o.extension FROM own AS o)
    AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND (
        e.deptype = 'e' OR e.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass AND e.refclassid = 'pg_class'::regclass AND e.refobjsubid > 0))
    AND NOT EXISTS (SELECT FROM difference AS m WHERE m.difference = 'gone' AND m.kind = i.type AND (m.identity = i.identity OR d.classid = 'pg_proc'::regclass AND to_regprocedure(m.identity) = d.objid))
$check$;
COMMENT ON FUNCTION auth.check_own() IS 'the part of auth.check() about the extension''s own objects';
