-- Whose tokens count beside our own, with which keys, and which of their sessions have ended.

CREATE TABLE auth.trusted_issuers (
    issuer text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('workos_auth', 'authkit', 'authkit_m2m', 'oidc')),
    jwks_uri text,
    audience text,
    client_id text,
    database_role text,
    claims jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    refreshed_at timestamptz
);
COMMENT ON TABLE auth.trusted_issuers IS 'whose tokens are accepted beside our own; written by auth.trust_issuer and auth.trust_workos';
COMMENT ON COLUMN auth.trusted_issuers.issuer IS 'the claim iss, compared exactly';
COMMENT ON COLUMN auth.trusted_issuers.kind IS 'which tokens are accepted: workos_auth, authkit and oidc are of people, authkit_m2m of machines';
COMMENT ON COLUMN auth.trusted_issuers.jwks_uri IS 'where auth.refresh_issuer_keys fetches the keys; NULL where auth.set_issuer_keys brings them';
COMMENT ON COLUMN auth.trusted_issuers.audience IS 'what the claim aud must hold';
COMMENT ON COLUMN auth.trusted_issuers.client_id IS 'which client a token must be made for, by the claim client_id, azp or aud';
COMMENT ON COLUMN auth.trusted_issuers.database_role IS 'the database role of its people, which auth.use_request_token takes on; NULL: that of auth.users.role, and none is taken on. Never a claim';
COMMENT ON COLUMN auth.trusted_issuers.claims IS 'which claim says organization, role, roles, groups, permissions, features or email, where it is not the one of its kind';
COMMENT ON COLUMN auth.trusted_issuers.created_at IS 'since when it is trusted';
COMMENT ON COLUMN auth.trusted_issuers.updated_at IS 'when auth.trust_issuer last changed the row';
COMMENT ON COLUMN auth.trusted_issuers.refreshed_at IS 'when its keys were last fetched or brought';

CREATE TABLE auth.issuer_keys (
    issuer text NOT NULL REFERENCES auth.trusted_issuers (issuer) ON DELETE CASCADE,
    kid text NOT NULL,
    algorithm text NOT NULL CHECK (algorithm IN ('ES256', 'RS256', 'PS256', 'EdDSA')),
    public_key jsonb NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
    seen_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (issuer, kid)
);
COMMENT ON TABLE auth.issuer_keys IS 'the public keys of trusted issuers; a token is verified by the key of its issuer and kid, and by no other';
COMMENT ON COLUMN auth.issuer_keys.issuer IS 'whose key it is';
COMMENT ON COLUMN auth.issuer_keys.kid IS 'the id that the issuer gave it';
COMMENT ON COLUMN auth.issuer_keys.algorithm IS 'the one algorithm that it verifies: ES256, RS256, PS256 or EdDSA';
COMMENT ON COLUMN auth.issuer_keys.public_key IS 'a JWK (RFC 7517), without what is not needed';
COMMENT ON COLUMN auth.issuer_keys.status IS 'active: verifies; retired: the issuer publishes it no more, and its tokens are refused';
COMMENT ON COLUMN auth.issuer_keys.seen_at IS 'when the key set last had it';
COMMENT ON COLUMN auth.issuer_keys.created_at IS 'when the key set first had it';

-- No foreign keys: what has ended stays so when the issuer is trusted again, or the person is accepted again.
CREATE TABLE auth.ended_sessions (
    issuer text NOT NULL,
    sid text NOT NULL DEFAULT '',
    subject text NOT NULL DEFAULT '',
    organization_id text NOT NULL DEFAULT '',
    ended_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, sid, subject, organization_id),
    CHECK (sid <> '' OR subject <> '' OR organization_id <> '')
);
CREATE INDEX ended_sessions_expires_at_idx ON auth.ended_sessions (expires_at);
COMMENT ON TABLE auth.ended_sessions IS 'sessions of trusted issuers that have ended here; a token of one is refused, however long it is good for';
COMMENT ON COLUMN auth.ended_sessions.issuer IS 'whose session it is';
COMMENT ON COLUMN auth.ended_sessions.sid IS 'the issuer''s id of the session; empty where the row is about several';
COMMENT ON COLUMN auth.ended_sessions.subject IS 'the issuer''s id of the person, whose sessions of before ended_at have ended; empty where the row is about a session or an organization';
COMMENT ON COLUMN auth.ended_sessions.organization_id IS 'with it, the sessions of this organization alone; empty otherwise';
COMMENT ON COLUMN auth.ended_sessions.ended_at IS 'when they ended; whoever signed in later is not meant';
COMMENT ON COLUMN auth.ended_sessions.expires_at IS 'when auth.cleanup() may remove the row: 400 days later, or workos_auth.session_ttl if that is longer';
COMMENT ON INDEX auth.ended_sessions_expires_at_idx IS 'for the clean-up of what nothing is left of';
