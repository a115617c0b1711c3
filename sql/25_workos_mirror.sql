-- The mirror of WorkOS. The code of each function stands in src/api/mirror.rs.

CREATE FUNCTION auth.apply_events(page jsonb, after text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'apply_events_wrapper';
COMMENT ON FUNCTION auth.apply_events(jsonb, text) IS
    'applies a page of WorkOS''s events, as GET /events answers it, and moves the cursor to its end. The argument after is what the page was asked with. Where it is not the cursor, or an event cannot be understood, nothing is applied. Whoever has left is out in the next statement after the commit. Says how many events were applied that had not been before; it asks WorkOS nothing';

CREATE FUNCTION auth.skip_event(id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'skip_event_wrapper';
COMMENT ON FUNCTION auth.skip_event(text) IS
    'has auth.apply_events pass over an event that it cannot understand, so that those behind it are applied. What it would have changed stays as it was, until WorkOS tells of it again. False where the event was applied, or is passed over already';

CREATE FUNCTION auth.mirror_age() RETURNS interval
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mirror_age_wrapper';
COMMENT ON FUNCTION auth.mirror_age() IS
    'how long ago this database had read everything that WorkOS''s events had to tell; NULL where it never had. In a policy, (select auth.mirror_age()) is asked once a query';

CREATE VIEW auth.workos_sync WITH (security_invoker = true) AS
    SELECT s.cursor, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) s.drained_at AS age, s.page_at, s.event_at, s.reconciled_at,
        s.failed_at, s.last_error
    FROM auth.workos_sync_state AS s;
COMMENT ON COLUMN auth.workos_sync.cursor IS 'the last event that was applied';
COMMENT ON COLUMN auth.workos_sync.age IS 'how long ago everything had been read that WorkOS had to tell; NULL where it never was';
COMMENT ON COLUMN auth.workos_sync.page_at IS 'when a page of events was last applied';
COMMENT ON COLUMN auth.workos_sync.event_at IS 'when the last event of it happened, by WorkOS''s clock';
COMMENT ON COLUMN auth.workos_sync.reconciled_at IS 'when the tables were last compared with all that WorkOS has';
COMMENT ON COLUMN auth.workos_sync.failed_at IS 'when following WorkOS last failed';
COMMENT ON COLUMN auth.workos_sync.last_error IS 'why: SQLSTATE and message';
COMMENT ON VIEW auth.workos_sync IS 'how far this database has followed WorkOS, and how old that is; administrators read it';
