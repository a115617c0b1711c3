-- Trusted issuers: administrators. The code of each function stands in src/api/trusted_issuers.rs.

-- Not SECURITY DEFINER: it looks at the rights of its caller and takes the owner's only to write.
CREATE FUNCTION auth.trust_issuer(
    issuer text,
    kind text,
    jwks_uri text DEFAULT NULL,
    jwks jsonb DEFAULT NULL,
    audience text DEFAULT NULL,
    client_id text DEFAULT NULL,
    database_role text DEFAULT NULL,
    claims jsonb DEFAULT '{}'
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'trust_issuer_wrapper';
COMMENT ON FUNCTION auth.trust_issuer(text, text, text, jsonb, text, text, text, jsonb) IS
    'has tokens of an issuer accepted, or says anew which; kind is workos_auth, authkit, authkit_m2m or oidc. jwks are its keys; without them, auth.refresh_issuer_keys fetches those of jwks_uri. claims says which claim means what. A jwks_uri that is not below the WorkOS api_url needs superuser';

CREATE FUNCTION auth.trust_workos() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'trust_workos_wrapper';
COMMENT ON FUNCTION auth.trust_workos() IS
    'has tokens of AuthKit accepted: of both issuers that the WorkOS environment of auth.configure_workos may have. Then run auth.refresh_issuer_keys';

CREATE FUNCTION auth.distrust_issuer(issuer text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'distrust_issuer_wrapper';
COMMENT ON FUNCTION auth.distrust_issuer(text) IS
    'refuses every token of an issuer from the next statement on, and removes its keys; its people stay in auth.users. Says how many issuers: 1, or 0 where it is not trusted';

CREATE FUNCTION auth.set_issuer_keys(issuer text, jwks jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_issuer_keys_wrapper';
COMMENT ON FUNCTION auth.set_issuer_keys(text, jsonb) IS
    'replaces the keys of a trusted issuer by those of a key set (RFC 7517), and says how many verify now; keys that are not among them are retired at once';

CREATE FUNCTION auth.refresh_issuer_keys(issuer text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'refresh_issuer_keys_wrapper';
COMMENT ON FUNCTION auth.refresh_issuer_keys(text) IS
    'fetches the key sets of trusted issuers from their jwks_uri, as auth.set_issuer_keys takes them, and says how many keys of them verify now; NULL: of all. Of several, one that fails is a WARNING, and its keys stay';

CREATE FUNCTION auth.set_organization_issuer(organization text, issuer text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_organization_issuer_wrapper';
COMMENT ON FUNCTION auth.set_organization_issuer(text, text) IS
    'says which trusted issuer an organization belongs to, from the next statement on; NULL: WorkOS. Nobody else speaks for it. Ends the sessions that sign-ins with WorkOS opened there. Says how many organizations: 1, or 0 where there is none';
