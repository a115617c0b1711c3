-- auth.check(): what is unsafe in this database, in one query from top to bottom: settings, roles, tables, the extension's own objects, and
-- then every finding, one SELECT each.
--
-- Not SECURITY DEFINER: catalogs are everybody's. search_path holds pg_catalog alone, so that names without a schema are Postgres's
-- own, and names that are printed have theirs. Compiling so long a query would take longer than running it.
CREATE FUNCTION auth.check(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET jit = off AS $check$

-- Loads the library, so that pg_settings has its settings.
SELECT FROM auth.error_codes() LIMIT 1;

WITH RECURSIVE this AS (
    SELECT d.oid AS database, quote_ident(d.datname) AS name, current_setting('server_version_num')::integer AS version, e.oid AS extension
    FROM pg_database AS d, pg_extension AS e WHERE d.datname = current_database() AND e.extname = 'workos_auth'
),

-- The one part that needs rights on tables: it is left out where somebody took these from their owner, which is a finding by itself.
fact AS (
    SELECT f.fact AS name, f.subject, f.number FROM auth.check_facts() AS f
    WHERE (
        SELECT bool_and(has_table_privilege('workos_auth_owner', t.name, 'SELECT'))
        FROM (VALUES ('auth.signing_keys'), ('auth.sessions'), ('auth.flow_states')) AS t (name)
    )
),

-- SETTINGS ------------------------------------------------------------------------------------------------------------------------

-- What ALTER DATABASE and ALTER ROLE have planted in this database; the highest rank counts.
planted AS (
    SELECT s.setrole AS role, s.setdatabase AS database, lower(split_part(c, '=', 1)) AS setting, substr(c, strpos(c, '=') + 1) AS value,
        CASE WHEN s.setrole <> 0 THEN 2 ELSE 0 END + CASE WHEN s.setdatabase <> 0 THEN 1 ELSE 0 END AS rank
    FROM this, pg_db_role_setting AS s, unnest(s.setconfig) AS c
    WHERE s.setdatabase IN (0, this.database)
),
-- What stands below that: the configuration file, or the default. It can be seen only while nothing covers it. SET in the caller's own
-- session is nobody else's concern: what RESET would bring back is looked at then.
configured AS (
    SELECT 0::oid AS role, 0::oid AS database, s.name AS setting, CASE s.source WHEN 'session' THEN s.reset_val ELSE s.setting END AS value,
        CASE s.source WHEN 'command line' THEN -2 ELSE -1 END AS rank
    FROM pg_settings AS s
    WHERE s.source IN ('default', 'override', 'environment variable', 'configuration file', 'command line')
        OR s.source = 'session' AND NOT EXISTS (
            SELECT FROM planted AS p WHERE p.setting = s.name AND (p.role = 0 OR p.role = to_regrole(quote_ident(session_user)))
        )
),
-- A setting is unsafe where its value matches; of a setting with companions, only where one of these matches too.
-- on and off are matched in every spelling that Postgres takes.
rule (setting, unsafe, severity, safe, finding) AS (VALUES
    ('workos_auth.check_sessions', '^(off?|fa?l?s?e?|no?|0)$', 'warning', 'on',
        'A sign-out or a ban is not noticed: an access token is good until it expires'),
    ('workos_auth.rls_guard', '^(?!error$)', 'warning', 'error',
        'auth.set_session also serves superusers and BYPASSRLS, whom no policy binds'),
    ('workos_auth.allow_plain_pkce', '^(on|tr?u?e?|ye?s?|1)$', 'warning', 'off',
        'Whoever sees an authorize URL with a plain challenge knows its verifier'),
    ('workos_auth.require_code_challenge', '^(off?|fa?l?s?e?|no?|0)$', 'info', 'on',
        'Sign-ins have been started without a code challenge: a stolen code and state are enough to finish one'),
    ('workos_auth.allow_implicit', '^(on|tr?u?e?|ye?s?|1)$', 'info', 'off',
        'Sign-ins have been started without a code challenge: they may end with tokens in the browser''s address bar and history (implicit flow)'),
    ('workos_auth.allow_root_key_in_data_directory', '^(on|tr?u?e?|ye?s?|1)$', 'warning', 'off',
        'The root key may lie in the data directory, where every base backup copies it'),
    ('log_parameter_max_length', '^(?!\s*[-+]?0+(\.0*)?\s*[a-z]*\s*$)', 'warning', '0',
        'The server logs statements with their bind values: tokens, codes and secrets stand in its log'),
    ('log_parameter_max_length_on_error', '^(?!\s*[-+]?0+(\.0*)?\s*[a-z]*\s*$)', 'warning', '0',
        'The server logs the bind values of statements that fail: tokens, codes and secrets stand in its log'),
    ('auto_explain.log_parameter_max_length', '^(?!\s*[-+]?0+(\.0*)?\s*[a-z]*\s*$)', 'warning', '0',
        'auto_explain logs plans with their bind values: tokens, codes and secrets stand in the server''s log'),
    ('pgaudit.log_parameter', '^(on|tr?u?e?|ye?s?|1)$', 'warning', 'off',
        'pgaudit logs bind values: tokens, codes and secrets stand in the server''s log')
),
companion (setting, companion, unsafe) AS (VALUES
    -- Where no sign-in can begin without a challenge, none ends so.
    ('workos_auth.allow_implicit', 'workos_auth.require_code_challenge', '^(off?|fa?l?s?e?|no?|0)$'),
    -- ddl is not among them: such statements have no bind values.
    ('log_parameter_max_length', 'log_statement', '^(mod|all)$'),
    ('log_parameter_max_length', 'log_min_duration_statement', '^(?!\s*-)'),
    ('log_parameter_max_length', 'log_min_duration_sample', '^(?!\s*-)'),
    ('log_parameter_max_length', 'log_transaction_sample_rate', '[1-9]'),
    ('auto_explain.log_parameter_max_length', 'auto_explain.log_min_duration', '^(?!\s*-)')
),
-- What is in force for everybody (role 0), and for each role with settings of its own.
viewpoint AS (SELECT 0::oid AS role UNION SELECT p.role FROM planted AS p),
in_force AS (
    SELECT DISTINCT ON (v.role, s.setting) v.role AS viewpoint, s.*
    FROM viewpoint AS v JOIN (TABLE planted UNION ALL TABLE configured) AS s ON s.role IN (0, v.role)
    WHERE s.setting IN (SELECT r.setting FROM rule AS r UNION SELECT c.companion FROM companion AS c UNION SELECT 'workos_auth.allowed_roles')
    ORDER BY v.role, s.setting, s.rank DESC
),
unsafe_setting AS (
    SELECT i.*, r.severity, r.finding, r.safe,
        -- Whether it is unsafe for this role only because of what the role has of its own.
        i.rank >= 2 OR coalesce(c.own, false) AS own
    FROM in_force AS i JOIN rule AS r ON r.setting = i.setting AND lower(i.value) ~ r.unsafe
        CROSS JOIN LATERAL (
            SELECT count(*) AS known, bool_or(other.rank >= 2) FILTER (WHERE lower(other.value) ~ c.unsafe) AS own,
                coalesce(bool_or(lower(other.value) ~ c.unsafe), false) AS matches
            FROM companion AS c LEFT JOIN in_force AS other ON other.viewpoint = i.viewpoint AND other.setting = c.companion
            WHERE c.setting = i.setting
        ) AS c
    WHERE (c.known = 0 OR c.matches)
        AND (i.setting NOT IN ('workos_auth.require_code_challenge', 'workos_auth.allow_implicit')
            OR EXISTS (SELECT FROM fact AS f WHERE f.name = 'sign-ins without a code challenge' AND f.number > 0))
),

-- ROLES AND RIGHTS ----------------------------------------------------------------------------------------------------------------

-- The roles that people act as.
allowed_role AS (
    SELECT r.oid FROM pg_roles AS r
    WHERE r.rolname IN (
        SELECT btrim(name) FROM (
            SELECT i.value FROM in_force AS i WHERE i.setting = 'workos_auth.allowed_roles'
            UNION SELECT current_setting('workos_auth.allowed_roles')
            WHERE NOT EXISTS (SELECT FROM in_force AS i WHERE i.setting = 'workos_auth.allowed_roles' AND i.viewpoint = 0)
        ) AS list (value), regexp_split_to_table(list.value, ',') AS name
    )
),
-- Those whom auth.grant_sign_in was called for.
backend_role AS (
    SELECT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
    WHERE p.oid = 'auth.exchange_code(text, text, text, inet, text)'::regprocedure AND acl.grantee <> p.proowner
),
-- Whoever a person's request may run as: everybody's rights, the two above, and backends that inherit from such a role. A backend that can
-- switch to a role for people is meant to: what it reaches itself is less grave. A superuser reaches everything and is a finding of its own.
person AS (
    SELECT 0::oid AS oid, 'public'::name AS name, true AS is_allowed, false AS switches
    UNION ALL
    SELECT r.oid, r.rolname, r.oid IN (SELECT a.oid FROM allowed_role AS a),
        r.oid NOT IN (SELECT a.oid FROM allowed_role AS a) AND EXISTS (SELECT FROM allowed_role AS a WHERE pg_has_role(r.oid, a.oid, 'MEMBER'))
    FROM pg_roles AS r
    WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND r.rolname <> 'workos_auth_owner' AND (
        r.oid IN (SELECT a.oid FROM allowed_role AS a)
        OR has_function_privilege(r.oid, 'auth.exchange_code(text, text, text, inet, text)', 'EXECUTE')
    )
),

-- TABLES AND VIEWS ----------------------------------------------------------------------------------------------------------------

-- The application's: no system schema, no temporary table, no part of an extension.
relation AS (
    SELECT c.*, c.oid::regclass::text AS name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
-- Who can read or write which, if only a column. A backend's own tables are its own business; a role that people act as has no such business.
reach AS (
    SELECT r.oid AS relation, p.oid AS person, p.name, p.switches
    FROM relation AS r JOIN person AS p ON has_schema_privilege(p.name, r.relnamespace, 'USAGE')
    WHERE (has_any_column_privilege(p.name, r.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(p.name, r.oid, 'DELETE'))
        AND (p.is_allowed OR NOT pg_has_role(p.oid, r.relowner, 'USAGE'))
),
reached AS (
    SELECT r.*, w.who, w.severity
    FROM relation AS r JOIN (
        SELECT h.relation, CASE WHEN bool_and(h.switches) THEN 'warning' ELSE 'error' END AS severity,
            CASE WHEN bool_or(h.person = 0) THEN 'everybody' ELSE string_agg(quote_ident(h.name), ', ' ORDER BY h.name) END AS who
        FROM reach AS h GROUP BY h.relation
    ) AS w ON w.relation = r.oid
),
-- Through which grants, of a table or its columns.
table_grant AS (
    SELECT g.relation, g.grantee, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS name, g.privilege
    FROM (
        SELECT c.oid, acl.grantee, acl.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS acl WHERE acl.grantee <> c.relowner
        UNION
        SELECT c.oid, acl.grantee, acl.privilege_type
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS acl WHERE acl.grantee <> c.relowner
    ) AS g (relation, grantee, privilege)
),
person_grant AS (
    SELECT g.* FROM table_grant AS g
    WHERE g.grantee = 0 OR EXISTS (SELECT FROM person AS p WHERE p.oid <> 0 AND pg_has_role(p.oid, g.grantee, 'USAGE'))
),
revoke AS (
    SELECT g.relation, format('REVOKE ALL ON TABLE %s FROM %s;', g.relation::regclass, string_agg(DISTINCT g.name, ', ')) AS statement
    FROM person_grant AS g GROUP BY g.relation
),
-- Policies that bind somebody who reaches the table.
policy AS (
    SELECT p.*, r.name AS relation_name, format('%I ON %s', p.polname, r.name) AS name,
        pg_get_expr(p.polqual, p.polrelid) AS using_text, pg_get_expr(p.polwithcheck, p.polrelid) AS check_text
    FROM pg_policy AS p JOIN reached AS r ON r.oid = p.polrelid
    WHERE r.relrowsecurity AND EXISTS (
        SELECT FROM reach AS h, unnest(p.polroles) AS role
        WHERE h.relation = p.polrelid AND CASE WHEN 0 IN (role, h.person) THEN role = 0 ELSE pg_has_role(h.person, role, 'USAGE') END
    )
),
-- true, 1 = 1, or anything that is compared with itself.
judged_policy AS (
    SELECT p.*,
        p.polcmd <> 'a' AND regexp_replace(p.using_text, '[()\s]', '', 'g') ~ '^(true|NOTfalse|(.+)=\2)$' AS using_true,
        regexp_replace(p.check_text, '[()\s]', '', 'g') ~ '^(true|NOTfalse|(.+)=\2)$' AS check_true
    FROM policy AS p
),
-- What a view reads, through other views too, and as whom: as its owner, unless it is a security_invoker.
view AS (
    SELECT c.oid, c.relkind, c.relowner, c.relkind = 'v' AND EXISTS (
            SELECT FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'security_invoker' AND o.option_value::boolean
        ) AS is_invoker
    FROM pg_class AS c WHERE c.relkind IN ('v', 'm')
),
view_reads AS (
    SELECT DISTINCT w.ev_class AS view, d.refobjid AS relation
    FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
),
reads AS (
    SELECT v.oid AS view, v.relowner AS reader, s.relation
    FROM view AS v JOIN reached AS r ON r.oid = v.oid JOIN view_reads AS s ON s.view = v.oid
    WHERE NOT v.is_invoker
    UNION
    SELECT r.view, CASE WHEN v.is_invoker THEN r.reader ELSE v.relowner END, s.relation
    FROM reads AS r JOIN view AS v ON v.oid = r.relation JOIN view_reads AS s ON s.view = v.oid
),
-- The views whose reader some policy should bind; unbound where it does not.
protected_view AS (
    SELECT r.view, string_agg(DISTINCT t.oid::regclass::text, ', ') AS tables,
        bool_or(o.rolsuper OR o.rolbypassrls OR pg_has_role(o.oid, t.relowner, 'USAGE') AND NOT t.relforcerowsecurity) AS unbound
    FROM reads AS r JOIN pg_class AS t ON t.oid = r.relation AND t.relrowsecurity JOIN pg_roles AS o ON o.oid = r.reader
    GROUP BY r.view
),

-- THE EXTENSION'S OWN OBJECTS -----------------------------------------------------------------------------------------------------

own AS (
    SELECT d.classid, d.objid FROM this, pg_depend AS d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = this.extension AND d.deptype = 'e'
),
own_relation AS (SELECT c.* FROM own AS o JOIN pg_class AS c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid),
administrator AS (
    SELECT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
    WHERE p.oid = 'auth.configure_workos(text, text, text, text, text, boolean)'::regprocedure AND acl.grantee <> p.proowner
),
-- Beyond what the extension gives: SELECT on its views, and what auth.grant_admin adds. REFERENCES on auth.users is for everybody who builds
-- tables on it. A replication's role reads what it copies.
own_grant AS (
    SELECT g.* FROM own_relation AS c JOIN table_grant AS g ON g.relation = c.oid LEFT JOIN pg_roles AS r ON r.oid = g.grantee
    WHERE NOT (c.relkind = 'v' AND g.privilege = 'SELECT')
        AND NOT (c.oid = 'auth.users'::regclass AND g.privilege = 'REFERENCES' AND g.grantee <> 0)
        AND NOT (c.oid IN ('auth.redirect_urls'::regclass, 'auth.organization_domains'::regclass)
            AND g.privilege IN ('SELECT', 'INSERT', 'DELETE') AND g.grantee IN (SELECT a.oid FROM administrator AS a))
        AND NOT (c.oid = 'auth.hooks'::regclass
            AND g.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND g.grantee IN (SELECT a.oid FROM administrator AS a))
        AND NOT (c.oid = 'auth.audit_log_entries'::regclass
            AND g.privilege = 'SELECT' AND g.grantee IN (SELECT a.oid FROM administrator AS a))
        AND NOT (g.privilege = 'SELECT' AND coalesce(r.rolreplication, false))
),

-- FINDINGS ------------------------------------------------------------------------------------------------------------------------

found (severity, object, finding, remedy) AS (
    -- Tables that people reach without row-level security. A partition counts where it has grants of its own.
    SELECT r.severity, r.name, format('Row-level security is off: %s can get at every row that the grants reach.', r.who),
        format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.name)
    FROM reached AS r WHERE r.relkind IN ('r', 'p') AND NOT r.relrowsecurity
    UNION ALL
    SELECT r.severity, r.name, format('Row-level security cannot bind a foreign table: %s can get at every row that the grants reach.', r.who), v.statement
    FROM reached AS r JOIN revoke AS v ON v.relation = r.oid WHERE r.relkind = 'f'
    UNION ALL
    SELECT CASE WHEN p.view IS NULL THEN 'warning' ELSE r.severity END, r.name,
        format('Row-level security cannot bind a materialized view: %s can read all of it%s.', r.who, ', which was taken from ' || p.tables), v.statement
    FROM reached AS r JOIN revoke AS v ON v.relation = r.oid LEFT JOIN protected_view AS p ON p.view = r.oid WHERE r.relkind = 'm'
    UNION ALL
    -- Views that show more of a protected table than its policies do. security_invoker is there since Postgres 15.
    SELECT r.severity, r.name, format('The view reads %s as its owner %s, whom row-level security does not bind: %s can see every row it shows.',
            p.tables, r.relowner::regrole, r.who),
        CASE WHEN this.version >= 150000 THEN format('ALTER VIEW %s SET (security_invoker = true);', r.name) ELSE v.statement END
    FROM this, reached AS r JOIN protected_view AS p ON p.view = r.oid AND p.unbound LEFT JOIN revoke AS v ON v.relation = r.oid
    WHERE r.relkind = 'v' AND (this.version >= 150000 OR v.statement IS NOT NULL)
    UNION ALL
    -- Owners that their own policies do not bind. Superusers are left out (nothing binds them, and auth.set_session refuses them), and owners
    -- that nobody can be.
    SELECT CASE WHEN o.is_person THEN 'error' ELSE 'warning' END, r.name,
        format('Its policies do not bind its owner %s, %s.', r.relowner::regrole,
            CASE WHEN o.is_person THEN 'as whom requests of people may run' ELSE 'as whom a backend may connect' END),
        format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.name)
    FROM relation AS r CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM person AS p WHERE p.oid <> 0 AND NOT p.switches AND pg_has_role(p.oid, r.relowner, 'MEMBER')) AS is_person,
            EXISTS (SELECT FROM pg_roles AS l WHERE l.rolcanlogin AND NOT l.rolsuper AND pg_has_role(l.oid, r.relowner, 'USAGE')) AS is_login
    ) AS o
    WHERE r.relkind IN ('r', 'p') AND r.relrowsecurity AND NOT r.relforcerowsecurity AND (o.is_person OR o.is_login)
        AND NOT EXISTS (SELECT FROM pg_roles AS b WHERE b.oid = r.relowner AND (b.rolsuper OR b.rolbypassrls))
    UNION ALL
    -- TRUNCATE empties a table whatever its policies say; a trigger runs as whoever writes next.
    SELECT 'warning', r.name, format('%s may %s, which no policy restrains.', g.name, lower(string_agg(g.privilege, ' and ' ORDER BY g.privilege))),
        format('REVOKE %s ON TABLE %s FROM %s;', string_agg(g.privilege, ', ' ORDER BY g.privilege), r.name, g.name)
    FROM relation AS r JOIN person_grant AS g ON g.relation = r.oid
    WHERE r.relkind IN ('r', 'p') AND r.relrowsecurity AND g.privilege IN ('TRUNCATE', 'TRIGGER')
    GROUP BY r.name, g.name
    UNION ALL
    -- Policies that are just true, unless a restrictive one for the same command says more. Reading everything may be meant.
    SELECT CASE WHEN p.polcmd = 'r' THEN 'info' WHEN p.using_true THEN 'error' ELSE 'warning' END, p.name,
        format('The policy is just true: %s.', CASE
            WHEN p.polcmd = 'r' THEN 'it lets everyone it is for read every row'
            WHEN p.using_true THEN 'it lets everyone it is for get at every row'
            ELSE 'it lets everyone it is for write any row' END),
        format('ALTER POLICY %s%s%s;', p.name, CASE WHEN p.using_true THEN ' USING (false)' END, CASE WHEN p.check_true THEN ' WITH CHECK (false)' END)
    FROM judged_policy AS p
    WHERE p.polpermissive AND (p.using_true OR p.check_true) AND NOT EXISTS (
        SELECT FROM judged_policy AS r
        WHERE r.polrelid = p.polrelid AND NOT r.polpermissive AND r.polcmd IN ('*', p.polcmd) AND (0 = ANY (r.polroles) OR r.polroles @> p.polroles)
            AND (r.polcmd = 'a' OR r.using_text IS NOT NULL AND NOT r.using_true) AND NOT coalesce(r.check_true, false)
    )
    UNION ALL
    -- Policies that believe what anybody can say. Shut, not rewritten: what they meant to allow only a person can tell.
    SELECT 'error', p.name, b.finding,
        format('ALTER POLICY %s%s%s;', p.name, CASE WHEN p.polqual IS NOT NULL THEN ' USING (false)' END,
            CASE WHEN p.polwithcheck IS NOT NULL THEN ' WITH CHECK (false)' END)
    FROM (
        SELECT p.*, concat_ws(' ', p.using_text, p.check_text) AS text, (
                SELECT string_agg(CASE WHEN f.prokind <> 'a' THEN pg_get_functiondef(f.oid) END, ' ')
                FROM pg_depend AS d JOIN pg_proc AS f ON f.oid = d.refobjid
                WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
            ) AS functions
        FROM policy AS p
    ) AS p CROSS JOIN LATERAL (VALUES
        (concat_ws(' ', p.text, p.functions) ~* 'request\.jwt',
            'The policy believes request.jwt.claims, which whoever can send SQL can set: read auth.uid(), auth.jwt() and their like.'),
        (p.text ~ '(jwt|session_claims)\(\).*user_metadata',
            'The policy believes user_metadata, which people write themselves: read what stands at the top level of auth.jwt().')
    ) AS b (matches, finding)
    WHERE b.matches
    UNION ALL

    -- Roles that row-level security does not bind, and roles that can read the root key's file.
    SELECT 'error', r.oid::regrole::text,
        format('%s, and it is %s: row-level security does not bind it.', CASE WHEN r.is_allowed THEN 'People act as it' ELSE 'It signs people in' END,
            CASE WHEN r.rolsuper THEN 'a superuser' ELSE 'BYPASSRLS' END),
        CASE
            -- Postgres wants to keep its first superuser.
            WHEN r.oid = 10 AND r.is_allowed THEN format('ALTER DATABASE %s SET workos_auth.allowed_roles = ''authenticated'';', this.name)
            WHEN r.oid = 10 THEN format('SELECT auth.revoke_sign_in(%L);', r.oid::regrole)
            ELSE format('ALTER ROLE %s%s%s;', r.oid::regrole, CASE WHEN r.rolsuper THEN ' NOSUPERUSER' END, CASE WHEN r.rolbypassrls THEN ' NOBYPASSRLS' END)
        END
    FROM this, (SELECT r.*, r.oid IN (SELECT a.oid FROM allowed_role AS a) AS is_allowed FROM pg_roles AS r) AS r
    WHERE (r.rolsuper OR r.rolbypassrls)
        AND r.oid IN (SELECT a.oid FROM allowed_role AS a UNION SELECT b.oid FROM backend_role AS b UNION SELECT p.oid FROM person AS p)
    UNION ALL
    SELECT CASE WHEN r.rolname ~ '_all_data$' THEN 'warning' ELSE 'error' END, p.oid::regrole::text,
        format(CASE
            WHEN r.rolname ~ '_all_data$' THEN 'People act as it, and %s lets it at all that row-level security does not bind.'
            WHEN r.rolname ~ '^pg_' THEN 'As a member of %s it can read the root key from the server''s files.'
            ELSE 'People act as it, and it can become %s, which row-level security does not bind.' END, m.roleid::regrole),
        format('REVOKE %s FROM %s;', m.roleid::regrole, p.oid::regrole)
    FROM person AS p JOIN pg_auth_members AS m ON m.member = p.oid JOIN pg_roles AS r ON r.oid = m.roleid
    WHERE r.rolname IN ('pg_read_server_files', 'pg_execute_server_program')
        OR p.is_allowed AND (r.rolsuper OR r.rolbypassrls OR r.rolname IN ('pg_read_all_data', 'pg_write_all_data'))
    UNION ALL
    SELECT 'error', a.oid::regrole::text, 'People act as it, and it may configure WorkOS and grant sign-in.',
        format('SELECT auth.revoke_admin(%L);', a.oid::regrole)
    FROM administrator AS a WHERE a.oid IN (SELECT r.oid FROM allowed_role AS r)
    UNION ALL
    SELECT 'error', m.member::regrole::text,
        format('It is a member of %s: whoever has the owner''s rights reads every table of the extension.', m.roleid::regrole),
        format('REVOKE %s FROM %s;', m.roleid::regrole, m.member::regrole)
    FROM pg_auth_members AS m WHERE 'workos_auth_owner'::regrole IN (m.roleid, m.member)
    UNION ALL
    SELECT 'error', 'workos_auth_owner', 'It has attributes, so that what runs as it can do more than its tables need.',
        'ALTER ROLE workos_auth_owner NOLOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;'
    FROM pg_roles AS r
    WHERE r.rolname = 'workos_auth_owner'
        AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolcanlogin OR r.rolreplication OR r.rolbypassrls OR r.rolinherit)
    UNION ALL

    -- The extension's own objects: what protects them, who has rights on them, and what others have attached.
    SELECT 'error', c.oid::regclass::text, 'Row-level security of a table of the extension is off: grants alone keep its rows.',
        format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::regclass)
    FROM own_relation AS c WHERE c.relkind = 'r' AND NOT c.relrowsecurity
    UNION ALL
    SELECT 'error', format('%I ON %s', t.tgname, t.tgrelid::regclass),
        format('The trigger does not always fire: %s.', CASE t.tgfoid
            WHEN 'auth.forget_cached_rows()'::regprocedure THEN 'backends go on believing keys that are no longer good'
            ELSE 'what it refuses is taken' END),
        format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I;', t.tgrelid::regclass, t.tgname)
    FROM pg_trigger AS t JOIN own_relation AS c ON c.oid = t.tgrelid
    WHERE NOT t.tgisinternal AND (t.tgenabled IN ('D', 'R') OR t.tgenabled = 'O' AND t.tgfoid = 'auth.forget_cached_rows()'::regprocedure)
    UNION ALL
    SELECT 'error', i.identity, format('It belongs to %s and no longer to workos_auth_owner: its owner can change what sign-ins rely on.', x.owner::regrole),
        format('ALTER %s %s OWNER TO workos_auth_owner;', upper(i.type), i.identity)
    FROM own AS o JOIN (
        SELECT 'pg_class'::regclass, c.oid, c.relowner FROM pg_class AS c WHERE c.relkind IN ('r', 'v')
        UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.proowner FROM pg_proc AS p
    ) AS x (classid, objid, owner) ON x.classid = o.classid AND x.objid = o.objid, pg_identify_object(x.classid, x.objid, 0) AS i
    WHERE x.owner <> 'workos_auth_owner'::regrole
    UNION ALL
    SELECT 'error', 'auth', format('%s may create objects in the schema auth and so answer in place of the extension.', x.name),
        format('REVOKE CREATE ON SCHEMA auth FROM %s;', x.name)
    FROM (SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
        FROM pg_namespace AS n, aclexplode(n.nspacl) AS acl
        WHERE n.nspname = 'auth' AND acl.privilege_type = 'CREATE' AND acl.grantee <> n.nspowner) AS x (name)
    UNION ALL
    SELECT 'error', 'auth', format('The schema auth belongs to %s, who is no superuser and can replace what sign-ins rely on.', r.oid::regrole),
        format('ALTER SCHEMA auth OWNER TO %s;', 10::oid::regrole)
    FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner WHERE n.nspname = 'auth' AND NOT r.rolsuper
    UNION ALL
    -- TRUNCATE passes row-level security by, and a trigger runs with the rights of whoever writes: the extension's owner.
    SELECT CASE WHEN bool_or(g.privilege IN ('TRUNCATE', 'TRIGGER')) THEN 'error' ELSE 'warning' END, g.relation::regclass::text,
        format('%s has rights on a table of the extension that the extension does not give: %s.', g.name, string_agg(g.privilege, ', ' ORDER BY g.privilege)),
        format('REVOKE %s ON TABLE %s FROM %s;', string_agg(g.privilege, ', ' ORDER BY g.privilege), g.relation::regclass, g.name)
    FROM own_grant AS g GROUP BY g.relation, g.name
    UNION ALL
    SELECT 'error', p.oid::regprocedure::text, 'Everybody may call a function that the extension keeps for a few.',
        format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC;', p.oid::regprocedure)
    FROM own AS o JOIN pg_proc AS p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
        JOIN pg_init_privs AS i ON i.classoid = o.classid AND i.objoid = p.oid
    WHERE EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS acl WHERE acl.grantee = 0)
        AND NOT EXISTS (SELECT FROM aclexplode(i.initprivs) AS acl WHERE acl.grantee = 0)
    UNION ALL
    SELECT 'warning', CASE WHEN a.kind IN ('trigger', 'policy', 'rule', 'table constraint') THEN format('%I ON %s', a.name, a.relation) ELSE a.identity END,
        format('Somebody attached this %s to %s of the extension: %s.', a.kind, a.relation, CASE a.kind
            WHEN 'policy' THEN 'it opens rows that nobody is to see, and a dump does not carry it'
            WHEN 'table column' THEN 'a dump with its values cannot be restored; keep them in a table of your own first'
            ELSE 'a dump does not carry it' END),
        CASE a.kind
            WHEN 'table column' THEN format('ALTER TABLE %s DROP COLUMN %I;', a.relation, a.name)
            WHEN 'table constraint' THEN format('ALTER TABLE %s DROP CONSTRAINT %I;', a.relation, a.name)
            WHEN 'index' THEN format('DROP INDEX %s;', a.identity)
            ELSE format('DROP %s %I ON %s;', upper(a.kind), a.name, a.relation) END
    FROM auth.check_attached() AS a WHERE a.kind || ' ' || a.identity <> ALL (auth.check_installed())
    UNION ALL
    -- Moved, not dropped: whoever calls it by name must be told, but nothing is lost.
    SELECT 'warning', i.identity,
        format('This %s stands in the schema auth and is not the extension''s: it can answer in its place, and stands in the way of updates.', i.type),
        CASE WHEN to_regnamespace('public') IS NULL THEN format('DROP %s %s;', upper(i.type), i.identity)
            ELSE format('ALTER %s %s SET SCHEMA public;', upper(i.type), i.identity) END
    FROM this, pg_depend AS d, pg_identify_object(d.classid, d.objid, 0) AS i
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = to_regnamespace('auth')
        AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_extension'::regclass)
        AND d.objid <> this.extension
        AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
    UNION ALL

    -- Keys and clean-up.
    SELECT 'warning', 'auth.signing_keys', format('The active signing key %s is %s days old.', f.subject, f.number), 'SELECT auth.rotate_signing_key();'
    FROM fact AS f WHERE f.name = 'days since the active key became active' AND f.number > 365
    UNION ALL
    -- A day more than a token lives, since the setting may have been longer then.
    SELECT 'info', 'auth.signing_keys', format('No token that is still good was signed with the retiring key %s.', f.subject),
        format('SELECT auth.retire_signing_key(%L);', f.subject)
    FROM fact AS f JOIN pg_settings AS s ON s.name = 'workos_auth.access_token_ttl'
    WHERE f.name = 'seconds since a retiring key was replaced' AND f.number > s.setting::bigint + 86400
    UNION ALL
    SELECT 'warning', c.relation, format('More than 10000 %s: clean-up is behind.', f.name),
        'SELECT auth.cleanup(batch => 100000);'
    FROM fact AS f JOIN (VALUES
        ('sessions that expired a day ago', 'auth.sessions'),
        ('sign-ins that expired a day ago', 'auth.flow_states')
    ) AS c (fact, relation) ON c.fact = f.name
    WHERE f.number > 10000
    UNION ALL

    SELECT 'error', 'auth.installation', c.finding || ' Nobody can sign in here. If this one is to go on in place of the other, run SELECT auth.take_over_installation();, and not the remedy.',
        'SELECT auth.become_new_installation();'
    FROM auth.check_copy() AS c (finding) WHERE c.finding IS NOT NULL
    UNION ALL

    -- Only those who may see data_directory learn this. To all others: a key there is refused, unless the setting allows it, which is a finding.
    -- Links are not followed here. Without the setting nobody signs in until the key stands elsewhere; readers go on.
    SELECT 'error', 'workos_auth.root_key_file', format('The root key lies in %s, which every base backup copies: move it, or make a new one.', d.directory),
        'ALTER SYSTEM SET workos_auth.root_key_file = ''''; -- then SELECT pg_reload_conf()'
    FROM pg_settings AS k, (
        SELECT s.setting FROM pg_settings AS s WHERE s.name = 'data_directory'
        UNION ALL SELECT pg_tablespace_location(t.oid) FROM pg_tablespace AS t
    ) AS d (directory)
    WHERE k.name = 'workos_auth.root_key_file' AND d.directory <> '' AND starts_with(k.setting, rtrim(d.directory, '/') || '/')
    UNION ALL

    -- Settings: mended where they were set. ALTER DATABASE wins over the command line, which ALTER SYSTEM does not.
    SELECT s.severity, s.setting, s.finding || CASE WHEN s.viewpoint = 0 THEN '.' ELSE format(' (for %s).', s.viewpoint::regrole) END,
        CASE
            WHEN s.viewpoint = 0 AND s.rank = -1
                THEN format('ALTER SYSTEM SET %s = %L; -- then SELECT pg_reload_conf()', s.setting, s.safe)
            WHEN s.viewpoint = 0 AND s.rank = 0 THEN format('ALTER ROLE ALL SET %s = %L;', s.setting, s.safe)
            WHEN s.viewpoint = 0 THEN format('ALTER DATABASE %s SET %s = %L;', this.name, s.setting, s.safe)
            WHEN s.rank = 2 THEN format('ALTER ROLE %s SET %s = %L;', s.viewpoint::regrole, s.setting, s.safe)
            ELSE format('ALTER ROLE %s IN DATABASE %s SET %s = %L;', s.viewpoint::regrole, this.name, s.setting, s.safe)
        END
    FROM this, unsafe_setting AS s
    WHERE s.viewpoint = 0 OR s.own AND (s.rank >= 2 OR NOT EXISTS (
        SELECT FROM unsafe_setting AS e WHERE e.viewpoint = 0 AND e.setting = s.setting
    ))
    UNION ALL
    -- A token that stands in a catalog, where everybody can read it.
    SELECT 'error', 'workos_auth.session_token', 'An access token is kept in the catalogs, where everybody can read it: end its session too.',
        format('ALTER %s RESET workos_auth.session_token;', CASE
            WHEN p.role = 0 AND p.database = 0 THEN 'ROLE ALL'
            WHEN p.role = 0 THEN 'DATABASE ' || this.name
            WHEN p.database = 0 THEN 'ROLE ' || p.role::regrole
            ELSE format('ROLE %s IN DATABASE %s', p.role::regrole, this.name) END)
    FROM this, planted AS p WHERE p.setting = 'workos_auth.session_token' AND p.value <> ''
    UNION ALL
    SELECT 'error', p.oid::regprocedure::text, 'An access token is kept in the catalogs, where everybody can read it: end its session too.',
        format('ALTER ROUTINE %s RESET workos_auth.session_token;', p.oid::regprocedure)
    FROM pg_proc AS p WHERE EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c ~* '^workos_auth\.session_token=.')
)
SELECT f.severity, f.object, f.finding, f.remedy FROM found AS f
ORDER BY CASE f.severity WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, f.object COLLATE "C", f.finding COLLATE "C", f.remedy COLLATE "C"
$check$;
COMMENT ON FUNCTION auth.check() IS
    'what is unsafe in this database: one row a finding, the worst first, each with the one statement that mends it; no row is good news';
