//! A sign-in that was refused, as the audit log and the server's log have it: why, and of whom, as far as anybody knows.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::accounts::fold_email;
use crate::authorize::Selector;
use crate::callback::{CallbackRefusal, MAX_DESCRIPTION, presentable};
use crate::error::Error;
use crate::workos::Profile;

/// How many refusals of one address the audit log takes within an hour. Who tries again and again does not fill it.
pub const MOST_OF_AN_ADDRESS: i64 = 20;
/// How many it takes within an hour of people whom WorkOS has not named. Anybody can begin a sign-in and bring its callback with an error.
pub const MOST_OF_NOBODY: i64 = 1000;
/// How much of WorkOS's name of an error is kept, in characters.
const MAX_ERROR: usize = 100;

/// A sign-in that was refused. It belongs to a row of `auth.flow_states`: what belongs to none is nobody's sign-in.
#[derive(Debug)]
pub struct RefusedSignIn<'a> {
    /// The row.
    pub flow_id: Uuid,
    /// What the sign-in asked WorkOS for.
    pub asked: &'a Selector,
    /// Who came, where WorkOS said so.
    pub profile: Option<&'a Profile>,
    /// Why.
    pub reason: Reason<'a>,
}

/// Why a sign-in was refused.
#[derive(Debug, Clone, Copy)]
pub enum Reason<'a> {
    /// An error of ours. WorkOS's answers are among them.
    Error(&'a Error),
    /// The callback's answer. WorkOS's redirect may have brought an error and its description.
    Callback(&'a CallbackRefusal, Option<&'a str>, Option<&'a str>),
}

impl RefusedSignIn<'_> {
    /// The organization that the person came from, or else the one asked for.
    pub fn organization_id(&self) -> Option<&str> {
        match self.profile {
            Some(profile) => profile.organization_id.as_deref(),
            None => self.asked.organization(),
        }
    }

    /// The connection that the person came through, or else the one asked for.
    pub fn connection_id(&self) -> Option<&str> {
        match self.profile {
            Some(profile) => profile.connection_id.as_deref(),
            None => self.asked.connection(),
        }
    }

    /// The person's address, as addresses are compared.
    pub fn email(&self) -> Option<String> {
        self.profile.map(|profile| fold_email(&profile.email))
    }

    /// What has no column of the audit log: the reason's stable name, its particulars, and the ids.
    pub fn payload(&self) -> Value {
        let mut payload = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                payload.insert(name.to_owned(), value.into());
            }
        };
        put("flow_id", Some(&self.flow_id.to_string()));
        put("provider", self.asked.provider());
        put("provider_id", self.profile.map(|profile| profile.id.as_str()));
        match self.reason {
            Reason::Error(error) => {
                put("reason", Some(error.code().name()));
                put("detail", error.detail());
            }
            Reason::Callback(refusal, error, description) => {
                put("reason", Some(refusal.name()));
                match error {
                    Some(error) => {
                        put("workos_error", Some(&presentable(error, MAX_ERROR)));
                        let description = description.map(|description| presentable(description, MAX_DESCRIPTION));
                        put("workos_error_description", description.as_deref());
                    }
                    None => put("detail", Some(refusal.description())),
                }
            }
        }
        Value::Object(payload)
    }

    /// All of it in one line, for the server's log. JSON, so that no text in it ends the line.
    pub fn to_line(&self) -> String {
        let mut all = self.payload();
        for (name, value) in [
            ("email", self.email().as_deref()),
            ("organization_id", self.organization_id()),
            ("connection_id", self.connection_id()),
        ] {
            if let Some(value) = value {
                all[name] = value.into();
            }
        }
        // Stands in the error's own detail.
        if let Some(all) = all.as_object_mut() {
            all.remove("detail");
        }
        format!("Refused sign-in: {all}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ErrorCode;
    use crate::json::{self, Free};

    const FLOW: Uuid = Uuid::from_u128(7);

    fn profile() -> Profile {
        Profile {
            id: "prof_1".into(),
            organization_id: Some("org_acme".into()),
            connection_id: Some("conn_acme".into()),
            connection_type: Some("OktaSAML".into()),
            idp_id: Some("idp".into()),
            email: "Alice@Acme.com".into(),
            first_name: None,
            last_name: None,
            name: None,
            role: None,
            roles: Vec::new(),
            groups: Vec::new(),
            permissions: None,
            custom_attributes: Free(json!({})),
            raw_attributes: Free(json!({})),
            authkit: None,
        }
    }

    #[test]
    fn what_workos_said_of_the_person_counts_more_than_what_was_asked_for() {
        let profile = profile();
        let asked = Selector::new(Some("org_globex"), None, None).unwrap();
        let error = Error::with_detail(ErrorCode::OrganizationMismatch, "Asked for org_globex.");
        let refused =
            RefusedSignIn { flow_id: FLOW, asked: &asked, profile: Some(&profile), reason: Reason::Error(&error) };
        assert_eq!(
            (refused.organization_id(), refused.connection_id(), refused.email().as_deref()),
            (Some("org_acme"), Some("conn_acme"), Some("alice@acme.com"))
        );
        assert_eq!(
            refused.payload(),
            json!({ "flow_id": FLOW, "provider_id": "prof_1", "reason": "organization_mismatch", "detail": "Asked for org_globex." })
        );
        let unnamed = RefusedSignIn { profile: None, ..refused };
        assert_eq!(
            (unnamed.organization_id(), unnamed.connection_id(), unnamed.email()),
            (Some("org_globex"), None, None)
        );
    }

    #[test]
    fn an_error_of_workos_is_kept_as_it_came_but_for_what_disturbs() {
        let asked = Selector::new(None, None, Some("GoogleOAuth")).unwrap();
        let (error, description) = ("new_\nerror", "no\u{202e}\r\nway");
        let refusal = CallbackRefusal::of_workos(error, Some(description));
        let reason = Reason::Callback(&refusal, Some(error), Some(description));
        let refused = RefusedSignIn { flow_id: FLOW, asked: &asked, profile: None, reason };
        assert_eq!(
            refused.payload(),
            json!({
                "flow_id": FLOW, "provider": "GoogleOAuth", "reason": "server_error",
                "workos_error": "new_error", "workos_error_description": "noway",
            })
        );
        let long = "x".repeat(1000);
        let reason = Reason::Callback(&refusal, Some(&long), Some(&long));
        let payload = RefusedSignIn { reason, ..refused }.payload();
        let lengths = ["workos_error", "workos_error_description"].map(|name| payload[name].as_str().unwrap().len());
        assert_eq!(lengths, [100, 300]);
    }

    #[test]
    fn the_log_has_it_in_one_line_and_the_detail_once() {
        let (profile, asked) = (profile(), Selector::new(Some("org_acme"), None, None).unwrap());
        let profile = Profile { email: "a\n@acme.com".into(), ..profile };
        let error = Error::new(ErrorCode::UserBanned);
        let refused =
            RefusedSignIn { flow_id: FLOW, asked: &asked, profile: Some(&profile), reason: Reason::Error(&error) };
        let line = refused.to_line();
        assert!(!line.contains('\n') && !line.contains("banned_until"), "{line}");
        let logged = error.clone().for_log(line.clone()).log_detail().unwrap();
        assert_eq!(logged, format!("auth.users.banned_until lies in the future. {line}"));
        assert_eq!(error.log_detail(), None);
        let fields: Value = json::parse(line.strip_prefix("Refused sign-in: ").unwrap()).unwrap();
        assert_eq!(
            fields,
            json!({
                "flow_id": FLOW, "provider_id": "prof_1", "reason": "user_banned", "email": "a\n@acme.com",
                "organization_id": "org_acme", "connection_id": "conn_acme",
            })
        );
    }
}
