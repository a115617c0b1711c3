//! What `dsync.*.updated` says of before.

use serde_json::{Map, Value};

/// `data.previous_attributes`: the members that changed, as they were, and null for those that were not there. It is shallow (WorkOS's
/// documentation).
pub(super) fn with_previous_attributes(mut after: Value, before: Option<Value>) -> Value {
    let before = before.unwrap_or_default();
    let changed = |(name, value): (&String, &Value)| {
        let old = before.get(name).cloned().unwrap_or_default();
        (old != *value && name != "updated_at").then(|| (name.clone(), old))
    };
    let previous: Map<_, _> = after.as_object().into_iter().flatten().filter_map(changed).collect();
    after["previous_attributes"] = previous.into();
    after
}
