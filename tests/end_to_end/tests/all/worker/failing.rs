//! What becomes of the background worker's failures: the worker goes on, what failed is tried again, and everybody who should know is told.

use serde_json::json;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::check::check_all;
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, KeyServer, OtherIssuer};
use workos_end_to_end::sql::{lines, text};
use workos_end_to_end::workers::worker;

use super::CLUSTER;

#[tokio::test]
async fn an_issuer_that_fails_keeps_no_other_from_its_keys() {
    let bed = Bed::new(&CLUSTER, "worker_partly").await;
    let issuer = OtherIssuer::new("https://good.example.com", Algorithm::Es256);
    let (good, bad) = (KeyServer::start(&issuer.jwks()).await, KeyServer::start(&json!({})).await);
    bad.answers("500 Internal Server Error", "");
    let trust = "select auth.trust_issuer($1, 'authkit', jwks_uri => $2, client_id => $3)";
    for (name, uri) in [(issuer.name.as_str(), &good.uri), ("https://bad.example.com", &bad.uri)] {
        bed.admin.execute(trust, &[&name, uri, &AUTHKIT_CLIENT]).await.unwrap();
    }
    bed.ends_worker().await;
    bed.until_task("issuer_keys", "failures > 0").await;
    let keys = "select issuer from auth.issuer_keys";
    assert_eq!(lines(&bed.admin, keys).await.unwrap(), [issuer.name.as_str()]);
    let said = text(&bed.admin, "select last_error from auth.worker_status where task = 'issuer_keys'").await.unwrap();
    let said = said.unwrap();
    let expected = ": issuer_keys_not_fetched: ";
    assert!(said.starts_with("WA") && said.contains(expected), "{said}");
    assert!(said.ends_with("https://bad.example.com: The server answered 500."), "{said}");
    assert!(bed.log().contains("a task of the background worker failed"), "{}", bed.log());

    // It comes back to it, and not at once. The third time auth.check() says so.
    let pid = bed.has_worker().await;
    bed.until_task("issuer_keys", "failures >= 2").await;
    assert_eq!(check_all(&bed.admin).await, []);
    bed.until_task("issuer_keys", "failures >= 3 and next_at - last_failed_at > interval '15 seconds'").await;
    let findings = check_all(&bed.admin).await;
    let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
    assert_eq!((&*finding.severity, &*finding.object), ("warning", "auth.worker_status"));
    assert!(finding.finding.contains("issuer_keys") && finding.finding.contains("failed 3 times"), "{finding:?}");
    bed.admin.batch_execute(&finding.remedy).await.unwrap();
    assert!(good.asked() < 10, "{}", good.asked());

    bad.answers("200 OK", &issuer.jwks().to_string());
    bed.until_task("issuer_keys", "failures = 0 and last_succeeded_at > last_failed_at and last_count = 2").await;
    assert_eq!(check_all(&bed.admin).await, []);
    assert_eq!(worker(&bed.admin).await, Some(pid));
}

#[tokio::test]
async fn an_error_of_others_ends_no_worker_and_shows_no_secret() {
    let bed = Bed::new(&CLUSTER, "worker_raises").await;
    let sql = "insert into auth.sessions (id, not_after) values (gen_random_uuid(), now() - interval '1 minute');
        create function keep() returns trigger language plpgsql as $$ begin raise 'it knows %', old.id; end $$;
        create trigger keep before delete on auth.sessions for each row execute function keep()";
    bed.admin.batch_execute(sql).await.unwrap();
    bed.ends_worker().await;
    bed.until_task("cleanup", "failures >= 2").await;
    let pid = bed.has_worker().await;
    let said = "select last_error from auth.worker_status where task = 'cleanup'";
    assert_eq!(lines(&bed.admin, said).await.unwrap(), ["P0001: the server's log says why"]);
    assert!(bed.log().contains("cleanup: P0001: it knows "), "{}", bed.log());
    // The other task is done all the same.
    bed.until_task("issuer_keys", "failures = 0").await;

    // What Postgres says where no code of others ran is shown. The worker has no more rights than the owner of the tables has.
    let sql = "drop trigger keep on auth.sessions; revoke delete on auth.sessions from workos_auth_owner";
    bed.admin.batch_execute(sql).await.unwrap();
    bed.until_task("cleanup", "last_error = '42501: permission denied for table sessions'").await;
    bed.admin.batch_execute("grant delete on auth.sessions to workos_auth_owner").await.unwrap();
    bed.until_task("cleanup", "failures = 0").await;
    bed.until("not exists (select from auth.sessions)").await;
    assert_eq!(worker(&bed.admin).await, Some(pid));
}

#[tokio::test]
async fn code_of_others_has_no_rights_there() {
    let bed = Bed::new(&CLUSTER, "worker_others").await;
    let owner = bed.role("owner", "").await;
    let sql = format!(
        "create schema app authorization {owner};
         create table public.seen (who text);
         grant insert on public.seen to public;
         create function app.saw() returns trigger language plpgsql as $$
         declare attempt text;
         begin
             insert into public.seen values (current_user);
             foreach attempt in array array['reset role', 'set role postgres', 'reset session authorization', 'alter role {owner} superuser'] loop
                 begin execute attempt; insert into public.seen values (attempt || ' as ' || current_user);
                 exception when insufficient_privilege then null; end;
             end loop;
             return coalesce(new, old);
         end $$;
         alter function app.saw() owner to {owner};
         create table app.drafts (session uuid references auth.sessions (id) on delete cascade deferrable initially deferred);
         alter table app.drafts owner to {owner};
         create trigger now before delete on auth.sessions for each row execute function app.saw();
         create trigger cascaded after delete on app.drafts for each row execute function app.saw();
         create constraint trigger late after delete on app.drafts deferrable initially deferred for each row execute function app.saw();
         insert into auth.sessions (id, not_after) values ('00000000-0000-0000-0000-000000000001', now() - interval '1 minute');
         insert into app.drafts values ('00000000-0000-0000-0000-000000000001')"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
    bed.ends_worker().await;
    bed.until("not exists (select from auth.sessions)").await;
    let nobody = "workos_auth_nobody";
    assert_eq!(lines(&bed.admin, "select who from public.seen").await.unwrap(), [nobody; 3]);
    bed.until_task("cleanup", "failures = 0").await;
}
