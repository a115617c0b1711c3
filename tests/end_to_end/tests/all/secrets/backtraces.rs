//! No error shows how the library was called, whatever the server's environment asks Rust for.

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, Bed, exchange, start};
use workos_end_to_end::sql::{Refusal, refusal, shell};
use workos_testbed::Cluster;

/// What stands in a backtrace: a numbered frame, and names that no message of ours or of Postgres's holds.
fn shows_a_backtrace(text: &str) -> bool {
    let is_frame = |line: &str| {
        let (number, rest) = line.trim_start().split_once(": ").unwrap_or(("", ""));
        matches!(number.len(), 1..=3) && number.bytes().all(|byte| byte.is_ascii_digit()) && !rest.is_empty()
    };
    text.to_ascii_lowercase().contains("backtrace") || text.contains("pgrx") || text.lines().any(is_frame)
}

async fn each_error(bed: &Bed<'_>, app: &Client) -> Vec<(&'static str, Refusal)> {
    bed.admin
        .batch_execute(
            "create table notes (owner uuid references auth.users (id));
             create function refuse() returns trigger language plpgsql as $$ begin raise 'no' using detail = 'Not this one.'; end $$;
             create role errors_hooker; create schema app authorization errors_hooker; set role errors_hooker;
             create function app.fails(jsonb) returns jsonb language plpgsql as $$ begin raise 'no' using errcode = 'ZZ001'; end $$;
             create function app.passes(jsonb) returns jsonb language plpgsql as $$ begin raise sqlstate '40001'; end $$;
             reset role",
        )
        .await
        .unwrap();
    let mut errors = Vec::new();
    for (what, before, statement, after) in [
        ("one of ours", "", "select auth.exchange_code('x', 'y', 'z')", ""),
        (
            "a bad token",
            "",
            "set workos_auth.session_token = 'x.y.z'; select auth.uid()",
            "reset workos_auth.session_token",
        ),
        (
            "a foreign key's",
            "insert into notes select id from auth.users",
            "select auth.delete_user(id) from auth.users",
            "delete from notes",
        ),
        (
            "a trigger's",
            "create trigger refuse before insert on auth.users for each row execute function refuse()",
            "select auth.create_user('new@acme.test')",
            "drop trigger refuse on auth.users",
        ),
        ("a check of Postgres's", "", "select auth.create_session(id, ttl => '-1 day') from auth.users", ""),
        (
            "a time limit's",
            "set statement_timeout = '1ms'",
            "select auth.create_user(n || '@acme.test') from generate_series(1, 1000) n",
            "reset statement_timeout",
        ),
        ("a cast's of an argument", "", "select auth.create_user(user_id => 'x', email => 'y')", ""),
    ] {
        bed.admin.batch_execute(before).await.unwrap();
        let result = bed.admin.batch_execute(statement).await;
        assert!(result.is_err(), "{what}");
        errors.push((what, refusal(result)));
        bed.admin.batch_execute(after).await.unwrap();
    }
    for (what, function) in [("a hook's", "app.fails(jsonb)"), ("a hook's that is handed on", "app.passes(jsonb)")] {
        let sql = "insert into auth.hooks (event, function) values ('token', $1) on conflict (event) do update set function = excluded.function";
        bed.admin.execute(sql, &[&function]).await.unwrap();
        errors.push((what, refusal(exchange(app, &start(app, ALICE).await).await)));
    }
    bed.admin.batch_execute("delete from auth.hooks").await.unwrap();
    errors
}

#[tokio::test]
async fn no_error_and_no_line_of_the_log_shows_one() {
    for (variable, value, preload) in [
        ("RUST_BACKTRACE", "1", ""),
        ("RUST_BACKTRACE", "full", "shared_preload_libraries = 'workos_auth'"),
        ("RUST_LIB_BACKTRACE", "1", ""),
        ("RUST_LIB_BACKTRACE", "full", "session_preload_libraries = 'workos_auth'"),
    ] {
        let case = format!("{variable}={value} {preload}");
        let cluster = Cluster::start_in(&[(variable, value)], &[preload]).unwrap();
        let bed = Bed::new(&cluster, "errors").await;
        bed.sign_in(ALICE).await;
        let app = bed.backend().await;
        for (what, error) in each_error(&bed, &app).await {
            assert!(!shows_a_backtrace(&error.to_string()), "{case}: {what}: {error}");
        }
        let log = cluster.log().unwrap();
        let shown = log.lines().find(|line| shows_a_backtrace(line));
        assert_eq!(shown, None, "{case}");

        // What the server starts is asked for what it was before.
        let file = cluster.data_dir().join("environment");
        shell(&bed.admin, &format!("env > {}", file.display())).await;
        let environment = std::fs::read_to_string(&file).unwrap();
        let of_rust: Vec<&str> = environment.lines().filter(|line| line.starts_with("RUST")).collect();
        assert_eq!(of_rust, [format!("{variable}={value}")], "{case}");
    }
}
