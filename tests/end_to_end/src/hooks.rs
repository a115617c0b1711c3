//! Hooks: a role that owns them, functions that are made one, and what they wrote down.

use serde_json::Value;

use crate::bed::Bed;

/// A database with the role `…_hooker`, who owns the schema `app`, and a table there.
#[track_caller]
pub fn bed(name: &str) -> impl Future<Output = Bed<'static>> + use<> {
    set_up(Bed::shared(name))
}

async fn set_up(bed: impl Future<Output = Bed<'static>>) -> Bed<'static> {
    let bed = bed.await;
    let hooker = bed.role("hooker", "").await;
    let sql = format!(
        "create schema app authorization {hooker}; set role {hooker};
         create table app.seen (at bigint generated always as identity, document jsonb, said text); reset role"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
    bed
}

/// Names a function of the hooker's as a hook, with this PL/pgSQL for a body.
pub async fn hook(bed: &Bed<'_>, event: &str, body: &str) {
    function(bed, &format!("app.on_{event}"), body).await;
    let sql = format!(
        "insert into auth.hooks (event, function) values ('{event}', 'app.on_{event}(jsonb)')
         on conflict (event) do update set function = excluded.function"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
}

/// Makes a function of the hooker's.
pub async fn function(bed: &Bed<'_>, name: &str, body: &str) {
    let sql = format!(
        "set role {}_hooker; create or replace function {name}(document jsonb) returns jsonb language plpgsql as $body$ {body} $body$;
         reset role",
        bed.database
    );
    bed.admin.batch_execute(&sql).await.unwrap();
}

/// Names no hook any more.
pub async fn no_hooks(bed: &Bed<'_>) {
    bed.admin.batch_execute("delete from auth.hooks").await.unwrap();
}

/// The documents that hooks wrote down.
pub async fn seen(bed: &Bed<'_>) -> Vec<Value> {
    let rows = bed.admin.query("select document from app.seen order by at", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What else they wrote down, since the last look.
pub async fn said(bed: &Bed<'_>) -> Vec<String> {
    let rows = bed.admin.query("delete from app.seen returning coalesce(said, 'NULL')", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A hook that writes its document down, and changes nothing.
pub const SEE: &str = "begin insert into app.seen (document) values (document); return document; end";
/// The same of a hook whose answer does not count.
pub const SEE_AND_SAY_NOTHING: &str = "begin insert into app.seen (document) values (document); return null; end";

/// Lets the hooker write into the tables, which nobody should.
pub async fn allow(bed: &Bed<'_>, rights: &str) {
    let hooker = format!("{}_hooker", bed.database);
    bed.admin.batch_execute(&format!("grant {rights} to {hooker}; alter role {hooker} bypassrls")).await.unwrap();
}
