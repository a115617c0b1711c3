//! A copy beside its original: what is refused there, and the two ways out.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, refresh, set_session, sign_in, start};
use workos_end_to_end::brokered::{come_back, come_back_implicitly};
use workos_end_to_end::check::check;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

use super::{
    BECOME_NEW, CLUSTER, COPY, HERE, HOME, START, TAKE_OVER, copy, goes_on, is_said_to_be_a_copy, mints_nothing, oid,
    rows, verify,
};

#[tokio::test]
async fn nothing_made_in_a_copy_is_good_in_production() {
    let mut bed = Bed::new(&CLUSTER, "production").await;
    let mut alice = bed.sign_in(ALICE).await;
    let (pending, brokered) = (start(&bed.admin, BOB).await, come_back(&bed.admin, "'org_acme'", ANNA.email).await);
    let page = "organization => 'org_acme', redirect_to => 'http://localhost:3000/after'";
    let implicit = come_back_implicitly(&bed.admin, page, ANNA.email).await;
    let staging = copy(&mut bed, "staging").await;
    let lives_in = format!("\"production\" (OID {})", oid(&bed.admin).await);

    // Whoever may write there makes Alice the owner of everything, and mints her a token.
    staging.batch_execute("update auth.users set raw_app_meta_data = '{\"owner\": true}'").await.unwrap();
    mints_nothing("staging", &staging, &alice).await;
    is_said_to_be_a_copy("staging", &refused(staging.batch_execute(START).await, COPY), &staging, &lives_in).await;
    refused(exchange(&staging, &pending).await, COPY);
    staging.batch_execute("set workos_auth.site_url = 'http://localhost:3000'").await.unwrap();
    for waiting in [&brokered, &implicit] {
        let sql = "select auth.handle_callback($1, $2)";
        let url: String = staging.query_one(sql, &[&waiting.code, &waiting.state]).await.unwrap().get(0);
        assert!(url.contains("error_code=unexpected_failure") && !url.contains("access_token"), "{url}");
        assert!(!url.contains("production"), "{url}");
    }
    assert!(bed.cluster.log().unwrap().contains("WA120"), "the log does not say why");
    assert_eq!(bed.token_requests().len(), 1, "WorkOS was shown a code");
    assert_eq!(text(&staging, "select count(*) from auth.sessions").await.unwrap().as_deref(), Some("1"));

    // Reading goes on there, and everything in production.
    verify(&staging, &alice.access_token).await.unwrap();
    bed.admin.batch_execute("create role production_reader login").await.unwrap();
    let reader = bed.cluster.connect("staging", "production_reader").await.unwrap();
    set_session(&reader, &alice.access_token, false).await.unwrap();
    assert_eq!(text(&reader, "select auth.uid()").await.unwrap(), Some(alice.user_id.to_string()));
    goes_on("production", &bed.admin, &mut alice).await;
    exchange(&bed.admin, &pending).await.unwrap();

    // A new installation knows nothing of production, nor production of it.
    staging.batch_execute(BECOME_NEW).await.unwrap();
    let mut forged = sign_in(&staging, ALICE).await;
    goes_on("staging, made new", &staging, &mut forged).await;
    assert_eq!(forged.user_id, alice.user_id);
    refused(verify(&bed.admin, &forged.access_token).await, "bad_jwt_key");
    refused(refresh(&bed.admin, &forged.refresh_token).await, "refresh_token_not_found");
    refused(verify(&staging, &alice.access_token).await, "bad_jwt_key");
    refused(verify(&reader, &alice.access_token).await, "bad_jwt_key");
    refused(refresh(&staging, &alice.refresh_token).await, "refresh_token_not_found");
    assert_ne!(forged.claims["iss"], alice.claims["iss"]);
    goes_on("production, beside a new installation", &bed.admin, &mut alice).await;
}

#[tokio::test]
async fn a_copy_whose_original_is_gone_waits_all_the_same() {
    let mut bed = Bed::new(&CLUSTER, "gone").await;
    let mut alice = bed.sign_in(ALICE).await;
    let left = copy(&mut bed, "left_over").await;
    let gone = oid(&bed.admin).await;
    let postgres = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    postgres.batch_execute("drop database gone with (force)").await.unwrap();
    mints_nothing("left over", &left, &alice).await;
    let refusal = refused(left.batch_execute(START).await, COPY);
    is_said_to_be_a_copy("left over", &refusal, &left, &format!("gone (OID {gone})")).await;
    left.batch_execute(TAKE_OVER).await.unwrap();
    goes_on("taken over", &left, &mut alice).await;
    sign_in(&left, ALICE).await;
}

#[tokio::test]
async fn a_new_installation_keeps_people_and_forgets_keys_and_sessions() {
    // Its own: the others need the root key.
    let cluster = Cluster::start().unwrap();
    let mut bed = Bed::new(&cluster, "kept").await;
    let old = bed.sign_in(ALICE).await;
    bed.sign_in(BOB).await;
    bed.admin.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    let waiting = start(&bed.admin, ANNA).await;
    let made = copy(&mut bed, "kept_anew").await;
    let people = "select u::text from auth.users u union all select i::text from auth.identities i union all select o::text from auth.organizations o
        union all select m::text from auth.organization_memberships m union all select r::text from auth.redirect_urls r order by 1";
    let secrets = "select id::text from auth.installation union all select encode(lock_key, 'hex') from auth.installation
        union all select kid from auth.signing_keys union all select encode(private_key, 'hex') from auth.signing_keys
        union all select id::text from auth.data_keys union all select encode(wrapped_key, 'hex') from auth.data_keys
        union all select encode(client_secret, 'hex') from auth.providers union all select data_key_id::text from auth.providers";
    let (before, kept) = (rows(&made).await, lines(&made, people).await.unwrap());

    // Without its root key, in a transaction that is rolled back, and after an error on the way: nothing has changed.
    let file = bed.cluster.root_key_path().display().to_string();
    bed.cluster.append_conf("workos_auth.root_key_file = ''").unwrap();
    bed.cluster.reload().await.unwrap();
    let without = bed.cluster.connect("kept_anew", SUPERUSER).await.unwrap();
    refused(without.batch_execute(BECOME_NEW).await, "root_key_required");
    bed.cluster.append_conf(&format!("workos_auth.root_key_file = '{file}'")).unwrap();
    bed.cluster.reload().await.unwrap();
    assert_eq!(rows(&made).await, before);
    let made = bed.cluster.connect("kept_anew", SUPERUSER).await.unwrap();
    made.batch_execute("begin; select auth.become_new_installation()").await.unwrap();
    sign_in(&made, ALICE).await;
    made.batch_execute("rollback").await.unwrap();
    assert_eq!(rows(&made).await, before);
    mints_nothing("rolled back", &made, &old).await;

    let was = lines(&made, secrets).await.unwrap();
    let id = text(&made, BECOME_NEW).await.unwrap();
    assert_eq!(id, text(&made, "select id from auth.installation").await.unwrap());
    let is = lines(&made, secrets).await.unwrap();
    assert!(was.len() > 10 && is.len() > 10, "{was:?} {is:?}");
    assert!(is.iter().all(|secret| !was.contains(secret)), "something stayed: {is:?}");
    assert_eq!(lines(&made, people).await.unwrap(), kept);
    for (sql, expected) in [
        ("select count(*) from auth.sessions", "0"),
        ("select count(*) from auth.flow_states", "0"),
        ("select count(*) from auth.data_keys", "4"),
        ("select count(*) from auth.signing_keys", "1"),
        ("select octet_length(lock_key) from auth.installation", "32"),
        (
            "select count(*) from auth.audit_log_entries where action = 'installation_made_new' and payload->>'sessions' = '2'",
            "1",
        ),
    ] {
        assert_eq!(text(&made, sql).await.unwrap().as_deref(), Some(expected), "{sql}");
    }
    assert_eq!(lines(&made, HOME).await.unwrap(), lines(&made, HERE).await.unwrap());
    refused(exchange(&made, &waiting).await, "flow_state_not_found");
    // The client secret works: WorkOS checks it. So do the root key in a fresh backend, and a rotation.
    let fresh = bed.cluster.connect("kept_anew", SUPERUSER).await.unwrap();
    let new = sign_in(&fresh, ALICE).await;
    assert_eq!((new.user_id, new.is_new_user), (old.user_id, false));
    fresh.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    refresh(&fresh, &new.refresh_token).await.unwrap();
    exchange(&bed.admin, &waiting).await.unwrap();

    // It works anywhere, also where there is nothing to be mended.
    fresh.batch_execute(BECOME_NEW).await.unwrap();
    refused(refresh(&fresh, &new.refresh_token).await, "refresh_token_not_found");
    let mut anew = sign_in(&fresh, ALICE).await;
    goes_on("made new twice", &fresh, &mut anew).await;
}

#[tokio::test]
async fn sign_ins_under_way_come_before_a_new_installation_or_fail() {
    let mut bed = Bed::new(&CLUSTER, "under_way").await;
    let alice = bed.sign_in(ALICE).await;
    let busy = bed.superuser().await;
    busy.batch_execute(&format!("begin; select auth.create_session('{}')", alice.user_id)).await.unwrap();
    let other = bed.superuser().await;
    let (made, _) = tokio::join!(other.batch_execute(BECOME_NEW), async {
        bed.until_waiting(1).await;
        busy.batch_execute("commit").await.unwrap();
    });
    made.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
    let copied = copy(&mut bed, "under_way_copy").await;
    refused(copied.batch_execute(START).await, COPY);
}

#[tokio::test]
async fn which_installation_a_database_is_only_a_superuser_says() {
    let mut bed = Bed::new(&CLUSTER, "said").await;
    bed.sign_in(ALICE).await;
    let copied = copy(&mut bed, "said_copy").await;
    let roles = "create role said_admin login; create role said_creator login createrole createdb; grant all on database said_copy to said_creator;
        alter database said_copy owner to said_creator";
    copied.batch_execute(roles).await.unwrap();
    copied.batch_execute("select auth.grant_admin('said_admin')").await.unwrap();
    for granted in [false, true] {
        if granted {
            let grant =
                "grant execute on function auth.become_new_installation(), auth.take_over_installation() to public";
            copied.batch_execute(grant).await.unwrap();
        }
        for role in ["said_admin", "said_creator"] {
            let client = bed.cluster.connect("said_copy", role).await.unwrap();
            for call in [BECOME_NEW, TAKE_OVER] {
                refused_as(client.batch_execute(call).await, "42501");
            }
        }
    }
    // Nor is what was said anybody else's to change, with the library in the session and without.
    copied.batch_execute(TAKE_OVER).await.unwrap();
    let said =
        "select setconfig from pg_db_role_setting where setrole = 'workos_auth_owner'::regrole and setdatabase = 0";
    let before = text(&copied, said).await.unwrap();
    assert!(before.as_deref().is_some_and(|text| text.contains("installation_homes")), "{before:?}");
    for loads in ["select 1", "select auth.uid()"] {
        let creator = bed.cluster.connect("said_copy", "said_creator").await.unwrap();
        creator.batch_execute(loads).await.unwrap();
        for change in [
            "alter role workos_auth_owner reset all",
            "alter role workos_auth_owner reset workos_auth.installation_homes",
            "alter role workos_auth_owner set workos_auth.installation_homes = ''",
        ] {
            let _ = creator.batch_execute(change).await;
            assert_eq!(text(&copied, said).await.unwrap(), before, "{loads}: {change}");
        }
    }
    for sql in ["show workos_auth.installation_homes", "set workos_auth.installation_homes = 'x'"] {
        let client = bed.cluster.connect("said_copy", "said_admin").await.unwrap();
        client.batch_execute("select auth.uid()").await.unwrap();
        refused_as(client.batch_execute(sql).await, "42501");
    }

    copied.batch_execute("begin read only").await.unwrap();
    refused(copied.batch_execute(BECOME_NEW).await, "read_only");
    copied.batch_execute("rollback; begin read only").await.unwrap();
    refused(copied.batch_execute(TAKE_OVER).await, "read_only");
    copied.batch_execute("rollback").await.unwrap();

    // A database that is not set up is nothing yet.
    bed.cluster.create_database("said_nothing").await.unwrap();
    let nothing = bed.cluster.connect("said_nothing", SUPERUSER).await.unwrap();
    nothing.batch_execute("create extension workos_auth").await.unwrap();
    for call in [BECOME_NEW, TAKE_OVER] {
        refused(nothing.batch_execute(call).await, "provider_not_configured");
    }
}

#[tokio::test]
async fn a_check_finds_a_copy_and_its_remedy_mends_it() {
    let mut bed = Bed::new(&CLUSTER, "checked").await;
    let copied = copy(&mut bed, "checked_copy").await;
    copied.batch_execute("create role checked_admin login; select auth.grant_admin('checked_admin')").await.unwrap();
    let admin = bed.cluster.connect("checked_copy", "checked_admin").await.unwrap();
    for client in [&copied, &admin] {
        let found: Vec<_> = check(client).await.into_iter().filter(|row| row.object == "auth.installation").collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].severity, "error");
        for part in ["\"checked\"", "\"checked_copy\"", "auth.take_over_installation()"] {
            assert!(found[0].finding.contains(part), "{found:#?}");
        }
        assert!(found[0].finding.ends_with('.'));
    }
    assert!(check(&bed.admin).await.iter().all(|row| row.object != "auth.installation"));
    let finding = check(&copied).await.into_iter().find(|row| row.object == "auth.installation").unwrap();
    copied.execute(&finding.remedy, &[]).await.unwrap();
    assert!(check(&copied).await.iter().all(|row| row.object != "auth.installation"));
    sign_in(&copied, ALICE).await;
}
