//! What the issuer publishes.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::postgres::roles::{Right, as_owner, require_right};
use crate::postgres::transaction::require_writable;
use crate::store::verifier::{self as store, PUBLISHED, Publication, Published};
use crate::store::{Subject, locks, scan};
use crate::{current_session, installation, settings};

/// `auth.publish_sessions`
pub fn publish(publication: Option<&str>) -> Result<()> {
    require_writable()?;
    require_right(Right::Superuser, "What leaves the database by replication, a superuser says.")?;
    let publication = publication.ok_or_else(|| Error::null("publication"))?;
    if publication.is_empty() {
        return Err(Error::invalid("publication", "it is empty."));
    }
    let installation = installation::minting()?;
    locks::lock_setup();
    let name = store::quoted(publication)?;
    match store::is_for_all_tables(publication)? {
        Some(true) => {
            return Err(Error::invalid(
                "publication",
                "it is FOR ALL TABLES, and publishes what is sealed too: choose another name.",
            ));
        }
        Some(false) if is_right(publication)? => {}
        Some(false) => {
            for published in &PUBLISHED {
                if store::names_table(publication, published.table)? {
                    store::change_publication(&format!(
                        "ALTER PUBLICATION {name} DROP TABLE auth.{}",
                        published.table
                    ))?;
                }
            }
            let tables = tables();
            store::change_publication(&format!("ALTER PUBLICATION {name} ADD TABLE {tables}"))?;
            store::change_publication(&format!("ALTER PUBLICATION {name} SET ({CHANGES})"))?;
        }
        None => {
            let tables = tables();
            store::change_publication(&format!("CREATE PUBLICATION {name} FOR TABLE {tables} WITH ({CHANGES})"))?;
        }
    }
    as_owner(|| {
        // A subscription that is made now finds one to copy. Where this has mended the publication, verifiers learn that changes were lost.
        beat(installation.id, &store::publications()?)?;
        audit("sessions_published", &Subject::default(), json!({ "publication": publication }))
    })
}

/// Whether verifiers find all that they need in a publication, and no secret, so that nothing is to be mended.
fn is_right(publication: &str) -> Result<bool> {
    let leaks = store::leaks()?.iter().any(|(name, ..)| name == publication);
    Ok(!leaks && store::publications()?.iter().any(|known| known.name == publication && is_complete(known)))
}

/// All changes: a session that ends is a row that goes.
const CHANGES: &str = "publish = 'insert, update, delete, truncate'";

fn tables() -> String {
    let list = |published: &Published| format!("auth.{} ({})", published.table, published.columns.join(", "));
    PUBLISHED.iter().map(list).collect::<Vec<_>>().join(", ")
}

/// `auth.send_heartbeat`: which it was; `None` where nobody would hear it.
///
/// # Errors
/// `publication_incomplete`: verifiers would take it for a sign that nothing is missing. `verifier_only`.
pub fn send_heartbeat() -> Result<Option<i64>> {
    installation::refuse_verifier()?;
    send_heartbeat_if_heard()
}

/// The same for whoever asks in every database: a verifier sends none.
///
/// # Errors
/// `publication_incomplete`
pub fn send_heartbeat_if_heard() -> Result<Option<i64>> {
    require_writable()?;
    if scan::verifier().is_some() {
        return Ok(None);
    }
    let publications = store::publications()?;
    let Some(installation) = scan::installation_id().filter(|_| !publications.is_empty()) else { return Ok(None) };
    if let Some(incomplete) = publications.iter().find(|publication| !is_complete(publication)) {
        let name = &incomplete.name;
        let detail = format!(
            "The publication {name} has auth.heartbeat and lacks a table, a column or a kind of change, or has a filter of rows."
        );
        return Err(Error::with_detail(ErrorCode::PublicationIncomplete, detail));
    }
    beat(installation, &publications).map(Some)
}

/// Whether it has all that verifiers need.
pub(super) fn is_complete(publication: &Publication) -> bool {
    usize::try_from(publication.complete) == Ok(PUBLISHED.len())
}

fn beat(installation: Uuid, publications: &[Publication]) -> Result<i64> {
    store::beat(installation, &current_session::issuer()?, &settings::audience(), publications)
}
