//! Hooks: which function may be one, and what one may change in an access token.
//!
//! A hook is the administrator's own function, of `jsonb` and returning `jsonb`. It may say more of a person than WorkOS does, and
//! less; it may not say that they are somebody else.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::claims::RESERVED;
use crate::error::{Error, ErrorCode, Result};

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// an account was made
    UserCreated,
    /// a session was opened
    SignedIn,
    /// an access token is about to be signed
    Token,
}

impl Event {
    /// As it stands in `auth.hooks.event`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Event::UserCreated => "user_created",
            Event::SignedIn => "signed_in",
            Event::Token => "token",
        }
    }
}

/// The claims that a hook may thin out: lists of text, which may lose members and gain none.
const THINNED: [&str; 3] = ["groups", "org_roles", "permissions"];
/// The claims of which people know that they are objects.
const OBJECTS: [&str; 2] = ["app_metadata", "user_metadata"];

/// The claims of the token, from what the `token` hook returned; `None` stands for NULL.
///
/// # Errors
/// A whole sentence that names what is wrong, and the claim.
pub fn apply(before: &Map<String, Value>, returned: Option<&Value>) -> std::result::Result<Map<String, Value>, String> {
    let document = returned.ok_or("It returned NULL.")?;
    let document = document.as_object().ok_or("It did not return an object.")?;
    let claims = document.get("claims").ok_or("What it returned has no member claims.")?;
    let claims = claims.as_object().ok_or("The claims that it returned are not an object.")?;
    for name in RESERVED {
        if before.get(*name) != claims.get(*name) {
            return Err(format!("It changed the claim {name}, which is reserved."));
        }
    }
    let mut after = claims.clone();
    for name in THINNED {
        let list = thinned(before.get(name), claims.get(name));
        after.insert(name.to_owned(), list.map_err(|why| format!("{why} the claim {name}."))?);
    }
    // What a superuser wrote into the row is not the hook's doing.
    let changed = |name: &str| claims.get(name) != before.get(name);
    match OBJECTS.iter().find(|name| changed(name) && claims.get(**name).is_some_and(|value| !value.is_object())) {
        Some(name) => Err(format!("It made something else than an object of the claim {name}.")),
        None => Ok(after),
    }
}

/// The words in which a `token` hook refuses, `{"error": {"http_code": 403, "message": "…"}}`, as Supabase's hooks may; `None` where
/// it does not refuse. What is left of them is the detail of `hook_refused`: [`refusal_in_words`] reads it.
///
/// # Errors
/// A whole sentence that names what is wrong.
pub fn refusal(returned: Option<&Value>) -> std::result::Result<Option<String>, &'static str> {
    let Some(error) = returned.and_then(|returned| returned.get("error")).filter(|error| !error.is_null()) else {
        return Ok(None);
    };
    let Some(message) = error.get("message").and_then(Value::as_str).filter(|message| !message.trim().is_empty())
    else {
        return Err("It returned an error without a message.");
    };
    let status = match error.get("http_code") {
        None | Some(Value::Null) => ErrorCode::HookRefused.http_status(),
        Some(code) => match code.as_u64().and_then(|code| u16::try_from(code).ok()) {
            Some(code) if (400..=599).contains(&code) => code,
            _ => return Err("It returned an error whose http_code is not a number from 400 to 599."),
        },
    };
    let message: String = message.chars().take(MAX_WORDS).collect();
    Ok(Some(format!("HTTP {status}: {message}")))
}

/// How much of a hook's own words is handed on, in characters.
const MAX_WORDS: usize = 300;

/// The status and the words of a `hook_refused`, from its detail.
pub fn refusal_in_words(detail: &str) -> Option<(u16, &str)> {
    let (status, words) = detail.strip_prefix("HTTP ")?.split_once(": ")?;
    Some((status.parse().ok()?, words))
}

/// A list that is left out is one that lost all its members.
fn thinned(before: Option<&Value>, after: Option<&Value>) -> std::result::Result<Value, &'static str> {
    let Some(after) = after else { return Ok(Value::Array(Vec::new())) };
    let list = after.as_array().ok_or("It made something else than a list of")?;
    let members = |list: &Value| list.as_array().into_iter().flatten().filter_map(Value::as_str).count();
    let known: HashSet<&str> =
        before.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let is_known = |member: &Value| member.as_str().is_some_and(|member| known.contains(member));
    match list.iter().all(is_known) && list.len() <= before.map_or(0, members) {
        true => Ok(after.clone()),
        false => Err("It added to"),
    }
}

/// The name of a function, with its schema: as it is, without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName {
    /// the schema
    pub schema: String,
    /// the function itself
    pub name: String,
}

impl FunctionName {
    /// Reads `schema.name` or `schema.name(jsonb)`. As in SQL, what stands without quotes is in lower case (ASCII only).
    ///
    /// # Errors
    /// `hook_invalid` over anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let read = || {
            let (schema, rest) = identifier(text.trim())?;
            let (name, rest) = identifier(rest.strip_prefix('.')?)?;
            let rest = rest.trim_start();
            let argument = match rest.is_empty() {
                true => return Some(Self { schema, name }),
                false => rest.strip_prefix('(')?.strip_suffix(')')?.trim().to_ascii_lowercase(),
            };
            matches!(argument.as_str(), "jsonb" | "pg_catalog.jsonb").then(|| Self { schema, name })
        };
        read().ok_or_else(|| Error::with_detail(ErrorCode::HookInvalid, "It is not written as schema.name(jsonb)."))
    }
}

/// The longest name in Postgres, in bytes (`NAMEDATALEN - 1`).
const NAME: usize = 63;

/// An identifier in front of the text, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => {
            let mut name = String::new();
            let mut rest = quoted;
            loop {
                let (part, after) = rest.split_once('"')?;
                name.push_str(part);
                // Two quotes are one.
                match after.strip_prefix('"') {
                    Some(after) => {
                        name.push('"');
                        rest = after;
                    }
                    None => break (name, after),
                }
            }
        }
        None => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
            let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            let starts_well = !name.starts_with(|c: char| c.is_ascii_digit() || c == '$');
            starts_well.then(|| (name.to_ascii_lowercase(), rest))?
        }
    };
    ((1..=NAME).contains(&name.len()) && !name.contains('\0')).then(|| (name, rest))
}

/// What Postgres knows of a function that takes one `jsonb`.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// not a procedure, an aggregate or a window function
    pub is_function: bool,
    /// `jsonb`, and not a set of it
    pub returns_jsonb: bool,
    /// it stands in somebody's temporary schema
    pub is_temporary: bool,
    /// it would run with every right
    pub owner_is_superuser: bool,
    /// it is one of the extension's own
    pub is_ours: bool,
}

impl Facts {
    /// Why such a function is no hook; a whole sentence.
    pub fn refusal(&self) -> Option<&'static str> {
        if !self.is_function {
            Some("It is a procedure, an aggregate or a window function.")
        } else if !self.returns_jsonb {
            Some("It does not return jsonb.")
        } else if self.is_temporary {
            Some("It is temporary.")
        } else if self.owner_is_superuser {
            Some("Its owner is a superuser, and a hook runs with the rights of its owner.")
        } else if self.is_ours {
            Some("It is a function of the extension.")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn before() -> Map<String, Value> {
        let claims = json!({
            "iss": "i", "sub": "s", "aud": "a", "exp": 2, "iat": 1, "email": "", "phone": "", "role": "authenticated", "aal": "aal1",
            "amr": [{ "method": "oauth", "timestamp": 1 }], "session_id": "x", "is_anonymous": false, "auth_time": 1,
            "claims_version": 0, "org_id": "org_1", "connection_id": "conn_1", "org_role": "admin",
            "org_roles": ["admin", "member"], "groups": ["a", "b", "ü"], "permissions": ["p"],
            "app_metadata": { "provider": "workos" }, "user_metadata": { "name": "Ann" },
        });
        claims.as_object().unwrap().clone()
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = before();
        claims.insert(name.to_owned(), value);
        json!({ "claims": claims })
    }

    fn without(name: &str) -> Value {
        let mut claims = before();
        claims.remove(name);
        json!({ "claims": claims })
    }

    fn refused(returned: &Value) -> String {
        apply(&before(), Some(returned)).unwrap_err()
    }

    #[test]
    fn what_comes_back_as_it_was_stays_as_it_was() {
        assert_eq!(apply(&before(), Some(&json!({ "event": "x", "claims": before() }))).unwrap(), before());
    }

    #[test]
    fn claims_may_be_added_and_changed_again() {
        let after = apply(&before(), Some(&with("plan", json!({ "tier": 3 })))).unwrap();
        assert_eq!(after["plan"], json!({ "tier": 3 }));
        let after = apply(&before(), Some(&with("app_metadata", json!({ "tier": 3 })))).unwrap();
        assert_eq!(after["app_metadata"], json!({ "tier": 3 }));
        assert!(!apply(&before(), Some(&without("user_metadata"))).unwrap().contains_key("user_metadata"));
    }

    #[test]
    fn what_is_no_document_names_what_is_missing() {
        assert_eq!(apply(&before(), None).unwrap_err(), "It returned NULL.");
        for returned in [json!(null), json!([]), json!("x"), json!(1)] {
            assert_eq!(refused(&returned), "It did not return an object.");
        }
        assert_eq!(refused(&json!({})), "What it returned has no member claims.");
        for claims in [json!(null), json!([]), json!("x")] {
            assert_eq!(refused(&json!({ "claims": claims })), "The claims that it returned are not an object.");
        }
    }

    #[test]
    fn no_reserved_claim_is_changed_removed_or_added() {
        for name in RESERVED {
            let why = format!("It changed the claim {name}, which is reserved.");
            assert_eq!(refused(&with(name, json!("another"))), why);
            assert_eq!(refused(&with(name, json!(null))), why);
            match before().contains_key(*name) {
                true => assert_eq!(refused(&without(name)), why),
                // Absent without a hook: nbf, act; and without roles of WorkOS's.
                false => assert!(["nbf", "act", "roles_version"].contains(name), "{name} is not in the test's claims"),
            }
        }
        let mut alone = before();
        alone.remove("org_id");
        let error = apply(&alone, Some(&with("org_id", json!("org_2")))).unwrap_err();
        assert_eq!(error, "It changed the claim org_id, which is reserved.");
    }

    #[test]
    fn groups_roles_and_permissions_only_get_fewer() {
        for name in THINNED {
            assert_eq!(apply(&before(), Some(&without(name))).unwrap()[name], json!([]), "left out is empty");
            for (list, why) in [
                (json!(null), "made something else than a list of"),
                (json!({}), "made something else than a list of"),
                (json!("p"), "made something else than a list of"),
                (json!(["stranger"]), "added to"),
                (json!([1]), "added to"),
                (json!([null]), "added to"),
                (json!([["p"]]), "added to"),
            ] {
                assert_eq!(refused(&with(name, list)), format!("It {why} the claim {name}."));
            }
        }
        assert_eq!(apply(&before(), Some(&with("groups", json!(["ü", "a"])))).unwrap()["groups"], json!(["ü", "a"]));
        assert_eq!(refused(&with("permissions", json!(["p", "p"]))), "It added to the claim permissions.");
        // A role that is no longer in the list is still the one of the membership.
        let after = apply(&before(), Some(&with("org_roles", json!(["member"])))).unwrap();
        assert_eq!((&after["org_role"], &after["org_roles"]), (&json!("admin"), &json!(["member"])));
    }

    #[test]
    fn metadata_stays_an_object() {
        for name in OBJECTS {
            let why = format!("It made something else than an object of the claim {name}.");
            assert_eq!(refused(&with(name, json!([]))), why);
            assert_eq!(refused(&with(name, json!(null))), why);
            // What was there before is no fault of the hook's.
            let before = with(name, json!(["odd"]))["claims"].as_object().unwrap().clone();
            assert!(apply(&before, Some(&json!({ "claims": before }))).is_ok(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_thinned_list_holds_nothing_new(list in proptest::collection::vec("[a-d]", 0..6), after in proptest::collection::vec("[a-e]", 0..6)) {
            let mut claims = before();
            claims.insert("groups".into(), json!(list));
            let mut returned = claims.clone();
            returned.insert("groups".into(), json!(after));
            let accepted = apply(&claims, Some(&json!({ "claims": returned }))).is_ok();
            prop_assert_eq!(accepted, after.len() <= list.len() && after.iter().all(|member| list.contains(member)));
        }
    }

    #[test]
    fn a_refusal_has_words_and_a_status() {
        for (returned, detail) in [
            (
                json!({ "error": { "http_code": 429, "message": "Too many seats: buy one" } }),
                "HTTP 429: Too many seats: buy one",
            ),
            (json!({ "error": { "message": "No." }, "claims": {} }), "HTTP 403: No."),
            (json!({ "error": { "http_code": null, "message": "No." } }), "HTTP 403: No."),
        ] {
            assert_eq!(refusal(Some(&returned)).unwrap().as_deref(), Some(detail), "{returned}");
        }
        assert_eq!(refusal_in_words("HTTP 429: Too many: seats"), Some((429, "Too many: seats")));
        for other in ["", "HTTP 429", "HTTP x: y", "It is one."] {
            assert_eq!(refusal_in_words(other), None, "{other}");
        }
        let long = refusal(Some(&json!({ "error": { "message": "ü".repeat(400) } }))).unwrap().unwrap();
        assert_eq!(long.chars().count(), 300 + "HTTP 403: ".len());
        for none in [json!({}), json!({ "claims": {} }), json!({ "error": null }), json!([]), json!("error")] {
            assert_eq!(refusal(Some(&none)), Ok(None), "{none}");
        }
        assert_eq!(refusal(None), Ok(None));
        for (bad, why) in [
            (json!({ "error": {} }), "without a message"),
            (json!({ "error": "no" }), "without a message"),
            (json!({ "error": { "message": " " } }), "without a message"),
            (json!({ "error": { "message": "x", "http_code": 200 } }), "http_code"),
            (json!({ "error": { "message": "x", "http_code": "403" } }), "http_code"),
            (json!({ "error": { "message": "x", "http_code": 403.5 } }), "http_code"),
        ] {
            assert!(refusal(Some(&bad)).unwrap_err().contains(why), "{bad}");
        }
    }

    #[test]
    fn a_function_is_named_as_in_sql() {
        for (text, schema, name) in [
            ("app.on_token(jsonb)", "app", "on_token"),
            ("app.on_token", "app", "on_token"),
            ("  App.On_Token ( JSONB ) ", "app", "on_token"),
            ("app.on_token(pg_catalog.jsonb)", "app", "on_token"),
            (r#""My App"."On ""Token""."(jsonb)"#, "My App", r#"On "Token"."#),
            ("größe.ÄÖ$1", "größe", "ÄÖ$1"),
        ] {
            let parsed = FunctionName::parse(text).unwrap();
            assert_eq!((&*parsed.schema, &*parsed.name), (schema, name), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_function_name() {
        let long = format!("app.{}", "x".repeat(64));
        for text in [
            "",
            ".",
            "on_token",
            "on_token(jsonb)",
            "app.",
            ".on_token",
            "a.b.c",
            "app.on_token()",
            "app.on_token(json)",
            "app.on_token(jsonb, jsonb)",
            "app.on_token(jsonb",
            "app.on_token jsonb)",
            "app.on_token(jsonb); drop table x",
            "app .on_token",
            "\"app.on_token",
            "\"\".x",
            "1a.b",
            "$a.b",
            "app.a-b",
            "app.\"a\"b",
            "a\0.b",
            &long,
        ] {
            assert_eq!(FunctionName::parse(text).unwrap_err().code(), ErrorCode::HookInvalid, "{text:?}");
        }
    }

    #[test]
    fn what_may_not_be_a_hook_says_why() {
        let good = Facts {
            is_function: true,
            returns_jsonb: true,
            is_temporary: false,
            owner_is_superuser: false,
            is_ours: false,
        };
        assert_eq!(good.refusal(), None);
        for (bad, word) in [
            (Facts { is_function: false, ..good }, "procedure"),
            (Facts { returns_jsonb: false, ..good }, "jsonb"),
            (Facts { is_temporary: true, ..good }, "temporary"),
            (Facts { owner_is_superuser: true, ..good }, "superuser"),
            (Facts { is_ours: true, ..good }, "extension"),
        ] {
            assert!(bad.refusal().unwrap().contains(word), "{word}");
        }
    }
}
