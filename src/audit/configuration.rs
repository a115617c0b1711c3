//! The audit log's entries of what administrators write into tables themselves.

use serde_json::{Map, Value, json};
use workos_auth_core::Result;

use super::entry::audit;
use crate::store::Subject;

/// The columns that are written down, of whichever table has them.
pub const COLUMNS: &[&str] = &["pattern", "organization_id", "domain", "state", "event", "function", "function_owner"];

/// A row, as far as it is written down.
pub type Fields<'a> = Vec<(&'a str, String)>;

/// Writes down that a row came, changed or went; without either row, that the table was emptied.
pub fn write(table: &str, old: Option<Fields>, new: Option<Fields>) -> Result<()> {
    let what = match table {
        "redirect_urls" => "redirect_url",
        "organization_domains" => "organization_domain",
        "hooks" => "hook",
        other => other,
    };
    let (done, payload) = match (old.map(object), new.map(object)) {
        (None, Some(new)) => ("added", new),
        (Some(old), None) => ("removed", old),
        (Some(old), Some(new)) => ("changed", json!({ "old": old, "new": new })),
        (None, None) => ("truncated", json!({})),
    };
    let organization = payload.get("organization_id").and_then(Value::as_str).map(str::to_owned);
    let subject = Subject { organization_id: organization.as_deref(), ..Subject::default() };
    audit(&format!("{what}_{done}"), &subject, payload)
}

fn object(row: Fields) -> Value {
    Value::Object(row.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect::<Map<_, _>>())
}
