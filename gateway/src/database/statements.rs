//! Every statement that this server sends.

/// A session and its person, in one statement. OFFSET keeps the call a single one, and as a value it costs less than a table.
macro_rules! session_and_person {
    ($call:literal, $further:literal) => {
        concat!(
            "select (s).access_token, (s).refresh_token, (s).provider_token, (s).session_id, (s).user_id, (s).organization_id,
             (s).expires_at, clock_timestamp() as now,
             case when (s).access_token is not null then auth.get_user(access_token => (s).access_token)::text end as \"user\"",
            $further,
            " from (select ",
            $call,
            " as s offset 0) opened"
        )
    };
}

/// The columns of a request to WorkOS.
macro_rules! workos_request {
    ($columns:literal, $call:literal) => {
        concat!(
            "select ",
            $columns,
            "exchange_id, url, headers, body, json_body, extract(epoch from connect_timeout)::float8 as connect_timeout,
             extract(epoch from request_timeout)::float8 as request_timeout from ",
            $call
        )
    };
}

/// Begins a sign-in.
pub const AUTHORIZE_URL: &str =
    "select auth.workos_authorize_url(organization => $1, connection => $2, provider => $3, redirect_to => $4,
    code_challenge => $5, code_challenge_method => $6, login_hint => $7, domain_hint => $8, params => $9)";
/// Finds the organization of a domain. Of the address, what stands before the @ is not looked at.
pub const ORGANIZATION_FOR_DOMAIN: &str = "select auth.organization_for_email(email => 'x@' || $1)";
/// Takes what WorkOS sends the browser back with.
pub const HANDLE_CALLBACK: &str =
    "select auth.handle_callback(code => $1, state => $2, error => $3, error_description => $4,
    connection => $5, organization => $6, is_bound => $7)";
/// Somebody who may not sign in is an answer: so the statement commits, and the audit log has it.
pub const EXCHANGE_CODE: &str = session_and_person!(
    "auth.try_exchange_code(code => $1, verifier => $2, ip => $3, user_agent => $4)",
    ", (s).error_sqlstate, (s).error_detail, (s).flow_id"
);
/// What a broker asks WorkOS for a code.
pub const EXCHANGE_REQUEST: &str = workos_request!("", "auth.exchange_request(code => $1, verifier => $2)");
/// A broker's answer to that. As above.
pub const EXCHANGE_ANSWER: &str = session_and_person!(
    "auth.try_exchange_answer(exchange_id => $1, status => $2, headers => $3, body => $4, failure => $5, ip => $6, user_agent => $7)",
    ", (s).error_sqlstate, (s).error_detail, (s).flow_id"
);
/// What a broker asks WorkOS at a callback.
pub const CALLBACK_REQUEST: &str = workos_request!(
    "redirect_to, ",
    "auth.callback_request(code => $1, state => $2, error => $3, error_description => $4, connection => $5, organization => $6, is_bound => $7)"
);
/// A broker's answer to that.
pub const CALLBACK_ANSWER: &str =
    "select auth.callback_answer(exchange_id => $1, status => $2, headers => $3, body => $4, failure => $5)";
/// Replaces a refresh token.
pub const REFRESH_SESSION: &str =
    session_and_person!("auth.refresh_session(refresh_token => $1, ip => $2, user_agent => $3)", "");
/// Makes the person of a trusted issuer's token known.
pub const ACCEPT_TOKEN: &str = "select auth.accept_token(access_token => $1)";
/// The token's person.
pub const GET_USER: &str = "select auth.get_user(access_token => $1)::text";
/// Changes what the person says of themselves.
pub const UPDATE_USER: &str = "select auth.update_user(access_token => $1, user_metadata => $2)::text";
/// Begins a sign-in that adds an identity.
pub const LINK_IDENTITY: &str =
    "select url from auth.link_identity(organization => $1, connection => $2, provider => $3, redirect_to => $4,
    code_challenge => $5, code_challenge_method => $6, login_hint => $7, domain_hint => $8, params => $9,
    access_token => $10)";
/// Takes an identity away.
pub const UNLINK_IDENTITY: &str = "select auth.unlink_identity(access_token => $1, identity_id => $2) is not null";
/// Ends sessions.
pub const SIGN_OUT: &str = "select auth.sign_out(access_token => $1, scope => $2)";
/// Takes what WorkOS tells.
pub const RECEIVE_WEBHOOK: &str = "select auth.receive_webhook(body => $1, signature => $2)";
/// The public keys.
pub const JWKS: &str = "select auth.jwks()";
/// What the database says about itself. In this order: the readers load the library, which then knows its settings.
pub const SETTINGS: &str = "select auth.jwks(), current_setting('workos_auth.issuer', true), current_setting('workos_auth.allow_signup', true)";
/// Whether this role may do what it has to, and is one that row-level security binds, where one can write.
pub const READY: &str = "select
    bool_and(has_function_privilege(f, 'execute')) as may,
    (select rolsuper or rolbypassrls from pg_catalog.pg_roles where rolname = current_user) as unbound,
    current_setting('transaction_read_only') = 'on' as reads_only
    from unnest(array['auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb)',
        'auth.try_exchange_code(text, text, text, inet, text)', 'auth.refresh_session(text, inet, text)', 'auth.require_ready()']) f";

/// Whether this role may carry what WorkOS is asked.
pub const MAY_BROKER: &str = "select bool_and(has_function_privilege(f, 'execute')) from unnest(array[
    'auth.exchange_request(text, text, text)', 'auth.try_exchange_answer(uuid, integer, jsonb, text, text, inet, text)',
    'auth.callback_request(text, text, text, text, text, text, boolean)', 'auth.callback_answer(uuid, integer, jsonb, text, text)']) f";

/// Whether sign-ins of a new connection can succeed, whatever this connection has opened before.
pub const REQUIRE_READY: &str = "select auth.require_ready()";

/// The versions of the extension.
pub const VERSIONS: &str = "select library, sql from auth.version()";
