-- What the background worker of workos_auth.worker_databases does. The code stands in src/worker.

CREATE TABLE auth.worker_status (
    task text PRIMARY KEY,
    last_started_at timestamptz NOT NULL,
    last_succeeded_at timestamptz,
    last_failed_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    last_count bigint NOT NULL DEFAULT 0,
    last_error text,
    next_at timestamptz NOT NULL
);
COMMENT ON TABLE auth.worker_status IS 'what the background worker did: one row a task. It is no part of a dump';
COMMENT ON COLUMN auth.worker_status.task IS 'cleanup: what auth.cleanup() does; issuer_keys: what auth.refresh_issuer_keys() does; heartbeat: what auth.send_heartbeat() does; events: what auth.sync_workos() does; reconciliation: what auth.reconcile_workos() does';
COMMENT ON COLUMN auth.worker_status.last_started_at IS 'when the last run began that was written down: each that fails, the one after it, and the last of several; of the others one in ten seconds';
COMMENT ON COLUMN auth.worker_status.last_succeeded_at IS 'when a run last succeeded';
COMMENT ON COLUMN auth.worker_status.last_failed_at IS 'when a run last failed';
COMMENT ON COLUMN auth.worker_status.failures IS 'how many runs have failed in a row; 0 where the last one succeeded';
COMMENT ON COLUMN auth.worker_status.last_count IS 'how many rows the last run removed, how many keys it wrote, how many events it applied, or how many things it compared';
COMMENT ON COLUMN auth.worker_status.last_error IS 'why a run last failed: SQLSTATE and message. What code of others may have said stands in the server''s log alone';
COMMENT ON COLUMN auth.worker_status.next_at IS 'when it is due again; after a failure soon, and later with each further one';
