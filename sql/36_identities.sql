-- The identities of one's own account: everyone, with the access token of the person. The code of each function stands in src/api/identities.rs.

CREATE FUNCTION auth.link_identity(
    access_token text,
    organization text DEFAULT NULL,
    connection text DEFAULT NULL,
    provider text DEFAULT NULL,
    redirect_to text DEFAULT NULL,
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL,
    code_challenge text DEFAULT NULL,
    code_challenge_method text DEFAULT 'S256',
    OUT url text,
    OUT state text,
    OUT code_verifier text,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'link_identity_wrapper';
COMMENT ON FUNCTION auth.link_identity(text, text, text, text, text, text, text, jsonb, text, text) IS
    'as auth.start_sign_in, for the person of an access token: auth.exchange_code then adds the identity to their account and returns a new session of it. With a code_challenge the caller keeps its own verifier, and code_verifier is NULL';

CREATE FUNCTION auth.unlink_identity(access_token text, identity_id uuid) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'unlink_identity_wrapper';
COMMENT ON FUNCTION auth.unlink_identity(text, uuid) IS
    'removes one of the identities of an access token''s person, never the last, and ends the sessions that it opened; a membership that no other identity leads to goes with it';
