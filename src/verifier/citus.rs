//! What `auth.check()` says where Citus spreads tables over several nodes.

use workos_auth_core::Result;

use super::finding::{Finding, by_hand};
use crate::postgres::{citus, setting};
use crate::store::{citus as store, configuration, scan};

/// All of it.
pub fn findings() -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    if !store::has_spread_tables()? {
        return Ok(found);
    }
    if scan::verifier().is_none() && configuration::provider()?.is_none() {
        found.push(Finding {
            severity: "error",
            object: "auth.verifier".into(),
            finding: "This node of Citus neither signs people in nor verifies: it refuses everybody who has a session.".into(),
            remedy: by_hand("On a worker, run auth.become_verifier() and CREATE SUBSCRIPTION, as docs/citus.md says. On the coordinator, configure sign-in."),
        });
    }
    if !citus::propagates_settings() {
        found.push(Finding {
            severity: "warning",
            object: "citus.propagate_set_commands".into(),
            finding: "Other nodes of Citus do not learn who asks: queries that they would run a part of are refused in a session.".into(),
            remedy: by_hand("Set citus.propagate_set_commands = 'local' in postgresql.conf on each node, and reload."),
        });
    }
    let keeps = [
        (c"pg_stat_statements.track_utility", "on", "pg_stat_statements.track_utility = off"),
        (c"log_statement", "all", "log_statement to none, ddl or mod"),
        (c"log_min_duration_statement", "0", "log_min_duration_statement to more than the time of a SET"),
    ];
    for (name, value, instead) in keeps {
        if setting::value(name).as_deref() == Some(value) {
            found.push(Finding {
                severity: "warning",
                object: name.to_string_lossy().into(),
                finding: "It keeps the text of the statements by which Citus hands access tokens on to this node."
                    .into(),
                remedy: by_hand(&format!("Set {instead}, on each node, and reload.")),
            });
        }
    }
    Ok(found)
}
