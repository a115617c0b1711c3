-- Databases that verify what this one signs, or the other way round: what logical replication carries beside sessions, keys and organizations.

CREATE TABLE auth.heartbeat (
    installation_id uuid PRIMARY KEY,
    beat bigint NOT NULL,
    sent_at timestamptz NOT NULL,
    issuer text UNIQUE CHECK (pg_catalog.octet_length(issuer) <= 2048),
    audience text CHECK (pg_catalog.octet_length(audience) <= 2048),
    is_whole boolean NOT NULL DEFAULT true,
    publications jsonb NOT NULL DEFAULT '{}',
    subscription oid UNIQUE NULLS NOT DISTINCT
);
COMMENT ON TABLE auth.heartbeat IS 'one row, which the issuer changes every second or so once auth.publish_sessions was called: by it verifiers know that nothing is missing. A verifier has a row of each issuer that feeds it';
COMMENT ON COLUMN auth.heartbeat.installation_id IS 'of which installation it is: auth.installation.id of the issuer';
COMMENT ON COLUMN auth.heartbeat.subscription IS 'which subscription has brought it here; NULL at the issuer';
COMMENT ON COLUMN auth.heartbeat.beat IS 'counts the heartbeats';
COMMENT ON COLUMN auth.heartbeat.sent_at IS 'when it was sent, by the issuer''s clock';
COMMENT ON COLUMN auth.heartbeat.issuer IS 'the claim iss of the tokens that the issuer signs';
COMMENT ON COLUMN auth.heartbeat.audience IS 'their claim aud';
COMMENT ON COLUMN auth.heartbeat.publications IS 'by which publications it is sent, and as which rows of Postgres''s catalogs; where one changed, a heartbeat is left out, since changes may have been lost; not published';
COMMENT ON COLUMN auth.heartbeat.is_whole IS 'false in a verifier that a heartbeat did not reach: changes were lost; not published';

CREATE TABLE auth.verifier (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    issuer_database text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE auth.verifier IS 'one row in a database that only verifies, made by auth.become_verifier()';
COMMENT ON COLUMN auth.verifier.singleton IS 'true, so that there is one row at most';
COMMENT ON COLUMN auth.verifier.issuer_database IS 'where the issuer is, in the words of whoever called auth.become_verifier; errors show it';
COMMENT ON COLUMN auth.verifier.created_at IS 'when auth.become_verifier() was first called';

CREATE TABLE auth.feeds (
    subscription oid PRIMARY KEY,
    name text NOT NULL,
    publications text[] NOT NULL,
    known_since timestamptz NOT NULL
);
COMMENT ON TABLE auth.feeds IS 'the subscriptions that feed a verifier, one an issuer, each from when it has copied auth.sessions on';
COMMENT ON COLUMN auth.feeds.subscription IS 'pg_subscription.oid; what another one brings is not believed';
COMMENT ON COLUMN auth.feeds.name IS 'what it was called at its copy; under another name nothing of it is believed';
COMMENT ON COLUMN auth.feeds.publications IS 'to which publications it was subscribed at its copy; of others, nothing is believed';
COMMENT ON COLUMN auth.feeds.known_since IS 'when auth.sessions was last copied whole, or truncated at the issuer: a session of before that is not there has ended';
