-- Verifiers: databases that check what an issuer signs. The code of each function stands in src/api/verifiers.rs.

-- Not SECURITY DEFINER: a publication belongs to whoever calls.
CREATE FUNCTION auth.publish_sessions(publication name DEFAULT 'workos_auth') RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'publish_sessions_wrapper';
COMMENT ON FUNCTION auth.publish_sessions(name) IS
    'makes a publication of what verifiers need, or mends it: which sessions and organizations there are, the public keys and the heartbeat; no column with a secret. Superusers only';

CREATE FUNCTION auth.send_heartbeat() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'send_heartbeat_wrapper';
COMMENT ON FUNCTION auth.send_heartbeat() IS
    'tells verifiers that the link to this database is up, and says which heartbeat it was; NULL, and nothing is written, where no publication has auth.heartbeat. Call it once a second; the worker of workos_auth.worker_databases does';

-- Not SECURITY DEFINER, as auth.configure_workos.
CREATE FUNCTION auth.become_verifier(issuer_database text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'become_verifier_wrapper';
COMMENT ON FUNCTION auth.become_verifier(text) IS
    'has this database verify what another one signs: a subscription to the publication of auth.publish_sessions then feeds it. It signs nobody in or out. issuer_database is where the issuer is, for the hint of errors. Several subscriptions, each of another issuer, may feed it. Called again after DROP SUBSCRIPTION, it removes what that one brought, so that a new one can copy it. Superusers only';

CREATE FUNCTION auth.stop_verifying() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'stop_verifying_wrapper';
COMMENT ON FUNCTION auth.stop_verifying() IS
    'undoes auth.become_verifier(), after DROP SUBSCRIPTION: removes what was fed. Superusers only';

CREATE FUNCTION auth.keep_feeds_apart() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'keep_feeds_apart_wrapper';
COMMENT ON FUNCTION auth.keep_feeds_apart() IS
    'trigger of what a verifier is fed: notes which subscription brings a row, and refuses changes of what another one has brought';

CREATE FUNCTION auth.mark_lost_heartbeat() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'mark_lost_heartbeat_wrapper';
COMMENT ON FUNCTION auth.mark_lost_heartbeat() IS 'trigger of auth.heartbeat: notes in a verifier that a heartbeat did not arrive';

CREATE FUNCTION auth.note_ended_session() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'note_ended_session_wrapper';
COMMENT ON FUNCTION auth.note_ended_session() IS 'trigger of auth.sessions: notes in a verifier that a session was here and has ended';
