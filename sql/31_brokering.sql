-- Brokering: for a database that may not talk to the outside, a role with auth.grant_broker carries the request to WorkOS and its answer.
-- The code of each function stands in src/api/brokering.rs. Settings as in 30_signing_in.sql, for the same reasons.

CREATE FUNCTION auth.exchange_request(
    code text,
    verifier text DEFAULT NULL,
    state text DEFAULT NULL,
    OUT exchange_id uuid,
    OUT url text,
    OUT headers jsonb,
    OUT body text,
    OUT json_body text,
    OUT connect_timeout interval,
    OUT request_timeout interval
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'exchange_request_wrapper';
COMMENT ON FUNCTION auth.exchange_request(text, text, text) IS
    'the first half of auth.exchange_code, up to the request to WorkOS, which the caller commits, POSTs and answers with auth.exchange_answer; body holds WorkOS''s API key; json_body is for a server that answers body with 400 invalid_request_body; only for roles of auth.grant_broker';

CREATE FUNCTION auth.exchange_answer(
    exchange_id uuid,
    status integer,
    headers jsonb DEFAULT NULL,
    body text DEFAULT NULL,
    failure text DEFAULT NULL,
    ip inet DEFAULT NULL,
    user_agent text DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'exchange_answer_wrapper';
COMMENT ON FUNCTION auth.exchange_answer(uuid, integer, jsonb, text, text, inet, text) IS
    'the second half of auth.exchange_code: takes WorkOS''s answer, or as failure the name of the error where none came, and returns the session; the caller vouches for who somebody is; once, within request_timeout and 5 s; only for roles of auth.grant_broker';

CREATE FUNCTION auth.try_exchange_answer(
    exchange_id uuid,
    status integer,
    headers jsonb DEFAULT NULL,
    body text DEFAULT NULL,
    failure text DEFAULT NULL,
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
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'try_exchange_answer_wrapper';
COMMENT ON FUNCTION auth.try_exchange_answer(uuid, integer, jsonb, text, text, inet, text) IS
    'as auth.exchange_answer, for a caller that commits; where WorkOS has named somebody who may not sign in, it raises nothing and spends the code; it writes login_refused into auth.audit_log_entries, and returns why in error_code, error_sqlstate and error_detail';

CREATE FUNCTION auth.callback_request(
    code text,
    state text,
    error text DEFAULT NULL,
    error_description text DEFAULT NULL,
    connection text DEFAULT NULL,
    organization text DEFAULT NULL,
    is_bound boolean DEFAULT true,
    OUT redirect_to text,
    OUT exchange_id uuid,
    OUT url text,
    OUT headers jsonb,
    OUT body text,
    OUT json_body text,
    OUT connect_timeout interval,
    OUT request_timeout interval
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'callback_request_wrapper';
COMMENT ON FUNCTION auth.callback_request(text, text, text, text, text, text, boolean) IS
    'the first half of auth.handle_callback: redirect_to, where WorkOS need not be asked, or the request to WorkOS, as of auth.exchange_request, for auth.callback_answer; only for roles of auth.grant_broker';

CREATE FUNCTION auth.callback_answer(
    exchange_id uuid,
    status integer,
    headers jsonb DEFAULT NULL,
    body text DEFAULT NULL,
    failure text DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'callback_answer_wrapper';
COMMENT ON FUNCTION auth.callback_answer(uuid, integer, jsonb, text, text) IS
    'the second half of auth.handle_callback: takes WorkOS''s answer and returns the URL to send the browser to; where no answer came, failure is the name of the error; the caller vouches for who somebody is; only for roles of auth.grant_broker';
