-- One's own account: everyone, about themselves. What changes an account or a session takes the person's access token, which other code
-- in the person's transaction, such as a table owner's trigger, cannot read. The code of each function stands in src/api/own_account.rs.

CREATE FUNCTION auth.get_user() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'get_user_wrapper';
COMMENT ON FUNCTION auth.get_user() IS
    'the current person as Supabase Auth''s GET /user returns them: what the database says now, not what the token said';

CREATE FUNCTION auth.get_user(access_token text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'get_user_of_wrapper';
COMMENT ON FUNCTION auth.get_user(text) IS
    'the person of an access token, as auth.get_user() shows them; takes one that is older than the person''s rights; refuses every other token that auth.set_session refuses, whatever role asks; makes nobody''s session the current one';

CREATE FUNCTION auth.update_user(access_token text, user_metadata jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'update_user_wrapper';
COMMENT ON FUNCTION auth.update_user(text, jsonb) IS
    'changes the user_metadata of an access token''s person, as the data of Supabase Auth''s PUT /user does; the members given replace those of the same name, null removes one; at most 4 kB in all. A token that is older than the person''s rights will do. Returns what auth.get_user() does';

CREATE FUNCTION auth.sign_out(access_token text, scope text DEFAULT 'global') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'sign_out_wrapper';
COMMENT ON FUNCTION auth.sign_out(text, text) IS
    'ends the sessions of an access token''s person from the next statement on: global (all), local (the token''s own) or others; says how many. The token''s own session must be there; the token may be older than the person''s rights, or have expired, by less than workos_auth.session_ttl';

-- The session of AuthKit that a session here began with.
CREATE FUNCTION auth.workos_logout_url(access_token text, return_to text DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_logout_url_wrapper';
COMMENT ON FUNCTION auth.workos_logout_url(text, text) IS
    'where the browser ends the session of AuthKit that an access token''s session began with; NULL for a session that did not begin there. Ends nothing itself; to be asked for before auth.sign_out. WorkOS sends the browser on to return_to, which its dashboard must list';

CREATE FUNCTION auth.sign_out_of_workos(access_token text, scope text DEFAULT 'global') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'sign_out_of_workos_wrapper';
COMMENT ON FUNCTION auth.sign_out_of_workos(text, text) IS
    'as auth.sign_out, and first has WorkOS end the sessions of AuthKit that those sessions began with, the 32 newest at most. Where WorkOS does not answer, the call fails and nothing has ended here';

-- A function and not a view: a condition that a query puts on a view may be tried on rows that are somebody else's.
CREATE FUNCTION auth.my_sessions(
    access_token text,
    OUT id uuid,
    OUT created_at timestamptz,
    OUT refreshed_at timestamptz,
    OUT not_after timestamptz,
    OUT ip inet,
    OUT user_agent text,
    OUT organization_id text,
    OUT connection_id text,
    OUT is_current boolean
) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'my_sessions_wrapper';
COMMENT ON FUNCTION auth.my_sessions(text) IS
    'the live sessions of an access token''s person, in every organization, the oldest first; is_current: the token''s own. ip and user_agent are what the backend passed when it was opened or last refreshed';
