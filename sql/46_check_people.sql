-- Whom auth.check() looks at: the roles that requests of people run as, and what is unsafe in them.

CREATE FUNCTION auth.check_setting(setting text, value text, in_file boolean) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_setting_wrapper';
COMMENT ON FUNCTION auth.check_setting(text, text, boolean) IS
    'what is wrong with a setting of the extension as it is stored, in a catalog or in a configuration file; NULL where nothing is';

-- The settings that auth.check() judges, as they are in force for everybody (viewpoint 0) and for each role with settings of its own.
CREATE FUNCTION auth.check_settings(OUT viewpoint oid, OUT role oid, OUT database oid, OUT setting text, OUT value text, OUT rank integer) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
    -- What ALTER DATABASE and ALTER ROLE have planted in this database; the highest rank counts. What the library ignores is a finding of its own,
    -- in auth.check_stored_settings(), and the next rank counts.
    WITH planted AS (
        SELECT s.setrole AS role, s.setdatabase AS database, lower(split_part(c, '=', 1)) AS setting, substr(c, strpos(c, '=') + 1) AS value,
            CASE WHEN s.setrole <> 0 THEN 2 ELSE 0 END + CASE WHEN s.setdatabase <> 0 THEN 1 ELSE 0 END AS rank
        FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
        WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
            AND CASE WHEN c ~* '^workos_auth\.' THEN auth.check_setting(split_part(c, '=', 1), substr(c, strpos(c, '=') + 1), false) IS NULL ELSE true END
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
    viewpoint AS (SELECT 0::oid AS role UNION SELECT p.role FROM planted AS p)
    SELECT DISTINCT ON (v.role, s.setting) v.role, s.role, s.database, s.setting, s.value, s.rank
    FROM viewpoint AS v JOIN (TABLE planted UNION ALL TABLE configured) AS s ON s.role IN (0, v.role)
    WHERE s.setting ~ '^(workos_auth|log|auto_explain|pgaudit)[._]'
    ORDER BY v.role, s.setting, s.rank DESC
$$;
COMMENT ON FUNCTION auth.check_settings() IS 'settings as they are in force in this database, for everybody and for roles with settings of their own';

-- Which role can be, or act with the rights of, which other. Since Postgres 16 each membership says so itself: SET lets the member be the
-- role, INHERIT gives it the rights, and ADMIN lets it give itself what it lacks. A role that is inherited passes on rights alone. Before, all
-- memberships let the member be the role, and the member's attribute INHERIT counts for all.
CREATE FUNCTION auth.check_becomes(OUT member oid, OUT role oid, OUT fully boolean) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE membership AS (
        SELECT m.member, m.roleid AS role, m.admin_option AS admin, coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS set,
            coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) AS inherit
        FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member
    ),
    becomes (member, role, fully) AS (
        SELECT r.oid, r.oid, true FROM pg_roles AS r WHERE NOT r.rolsuper
        UNION
        SELECT b.member, m.role, m.admin OR b.fully AND m.set FROM becomes AS b JOIN membership AS m ON m.member = b.role
        WHERE m.admin OR b.fully AND m.set OR m.inherit
    )
    SELECT b.member, b.role, bool_or(b.fully) FROM becomes AS b GROUP BY b.member, b.role
$$;
COMMENT ON FUNCTION auth.check_becomes() IS
    'roles, and the roles that they can become (fully: by SET ROLE, or by granting it to themselves) or have the rights of';

-- Whoever a person's request may run as: everybody (0); the roles of workos_auth.allowed_roles; backends, whom auth.grant_sign_in was called
-- for, and who inherits from one; whoever connects as PostgREST's authenticator does, without the rights of the roles that it becomes; and all
-- that these can become. A backend that can switch to a role for people is meant to: what it reaches itself is less grave. A role that they can
-- only become and that has BYPASSRLS, such as service_role, is bound: it reaches everything anyway and is one finding by itself, as a superuser is.
CREATE FUNCTION auth.check_people(
    OUT oid oid, OUT name name, OUT is_allowed boolean, OUT is_backend boolean, OUT connects boolean, OUT switches boolean, OUT is_bound boolean
) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH setting AS MATERIALIZED (SELECT s.viewpoint, s.value FROM auth.check_settings() AS s WHERE s.setting = 'workos_auth.allowed_roles'),
    allowed AS MATERIALIZED (
        SELECT r.oid FROM pg_roles AS r
        WHERE r.rolname IN (
            SELECT btrim(name) FROM (
                SELECT s.value FROM setting AS s
                UNION SELECT current_setting('workos_auth.allowed_roles') WHERE NOT EXISTS (SELECT FROM setting AS s WHERE s.viewpoint = 0)
            ) AS list (value), regexp_split_to_table(list.value, ',') AS name
        )
    ),
    granted AS (
        SELECT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
        WHERE p.oid = to_regprocedure('auth.exchange_code(text, text, text, inet, text)') AND acl.grantee NOT IN (p.proowner, 0)
    ),
    becomes AS (SELECT b.* FROM auth.check_becomes() AS b),
    role AS (
        SELECT r.oid, r.rolname, r.rolbypassrls, r.oid IN (SELECT a.oid FROM allowed AS a) AS is_allowed,
            coalesce(has_function_privilege(r.oid, to_regprocedure('auth.exchange_code(text, text, text, inet, text)'), 'EXECUTE'), false) AS is_backend,
            r.rolcanlogin AND EXISTS (
                SELECT FROM becomes AS b
                WHERE b.member = r.oid AND b.role <> r.oid AND b.fully AND NOT pg_has_role(r.oid, b.role, 'USAGE')
                    AND (b.role IN (SELECT a.oid FROM allowed AS a) OR b.role IN (SELECT g.oid FROM granted AS g))
            ) AS connects
        FROM pg_roles AS r WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND r.rolname NOT IN ('workos_auth_owner', 'workos_auth_nobody')
    ),
    first AS (SELECT r.oid FROM role AS r WHERE r.is_allowed OR r.is_backend OR r.connects)
    SELECT 0::oid, 'public'::name, true, false, false, false, true
    UNION ALL
    SELECT r.oid, r.rolname, r.is_allowed, r.is_backend, r.connects,
        NOT r.is_allowed AND EXISTS (SELECT FROM becomes AS b WHERE b.member = r.oid AND b.fully AND b.role IN (SELECT a.oid FROM allowed AS a)),
        NOT r.rolbypassrls OR r.oid IN (SELECT f.oid FROM first AS f)
    FROM role AS r
    WHERE r.oid IN (SELECT b.role FROM becomes AS b JOIN first AS f ON f.oid = b.member WHERE b.fully)
$$;
COMMENT ON FUNCTION auth.check_people() IS 'the roles that a request of a person may run as';

-- A membership is taken back from each who gave it: since Postgres 16, one row of pg_auth_members a grantor, and what rests on it.
CREATE FUNCTION auth.check_leave(role oid, member oid, grantor oid) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('REVOKE %s FROM %s%s;', role::regrole, member::regrole,
        CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN format(' GRANTED BY %s CASCADE', grantor::regrole) END)
$$;
COMMENT ON FUNCTION auth.check_leave(oid, oid, oid) IS 'the statement that ends a membership';

-- What is unsafe in roles: those that row-level security does not bind, that can become one, that read the root key's file, administer, or broker.
CREATE FUNCTION auth.check_roles(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    WITH person AS (SELECT p.* FROM auth.check_people() AS p),
    becomes AS (SELECT b.* FROM auth.check_becomes() AS b),
    administrator AS (
        SELECT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
        WHERE p.oid = to_regprocedure('auth.configure_workos(text, text, text, text, text, boolean)') AND acl.grantee <> p.proowner
    ),
    broker AS (
        SELECT DISTINCT acl.grantee AS oid FROM pg_proc AS p, aclexplode(p.proacl) AS acl
        WHERE p.oid = to_regprocedure('auth.exchange_answer(uuid, integer, jsonb, text, text, inet, text)') AND acl.grantee NOT IN (p.proowner, 0)
    ),
    -- Superusers among them are no persons, since nothing that they reach is a finding.
    role AS (
        SELECT r.*, quote_ident(d.datname) AS database, r.oid::regrole::text AS name,
            coalesce(p.is_allowed, r.rolname IN (SELECT btrim(n) FROM auth.check_settings() AS s, regexp_split_to_table(s.value, ',') AS n
                WHERE s.setting = 'workos_auth.allowed_roles')) AS is_allowed,
            coalesce(p.is_backend, EXISTS (SELECT FROM pg_proc AS f, aclexplode(f.proacl) AS acl
                WHERE f.oid = to_regprocedure('auth.exchange_code(text, text, text, inet, text)') AND acl.grantee = r.oid AND r.oid <> f.proowner)) AS is_backend,
            coalesce(p.connects, false) AS connects, p.oid IS NOT NULL AS is_person
        FROM pg_database AS d, pg_roles AS r LEFT JOIN person AS p ON p.oid = r.oid
        WHERE d.datname = current_database()
    ),
    described AS (
        SELECT r.*, CASE WHEN r.is_allowed THEN 'People act as it' WHEN r.is_backend THEN 'It signs people in'
            WHEN r.connects THEN 'It connects for people' ELSE 'Requests of people can come to run as it' END AS who
        FROM role AS r WHERE r.is_allowed OR r.is_backend OR r.is_person
    ),
    -- The memberships by which a person, or what a person can become, gets at a role that is more than it should be.
    danger AS (
        SELECT d.name, d.who, t.oid::regrole::text AS target, t.rolsuper, t.rolbypassrls, t.rolname, a.oid IS NOT NULL AS administers,
            m.roleid, m.member, m.grantor,
            bool_or(s.is_allowed) AS is_allowed, bool_or(s.is_bound AND (s.is_allowed OR NOT s.is_backend AND NOT s.connects)) AS is_request,
            bool_or(m.admin OR b.fully AND m.set) AS fully
        FROM person AS s JOIN becomes AS b ON b.member = s.oid
            JOIN (
                SELECT m.member, m.roleid, m.grantor, m.admin_option AS admin, coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS set,
                    coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) AS inherit
                FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member
                WHERE NOT r.rolsuper
            ) AS m ON m.member = b.role AND (m.admin OR b.fully AND m.set OR m.inherit)
            JOIN pg_roles AS t ON t.oid = m.roleid
            LEFT JOIN administrator AS a ON a.oid = t.oid
            JOIN (
                SELECT r.oid, r.oid::regrole::text AS name, coalesce(d.who, 'People can get at it') AS who FROM pg_roles AS r LEFT JOIN described AS d ON d.oid = r.oid
            ) AS d ON d.oid = m.member
        WHERE t.rolsuper OR t.rolbypassrls OR a.oid IS NOT NULL
            OR t.rolname IN ('pg_read_server_files', 'pg_execute_server_program', 'pg_read_all_data', 'pg_write_all_data')
        GROUP BY d.name, d.who, t.oid, t.rolsuper, t.rolbypassrls, t.rolname, a.oid, m.roleid, m.member, m.grantor
    )
    SELECT 'error', r.name, format('%s, and it is %s: row-level security does not bind it.', r.who, CASE WHEN r.rolsuper THEN 'a superuser' ELSE 'BYPASSRLS' END),
        CASE
            -- Postgres wants to keep its first superuser.
            WHEN r.oid = 10 AND r.is_allowed THEN format('ALTER DATABASE %s SET workos_auth.allowed_roles = ''authenticated'';', r.database)
            WHEN r.oid = 10 THEN format('SELECT auth.revoke_sign_in(%L);', r.name)
            ELSE format('ALTER ROLE %s%s%s;', r.name, CASE WHEN r.rolsuper THEN ' NOSUPERUSER' END, CASE WHEN r.rolbypassrls THEN ' NOBYPASSRLS' END)
        END
    FROM described AS r WHERE (r.rolsuper OR r.rolbypassrls) AND (r.is_allowed OR r.is_backend OR r.connects)
    UNION ALL
    -- Postgres 16 bounds what CREATEROLE can do to the roles that it made.
    SELECT 'error', r.name, format('%s, and it is CREATEROLE: it can make itself a member of every role that is no superuser.', r.who),
        format('ALTER ROLE %s NOCREATEROLE;', r.name)
    FROM described AS r WHERE r.rolcreaterole AND NOT r.rolsuper AND current_setting('server_version_num')::integer < 160000
    UNION ALL
    SELECT CASE WHEN f.severity = 'bypass' THEN CASE WHEN d.is_allowed THEN 'error' ELSE 'info' END ELSE f.severity END, d.name, f.finding, 
        auth.check_leave(d.roleid, d.member, d.grantor)
    FROM danger AS d CROSS JOIN LATERAL (VALUES
        (d.fully AND d.rolsuper, 'error', format('%s, and it can become %s, which row-level security does not bind.', d.who, d.target)),
        -- Supabase's service_role is that, and is meant to be. Where the role itself is a finding, its members are none.
        (d.fully AND d.rolbypassrls AND NOT d.rolsuper AND d.roleid NOT IN (SELECT r.oid FROM described AS r WHERE r.is_allowed OR r.is_backend OR r.connects), 'bypass',
            format('%s, and it can become %s, which row-level security does not bind.', d.who, d.target)),
        (d.rolname IN ('pg_read_server_files', 'pg_execute_server_program'), 'error',
            format('%s, and as a member of %s it can read the root key from the server''s files.', d.who, d.target)),
        (d.is_request AND d.rolname IN ('pg_read_all_data', 'pg_write_all_data'), 'warning',
            format('%s, and %s lets it at all that row-level security does not bind.', d.who, d.target)),
        (d.is_allowed AND d.administers, 'error', format('%s, and as a member of %s it may configure WorkOS and grant sign-in.', d.who, d.target))
    ) AS f (matches, severity, finding)
    WHERE f.matches
    UNION ALL
    SELECT 'error', r.name, 'People act as it, and it may configure WorkOS and grant sign-in.', format('SELECT auth.revoke_admin(%L);', r.name)
    FROM described AS r WHERE r.is_allowed AND r.oid IN (SELECT a.oid FROM administrator AS a)
    UNION ALL
    -- Meant, where somebody called auth.grant_broker for a gateway; never for a role that people act as.
    SELECT CASE WHEN bool_or(r.is_allowed) THEN 'error' ELSE 'info' END, k.oid::regrole::text,
        format('It may broker: it says in WorkOS''s place who somebody is, and so can sign in as anybody, and it sees WorkOS''s API key%s.',
            '; so can ' || string_agg(DISTINCT r.name, ', ') FILTER (WHERE r.oid <> k.oid)),
        format('SELECT auth.revoke_broker(%L);', k.oid::regrole)
    FROM broker AS k LEFT JOIN becomes AS b ON b.role = k.oid JOIN role AS r ON r.oid = coalesce(b.member, k.oid)
    GROUP BY k.oid
    UNION ALL
    SELECT 'error', m.member::regrole::text,
        format('It is a member of %s: %s.', m.roleid::regrole, CASE
            WHEN to_regrole('workos_auth_nobody') IN (m.roleid, m.member) THEN 'triggers of other tables'' owners run as workos_auth_nobody, which is to have no rights and nobody in it'
            ELSE 'whoever has the owner''s rights reads every table of the extension' END),
        auth.check_leave(m.roleid, m.member, m.grantor)
    FROM pg_auth_members AS m
    WHERE 'workos_auth_owner'::regrole IN (m.roleid, m.member) OR to_regrole('workos_auth_nobody') IN (m.roleid, m.member)
    UNION ALL
    SELECT 'error', 'workos_auth_nobody', 'The role is gone: nobody signs in or out, and nobody can be removed.', 'CREATE ROLE workos_auth_nobody NOLOGIN NOINHERIT;'
    WHERE to_regrole('workos_auth_nobody') IS NULL
    UNION ALL
    SELECT 'error', r.rolname, format('It has attributes, so that what runs as it can do more than %s.',
            CASE r.rolname WHEN 'workos_auth_owner' THEN 'its tables need' ELSE 'nothing' END),
        format('ALTER ROLE %I NOLOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;', r.rolname)
    FROM pg_roles AS r
    WHERE r.rolname IN ('workos_auth_owner', 'workos_auth_nobody')
        AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolcanlogin OR r.rolreplication OR r.rolbypassrls OR r.rolinherit)
$$;
COMMENT ON FUNCTION auth.check_roles() IS 'the part of auth.check() about roles';
