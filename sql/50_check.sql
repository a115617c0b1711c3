-- auth.check(): what is unsafe in this database: settings, roles, functions, the extension's own objects, and what people reach of the
-- application's tables, views and policies, which stands here.
--
-- Not SECURITY DEFINER: catalogs are everybody's. search_path holds pg_catalog alone, so that names without a schema are Postgres's
-- own, and names that are printed have theirs. Compiling so long a query would take longer than running it.
CREATE FUNCTION auth.check(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $check$

-- Loads the library, so that pg_settings has its settings.
SELECT FROM auth.error_codes() LIMIT 1;

WITH RECURSIVE this AS (
    SELECT quote_ident(d.datname) AS name, current_setting('server_version_num')::integer AS version
    FROM pg_database AS d WHERE d.datname = current_database()
),

-- The one part that needs rights on tables: it is left out where somebody took these from their owner, which is a finding by itself.
fact AS (
    SELECT f.fact AS name, f.subject, f.number FROM auth.check_facts() AS f
    WHERE has_schema_privilege('workos_auth_owner', 'auth', 'USAGE') AND (
        SELECT bool_and(has_table_privilege('workos_auth_owner', t.name, 'SELECT'))
        FROM (VALUES ('auth.signing_keys'), ('auth.sessions'), ('auth.flow_states'), ('auth.hooks'), ('auth.users'), ('auth.identities'),
            ('auth.organization_memberships'), ('auth.audit_log_entries'), ('auth.worker_status')) AS t (name)
    )
),

-- SETTINGS ------------------------------------------------------------------------------------------------------------------------

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
-- Anybody may plant a text of any length in a role's settings: no value that counts is longer than what is looked at.
in_force AS (SELECT s.* FROM auth.check_settings() AS s),
-- Since Postgres 17 it can be switched off.
alter_system AS (SELECT coalesce(current_setting('allow_alter_system', true), 'on') = 'on' AS is_allowed),
unsafe_setting AS (
    SELECT i.*, r.severity, r.finding, r.safe,
        -- Whether it is unsafe for this role only because of what the role has of its own.
        i.rank >= 2 OR coalesce(c.own, false) AS own
    FROM in_force AS i JOIN rule AS r ON r.setting = i.setting AND lower(left(i.value, 100)) ~ r.unsafe
        CROSS JOIN LATERAL (
            SELECT count(*) AS known, bool_or(other.rank >= 2) FILTER (WHERE lower(left(other.value, 100)) ~ c.unsafe) AS own,
                coalesce(bool_or(lower(left(other.value, 100)) ~ c.unsafe), false) AS matches
            FROM companion AS c LEFT JOIN in_force AS other ON other.viewpoint = i.viewpoint AND other.setting = c.companion
            WHERE c.setting = i.setting
        ) AS c
    WHERE (c.known = 0 OR c.matches)
        AND (i.setting NOT IN ('workos_auth.require_code_challenge', 'workos_auth.allow_implicit')
            OR EXISTS (SELECT FROM fact AS f WHERE f.name = 'sign-ins without a code challenge' AND f.number > 0))
),

-- WHAT PEOPLE REACH ---------------------------------------------------------------------------------------------------------------

person AS (SELECT p.* FROM auth.check_people() AS p WHERE p.is_bound),
becomes AS (SELECT b.* FROM auth.check_becomes() AS b),
believer AS MATERIALIZED (SELECT b.routine AS oid FROM auth.check_believers() AS b),

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
    SELECT g.relation, g.grantee, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS name, g.privilege,
        CASE WHEN g.grantor <> g.owner THEN g.grantor::regrole::text END AS giver
    FROM (
        SELECT c.oid, c.relowner, acl.grantee, acl.privilege_type, acl.grantor FROM pg_class AS c, aclexplode(c.relacl) AS acl WHERE acl.grantee <> c.relowner
        UNION
        SELECT c.oid, c.relowner, acl.grantee, acl.privilege_type, acl.grantor
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS acl WHERE acl.grantee <> c.relowner
    ) AS g (relation, owner, grantee, privilege, grantor)
),
person_grant AS (
    SELECT g.* FROM table_grant AS g
    WHERE g.grantee = 0 OR EXISTS (SELECT FROM person AS p WHERE p.oid <> 0 AND pg_has_role(p.oid, g.grantee, 'USAGE'))
),
-- Only the owner's grants are the owner's to take: of another's, that one's right to give goes, and all that rests on it.
revoke AS (
    SELECT g.relation, format('REVOKE ALL ON TABLE %s FROM %s%s;', g.relation::regclass, string_agg(DISTINCT n.name, ', '),
        CASE WHEN bool_or(g.giver IS NOT NULL) THEN ' CASCADE' END) AS statement
    FROM person_grant AS g CROSS JOIN LATERAL (VALUES (g.name), (g.giver)) AS n (name) WHERE n.name IS NOT NULL GROUP BY g.relation
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
-- true, 1 = 1, or anything that is compared with itself: two equal halves. Whatever is looked at is looked at once from end to end: a policy's
-- text is as long as its table's owner likes.
judged_policy AS (
    SELECT p.*, p.polcmd <> 'a' AND (q.text IN ('true', 'NOTfalse') OR
            substr(q.text, length(q.text) / 2 + 1, 1) = '=' AND left(q.text, length(q.text) / 2) = right(q.text, length(q.text) / 2)) AS using_true,
        c.text IN ('true', 'NOTfalse') OR
            substr(c.text, length(c.text) / 2 + 1, 1) = '=' AND left(c.text, length(c.text) / 2) = right(c.text, length(c.text) / 2) AS check_true
    FROM policy AS p
        CROSS JOIN LATERAL (SELECT translate(p.using_text, E'() \t\r\n', '')) AS q (text)
        CROSS JOIN LATERAL (SELECT translate(p.check_text, E'() \t\r\n', '')) AS c (text)
),
-- What a policy says by itself and in the functions that it names. It believes user_metadata where that stands behind a claims reader.
read_policy AS (
    SELECT p.*, f.believes OR strpos(lower(t.text), 'request.jwt') > 0 AS believes, f.excludes OR c.excludes AS excludes,
        strpos(substr(t.text, nullif(strpos(t.text, 'auth.jwt()'), 0)), 'user_metadata') > 0
            OR strpos(substr(t.text, nullif(strpos(t.text, 'auth.session_claims()'), 0)), 'user_metadata') > 0 AS believes_people
    FROM policy AS p
        CROSS JOIN LATERAL (SELECT concat_ws(' ', p.using_text, p.check_text)) AS t (text)
        CROSS JOIN LATERAL auth.check_comparisons(t.text) AS c
        CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(f.oid IN (SELECT b.oid FROM believer AS b)), false), coalesce(bool_or(strpos(f.prosrc, 'role') > 0 AND (auth.check_comparisons(f.prosrc)).excludes), false)
            FROM pg_depend AS d JOIN pg_proc AS f ON f.oid = d.refobjid
            WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
                AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = f.oid AND e.deptype = 'e')
        ) AS f (believes, excludes)
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

-- A root key where backups copy it. Only those who may see data_directory learn this. To all others: a key there is refused, unless the
-- setting allows it, which is a finding. Links are not followed here.
copied_key AS (
    SELECT DISTINCT d.directory
    FROM pg_settings AS k CROSS JOIN LATERAL string_to_table(k.setting, ',') AS f (name), (
        SELECT s.setting FROM pg_settings AS s WHERE s.name = 'data_directory'
        UNION ALL SELECT pg_tablespace_location(t.oid) FROM pg_tablespace AS t
    ) AS d (directory)
    WHERE k.name = 'workos_auth.root_key_file' AND d.directory <> '' AND starts_with(ltrim(f.name, E' \t\n"'), rtrim(d.directory, '/') || '/')
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
        SELECT EXISTS (SELECT FROM person AS p JOIN becomes AS b ON b.member = p.oid WHERE NOT p.switches AND b.role = r.relowner) AS is_person,
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
    SELECT b.severity, p.name, b.finding,
        format('ALTER POLICY %s%s%s;', p.name, CASE WHEN p.polqual IS NOT NULL THEN ' USING (false)' END,
            CASE WHEN p.polwithcheck IS NOT NULL THEN ' WITH CHECK (false)' END)
    FROM read_policy AS p CROSS JOIN LATERAL (VALUES
        (p.believes, 'error',
            'The policy believes request.jwt.claims, which whoever can send SQL can set: read auth.uid(), auth.jwt() and their like.'),
        (p.believes_people, 'error',
            'The policy believes user_metadata, which people write themselves: read what stands at the top level of auth.jwt().'),
        (p.excludes, 'warning',
            'The policy compares auth.role() by exclusion: without a session that is the database role, or anon, which slips through; name the roles that may.')
    ) AS b (matches, severity, finding)
    WHERE b.matches
    UNION ALL
    -- A view with its owner's rights is a policy, too.
    SELECT r.severity, r.name, format('The view believes request.jwt.claims, which whoever can send SQL can set, and shows %s what its owner %s may read.',
            r.who, r.relowner::regrole), s.statement
    FROM reached AS r JOIN view AS v ON v.oid = r.oid AND NOT v.is_invoker JOIN revoke AS s ON s.relation = r.oid
    WHERE r.relkind = 'v' AND (strpos(lower(pg_get_viewdef(r.oid)), 'request.jwt') > 0 OR EXISTS (
        SELECT FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
        WHERE w.ev_class = r.oid AND d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT b.oid FROM believer AS b)))
    UNION ALL

    SELECT r.* FROM auth.check_roles() AS r
    UNION ALL
    SELECT f.* FROM auth.check_functions() AS f
    UNION ALL
    SELECT s.* FROM auth.check_sign_up() AS s
    UNION ALL
    SELECT o.* FROM auth.check_own() AS o
    UNION ALL
    SELECT s.* FROM auth.check_stored_settings() AS s
    UNION ALL
    SELECT w.* FROM auth.check_worker() AS w
    UNION ALL
    SELECT m.* FROM auth.check_mirror() AS m
    UNION ALL
    -- One may fail by chance. What no worker does any more is no finding.
    SELECT 'warning', 'auth.worker_status', format('The task %s of the background worker has failed %s times in a row.', f.subject, f.number),
        format('SELECT %L AS by_hand;', format('Look at last_error of the task %s in auth.worker_status, and remove the cause. The worker tries again by itself.', f.subject))
    FROM fact AS f WHERE f.name = 'failures of a task of the background worker' AND f.number >= 3 AND auth.check_worker_runs()
    UNION ALL
    SELECT 'error', 'auth.hooks', format('The function of the hook %s belongs to %s now, and to somebody else when an administrator wrote it down: it is refused.',
            f.subject, f.number::oid::regrole),
        -- A hook may keep people out: no statement takes it away unless somebody has looked at the function.
        format('SELECT %L AS by_hand;', format('Look at the function. If a restore left its owner out, give it back with ALTER FUNCTION … OWNER TO …, to the function_owner in auth.hooks. '
            'If it is to be the hook as it is, run UPDATE auth.hooks SET function = function WHERE event = %L. If not, run DELETE FROM auth.hooks WHERE event = %L.', f.subject, f.subject))
    FROM fact AS f WHERE f.name = 'owner of the function of a hook that had another owner'
    UNION ALL
    SELECT 'error', 'auth.hooks', format('The function of the hook %s is not there: whoever needs it to sign in is refused.', f.subject),
        format('SELECT %L AS by_hand;', format('Restore the function that auth.hooks names, with its owner. If there is to be no such hook, run DELETE FROM auth.hooks WHERE event = %L.', f.subject))
    FROM fact AS f WHERE f.name = 'hook whose function is missing'
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
    SELECT 'error', f.subject, format('Rows of users who are not in auth.users: %s. A restore brought one table and not the other.',
            CASE WHEN f.number > 10000 THEN 'more than 10000' ELSE f.number::text END),
        -- What leads into an account is not thrown away: the account may be in the dump.
        CASE f.subject
            WHEN 'auth.identities' THEN 'SELECT ''Restore auth.users from the same dump. Whoever has no row there comes back as a stranger.'' AS by_hand;'
            ELSE 'SELECT auth.remove_orphans();' END
    FROM fact AS f WHERE f.name = 'rows of nobody' AND f.number > 0
    UNION ALL
    SELECT 'warning', f.subject, format('The identity provider of this connection gives people another id at each sign-in, and each makes a new account: '
            '%s of their addresses went to a new account three times or more in 30 days.', f.number),
        format('SELECT %L AS by_hand;', format('In the WorkOS dashboard, map an attribute that never changes to the id (idp_id) of the people of %s. '
            'Then give them their accounts back with auth.merge_users(from_user => …, into_user => …).', f.subject))
    FROM fact AS f WHERE f.name = 'addresses of three new accounts'
    UNION ALL

    SELECT 'error', 'auth.installation', c.finding || ' Nobody can sign in here. If this one is to go on in place of the other, run SELECT auth.take_over_installation();, and not the remedy.',
        'SELECT auth.become_new_installation();'
    FROM auth.check_copy() AS c (finding) WHERE c.finding IS NOT NULL
    UNION ALL

    SELECT v.severity, v.object, v.finding, v.remedy FROM auth.check_verifier() AS v
    UNION ALL

    -- Without the setting nobody signs in until the key stands elsewhere; readers go on.
    SELECT 'error', 'workos_auth.root_key_file', format('The root key lies in %s, which every base backup copies: move it, or make a new one.', d.directory),
        CASE WHEN a.is_allowed THEN 'SELECT auth.alter_system(''workos_auth.root_key_file'', '''');'
            ELSE 'SELECT ''Take workos_auth.root_key_file out of the file that configures this server, and reload it.'' AS by_hand;' END
    FROM alter_system AS a, copied_key AS d
    UNION ALL
    -- The file may only be out of reach: no statement throws away what it seals unless somebody has decided that it is lost.
    SELECT 'error', 'workos_auth.root_key_file', k.finding, format('SELECT %L AS by_hand;', k.by_hand)
    FROM auth.check_root_key() AS k WHERE NOT EXISTS (SELECT FROM copied_key)
    UNION ALL

    -- Settings: mended where they were set. ALTER DATABASE wins over the command line, which ALTER SYSTEM does not, and over the file that
    -- Postgres may be told to leave alone; only the key's settings stand nowhere else.
    SELECT s.severity, s.setting, s.finding || CASE WHEN s.viewpoint = 0 THEN '.' ELSE format(' (for %s).', s.viewpoint::regrole) END,
        CASE
            WHEN s.viewpoint = 0 AND s.rank = -1 AND a.is_allowed THEN format('SELECT auth.alter_system(%L, %L);', s.setting, s.safe)
            WHEN s.viewpoint = 0 AND s.rank = -1 AND s.setting = 'workos_auth.allow_root_key_in_data_directory'
                THEN format('SELECT ''Take %s out of the file that configures this server, and reload it.'' AS by_hand;', s.setting)
            WHEN s.viewpoint = 0 AND s.rank = 0 THEN format('ALTER ROLE ALL SET %s = %L;', s.setting, s.safe)
            WHEN s.viewpoint = 0 THEN format('ALTER DATABASE %s SET %s = %L;', this.name, s.setting, s.safe)
            WHEN s.rank = 2 THEN format('ALTER ROLE %s SET %s = %L;', s.viewpoint::regrole, s.setting, s.safe)
            ELSE format('ALTER ROLE %s IN DATABASE %s SET %s = %L;', s.viewpoint::regrole, this.name, s.setting, s.safe)
        END
    FROM this, alter_system AS a, unsafe_setting AS s
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
    FROM this, (
        SELECT s.setrole AS role, s.setdatabase AS database, lower(split_part(c, '=', 1)) AS setting, substr(c, strpos(c, '=') + 1) AS value
        FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
        WHERE s.setdatabase = 0 OR s.setdatabase = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    ) AS p WHERE p.setting = 'workos_auth.session_token' AND p.value <> ''
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
