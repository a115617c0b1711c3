//! Whom the simulator knows: clients, organizations, connections and people, read from YAML.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

/// Everything a seed file holds. Order counts: without a `login_hint` the first person signs in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The applications; at least one.
    pub clients: Vec<Client>,
    /// The customers.
    #[serde(default)]
    pub organizations: Vec<Organization>,
    /// The identity providers.
    #[serde(default)]
    pub connections: Vec<Connection>,
    /// The people.
    #[serde(default)]
    pub profiles: Vec<Profile>,
}

/// An application: one WorkOS environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// `client_…`
    pub client_id: String,
    /// `sk_…`: the bearer of the API and the `client_secret` of the code exchange.
    pub api_key: String,
    /// Where a browser may be sent back to. Compared character by character; `http://localhost:*/…` and
    /// `http://127.0.0.1:*/…` take any port, with https too: a test's server has one that was free.
    pub redirect_uris: Vec<String>,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// `org_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Verified e-mail domains.
    #[serde(default)]
    pub domains: Vec<String>,
}

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// `conn_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is; a provider such as GoogleOAuth is nobody's.
    #[serde(default)]
    pub organization: Option<String>,
    /// Open text, since WorkOS adds types: `OktaSAML`, `EntraIdOIDC`, `GoogleOAuth`, …
    pub connection_type: String,
    /// Only an active connection signs anybody in.
    #[serde(default)]
    pub state: ConnectionState,
    /// Whether it was ever joined to an identity provider.
    #[serde(default)]
    pub status: ConnectionStatus,
}

/// The life of a connection, as WorkOS's API says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "WorkOS's own words, which it does not explain further")]
pub enum ConnectionState {
    RequiresType,
    Draft,
    #[default]
    Active,
    Validating,
    Inactive,
    Deleting,
}

/// WorkOS's older word for a connection's state; the callback error `connection_unlinked` remembers it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as their names say")]
pub enum ConnectionStatus {
    #[default]
    Linked,
    Unlinked,
}

/// A person at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `prof_…`
    pub id: String,
    /// The connection that knows this person.
    pub connection: String,
    /// May lie outside of the organization's domains: guests do.
    pub email: String,
    /// Given name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// The identity provider's own id of the person.
    pub idp_id: String,
    /// The slug of the person's role.
    #[serde(default)]
    pub role: Option<String>,
    /// The slugs of all roles; without it, `role` alone.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// The names of the person's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whatever else the identity provider says.
    #[serde(default)]
    pub custom_attributes: BTreeMap<String, Value>,
}

/// Why a seed, or a later addition to it, was refused.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Not YAML, or not of this shape.
    #[error("the seed cannot be read: {0}")]
    Syntax(#[from] serde_saphyr::Error),
    /// Nobody could sign in.
    #[error("the seed has no client")]
    NoClient,
    /// Two things of one kind have the same id.
    #[error("{0} stands twice in the seed")]
    Duplicate(String),
    /// A reference to something that does not exist.
    #[error("{from} names {to}, which does not exist")]
    Dangling {
        /// What holds the reference.
        from: String,
        /// What it refers to.
        to: String,
    },
    /// A redirect URI that WorkOS would not take.
    #[error("{0} is no redirect URI: absolute, without fragment, and with * only as the port of a loopback host")]
    RedirectUri(String),
}

impl Seed {
    /// Everything but that references lead somewhere, which the registry checks as it is filled.
    pub(crate) fn check(&self) -> Result<(), SeedError> {
        if self.clients.is_empty() {
            return Err(SeedError::NoClient);
        }
        let mut ids = HashSet::new();
        let all = (self.clients.iter().map(|c| &c.client_id))
            .chain(self.organizations.iter().map(|o| &o.id))
            .chain(self.connections.iter().map(|c| &c.id))
            .chain(self.profiles.iter().map(|p| &p.id));
        for id in all {
            if !ids.insert(id) {
                return Err(SeedError::Duplicate(id.clone()));
            }
        }
        for uri in self.clients.iter().flat_map(|c| &c.redirect_uris) {
            if !is_redirect_uri(uri) {
                return Err(SeedError::RedirectUri(uri.clone()));
            }
        }
        Ok(())
    }
}

impl Client {
    /// Whether a browser may be sent back to `uri`.
    pub fn allows_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|listed| match listed.split_once(":*") {
            None => listed == uri,
            Some((origin, rest)) => uri
                .strip_prefix(origin)
                .and_then(|uri| uri.strip_prefix(':'))
                .and_then(|uri| uri.strip_suffix(rest))
                .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()),
        })
    }
}

impl Profile {
    /// First and last name, as far as there are any.
    pub fn name(&self) -> Option<String> {
        let parts: Vec<_> = [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

fn is_redirect_uri(uri: &str) -> bool {
    let Ok(url) = Url::parse(&uri.replacen(":*/", ":1/", 1)) else { return false };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let wildcards = uri.matches('*').count();
    let port_wildcard = wildcards == 1 && uri.contains(":*/") && matches!(url.scheme(), "http" | "https") && loopback;
    url.fragment().is_none() && (wildcards == 0 || port_wildcard)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn client(uris: &[&str]) -> Client {
        Client {
            client_id: "c".into(),
            api_key: "k".into(),
            redirect_uris: uris.iter().map(|uri| uri.to_string()).collect(),
        }
    }

    #[test]
    fn a_redirect_uri_is_compared_character_by_character() {
        let client = client(&["https://app.example/callback", "http://localhost:*/callback"]);
        for good in ["https://app.example/callback", "http://localhost:1/callback", "http://localhost:65535/callback"] {
            assert!(client.allows_redirect(good), "{good}");
        }
        for bad in [
            "https://app.example/callback/",
            "https://app.example/Callback",
            "https://app.example/callback?x=1",
            "https://app.example:443/callback",
            "https://app.example.evil.com/callback",
            "http://localhost/callback",
            "http://localhost:/callback",
            "http://localhost:65536/callback",
            "http://localhost:+80/callback",
            "http://localhost:3000/other",
            "http://localhost:3000@evil.com/callback",
            "http://localhost:*/callback",
            "http://localhost.evil.com:3000/callback",
            "https://localhost:3000/callback",
            "",
        ] {
            assert!(!client.allows_redirect(bad), "{bad}");
        }
    }
}
