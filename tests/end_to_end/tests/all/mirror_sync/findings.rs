//! What `auth.check()` says of the mirror.

use workos_end_to_end::check::check;
use workos_end_to_end::{Bed, case, refused};
use workos_simulator::{Change, DirectoryState, Fault, FaultKind};

async fn findings(bed: &Bed<'_>) -> Vec<(String, String)> {
    let ours = |object: &str| ["auth.workos_sync", "conn_acme", "directory_acme"].contains(&object);
    let all = check(&bed.admin).await.into_iter().filter(|finding| ours(&finding.object));
    all.map(|finding| (finding.severity, finding.finding)).collect()
}

#[tokio::test]
async fn nothing_is_said_where_nobody_follows_and_where_all_is_well() {
    let bed = Bed::shared("well").await;
    assert_eq!(findings(&bed).await, []);
    bed.follows().await;
    bed.sync().await;
    assert_eq!(findings(&bed).await, []);
}

#[tokio::test]
async fn an_old_mirror_is_a_finding_and_its_remedy_mends_it() {
    let bed = Bed::shared("old").await;
    bed.follows().await;
    bed.sync().await;
    let all = "page_at = now() - interval '$', drained_at = now() - interval '$', reconciled_at = now() - interval '$'";
    for (what, set, severity, part) in [
        ("half an hour", all.replace('$', "30 minutes"), "warning", "30 minutes ago"),
        ("a month", all.replace('$', "30 days"), "error", "may be gone"),
        ("never", "reconciled_at = null, page_at = null, drained_at = null".into(), "warning", "never compared"),
    ] {
        case!(what);
        bed.admin.batch_execute(&format!("update auth.workos_sync_state set {set}")).await.unwrap();
        let found = check(&bed.admin).await.into_iter().find(|finding| finding.object == "auth.workos_sync").unwrap();
        assert!(found.severity == severity && found.finding.contains(part), "{found:?}");
        bed.admin.batch_execute(&found.remedy).await.unwrap();
        assert_eq!(findings(&bed).await, []);
    }
}

#[tokio::test]
async fn what_fails_and_what_customers_have_to_mend_are_findings() {
    let bed = Bed::shared("mend").await;
    bed.follows().await;
    bed.sync().await;
    bed.simulator().set_fault(Fault::events(FaultKind::Status { code: 500, body: None }).times(1)).unwrap();
    refused(bed.admin.batch_execute("call auth.sync_workos()").await, "workos_unavailable");
    let found = findings(&bed).await;
    assert!(found.len() == 1 && found[0].1.contains("WA308: workos_unavailable"), "{found:?}");
    bed.sync().await;
    assert_eq!(findings(&bed).await, []);

    for (in_days, said) in [(20, Some("expires on")), (-1, Some("expired on"))] {
        case!(in_days);
        bed.simulator().change(Change::CertificateExpires { connection: "conn_acme".into(), in_days }).unwrap();
        bed.sync().await;
        let found = findings(&bed).await;
        assert!(found.len() == 1 && found[0].1.contains("org_acme") && found[0].1.contains(said.unwrap()), "{found:?}");
    }
    bed.simulator().change(Change::CertificateRenewed { connection: "conn_acme".into(), for_days: 365 }).unwrap();
    bed.sync().await;
    assert_eq!(findings(&bed).await, []);

    let broken = Change::SetDirectoryState { id: "directory_acme".into(), state: DirectoryState::InvalidCredentials };
    bed.simulator().change(broken).unwrap();
    // No event tells of it.
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    let found = findings(&bed).await;
    assert!(found.len() == 1 && found[0].1.contains("credentials are invalid"), "{found:?}");
}
