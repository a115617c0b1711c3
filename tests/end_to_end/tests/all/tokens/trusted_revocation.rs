//! What ends sessions of trusted issuers: it counts in the next statement, and no token from before brings the person back.

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::set_session;
use workos_end_to_end::issuer::{OtherIssuer, accept, now};
use workos_end_to_end::sql::{lines, refused, text};

const ISSUER: &str = "https://api.example.com";

struct Ann {
    bed: Bed<'static>,
    issuer: OtherIssuer,
    backend: Client,
    /// A connection with her session on it.
    app: Client,
    token: String,
    id: Uuid,
}

impl Ann {
    async fn new(bed: Bed<'static>) -> Self {
        let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
        issuer.is_trusted_by(&bed).await;
        let (backend, role) = (bed.backend().await, bed.role("app", "").await);
        let token = issuer.token("ann", json!({}));
        let id = accept(&backend, &token).await.unwrap();
        let app = bed.connect(&role).await;
        let ann = Self { bed, issuer, backend, app, token, id };
        ann.is_in("at first").await;
        ann
    }

    async fn is_in(&self, what: &str) {
        set_session(&self.app, &self.token, false).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(text(&self.app, "select auth.uid()").await.unwrap(), Some(self.id.to_string()), "{what}");
    }

    async fn does(&self, sql: &str) -> Option<String> {
        text(&self.bed.admin, &sql.replace("ANN", &self.id.to_string())).await.unwrap()
    }

    /// Her open session and her token are refused by this name, wherever they are shown; her account does not come back.
    async fn is_out(&self, what: &str, name: &str) {
        refused(self.app.query("select auth.uid()", &[]).await, name);
        refused(self.app.query("select auth.verify_token($1)", &[&self.token]).await, name);
        let before = self.bed.contents().await;
        refused(accept(&self.backend, &self.token).await, name);
        assert_eq!(self.bed.contents().await, before, "{what}");
    }

    /// She signs in again: later than what ended her sessions.
    async fn signs_in_again(&mut self, sid: &str) -> Result<Uuid, tokio_postgres::Error> {
        self.token = self.issuer.token("ann", json!({ "sid": sid, "auth_time": now() + 2, "iat": now() }));
        accept(&self.backend, &self.token).await
    }
}

#[tokio::test]
async fn administrators_end_sessions() {
    let mut ann = Ann::new(Bed::shared("administrators").await).await;
    assert_eq!(ann.does("select auth.revoke_sessions('ANN')").await.as_deref(), Some("1"));
    ann.is_out("revoke_sessions", "session_not_found").await;
    // A refresh at the issuer makes it no younger.
    let refreshed = ann.issuer.token("ann", json!({ "iat": now() + 3 }));
    refused(ann.app.query("select auth.verify_token($1)", &[&refreshed]).await, "session_not_found");
    assert_eq!(ann.signs_in_again("session_1").await.unwrap(), ann.id);
    ann.is_in("signed in again").await;

    assert_eq!(ann.does(&format!("select auth.revoke_session('{ISSUER}', 'session_1')")).await.as_deref(), Some("1"));
    assert_eq!(ann.does(&format!("select auth.revoke_session('{ISSUER}', 'session_1')")).await.as_deref(), Some("0"));
    ann.is_out("revoke_session", "session_not_found").await;
    // Not even after she has shown there who she is again.
    refused(ann.signs_in_again("session_1").await, "session_not_found");
    ann.signs_in_again("session_2").await.unwrap();
    ann.is_in("another session").await;

    assert_eq!(ann.does("select auth.ban_user('ANN')").await.as_deref(), Some("1"));
    ann.is_out("ban_user", "user_banned").await;
    ann.does("select auth.unban_user('ANN')").await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    ann.signs_in_again("session_3").await.unwrap();
    ann.is_in("unbanned").await;
    // By hand too.
    ann.does("update auth.users set banned_until = 'infinity' where id = 'ANN'").await;
    ann.is_out("banned by hand", "user_banned").await;
    ann.does("update auth.users set banned_until = null, deleted_at = now() where id = 'ANN'").await;
    ann.is_out("deleted by hand", "user_deleted").await;
    ann.does("update auth.users set deleted_at = null where id = 'ANN'").await;
    ann.is_in("again").await;

    // An address that changes is another one in the next statement.
    ann.does("update auth.users set email = 'ann@example.com' where id = 'ANN'").await;
    assert_eq!(text(&ann.app, "select auth.email()").await.unwrap().as_deref(), Some("ann@example.com"));

    let audit =
        "select action, payload ->> 'sid' from auth.audit_log_entries where action like '%revoked' order by created_at";
    assert_eq!(lines(&ann.bed.admin, audit).await.unwrap(), ["sessions_revoked|NULL", "session_revoked|session_1"]);
}

#[tokio::test]
async fn whoever_leaves_an_organization_does_not_come_back_by_an_old_token() {
    let mut ann = Ann::new(Bed::shared("member").await).await;
    let elsewhere = ann.issuer.token("ann", json!({ "org_id": "org_globex", "sid": "session_globex" }));
    accept(&ann.backend, &elsewhere).await.unwrap();
    assert_eq!(ann.does("select auth.remove_member('ANN', 'org_acme')").await.as_deref(), Some("1"));
    ann.is_out("remove_member", "session_not_found").await;
    // They stay in every other.
    ann.app.query("select auth.verify_token($1)", &[&elsewhere]).await.unwrap();
    ann.signs_in_again("session_1").await.unwrap();
    ann.is_in("a member again").await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    // By hand too.
    ann.does("delete from auth.organization_memberships where user_id = 'ANN' and organization_id = 'org_acme'").await;
    ann.is_out("by hand", "session_not_found").await;
    ann.signs_in_again("session_2").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    ann.is_in("a member again").await;
    assert_eq!(ann.does("select auth.revoke_organization('org_acme')").await.as_deref(), Some("1"));
    ann.is_out("revoke_organization", "session_not_found").await;
    ann.app.query("select auth.verify_token($1)", &[&elsewhere]).await.unwrap();
}

#[tokio::test]
async fn a_deleted_person_does_not_come_back_by_an_old_token() {
    let mut ann = Ann::new(Bed::shared("deleted").await).await;
    ann.does("select auth.delete_user('ANN')").await;
    ann.is_out("delete_user", "session_not_found").await;
    let another = ann.signs_in_again("session_1").await.unwrap();
    assert_ne!(another, ann.id);
}

#[tokio::test]
async fn a_person_who_is_deleted_by_hand_does_not_come_back_either() {
    let mut ann = Ann::new(Bed::shared("by_hand").await).await;
    ann.does("delete from auth.users where id = 'ANN'").await;
    ann.is_out("the account", "session_not_found").await;
    ann.signs_in_again("session_1").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    ann.does("delete from auth.identities where provider_id = 'user_ann'").await;
    ann.is_out("the identity", "session_not_found").await;
}

#[tokio::test]
async fn people_sign_out() {
    let mut ann = Ann::new(Bed::shared("sign_out").await).await;
    let other = ann.issuer.token("ann", json!({ "sid": "session_other" }));
    let expired = ann.issuer.token("ann", json!({ "exp": now() - 1 }));
    ann.app.query("select auth.sign_out($1, 'local')", &[&expired]).await.unwrap();
    ann.is_out("local", "session_not_found").await;
    ann.app.query("select auth.verify_token($1)", &[&other]).await.unwrap();
    ann.app.query("select auth.sign_out($1, 'global')", &[&other]).await.unwrap();
    refused(ann.app.query("select auth.verify_token($1)", &[&other]).await, "session_not_found");
    ann.signs_in_again("session_1").await.unwrap();
    ann.is_in("signed in again").await;
}

#[tokio::test]
async fn an_issuer_that_is_not_trusted_any_more_has_no_tokens() {
    let ann = Ann::new(Bed::shared("distrusted").await).await;
    let before = ann.bed.contents().await;
    assert_eq!(ann.does(&format!("select auth.distrust_issuer('{ISSUER}')")).await.as_deref(), Some("1"));
    ann.is_out("distrusted", "bad_jwt_key").await;
    assert_eq!(ann.does(&format!("select auth.distrust_issuer('{ISSUER}')")).await.as_deref(), Some("0"));
    assert_ne!(ann.bed.contents().await, before);
    // In one transaction, and rolled back.
    ann.issuer.is_trusted_by(&ann.bed).await;
    ann.is_in("trusted again").await;
    let admin = &ann.bed.admin;
    admin.batch_execute("begin").await.unwrap();
    set_session(admin, &ann.token, true).await.unwrap_err();
    admin.batch_execute("rollback; set workos_auth.rls_guard = off; begin").await.unwrap();
    set_session(admin, &ann.token, true).await.unwrap();
    let sql = format!("savepoint s; select auth.distrust_issuer('{ISSUER}')");
    admin.batch_execute(&sql).await.unwrap();
    refused(admin.query("select auth.uid()", &[]).await, "bad_jwt_key");
    admin.batch_execute("rollback to s").await.unwrap();
    assert_eq!(text(admin, "select auth.uid()").await.unwrap(), Some(ann.id.to_string()));
    // Under a snapshot that is older than it.
    ann.app.batch_execute("begin isolation level repeatable read; select auth.uid()").await.unwrap();
    admin.batch_execute("commit").await.unwrap();
    ann.bed.superuser().await.batch_execute(&format!("select auth.distrust_issuer('{ISSUER}')")).await.unwrap();
    refused(ann.app.query("select auth.uid()", &[]).await, "bad_jwt_key");
    ann.app.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn a_snapshot_hides_no_revocation() {
    let ann = Ann::new(Bed::shared("snapshot").await).await;
    ann.app.batch_execute("begin isolation level repeatable read; select auth.uid()").await.unwrap();
    ann.does("select auth.revoke_sessions('ANN')").await;
    refused(ann.app.query("select auth.uid()", &[]).await, "session_not_found");
    ann.app.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn the_clean_up_removes_what_nothing_is_left_of() {
    let ann = Ann::new(Bed::shared("cleanup").await).await;
    ann.does("select auth.revoke_sessions('ANN')").await;
    ann.does(&format!("select auth.revoke_session('{ISSUER}', 'session_x')")).await;
    let kept = "select min(expires_at) > now() + interval '399 days' from auth.ended_sessions";
    assert_eq!(text(&ann.bed.admin, kept).await.unwrap().as_deref(), Some("t"));
    ann.does("select auth.cleanup()").await;
    ann.is_out("not yet", "session_not_found").await;
    ann.does("update auth.ended_sessions set expires_at = now() - interval '1 s'").await;
    assert_eq!(ann.does("select auth.cleanup(1)").await.as_deref(), Some("1"));
    assert_eq!(ann.does("select auth.cleanup()").await.as_deref(), Some("1"));
    assert_eq!(ann.does("select count(*) from auth.ended_sessions").await.as_deref(), Some("0"));
}
