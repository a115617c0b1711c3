//! What `auth.check()` says of publications of sessions, and of a database that only verifies.

use workos_auth_core::verifier::{Feed, Link, require_fresh};
use workos_auth_core::{Error, Result};

use super::citus;
use super::finding::{Finding, by_hand};
use super::publishing::is_complete;
use crate::postgres::clock;
use crate::store::{scan, verifier as store};
use crate::{current_session, settings};

/// All of them.
pub fn findings() -> Result<Vec<Finding>> {
    let mut found = published()?;
    match (scan::verifier(), scan::feed()) {
        (None, Feed::Absent) => found.extend(sent()?),
        _ => found.extend(verified()),
    }
    found.extend(citus::findings()?);
    Ok(found)
}

/// What leaves this database.
fn published() -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    // Nobody has called auth.publish_sessions: what is published is no verifier's.
    if scan::heartbeat().is_none() {
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
    if scan::heartbeat().is_none_or(|last| clock::now().saturating_sub(last.sent_at) > lag) {
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

/// What has arrived in a verifier.
fn verified() -> Vec<Finding> {
    let heartbeat = scan::heartbeat();
    let link = Link { feed: scan::feed(), heartbeat };
    let error = |finding: String, remedy: &str| Finding {
        severity: "error",
        object: "auth.heartbeat".into(),
        finding,
        remedy: by_hand(remedy),
    };
    let refused = |why: &Error| format!("Every access token is refused. {}", why.detail().unwrap_or_default());
    let mut found = Vec::new();
    if let Err(why) = require_fresh(link, clock::now(), settings::max_replication_lag()) {
        let remedy = match heartbeat {
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
        found.push(error(refused(&why), remedy));
    }
    let ours = (current_session::issuer().ok().map(|issuer| issuer.to_string()), Some(settings::audience()));
    if let Some(theirs) = scan::heartbeats_claims() {
        for (setting, claim, theirs, ours) in
            [("workos_auth.issuer", "iss", theirs.0, ours.0), ("workos_auth.audience", "aud", theirs.1, ours.1)]
        {
            if let (Some(theirs), Some(ours)) = (theirs, ours)
                && theirs != ours
            {
                found.push(Finding {
                    severity: "error",
                    object: setting.into(),
                    finding: format!(
                        "The tokens of the issuer have another {claim} than the one that is expected here: every one is refused."
                    ),
                    remedy: format!("SELECT auth.alter_system('{setting}', '{}');", theirs.replace('\'', "''")),
                });
            }
        }
    }
    found
}
