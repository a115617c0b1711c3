//! Every failure a program may want to tell apart: its SQLSTATE, its stable name, the HTTP status a
//! gateway gives it, its message, its detail where that is always the same, and its hint; one row each.
//!
//! To change an error message, change its row here. The SQL view `auth.error_codes` lists this table.
//!
//! Codes of our own stand in class `WA`. Where Supabase Auth has an `error_code` for the same thing, that is the
//! name. What Postgres has a code for keeps it (22004, 22023, 25006, 42501, …).

use std::borrow::Cow;
use std::fmt;

/// A failure: which one, the particulars, and what to do about it.
///
/// No token, code, verifier or secret, nor a part of one, may be put into `detail` or `hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    sqlstate: &'static str,
    detail: Option<String>,
    hint: Option<Cow<'static, str>>,
    for_log: Option<String>,
}

/// The usual result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure with nothing particular to say about it.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, sqlstate: code.sqlstate(), detail: None, hint: None, for_log: None }
    }

    /// A failure with its particulars: which argument, which value, what WorkOS said.
    pub fn with_detail(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new(code) }
    }

    /// Replaces the hint of the code's own row.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Gives it another SQLSTATE, for callers that know no other. So that it can still be told from others, the detail
    /// should name it.
    #[must_use]
    pub fn with_sqlstate(mut self, sqlstate: &'static str, detail: impl Into<String>) -> Self {
        self.sqlstate = sqlstate;
        self.detail = Some(detail.into());
        self
    }

    /// With particulars that the server's log alone shows. No secret may be among them either.
    #[must_use]
    pub fn for_log(mut self, particulars: impl Into<String>) -> Self {
        self.for_log = Some(particulars.into());
        self
    }

    /// An argument that must not be NULL, by its SQL name.
    pub fn null(argument: &str) -> Self {
        Self::with_detail(ErrorCode::NullValue, format!("The argument {argument} is NULL."))
    }

    /// An argument whose value cannot be used, by its SQL name; `why` is a whole sentence without the value.
    pub fn invalid(argument: &str, why: &str) -> Self {
        Self::with_detail(ErrorCode::InvalidArgument, format!("The argument {argument} cannot be used: {why}"))
    }

    /// Which failure this is.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The SQLSTATE: its code's, unless [`Error::with_sqlstate`] gave it another.
    pub fn sqlstate(&self) -> &'static str {
        self.sqlstate
    }

    /// The DETAIL line: this failure's own, or its code's.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref().or(match self.code.detail() {
            "" => None,
            detail => Some(detail),
        })
    }

    /// The DETAIL line of the server's log, where it says more than the client's.
    pub fn log_detail(&self) -> Option<String> {
        let particulars = self.for_log.as_deref()?;
        Some(match self.detail() {
            Some(detail) => format!("{detail} {particulars}"),
            None => particulars.to_owned(),
        })
    }

    /// The HINT line: this failure's own, or its code's.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref().or(match self.code.hint() {
            "" => None,
            hint => Some(hint),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.message())
    }
}

impl std::error::Error for Error {}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $sqlstate:literal, $name:literal, $http:literal, $message:literal, $detail:literal, $hint:literal;)+) => {
        /// One failure that a program may want to tell apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* #[doc = concat!("`", $sqlstate, "` `", $name, "`: ", $message)] $variant,)+
        }

        impl ErrorCode {
            /// All of them, in the order of this file.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// Five characters, class `WA` or Postgres's own.
            pub const fn sqlstate(self) -> &'static str {
                match self { $(ErrorCode::$variant => $sqlstate,)+ }
            }

            /// The stable name, Supabase Auth's where it has one.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)+ }
            }

            /// The HTTP status that a gateway answers with.
            pub const fn http_status(self) -> u16 {
                match self { $(ErrorCode::$variant => $http,)+ }
            }

            /// The primary message.
            pub const fn message(self) -> &'static str {
                match self { $(ErrorCode::$variant => $message,)+ }
            }

            /// The particulars where the failure itself brings none; empty where it always does.
            pub const fn detail(self) -> &'static str {
                match self { $(ErrorCode::$variant => $detail,)+ }
            }

            /// What to do about it; empty where there is nothing to say in general.
            pub const fn hint(self) -> &'static str {
                match self { $(ErrorCode::$variant => $hint,)+ }
            }
        }
    };
}

error_codes! {
    // Standard codes that keep their standard meaning.
    NullValue = "22004", "null_value", 400, "a value is required",
        "",
        "Pass a value for this argument.";
    InvalidArgument = "22023", "validation_failed", 400, "an argument cannot be used",
        "",
        "The detail says what is taken. In psql, \\df+ auth.* describes each function.";
    InTransaction = "25001", "active_transaction", 409, "this call commits, which is not possible here",
        "",
        "Call it outside of every transaction block and function, as a statement of its own.";
    ReadOnly = "25006", "read_only", 503, "this call writes, which is not possible here",
        "",
        "Send this call to the primary; verifying and reading work on a standby.";
    InsufficientPrivilege = "42501", "insufficient_privilege", 403, "permission denied",
        "",
        "Ask an administrator of the database.";
    TooManyRequests = "53400", "over_request_rate_limit", 429, "too many backends are waiting for WorkOS",
        "",
        "Try again shortly, or raise workos_auth.max_concurrent_requests.";
    SessionChanged = "55000", "session_changed", 409, "the session changed while a query was reading its claims",
        "One query has one identity: it has read another session, or none, before.",
        "Call auth.set_session before the query; what a function runs is part of the query that calls it. What works through several people is a procedure or a DO block.";
    SerializationFailure = "40001", "serialization_failure", 503, "could not serialize access due to a concurrent sign-in",
        "",
        "Run the transaction again.";
    Unexpected = "XX000", "unexpected_failure", 500, "an internal error occurred",
        "",
        "Please report this with the detail.";

    // Starting a sign-in.
    SelectorMissing = "WA001", "selector_missing", 400, "nobody to sign in with: organization, connection or provider is required",
        "organization, connection and provider are all NULL.",
        "Pass one of them, for example organization => 'org_…'.";
    SelectorConflict = "WA002", "selector_conflict", 400, "provider cannot stand beside organization or connection",
        "WorkOS takes one selector; organization and connection may stand together, since the connection alone is sent.",
        "Pass provider alone, or organization and connection without it.";
    RedirectToMalformed = "WA003", "redirect_to_malformed", 400, "redirect_to is not a usable URL",
        "",
        "Use an absolute URL without user name, backslash or control characters, for example https://app.example.com/after-sign-in.";
    RedirectToNotAllowed = "WA004", "redirect_to_not_allowed", 400, "redirect_to is not on the list of redirect URLs",
        "",
        "An administrator adds it with INSERT INTO auth.redirect_urls (pattern) VALUES ('https://…').";
    CodeChallengeInvalid = "WA005", "code_challenge_invalid", 400, "the code challenge is not well-formed",
        "",
        "With S256 it is base64url(sha256(verifier)): 43 characters without padding (RFC 7636, section 4.2).";
    CodeChallengeMethodNotAllowed = "WA006", "code_challenge_method_not_allowed", 400, "this code challenge method is not allowed",
        "S256 is allowed; plain only with workos_auth.allow_plain_pkce = on.",
        "Use S256.";
    CodeChallengeRequired = "WA007", "code_challenge_required", 400, "a sign-in without a code challenge is not allowed here",
        "workos_auth.require_code_challenge is on, and code_challenge is NULL.",
        "Pass code_challenge, or call auth.start_sign_in, which makes one.";
    CodeChallengeInUse = "WA008", "code_challenge_in_use", 409, "another sign-in is waiting with the same code challenge",
        "Several sign-ins have the challenge of this verifier, and state, which would tell them apart, is NULL.",
        "Pass the state of the callback URL, or make a new verifier for every sign-in.";
    ReservedParameter = "WA009", "reserved_parameter", 400, "params holds a parameter that is not the caller's to set",
        "",
        "Use the argument of that name, or leave it out.";
    ParameterInvalid = "WA010", "parameter_invalid", 400, "params cannot be sent as query parameters",
        "",
        "Use a JSON object of strings, numbers, booleans, arrays of them, or one level of objects of them.";
    RedirectPatternUnsafe = "WA011", "redirect_pattern_unsafe", 400, "the pattern could match a foreign address",
        "",
        "Write scheme and host out; a wildcard may stand in the left-most labels of the host, in front of at least two literal ones, and in the path.";
    SsoProviderNotFound = "WA012", "sso_provider_not_found", 404, "no organization is found for this e-mail address",
        "There is no organization of WorkOS that alone vouches for the domain of the address.",
        "Offer another way to sign in. An administrator lists a domain with INSERT INTO auth.organization_domains (organization_id, domain) VALUES ('org_…', '…'), for one organization.";

    // Setting up.
    ProviderNotConfigured = "WA101", "provider_not_configured", 503, "WorkOS is not configured in this database",
        "auth.providers has no row for workos.",
        "Run select auth.configure_workos(client_id => …, redirect_uri => …, client_secret_file => …).";
    ProviderDisabled = "WA102", "provider_disabled", 503, "sign-in with WorkOS is switched off in this database",
        "The provider's row is kept, with enabled = false.",
        "Run auth.configure_workos with enabled => true.";
    ProviderChanged = "WA103", "provider_changed", 409, "the WorkOS configuration changed since this sign-in began",
        "A code is only shown to the client_id and api_url that it was asked for with.",
        "Start the sign-in again.";
    ClientSecretRequired = "WA104", "client_secret_required", 400, "a client secret is required",
        "There is none for this client_id and api_url.",
        "The secret is bound to client_id and api_url: pass client_secret or client_secret_file when either changes and at the first call.";
    ClientSecretFileInvalid = "WA105", "client_secret_file_invalid", 400, "the client secret file cannot be used",
        "",
        "It must be a regular file of at most 4 kB that the server alone can read and that holds the key and nothing else.";
    ApiUrlInvalid = "WA106", "api_url_invalid", 400, "api_url cannot be used",
        "",
        "Use an https URL without user name, query or fragment; http is allowed for loopback only.";
    RedirectUriInvalid = "WA107", "redirect_uri_invalid", 400, "redirect_uri cannot be used",
        "",
        "Use the absolute URL that stands in the WorkOS dashboard: https, or http for loopback.";
    ForeignKeyUnsafe = "WA108", "foreign_key_unsafe", 400, "a foreign key to a table of the extension may reference its primary key alone, without a cast",
        "",
        "Reference the primary key, with a column of its type or of a domain over it: uuid for auth.users (id).";
    RoleUnusable = "WA109", "role_unusable", 503, "the role workos_auth_nobody cannot be used",
        "",
        "It must be there, without attributes. As a superuser, run CREATE ROLE workos_auth_nobody NOLOGIN NOINHERIT, or ALTER ROLE workos_auth_nobody NOSUPERUSER NOBYPASSRLS.";
    RootKeyNotConfigured = "WA110", "root_key_not_configured", 503, "no root key is configured",
        "workos_auth.root_key_file and workos_auth.root_key_command are empty.",
        "Run select auth.create_root_key('/absolute/path'), put workos_auth.root_key_file = '/absolute/path' into postgresql.conf and reload.";
    RootKeyRequired = "WA130", "root_key_required", 503, "this database has sealed secrets, and no root key is configured",
        "workos_auth.root_key_file and workos_auth.root_key_command are empty.",
        "Name the root key that this database was set up with in postgresql.conf and reload. If it is lost, a superuser runs select auth.abandon_sealed_data(), makes a new one with auth.create_root_key, and runs auth.configure_workos again.";
    RootKeyNotFound = "WA131", "root_key_not_found", 503, "the root key file is not there",
        "",
        "Put it back, or mount it. If it is lost, a superuser runs select auth.abandon_sealed_data(), makes a new one with auth.create_root_key, and runs auth.configure_workos again.";
    RootKeyCommandFailed = "WA132", "root_key_command_failed", 503, "the program that prints the root key failed",
        "",
        "Run workos_auth.root_key_command as the operating-system user that runs Postgres. What it writes to standard error stands in the server's log.";
    RootKeyCommandTimeout = "WA133", "root_key_command_timeout", 503, "the program that prints the root key did not end in time",
        "",
        "Run workos_auth.root_key_command as the operating-system user that runs Postgres; workos_auth.root_key_command_timeout says how long it may take.";
    RootKeyCommandMalformed = "WA134", "root_key_command_malformed", 503, "the program that prints the root key printed something else",
        "",
        "It must print 32 random bytes, as they are, in base64 or in hexadecimal digits, and nothing else.";
    RootKeyCommandTooLarge = "WA135", "root_key_command_too_large", 503, "the program that prints the root key printed too much",
        "",
        "It must print 32 random bytes, as they are, in base64 or in hexadecimal digits, and nothing else.";
    RootKeyUnreadable = "WA111", "root_key_unreadable", 503, "the root key cannot be read",
        "",
        "It must be a regular file that the operating-system user that runs Postgres can read. Names of several files are separated by commas; one with a comma or a quotation mark in it stands in double quotes.";
    RootKeyExposed = "WA112", "root_key_exposed", 503, "others can read the root key",
        "",
        "Run chmod 0600 on the file, and have it owned by the operating-system user that runs Postgres; or by root, with the mode 0640 or less.";
    RootKeyInDataDirectory = "WA113", "root_key_in_data_directory", 503, "the root key lies inside the data directory",
        "",
        "Every base backup would copy it: move it elsewhere. For a demo, workos_auth.allow_root_key_in_data_directory = on allows it.";
    RootKeyMalformed = "WA114", "root_key_malformed", 503, "the root key is not a key",
        "",
        "A root key is exactly 32 random bytes, as auth.create_root_key writes them.";
    RootKeyMismatch = "WA115", "root_key_mismatch", 503, "this root key did not seal the secrets of this database",
        "",
        "Put back the root key that this database was set up with. If it is lost, a superuser runs select auth.abandon_sealed_data(), and then auth.configure_workos again, which takes the root key that is configured now.";
    RootKeyExists = "WA116", "root_key_exists", 409, "the root key file exists already",
        "",
        "A root key is never overwritten: losing it makes every sealed secret unreadable. Choose another path.";
    RootKeyNotWritten = "WA117", "root_key_not_written", 500, "the root key file could not be written",
        "",
        "The directory must exist and be writable by the operating-system user that runs Postgres.";
    SealBroken = "WA118", "seal_broken", 500, "a sealed value was altered or moved",
        "",
        "The row was changed outside the extension. Restore it, or replace it: a sign-in by a new one, a signing key by auth.rotate_signing_key(), the client secret by auth.configure_workos.";
    SigningKeyMissing = "WA119", "signing_key_missing", 503, "no active signing key",
        "No row of auth.signing_keys is active and has a private key.",
        "Run auth.configure_workos, which makes one.";
    InstallationIsACopy = "WA120", "installation_is_a_copy", 503, "this database is a copy of an installation, and signs nobody in",
        "",
        "A superuser says which of the two it is: select auth.become_new_installation() makes it an installation of its own; after select auth.take_over_installation() this one goes on, and the other is the copy.";
    ExtensionOutdated = "WA121", "extension_outdated", 503, "the SQL of the extension in this database is older than its library",
        "",
        "In a new connection, a superuser runs ALTER EXTENSION workos_auth UPDATE.";
    ExtensionChanged = "WA122", "extension_changed", 500, "the extension is not as it was installed, and an update would hide that",
        "",
        "select * from auth.check() tells of each, with the statement that restores it. Run these, and update then.";

    JwksInvalid = "WA123", "jwks_invalid", 400, "the key set cannot be used",
        "",
        "Pass a JSON Web Key Set (RFC 7517) of at most 100 public keys, none of which is weak.";
    IssuerKeysNotFetched = "WA124", "issuer_keys_not_fetched", 502, "the keys of a trusted issuer could not be fetched",
        "",
        "The keys that are known stay in force. Check jwks_uri in auth.trusted_issuers, or bring the keys with auth.set_issuer_keys.";

    // A database that verifies what another one signs.
    VerifierOnly = "WA125", "verifier_only", 503, "this database only verifies: the issuer signs people in and out",
        "auth.become_verifier() was called here.",
        "Make this call in the issuer's database.";
    InstallationExists = "WA126", "installation_exists", 409, "this database signs people in itself",
        "",
        "A verifier starts empty: run auth.become_verifier() in a database in which auth.configure_workos was never called. Where that was a mistake, auth.abandon_sealed_data() comes first.";
    VerifierIsFed = "WA127", "verifier_is_fed", 409, "a subscription still feeds this verifier",
        "",
        "Drop the subscription first, with DROP SUBSCRIPTION.";
    PublicationIncomplete = "WA128", "publication_incomplete", 503, "a publication leaves out what verifiers need",
        "",
        "A superuser runs select auth.publish_sessions(publication => …), which mends it. Verifiers refuse everybody until then.";

    ChangedByAnotherFeed = "WA129", "changed_by_another_feed", 409, "a subscription changes what it has not brought",
        "",
        "auth.sessions.subscription and the like say which subscription has brought a row. Each issuer has organizations, sessions and keys of its own. Once that is so again, copy this issuer anew, as docs/verifiers.md says.";

    // Exchanging a code.
    FlowStateNotFound = "WA201", "flow_state_not_found", 404, "no sign-in is waiting for this verifier or state",
        "No row of auth.flow_states has its challenge or state.",
        "It was used already, never begun here, or cleaned up after it expired. Start the sign-in again.";
    FlowStateExpired = "WA202", "flow_state_expired", 422, "this sign-in took too long and has expired",
        "Its time ran out before the code was exchanged.",
        "Start the sign-in again; workos_auth.flow_ttl says how long one may take.";
    BadCodeVerifier = "WA203", "bad_code_verifier", 400, "the code verifier does not belong to this sign-in",
        "The state belongs to a sign-in with another code challenge.",
        "Keep state and verifier together, one cookie a sign-in, so that parallel tabs do not mix them up.";
    CodeVerifierRequired = "WA204", "code_verifier_required", 400, "this sign-in was begun with a code challenge and needs its verifier",
        "A challenge is only met by the verifier it was made of.",
        "Pass the verifier that auth.start_sign_in returned.";
    CodeVerifierInvalid = "WA205", "code_verifier_invalid", 400, "the code verifier is not well-formed",
        "It is too short, too long, or has other characters.",
        "A verifier has 43 to 128 characters from A-Z a-z 0-9 - . _ ~ (RFC 7636, section 4.1); base64 padding may follow them.";
    AuthorizationCodeInvalid = "WA206", "authorization_code_invalid", 400, "the authorization code is not well-formed",
        "It is empty, longer than 2048 bytes, or has other than visible ASCII characters.",
        "Pass the code parameter of the callback URL as it came.";
    Conflict = "WA207", "conflict", 409, "another call is ahead of this one",
        "",
        "Wait for the other call's answer.";
    SiteUrlMissing = "WA208", "site_url_missing", 503, "there is no address to send the browser to",
        "The setting workos_auth.site_url is empty.",
        "Set it to the application's own address: ALTER DATABASE … SET workos_auth.site_url = 'https://…'.";

    // Brokered mode. auth.handle_callback raises none of these: it puts the name into the URL that it returns.
    BadOauthState = "WA220", "bad_oauth_state", 400, "no sign-in is waiting for this state",
        "No row of auth.flow_states has it.",
        "It was never begun here, took too long, or has failed already. Start the sign-in again.";
    BadOauthCallback = "WA221", "bad_oauth_callback", 400, "the callback lacks its state or its code",
        "",
        "WorkOS sends both, or an error. A sign-in begins at the application.";
    FlowStateAlreadyUsed = "WA222", "flow_state_already_used", 400, "this sign-in's callback has been used already",
        "A state is good for one callback.",
        "Start the sign-in again.";
    ImplicitNotAllowed = "WA223", "implicit_not_allowed", 403, "the implicit flow is not allowed for this sign-in",
        "",
        "Pass a code challenge (PKCE), as Supabase's clients do with flowType: 'pkce'.";

    // What WorkOS answered.
    WorkosUnreachable = "WA301", "workos_unreachable", 503, "WorkOS could not be reached",
        "",
        "The code is still good: try again. Check api_url, name resolution and the firewall of the database server.";
    WorkosTimeout = "WA302", "workos_timeout", 504, "WorkOS did not answer in time",
        "",
        "Start the sign-in again: WorkOS may have seen the code. See workos_auth.connect_timeout and workos_auth.request_timeout.";
    WorkosInvalidClient = "WA303", "workos_invalid_client", 502, "WorkOS does not accept the client id or the client secret",
        "",
        "Run auth.configure_workos with the client id and the API key of one WorkOS environment.";
    WorkosInvalidGrant = "WA304", "workos_invalid_grant", 400, "WorkOS does not accept the authorization code",
        "",
        "A code is good for ten minutes, once, and with the verifier of its own sign-in. Start the sign-in again.";
    WorkosNotFound = "WA305", "workos_not_found", 502, "WorkOS answered 404",
        "",
        "Check api_url and the connection's state in the WorkOS dashboard.";
    WorkosUnprocessable = "WA306", "workos_unprocessable", 502, "WorkOS could not process the request",
        "",
        "See what WorkOS says in the detail.";
    WorkosRateLimited = "WA307", "workos_rate_limited", 429, "WorkOS asks to slow down",
        "",
        "Try again later; the detail says when, where WorkOS did.";
    WorkosUnavailable = "WA308", "workos_unavailable", 502, "WorkOS has trouble of its own",
        "",
        "Start the sign-in again.";
    WorkosRejected = "WA309", "workos_rejected", 502, "WorkOS rejected the request",
        "",
        "See what WorkOS says in the detail.";
    WorkosAnswerMalformed = "WA310", "workos_answer_malformed", 502, "the answer of WorkOS cannot be understood",
        "",
        "Check that api_url is WorkOS itself and not a proxy's page. Start the sign-in again.";
    WorkosAnswerTooLarge = "WA311", "workos_answer_too_large", 502, "the answer of WorkOS is too large",
        "",
        "Thin out groups and custom attributes of the connection in the WorkOS dashboard.";
    WorkosProfileIncomplete = "WA312", "workos_profile_incomplete", 502, "WorkOS's profile lacks what a sign-in needs",
        "",
        "Map the missing attribute at the identity provider or in the WorkOS dashboard.";
    TlsRootsUnavailable = "WA313", "tls_roots_unavailable", 503, "no certificate authorities to check WorkOS's certificate with",
        "",
        "Install the system's ca-certificates, or set workos_auth.ca_file to a PEM bundle.";
    WorkosConnectionLost = "WA314", "workos_connection_lost", 502, "the connection to WorkOS was lost before it answered",
        "",
        "Start the sign-in again: WorkOS may have seen the code.";
    HttpsProxyInvalid = "WA315", "https_proxy_invalid", 503, "the HTTP proxy of the settings cannot be used",
        "workos_auth.https_proxy is no http address of a host and a port.",
        "Write http://host:port without user name and path; the credentials stand in the file of workos_auth.https_proxy_credentials_file.";
    HttpsProxyCredentialsInvalid = "WA316", "https_proxy_credentials_invalid", 503, "the file with the proxy's credentials cannot be used",
        "",
        "It holds user:password in one line. Run chmod 0600 on it, and have it owned by the operating-system user that runs Postgres; or by root, with the mode 0640 or less.";
    HttpsProxyCredentialsRefused = "WA317", "https_proxy_credentials_refused", 503, "the HTTP proxy wants other credentials",
        "",
        "Write user:password into the file of workos_auth.https_proxy_credentials_file. The code is still good: try again.";
    HttpsProxyFailed = "WA318", "https_proxy_failed", 503, "the HTTP proxy did not connect to WorkOS",
        "",
        "The code is still good: try again. Check workos_auth.https_proxy, and that the proxy lets this server reach the host and port of api_url.";
    WorkosProfileMalformed = "WA319", "workos_profile_malformed", 502, "WorkOS's profile has an attribute that cannot be read",
        "",
        "Mend the mapping of the attribute at the identity provider or in the WorkOS dashboard.";
    OrganizationMismatch = "WA320", "organization_mismatch", 403, "the profile belongs to another organization than the one asked for",
        "",
        "Sign in through the organization that the sign-in was started for.";
    ConnectionMismatch = "WA321", "connection_mismatch", 403, "the profile comes from another connection than the one asked for",
        "",
        "Sign in through the connection that the sign-in was started for.";
    ProviderMismatch = "WA322", "provider_mismatch", 403, "the profile comes from another provider than the one asked for",
        "",
        "Sign in through the provider that the sign-in was started for.";
    WorkosConflict = "WA323", "workos_conflict", 409, "WorkOS has something that stands in the way of the request",
        "",
        "See what WorkOS says in the detail.";
    WebhookSignatureInvalid = "WA330", "webhook_signature_invalid", 401, "the webhook was not signed with the secret that is kept here",
        "",
        "Pass the body as it came, and the header WorkOS-Signature. auth.set_webhook_secret takes the secret that the WorkOS dashboard shows.";
    WebhookSignatureOld = "WA331", "webhook_signature_old", 401, "the webhook was not signed just now",
        "",
        "Compare the clock of the database server with the time. WorkOS sends a webhook again that was not taken, with another signature.";
    WebhookSecretMissing = "WA332", "webhook_secret_missing", 503, "there is no secret to verify webhooks with",
        "",
        "Run auth.set_webhook_secret with the secret that the WorkOS dashboard shows.";
    ReconciliationNeeded = "WA333", "reconciliation_needed", 503, "events may be missing, since none was asked for in too long a time",
        "",
        "Run call auth.reconcile_workos(). The background worker does it by itself.";
    AuthkitNotConfigured = "WA334", "authkit_not_configured", 422, "sign-ins through AuthKit are switched off",
        "Nobody has called auth.configure_authkit.",
        "An administrator runs auth.configure_authkit with the arguments of auth.configure_workos.";
    OrganizationSelectionRequired = "WA335", "organization_selection_required", 403, "the person belongs to several organizations of WorkOS, and none was picked",
        "",
        "Start the sign-in again with the organization: auth.start_sign_in(provider => 'authkit', organization => …). Where auth.try_exchange_code said this, and was committed, auth.select_organization finishes the sign-in.";
    AuthkitStepRequired = "WA336", "authkit_step_required", 403, "the person has to take a further step at WorkOS",
        "",
        "Start the sign-in again with provider => 'authkit': WorkOS's own pages lead through the step.";
    AuthkitRefused = "WA337", "authkit_refused", 403, "WorkOS does not let the person in",
        "",
        "The WorkOS dashboard says more: the person's membership, invitation, and the ways to sign in that are allowed.";

    // Whose account it is.
    SignupDisabled = "WA401", "signup_disabled", 422, "sign-ups are switched off",
        "workos_auth.allow_signup is off, and the profile belongs to no account.",
        "An administrator makes the account first, or sets workos_auth.allow_signup = on.";
    UserBanned = "WA402", "user_banned", 403, "the user is banned",
        "auth.users.banned_until lies in the future.",
        "An administrator lifts it with auth.unban_user.";
    UserDeleted = "WA403", "user_deleted", 403, "the user was deleted",
        "auth.users.deleted_at is set.",
        "A superuser lets them in again with UPDATE auth.users SET deleted_at = NULL.";
    IdentityOrganizationChanged = "WA404", "identity_organization_changed", 403, "the identity is known from another organization",
        "The profile was known in one organization and comes from another.",
        "An administrator checks that it is the same person, and moves it: select auth.move_identity(identity_id => …, organization => …).";
    MultipleAccounts = "WA405", "multiple_accounts", 409, "several accounts could be meant",
        "",
        "An administrator finds the accounts by auth.identities.email and makes them one: select auth.merge_users(from_user => …, into_user => …).";
    TokenTooLarge = "WA406", "token_too_large", 422, "the access token would be too large",
        "",
        "HTTP servers refuse long headers: thin the claim out with a token hook (auth.hooks), or raise workos_auth.max_token_size.";
    RoleNotAllowed = "WA407", "role_not_allowed", 403, "the user's role is not one of the allowed roles",
        "",
        "Set auth.users.role to one of workos_auth.allowed_roles.";
    HookFailed = "WA408", "hook_failed", 500, "a hook failed",
        "",
        "Mend the function; auth.hooks names it. Deleting its row there lets people sign in without it.";
    HookInvalid = "WA409", "hook_invalid", 400, "this function cannot be a hook",
        "",
        "Name a function of one jsonb that returns jsonb, as schema.name(jsonb), whose owner is not a superuser.";
    UserMetadataUnreadable = "WA410", "user_metadata_unreadable", 422, "what is stored of the user cannot be put into an access token",
        "",
        "No sign-in writes such a value: a superuser finds it by hand, and replaces it in auth.users, or in auth.sessions for amr.";
    HookRefused = "WA433", "hook_refused", 403, "a hook refused the sign-in",
        "",
        "The detail holds the hook's own words. auth.hooks names it.";

    MemberRemoved = "WA434", "member_removed", 403, "the person was removed from the organization",
        "WorkOS has told of it, and has not told of a return.",
        "The customer assigns the person to the application again. auth.directory_users and auth.workos_memberships say what WorkOS told.";
    MirrorStale = "WA435", "mirror_stale", 503, "it is not known who has left: the events of WorkOS have not been read for too long",
        "The age in auth.workos_sync is above workos_auth.sync_max_age, and workos_auth.sync_overdue is refuse_sign_in.",
        "select * from auth.workos_sync says what failed last.";

    VisitorRoleNotAllowed = "WA411", "visitor_role_not_allowed", 400, "visitors must not act as this role",
        "",
        "A visitor's key is public. Name a role that has no more rights than a stranger may have, such as anon.";
    SignUpTriggerFailed = "WA412", "sign_up_trigger_failed", 500, "a trigger of auth.users cannot take a person without an e-mail address",
        "",
        "Let the column be NULL, or have the trigger's function write something else where new.email is NULL. auth.check() names such triggers and columns.";

    // People without WorkOS, and the identities of an account.
    EmailExists = "WA420", "email_exists", 422, "another user has this e-mail address",
        "auth.users.email is unique, with ASCII letters compared without case.",
        "Use the account that is there, or another address.";
    UserAlreadyExists = "WA421", "user_already_exists", 422, "there is a user of this id already",
        "auth.users has a row with this id.",
        "Leave user_id out, and a new one is made.";
    UserNotFound = "WA422", "user_not_found", 404, "there is no such user",
        "auth.users has no row with this id.",
        "Look for the person by auth.users.email or auth.identities.email.";
    NotAMember = "WA423", "not_a_member", 403, "the user does not belong to this organization",
        "auth.organization_memberships has no such row.",
        "Leave organization out, or name one that the user has signed in from or was made for.";
    ReasonRequired = "WA424", "reason_required", 400, "who acts as somebody else needs a reason",
        "actor was passed and reason was not.",
        "Say why in reason; both stand in auth.audit_log_entries.";
    IdentityAlreadyExists = "WA425", "identity_already_exists", 422, "the identity is linked already",
        "",
        "Sign in with it. If both accounts are one person's, an administrator makes them one with auth.merge_users.";
    IdentityNotFound = "WA426", "identity_not_found", 422, "there is no such identity",
        "auth.identities has no row with this id and the person's user_id.",
        "Pass an identity_id of auth.get_user(access_token) -> 'identities'.";
    SingleIdentityNotDeletable = "WA427", "single_identity_not_deletable", 422, "the last identity of an account cannot be unlinked",
        "Nothing would lead into the account any more.",
        "Link another identity first.";
    CrossOrganizationLinkDisabled = "WA428", "cross_organization_link_disabled", 403, "the identity belongs to another organization than the account",
        "workos_auth.link_across_organizations is off.",
        "Sign in with it as an account of its own, or have a superuser set workos_auth.link_across_organizations = on.";
    OrganizationNotFound = "WA430", "organization_not_found", 404, "there is no such organization",
        "auth.organizations has no row with this id.",
        "An administrator makes it known with INSERT INTO auth.organizations (id) VALUES ('org_…').";
    UserReferenced = "WA431", "user_referenced", 409, "rows of other tables still belong to the user who would go",
        "",
        "Give these rows to the other user first, in the same transaction, as a role that may change them. Then call again.";
    LinkSessionNotFound = "WA429", "link_session_not_found", 403, "the session that started this link is not there to finish it",
        "",
        "Sign in as the person whose account it is, and start again with auth.link_identity.";

    IdentitiesOfSeveralOrganizations = "WA432", "identities_of_several_organizations", 409, "identities of several organizations lead into this account",
        "",
        "Look whose account it is, and pass the identities of that organization alone; or have a superuser set workos_auth.link_across_organizations = on. The others sign in to accounts of their own.";

    // The mirror of WorkOS.
    CursorMoved = "WA601", "cursor_moved", 409, "the page of events does not follow the last one that was applied",
        "",
        "Ask WorkOS for the page after the cursor of auth.workos_sync.";
    EventMalformed = "WA602", "event_malformed", 502, "an event of WorkOS cannot be understood",
        "",
        "Nothing of the page was applied. Check that the page comes from WorkOS.";
    EnvironmentDiffers = "WA603", "environment_differs", 502, "WorkOS does not know most of the organizations that are here",
        "",
        "Nobody was put out. Check that the API key is of the environment that was followed so far. If these organizations are gone, compare each by itself: call auth.reconcile_workos('org_…').";

    // Tokens and sessions.
    BadJwt = "WA501", "bad_jwt", 401, "the access token is malformed",
        "",
        "Pass the access_token that a sign-in returned, without change.";
    BadJwtAlgorithm = "WA502", "bad_jwt_algorithm", 401, "the access token's algorithm is not its key's",
        "The header's alg is not the algorithm of the key that its kid names.",
        "Only tokens made by this database are accepted.";
    BadJwtKey = "WA503", "bad_jwt_key", 401, "the access token was signed with a key that is not known here",
        "No signing key that is not retired has its kid.",
        "The key was retired, or the token comes from elsewhere. Sign in again. auth.trust_issuer has tokens of another issuer accepted.";
    BadJwtSignature = "WA504", "bad_jwt_signature", 401, "the access token's signature is wrong",
        "It was not made by the key that the header's kid names.",
        "The token was altered or forged.";
    BadJwtIssuer = "WA505", "bad_jwt_issuer", 401, "the access token was issued by somebody else",
        "Its iss is not this installation's.",
        "Compare iss with workos_auth.issuer.";
    BadJwtAudience = "WA506", "bad_jwt_audience", 401, "the access token is meant for another audience",
        "Its aud does not hold workos_auth.audience.",
        "Compare aud with workos_auth.audience.";
    BadJwtNotYetValid = "WA507", "bad_jwt_not_yet_valid", 401, "the access token is not valid yet",
        "Its iat or nbf lies more than 5 s in the future.",
        "Compare the clocks of the servers.";
    BadJwtExpired = "WA508", "bad_jwt_expired", 401, "the access token has expired",
        "Its exp has passed.",
        "Refresh the session with its newest refresh token, or sign in again.";
    SessionNotFound = "WA509", "session_not_found", 401, "the session has ended",
        "The session was signed out, revoked or removed: auth.sessions has no row for it.",
        "Sign in again.";
    SessionStale = "WA510", "session_stale", 401, "the access token is older than the person's rights",
        "Roles, groups or membership changed after the token was issued.",
        "Refresh the session, which gives a token with the new ones.";
    NoAuthorization = "WA511", "no_authorization", 401, "there is no session",
        "workos_auth.session_token is empty.",
        "Put one on with select auth.set_session($1).";
    RoleBypassesRls = "WA512", "role_bypasses_rls", 403, "row-level security does not bind the current role",
        "",
        "SET LOCAL ROLE to an ordinary role first; workos_auth.rls_guard says how strict this is.";
    RefreshTokenNotFound = "WA513", "refresh_token_not_found", 400, "the refresh token is not known here",
        "Its session has ended, or this database did not issue it.",
        "Sign in again.";
    RefreshTokenAlreadyUsed = "WA514", "refresh_token_already_used", 400, "the refresh token was used by somebody else",
        "It was replaced before, and the answer can no longer be under way: the session has been ended.",
        "Sign in again. Keep one refresh token a session, and replace it with every answer.";
    SessionExpired = "WA515", "session_expired", 400, "the session has reached its end",
        "auth.sessions.not_after has passed.",
        "Sign in again; workos_auth.session_ttl says how long a session lasts.";
    SessionIdle = "WA516", "session_idle", 400, "the session was not used for too long",
        "It was last refreshed longer ago than workos_auth.session_idle_timeout.",
        "Sign in again.";
    SessionSuperseded = "WA517", "session_superseded", 400, "the person has signed in elsewhere since",
        "This database allows one session a person, and a newer one is there.",
        "Sign in again: the newest session is the one that goes on.";
    SessionExhausted = "WA518", "session_exhausted", 400, "the session cannot be refreshed any more",
        "auth.sessions.refresh_token_counter is at its end.",
        "Sign in again. No number of refreshes leads here: the row was changed by hand.";
    WrongTokenKind = "WA519", "wrong_token_kind", 401, "the token is not of the kind that its issuer is trusted for",
        "",
        "Pass the access token of a person's session. auth.trusted_issuers.kind says which kind is accepted.";
    PersonNotAccepted = "WA521", "person_not_accepted", 403, "the token is good, and its person is not known here",
        "auth.identities has no row for its iss and sub.",
        "The backend calls select auth.accept_token($1), which makes the account or the membership.";

    VerifierStale = "WA522", "verifier_stale", 503, "what this database knows of sessions may be old",
        "",
        "Try again when the link to the issuer is up. An administrator's auth.check() says what is wrong with it.";

    OrganizationOfAnotherIssuer = "WA523", "organization_of_another_issuer", 403, "the organization belongs to another issuer",
        "",
        "auth.organizations.issuer says whose it is. An administrator changes that: select auth.set_organization_issuer(organization => …, issuer => …).";

    SsoRequired = "WA525", "sso_required", 403, "the organization requires single sign-on",
        "auth.organizations.require_sso is set, and the session would not come from a sign-in with WorkOS.",
        "Sign in through the organization. An administrator changes that: select auth.require_sso(organization => …, required => false).";

    SessionNotHandedOn = "WA524", "session_not_handed_on", 400, "the session would not reach the other nodes of Citus",
        "",
        "Call auth.set_session($1) in the transaction itself, outside of savepoints and exception blocks.";

    // One's own account.
    UserMetadataTooLarge = "WA520", "user_metadata_too_large", 422, "user_metadata would be too large",
        "",
        "It stands in every access token: keep at most 4 kB in it, and the rest in tables of your own.";
}

/// What Postgres refuses itself, and nothing here raises: how a gateway answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresCode {
    /// A SQLSTATE, or two characters for those of a class that have no row of their own.
    pub sqlstate: &'static str,
    /// As [`ErrorCode::name`]; several share one.
    pub name: &'static str,
    /// As [`ErrorCode::http_status`].
    pub http_status: u16,
    /// What a client may be told. Postgres's own words can hold values.
    pub meaning: &'static str,
}

const fn later(sqlstate: &'static str, meaning: &'static str) -> PostgresCode {
    PostgresCode { sqlstate, name: "unexpected_failure", http_status: 503, meaning }
}

impl PostgresCode {
    /// All of them; `auth.error_codes` lists them after [`ErrorCode::ALL`].
    pub const ALL: &'static [PostgresCode] = &[
        PostgresCode { sqlstate: "22", name: "validation_failed", http_status: 400, meaning: "a value cannot be used" },
        later("08", "a connection of the database has failed"),
        later("40", "the transaction was rolled back on account of another one"),
        later("53", "the database lacks resources"),
        later("55P03", "a lock could not be had in time"),
        later("57", "the statement was ended by a time limit or an administrator"),
        later("58", "the system that the database runs on has failed"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sqlstates_and_names_are_unique_and_well_formed() {
        let mut states = HashSet::new();
        let mut names = HashSet::new();
        for code in ErrorCode::ALL {
            let state = code.sqlstate();
            // Postgres's own too: whoever is told one by its SQLSTATE must not take it for the other.
            assert!(states.insert(state), "{state} stands twice");
            assert!(names.insert(code.name()), "{} stands twice", code.name());
            assert!(state.len() == 5 && state.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()), "{state}");
            assert!((400..=504).contains(&code.http_status()), "{state}");
        }
    }

    #[test]
    fn what_postgres_refuses_has_one_row_and_none_of_ours() {
        for (i, code) in PostgresCode::ALL.iter().enumerate() {
            let state = code.sqlstate;
            assert!(matches!(state.len(), 2 | 5), "{state}");
            assert!((400..=504).contains(&code.http_status), "{state}");
            assert!(ErrorCode::ALL.iter().all(|ours| ours.sqlstate() != state), "{state} is ours");
            assert!(PostgresCode::ALL[..i].iter().all(|other| other.sqlstate != state), "{state} stands twice");
        }
    }

    #[test]
    fn messages_follow_the_style_of_postgres() {
        for code in ErrorCode::ALL {
            let (message, detail, hint) = (code.message(), code.detail(), code.hint());
            assert!(detail.is_empty() || detail.ends_with('.'), "{}: a detail is a sentence", code.name());
            assert!(!message.ends_with('.'), "{}: a message is no sentence", code.name());
            assert!(hint.is_empty() || hint.ends_with('.'), "{}: a hint is a sentence", code.name());
        }
    }
}
