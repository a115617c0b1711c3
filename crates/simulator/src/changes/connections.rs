//! Connections become active and inactive, their certificates expire, and they go.

use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::seed::{Connection, ConnectionState, SeedError};
use crate::state::Memory;

/// Adds or replaces a connection. WorkOS has no event for one that is made or renamed.
pub(crate) fn put(memory: &mut Memory, connection: Connection) -> Result<(), SeedError> {
    let before = memory.registry.connections.get(&connection.id).map(|before| before.state);
    let (id, state) = (connection.id.clone(), connection.state);
    memory.registry.put_connection(connection)?;
    touch(memory, &id, before.is_none());
    tell(memory, &id, before, state);
    Ok(())
}

pub(super) fn set_state(memory: &mut Memory, id: &str, state: ConnectionState) -> Result<String, Refusal> {
    let found = memory.registry.connections.get_mut(id);
    let connection = found.ok_or_else(|| Refusal::not_found("connection", id))?;
    let before = std::mem::replace(&mut connection.state, state);
    touch(memory, id, false);
    tell(memory, id, Some(before), state);
    Ok(id.to_owned())
}

/// "`state` is the one before" (WorkOS's documentation).
pub(super) fn delete(memory: &mut Memory, id: &str) -> Result<String, Refusal> {
    let connection = find(memory, id)?.clone();
    let mut data = memory.registry.connection_json(&connection);
    if let Some(members) = data.as_object_mut() {
        members.remove("status");
        members.remove("domains");
    }
    memory.registry.connections.shift_remove(id);
    memory.registry.profiles.retain(|_, profile| profile.connection != id);
    memory.emit("connection.deleted", data);
    Ok(connection.id)
}

pub(super) fn certificate_expires(memory: &mut Memory, id: &str, in_days: i64) -> Result<String, Refusal> {
    let connection = owner(find(memory, id)?);
    let expiry_date = memory.clock.timestamp().plus_seconds(in_days.saturating_mul(24 * 60 * 60));
    let certificate =
        json!({ "certificate_type": "ResponseSigning", "expiry_date": expiry_date, "is_expired": in_days < 0 });
    let data = json!({ "connection": connection, "certificate": certificate, "days_until_expiry": in_days });
    memory.emit("connection.saml_certificate_renewal_required", data);
    Ok(id.to_owned())
}

pub(super) fn certificate_renewed(memory: &mut Memory, id: &str, for_days: i64) -> Result<String, Refusal> {
    let connection = owner(find(memory, id)?);
    let now = memory.clock.timestamp();
    let expiry_date = now.plus_seconds(for_days.saturating_mul(24 * 60 * 60));
    let certificate = json!({ "certificate_type": "ResponseSigning", "expiry_date": expiry_date });
    let data = json!({ "connection": connection, "certificate": certificate, "renewed_at": now });
    memory.emit("connection.saml_certificate_renewed", data);
    Ok(id.to_owned())
}

fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a Connection, Refusal> {
    memory.registry.connections.get(id).ok_or_else(|| Refusal::not_found("connection", id))
}

fn owner(connection: &Connection) -> Value {
    let mut owner = json!({ "id": connection.id });
    if let Some(organization) = &connection.organization {
        owner["organization_id"] = organization.as_str().into();
    }
    owner
}

fn touch(memory: &mut Memory, id: &str, is_new: bool) {
    let now = memory.clock.timestamp();
    let seeded = if is_new { now } else { crate::clock::Timestamp::SEEDED };
    memory.registry.connection_dates.entry(id.to_owned()).or_insert((seeded, now)).1 = now;
}

fn tell(memory: &mut Memory, id: &str, before: Option<ConnectionState>, state: ConnectionState) {
    let was_active = before == Some(ConnectionState::Active);
    let event = match state {
        ConnectionState::Active if !was_active => "connection.activated",
        ConnectionState::Active => return,
        _ if was_active => "connection.deactivated",
        _ => return,
    };
    let Some(connection) = memory.registry.connections.get(id) else { return };
    let mut data = memory.registry.connection_json(connection);
    data["external_key"] = format!("key_{id}").into();
    memory.emit(event, data);
}
