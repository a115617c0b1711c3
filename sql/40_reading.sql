-- Reading: everyone, in policies. The code of each function stands in src/api/reading.rs.

CREATE FUNCTION auth.session_claims() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_session_claims';
COMMENT ON FUNCTION auth.session_claims() IS 'the verified claims of the current session, as its issuer signed them; NULL without one';

CREATE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_session_claims';
COMMENT ON FUNCTION auth.jwt() IS 'the same as auth.session_claims(), under the name Supabase gives it';

CREATE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_uid';
COMMENT ON FUNCTION auth.uid() IS 'the id of the current person, auth.users.id; NULL without a session';

CREATE FUNCTION auth.role() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_role';
COMMENT ON FUNCTION auth.role() IS 'the database role of the current session; never a WorkOS role (see auth.has_role). Without a session it is never NULL: the role that the client acts as, or anon where sessions may have that role';

CREATE FUNCTION auth.email() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_email';
COMMENT ON FUNCTION auth.email() IS 'auth.users.email of the current person; NULL without a session or an address';

CREATE FUNCTION auth.session_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_session_id';
COMMENT ON FUNCTION auth.session_id() IS 'the id of the current session; NULL without one, and where an issuer''s id of it is no uuid';

CREATE FUNCTION auth.organization_id() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_organization_id';
COMMENT ON FUNCTION auth.organization_id() IS 'the WorkOS organization the current session was signed in through';

CREATE FUNCTION auth.connection_id() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_connection_id';
COMMENT ON FUNCTION auth.connection_id() IS 'the WorkOS connection the current session was signed in through';

-- Two functions a question instead of one with a default: a row whose organization is NULL must match nobody.
CREATE FUNCTION auth.has_role(role text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_role';
COMMENT ON FUNCTION auth.has_role(text) IS 'whether the person has this WorkOS role in the organization of the session';
CREATE FUNCTION auth.has_role(role text, organization text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_role_in';
COMMENT ON FUNCTION auth.has_role(text, text) IS 'whether the session is of this organization and the person has this WorkOS role there; false for a NULL organization';

CREATE FUNCTION auth.in_group("group" text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_in_group';
COMMENT ON FUNCTION auth.in_group(text) IS 'whether the identity provider puts the person into this group';
CREATE FUNCTION auth.in_group("group" text, organization text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_in_group_in';
COMMENT ON FUNCTION auth.in_group(text, text) IS 'whether the session is of this organization and its identity provider puts the person into this group; false for a NULL organization';

CREATE FUNCTION auth.has_permission(permission text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_permission';
COMMENT ON FUNCTION auth.has_permission(text) IS 'whether the person has this permission in the organization of the session';
CREATE FUNCTION auth.has_permission(permission text, organization text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_permission_in';
COMMENT ON FUNCTION auth.has_permission(text, text) IS 'whether the session is of this organization and the person has this permission there; false for a NULL organization';

CREATE FUNCTION auth.issuer() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_issuer';
COMMENT ON FUNCTION auth.issuer() IS 'who signed the token of the current session: this installation, or one of auth.trusted_issuers; NULL without one';

CREATE FUNCTION auth.subject() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_subject';
COMMENT ON FUNCTION auth.subject() IS 'the issuer''s own id of the current person, the claim sub; of a session of this installation the same as auth.uid()';

CREATE FUNCTION auth.recently_authenticated(within interval) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_recently_authenticated';
COMMENT ON FUNCTION auth.recently_authenticated(interval) IS
    'whether the person has signed in, not only refreshed, within this time, by the claim auth_time; false where the token does not say. A month has 30 days';

CREATE FUNCTION auth.has_feature(feature text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'workos_auth_has_feature';
COMMENT ON FUNCTION auth.has_feature(text) IS 'whether the token has this feature flag, by its slug: the claim feature_flags';

CREATE FUNCTION auth.set_session(access_token text, is_local boolean DEFAULT true) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'set_session_wrapper';
COMMENT ON FUNCTION auth.set_session(text, boolean) IS
    'verifies an access token and makes it the current session: until the end of the transaction, or of the connection with is_local => false; returns its claims';

CREATE FUNCTION auth.clear_session() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'clear_session_wrapper';
COMMENT ON FUNCTION auth.clear_session() IS 'takes the current session off the connection; it stays signed in';

CREATE FUNCTION auth.use_request_token() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'use_request_token_wrapper';
COMMENT ON FUNCTION auth.use_request_token() IS
    'PostgREST''s db-pre-request: makes the bearer token of the request''s Authorization header the current session; a bad one is refused with SQLSTATE PT401, which PostgREST answers with 401';

CREATE FUNCTION auth.verify_token(access_token text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'verify_token_wrapper';
COMMENT ON FUNCTION auth.verify_token(text) IS 'verifies an access token and returns its claims, without making it the current session';

CREATE FUNCTION auth.jwks() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'jwks_wrapper';
COMMENT ON FUNCTION auth.jwks() IS 'the public keys that verify access tokens, as a set of JSON Web Keys (RFC 7517)';
