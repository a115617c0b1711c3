//! `GET /events`

use std::sync::Arc;

use axum::extract::{RawQuery, State as Shared};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::events::Event;
use crate::fault::FaultKind;
use crate::refusal::Refusal;
use crate::rest::access::authorized;
use crate::rest::page::Query;
use crate::state::State;

/// "Up to 30 days" by one request (WorkOS's documentation).
const RANGE: i64 = 30 * 24 * 60 * 60;

/// What faults make of the rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bent(pub Vec<FaultKind>);

/// `GET /events?events&after&range_start&range_end&organization_id&limit`, oldest first whatever `order` says: byte-identical pages for all
/// of its values, as is reported of WorkOS.
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    Extension(Bent(faults)): Extension<Bent>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let memory = &mut *authorized(&state, &headers)?;
    let query = Query::new(query);
    let limit = query.limit()?;
    let wanted = query.list("events");
    // WorkOS's documentation treats it as required.
    if wanted.is_empty() {
        return Err(Refusal::invalid("events", "required"));
    }
    let range_start = date(&query, "range_start")?;
    let range_end = date(&query, "range_end")?;
    let after = query.get("after");
    if after.is_some() && range_start.is_some() {
        return Err(Refusal::invalid("after", "excludes_range_start"));
    }
    if range_start.zip(range_end).is_some_and(|(start, end)| start.plus_seconds(RANGE) < end) {
        return Err(Refusal::invalid("range_end", "range_too_long"));
    }
    let any_type = faults.contains(&FaultKind::EventFilterIgnored);
    let dates = memory.events.settings.dates;
    let kept = memory.events.kept(memory.clock.now(), memory.clock.timestamp());
    // An id that is unknown or too old: from the beginning, as WorkOS's emulators do. WorkOS does not document it.
    let position = after.and_then(|after| kept.iter().rposition(|event| event.id == after));
    let start = position.map_or(0, |position| position.saturating_add(1));
    let matches = |event: &&Event| {
        (any_type || wanted.contains(&event.event.as_str()))
            && query.get("organization_id").is_none_or(|wanted| event.organization_id.as_deref() == Some(wanted))
            && range_start.is_none_or(|start| event.created_at >= start)
            && range_end.is_none_or(|end| event.created_at <= end)
    };
    let times = if faults.contains(&FaultKind::RepeatedEvents) { 2 } else { 1 };
    let mut found = kept.iter().skip(start).filter(matches).flat_map(|event| std::iter::repeat_n(event, times));
    let page: Vec<&Event> = found.by_ref().take(limit).collect();
    let last = page.last().map(|event| event.id.as_str());
    let more = found.any(|event| Some(event.id.as_str()) != last);
    let data: Vec<Value> = page.iter().map(|event| event.json(dates)).collect();
    // "`list_metadata.after` is null at the end" (WorkOS's documentation): a consumer keeps the last event's own id.
    let after = last.filter(|_| more);
    Ok(Json(json!({ "object": "list", "data": data, "list_metadata": { "after": after } })).into_response())
}

fn date(query: &Query, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let parse = |text| Timestamp::parse(text).ok_or_else(|| Refusal::invalid(name, "invalid_date"));
    query.get(name).map(parse).transpose()
}
