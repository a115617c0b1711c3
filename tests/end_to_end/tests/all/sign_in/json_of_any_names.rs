//! Members whose names a parser keeps for itself are data like any other, wherever JSON comes in; so is what is nested deeply, as far as a
//! token can carry it, and what it cannot has an error of its own.

use serde_json::{Value, json};
use tokio_postgres::{Client, Error, Row};
use workos_auth_core::json;
use workos_end_to_end::bed::{ALICE, Bed, Pending, start};
use workos_end_to_end::brokered::{callback, come_back};
use workos_end_to_end::case;
use workos_end_to_end::sql::{refused, text};
use workos_simulator::{Fault, FaultKind};

const NUMBER: &str = "$serde_json::private::Number";
const RAW: &str = "$serde_json::private::RawValue";

/// Objects that a careless reader takes apart or stumbles over.
fn odd() -> Vec<Value> {
    let named = |name: &str, value: Value| -> Value { [(name.to_owned(), value)].into_iter().collect() };
    let mut all = Vec::new();
    for name in [NUMBER, RAW] {
        for value in [json!("1"), json!("[1,"), json!("x"), json!(7), json!(null), json!({ "a": 1 })] {
            let odd = named(name, value);
            all.extend([odd.clone(), json!({ "deep": [1, { "a": odd.clone() }] }), json!({ "a": odd, "z": 1.50 })]);
        }
    }
    all
}

/// What a sign-in or a refresh brought; tests read JSON as text, since their own parser is a careless one.
struct Tokens {
    access: String,
    refresh: String,
    claims: Value,
}

impl From<Row> for Tokens {
    fn from(row: Row) -> Self {
        // Claims are deeper than what stands in them.
        Self { access: row.get(0), refresh: row.get(1), claims: json::parse(row.get(2)).unwrap_or_default() }
    }
}

async fn exchange(app: &Client, pending: &Pending) -> Result<Tokens, Error> {
    let sql = "select access_token, refresh_token, claims::text from auth.exchange_code($1, $2)";
    app.query_one(sql, &[&pending.code, &pending.verifier]).await.map(Tokens::from)
}

async fn refresh(app: &Client, tokens: &Tokens) -> Result<Tokens, Error> {
    let sql = "select access_token, refresh_token, claims::text from auth.refresh_session($1)";
    app.query_one(sql, &[&tokens.refresh]).await.map(Tokens::from)
}

async fn sign_in(app: &Client) -> Result<Tokens, Error> {
    exchange(app, &start(app, ALICE).await).await
}

async fn shown(client: &Client, sql: &str) -> Value {
    let text = text(client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    json::parse(&text.unwrap_or_else(|| panic!("{sql}: NULL"))).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn user(client: &Client, token: &str) -> Value {
    shown(client, &format!("select auth.get_user('{token}')::text")).await
}

/// A dollar-quoted jsonb: the values hold dollars and quotes.
fn jsonb(value: &Value) -> String {
    format!("$json_text${value}$json_text$::jsonb")
}

#[tokio::test]
async fn whatever_a_superuser_wrote_into_metadata_people_refresh_and_sign_in() {
    let bed = Bed::shared("odd_metadata").await;
    let app = bed.backend().await;
    let mut tokens = sign_in(&app).await.unwrap();
    let scalars = [json!([]), json!("text"), json!(5), json!(null), json!([1])];
    for odd in odd().into_iter().chain(scalars) {
        case!(odd);
        let written = format!(
            "update auth.users set raw_app_meta_data = {0}, raw_user_meta_data = {0};
             update auth.identities set identity_data = {0}; update auth.sessions set amr = {0}",
            jsonb(&odd)
        );
        bed.admin.batch_execute(&written).await.unwrap();
        tokens = refresh(&app, &tokens).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
        for member in ["app_metadata", "user_metadata", "amr"] {
            assert_eq!(tokens.claims[member], odd, "{member}");
        }
        // What was signed is what a reader reads.
        let read = shown(&bed.admin, &format!("select auth.verify_token('{}')::text", tokens.access)).await;
        assert_eq!(read, tokens.claims, "{odd}");
        let user = user(&app, &tokens.access).await;
        assert_eq!((&user["app_metadata"], &user["user_metadata"]), (&odd, &odd));
        if odd.as_object().is_some_and(|members| !members.is_empty()) {
            assert_eq!(user["identities"][0]["identity_data"], odd);
        }
        if !odd.is_object() {
            let again = sign_in(&app).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
            assert_eq!(again.claims["user_metadata"], odd);
        }
        let changed = format!("select auth.update_user('{}', '{{\"theme\": \"dark\"}}')::text", tokens.access);
        assert_eq!(shown(&app, &changed).await["user_metadata"]["theme"], "dark", "{odd}");
        // In a session of its own, which ends here.
        let again = sign_in(&app).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
        assert_eq!(again.claims["app_metadata"], odd);
        assert_eq!(again.claims["user_metadata"]["email"], ALICE.email, "{odd}");
        bed.admin.batch_execute(&format!("select auth.sign_out('{}', 'local')", again.access)).await.unwrap();
        let id = text(&bed.admin, "select id from auth.users").await.unwrap().unwrap();
        let made = shown(&bed.admin, &format!("select claims::text from auth.create_session('{id}')")).await;
        assert_eq!(made["app_metadata"], odd);
    }
}

#[tokio::test]
async fn what_no_token_can_carry_has_an_error_of_its_own() {
    let bed = Bed::shared("deep_metadata").await;
    let app = bed.backend().await;
    let tokens = sign_in(&app).await.unwrap();
    let id = text(&bed.admin, "select id from auth.users").await.unwrap().unwrap();
    let deep = |levels: usize| format!("('{{\"a\":' || repeat('[', {levels}) || repeat(']', {levels}) || '}}')::jsonb");
    for column in ["raw_app_meta_data", "raw_user_meta_data"] {
        for levels in [120, 121, 126, 127, 128, 200, 3_000] {
            let written = format!("update auth.users set {column} = {}", deep(levels));
            bed.admin.batch_execute(&written).await.unwrap();
            let refusal = refused(refresh(&app, &tokens).await.map(drop), "user_metadata_unreadable");
            assert!(refusal.detail.contains(column) && refusal.hint.contains("auth.users"), "{refusal}");
            refused(sign_in(&app).await.map(drop), "user_metadata_unreadable");
            for call in [format!("auth.create_session('{id}')"), format!("auth.as_user('{id}', 'pg_monitor')")] {
                refused(bed.admin.batch_execute(&format!("select {call}")).await, "user_metadata_unreadable");
            }
            // A person sees it all the same, and an administrator can mend it.
            let text = text(&app, &format!("select auth.get_user('{}')::text", tokens.access)).await.unwrap().unwrap();
            assert!(text.contains(&"[".repeat(levels)), "{levels}");
        }
        bed.admin.batch_execute(&format!("update auth.users set {column} = {}", deep(119))).await.unwrap();
        let good = sign_in(&app).await.unwrap_or_else(|error| panic!("{column}: {error:?}"));
        bed.admin.query_one("select auth.verify_token($1)::text", &[&good.access]).await.unwrap();
        bed.admin.batch_execute(&format!("update auth.users set {column} = '{{}}'")).await.unwrap();
    }
    let amr = format!("update auth.sessions set amr = {}", deep(500));
    bed.admin.batch_execute(&amr).await.unwrap();
    let refusal = refused(refresh(&app, &tokens).await.map(drop), "user_metadata_unreadable");
    assert!(refusal.detail.contains("amr"), "{refusal}");
}

#[tokio::test]
async fn what_a_person_writes_about_themselves_is_kept_as_it_is() {
    let bed = Bed::shared("odd_update").await;
    let app = bed.backend().await;
    let mut tokens = sign_in(&app).await.unwrap();
    for odd in odd() {
        case!(odd);
        let sql =
            format!("select auth.update_user('{}', jsonb_build_object('x', {}))::text", tokens.access, jsonb(&odd));
        assert_eq!(shown(&app, &sql).await["user_metadata"]["x"], odd);
        let stored = shown(&bed.admin, "select (raw_user_meta_data -> 'x')::text from auth.users").await;
        assert_eq!(stored, odd);
        tokens = refresh(&app, &tokens).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
        assert_eq!(tokens.claims["user_metadata"]["x"], odd);
    }
    // A member of the document itself, too.
    let sql = format!("select auth.update_user('{}', '{{\"{RAW}\": \"[1,\"}}')::text", tokens.access);
    assert_eq!(shown(&app, &sql).await["user_metadata"][RAW], "[1,");
    refresh(&app, &tokens).await.unwrap();
}

#[tokio::test]
async fn hooks_are_given_and_give_any_names() {
    let bed = Bed::shared("odd_hooks").await;
    let hooker = bed.role("hooker", "").await;
    bed.admin
        .batch_execute(&format!(
            "create schema app authorization {hooker}; set role {hooker};
             create table app.answers (answer jsonb); create table app.seen (at bigint generated always as identity, document jsonb);
             create function app.hook(document jsonb) returns jsonb language plpgsql as $$ begin
                 insert into app.seen (document) values (document);
                 return jsonb_set(document, '{{claims,x}}', (select answer from app.answers)); end $$;
             reset role;
             insert into auth.hooks select event, 'app.hook(jsonb)' from unnest(array['user_created', 'signed_in', 'token']) event"
        ))
        .await
        .unwrap();
    let app = bed.backend().await;
    for odd in odd() {
        case!(odd);
        let setting = format!(
            "truncate app.answers, app.seen; insert into app.answers values ({0});
             delete from auth.users; insert into auth.users (id, raw_app_meta_data) values (gen_random_uuid(), {0})",
            jsonb(&odd)
        );
        bed.admin.batch_execute(&setting).await.unwrap();
        let id = text(&bed.admin, "select id from auth.users").await.unwrap().unwrap();
        let made = shown(&bed.admin, &format!("select claims::text from auth.create_session('{id}')")).await;
        assert_eq!((&made["x"], &made["app_metadata"]), (&odd, &odd));
        let tokens = sign_in(&app).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
        assert_eq!(tokens.claims["x"], odd);
        bed.admin.query_one("select auth.verify_token($1)::text", &[&tokens.access]).await.unwrap();
        let seen = "select (document #> '{claims,app_metadata}')::text from app.seen order by at limit 1";
        assert_eq!(shown(&bed.admin, seen).await, odd);
    }
    let deep =
        "delete from app.answers; insert into app.answers values ((repeat('[', 130) || repeat(']', 130))::jsonb)";
    bed.admin.batch_execute(deep).await.unwrap();
    let refusal = refused(sign_in(&app).await.map(drop), "hook_failed");
    assert!(refusal.detail.contains("nested too deeply"), "{refusal}");
}

#[tokio::test]
async fn a_profile_is_kept_as_workos_tells_it() {
    let (bed, app) = Bed::brokered("odd_profile").await;
    for odd in odd() {
        case!(odd);
        let patch =
            json!({ "custom_attributes": { "x": [odd] }, "raw_attributes": { "y": [odd] }, "something_new": [odd] });
        for brokered in [false, true] {
            case!(brokered);
            bed.simulator()
                .set_fault(Fault::token(FaultKind::ProfileOverrides { patch: patch.clone() }).times(1))
                .unwrap();
            let pending = match brokered {
                false => start(&app, ALICE).await,
                true => {
                    let to = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";
                    let pending = come_back(&app, to, ALICE.email).await;
                    let code = callback(&app, &pending).await.unwrap().code();
                    Pending { code, ..pending }
                }
            };
            exchange(&app, &pending).await.unwrap_or_else(|error| panic!("{odd}, brokered {brokered}: {error:?}"));
            let data = shown(&bed.admin, "select identity_data::text from auth.identities").await;
            assert_eq!((&data["custom_attributes"]["x"], &data["raw_attributes"]["y"]), (&json!([odd]), &json!([odd])));
            let member = "select custom_attributes::text from auth.organization_memberships";
            assert_eq!(shown(&bed.admin, member).await["x"], json!([odd]));
        }
    }
}

#[tokio::test]
async fn parameters_of_such_names_are_refused_by_name() {
    let bed = Bed::shared("odd_params").await;
    let app = bed.backend().await;
    for odd in odd() {
        for value in [odd.clone(), json!({ "prompt": odd }), json!({ "prompt": [odd] })] {
            let call = format!("select auth.start_sign_in('org_acme', params => {})", jsonb(&value));
            refused(app.batch_execute(&call).await, "parameter_invalid");
        }
    }
    let deep =
        "select auth.start_sign_in('org_acme', params => (repeat('{\"a\":', 3000) || '1' || repeat('}', 3000))::jsonb)";
    refused(app.batch_execute(deep).await, "parameter_invalid");
}

#[tokio::test]
async fn headers_of_a_request_may_have_any_names() {
    let bed = Bed::shared("odd_headers").await;
    let backend = bed.backend().await;
    let tokens = sign_in(&backend).await.unwrap();
    let app = bed.connect(&bed.role("app", "").await).await;
    for odd in odd() {
        case!(odd);
        let mut headers = json!({ "accept": "*/*", "x": odd });
        headers["authorization"] = json!(format!("Bearer {}", tokens.access));
        let sql = format!(
            "begin; select set_config('request.headers', $json_text${headers}$json_text$, true); select auth.use_request_token();"
        );
        app.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
        assert_eq!(text(&app, "select auth.uid()::text").await.unwrap().as_deref(), tokens.claims["sub"].as_str());
        app.batch_execute("rollback").await.unwrap();
    }
}
