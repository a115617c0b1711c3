//! Brokered mode: what a gateway does with `auth.workos_authorize_url` and `auth.handle_callback`.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error, GenericClient};
use url::Url;
use workos_auth_core::pkce::CodeVerifier;
use workos_testbed::browser_sign_in;

use crate::bed::{Bed, Pending, Session};
use crate::sql::{refusal, text};

/// `workos_auth.site_url` of [`Bed::brokered`].
pub const SITE_URL: &str = "https://site.example/home";

impl Bed<'static> {
    /// A database with a site, and a connection of the backend's role.
    #[track_caller]
    pub fn brokered(name: &str) -> impl Future<Output = (Self, Client)> + use<> {
        let bed = Self::shared(name);
        async move {
            let bed = bed.await;
            bed.set("workos_auth.site_url", SITE_URL).await;
            // Settings of a database are read when a connection begins.
            let backend = bed.backend().await;
            (bed, backend)
        }
    }
}

/// Begins a sign-in without a browser: its URL, state and verifier. `arguments` are those of `auth.workos_authorize_url`, as SQL,
/// without the challenge.
pub async fn begin(client: &impl GenericClient, arguments: &str) -> (String, String, String) {
    let verifier = CodeVerifier::generate().unwrap();
    let challenge = verifier.challenge();
    let url = authorize(client, &format!("{arguments}, code_challenge => '{}'", challenge.value())).await;
    let state = parameter(&url, "state");
    (url, state, verifier.expose().to_owned())
}

/// Begins a sign-in, and goes as far as WorkOS's redirect.
pub async fn come_back(client: &impl GenericClient, arguments: &str, email: &str) -> Pending {
    let (url, state, verifier) = begin(client, arguments).await;
    let code = browser_sign_in(&url, Some(email)).await.unwrap().code;
    Pending { url, code, verifier, state }
}

/// The same without a challenge.
pub async fn come_back_implicitly(client: &impl GenericClient, arguments: &str, email: &str) -> Pending {
    let url = authorize(client, arguments).await;
    let state = parameter(&url, "state");
    let code = browser_sign_in(&url, Some(email)).await.unwrap().code;
    Pending { url, code, verifier: String::new(), state }
}

async fn authorize(client: &impl GenericClient, arguments: &str) -> String {
    client.query_one(&format!("select auth.workos_authorize_url({arguments})"), &[]).await.unwrap().get(0)
}

/// A parameter of a URL, which must be there.
pub fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    found.unwrap_or_else(|| panic!("no {name} in {url}"))
}

/// Hands WorkOS's redirect in.
///
/// # Errors
/// What the server said.
pub async fn callback(client: &impl GenericClient, pending: &Pending) -> Result<Landing, Error> {
    redirect(client, Some(&pending.code), Some(&pending.state), None, None).await
}

/// The same with any query.
///
/// # Errors
/// What the server said.
pub async fn redirect(
    client: &impl GenericClient,
    code: Option<&str>,
    state: Option<&str>,
    error: Option<&str>,
    description: Option<&str>,
) -> Result<Landing, Error> {
    let sql = "select auth.handle_callback($1, $2, $3, $4)";
    client.query_one(sql, &[&code, &state, &error, &description]).await.map(|row| Landing(row.get(0)))
}

/// Where a browser is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing(pub String);

impl Landing {
    /// Without query and fragment.
    pub fn place(&self) -> &str {
        self.0.split(['?', '#']).next().unwrap()
    }

    /// The parameters of the query.
    pub fn query(&self) -> BTreeMap<String, String> {
        Url::parse(&self.0).unwrap().query_pairs().into_owned().collect()
    }

    /// The parameters of the fragment, decoded once.
    pub fn fragment(&self) -> BTreeMap<String, String> {
        let url = Url::parse(&self.0).unwrap();
        url::form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes()).into_owned().collect()
    }

    /// The code of our own.
    #[track_caller]
    pub fn code(&self) -> String {
        let code = parameter(&self.0, "code");
        assert!(code.starts_with("wac_") && code.len() == 47, "{self:?}");
        code
    }

    /// The browser is at `place` with this `error_code` and none of the good things.
    #[track_caller]
    pub fn is_refused(&self, place: &str, error_code: &str) {
        let query = self.query();
        assert_eq!((self.place(), query.get("error_code").map(String::as_str)), (place, Some(error_code)), "{self:?}");
        assert!(!query["error"].is_empty() && !query["error_description"].is_empty(), "{self:?}");
        for good in ["code", "access_token", "refresh_token", "provider_token"] {
            assert!(!query.contains_key(good) && !self.fragment().contains_key(good), "{self:?}");
        }
    }
}

/// Exchanges a code of our own, with the verifier alone, as Supabase's client does.
///
/// # Errors
/// What the server said.
pub async fn exchange_own(client: &impl GenericClient, code: &str, verifier: &str) -> Result<Session, Error> {
    let sql = "select * from auth.exchange_code($1, $2)";
    client.query_one(sql, &[&code, &verifier]).await.map(|row| Session::from(&row))
}

/// The tables that a sign-in writes are empty.
pub async fn nobody_is_there(bed: &Bed<'_>) {
    for table in ["users", "identities", "sessions", "organizations", "organization_memberships"] {
        assert_eq!(bed.count(&format!("select count(*) from auth.{table}")).await, 0, "{table}");
    }
    let logins = "select count(*) from auth.audit_log_entries where action in ('login', 'user_signedup')";
    assert_eq!(bed.count(logins).await, 0);
}

/// The SQLSTATE of the refusal of a statement.
pub async fn sqlstate(client: &Client, sql: &str) -> String {
    refusal(text(client, sql).await).sqlstate
}
