//! Hooks that fail, or that end what they were called for: the sign-in is refused, and nothing of it stays.

use serde_json::json;
use workos_end_to_end::bed::{ALICE, ANNA, exchange, start};
use workos_end_to_end::case;
use workos_end_to_end::hooks::{SEE, allow, bed, hook, no_hooks, seen};
use workos_end_to_end::sql::{refused, refused_as};

#[tokio::test]
async fn whatever_goes_wrong_refuses_the_sign_in_and_leaves_nothing() {
    let bed = bed("failing").await;
    bed.sign_in(ALICE).await;
    let wrong = "jsonb_set(document, '{claims,NAME}', 'VALUE'); end";
    let changed =
        |name: &str, value: &str| format!("begin return {}", wrong.replace("NAME", name).replace("VALUE", value));
    for (event, body, why) in [
        ("token", "begin return null; end".to_owned(), "It returned NULL."),
        ("token", "begin return '[]'; end".to_owned(), "It did not return an object."),
        ("token", "begin return '{}'; end".to_owned(), "has no member claims."),
        ("token", "begin return jsonb_set(document, '{claims}', 'null'); end".to_owned(), "are not an object."),
        ("token", "begin return document #- '{claims,sub}'; end".to_owned(), "the claim sub, which is reserved."),
        ("token", changed("role", "\"postgres\""), "the claim role, which is reserved."),
        ("token", changed("exp", "99999999999"), "the claim exp, which is reserved."),
        ("token", changed("act", "{\"sub\": \"me\"}"), "the claim act, which is reserved."),
        ("token", changed("groups", "[\"wheel\"]"), "It added to the claim groups."),
        ("token", changed("org_roles", "[\"member\", \"owner\"]"), "It added to the claim org_roles."),
        ("token", changed("permissions", "\"all\""), "of the claim permissions."),
        (
            "token",
            "begin return jsonb_set(document, '{claims,deep}', (repeat('[', 300) || repeat(']', 300))::jsonb); end".to_owned(),
            "nested too deeply",
        ),
        ("token", "begin return 1 / 0; end".to_owned(), "It raised 22012: division by zero"),
        ("signed_in", "begin raise 'Nö: %', document ->> 'event'; end".to_owned(), "It raised P0001: Nö: signed_in"),
        ("signed_in", "begin raise 'x' using errcode = 'ZZ123'; end".to_owned(), "It raised ZZ123: x"),
        (
            "signed_in",
            "begin begin raise 'x' using errcode = 'ZZ123'; exception when others then raise 'y' using errcode = 'QQ456'; end; end".to_owned(),
            "It raised QQ456: y",
        ),
        ("signed_in", "begin set local lock_timeout = '10ms'; lock table app.seen; return null; end".to_owned(), "It raised 55P03: "),
        ("signed_in", "begin perform auth.session_id(); perform auth.sign_out(null); return null; end".to_owned(), "It raised 22004: a value is required"),
        ("signed_in", "begin perform auth.get_user(); return null; end".to_owned(), "It raised WA511: there is no session"),
        ("signed_in", "begin insert into app.seen (said) values (1, 2); end".to_owned(), "It raised 42601: "),
    ] {
        no_hooks(&bed).await;
        hook(&bed, event, &body).await;
        let pending = start(&bed.admin, ALICE).await;
        let before = bed.contents().await;
        let blocker = bed.superuser().await;
        if why.contains("55P03") {
            blocker.batch_execute("begin; lock table app.seen in share mode").await.unwrap();
        }
        let error = refused(exchange(&bed.admin, &pending).await, "hook_failed");
        assert!(error.detail.starts_with(&format!("The hook {event}, app.on_{event}(jsonb): ")), "{error}");
        assert!(error.detail.contains(why), "{why}\n{error}");
        assert_eq!(bed.contents().await, before, "{why}");
    }
    // What a new account's hook refuses is no account.
    no_hooks(&bed).await;
    hook(&bed, "user_created", "begin insert into app.seen (said) values ('x'); raise 'not you'; end").await;
    let pending = start(&bed.admin, ANNA).await;
    let before = bed.contents().await;
    let error = refused(exchange(&bed.admin, &pending).await, "hook_failed");
    assert!(error.detail.ends_with("It raised P0001: not you"), "{error}");
    assert_eq!(bed.contents().await, before);
    assert_eq!(bed.count("select count(*) from app.seen").await, 0);
    // And without it, it is.
    no_hooks(&bed).await;
    assert!(bed.sign_in(ANNA).await.is_new_user);
}

#[tokio::test]
async fn a_long_message_of_a_hook_is_cut() {
    let bed = bed("long_message").await;
    hook(&bed, "signed_in", "begin raise '%', repeat('ö', 100000); end").await;
    let pending = start(&bed.admin, ALICE).await;
    let error = refused(exchange(&bed.admin, &pending).await, "hook_failed");
    assert_eq!(error.detail.matches('ö').count(), 1000);
}

#[tokio::test]
async fn what_is_no_fault_of_the_hook_stays_what_it_is() {
    let bed = bed("unchanged").await;
    for sqlstate in ["40001", "40P01", "57014", "57P01"] {
        case!(sqlstate);
        hook(&bed, "token", &format!("begin raise 'again' using errcode = '{sqlstate}'; end")).await;
        let pending = start(&bed.admin, ALICE).await;
        let error = refused_as(exchange(&bed.admin, &pending).await, sqlstate);
        assert_eq!(error.message, "again");
    }
    // A slow one is bound by statement_timeout.
    hook(&bed, "token", "begin perform pg_sleep(60); return document; end").await;
    let pending = start(&bed.admin, ALICE).await;
    bed.admin.batch_execute("set statement_timeout = '1s'").await.unwrap();
    refused_as(exchange(&bed.admin, &pending).await, "57014");
    bed.admin.batch_execute("reset statement_timeout").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
    // And the backend is none the worse for it.
    hook(&bed, "token", SEE).await;
    bed.sign_in(ALICE).await;
    assert_eq!(seen(&bed).await.len(), 1);
}

#[tokio::test]
async fn a_hook_that_ends_the_session_or_bans_the_person_gets_no_token_out() {
    let bed = bed("ending").await;
    allow(&bed, "select, delete, update on auth.sessions, auth.users, auth.organization_memberships").await;
    let ends =
        "begin delete from auth.sessions where id = (document #>> '{claims,session_id}')::uuid; return document; end";
    let bans = "begin update auth.users set banned_until = 'infinity' where id = (document ->> 'user_id')::uuid; return document; end";
    let unbans = "begin update auth.users set banned_until = '2020-01-01' where id = (document ->> 'user_id')::uuid; return document; end";
    let deletes = "begin update auth.users set deleted_at = now() where id = (document ->> 'user_id')::uuid; return document; end";
    let removes = "begin delete from auth.users where id = (document ->> 'user_id')::uuid; return document; end";
    for event in ["signed_in", "token", "user_created"] {
        case!(event);
        for body in [ends, bans, deletes, removes] {
            case!(body);
            if event == "user_created" && body == ends {
                continue;
            }
            no_hooks(&bed).await;
            hook(&bed, event, body).await;
            let error = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "hook_failed");
            assert!(error.detail.contains("ended the session"), "{event} {body}: {error}");
            assert_eq!(bed.count("select count(*) from auth.users").await, 0);
        }
        no_hooks(&bed).await;
        hook(&bed, event, unbans).await;
        bed.sign_in(ALICE).await;
        bed.admin.batch_execute("delete from auth.users").await.unwrap();
    }
    // A change of rights: seen by the token that comes after, refused where it would come too late.
    let raises = "begin
        update auth.organization_memberships set permissions = '{new}' where user_id = (document ->> 'user_id')::uuid;
        return document; end";
    no_hooks(&bed).await;
    hook(&bed, "signed_in", raises).await;
    let session = bed.sign_in(ALICE).await;
    assert_eq!((&session.claims["permissions"], &session.claims["claims_version"]), (&json!(["new"]), &json!(1)));
    no_hooks(&bed).await;
    hook(&bed, "token", &raises.replace("{new}", "{newer}")).await;
    let error = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "hook_failed");
    assert!(error.detail.contains("changed the person's rights"), "{error}");
}

#[tokio::test]
async fn a_token_hook_may_refuse_in_words() {
    let bed = bed("words").await;
    let refuse =
        |error: &str| format!("begin insert into app.seen (said) values ('x'); return '{{\"error\": {error}}}'; end");
    for (error, detail) in [
        (r#"{"http_code": 429, "message": "Too many seats: buy one"}"#, "HTTP 429: Too many seats: buy one"),
        (r#"{"message": "Your trial is over"}"#, "HTTP 403: Your trial is over"),
    ] {
        hook(&bed, "token", &refuse(error)).await;
        let pending = start(&bed.admin, ALICE).await;
        let before = bed.contents().await;
        let refusal = refused(exchange(&bed.admin, &pending).await, "hook_refused");
        assert_eq!(refusal.detail, detail);
        assert_eq!(bed.contents().await, before, "{error}");
    }
    for (error, why) in [
        (r#"{"http_code": 403}"#, "without a message"),
        (r#"{"http_code": 200, "message": "x"}"#, "http_code"),
        (r#""no""#, "without a message"),
    ] {
        hook(&bed, "token", &refuse(error)).await;
        let refusal = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "hook_failed");
        assert!(refusal.detail.contains(why), "{error}: {refusal}");
    }
    // NULL is no error, and another event's answer is not read.
    hook(&bed, "token", "begin return document || '{\"error\": null}'; end").await;
    hook(&bed, "signed_in", &refuse(r#"{"message": "x"}"#)).await;
    exchange(&bed.admin, &start(&bed.admin, ALICE).await).await.unwrap();
}
