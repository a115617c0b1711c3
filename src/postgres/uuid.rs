//! Ids, between Rust's type and pgrx's.

use uuid::Uuid;

/// As Postgres's functions take it.
pub fn to_postgres(id: Uuid) -> pgrx::Uuid {
    pgrx::Uuid::from_bytes(id.into_bytes())
}

/// As everything here takes it.
pub fn from_postgres(id: pgrx::Uuid) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}
