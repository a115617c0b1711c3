//! What is kept of a WorkOS profile beside its columns: `identities.identity_data` and `users.raw_user_meta_data`.
//!
//! Both have the members that Supabase Auth writes for WorkOS; `identity_data` also has what Supabase drops. Organization and
//! connection stay out of the user's metadata, which a person may edit: rights hang on the token's own claims.

use serde_json::{Value, json};

use crate::accounts::fold_email;
use crate::workos::Profile;

fn full_name(profile: &Profile) -> String {
    let parts = [profile.first_name.as_deref(), profile.last_name.as_deref()];
    let joined =
        parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    match &profile.name {
        Some(name) if joined.is_empty() => name.trim().to_owned(),
        _ => joined,
    }
}

/// `users.raw_user_meta_data`, merged into what is there. `issuer` is WorkOS's API URL.
pub fn user_metadata(profile: &Profile, issuer: &str) -> Value {
    let mut data = json!({
        "iss": issuer,
        "sub": profile.id,
        "provider_id": profile.id,
        "email_verified": true,
        "phone_verified": false,
    });
    // One that nobody has verified is anybody's, and would speak for an account.
    match profile.has_verified_email() {
        true => data["email"] = json!(fold_email(&profile.email)),
        false => data["email_verified"] = json!(false),
    }
    let name = full_name(profile);
    if !name.is_empty() {
        data["name"] = json!(name);
        data["full_name"] = json!(name);
    }
    data
}

/// `identities.identity_data`, replaced at every sign-in.
pub fn identity_data(profile: &Profile, issuer: &str) -> Value {
    let mut data = user_metadata(profile, issuer);
    data["custom_claims"] = json!({
        "connection_id": profile.connection_id,
        "organization_id": profile.organization_id.as_deref().unwrap_or_default(),
    });
    data["connection_type"] = json!(profile.connection_type);
    data["idp_id"] = json!(profile.idp_id);
    data["first_name"] = json!(profile.first_name);
    data["last_name"] = json!(profile.last_name);
    data["role"] = json!(profile.role);
    data["roles"] = json!(profile.roles);
    data["groups"] = json!(profile.groups);
    data["custom_attributes"] = json!(profile.custom_attributes);
    data["raw_attributes"] = json!(profile.raw_attributes);
    data
}

/// `identities.identity_data` of somebody of AuthKit, replaced at every sign-in. Roles and groups are the membership's, of each organization.
pub fn authkit_identity_data(profile: &Profile, issuer: &str) -> Value {
    let mut data = user_metadata(profile, issuer);
    data["first_name"] = json!(profile.first_name);
    data["last_name"] = json!(profile.last_name);
    data["authentication_method"] = json!(profile.authkit.as_ref().and_then(|session| session.method.as_deref()));
    data
}

/// `users.raw_app_meta_data` of a new user, by `identities.provider` of the first identity.
pub fn app_metadata(provider: &str) -> Value {
    json!({ "provider": provider, "providers": [provider] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Free;

    fn profile() -> Profile {
        Profile {
            id: "prof_1".into(),
            organization_id: Some("org_1".into()),
            connection_id: Some("conn_1".into()),
            connection_type: Some("OktaSAML".into()),
            idp_id: None,
            email: "Ada@Example.com".into(),
            first_name: Some(" Ada ".into()),
            last_name: Some("Lovelace".into()),
            name: Some("Countess of Lovelace".into()),
            role: None,
            roles: vec![],
            groups: vec!["engines".into()],
            permissions: None,
            custom_attributes: Free(json!({})),
            raw_attributes: Free(json!({})),
            authkit: None,
        }
    }

    #[test]
    fn user_metadata_is_supabases_without_what_rights_hang_on() {
        let expected = json!({
            "iss": "https://api.workos.com", "sub": "prof_1", "provider_id": "prof_1", "name": "Ada Lovelace",
            "full_name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true, "phone_verified": false,
        });
        assert_eq!(user_metadata(&profile(), "https://api.workos.com"), expected);
    }

    #[test]
    fn identity_data_keeps_what_workos_knows() {
        let data = identity_data(&profile(), "https://api.workos.com");
        assert_eq!(data["custom_claims"], json!({"connection_id": "conn_1", "organization_id": "org_1"}));
        assert_eq!(data["groups"], json!(["engines"]));
    }

    #[test]
    fn without_first_and_last_name_the_full_one_serves() {
        let nameless = Profile { first_name: None, last_name: Some(" ".into()), ..profile() };
        assert_eq!(user_metadata(&nameless, "x")["name"], json!("Countess of Lovelace"));
        let anonymous = Profile { name: None, ..nameless };
        assert_eq!(user_metadata(&anonymous, "x").get("name"), None);
    }
}
