//! The functions that hooks are, and what has become of a person after one has run.

use std::ffi::CString;

use pgrx::IntoDatum;
use pgrx::pg_catalog::pg_proc::{PgProc, ProKind};
use pgrx::pg_sys;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::hook::{Facts, FunctionName};

use super::{query, uuid_arg};

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
    query::row(
        "SELECT email, phone, role, raw_app_meta_data::pg_catalog.text, raw_user_meta_data::pg_catalog.text, is_anonymous
         FROM auth.users
         WHERE id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL
             AND coalesce(banned_until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp(), true)",
        &[uuid_arg(user_id)],
        |row| {
            let claims = [
                ("sub", json!(user_id)),
                ("email", json!(row.nullable::<String>(1)?.unwrap_or_default())),
                ("phone", json!(row.nullable::<String>(2)?.unwrap_or_default())),
                ("role", json!(row.get::<String>(3)?)),
                ("app_metadata", row.json(4, "raw_app_meta_data")?),
                ("user_metadata", row.json(5, "raw_user_meta_data")?),
                ("is_anonymous", json!(row.get::<bool>(6)?)),
            ];
            Ok(claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        },
    )
}

/// The version of the person's rights in a session. `None` where the session has ended, or the person is deleted or banned.
pub fn claims_version(session_id: Uuid) -> Result<Option<i64>> {
    query::row(
        "SELECT s.claims_version FROM auth.sessions AS s JOIN auth.users AS u ON u.id OPERATOR(pg_catalog.=) s.user_id
         WHERE s.id OPERATOR(pg_catalog.=) $1 AND u.deleted_at IS NULL
             AND coalesce(u.banned_until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp(), true)",
        &[uuid_arg(session_id)],
        |row| row.get(1),
    )
}
