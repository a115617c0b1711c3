//! The functions that hooks are, and what has become of a person after one has run.

use std::ffi::CString;

use pgrx::IntoDatum;
use pgrx::pg_catalog::pg_proc::{PgProc, ProKind};
use pgrx::pg_sys;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::hook::{Facts, FunctionName};

use super::{scan, users};
use crate::postgres::snapshot::Snapshot;

/// A function that takes one `jsonb`.
pub struct Function {
    /// `pg_proc.oid`
    pub oid: pg_sys::Oid,
    /// whose it is
    pub owner: pg_sys::Oid,
    /// whether it may be a hook
    pub facts: Facts,
}

/// Looks a function up: in the catalog caches, which show what is there now whatever this transaction's snapshot shows, and without
/// asking for rights on its schema.
pub fn function(name: &FunctionName) -> Option<Function> {
    let schema = CString::new(name.schema.as_str()).ok()?;
    let function = CString::new(name.name.as_str()).ok()?;
    let arguments = [pg_sys::JSONBOID];
    // SAFETY: catalog look-ups by C strings, at most 63 bytes long, and by a vector of one member.
    let (oid, schema) = unsafe {
        pg_sys::AcceptInvalidationMessages();
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        let oid = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as pg_sys::AttrNumber,
            pg_sys::Datum::from(function.as_ptr()),
            pg_sys::Datum::from(pg_sys::buildoidvector(arguments.as_ptr(), 1)),
            schema.into_datum()?,
            pg_sys::Datum::null(),
        );
        (oid, schema)
    };
    let found = PgProc::new(oid)?;
    let owner = found.proowner();
    // SAFETY: catalog look-ups by OID; missing_ok.
    let (is_temporary, owner_is_superuser, ours) = unsafe {
        (
            pg_sys::isAnyTempNamespace(schema),
            pg_sys::superuser_arg(owner),
            pg_sys::get_role_oid(c"workos_auth_owner".as_ptr(), true),
        )
    };
    let facts = Facts {
        is_function: matches!(found.prokind(), ProKind::Function),
        returns_jsonb: found.prorettype() == pg_sys::JSONBOID && !found.proretset(),
        is_temporary,
        owner_is_superuser,
        is_ours: owner == ours,
    };
    Some(Function { oid, owner, facts })
}

/// What a token would say of a user before there is a session. `None` where they are gone, deleted or banned.
pub fn user_claims(user_id: Uuid) -> Result<Option<Map<String, Value>>> {
    let claims = |row: &scan::ScannedRow| {
        if users::is_banned(row) || users::is_deleted(row) {
            return Ok(None);
        }
        let text = |column| row.get::<String>(column).unwrap_or_default();
        let claims = [
            ("sub", json!(user_id)),
            ("email", json!(text(c"email"))),
            ("phone", json!(text(c"phone"))),
            ("role", json!(row.required::<String>(c"role")?)),
            ("app_metadata", row.json(c"raw_app_meta_data")?),
            ("user_metadata", row.json(c"raw_user_meta_data")?),
            ("is_anonymous", json!(row.required::<bool>(c"is_anonymous")?)),
        ];
        Ok(Some(claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    };
    scan::user(user_id, &Snapshot::of_transaction(), claims).transpose().map(Option::flatten)
}

/// The version of the person's rights in a session. `None` where the session has ended, or the person is deleted or banned.
pub fn claims_version(session_id: Uuid) -> Option<i64> {
    let snapshot = Snapshot::of_transaction();
    let of_session = |row: &scan::ScannedRow| Some((row.uuid(c"user_id")?, row.get(c"claims_version")?));
    let (user_id, version) = scan::session(session_id, &snapshot, of_session).flatten()?;
    let is_gone = scan::user(user_id, &snapshot, |row| users::is_banned(row) || users::is_deleted(row));
    (is_gone == Some(false)).then(|| version)
}
