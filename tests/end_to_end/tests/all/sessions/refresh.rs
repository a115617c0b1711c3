//! `auth.refresh_session`: each row of the decision table, the claims of now, and what is no refresh token.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, GINA, Session, refresh, set_session};
use workos_end_to_end::case;
use workos_end_to_end::refreshing::{counter, refresh_times};
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_end_to_end::waiting::pass;
use workos_end_to_end::{Bed, refusal};
use workos_testbed::Cluster;

#[tokio::test]
async fn a_refresh_gives_new_tokens_and_keeps_the_session() {
    let bed = Bed::shared("refreshed").await;
    let app = bed.backend().await;
    let first = bed.sign_in(ALICE).await;
    pass(first.claims["iat"].as_i64().unwrap()).await;
    let sql = "select * from auth.refresh_session($1, '203.0.113.7', 'Browser 1')";
    let second = Session::from(&app.query_one(sql, &[&first.refresh_token]).await.unwrap());

    assert_ne!(second.access_token, first.access_token);
    assert!(second.expires_at > first.expires_at);
    assert_eq!((counter(&first.refresh_token), counter(&second.refresh_token)), (0, 1));
    let mut claims = first.claims.clone();
    for name in ["iat", "exp"] {
        claims[name] = second.claims[name].clone();
    }
    assert_eq!(second.claims, claims, "the claims are those of the sign-in but for the time");
    let kept = Session {
        access_token: second.access_token.clone(),
        refresh_token: second.refresh_token.clone(),
        expires_at: second.expires_at,
        claims,
        is_new_user: false,
        redirect_to: None,
        provider_token: None,
        ..first.clone()
    };
    assert_eq!(second, kept);
    for token in [&first.access_token, &second.access_token] {
        app.query_one("select auth.verify_token($1)", &[token]).await.unwrap();
    }

    // The address stays where a call does not tell another; a header is kept to its thousandth character.
    let sql = "select host(ip) || ' ' || user_agent from auth.sessions";
    assert_eq!(text(&bed.admin, sql).await.unwrap().unwrap(), "203.0.113.7 Browser 1");
    let third = refresh(&app, &second.refresh_token).await.unwrap();
    assert_eq!(text(&bed.admin, sql).await.unwrap().unwrap(), "203.0.113.7 Browser 1");
    let call = "select from auth.refresh_session($1, '2001:db8::1', $2)";
    app.query_one(call, &[&third.refresh_token, &"ü".repeat(50_000)]).await.unwrap();
    assert_eq!(text(&bed.admin, sql).await.unwrap().unwrap(), format!("2001:db8::1 {}", "ü".repeat(1000)));
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
}

/// A person's memberships elsewhere are nothing to a session: neither to one of an organization nor to one of none.
#[tokio::test]
async fn a_token_says_what_the_person_is_in_its_own_organization() {
    let bed = Bed::shared("memberships").await;
    let app = bed.backend().await;
    let own = bed.sign_in(ALICE).await;
    let of_none = bed.sign_in(GINA).await;
    bed.admin
        .batch_execute(
            "insert into auth.organizations (id) values ('org_a'), ('org_z');
             insert into auth.organization_memberships (organization_id, user_id, role, roles, groups, permissions)
                 select o, u.id, 'owner', '{owner}', '{everything}', '{all:write}' from auth.users u, unnest(array['org_a', 'org_z']) o",
        )
        .await
        .unwrap();
    for session in [own, of_none] {
        let refreshed = refresh(&app, &session.refresh_token).await.unwrap();
        for claim in ["org_id", "org_role", "org_roles", "groups", "permissions"] {
            assert_eq!(refreshed.claims[claim], session.claims[claim], "{claim}");
        }
    }
}

#[tokio::test]
async fn each_row_of_the_decision_table() {
    let bed = Bed::shared("decisions").await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    let id = session.session_id;
    let mut tokens = vec![session.refresh_token.clone()];
    let next = async |presented: &str| refresh(&app, presented).await.unwrap().refresh_token;

    // Equal: the next one.
    for n in 1..=3 {
        tokens.push(next(&tokens[n - 1]).await);
        assert_eq!(counter(&tokens[n]), n as u64);
    }
    // One behind, within the interval: the current one, and nothing is written.
    let row = bed.session_row(id).await;
    assert_eq!(next(&tokens[2]).await, tokens[3]);
    // Further behind, within the interval: refused, and the session lives.
    let refusal = refused(refresh(&app, &tokens[1]).await, "conflict");
    assert!(refusal.detail.contains("lives") && !refusal.hint.is_empty(), "{refusal}");
    assert_eq!(bed.session_row(id).await, row);

    // One behind, later: the current one again, and it is counted, once.
    bed.age(id).await;
    assert_eq!(next(&tokens[2]).await, tokens[3]);
    let row = bed.session_row(id).await;
    assert_eq!(next(&tokens[2]).await, tokens[3]);
    assert_eq!(bed.session_row(id).await, row);
    let counted = format!("select concat_ws(' ', recoveries, recovered_counter) from auth.sessions where id = '{id}'");
    assert_eq!(text(&bed.admin, &counted).await.unwrap().unwrap(), "1 3");
    assert_eq!(bed.audited("token_reused", id).await, [json!({ "presented": 2, "current": 3, "recoveries": 1 })]);

    // A rotation without one begins anew; two in a row are two.
    tokens.extend([next(&tokens[3]).await]);
    tokens.extend([next(&tokens[4]).await]);
    for (current, wanted) in [(5, "1 5"), (6, "2 6")] {
        case!(current, wanted);
        bed.age(id).await;
        assert_eq!(next(&tokens[current - 1]).await, tokens[current]);
        assert_eq!(text(&bed.admin, &counted).await.unwrap().unwrap(), wanted);
        tokens.extend([next(&tokens[current]).await]);
    }
    assert!(bed.is_alive(id).await);

    // Ahead: the row forgot refreshes.
    bed.admin.execute("update auth.sessions set refresh_token_counter = 4 where id = $1", &[&id]).await.unwrap();
    let ahead = next(&tokens[7]).await;
    assert_eq!(counter(&ahead), 8);
    assert_eq!(
        bed.audited("token_history_lost", id).await,
        [json!({ "presented": 7, "current": 4, "recoveries": null })]
    );

    // Further behind, later: theft.
    bed.age(id).await;
    refused(refresh(&app, &tokens[6]).await, "refresh_token_already_used");
    assert!(!bed.is_alive(id).await);
    assert_eq!(bed.audited("token_theft", id).await, [json!({ "theft": "stale", "presented": 6, "current": 8 })]);
    for token in [&tokens[0], &tokens[7], &ahead] {
        refused(refresh(&app, token).await, "refresh_token_not_found");
    }
}

#[tokio::test]
async fn the_claims_are_those_of_now() {
    let bed = Bed::shared("of_now").await;
    bed.set("workos_auth.allowed_roles", "authenticated, support").await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    let (id, user) = (session.session_id, session.user_id);
    let change = format!(
        "update auth.users set role = 'support', raw_user_meta_data = '{{\"theme\": \"dunkel ☾\"}}' where id = '{user}';
         update auth.organization_memberships set groups = '{{night shift}}', role = 'owner', permissions = '{{p}}' where user_id = '{user}'"
    );
    bed.admin.batch_execute(&change).await.unwrap();
    refused(app.query_one("select auth.verify_token($1)", &[&session.access_token]).await, "session_stale");

    let fresh = refresh(&app, &session.refresh_token).await.unwrap();
    let claims: serde_json::Value =
        app.query_one("select auth.verify_token($1)", &[&fresh.access_token]).await.unwrap().get(0);
    for (name, wanted) in [
        ("role", json!("support")),
        ("user_metadata", json!({ "theme": "dunkel ☾" })),
        ("groups", json!(["night shift"])),
        ("org_role", json!("owner")),
        ("permissions", json!(["p"])),
        ("claims_version", json!(1)),
        ("auth_time", session.claims["auth_time"].clone()),
        ("amr", session.claims["amr"].clone()),
    ] {
        assert_eq!(claims[name], wanted, "{name}");
    }

    // A role that is not allowed any more refuses, and nothing is written.
    let row = bed.session_row(id).await;
    bed.admin.batch_execute("update auth.users set role = 'postgres'").await.unwrap();
    refused(refresh(&app, &fresh.refresh_token).await, "role_not_allowed");
    assert_eq!(bed.session_row(id).await, row);
    // So does a token that grew too large.
    let change = "update auth.users set role = 'support';
        update auth.organization_memberships set groups = array(select 'group ' || i from generate_series(1, 5000) i)";
    bed.admin.batch_execute(change).await.unwrap();
    let row = bed.session_row(id).await;
    refused(refresh(&app, &fresh.refresh_token).await, "token_too_large");
    assert_eq!(bed.session_row(id).await, row);
    bed.admin.batch_execute("update auth.organization_memberships set groups = '{}'").await.unwrap();
    refresh(&app, &fresh.refresh_token).await.unwrap();
}

/// With one byte of it changed.
fn altered(token: &str, at: usize) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    bytes[at] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn what_is_no_refresh_token_of_this_session_changes_nothing() {
    let bed = Bed::shared("no_token").await;
    let app = bed.backend().await;
    let alice = bed.sign_in(ALICE).await;
    let anna = bed.sign_in(ANNA).await;
    let other = Bed::shared("no_token_other").await;
    let stranger = other.sign_in(ALICE).await;
    let unsalted = bed.sign_in(BOB).await;
    let sql = "update auth.sessions set refresh_token_key_id = null, refresh_token_salt = null where id = $1";
    bed.admin.execute(sql, &[&unsalted.session_id]).await.unwrap();
    // Alice's counter and session beside Anna's tag.
    let (one, two) = (URL_SAFE_NO_PAD.decode(&alice.refresh_token), URL_SAFE_NO_PAD.decode(&anna.refresh_token));
    let spliced = URL_SAFE_NO_PAD.encode([&one.unwrap()[..29], &two.unwrap()[29..]].concat());
    let before = bed.contents().await;

    refused_as(app.query("select auth.refresh_session(null)", &[]).await, "22004");
    refused_as(app.query("select auth.refresh_session(null, null, null)", &[]).await, "22004");
    let garbage = ["", "x", "\u{fc}berraschung", &"A".repeat(60), &"ü".repeat(30), &"A".repeat(1 << 20)];
    for token in garbage.into_iter().chain([alice.access_token.as_str(), &altered(&alice.refresh_token, 0)]) {
        let refusal = refused(refresh(&app, token).await, "validation_failed");
        assert!(refusal.detail.contains("refresh_token"), "{refusal}");
        assert!(token.len() < 4 || !refusal.to_string().contains(token), "{refusal}");
    }
    // A NUL cannot be sent as text at all.
    assert_eq!(refusal(refresh(&app, "\0").await).sqlstate, "22021");
    let mut strangers = vec![spliced, stranger.refresh_token.clone(), unsalted.refresh_token.clone()];
    strangers.extend((1..45).map(|at| altered(&alice.refresh_token, at)));
    for token in &strangers {
        let refusal = refused(refresh(&app, token).await, "refresh_token_not_found");
        assert!(!refusal.to_string().contains(&token[..20]), "{refusal}");
    }
    assert_eq!(bed.contents().await, before);
    // The right ones are good, all the same.
    refresh(&app, &alice.refresh_token).await.unwrap();
    refresh(&app, &anna.refresh_token).await.unwrap();
    refresh(&other.admin, &stranger.refresh_token).await.unwrap();

    // It is the backend's call, and nobody else's.
    let nobody = bed.role("nobody", "").await;
    let nobody = bed.connect(&nobody).await;
    refused_as(refresh(&nobody, &alice.refresh_token).await, "42501");
    set_session(&nobody, &alice.access_token, false).await.unwrap();
    refused_as(refresh(&nobody, &alice.refresh_token).await, "42501");
    let row = app.query_one("select count(*) from auth.error_codes where name like 'refresh_token_%'", &[]).await;
    assert_eq!(row.unwrap().get::<_, i64>(0), 2);
}

#[tokio::test]
async fn within_one_statement_it_runs_once() {
    let bed = Bed::shared("runs_once").await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    let row = app.query_one("select (auth.refresh_session($1)).*", &[&session.refresh_token]).await.unwrap();
    let second = Session::from(&row);
    assert_eq!(counter(&second.refresh_token), 1);
    let sql = "select (auth.refresh_session($1)).refresh_token, (auth.refresh_session($1)).access_token from generate_series(1, 3)";
    let rows = app.query(sql, &[&second.refresh_token]).await.unwrap();
    for row in &rows {
        assert_eq!(row.get::<_, String>(0), rows[0].get::<_, String>(0));
        assert_eq!(row.get::<_, String>(1), rows[0].get::<_, String>(1));
    }
    assert_eq!(bed.count("select refresh_token_counter from auth.sessions").await, 2);
    // Two tokens are two calls; of a savepoint that is rolled back, nothing is remembered.
    let third: String = rows[0].get(0);
    app.batch_execute("begin; savepoint s").await.unwrap();
    let lost = refresh(&app, &third).await.unwrap();
    app.batch_execute("rollback to s").await.unwrap();
    let again = refresh(&app, &third).await.unwrap();
    app.batch_execute("commit").await.unwrap();
    assert_eq!((counter(&lost.refresh_token), counter(&again.refresh_token)), (3, 3));
    assert_eq!(bed.count("select refresh_token_counter from auth.sessions").await, 3);
}

/// One row version a refresh, and none of them needs an entry in an index.
#[tokio::test]
async fn a_hundred_and_twenty_seven_refreshes_in_a_row_are_as_many_hot_updates() {
    const ROW: usize = 127;
    const RECOVERIES: i64 = 2;
    // An ANALYZE keeps old versions from being pruned as long as it runs, and the page gets full.
    let cluster = Cluster::start_with(&["autovacuum = off"]).unwrap();
    let bed = Bed::new(&cluster, "in_a_row").await;
    let session = bed.sign_in(ALICE).await;
    for _ in 0..20 {
        bed.sign_in(ANNA).await;
    }
    let app = bed.backend().await;
    let last = refresh_times(&app, &session, ROW).await;
    assert_eq!(counter(&last.refresh_token), ROW as u64);
    // A lost answer now and then.
    let mut current = last;
    for _ in 0..RECOVERIES {
        let next = refresh(&app, &current.refresh_token).await.unwrap();
        bed.age(session.session_id).await;
        let recovered = refresh(&app, &current.refresh_token).await.unwrap();
        assert_eq!(recovered.refresh_token, next.refresh_token);
        current = refresh(&app, &next.refresh_token).await.unwrap();
    }
    let wanted = ROW as i64 + 2 * RECOVERIES + RECOVERIES + RECOVERIES;
    drop(app);
    // A backend tells of what it did when it ends, or now and then.
    let sql =
        "select n_tup_upd, n_tup_hot_upd, n_tup_ins from pg_stat_user_tables where relid = 'auth.sessions'::regclass";
    for _ in 0..500 {
        let other = bed.superuser().await;
        let row = other.query_one(sql, &[]).await.unwrap();
        if row.get::<_, i64>(0) >= wanted {
            assert_eq!(row.get::<_, i64>(0), wanted, "one version a refresh");
            assert_eq!(row.get::<_, i64>(1), wanted, "each of them HOT");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the statistics do not come");
}
