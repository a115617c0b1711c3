-- The mirror of WorkOS. The code of each function stands in src/api/mirror.rs.

CREATE FUNCTION auth.apply_events(page jsonb, after text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'apply_events_wrapper';
COMMENT ON FUNCTION auth.apply_events(jsonb, text) IS
    'applies a page of WorkOS''s events, as GET /events answers it, and moves the cursor to its end. after is what the page was asked with: where it is not the cursor, or an event cannot be understood, nothing is applied. Whoever has left is out in the next statement after the commit. Says how many events were applied that had not been before; it asks WorkOS nothing';

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
