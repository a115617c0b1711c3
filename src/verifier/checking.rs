//! What `auth.check()` says of publications of sessions, and of a database that only verifies.

use workos_auth_core::Result;
use workos_auth_core::verifier::{Feed, Link, require_fresh};

use super::citus;
use super::finding::{Finding, by_hand};
use super::publishing::is_complete;
use crate::postgres::clock;
use crate::settings;
use crate::store::{scan, verifier as store};

/// All of them.
pub fn findings() -> Result<Vec<Finding>> {
    let mut found = published()?;
    match scan::verifier().is_none() && scan::feeds().is_empty() {
        true => found.extend(sent()?),
        false => found.extend(verified()?),
    }
    found.extend(citus::findings()?);
    Ok(found)
}

/// What leaves this database.
fn published() -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    // Nobody has called auth.publish_sessions: what is published is no verifier's.
    if scan::heartbeats().is_empty() {
        return Ok(found);
    }
    for (object, column, is_named) in store::leaks()? {
        let name = store::quoted(&object)?;
        let remedy = match is_named {
            false => by_hand(
                "Drop the publication, or name the tables that it is to have. auth.publish_sessions makes one for verifiers.",
            ),
            true => format!(
                "ALTER PUBLICATION {name} DROP TABLE auth.{};",
                column.split_once('.').map_or(&*column, |(table, _)| table)
            ),
        };
        let finding = format!("The publication sends auth.{column}, which is sealed or secret, to whoever subscribes.");
        found.push(Finding { severity: "error", object, finding, remedy });
    }
    Ok(found)
}

/// What an issuer sends to its verifiers.
fn sent() -> Result<Vec<Finding>> {
    let publications = store::publications()?;
    if publications.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let literal = |name: &str| name.replace('\'', "''");
    for publication in &publications {
        let name = &publication.name;
        if !is_complete(publication) {
            found.push(Finding {
                severity: "error",
                object: name.clone(),
                finding:
                    "The publication leaves out what verifiers need: no heartbeat is sent, and they refuse everybody."
                        .into(),
                remedy: format!("SELECT auth.publish_sessions('{}');", literal(name)),
            });
        }
    }
    let lag = i64::try_from(settings::max_replication_lag().as_micros()).unwrap_or(i64::MAX);
    if scan::heartbeats().first().is_none_or(|last| clock::now().saturating_sub(last.heartbeat.sent_at) > lag) {
        found.push(Finding {
            severity: "error",
            object: "auth.heartbeat".into(),
            finding: "The last heartbeat was sent longer ago than workos_auth.max_replication_lag: verifiers refuse everybody.".into(),
            remedy: by_hand("Name this database in workos_auth.worker_databases and restart, or have something call auth.send_heartbeat() each second."),
        });
    }
    if store::keeps_all_wal()? {
        found.push(Finding {
            severity: "info",
            object: "max_slot_wal_keep_size".into(),
            finding: "The server keeps what a verifier has not fetched without a bound: one that is away for long fills the disk.".into(),
            remedy: by_hand("Set max_slot_wal_keep_size to what the disk can spare. A verifier that was away for longer copies its tables anew."),
        });
    }
    Ok(found)
}

/// What has arrived in a verifier, of each issuer.
fn verified() -> Result<Vec<Finding>> {
    let heartbeats = scan::heartbeats();
    let feeds = scan::feeds();
    let is_verifier = scan::verifier().is_some();
    let mut found = Vec::new();
    if feeds.is_empty() {
        found.extend(stale("auth.feeds".into(), Link { feed: Feed::Absent, heartbeat: None }));
    }
    for row in feeds {
        let heartbeat = heartbeats.iter().find(|heartbeat| heartbeat.subscription == Some(row.subscription));
        let feed = if is_verifier { row.feed } else { Feed::Uncalled };
        found.extend(stale(row.name, Link { feed, heartbeat: heartbeat.map(|row| row.heartbeat) }));
    }
    for (id, feed, contested_by) in scan::contested_organizations() {
        let of = feed.map_or_else(|| "this database".to_owned(), |feed| format!("the subscription {feed}"));
        found.push(Finding {
            severity: "error",
            object: format!("auth.organizations: {id}"),
            finding: format!("The subscription {contested_by} has brought it too. It counts as one of {of} alone: tokens of the other issuer that name it are refused."),
            remedy: by_hand("An organization is at one issuer. Remove it at the other, as docs/verifiers.md says, and copy that issuer anew; then a superuser runs UPDATE auth.organizations SET contested_by = NULL here."),
        });
    }
    Ok(found)
}

/// What is wrong with a feed, by the name of its subscription.
fn stale(object: String, link: Link) -> Option<Finding> {
    let why = require_fresh(link, clock::now(), settings::max_replication_lag()).err()?;
    let remedy = match link.heartbeat {
        _ if link.feed == Feed::Absent => {
            "As a superuser, run CREATE SUBSCRIPTION, as docs/verifiers.md says, and wait until it has copied. One that is there and feeds no table was made before the publication was: run DROP SUBSCRIPTION first."
        }
        _ if link.feed == Feed::Uncalled => {
            "If it is to verify what an issuer signs, copy anew: as a superuser, run DROP SUBSCRIPTION, auth.become_verifier(), and CREATE SUBSCRIPTION again. If not, drop the subscription."
        }
        _ if link.feed == Feed::Partial => {
            "Wait until pg_subscription_rel.srsubstate is r for each table. If that never comes, look at this server's log and at pg_subscription.subenabled."
        }
        None => {
            "As a superuser at the issuer, run ALTER ROLE … BYPASSRLS for the role of the connection. Then copy anew: here, run DROP SUBSCRIPTION, auth.become_verifier(), and CREATE SUBSCRIPTION again."
        }
        Some(heartbeat) if !heartbeat.is_whole => {
            "Copy anew: as a superuser, run DROP SUBSCRIPTION, auth.become_verifier(), and CREATE SUBSCRIPTION again. Where the slot is gone, run ALTER SUBSCRIPTION … DISABLE and ALTER SUBSCRIPTION … SET (slot_name = NONE) first."
        }
        Some(_) => {
            "Look at pg_stat_subscription here and at pg_replication_slots at the issuer, at both logs, at the clocks, and at auth.check() of the issuer."
        }
    };
    let finding = format!("Every access token of this issuer is refused. {}", why.detail().unwrap_or_default());
    Some(Finding { severity: "error", object, finding, remedy: by_hand(remedy) })
}
