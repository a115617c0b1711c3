-- One's own account: everyone, about themselves. The code of each function stands in src/api/own_account.rs.

CREATE FUNCTION auth.get_user() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'get_user_wrapper';
COMMENT ON FUNCTION auth.get_user() IS
    'the current person as Supabase Auth''s GET /user returns them: what the database says now, not what the token said';

CREATE FUNCTION auth.get_user(access_token text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'get_user_of_wrapper';
COMMENT ON FUNCTION auth.get_user(text) IS
    'the person of an access token, as auth.get_user() shows them; refuses every token that auth.set_session refuses, whatever role asks, and makes nobody''s session the current one';

CREATE FUNCTION auth.update_user(user_metadata jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'update_user_wrapper';
COMMENT ON FUNCTION auth.update_user(jsonb) IS
    'changes the current person''s user_metadata, as the data of Supabase Auth''s PUT /user does: the members given replace those of the same name, null removes one; at most 4 kB in all. Returns what auth.get_user() does';

-- Reads as its owner, who owns auth.sessions too: a role needs no right on the table, and no policy of it stands in the way. A security
-- barrier, so that no function in somebody's WHERE sees a row before the row is known to be theirs. Joined, so that it is never updatable;
-- with an OFFSET, so that the token is looked at once, and a bad one is an error also where there is no row.
CREATE VIEW auth.my_sessions WITH (security_barrier = true) AS
    SELECT s.id, s.created_at, s.refreshed_at, s.not_after, s.ip, s.user_agent, s.organization_id, s.connection_id,
        s.id OPERATOR(pg_catalog.=) me.session_id AS is_current
    FROM (SELECT auth.uid() AS user_id, auth.session_id() AS session_id OFFSET 0) AS me
        JOIN auth.sessions AS s ON s.user_id OPERATOR(pg_catalog.=) me.user_id
    WHERE s.not_after IS NULL OR s.not_after OPERATOR(pg_catalog.>) pg_catalog.now();
COMMENT ON VIEW auth.my_sessions IS 'the current person''s own sessions, in every organization; empty without a session';
COMMENT ON COLUMN auth.my_sessions.is_current IS 'whether it is the session that asks';
COMMENT ON COLUMN auth.my_sessions.ip IS 'as the backend told it when the session was last refreshed or opened';
GRANT SELECT ON auth.my_sessions TO PUBLIC;
