//! What an access token says: Supabase Auth's claims, so that its clients and policies work, and beside them what
//! WorkOS knows, at the top level where no user can edit it.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, ErrorCode, Result};
use crate::secret::AccessToken;

/// The claims that say who somebody is, and that readers and Supabase's clients rely on: no hook touches them.
pub const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "email",
    "phone",
    "role",
    "aal",
    "amr",
    "session_id",
    "is_anonymous",
    "auth_time",
    "org_id",
    "connection_id",
    "org_role",
    "claims_version",
    "roles_version",
    "act",
];

/// What an access token is made from. Times are seconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSubject {
    /// `sub`.
    pub user_id: Uuid,
    /// `session_id`.
    pub session_id: Uuid,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `role`: the database role, from `users.role`; never from WorkOS.
    pub role: String,
    /// `email`: `users.email`; `""` in the token when absent, as Supabase has it.
    pub email: Option<String>,
    /// `phone`; `""` in the token when absent.
    pub phone: Option<String>,
    /// `app_metadata`: what only administrators write.
    pub app_metadata: Value,
    /// `user_metadata`: what the person may edit. No policy may rely on it.
    pub user_metadata: Value,
    /// `auth_time` (OpenID Connect Core, section 2): when the person last signed in, which a refresh does not change.
    pub auth_time: i64,
    /// `iat`.
    pub issued_at: i64,
    /// `exp`.
    pub expires_at: i64,
    /// `amr`: as the session was opened with, see [`amr`].
    pub amr: Value,
    /// `act` (RFC 8693, section 4.1): who acts as this person, such as a colleague of the support.
    pub actor: Option<String>,
    /// `org_id`: the WorkOS organization of the session.
    pub organization_id: Option<String>,
    /// `connection_id`: the WorkOS connection of the session.
    pub connection_id: Option<String>,
    /// `org_role`: the role's slug in the organization.
    pub org_role: Option<String>,
    /// `org_roles`: all of the person's roles there.
    pub org_roles: Vec<String>,
    /// `groups` of the identity provider.
    pub groups: Vec<String>,
    /// `permissions` in the organization.
    pub permissions: Vec<String>,
    /// `claims_version`: of the session row when this was read; an older token is stale.
    pub claims_version: i64,
    /// `roles_version`: the highest version that a role of WorkOS's had when this was read; where one of the person's is newer, the token is stale.
    pub roles_version: i64,
    /// `is_anonymous`.
    pub is_anonymous: bool,
}

impl TokenSubject {
    /// The payload of the access token: a JSON object.
    pub fn to_json(&self) -> String {
        Value::Object(self.claims()).to_string()
    }

    /// The claims of the access token.
    pub fn claims(&self) -> Map<String, Value> {
        // There is no second factor here that we know of: WorkOS and the identity provider do not say.
        let mut claims = json!({
            "iss": self.issuer,
            "sub": self.user_id,
            "aud": self.audience,
            "exp": self.expires_at,
            "iat": self.issued_at,
            "email": self.email.as_deref().unwrap_or_default(),
            "phone": self.phone.as_deref().unwrap_or_default(),
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "role": self.role,
            "aal": "aal1",
            "amr": self.amr,
            "session_id": self.session_id,
            "is_anonymous": self.is_anonymous,
            "auth_time": self.auth_time,
            "org_roles": self.org_roles,
            "groups": self.groups,
            "permissions": self.permissions,
            "claims_version": self.claims_version,
        });
        for (name, value) in
            [("org_id", &self.organization_id), ("connection_id", &self.connection_id), ("org_role", &self.org_role)]
        {
            if let Some(value) = value {
                claims[name] = json!(value);
            }
        }
        if self.roles_version > 0 {
            claims["roles_version"] = json!(self.roles_version);
        }
        if let Some(actor) = &self.actor {
            claims["act"] = json!({ "sub": actor });
        }
        match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }
}

/// The claim `amr`: how somebody signed in (`oauth` for WorkOS, as Supabase Auth has it) and when, in seconds since the
/// epoch. It holds nothing else: Supabase's client for Kotlin refuses a token in which it does.
pub fn amr(method: &str, timestamp: i64) -> Value {
    json!([{ "method": method, "timestamp": timestamp }])
}

/// When somebody signed in, by what [`amr`] wrote.
pub fn signed_in_at(amr: &Value) -> Option<i64> {
    amr.get(0)?.get("timestamp")?.as_i64()
}

/// How many claims are named where a token is too large.
const NAMED: usize = 5;

/// Refuses a token that HTTP servers would refuse as a header.
///
/// # Errors
/// `token_too_large` if it has more than `max_bytes` bytes. The detail names the claim to thin out and the sizes of the largest
/// of those that can grow, in bytes of JSON; a token carries a third more, for base64.
pub fn check_size(token: &AccessToken, max_bytes: usize, claims: &Map<String, Value>) -> Result<()> {
    let length = token.expose().len();
    if length <= max_bytes {
        return Ok(());
    }
    let growing = claims.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str()));
    let mut sizes: Vec<_> = growing.map(|(name, value)| (name.as_str(), value.to_string().len())).collect();
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    sizes.truncate(NAMED);
    // A hook names claims as it likes.
    let shown = |name: &str| name.chars().take(60).collect::<String>();
    let largest = sizes.first().map_or_else(|| "none".to_owned(), |(name, _)| shown(name));
    let sizes = sizes.iter().map(|(name, size)| format!("{} {size}", shown(name))).collect::<Vec<_>>().join(", ");
    let detail =
        format!("It has {length} bytes, {max_bytes} are allowed. The largest claim is {largest}; bytes: {sizes}.");
    Err(Error::with_detail(ErrorCode::TokenTooLarge, detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn subject() -> TokenSubject {
        TokenSubject {
            user_id: Uuid::from_u128(1),
            session_id: Uuid::from_u128(2),
            issuer: "https://db.example.com".into(),
            audience: "authenticated".into(),
            role: "authenticated".into(),
            email: Some("ann@acme.com".into()),
            phone: None,
            app_metadata: json!({ "provider": "workos", "providers": ["workos"] }),
            user_metadata: json!({ "name": "Ann \"A\"" }),
            auth_time: 900,
            issued_at: 1000,
            expires_at: 4600,
            amr: amr("oauth", 900),
            actor: None,
            organization_id: Some("org_1".into()),
            connection_id: Some("conn_1".into()),
            org_role: Some("admin".into()),
            org_roles: vec!["admin".into(), "member".into()],
            groups: vec!["eng".into()],
            permissions: vec![],
            claims_version: 3,
            roles_version: 0,
            is_anonymous: false,
        }
    }

    fn claims(subject: &TokenSubject) -> Value {
        Value::Object(subject.claims())
    }

    #[test]
    fn the_claims_are_supabases_and_ours() {
        let wanted = json!({
            "iss": "https://db.example.com", "sub": "00000000-0000-0000-0000-000000000001", "aud": "authenticated",
            "exp": 4600, "iat": 1000, "email": "ann@acme.com", "phone": "",
            "app_metadata": { "provider": "workos", "providers": ["workos"] }, "user_metadata": { "name": "Ann \"A\"" },
            "role": "authenticated", "aal": "aal1",
            "amr": [{ "method": "oauth", "timestamp": 900 }],
            "session_id": "00000000-0000-0000-0000-000000000002", "is_anonymous": false,
            "auth_time": 900, "org_id": "org_1", "connection_id": "conn_1", "org_role": "admin",
            "org_roles": ["admin", "member"], "groups": ["eng"], "permissions": [], "claims_version": 3,
        });
        assert_eq!(claims(&subject()), wanted);
    }

    #[test]
    fn what_is_absent_is_left_out_or_empty_as_supabase_has_it() {
        let subject =
            TokenSubject { email: None, organization_id: None, connection_id: None, org_role: None, ..subject() };
        let claims = claims(&subject);
        assert_eq!((&claims["email"], &claims["phone"]), (&json!(""), &json!("")));
        for name in ["org_id", "connection_id", "org_role", "act"] {
            assert_eq!(claims.get(name), None, "{name}");
        }
        assert_eq!(claims["org_roles"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn who_acts_for_somebody_stands_in_act() {
        let subject = TokenSubject { actor: Some("support@example.com".into()), ..subject() };
        assert_eq!(claims(&subject)["act"], json!({ "sub": "support@example.com" }));
    }

    #[test]
    fn user_metadata_cannot_reach_the_top_level() {
        let forged = json!({ "org_id": "org_2", "role": "service_role", "x\",\"org_id\":\"org_2": 1 });
        let claims = claims(&TokenSubject { user_metadata: forged.clone(), ..subject() });
        assert_eq!((&claims["org_id"], &claims["role"]), (&json!("org_1"), &json!("authenticated")));
        assert_eq!(claims["user_metadata"], forged);
    }

    #[test]
    fn a_token_at_the_limit_passes_and_one_above_names_the_largest_claim() {
        let subject = TokenSubject { groups: vec!["g".repeat(100); 3], ..subject() };
        assert!(check_size(&AccessToken::new("t".repeat(500)), 500, &subject.claims()).is_ok());
        let error = check_size(&AccessToken::new("t".repeat(501)), 500, &subject.claims()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::TokenTooLarge);
        assert_eq!(
            error.detail(),
            Some(
                "It has 501 bytes, 500 are allowed. The largest claim is groups; bytes: groups 310, app_metadata 44, \
                 user_metadata 20, org_roles 18, permissions 2."
            )
        );
    }

    #[test]
    fn every_claim_that_can_grow_can_be_the_largest() {
        let long = "x".repeat(1000);
        let named = |subject: TokenSubject| {
            let error = check_size(&AccessToken::new(long.clone()), 10, &subject.claims()).unwrap_err();
            error.detail().unwrap().split("largest claim is ").nth(1).unwrap().split(';').next().unwrap().to_owned()
        };
        assert_eq!(named(TokenSubject { permissions: vec![long.clone()], ..subject() }), "permissions");
        assert_eq!(named(TokenSubject { org_roles: vec![long.clone()], ..subject() }), "org_roles");
        assert_eq!(named(TokenSubject { user_metadata: json!({ "bio": long }), ..subject() }), "user_metadata");
        assert_eq!(named(TokenSubject { app_metadata: json!([long]), ..subject() }), "app_metadata");
    }
}
