-- What auth.check() needs to know of the extension itself: its rows, and what it consists of.

-- The only part that reads rows, hence SECURITY DEFINER. It counts; what is too much is decided in auth.check().
CREATE FUNCTION auth.check_facts(OUT fact text, OUT subject text, OUT number bigint) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 5 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'days since the active key became active', k.kid,
        pg_catalog.floor(pg_catalog.date_part('day', pg_catalog.now() OPERATOR(pg_catalog.-) coalesce(k.activated_at, k.created_at)))::pg_catalog.int8
    FROM auth.signing_keys AS k WHERE k.status OPERATOR(pg_catalog.=) 'active'
    UNION ALL
    -- Nothing was signed with a retiring key once its successor was active. A visitor's key outlives a session's tokens.
    SELECT 'seconds since a retiring key was replaced', k.kid,
        pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.min(s.activated_at)))::pg_catalog.int8
    FROM auth.signing_keys AS k JOIN auth.signing_keys AS s ON s.activated_at OPERATOR(pg_catalog.>) coalesce(k.activated_at, k.created_at)
    WHERE k.status OPERATOR(pg_catalog.=) 'retiring' AND coalesce(k.visitors_until OPERATOR(pg_catalog.<) pg_catalog.now(), true)
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
    UNION ALL
    SELECT 'failures of a task of the background worker', w.task, w.failures::pg_catalog.int8 FROM auth.worker_status AS w
    UNION ALL
    -- A restore that brought one table and not the other.
    SELECT 'rows of nobody', 'auth.sessions', (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.sessions AS o
            WHERE o.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'rows of nobody', 'auth.identities', (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.identities AS o
            WHERE o.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)
            LIMIT 10001
        ) AS few)
    UNION ALL
    SELECT 'rows of nobody', 'auth.organization_memberships', (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM auth.organization_memberships AS o
            WHERE o.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)
            LIMIT 10001
        ) AS few)
    UNION ALL
    -- An address that went to a new account three times, each with another id of the identity provider, and the last time a week ago at most.
    SELECT 'addresses of three new accounts', s.connection_id, pg_catalog.count(*)
    FROM (
        SELECT r.connection_id, pg_catalog.max(r.created_at) AS last
        FROM (
            SELECT a.connection_id, a.user_id, a.created_at FROM auth.audit_log_entries AS a
            WHERE a.action OPERATOR(pg_catalog.=) 'email_released'
                AND a.created_at OPERATOR(pg_catalog.>) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 30))
            ORDER BY a.created_at DESC LIMIT 10000
        ) AS r JOIN auth.identities AS i ON i.user_id OPERATOR(pg_catalog.=) r.user_id AND i.connection_id OPERATOR(pg_catalog.=) r.connection_id
        GROUP BY r.connection_id, pg_catalog.lower(i.email COLLATE "C")
        HAVING pg_catalog.count(DISTINCT r.user_id) OPERATOR(pg_catalog.>=) 3
    ) AS s
    GROUP BY s.connection_id
    HAVING pg_catalog.max(s.last) OPERATOR(pg_catalog.>) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 7))
    UNION ALL
    -- Read as src/auth_hooks.rs reads it: what stands without quotes is in lower case. A name that is none was written past its trigger.
    SELECT 'owner of the function of a hook that had another owner', h.event, o.oid::pg_catalog.int8
    FROM auth.hooks AS h
        JOIN pg_catalog.pg_proc AS p ON p.pronargs OPERATOR(pg_catalog.=) 1 AND p.proargtypes[0] OPERATOR(pg_catalog.=) 'pg_catalog.jsonb'::pg_catalog.regtype
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) p.proowner
    WHERE CASE
        WHEN h.function OPERATOR(pg_catalog.~) '^("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\.("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)(\(jsonb\))?$'
        THEN pg_catalog.parse_ident(h.function, false) OPERATOR(pg_catalog.=) ARRAY[n.nspname::pg_catalog.text, p.proname::pg_catalog.text]
            AND o.rolname OPERATOR(pg_catalog.<>) h.function_owner
        ELSE false END
    UNION ALL
    -- A restore brings the row also where it leaves the function out.
    SELECT 'hook whose function is missing', h.event, NULL
    FROM auth.hooks AS h
    WHERE CASE
        WHEN h.function OPERATOR(pg_catalog.~) '^("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\.("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)(\(jsonb\))?$'
        THEN NOT EXISTS (
            SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
            WHERE p.pronargs OPERATOR(pg_catalog.=) 1 AND p.proargtypes[0] OPERATOR(pg_catalog.=) 'pg_catalog.jsonb'::pg_catalog.regtype
                AND pg_catalog.parse_ident(h.function, false) OPERATOR(pg_catalog.=) ARRAY[n.nspname::pg_catalog.text, p.proname::pg_catalog.text])
        ELSE false END
$$;
COMMENT ON FUNCTION auth.check_facts() IS 'what auth.check() asks of the rows in the extension''s tables: counts, ages, and hooks whose functions changed hands or are missing';

CREATE FUNCTION auth.check_copy() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_copy_wrapper';
COMMENT ON FUNCTION auth.check_copy() IS 'what auth.check() says of a database that is a copy of an installation; NULL where it is none';

CREATE FUNCTION auth.check_root_key(OUT name text, OUT finding text, OUT by_hand text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'check_root_key_wrapper';
COMMENT ON FUNCTION auth.check_root_key() IS 'what auth.check() says of a root key that does not open what is sealed; the name in auth.error_codes, the sentence, and what a person does then; no row where it does';

-- What the extension consists of: its functions, views and event triggers, and what belongs to its tables, which a dump does not carry.
-- Of each: state, what Postgres's catalogs say and every version says alike; printed, what this version prints of it; and restore, the one
-- statement that makes it as it is, whether it was changed or dropped. Rights and owners are looked at elsewhere.
CREATE FUNCTION auth.check_members(
    OUT kind text, OUT identity text, OUT relation text, OUT name text, OUT classid oid, OUT objid oid, OUT state jsonb, OUT printed text, OUT restore text
) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 400 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on AS $$
    WITH member AS (
        SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'workos_auth' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    ), our_table AS (
        SELECT c.oid, c.relkind FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
        WHERE c.relkind IN ('r', 'v')
    ), part (classid, objid, objsubid, relid, name, state, printed, restore) AS (
        SELECT m.classid, p.oid, 0, NULL::oid, p.proname, jsonb_build_object(
                'language', l.lanname, 'library', p.probin, 'symbol or source', p.prosrc, 'volatility', p.provolatile, 'parallel label', p.proparallel,
                'SECURITY DEFINER', p.prosecdef, 'strictness', p.proisstrict, 'leakproofness', p.proleakproof, 'return type', p.prorettype::regtype,
                'set or one', p.proretset, 'support function', p.prosupport, 'settings', p.proconfig, 'defaults', pg_get_expr(p.proargdefaults, 0)),
            NULL, CASE WHEN p.prokind <> 'a' THEN rtrim(pg_get_functiondef(p.oid), E'\n') || ';' END
        FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid JOIN pg_language AS l ON l.oid = p.prolang
        UNION ALL
        SELECT m.classid, v.oid, 0, NULL, v.relname, jsonb_build_object('options', v.reloptions, 'columns', (
                SELECT jsonb_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = v.oid)),
            pg_get_viewdef(v.oid), format('CREATE OR REPLACE VIEW %s AS %s', v.oid::regclass, pg_get_viewdef(v.oid))
        FROM member AS m JOIN pg_class AS v ON m.classid = 'pg_class'::regclass AND v.oid = m.objid WHERE v.relkind = 'v'
        UNION ALL
        SELECT m.classid, t.oid, 0, NULL, t.evtname, jsonb_build_object('event', t.evtevent, 'function', t.evtfoid::regprocedure, 'tags', t.evttags),
            NULL, format('DO %L;', format('BEGIN CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s; ALTER EXTENSION workos_auth ADD EVENT TRIGGER %I; END',
                t.evtname, t.evtevent, ' WHEN TAG IN (' || (SELECT string_agg(quote_literal(tag), ', ') FROM unnest(t.evttags) AS tag) || ')',
                t.evtfoid::regprocedure, t.evtname))
        FROM member AS m JOIN pg_event_trigger AS t ON m.classid = 'pg_event_trigger'::regclass AND t.oid = m.objid
        UNION ALL
        -- Whether it fires is looked at elsewhere.
        SELECT 'pg_trigger'::regclass, t.oid, 0, t.tgrelid, t.tgname, jsonb_build_object(
                'function', t.tgfoid::regprocedure, 'time', t.tgtype, 'columns', t.tgattr::text, 'arguments', encode(t.tgargs, 'hex'),
                'condition', t.tgqual IS NOT NULL, 'deferrability', t.tgdeferrable, 'names', concat(t.tgoldtable, ' ', t.tgnewtable)),
            NULL, format('DO %L;', format('BEGIN DROP TRIGGER IF EXISTS %I ON %s; %s;%s END', t.tgname, t.tgrelid::regclass, pg_get_triggerdef(t.oid),
                CASE WHEN t.tgenabled IN ('A', 'R') THEN format(' ALTER TABLE %s ENABLE %s TRIGGER %I;', t.tgrelid::regclass, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, t.tgname) END))
        FROM our_table AS o JOIN pg_trigger AS t ON t.tgrelid = o.oid WHERE NOT t.tgisinternal
        UNION ALL
        SELECT 'pg_policy'::regclass, p.oid, 0, p.polrelid, p.polname,
            jsonb_build_object('command', p.polcmd, 'permissiveness', p.polpermissive, 'roles', r.names), concat(e.using_text, ' ', e.check_text),
            format('DO %L;', format('BEGIN DROP POLICY IF EXISTS %I ON %s; CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s; END',
                p.polname, p.polrelid::regclass, p.polname, p.polrelid::regclass, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                r.names, ' USING (' || e.using_text || ')', ' WITH CHECK (' || e.check_text || ')'))
        FROM our_table AS o JOIN pg_policy AS p ON p.polrelid = o.oid
            CROSS JOIN LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS e (using_text, check_text)
            CROSS JOIN LATERAL (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ') FROM unnest(p.polroles) AS role) AS r (names)
        UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid, 0, r.ev_class, r.rulename, NULL, NULL, NULL
        FROM our_table AS o JOIN pg_rewrite AS r ON r.ev_class = o.oid
        UNION ALL
        SELECT 'pg_class'::regclass, a.attrelid, a.attnum, a.attrelid, a.attname,
            jsonb_build_object('type', format_type(a.atttypid, a.atttypmod), 'NOT NULL', a.attnotnull, 'generation', a.attgenerated),
            pg_get_expr(d.adbin, d.adrelid),
            format('ALTER TABLE %s ALTER COLUMN %I TYPE %s, ALTER COLUMN %I %s NOT NULL, ALTER COLUMN %I %s;', a.attrelid::regclass,
                a.attname, format_type(a.atttypid, a.atttypmod), a.attname, CASE WHEN a.attnotnull THEN 'SET' ELSE 'DROP' END,
                a.attname, coalesce('SET DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), 'DROP DEFAULT'))
        FROM our_table AS o JOIN pg_attribute AS a ON a.attrelid = o.oid LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE o.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        -- Not the NOT NULL constraints of Postgres 18, which an upgrade makes. Since 18 a constraint can be one that nobody enforces.
        SELECT 'pg_constraint'::regclass, c.oid, 0, c.conrelid, c.conname, jsonb_build_object(
                'kind', c.contype, 'deferrability', concat(c.condeferrable, c.condeferred), 'validity', c.convalidated,
                'enforcement', coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true), 'actions', concat(c.confupdtype, c.confdeltype),
                'columns', c.conkey::text, 'referenced table', c.confrelid::regclass),
            pg_get_constraintdef(c.oid),
            format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I, ADD CONSTRAINT %I %s;', c.conrelid::regclass, c.conname, c.conname, pg_get_constraintdef(c.oid))
        FROM our_table AS o JOIN pg_constraint AS c ON c.conrelid = o.oid WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
        UNION ALL
        -- The index of a constraint is the constraint's.
        SELECT 'pg_class'::regclass, i.indexrelid, 0, i.indrelid, c.relname, jsonb_build_object(
                'uniqueness', i.indisunique, 'validity', i.indisvalid, 'columns', i.indkey::text, 'condition', i.indpred IS NOT NULL),
            pg_get_indexdef(i.indexrelid),
            format('DO %L;', format('BEGIN DROP INDEX IF EXISTS %s; %s; END', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid)))
        FROM our_table AS o JOIN pg_index AS i ON i.indrelid = o.oid JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
    )
    SELECT i.type, CASE p.classid WHEN 'pg_proc'::regclass THEN p.objid::regprocedure::text ELSE i.identity END, p.relid::regclass::text, p.name, p.classid, p.objid, p.state, p.printed, p.restore
    FROM part AS p, pg_identify_object(p.classid, p.objid, p.objsubid) AS i
$$;
COMMENT ON FUNCTION auth.check_members() IS
    'functions, views and event triggers of the extension; columns, indexes, constraints, triggers, rules and policies of its tables; each with the statement that restores it; auth.check() compares them with auth.check_installed()';

-- Functions, views and event triggers are the extension's members and can only be changed or gone; what somebody adds to a table can be attached.
-- What Postgres prints is compared under the version alone that printed it.
CREATE FUNCTION auth.check_differences(
    OUT difference text, OUT kind text, OUT identity text, OUT relation text, OUT name text, OUT classid oid, OUT objid oid, OUT what text, OUT restore text
) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
    WITH member AS MATERIALIZED (SELECT m.* FROM auth.check_members() AS m),
    installed AS MATERIALIZED (SELECT i.* FROM auth.check_installed() AS i),
    changed AS (
        SELECT i.*, m.classid, m.objid, concat_ws(', ', (
                SELECT string_agg(k.key, ', ' ORDER BY k.key COLLATE "C") FROM jsonb_each(i.state) AS k WHERE k.value IS DISTINCT FROM m.state -> k.key
            ), CASE WHEN i.printed IS DISTINCT FROM m.printed AND i.version = current_setting('server_version_num')::integer / 10000 THEN 'text' END) AS what
        FROM installed AS i JOIN member AS m ON m.kind = i.kind AND m.identity = i.identity
        WHERE i.state IS DISTINCT FROM m.state OR i.printed IS DISTINCT FROM m.printed
    )
    SELECT 'changed', c.kind, c.identity, c.relation, c.name, c.classid, c.objid, c.what, c.restore FROM changed AS c WHERE c.what <> ''
    UNION ALL
    SELECT 'gone', i.kind, i.identity, i.relation, i.name, NULL, NULL, NULL, i.restore FROM installed AS i
    WHERE i.kind NOT IN ('table column', 'rule') AND NOT EXISTS (SELECT FROM member AS m WHERE m.kind = i.kind AND m.identity = i.identity)
    UNION ALL
    SELECT 'attached', m.kind, m.identity, m.relation, m.name, m.classid, m.objid, NULL, NULL FROM member AS m
    WHERE m.relation IS NOT NULL AND NOT EXISTS (SELECT FROM installed AS i WHERE i.kind = m.kind AND i.identity = m.identity)
$$;
COMMENT ON FUNCTION auth.check_differences() IS
    'what is not as auth.check_installed() says: changed, with what of it; gone; or attached to a table by somebody. An update refuses the first two, and goes on reporting the third';
