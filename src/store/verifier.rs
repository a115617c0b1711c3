//! `heartbeat` and `verifier`, and the publication that carries them.

use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use workos_auth_core::Result;

use super::{query, scan, spi, uuid_arg};
use crate::error::unexpected;

/// What verifiers need of a table: its columns, by name.
pub struct Published {
    /// the table, in the schema `auth`
    pub table: &'static str,
    /// its columns, none of which holds a secret
    pub columns: &'static [&'static str],
}

/// All of it.
pub static PUBLISHED: [Published; 4] = [
    Published { table: "sessions", columns: &["id", "claims_version"] },
    Published { table: "signing_keys", columns: &["kid", "algorithm", "public_key", "status"] },
    Published { table: "organizations", columns: &["id", "issuer"] },
    Published { table: "heartbeat", columns: &["installation_id", "beat", "sent_at", "issuer", "audience"] },
];

/// A publication that has `auth.heartbeat`.
pub struct Publication {
    /// its name
    pub name: String,
    /// how many of the four tables it has as verifiers need them: none in part, with all rows and all changes
    pub complete: i64,
    /// as which rows of the catalogs; where these are others, changes may have been lost in between
    pub rows: String,
}

/// Those that there are.
pub fn publications() -> Result<Vec<Publication>> {
    let lists = PUBLISHED.iter().map(|p| format!("{}:{}", p.table, p.columns.join(","))).collect::<Vec<_>>();
    query::catalog_rows(
        "SELECT p.pubname::pg_catalog.text, count(*) FILTER (WHERE p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate
             AND r.prqual IS NULL AND (r.prattrs IS NULL OR pg_catalog.string_to_array(pg_catalog.split_part(wanted.list, ':', 2), ',')
                 OPERATOR(pg_catalog.<@) ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
                     WHERE a.attrelid OPERATOR(pg_catalog.=) r.prrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (r.prattrs::pg_catalog.int2[])))),
             pg_catalog.concat_ws(' ', p.oid, p.xmin, pg_catalog.string_agg(pg_catalog.concat_ws(':', r.oid, r.xmin), ' ' ORDER BY r.oid))
         FROM pg_catalog.pg_publication AS p JOIN pg_catalog.pg_publication_rel AS r ON r.prpubid OPERATOR(pg_catalog.=) p.oid
             JOIN pg_catalog.unnest($1) AS wanted (list)
                 ON r.prrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('auth.' OPERATOR(pg_catalog.||) pg_catalog.split_part(wanted.list, ':', 1))
         GROUP BY p.oid, p.pubname, p.xmin
         HAVING pg_catalog.bool_or(r.prrelid OPERATOR(pg_catalog.=) 'auth.heartbeat'::pg_catalog.regclass)
         ORDER BY p.pubname",
        &[lists.into()],
        |row| Ok(Publication { name: row.get(1)?, complete: row.get(2)?, rows: row.get(3)? }),
    )
}

/// Each publication that verifiers can be fed by and that shows what is nobody's business, such as what is sealed: its name, the column, and
/// whether it has the table by its name.
pub fn leaks() -> Result<Vec<(String, String, bool)>> {
    query::catalog_rows(
        "SELECT p.pubname::pg_catalog.text, t.tablename OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) c.name, EXISTS (
                 SELECT FROM pg_catalog.pg_publication_rel AS r WHERE r.prpubid OPERATOR(pg_catalog.=) p.oid
                     AND r.prrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('auth.' OPERATOR(pg_catalog.||) t.tablename))
         FROM pg_catalog.pg_publication_tables AS t
             JOIN pg_catalog.pg_publication AS p ON p.pubname OPERATOR(pg_catalog.=) t.pubname
             JOIN (VALUES ('sessions', 'refresh_token_salt'), ('signing_keys', 'private_key'), ('installation', 'lock_key'),
                 ('data_keys', 'wrapped_key'), ('providers', 'client_secret'), ('flow_states', 'upstream_verifier'),
                 ('authkit_tokens', 'refresh_token')) AS c (relation, name)
                 ON c.relation OPERATOR(pg_catalog.=) t.tablename AND c.name OPERATOR(pg_catalog.=) ANY (t.attnames)
         WHERE t.schemaname OPERATOR(pg_catalog.=) 'auth' AND EXISTS (
             SELECT FROM pg_catalog.pg_publication_tables AS h WHERE h.pubname OPERATOR(pg_catalog.=) t.pubname
                 AND h.schemaname OPERATOR(pg_catalog.=) 'auth' AND h.tablename OPERATOR(pg_catalog.=) 'heartbeat')
         ORDER BY 1, 2",
        &[],
        |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

/// Whether this server keeps what subscriptions have not fetched without a bound.
pub fn keeps_all_wal() -> Result<bool> {
    let sql = "SELECT pg_catalog.current_setting('max_slot_wal_keep_size') OPERATOR(pg_catalog.=) '-1'";
    let found = query::catalog_rows(sql, &[], |row| row.get::<bool>(1))?;
    Ok(found.contains(&true))
}

/// What is known of a publication: `None` where there is none of this name, true where it is of all tables.
pub fn is_for_all_tables(publication: &str) -> Result<Option<bool>> {
    query::row(
        "SELECT puballtables FROM pg_catalog.pg_publication WHERE pubname OPERATOR(pg_catalog.=) $1::pg_catalog.name",
        &[publication.into()],
        |row| row.get(1),
    )
}

/// Whether a publication names a table.
pub fn names_table(publication: &str, table: &str) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM pg_catalog.pg_publication AS p JOIN pg_catalog.pg_publication_rel AS r ON r.prpubid OPERATOR(pg_catalog.=) p.oid
         WHERE p.pubname OPERATOR(pg_catalog.=) $1::pg_catalog.name
             AND r.prrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('auth.' OPERATOR(pg_catalog.||) $2)",
        &[publication.into(), table.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}

/// Runs CREATE, ALTER or DROP of a publication, with the rights of the caller.
pub fn change_publication(statement: &str) -> Result<()> {
    spi::utility(statement)
}

/// A name as SQL writes it.
pub fn quoted(name: &str) -> Result<String> {
    let found = query::catalog_rows("SELECT pg_catalog.quote_ident($1)", &[name.into()], |row| row.get::<String>(1))?;
    found.into_iter().next().ok_or_else(|| unexpected("A name was not quoted."))
}

/// Sends a heartbeat; says which. One is left out where a publication is not what it was at the last one.
pub fn beat(installation: Uuid, issuer: &str, audience: &str, publications: &[Publication]) -> Result<i64> {
    let publications: Map<String, Value> =
        publications.iter().map(|publication| (publication.name.clone(), json!(publication.rows))).collect();
    let beat = query::row(
        "INSERT INTO auth.heartbeat AS h (installation_id, beat, sent_at, issuer, audience, publications)
         VALUES ($1, 1, pg_catalog.clock_timestamp(), $2, $3, $4)
         ON CONFLICT (subscription) DO UPDATE
         SET beat = h.beat OPERATOR(pg_catalog.+) CASE WHEN EXISTS (
                 SELECT FROM pg_catalog.jsonb_each(h.publications) AS before (name, rows)
                 WHERE excluded.publications OPERATOR(pg_catalog.?) before.name
                     AND (excluded.publications OPERATOR(pg_catalog.->) before.name) OPERATOR(pg_catalog.<>) before.rows) THEN 2 ELSE 1 END,
             installation_id = excluded.installation_id, sent_at = pg_catalog.clock_timestamp(),
             issuer = excluded.issuer, audience = excluded.audience,
             publications = h.publications OPERATOR(pg_catalog.||) excluded.publications
         RETURNING beat",
        &[uuid_arg(installation), issuer.into(), audience.into(), JsonB(Value::Object(publications)).into()],
        |row| row.get::<i64>(1),
    )?;
    beat.ok_or_else(|| unexpected("The heartbeat was not written."))
}

/// From now on this database only verifies.
pub fn become_verifier(issuer_database: Option<&str>) -> Result<()> {
    query::execute(
        "INSERT INTO auth.verifier (issuer_database) VALUES ($1)
         ON CONFLICT (singleton) DO UPDATE SET issuer_database = excluded.issuer_database",
        &[issuer_database.into()],
    )
    .map(drop)
}

/// It does not any more, and has no name; says whether it did.
pub fn stop_verifying() -> Result<bool> {
    let did = query::execute("DELETE FROM auth.verifier", &[])? > 0;
    if did {
        query::execute("DELETE FROM auth.installation", &[])?;
        query::execute("DELETE FROM auth.organizations WHERE feed IS NOT NULL", &[])?;
    }
    Ok(did)
}

/// Removes what was fed by subscriptions that are gone, and what none has brought; says whether there was any. Whose an organization is stays:
/// nobody else takes it while that is copied anew.
pub fn empty() -> Result<bool> {
    /// Of rows that no subscription has brought which still feeds this database.
    macro_rules! orphans {
        ($table:literal) => {
            concat!(
                "DELETE FROM auth.",
                $table,
                " WHERE subscription IS NULL OR subscription OPERATOR(pg_catalog.<>) ALL (ARRAY(
                     SELECT r.srsubid FROM pg_catalog.pg_subscription_rel AS r WHERE r.srrelid OPERATOR(pg_catalog.=) ANY (
                         ARRAY['auth.sessions', 'auth.signing_keys', 'auth.organizations', 'auth.heartbeat']::pg_catalog.regclass[])))"
            )
        };
    }
    let statements = [orphans!("sessions"), orphans!("signing_keys"), orphans!("heartbeat"), orphans!("feeds")];
    let mut removed = 0;
    for statement in statements {
        removed += query::execute(statement, &[])?;
    }
    Ok(removed > 0)
}

/// A session was here, and has ended at the issuer. Until no token of it can be taken for one whose session is on its way.
pub fn note_ended(session: &str) -> Result<()> {
    query::execute(
        "INSERT INTO auth.ended_sessions (issuer, sid, expires_at)
         SELECT $1, $2, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval WHERE EXISTS (SELECT FROM auth.verifier)
         ON CONFLICT DO NOTHING",
        &[scan::FED.into(), session.into()],
    )
    .map(drop)
}

/// All sessions have ended at the issuer that this subscription brings.
pub fn note_emptied(subscription: pg_sys::Oid) -> Result<()> {
    query::execute(
        "UPDATE auth.feeds SET known_since = pg_catalog.clock_timestamp() WHERE subscription OPERATOR(pg_catalog.=) $1",
        &[subscription.into()],
    )
    .map(drop)
}

/// A subscription brings an organization that is its own already: it is copied anew.
pub fn keep_organization(id: &str, issuer: Option<&str>) -> Result<()> {
    query::execute(
        "UPDATE auth.organizations SET issuer = $2 WHERE id OPERATOR(pg_catalog.=) $1",
        &[id.into(), issuer.into()],
    )
    .map(drop)
}

/// The subscription of this name brings an organization that is not its own.
pub fn note_contested(id: &str, feed: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.organizations SET contested_by = $2 WHERE id OPERATOR(pg_catalog.=) $1",
        &[id.into(), feed.into()],
    )
    .map(drop)
}

/// A subscription has copied every session.
pub fn note_copy(subscription: pg_sys::Oid) -> Result<()> {
    query::execute(
        "INSERT INTO auth.feeds AS f (subscription, name, publications, known_since)
         SELECT s.oid, s.subname::pg_catalog.text, s.subpublications, pg_catalog.clock_timestamp()
         FROM pg_catalog.pg_subscription_rel AS r JOIN pg_catalog.pg_subscription AS s ON s.oid OPERATOR(pg_catalog.=) r.srsubid
         WHERE s.oid OPERATOR(pg_catalog.=) $1 AND r.srrelid OPERATOR(pg_catalog.=) 'auth.sessions'::pg_catalog.regclass
             AND r.srsubstate OPERATOR(pg_catalog.=) 'd' AND EXISTS (SELECT FROM auth.verifier)
         ON CONFLICT (subscription) DO UPDATE
         SET name = excluded.name, publications = excluded.publications, known_since = excluded.known_since",
        &[subscription.into()],
    )
    .map(drop)
}
