-- Signing in: the backend's role. The code of each function stands in src/api/signing_in.rs.
--
-- These functions, and those of one's own account, look rows up by their keys, with plans that a backend keeps. A plan that was made
-- while auth.flow_states was all but empty, as it mostly is, would read the whole table, and with it every row that a burst of sign-ins
-- left behind, until the next autovacuum: hence enable_seqscan. Where something has to be read whole, the plan's price is then so high
-- that Postgres would compile it: hence jit.

CREATE FUNCTION auth.plan_support(internal) RETURNS internal
    LANGUAGE c AS 'MODULE_PATHNAME', 'plan_support_wrapper';
COMMENT ON FUNCTION auth.plan_support(internal) IS
    'has the library loaded when a query that needs it is planned; a SECURITY DEFINER function alone loads it when it is first run, too late to know the query';

CREATE FUNCTION auth.start_sign_in(
    organization text DEFAULT NULL,
    connection text DEFAULT NULL,
    provider text DEFAULT NULL,
    redirect_to text DEFAULT NULL,
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL,
    OUT url text,
    OUT state text,
    OUT code_verifier text,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'start_sign_in_wrapper';
COMMENT ON FUNCTION auth.start_sign_in(text, text, text, text, text, text, jsonb) IS
    'starts a sign-in: send the browser to url; keep state and code_verifier in its cookie until the callback';

CREATE FUNCTION auth.workos_authorize_url(
    organization text DEFAULT NULL,
    connection text DEFAULT NULL,
    provider text DEFAULT NULL,
    redirect_to text DEFAULT NULL,
    code_challenge text DEFAULT NULL,
    code_challenge_method text DEFAULT 'S256',
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'workos_authorize_url_wrapper';
COMMENT ON FUNCTION auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb) IS
    'starts a sign-in for a caller that holds its own PKCE verifier; the state stands in the URL';

CREATE FUNCTION auth.organization_for_email(email text) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'organization_for_email_wrapper';
COMMENT ON FUNCTION auth.organization_for_email(text) IS
    'the WorkOS organization that alone vouches for the domain of an e-mail address (auth.organization_domains); NULL where none does or several do, and for what is no address. Of people it reads nothing';

-- An argument email of auth.start_sign_in would make another function of the name, and calls such as auth.start_sign_in('org_…') ambiguous.
CREATE FUNCTION auth.start_sign_in_by_email(
    email text,
    redirect_to text DEFAULT NULL,
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL,
    OUT url text,
    OUT state text,
    OUT code_verifier text,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'start_sign_in_by_email_wrapper';
COMMENT ON FUNCTION auth.start_sign_in_by_email(text, text, text, text, jsonb) IS
    'as auth.start_sign_in with the organization of auth.organization_for_email, which must be there; the address is the login_hint unless another is given';

CREATE FUNCTION auth.workos_authorize_url_by_email(
    email text,
    redirect_to text DEFAULT NULL,
    code_challenge text DEFAULT NULL,
    code_challenge_method text DEFAULT 'S256',
    login_hint text DEFAULT NULL,
    domain_hint text DEFAULT NULL,
    params jsonb DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'workos_authorize_url_by_email_wrapper';
COMMENT ON FUNCTION auth.workos_authorize_url_by_email(text, text, text, text, text, text, jsonb) IS
    'as auth.workos_authorize_url with the organization of auth.organization_for_email, which must be there; the address is the login_hint unless another is given';

CREATE FUNCTION auth.handle_callback(
    code text,
    state text,
    error text DEFAULT NULL,
    error_description text DEFAULT NULL,
    connection text DEFAULT NULL,
    organization text DEFAULT NULL,
    is_bound boolean DEFAULT true
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'handle_callback_wrapper';
COMMENT ON FUNCTION auth.handle_callback(text, text, text, text, text, text, boolean) IS
    'brokered mode: consumes the query of WorkOS''s redirect and returns the URL to send the browser to; the URL has a code of our own, tokens or an error; is_bound: whether this browser began the sign-in, without which nobody is given tokens';

CREATE FUNCTION auth.exchange_code(
    code text,
    verifier text DEFAULT NULL,
    state text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'exchange_code_wrapper';
COMMENT ON FUNCTION auth.exchange_code(text, text, text, inet, text) IS
    'turns the code of the callback, WorkOS''s or auth.handle_callback''s, into a session; asks WorkOS unless that was done, writes user, identity and membership, signs the access token';

CREATE FUNCTION auth.try_exchange_code(
    code text,
    verifier text DEFAULT NULL,
    state text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL,
    OUT access_token text,
    OUT refresh_token text,
    OUT expires_at timestamptz,
    OUT session_id uuid,
    OUT user_id uuid,
    OUT email text,
    OUT organization_id text,
    OUT is_new_user boolean,
    OUT redirect_to text,
    OUT provider_token text,
    OUT claims jsonb,
    OUT error_code text,
    OUT error_sqlstate text,
    OUT error_detail text,
    OUT flow_id uuid
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'try_exchange_code_wrapper';
COMMENT ON FUNCTION auth.try_exchange_code(text, text, text, inet, text) IS
    'as auth.exchange_code, for a caller that commits; where WorkOS has named somebody who may not sign in, it raises nothing and spends the code; it writes login_refused into auth.audit_log_entries, and returns why in error_code, error_sqlstate and error_detail. Where AuthKit asks for the organization, it writes nothing there, and auth.select_organization goes on with the flow_id';

CREATE FUNCTION auth.refresh_session(
    refresh_token text,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'refresh_session_wrapper';
COMMENT ON FUNCTION auth.refresh_session(text, inet, text) IS
    'gives a session new tokens and replaces its refresh token; one that was replaced before, other than in another tab or by a lost answer, ends the session';

CREATE FUNCTION auth.select_organization(
    pending uuid,
    organization text,
    verifier text DEFAULT NULL,
    state text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'select_organization_wrapper';
COMMENT ON FUNCTION auth.select_organization(uuid, text, text, text, inet, text) IS
    'finishes a sign-in through AuthKit of which auth.try_exchange_code said organization_selection_required: pending is its flow_id, organization one of those that it named; verifier and state as for auth.exchange_code. Asks WorkOS';

CREATE FUNCTION auth.switch_organization(
    refresh_token text,
    organization text,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'switch_organization_wrapper';
COMMENT ON FUNCTION auth.switch_organization(text, text, inet, text) IS
    'has a session that began with AuthKit go on in another organization, and gives it new tokens as auth.refresh_session does. Asks WorkOS; where it refuses, the session stays as it was. Access tokens from before are stale';

CREATE FUNCTION auth.accept_token(access_token text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'accept_token_wrapper';
COMMENT ON FUNCTION auth.accept_token(text) IS
    'makes the person of a good token known, whose issuer is trusted: account, identity, and the membership in the token''s organization; returns the id. For a person who is known it writes nothing';
