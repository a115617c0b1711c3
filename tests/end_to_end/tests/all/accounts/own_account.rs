//! What people see and change of their own account, and of nobody else's.

use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;
use workos_end_to_end::bed::{
    ALICE, ANNA, BOB, GINA, exchange, get_user_of, is_good, reader, set_session, sign_in, start,
};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_end_to_end::{Bed, Session};
use workos_testbed::Cluster;

async fn get_user(client: &Client) -> Value {
    client.query_one("select auth.get_user()", &[]).await.unwrap_or_else(|error| panic!("{error:?}")).get(0)
}

async fn update_user(client: &Client, session: &Session, changes: &Value) -> Result<Value, tokio_postgres::Error> {
    let sql = "select auth.update_user($1, $2)";
    let row = client.query_typed_one(sql, &[(&session.access_token, Type::TEXT), (changes, Type::JSONB)]).await?;
    Ok(row.get(0))
}

/// A query of the sessions of a session's person: the function stands for MINE.
fn mine(session: &Session, query: &str) -> String {
    query.replace("MINE", &format!("auth.my_sessions('{}')", session.access_token))
}

/// A table's row of a person, as Postgres makes JSON of it in UTC.
async fn stored(bed: &Bed<'_>, table: &str, column: &str, user: Uuid) -> Value {
    let sql = format!("select to_jsonb(t) from auth.{table} t where {column} = $1");
    bed.admin.query_one(&sql, &[&user]).await.unwrap().get(0)
}

async fn signed_in(bed: &Bed<'_>, role: &str) -> (Client, Session) {
    let session = bed.sign_in(ALICE).await;
    (reader(bed, role, &session).await, session)
}

/// Of Postgres's `+00:00` and Go's `Z`, one.
fn time(text: &Value) -> String {
    let text = text.as_str().unwrap_or_else(|| panic!("no time: {text}"));
    text.strip_suffix("+00:00").or(text.strip_suffix('Z')).unwrap_or_else(|| panic!("not UTC: {text}")).to_owned()
}

#[tokio::test]
async fn get_user_says_what_supabases_client_expects() {
    let bed = Bed::shared("get_user").await;
    let app = bed.role("app", "").await;
    let (client, session) = signed_in(&bed, &app).await;
    bed.sign_in(BOB).await;
    let mut user = get_user(&client).await;
    let row = stored(&bed, "users", "id", session.user_id).await;
    let identity = stored(&bed, "identities", "user_id", session.user_id).await;
    for name in ["created_at", "updated_at", "last_sign_in_at", "email_confirmed_at"] {
        assert_eq!(time(&user[name]), time(&row[name]), "{name}");
        user[name] = json!(name);
    }
    assert_eq!(time(&user["confirmed_at"]), time(&row["email_confirmed_at"]));
    for name in ["created_at", "updated_at", "last_sign_in_at"] {
        assert_eq!(time(&user["identities"][0][name]), time(&identity[name]), "{name}");
        user["identities"][0][name] = json!(name);
    }
    user["confirmed_at"] = json!("confirmed_at");
    let expected = json!({
        "id": session.user_id, "aud": "authenticated", "role": "authenticated", "email": "alice@acme.com", "phone": "",
        "email_confirmed_at": "email_confirmed_at", "confirmed_at": "confirmed_at", "last_sign_in_at": "last_sign_in_at",
        "app_metadata": { "provider": "workos", "providers": ["workos"] },
        "user_metadata": row["raw_user_meta_data"],
        "identities": [{
            "identity_id": identity["id"], "id": "prof_alice", "user_id": session.user_id, "provider": "workos",
            "identity_data": identity["identity_data"], "email": "alice@acme.com",
            "last_sign_in_at": "last_sign_in_at", "created_at": "created_at", "updated_at": "updated_at",
        }],
        "created_at": "created_at", "updated_at": "updated_at", "is_anonymous": false,
    });
    assert_eq!(user, expected);
    assert_eq!(user["user_metadata"]["full_name"], "Alice Admin");

    // What the database says now, not what the token said; and times that RFC 3339 cannot say.
    bed.admin
        .batch_execute(
            "update auth.users set email = null, email_confirmed_at = null, phone = '4930', phone_confirmed_at = '2020-02-03 04:05:06.7+02',
                 last_sign_in_at = '-infinity', banned_until = 'infinity', is_anonymous = true, raw_app_meta_data = '{\"ä\": [1e2, null]}'
             where id in (select user_id from auth.identities where provider_id = 'prof_alice');
             update auth.identities set identity_data = '{}', last_sign_in_at = null where provider_id = 'prof_alice'",
        )
        .await
        .unwrap();
    client.batch_execute("set timezone = 'Asia/Kolkata'; set datestyle = 'sql, dmy'").await.unwrap();
    let user = get_user(&client).await;
    for (name, value) in [
        ("email", json!("")),
        ("phone", json!("4930")),
        ("phone_confirmed_at", json!("2020-02-03T02:05:06.7Z")),
        ("confirmed_at", json!("2020-02-03T02:05:06.7Z")),
        ("last_sign_in_at", json!("0001-01-01T00:00:00Z")),
        ("banned_until", json!("9999-12-31T23:59:59Z")),
        ("is_anonymous", json!(true)),
        ("app_metadata", json!({ "ä": [100, null] })),
    ] {
        assert_eq!(user[name], value, "{name}");
    }
    for absent in ["email_confirmed_at", "deleted_at", "factors", "invited_at", "new_email"] {
        assert_eq!(user.get(absent), None, "{absent}");
    }
    for absent in ["identity_data", "last_sign_in_at"] {
        assert_eq!(user["identities"][0].get(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn without_a_session_or_a_token_there_is_no_account() {
    let bed = Bed::shared("no_session").await;
    let app = bed.role("app", "").await;
    let (client, session) = signed_in(&bed, &app).await;
    let bob = bed.sign_in(BOB).await;
    let stranger = bed.connect(&app).await;
    refused(stranger.batch_execute("select auth.get_user()").await, "no_authorization");
    let before = bed.contents().await;
    // Whoever asks and whoever is signed in, a superuser too.
    for caller in [&stranger, &client, &bed.admin] {
        for (token, name) in
            [("null", "null_value"), ("''", "bad_jwt"), (&format!("'{}'", bob.refresh_token), "bad_jwt")]
        {
            for call in WITH_TOKEN {
                let result = caller.batch_execute(&format!("select {}", call.replace("TOKEN", token))).await;
                let refusal = refused(result, name);
                assert!(name != "null_value" || refusal.detail.contains("access_token"), "{call}: {refusal}");
            }
        }
    }
    assert_eq!(bed.contents().await, before);

    // A user who is gone has none either, also where sessions are not looked at.
    bed.set("workos_auth.check_sessions", "off").await;
    let unchecked = reader(&bed, &app, &session).await;
    bed.admin.batch_execute("delete from auth.users").await.unwrap();
    for client in [&client, &unchecked] {
        refused(client.batch_execute("select auth.get_user()").await, "session_not_found");
        refused(update_user(client, &session, &json!({ "a": 1 })).await, "session_not_found");
    }
    let own = mine(&session, "select * from MINE");
    refused(client.batch_execute(&own).await, "session_not_found");
    assert_eq!(lines(&unchecked, &own).await.unwrap().len(), 0);
}

/// What concerns the person of a token, which stands for TOKEN.
const WITH_TOKEN: [&str; 6] = [
    "auth.get_user(TOKEN)",
    "auth.update_user(TOKEN, '{\"a\": 1}')",
    "auth.my_sessions(TOKEN)",
    "auth.sign_out(TOKEN)",
    "auth.link_identity(TOKEN, 'org_acme')",
    "auth.unlink_identity(TOKEN, gen_random_uuid())",
];

#[tokio::test]
async fn a_token_is_of_its_person_whoever_is_signed_in() {
    let bed = Bed::shared("whoever").await;
    let app = bed.role("app", "").await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    // Nobody, the person, somebody else, and a superuser, whom row-level security does not bind.
    let of_bob = reader(&bed, &app, &bob).await;
    for client in [&bed.connect(&app).await, &reader(&bed, &app, &alice).await, &of_bob, &bed.admin] {
        let session = bed.sign_in(ALICE).await;
        let user = update_user(client, &session, &json!({ "by": session.session_id })).await.unwrap();
        assert_eq!((&user["id"], &user["user_metadata"]["by"]), (&json!(alice.user_id), &json!(session.session_id)));
        assert_eq!(
            stored(&bed, "users", "id", alice.user_id).await["raw_user_meta_data"]["by"],
            json!(session.session_id)
        );
        let expected = [format!("{}|false", alice.session_id), format!("{}|true", session.session_id)];
        assert_eq!(lines(client, &mine(&session, OWN)).await.unwrap(), expected);
        let link = format!("select url from auth.link_identity('{}', 'org_acme')", session.access_token);
        client.batch_execute(&link).await.unwrap();
        let flow = "select link_user_id, link_session_id from auth.flow_states";
        assert_eq!(lines(&bed.admin, flow).await.unwrap(), [format!("{}|{}", alice.user_id, session.session_id)]);
        let identity = "select id from auth.identities where provider_id = 'prof_alice'";
        let identity = text(&bed.admin, identity).await.unwrap().unwrap();
        let unlink =
            |session: &Session| format!("select auth.unlink_identity('{}', '{identity}')", session.access_token);
        refused(client.batch_execute(&unlink(&session)).await, "single_identity_not_deletable");
        refused(client.batch_execute(&unlink(&bob)).await, "identity_not_found");
        let out = format!("select auth.sign_out('{}', 'local')", session.access_token);
        assert_eq!(text(client, &out).await.unwrap().as_deref(), Some("1"));
        refused(client.batch_execute(&out).await, "session_not_found");
        bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
        is_good(&of_bob, &bob).await;
    }
    // The entry is about the token's person, and its own session did it, also where somebody else's is current.
    let audited = format!(
        "select distinct action, user_id = '{0}', actor_id = '{0}' from auth.audit_log_entries where action in ('logout', 'user_modified')",
        alice.user_id
    );
    assert_eq!(lines(&bed.admin, &audited).await.unwrap(), ["logout|t|t", "user_modified|t|t"]);
}

#[tokio::test]
async fn code_in_the_persons_transaction_cannot_change_their_account() {
    let bed = Bed::shared("planted").await;
    let (app, owner) = (bed.role("app", "").await, bed.role("owner", "").await);
    // Even with a superuser's rights the token cannot be read.
    for (function, owner) in [("spy", &*owner), ("superusers_spy", "postgres")] {
        let sql = PLANTED.replace("SPY", function).replace("OWNER", owner);
        bed.admin.batch_execute(&sql).await.unwrap();
    }
    let (client, session) = signed_in(&bed, &app).await;
    let before = bed.contents().await;
    client.batch_execute("insert into theirs.todos values (1)").await.unwrap();
    let outcomes = "select outcome, count(*) from theirs.outcomes group by 1 order by 1";
    assert_eq!(lines(&bed.admin, outcomes).await.unwrap(), ["WA501|10", "the person's|2"]);
    assert_eq!(bed.contents().await, before);
    is_good(&client, &session).await;
}

/// A table whose trigger has the person's session as the current one, and tries what it can with the token that it finds.
const PLANTED: &str = "
    create schema if not exists theirs;
    create table if not exists theirs.todos (id int);
    create table if not exists theirs.outcomes (outcome text);
    grant usage on schema theirs to public;
    grant insert on theirs.todos, theirs.outcomes to public;
    create function theirs.SPY() returns trigger language plpgsql security definer as $$
    declare
        token text;
        call text;
    begin
        begin
            token := current_setting('workos_auth.session_token');
        exception when insufficient_privilege then
            token := '';
        end;
        insert into theirs.outcomes values (case auth.get_user() ->> 'email' when 'alice@acme.com' then 'the person''s' end);
        foreach call in array array['link_identity(%L, ''org_acme'')', 'unlink_identity(%L, gen_random_uuid())',
            'update_user(%L, ''{\"planted\": 1}'')', 'sign_out(%L)', 'my_sessions(%L)'] loop
            begin
                execute format('select auth.' || call, token);
                insert into theirs.outcomes values (call);
            exception when others then
                insert into theirs.outcomes values (sqlstate);
            end;
        end loop;
        return new;
    end $$;
    alter function theirs.SPY() owner to OWNER;
    create trigger SPY before insert on theirs.todos for each row execute function theirs.SPY()";

#[tokio::test]
async fn get_user_of_a_token_is_of_its_person_and_signs_nobody_in() {
    let bed = Bed::shared("get_user_of").await;
    let app = bed.role("app", "").await;
    let (client, alice) = signed_in(&bed, &app).await;
    let bob = bed.sign_in(BOB).await;
    let of_alice = get_user(&client).await;
    assert_eq!(get_user_of(&client, &alice.access_token).await.unwrap(), of_alice);
    let of_bob = get_user_of(&client, &bob.access_token).await.unwrap();
    assert_eq!(of_bob["id"], json!(bob.user_id));
    assert_eq!(get_user(&client).await, of_alice, "the session on the connection is another's");

    let stranger = bed.connect(&app).await;
    assert_eq!(get_user_of(&stranger, &bob.access_token).await.unwrap(), of_bob);
    refused(stranger.batch_execute("select auth.get_user()").await, "no_authorization");
    refused(stranger.batch_execute("select auth.get_user(null)").await, "null_value");
    refused(get_user_of(&stranger, &bob.refresh_token).await, "bad_jwt");

    bed.admin.batch_execute(&format!("select auth.ban_user('{}')", bob.user_id)).await.unwrap();
    refused(get_user_of(&stranger, &bob.access_token).await, "session_not_found");
    refused(get_user_of(&client, &bob.access_token).await, "session_not_found");
    assert_eq!(get_user(&client).await, of_alice);
}

#[tokio::test]
async fn update_user_merges_as_supabase_does_and_touches_nothing_else() {
    let bed = Bed::shared("update_user").await;
    let app = bed.role("app", "").await;
    let (client, session) = signed_in(&bed, &app).await;
    let bob = bed.sign_in(BOB).await;
    let untouched = stored(&bed, "users", "id", bob.user_id).await;
    let before = stored(&bed, "users", "id", session.user_id).await;

    let changes = json!({ "theme": "dark", "größe": 1.50, "nested": { "a": null }, "name": null, "app_metadata": { "admin": true }, "role": "postgres" });
    let user = update_user(&client, &session, &changes).await.unwrap();
    let mut expected = before["raw_user_meta_data"].clone();
    expected.as_object_mut().unwrap().remove("name");
    for name in ["theme", "größe", "nested", "app_metadata", "role"] {
        expected[name] = changes[name].clone();
    }
    assert_eq!(user["user_metadata"], expected);
    assert_eq!(user, get_user(&client).await);
    assert_eq!((&user["app_metadata"], &user["role"]), (&before["raw_app_meta_data"], &json!("authenticated")));
    let mut after = stored(&bed, "users", "id", session.user_id).await;
    assert_ne!(after["updated_at"], before["updated_at"]);
    assert_eq!(after["raw_user_meta_data"], expected);
    for name in ["updated_at", "raw_user_meta_data"] {
        after[name] = before[name].clone();
    }
    assert_eq!(after, before, "no other column");
    assert_eq!(stored(&bed, "users", "id", bob.user_id).await, untouched);

    // Nothing of the values stands in the audit log.
    let audited = "select user_id, session_id, organization_id, connection_id, actor, payload from auth.audit_log_entries where action = 'user_modified'";
    let expected =
        format!("{}|{}|org_acme|conn_acme|{}|{{}}", session.user_id, session.session_id, bed.named("DATABASE_app"));
    assert_eq!(lines(&bed.admin, audited).await.unwrap(), [expected]);

    // The next token carries it, under user_metadata and nowhere else; a sign-in keeps what the profile does not say.
    let next = bed.sign_in(ALICE).await;
    assert_eq!(next.claims["user_metadata"]["theme"], "dark");
    assert_eq!(next.claims["user_metadata"]["name"], "Alice Admin");
    assert_eq!((&next.claims["role"], &next.claims["theme"]), (&json!("authenticated"), &Value::Null));
    assert_eq!(next.claims["app_metadata"], before["raw_app_meta_data"]);

    // Rolled back: nothing.
    let before = bed.contents().await;
    client.batch_execute("begin").await.unwrap();
    update_user(&client, &session, &json!({ "theme": "light" })).await.unwrap();
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(bed.contents().await, before);
}

#[tokio::test]
async fn what_update_user_does_not_take() {
    let bed = Bed::shared("not_taken").await;
    let app = bed.role("app", "").await;
    let (client, session) = signed_in(&bed, &app).await;
    let before = bed.contents().await;
    let call = |metadata: &str| format!("select auth.update_user('{}', {metadata})", session.access_token);
    let refusal = refused(client.batch_execute(&call("null")).await, "null_value");
    assert!(refusal.detail.contains("user_metadata"), "{refusal}");
    for nonsense in ["null", "[]", "\"text\"", "1", "true", "[{\"a\": 1}]"] {
        let refusal = refused(client.batch_execute(&call(&format!("'{nonsense}'"))).await, "validation_failed");
        assert!(refusal.detail.contains("user_metadata"), "{refusal}");
    }
    // Deeper than it can be read again, in a token and by the parser at all; numbers longer than anything.
    for levels in [120, 128, 5_000] {
        let deep = format!("('{{\"a\": ' || repeat('[', {levels}) || repeat(']', {levels}) || '}}')::jsonb");
        refused(client.batch_execute(&call(&deep)).await, "validation_failed");
    }
    let reserved = r#"'{"a": {"$serde_json::private::Number": "x"}}'"#;
    // A name that a parser keeps for itself is a name.
    client.batch_execute(&format!("begin; {}; rollback", call(reserved))).await.unwrap();
    for large in [
        "jsonb_build_object('a', repeat('x', 4096))",
        "jsonb_build_object('a', repeat('ü', 2048))",
        "'{\"a\": 1e100000}'",
        "jsonb_build_object('a', repeat('x', 50000000))",
    ] {
        let refusal = refused(client.batch_execute(&call(large)).await, "user_metadata_too_large");
        assert!(refusal.detail.contains("4096") && !refusal.detail.contains("xxx"), "{refusal}");
    }
    assert_eq!(bed.contents().await, before);

    // All in all, not each time.
    update_user(&client, &session, &json!({ "a": "x".repeat(3000) })).await.unwrap();
    refused(update_user(&client, &session, &json!({ "b": "x".repeat(1000) })).await, "user_metadata_too_large");
    // What others made too large may shrink.
    bed.admin
        .batch_execute("update auth.users set raw_user_meta_data = jsonb_build_object('a', repeat('x', 9000), 'b', 1)")
        .await
        .unwrap();
    update_user(&client, &session, &json!({ "b": null })).await.unwrap();
    refused(update_user(&client, &session, &json!({ "c": 1 })).await, "user_metadata_too_large");
    update_user(&client, &session, &json!({ "a": null })).await.unwrap();

    // Nor can a person lock themselves out.
    let length = session.access_token.len();
    bed.set("workos_auth.max_token_size", &(length + 200).to_string()).await;
    let limited = reader(&bed, &app, &session).await;
    let refusal = refused(update_user(&limited, &session, &json!({ "a": "x".repeat(500) })).await, "token_too_large");
    assert!(refusal.hint.contains("user_metadata"), "{refusal}");
    update_user(&limited, &session, &json!({ "a": "x".repeat(100) })).await.unwrap();
    let backend = bed.backend().await;
    sign_in(&backend, ALICE).await;
}

#[tokio::test]
async fn two_changes_at_once_are_both_kept() {
    let bed = Bed::shared("at_once").await;
    let app = bed.role("app", "").await;
    let (one, session) = signed_in(&bed, &app).await;
    let other = reader(&bed, &app, &session).await;
    for level in ["read committed", "repeatable read", "serializable"] {
        case!(level);
        bed.admin.batch_execute("update auth.users set raw_user_meta_data = '{}'").await.unwrap();
        other.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
        one.batch_execute("begin").await.unwrap();
        update_user(&one, &session, &json!({ "one": 1 })).await.unwrap();
        let changes = json!({ "other": 2 });
        let (outcome, ()) = tokio::join!(update_user(&other, &session, &changes), async {
            bed.until_waiting(1).await;
            one.batch_execute("commit").await.unwrap();
        });
        match level {
            "read committed" => assert_eq!(outcome.unwrap()["user_metadata"], json!({ "one": 1, "other": 2 })),
            _ => drop(refused_as(outcome, "40001")),
        }
        assert_eq!(get_user(&one).await["user_metadata"]["one"], 1);
    }
}

const OWN: &str = "select id::text, is_current::text from MINE order by is_current, id";

#[tokio::test]
async fn people_see_their_own_sessions_and_nobody_elses() {
    let bed = Bed::shared("mine").await;
    let app = bed.role("app", "").await;
    let backend = bed.backend().await;
    let pending = start(&backend, ALICE).await;
    let sql = "select session_id from auth.exchange_code($1, $2, $3, '2001:db8::7', $4)";
    let agent = "Mözilla/5.0 (日本)";
    let row = backend.query_one(sql, &[&pending.code, &pending.verifier, &pending.state, &agent]).await.unwrap();
    let first: Uuid = row.get(0);
    let (client, session) = signed_in(&bed, &app).await;
    let gina = bed.sign_in(GINA).await;
    let anna = bed.sign_in(ANNA).await;

    let own = [format!("{first}|false"), format!("{}|true", session.session_id)];
    let of_alice = mine(&session, OWN);
    assert_eq!(lines(&client, &of_alice).await.unwrap(), own);
    let sql = mine(
        &session,
        &format!(
            "select ip, user_agent, organization_id, connection_id, refreshed_at, created_at <= now() and not_after > now() + '6 days' from MINE where id = '{first}'"
        ),
    );
    assert_eq!(lines(&client, &sql).await.unwrap(), [format!("2001:db8::7|{agent}|org_acme|conn_acme|NULL|t")]);
    // Of whom the token is: where somebody else is signed in, where nobody is, and where nothing may be written.
    set_session(&client, &gina.access_token, false).await.unwrap();
    assert_eq!(lines(&client, &mine(&gina, OWN)).await.unwrap(), [format!("{}|true", gina.session_id)]);
    assert_eq!(lines(&client, &of_alice).await.unwrap(), own);
    client.batch_execute("select auth.clear_session()").await.unwrap();
    assert_eq!(lines(&client, &of_alice).await.unwrap(), own);
    client.batch_execute("begin read only").await.unwrap();
    assert_eq!(lines(&client, &mine(&anna, OWN)).await.unwrap(), [format!("{}|true", anna.session_id)]);
    client.batch_execute("commit").await.unwrap();
    // One query may ask for several people: it makes nobody's session the current one.
    let both =
        format!("select id::text from MINE union all select id::text from auth.my_sessions('{}')", gina.access_token);
    assert_eq!(lines(&client, &mine(&session, &both)).await.unwrap().len(), 3);

    // The table itself stays shut, and what is over is not shown.
    refused_as(client.batch_execute("table auth.sessions").await, "42501");
    bed.admin.execute("update auth.sessions set not_after = now() where id = $1", &[&first]).await.unwrap();
    assert_eq!(lines(&client, &of_alice).await.unwrap(), own[1..]);
    client.execute("select auth.sign_out($1, 'local')", &[&session.access_token]).await.unwrap();
    refused(client.batch_execute(&of_alice).await, "session_not_found");
}

#[tokio::test]
async fn no_clause_of_a_query_sees_more_of_the_sessions() {
    let bed = Bed::shared("leaky").await;
    let app = bed.role("app", "").await;
    bed.admin.batch_execute(&format!("grant create on schema public to {app}")).await.unwrap();
    let mut others = vec![bed.sign_in(ANNA).await, bed.sign_in(BOB).await];
    let (client, session) = signed_in(&bed, &app).await;
    others.push(bed.sign_in(GINA).await);
    bed.admin.batch_execute("analyze auth.sessions; create table seen (id uuid)").await.unwrap();
    bed.admin.batch_execute(&format!("grant select, insert on seen to {app}")).await.unwrap();
    client
        .batch_execute(
            "create function leak(id uuid) returns boolean volatile cost 0.0000001 language plpgsql as $$ begin insert into seen values ($1); return true; end $$;
             create function leak(a uuid, b uuid) returns boolean volatile cost 0.0000001 language plpgsql as $$ begin insert into seen values ($1); return true; end $$;
             create operator === (procedure = leak, leftarg = uuid, rightarg = uuid);
             create function mine(token text) returns table (id uuid) stable language sql as $$ select id from auth.my_sessions(token) $$",
        )
        .await
        .unwrap();
    for query in [
        "select id from MINE where leak(id)",
        "select id from MINE where id === id",
        "select id from mine('TOKEN') where leak(id)",
        "select m.id from MINE m join generate_series(1, 1) on leak(m.id)",
        "select m.id from MINE m, lateral (select leak(m.id)) l",
        "select id from MINE order by leak(id)",
        "select id from MINE group by id having leak(id)",
        "select case when leak(id) then id end from MINE",
        "prepare p as select id from MINE where leak(id) or id = $1; execute p(null)",
    ] {
        for plan in [
            "",
            "set enable_nestloop = off; set enable_indexscan = off; set enable_bitmapscan = off",
            "set enable_seqscan = off",
        ] {
            client.batch_execute(&format!("reset all; {plan}")).await.unwrap();
            let query = mine(&session, query).replace("TOKEN", &session.access_token);
            let rows = lines(&client, &query).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
            assert_eq!(rows, [session.session_id.to_string()], "{query}");
            let seen = lines(&client, "select distinct id from seen").await.unwrap();
            assert!(seen.is_empty() || seen == rows, "{query}: {seen:?}");
            client.batch_execute("deallocate all").await.unwrap();
        }
    }
    let seen = text(&client, "select count(*) from seen").await.unwrap();
    assert_ne!(seen.as_deref(), Some("0"), "nothing leaks, and nothing was tried");
    // An error tells nothing of a row that is not one's own.
    let refusal = refused_as(client.batch_execute(&mine(&session, "select id::text::int from MINE")).await, "22P02");
    for other in &others {
        assert!(!refusal.to_string().contains(&other.session_id.to_string()), "{refusal}");
    }
}

/// What a query on the sessions costs and removes says nothing of rows that are another's: the function reads the person's alone.
#[tokio::test]
async fn no_plan_tells_how_many_sessions_others_have() {
    let bed = Bed::shared("counted").await;
    let app = bed.role("app", "").await;
    let (client, session) = signed_in(&bed, &app).await;
    let plans = async || {
        let mut all = Vec::new();
        for query in [
            "select * from MINE",
            "select id from MINE where user_agent || id like 'a%'",
            "select count(*) from MINE where host(ip) <> '' or id > 'ffffffff-0000-0000-0000-000000000000'",
        ] {
            for plan in ["off", "on"] {
                client
                    .batch_execute(&format!("set enable_seqscan = {plan}; set enable_indexscan = {plan}"))
                    .await
                    .unwrap();
                let explain =
                    format!("explain (analyze, costs, timing off, summary off, buffers off) {}", mine(&session, query));
                all.extend(lines(&client, &explain).await.unwrap());
            }
        }
        all
    };
    let before = plans().await;
    for _ in 0..3 {
        bed.sign_in(BOB).await;
    }
    bed.admin.batch_execute("analyze auth.sessions").await.unwrap();
    assert_eq!(plans().await, before);
    bed.sign_in(ALICE).await;
    assert_ne!(plans().await, before, "nothing was counted");
}

#[tokio::test]
async fn nobody_writes_into_what_the_sessions_are_read_from() {
    let bed = Bed::shared("written").await;
    let writer = bed.role("writer", "in role pg_read_all_data, pg_write_all_data").await;
    let (client, session) = signed_in(&bed, &writer).await;
    assert_eq!(lines(&client, &mine(&session, OWN)).await.unwrap().len(), 1);
    let before = bed.contents().await;
    // The view that stood here is gone.
    refused_as(client.batch_execute("select * from auth.my_sessions").await, "42P01");
    for write in ["update auth.sessions set not_after = 'infinity'", "delete from auth.sessions"] {
        assert_eq!(client.execute(write, &[]).await.unwrap(), 0, "{write}");
    }
    assert_eq!(bed.contents().await, before);
}

#[tokio::test]
async fn a_standby_shows_people_their_account() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, "shown").await;
    let app = bed.role("app", "").await;
    let (at_home, session) = signed_in(&bed, &app).await;
    bed.sign_in(BOB).await;
    let standby = primary.start_standby(&["workos_auth.root_key_file = ''"]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let client = standby.connect("shown", &app).await.unwrap();
    set_session(&client, &session.access_token, false).await.unwrap();
    for query in ["select auth.get_user()", &mine(&session, "select * from MINE")] {
        case!(query);
        let there = lines(&client, query).await.unwrap();
        assert_eq!((there.len(), &there), (1, &lines(&at_home, query).await.unwrap()));
    }
    refused(update_user(&client, &session, &json!({ "a": 1 })).await, "read_only");
    client.batch_execute("begin isolation level repeatable read; select auth.get_user()").await.unwrap();
    bed.admin.batch_execute(&format!("select auth.ban_user('{}')", session.user_id)).await.unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    refused(client.batch_execute("select auth.get_user()").await, "session_not_found");
}

#[tokio::test]
async fn a_sign_out_is_as_wide_as_it_says_and_undone_with_its_transaction() {
    let bed = Bed::shared("scopes").await;
    let app = bed.role("app", "").await;
    let others = bed.sign_in(ANNA).await;
    let anna = reader(&bed, &app, &others).await;
    for (scope, lives) in [("global", [false, false]), ("local", [false, true]), ("others", [true, false])] {
        let (one, session) = signed_in(&bed, &app).await;
        let sign_out = format!("select auth.sign_out('{}', '{scope}')", session.access_token);
        let (two, _) = signed_in(&bed, &app).await;
        let alive = async |client: &Client| client.batch_execute("select auth.uid()").await.is_ok();
        for undo in ["rollback", "rollback to s; commit"] {
            one.batch_execute(&format!("begin; savepoint s; {sign_out}")).await.unwrap();
            assert!(alive(&two).await, "{scope}: what is not committed is not there");
            one.batch_execute(undo).await.unwrap();
            assert!(alive(&one).await && alive(&two).await, "{scope}: {undo}");
        }
        // In the same transaction, and in another backend once it is committed.
        one.batch_execute(&format!("begin; {sign_out}; savepoint s")).await.unwrap();
        assert_eq!(alive(&one).await, lives[0], "{scope}");
        one.batch_execute("rollback to s; commit").await.unwrap();
        assert_eq!([alive(&one).await, alive(&two).await], lives, "{scope}");
        assert!(alive(&anna).await, "{scope}");
        bed.admin.batch_execute("delete from auth.sessions where email = 'alice@acme.com'").await.unwrap();
    }
    // Without scope, as in Supabase: everywhere.
    let (one, session) = signed_in(&bed, &app).await;
    let pending = start(&bed.admin, ALICE).await;
    exchange(&bed.admin, &pending).await.unwrap();
    assert_eq!(
        text(&one, &format!("select auth.sign_out('{}')", session.access_token)).await.unwrap().as_deref(),
        Some("2")
    );
}

#[tokio::test]
async fn a_token_that_is_older_than_the_persons_rights_shows_the_account_and_signs_out() {
    let bed = Bed::shared("own_stale").await;
    let app = bed.backend().await;
    let (alice, other) = (bed.sign_in(ALICE).await, bed.sign_in(ALICE).await);
    bed.admin.batch_execute("update auth.sessions set claims_version = claims_version + 1").await.unwrap();
    let token = &alice.access_token;
    let user: Value = app.query_one("select auth.get_user($1)", &[token]).await.unwrap().get(0);
    assert_eq!(user["email"], ALICE.email);
    update_user(&app, &alice, &json!({ "a": 1 })).await.unwrap();
    // It acts as nobody, and neither links nor unlinks.
    for call in [
        "auth.verify_token(TOKEN)",
        "auth.set_session(TOKEN)",
        "auth.my_sessions(TOKEN)",
        "auth.link_identity(TOKEN, 'org_acme')",
        "auth.unlink_identity(TOKEN, gen_random_uuid())",
    ] {
        let sql = format!("select {}", call.replace("TOKEN", &format!("'{token}'")));
        refused(app.batch_execute(&sql).await, "session_stale");
    }
    let ended: i64 = app.query_one("select auth.sign_out($1, 'local')", &[token]).await.unwrap().get(0);
    assert_eq!(ended, 1);
    for sql in ["select auth.sign_out($1)", "select auth.get_user($1)"] {
        refused(app.query_one(sql, &[token]).await, "session_not_found");
    }
    let ended: i64 = app.query_one("select auth.sign_out($1)", &[&other.access_token]).await.unwrap().get(0);
    assert_eq!(ended, 1);
}

#[tokio::test]
async fn an_expired_token_signs_out_for_as_long_as_a_session_lasts_and_does_nothing_else() {
    let bed = Bed::shared("own_expired").await;
    bed.set("workos_auth.access_token_ttl", "1s").await;
    let app = bed.backend().await;
    let (alice, other) = (sign_in(&app, ALICE).await, sign_in(&app, ALICE).await);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let token = &alice.access_token;
    for sql in ["select auth.get_user($1)", "select auth.verify_token($1)", "select auth.update_user($1, '{}')"] {
        refused(app.query_one(sql, &[token]).await, "bad_jwt_expired");
    }
    let ended: i64 = app.query_one("select auth.sign_out($1, 'local')", &[token]).await.unwrap().get(0);
    assert_eq!(ended, 1);
    // The session is gone, and its token good for nothing.
    refused(app.query_one("select auth.sign_out($1)", &[token]).await, "session_not_found");
    // Longer ago than a session lasts, a token says nothing of one.
    bed.set("workos_auth.session_ttl", "1s").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let later = bed.backend().await;
    refused(later.query_one("select auth.sign_out($1)", &[&other.access_token]).await, "bad_jwt_expired");
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
}
