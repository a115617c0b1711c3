-- What auth.check() says of settings that are stored where nothing looks at them: ALTER ROLE, ALTER DATABASE, CREATE FUNCTION … SET and the
-- configuration files take any name and any value of a setting whose library is not loaded. The library ignores what it cannot use when it comes.

CREATE FUNCTION auth.check_preloaded() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_preloaded_wrapper';
COMMENT ON FUNCTION auth.check_preloaded() IS
    'whether shared_preload_libraries or session_preload_libraries loads the library, so that each new connection knows its settings';

-- Only for those who may read the files; Postgres looks at the right when the function runs.
CREATE FUNCTION auth.check_files(is_allowed boolean, OUT setting text, OUT value text, OUT file text, OUT line integer) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
    -- Of lines with one name the last counts; a name that is unknown is wrong in each.
    SELECT f.name, f.setting, f.sourcefile, f.sourceline
    FROM pg_file_settings AS f
    WHERE is_allowed AND f.name ~* '^workos_auth\.' AND (
        auth.check_setting(f.name, NULL, true) IS NOT NULL
        OR NOT EXISTS (SELECT FROM pg_file_settings AS later WHERE lower(later.name) = lower(f.name) AND later.seqno > f.seqno))
$$;
COMMENT ON FUNCTION auth.check_files(boolean) IS 'the settings of the extension in the configuration files, for those who may read pg_file_settings';

CREATE FUNCTION auth.check_stored_settings(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    WITH this AS (SELECT d.oid, d.datname AS name FROM pg_database AS d WHERE d.datname = current_database()),
    stored AS (
        SELECT s.setrole AS role, s.setdatabase AS database, split_part(c, '=', 1) AS setting, substr(c, strpos(c, '=') + 1) AS value
        FROM this, pg_db_role_setting AS s, unnest(s.setconfig) AS c WHERE s.setdatabase IN (0, this.oid)
    ),
    -- Only members of pg_read_all_settings see it.
    preload AS (SELECT p.setting FROM pg_settings AS p WHERE p.name = 'session_preload_libraries')
    -- Tokens, and where installations live, are looked at elsewhere.
    SELECT 'warning', s.setting, format('%s It is kept for %s.', w.finding, CASE
            WHEN s.role = 0 AND s.database = 0 THEN 'all roles'
            WHEN s.role = 0 THEN format('the database %I', this.name)
            WHEN s.database = 0 THEN format('the role %s', s.role::regrole)
            ELSE format('the role %s in the database %I', s.role::regrole, this.name) END),
        -- ALTER … RESET refuses some of these, where the library is loaded.
        format('SELECT auth.reset_setting(%L%s%s);', s.setting, ', role => ' || quote_literal(nullif(s.role, 0)::regrole),
            CASE WHEN s.database <> 0 THEN ', database => ' || quote_literal(this.name) END)
    FROM this, stored AS s CROSS JOIN LATERAL (SELECT auth.check_setting(s.setting, s.value, false)) AS w (finding)
    WHERE s.setting ~* '^workos_auth\.' AND lower(s.setting) NOT IN ('workos_auth.session_token', 'workos_auth.installation_homes') AND w.finding IS NOT NULL
    UNION ALL
    SELECT 'warning', f.setting, format('%s It is kept with the function %s, whose calls fail where the library is loaded.', w.finding, f.function),
        -- ALTER FUNCTION … RESET refuses an unknown name, where the library is loaded.
        format('SELECT %L AS by_hand;', format('Define %s again without SET %s, or with a value that counts.', f.function, f.setting))
    FROM (
        SELECT p.oid::regprocedure AS function, split_part(c, '=', 1) AS setting, substr(c, strpos(c, '=') + 1) AS value
        FROM pg_proc AS p, unnest(p.proconfig) AS c
    ) AS f CROSS JOIN LATERAL (SELECT auth.check_setting(f.setting, f.value, false)) AS w (finding)
    WHERE f.setting ~* '^workos_auth\.' AND lower(f.setting) <> 'workos_auth.session_token' AND w.finding IS NOT NULL
    UNION ALL
    SELECT 'warning', f.setting, format('%s It stands in a configuration file.', w.finding),
        format('SELECT %L AS by_hand;', format('Mend %s in line %s of %s, or take it out there, and %s.', f.setting, f.line, f.file,
            CASE WHEN EXISTS (SELECT FROM pg_settings AS p WHERE p.name = lower(f.setting) AND p.context = 'postmaster') THEN 'restart the server' ELSE 'run SELECT pg_reload_conf()' END))
    FROM (SELECT has_table_privilege('pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')) AS may (read)
        CROSS JOIN LATERAL auth.check_files(may.read) AS f
        CROSS JOIN LATERAL (SELECT auth.check_setting(f.setting, f.value, true)) AS w (finding)
    WHERE may.read AND w.finding IS NOT NULL
    UNION ALL
    SELECT 'info', 'session_preload_libraries',
        'The library is not loaded when a connection begins: until its first call there, SHOW and ALTER SYSTEM do not know its settings, and SET takes anything.',
        coalesce((
            SELECT format('ALTER DATABASE %I SET session_preload_libraries = %s;', this.name,
                concat_ws(', ', (SELECT string_agg(quote_literal(btrim(n, ' "')), ', ') FROM string_to_table(nullif(p.setting, ''), ',') AS n), quote_literal('workos_auth')))
            FROM this, preload AS p
        ), 'SELECT ''Have a superuser add workos_auth to shared_preload_libraries or session_preload_libraries.'' AS by_hand;')
    WHERE NOT auth.check_preloaded() AND NOT EXISTS (
        SELECT FROM stored AS s WHERE s.role = 0 AND s.setting = 'session_preload_libraries' AND s.value ~ '\mworkos_auth\M')
$$;
COMMENT ON FUNCTION auth.check_stored_settings() IS
    'the part of auth.check() about settings that are ignored: unknown names and bad values, wherever they are stored; and whether the library is preloaded';
