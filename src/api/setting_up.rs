//! Setting up: what administrators call. Declared in `sql/20_setting_up.sql`.

use std::path::Path;

use pgrx::JsonB;
use pgrx::prelude::*;
use workos_auth_core::authorize::Product;
use workos_auth_core::email_copies::email_copies;
use workos_auth_core::error::PostgresCode;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::admin::configure::{self, Configuration};
use crate::admin::{privileges, sealed_data, signing_keys, stored_settings};
use crate::error::or_raise;
use crate::postgres::roles::{Right, require_right};
use crate::postgres::transaction::require_writable;
use crate::postgres::uuid::to_postgres;
use crate::store::configuration_file;
use crate::store::privileges::Bundle;
use crate::{installation, secrets, settings, worker};

#[pg_extern(sql = false)]
fn create_root_key(path: Option<&str>) -> String {
    or_raise(new_root_key(path))
}

fn new_root_key(path: Option<&str>) -> Result<String> {
    require_right(
        Right::WriteServerFiles,
        "A root key file is written by superusers and members of pg_write_server_files.",
    )?;
    let path = path.ok_or_else(|| Error::null("path"))?;
    secrets::create_root_key(Path::new(path))?;
    Ok(format!(
        "Put workos_auth.root_key_file = '{}' into postgresql.conf, then run: select pg_reload_conf();",
        path.replace('\'', "''")
    ))
}

#[pg_extern(sql = false)]
fn configure_workos(
    client_id: Option<&str>,
    redirect_uri: Option<&str>,
    client_secret: Option<&str>,
    client_secret_file: Option<&str>,
    api_url: Option<&str>,
    enabled: Option<bool>,
) {
    or_raise(configure::configure(&Configuration {
        client_id,
        redirect_uri,
        client_secret,
        client_secret_file,
        api_url,
        enabled,
        product: None,
    }));
}

#[pg_extern(sql = false)]
fn configure_authkit(
    client_id: Option<&str>,
    redirect_uri: Option<&str>,
    client_secret: Option<&str>,
    client_secret_file: Option<&str>,
    api_url: Option<&str>,
    enabled: Option<bool>,
    product: Option<&str>,
) {
    let configuration = |product| Configuration {
        client_id,
        redirect_uri,
        client_secret,
        client_secret_file,
        api_url,
        enabled,
        product: Some(product),
    };
    or_raise(product_of(product).and_then(|product| configure::configure(&configuration(product))));
}

fn product_of(name: Option<&str>) -> Result<Product> {
    require_writable()?;
    Product::parse(name.ok_or_else(|| Error::null("product"))?)
}

#[pg_extern(sql = false)]
fn rotate_signing_key(algorithm: Option<&str>) -> String {
    or_raise(signing_keys::rotate(algorithm))
}

#[pg_extern(sql = false)]
fn add_signing_key(algorithm: Option<&str>) -> String {
    or_raise(signing_keys::add(algorithm))
}

#[pg_extern(sql = false)]
fn retire_signing_key(kid: Option<&str>) {
    or_raise(signing_keys::retire(kid));
}

#[pg_extern(sql = false)]
fn become_new_installation() -> pgrx::Uuid {
    to_postgres(or_raise(installation::become_new()))
}

#[pg_extern(sql = false)]
fn take_over_installation() -> pgrx::Uuid {
    to_postgres(or_raise(installation::take_over()))
}

#[pg_extern(sql = false)]
fn reseal(new_root_key_file: Option<&str>) -> i64 {
    or_raise(sealed_data::move_to(new_root_key_file))
}

#[pg_extern(sql = false)]
fn abandon_sealed_data() -> JsonB {
    JsonB(or_raise(sealed_data::abandon()))
}

#[pg_extern(sql = false)]
fn require_ready() {
    or_raise(sealed_data::require_ready());
}

/// What `auth.check()` reports of the root key.
#[pg_extern(sql = false)]
fn check_root_key()
-> TableIterator<'static, (name!(name, &'static str), name!(finding, String), name!(by_hand, String))> {
    TableIterator::new(sealed_data::finding())
}

/// What `auth.check()` reads in the function of a trigger on `auth.users`.
#[pg_extern(sql = false)]
fn check_email_copies(
    body: Option<&str>,
) -> TableIterator<'static, (name!(relation, String), name!(attribute, Option<String>), name!(place, i32))> {
    let copies = email_copies(body.unwrap_or_default());
    TableIterator::new(
        copies.into_iter().map(|copy| (copy.table, copy.column, i32::try_from(copy.place).unwrap_or(i32::MAX))),
    )
}

/// What `auth.check()` reports of a copy.
#[pg_extern(sql = false)]
fn check_copy() -> Option<String> {
    installation::copy_finding()
}

#[pg_extern(sql = false)]
fn grant_sign_in(role: Option<pg_sys::Oid>) {
    or_raise(privileges::grant(Bundle::SignIn, role));
}

#[pg_extern(sql = false)]
fn revoke_sign_in(role: Option<pg_sys::Oid>) {
    or_raise(privileges::revoke(Bundle::SignIn, role));
}

#[pg_extern(sql = false)]
fn grant_broker(role: Option<pg_sys::Oid>) {
    or_raise(privileges::grant(Bundle::Broker, role));
}

#[pg_extern(sql = false)]
fn revoke_broker(role: Option<pg_sys::Oid>) {
    or_raise(privileges::revoke(Bundle::Broker, role));
}

#[pg_extern(sql = false)]
fn grant_admin(role: Option<pg_sys::Oid>) {
    or_raise(privileges::grant(Bundle::Admin, role));
}

#[pg_extern(sql = false)]
fn revoke_admin(role: Option<pg_sys::Oid>) {
    or_raise(privileges::revoke(Bundle::Admin, role));
}

#[pg_extern(sql = false)]
fn alter_system(setting: Option<&str>, value: Option<&str>) {
    or_raise(set_for_server(setting, value));
}

fn set_for_server(setting: Option<&str>, value: Option<&str>) -> Result<()> {
    let setting = setting.ok_or_else(|| Error::null("setting"))?;
    configuration_file::alter_system(setting, value.ok_or_else(|| Error::null("value"))?)
}

#[pg_extern(sql = false)]
fn reset_setting(setting: Option<&str>, role: Option<pg_sys::Oid>, database: Option<&str>) -> i64 {
    or_raise(stored_settings::reset(setting, role, database))
}

/// What `auth.check()` reports of a setting as it is stored.
#[pg_extern(sql = false)]
fn check_setting(setting: Option<&str>, value: Option<&str>, in_file: Option<bool>) -> Option<&'static str> {
    settings::finding(setting?, value, in_file.unwrap_or_default())
}

/// Whether each new connection loads the library.
#[pg_extern(sql = false)]
fn check_preloaded() -> bool {
    settings::is_preloaded()
}

/// Whether the background worker of this database runs; NULL where there is to be none.
#[pg_extern(sql = false)]
fn check_worker_runs() -> Option<bool> {
    worker::runs()
}

#[pg_extern(sql = false)]
fn error_codes() -> TableIterator<
    'static,
    (name!(sqlstate, &'static str), name!(name, &'static str), name!(http_status, i32), name!(meaning, &'static str)),
> {
    let ours =
        ErrorCode::ALL.iter().map(|code| (code.sqlstate(), code.name(), i32::from(code.http_status()), code.message()));
    let postgres =
        PostgresCode::ALL.iter().map(|code| (code.sqlstate, code.name, i32::from(code.http_status), code.meaning));
    TableIterator::new(ours.chain(postgres))
}
