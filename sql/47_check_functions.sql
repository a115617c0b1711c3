-- What auth.check() reads in the text of functions. Bodies are text, of which Postgres keeps no dependencies, so names are looked for; every look
-- is linear in the text, which may be as long as its owner likes, and how many names are followed is bounded.

-- The functions that believe request.jwt.claims or request.headers, which whoever can send SQL can set: those whose text names them, and
-- those that call one, over three calls at most. Not those of Postgres and of extensions.
CREATE FUNCTION auth.check_believers(OUT routine oid) RETURNS SETOF oid
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH body AS MATERIALIZED (
        -- The text of a function with a body in the SQL standard's way stands elsewhere.
        SELECT p.oid, lower(p.proname) AS name, replace(lower(CASE WHEN p.prosrc = '' AND p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END), '"', '') AS text
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_language AS l ON l.oid = p.prolang
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND l.lanname NOT IN ('c', 'internal')
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    ),
    named AS MATERIALIZED (
        SELECT b.oid, b.name FROM body AS b WHERE strpos(b.text, 'request.jwt') > 0 OR strpos(b.text, 'request.headers') > 0
    ),
    -- A name counts where it is called. It is looked for as plain text first, which costs next to nothing.
    first AS MATERIALIZED (
        SELECT b.oid, b.name FROM body AS b
        WHERE EXISTS (SELECT FROM (SELECT DISTINCT n.name FROM named AS n LIMIT 100) AS n
            WHERE strpos(b.text, n.name) > 0 AND b.text ~ format('(^|[^[:alnum:]_$])%s\s*\(', regexp_replace(n.name, '([^[:alnum:]_])', '\\\1', 'g')))
    ),
    second AS MATERIALIZED (
        SELECT b.oid, b.name FROM body AS b
        WHERE EXISTS (SELECT FROM (SELECT DISTINCT n.name FROM first AS n LIMIT 100) AS n
            WHERE strpos(b.text, n.name) > 0 AND b.text ~ format('(^|[^[:alnum:]_$])%s\s*\(', regexp_replace(n.name, '([^[:alnum:]_])', '\\\1', 'g')))
    ),
    third AS (
        SELECT b.oid FROM body AS b
        WHERE EXISTS (SELECT FROM (SELECT DISTINCT n.name FROM second AS n LIMIT 100) AS n
            WHERE strpos(b.text, n.name) > 0 AND b.text ~ format('(^|[^[:alnum:]_$])%s\s*\(', regexp_replace(n.name, '([^[:alnum:]_])', '\\\1', 'g')))
    )
    SELECT n.oid FROM named AS n UNION SELECT f.oid FROM first AS f UNION SELECT s.oid FROM second AS s UNION SELECT t.oid FROM third AS t
$$;
COMMENT ON FUNCTION auth.check_believers() IS 'functions of the application that believe request.jwt.claims or request.headers, by themselves or through what they call';

-- Comparisons that visitors slip through, in the text of a policy or function: what excludes by auth.role(), which without a session is the
-- database role, or anon; whether it does no more than to raise an error for everybody but one role, which is closed; and guards that compare a
-- reader that is NULL without a session, so that IF is not true. What is matched has lost its blanks, parentheses and quotes of names.
CREATE FUNCTION auth.check_comparisons(text text, OUT excludes boolean, OUT raises boolean, OUT opens boolean)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT x.excludes, x.excludes AND regexp_replace(t.text,
            '(auth\.role(asrole)?(::[a-z]+)?(<>|!=|isdistinctfrom|notin)(''[^'']{0,63}''(::[a-z]+)?,?){1,10}|''[^'']{0,63}''(::[a-z]+)?(<>|!=|isdistinctfrom)auth\.role(::[a-z]+)?)thenraise',
            '', 'g') !~ r.excluding,
        strpos(t.text, 'ifauth.') > 0 AND t.text ~ ('ifauth\.' || r.reader || '(<>|!=)')
            OR strpos(t.text, 'then') > 0 AND t.text ~ ('(<>|!=)auth\.' || r.reader || 'then')
    FROM (SELECT translate(lower(text), E'()" \t\r\n', '')) AS s (text)
        -- IS NOT DISTINCT FROM is printed as NOT … IS DISTINCT FROM.
        CROSS JOIN LATERAL (SELECT CASE WHEN strpos(s.text, 'isdistinctfrom') = 0 THEN s.text
            ELSE regexp_replace(s.text, 'not(auth\.role(asrole)?(::[a-z]+)?)isdistinctfrom', '\1=', 'g') END) AS t (text),
        (VALUES (
            'auth\.role(asrole)?(,''[^'']{0,63}'')?(::[a-z]+)?(<>|!=|notin|isdistinctfrom)|(<>|!=|isdistinctfrom)(all)?(select)?(coalesce)?auth\.role'
            '|not(select)?(coalesce)?auth\.role(asrole)?(,''[^'']{0,63}'')?(::[a-z]+)?(=|in)',
            '(uid|email|session_id|organization_id|connection_id|(jwt|session_claims)(#?->>?''[^'']{0,63}''){1,4})(::[a-z]+)?'
        )) AS r (excluding, reader)
        CROSS JOIN LATERAL (SELECT strpos(t.text, 'auth.role') > 0 AND t.text ~ r.excluding) AS x (excludes)
$$;
COMMENT ON FUNCTION auth.check_comparisons(text) IS 'whether a text compares auth.role() by exclusion, or guards with a reader that is NULL without a session';

-- Functions that run with more rights than the person who calls them, and decide by what anybody can say.
CREATE FUNCTION auth.check_functions(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    WITH person AS (SELECT p.* FROM auth.check_people() AS p WHERE p.is_bound),
    definer AS (
        SELECT p.oid, p.proowner, p.proacl, c.excludes, c.raises, c.opens AND strpos(lower(p.prosrc), 'is null') = 0 AS opens,
            p.oid IN (SELECT b.routine FROM auth.check_believers() AS b) AS believes, w.severity, w.who
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
            CROSS JOIN LATERAL auth.check_comparisons(CASE WHEN p.prosrc = '' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END) AS c
            CROSS JOIN LATERAL (
                SELECT CASE WHEN bool_and(s.switches) THEN 'warning' ELSE 'error' END,
                    CASE WHEN bool_or(s.oid = 0) THEN 'Everybody' ELSE string_agg(quote_ident(s.name), ', ' ORDER BY s.name) END
                FROM person AS s
                WHERE has_schema_privilege(s.name, n.oid, 'USAGE') AND has_function_privilege(s.name, p.oid, 'EXECUTE')
                    AND (s.oid = 0 OR NOT pg_has_role(s.oid, p.proowner, 'USAGE'))
            ) AS w (severity, who)
        WHERE p.prosecdef AND p.prokind IN ('f', 'p') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
            AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND w.who IS NOT NULL
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    )
    SELECT CASE f.severity WHEN 'error' THEN d.severity ELSE f.severity END, d.oid::regprocedure::text, f.finding, r.statement
    FROM definer AS d CROSS JOIN LATERAL (VALUES
        (d.believes, 'error', format('%s may call it, it runs with the rights of %s, and it believes request.jwt.claims or request.headers, '
            'which whoever can send SQL can set: read auth.uid(), auth.jwt() and their like.', d.who, d.proowner::regrole)),
        (d.excludes AND NOT d.raises, 'warning', format('%s may call it, and it compares auth.role() by exclusion: '
            'without a session that is the database role, or anon; name the roles that may.', d.who)),
        (d.raises, 'info', format('%s may call it, and auth.role() decides who is refused: '
            'whoever connects as the one role that it lets through passes without a session.', d.who)),
        (d.opens, 'warning', format('%s may call it, and its IF compares a reader that is NULL without a session, so that nobody is refused then: '
            'compare with IS DISTINCT FROM.', d.who))
    ) AS f (matches, severity, finding)
        -- Who gave the right on may have given it to others too: taken with it.
        CROSS JOIN LATERAL (
            SELECT format('REVOKE ALL ON ROUTINE %s FROM %s%s;', d.oid::regprocedure, string_agg(DISTINCT r.name, ', '),
                CASE WHEN bool_or(acl.grantor <> d.proowner) THEN ' CASCADE' END)
            FROM aclexplode(coalesce(d.proacl, acldefault('f', d.proowner))) AS acl
                CROSS JOIN LATERAL (SELECT CASE g WHEN 0 THEN 'PUBLIC' ELSE g::regrole::text END
                    FROM (VALUES (acl.grantee), (acl.grantor)) AS v (g) WHERE g <> d.proowner) AS r (name)
            WHERE acl.grantee <> d.proowner AND (acl.grantee = 0 OR EXISTS (
                SELECT FROM person AS s WHERE s.oid <> 0 AND pg_has_role(s.oid, acl.grantee, 'USAGE')))
        ) AS r (statement)
    WHERE f.matches
$$;
COMMENT ON FUNCTION auth.check_functions() IS 'the part of auth.check() about SECURITY DEFINER functions';
