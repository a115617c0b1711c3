-- Databases that verify what this one signs, or the other way round: what logical replication carries beside sessions and keys.

CREATE TABLE auth.heartbeat (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    beat bigint NOT NULL,
    sent_at timestamptz NOT NULL,
    issuer text,
    audience text,
    is_whole boolean NOT NULL DEFAULT true,
    publications jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE auth.heartbeat IS 'one row, which the issuer changes every second or so once auth.publish_sessions was called: by it verifiers know that nothing is missing';
COMMENT ON COLUMN auth.heartbeat.singleton IS 'true, so that there is one row at most';
COMMENT ON COLUMN auth.heartbeat.beat IS 'counts the heartbeats';
COMMENT ON COLUMN auth.heartbeat.sent_at IS 'when it was sent, by the issuer''s clock';
COMMENT ON COLUMN auth.heartbeat.issuer IS 'the claim iss of the tokens that the issuer signs';
COMMENT ON COLUMN auth.heartbeat.audience IS 'their claim aud';
COMMENT ON COLUMN auth.heartbeat.publications IS 'by which publications it is sent, and as which rows of Postgres''s catalogs; where one changed, a heartbeat is left out, since changes may have been lost; not published';
COMMENT ON COLUMN auth.heartbeat.is_whole IS 'false in a verifier that a heartbeat did not reach: changes were lost; not published';

CREATE TABLE auth.verifier (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    issuer_database text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    known_since timestamptz,
    subscription oid,
    publications text[]
);
COMMENT ON TABLE auth.verifier IS 'one row in a database that only verifies, made by auth.become_verifier()';
COMMENT ON COLUMN auth.verifier.singleton IS 'true, so that there is one row at most';
COMMENT ON COLUMN auth.verifier.issuer_database IS 'where the issuer is, in the words of whoever called auth.become_verifier; errors show it';
COMMENT ON COLUMN auth.verifier.created_at IS 'when auth.become_verifier() was first called';
COMMENT ON COLUMN auth.verifier.known_since IS 'when auth.sessions was last copied whole, or truncated at the issuer: a session of before that is not there has ended';
COMMENT ON COLUMN auth.verifier.subscription IS 'which subscription has copied auth.sessions; of another, nothing is believed';
COMMENT ON COLUMN auth.verifier.publications IS 'to which publications it was then subscribed; of others, nothing is believed';
