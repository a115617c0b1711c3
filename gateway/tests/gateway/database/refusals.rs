//! What the database refuses, as the answer of a request: its SQLSTATE says what it is, and its words are for the log.

use reqwest::Response;
use serde_json::{Value, json};
use workos_end_to_end::ALICE;

use crate::common::outage::{end_backends, is_ready, send};
use crate::common::{self, Gateway, eventually, ok};

/// A request that writes, whose errors are not said in other words, as those of `/token` are.
async fn rename(gateway: &Gateway, session: &Value) -> Response {
    let request = gateway.http.put(gateway.at("/user")).bearer_auth(session["access_token"].as_str().unwrap());
    send(request.json(&json!({ "data": { "nickname": "al" } }))).await
}

#[tokio::test]
async fn what_postgres_refuses_is_answered_as_error_codes_says() {
    let gateway = Gateway::start("trouble_codes", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let admin = &gateway.bed.admin;
    let answer = async || {
        let answer = rename(&gateway, &session).await;
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        // Postgres's own words can hold values: they are for the log.
        assert!(!text.contains("hunter2") && !text.contains("canceling"), "{text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        (status, body["error_code"].as_str().unwrap().to_owned(), body["msg"].as_str().unwrap().to_owned())
    };
    let listed = async |sqlstate: &str| {
        let sql = "select http_status, name, meaning from auth.error_codes
            where sqlstate in ($1, left($1, 2)) order by length(sqlstate) desc limit 1";
        let row = admin.query_opt(sql, &[&sqlstate]).await.unwrap();
        let row = row.map(|row| (row.get::<_, i32>(0), row.get::<_, String>(1), row.get::<_, String>(2)));
        row.map(|(status, name, meaning)| (u16::try_from(status).unwrap(), name, meaning))
    };
    let unlisted = "Unexpected failure, please check server logs for more information".to_owned();
    for (sqlstate, status) in [
        ("22012", 400),
        ("22P02", 400),
        ("08006", 503),
        ("40P01", 503),
        ("40001", 503),
        ("53100", 503),
        ("55P03", 503),
        ("57014", 503),
        ("58030", 503),
        ("42501", 403),
        ("XX000", 500),
        ("55006", 500),
        ("42P01", 500),
        ("P0001", 500),
    ] {
        let sql = format!(
            "create or replace function raises() returns trigger language plpgsql as $$
                 begin raise exception 'hunter2' using errcode = '{sqlstate}', detail = 'hunter2'; end $$;
             drop trigger if exists raises on auth.users;
             create trigger raises before update on auth.users for each row execute function raises()"
        );
        admin.batch_execute(&sql).await.unwrap();
        let found = answer().await;
        assert_eq!(found.0, status, "{sqlstate}: {found:?}");
        let expected = listed(sqlstate).await.unwrap_or((500, "unexpected_failure".to_owned(), unlisted.clone()));
        assert_eq!(found, expected, "{sqlstate}");
    }
    admin.batch_execute("drop trigger raises on auth.users").await.unwrap();
    // Two that Postgres really raises: limits that an administrator sets.
    let holder = gateway.bed.superuser().await;
    for (setting, sqlstate) in [("lock_timeout", "55P03"), ("statement_timeout", "57014")] {
        admin.batch_execute(&format!("alter role {} set {setting} = '300ms'", gateway.role)).await.unwrap();
        end_backends(&gateway).await;
        eventually("it is ready", async || is_ready(&gateway).await).await;
        holder.batch_execute("begin; lock table auth.users").await.unwrap();
        assert_eq!(answer().await, listed(sqlstate).await.unwrap(), "{setting}");
        holder.batch_execute("rollback").await.unwrap();
        admin.batch_execute(&format!("alter role {} reset {setting}", gateway.role)).await.unwrap();
    }
    ok(rename(&gateway, &session).await).await;
}

#[tokio::test]
async fn what_a_refusal_is_its_sqlstate_alone_says() {
    let gateway = Gateway::start("trouble_words", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let admin = &gateway.bed.admin;
    // The words of every one are those of another.
    let rows = admin.query("select sqlstate, name, http_status, meaning from auth.error_codes", &[]).await.unwrap();
    let rows = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)));
    // The rest are classes.
    let rows: Vec<(String, String, i32, String)> =
        rows.filter(|(sqlstate, ..): &(String, _, _, _)| sqlstate.len() == 5).collect();
    let is_one = |sqlstate: &str| rows.iter().filter(|row| row.0 == sqlstate).count() == 1;
    for (sqlstate, name, status, meaning) in rows.iter().filter(|row| is_one(&row.0)) {
        let other = &rows.iter().find(|row| row.0 != *sqlstate).unwrap().3;
        for words in [meaning, other] {
            let sql = format!(
                "create or replace function raises() returns trigger language plpgsql as $$
                     begin raise exception using errcode = '{sqlstate}', message = {}; end $$;
                 drop trigger if exists raises on auth.users;
                 create trigger raises before update on auth.users for each row execute function raises()",
                format_args!("'{}'", words.replace('\'', "''"))
            );
            admin.batch_execute(&sql).await.unwrap();
            let (found, code, message) = common::refused(rename(&gateway, &session).await).await;
            let expected = if name.starts_with("bad_jwt_") { "bad_jwt" } else { name };
            assert_eq!((i32::from(found), code.as_str()), (*status, expected), "{sqlstate} {words}");
            assert_eq!(message, *meaning, "{sqlstate} {words}");
        }
    }
    // Two failures of one SQLSTATE could not be told apart.
    for (sqlstate, ..) in &rows {
        assert!(is_one(sqlstate), "{sqlstate} stands twice in auth.error_codes");
    }
    admin.batch_execute("drop trigger raises on auth.users").await.unwrap();
    ok(rename(&gateway, &session).await).await;
}
