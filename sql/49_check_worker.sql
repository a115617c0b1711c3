-- What auth.check() says of the background worker of this database.

CREATE FUNCTION auth.check_worker_runs() RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'check_worker_runs_wrapper';
COMMENT ON FUNCTION auth.check_worker_runs() IS
    'whether the background worker of this database runs; NULL where there is to be none: workos_auth.worker_databases does not name the database, or the server is a standby';

CREATE FUNCTION auth.check_worker(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'warning', 'workos_auth.worker_databases',
        'The background worker of this database does not run, so that nothing of what it does is done.',
        'SELECT ''Put workos_auth into shared_preload_libraries, if it is not there, and restart the server. '
        'If the worker still does not run, the server''''s log says why. The setting max_worker_processes may be too small.'' AS by_hand;'
    WHERE NOT auth.check_worker_runs()
$$;
COMMENT ON FUNCTION auth.check_worker() IS 'the part of auth.check() about the background worker: whether it runs where it should';
