//! Lists, and the parameters by which they are filtered and paged.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::parameters::{self, Pairs};
use crate::refusal::Refusal;

/// The query of a list.
pub(crate) struct Query(Pairs);

/// Where in the list, and how much of it.
struct Window {
    limit: usize,
    before: Option<String>,
    after: Option<String>,
    newest_first: bool,
}

impl Query {
    pub fn new(query: Option<String>) -> Self {
        Self(parameters::decode(query.unwrap_or_default().as_bytes()))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        parameters::get(&self.0, name)
    }

    /// The values of a parameter that is a list: joined by commas, as WorkOS's SDKs send it and its OpenAPI file says (`explode: false`).
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.get(name).map(|values| values.split(',').collect()).unwrap_or_default()
    }

    /// How many are asked for.
    pub fn limit(&self) -> Result<usize, Refusal> {
        let limit = self.get("limit").map_or(Ok(10), str::parse);
        limit.ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| Refusal::invalid("limit", "invalid_limit"))
    }

    /// A page of `all`, which is oldest first; the newest come first where nothing else is asked for.
    ///
    /// A cursor that is none of `all` counts as absent, which WorkOS does not document.
    pub fn page<'a, T: 'a>(
        &self,
        all: impl DoubleEndedIterator<Item = &'a T>,
        id: impl Fn(&T) -> &str,
        show: impl Fn(&T) -> Value,
    ) -> Result<Response, Refusal> {
        let window = self.window()?;
        let mut all: Vec<&T> = if window.newest_first { all.rev().collect() } else { all.collect() };
        let position = |cursor: &Option<String>| {
            cursor.as_deref().and_then(|cursor| all.iter().position(|item| id(item) == cursor))
        };
        let (start, end) = match (position(&window.after), position(&window.before)) {
            (None, Some(before)) => (before.saturating_sub(window.limit), before),
            (after, _) => {
                let start = after.map_or(0, |after| after.saturating_add(1));
                (start, all.len().min(start.saturating_add(window.limit)))
            }
        };
        let (more_before, more_after) = (start > 0, end < all.len());
        all.truncate(end);
        let page = all.split_off(start);
        let before = page.first().filter(|_| more_before).map(|item| id(item));
        let after = page.last().filter(|_| more_after).map(|item| id(item));
        let metadata = json!({ "before": before, "after": after });
        let data: Vec<Value> = page.iter().map(|item| show(item)).collect();
        Ok(Json(json!({ "object": "list", "data": data, "list_metadata": metadata })).into_response())
    }

    fn window(&self) -> Result<Window, Refusal> {
        let newest_first = match self.get("order") {
            None | Some("desc") => true,
            Some("asc") => false,
            // "Descending with reversed cursor semantics" (WorkOS's SDKs): no client of ours asks for it.
            Some(_) => return Err(Refusal::invalid("order", "invalid_order")),
        };
        let cursor = |name| self.get(name).map(str::to_owned);
        Ok(Window { limit: self.limit()?, before: cursor("before"), after: cursor("after"), newest_first })
    }
}

/// Whether a name has these words in it.
pub(crate) fn contains(name: &str, wanted: &str) -> bool {
    name.to_lowercase().contains(&wanted.to_lowercase())
}
