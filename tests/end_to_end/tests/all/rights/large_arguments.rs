//! Nothing that everyone may call, and nothing that a backend may call to sign people in, costs more than a bounded time for arguments of
//! a megabyte, whatever they hold.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, Bed, sign_in};
use workos_end_to_end::sql::{lines, refusal};

/// What one call may take. Of the machine's own tests several run at once.
const BOUND: Duration = Duration::from_secs(2);

/// A megabyte, as SQL of type `text`.
const TEXTS: [(&str, &str); 19] = [
    ("letters", "repeat('a', 1000000)"),
    ("blanks", "repeat(' ', 1000000)"),
    ("dots", "repeat('.', 1000000)"),
    ("letters between dots", "repeat('a.', 500000)"),
    ("three parts", "repeat('a', 300000) || '.' || repeat('b', 600000) || '.' || repeat('c', 86)"),
    ("at signs", "repeat('@', 1000000)"),
    ("addresses", "repeat('a@b.', 250000)"),
    ("stars", "repeat('*', 1000000)"),
    ("percent signs", "repeat('%', 1000000)"),
    ("encoded percent signs", "'https://app.example.com/' || repeat('%25', 333333)"),
    ("a URL of dots", "'https://app.example.com/' || repeat('../', 333333)"),
    ("a URL of parameters", "'https://app.example.com/?' || repeat('a=b&', 250000)"),
    ("slashes", "repeat('/', 1000000)"),
    ("base64", "repeat('eyJhbGciOiJFUzI1NiJ9', 50000)"),
    ("open objects", "repeat('{\"a\":', 200000)"),
    ("open lists", "repeat('[', 1000000)"),
    ("quotes", "repeat('\"', 1000000)"),
    ("marks", "repeat(U&'\\0301', 500000)"),
    ("four bytes each", "repeat(U&'\\+01F600', 250000)"),
];

/// About a megabyte, as SQL of type `jsonb`.
const DOCUMENTS: [(&str, &str); 14] = [
    ("a long text", "jsonb_build_object('a', repeat('a', 1000000))"),
    ("a long name", "jsonb_build_object(repeat('a', 1000000), 1)"),
    ("a long list", "jsonb_build_object('a', (select jsonb_agg(i) from generate_series(1, 100000) i))"),
    ("many members", "(select jsonb_object_agg('m' || i, i) from generate_series(1, 100000) i)"),
    (
        "many members within",
        "jsonb_build_object('a', (select jsonb_object_agg('m' || i, i) from generate_series(1, 100000) i))",
    ),
    ("deep lists", "(repeat('[', 3000) || repeat(']', 3000))::jsonb"),
    ("deep objects", "(repeat('{\"a\":', 3000) || '1' || repeat('}', 3000))::jsonb"),
    (
        "wide and deep",
        "(select jsonb_object_agg('m' || i, (repeat('[', 100) || repeat(']', 100))::jsonb) from generate_series(1, 5000) i)",
    ),
    ("a long number", "('{\"a\":' || repeat('9', 131072) || '}')::jsonb"),
    ("a number longer than its text", "'{\"a\": 1e131071}'::jsonb"),
    (
        "numbers longer than their text",
        "(select jsonb_object_agg('m' || i, '1e131071'::jsonb) from generate_series(1, 50000) i)",
    ),
    ("a list of such numbers", "(select jsonb_agg('-1e-16383'::jsonb) from generate_series(1, 100000) i)"),
    ("control characters", "jsonb_build_object('a', repeat(chr(1), 1000000))"),
    ("a long list of texts", "(select jsonb_agg(repeat('%', 10)) from generate_series(1, 90000) i)"),
];

/// A function and its arguments: name and type.
struct Function {
    name: String,
    arguments: Vec<(String, String)>,
}

/// What the bundle gives EXECUTE on.
async fn functions(bed: &Bed<'_>, bundle: &str) -> Vec<Function> {
    let sql = format!(
        "select p.oid::regproc::text, coalesce((
             select string_agg(a.name || ' ' || format_type(a.type, null), ',' order by a.at)
             from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames,
                 coalesce(p.proargmodes, array_fill('i'::\"char\", array[p.pronargs]))) with ordinality a (type, name, mode, at)
             where a.mode = 'i'), '')
         from auth.rights() r, to_regprocedure(substr(r.object, 10)) f join pg_proc p on p.oid = f
         where r.bundle = '{bundle}' and r.object like 'FUNCTION %'"
    );
    let found = lines(&bed.admin, &sql).await.unwrap();
    let function = |line: &String| {
        let (name, arguments) = line.split_once('|').unwrap();
        let pairs = arguments.split(',').filter_map(|pair| pair.split_once(' '));
        Function {
            name: name.to_owned(),
            arguments: pairs.map(|(name, of)| (name.to_owned(), of.to_owned())).collect(),
        }
    };
    found.iter().map(function).collect()
}

/// Runs the call; it may fail, but not by the server's limits, and in time.
async fn call(client: &Client, what: &str, sql: &str) -> usize {
    let began = Instant::now();
    let result = client.batch_execute(&format!("begin; {sql}")).await;
    let took = began.elapsed();
    assert!(!client.is_closed(), "{what}: the connection is gone");
    client.batch_execute("rollback").await.unwrap();
    if result.is_err() {
        let refusal = refusal(result);
        assert!(!matches!(&refusal.sqlstate[..2], "57" | "53" | "54" | "XX"), "{what}: {refusal}");
        // The context is the caller's own statement.
        let said = [&refusal.message, &refusal.detail, &refusal.hint].map(String::len);
        assert!(said.iter().sum::<usize>() < 4_000, "{what}: the error repeats what was sent");
    }
    assert!(took < BOUND, "{what} took {took:?}");
    1
}

async fn all_calls(bed: &Bed<'_>, client: &Client, bundle: &str, token: &str) {
    client.batch_execute(&format!("set statement_timeout = '{}s'", BOUND.as_secs() * 5)).await.unwrap();
    // Made before, so that making them costs the calls nothing.
    let mut make = String::from(
        "create temp table texts (name text, value text); create temp table documents (name text, value jsonb);",
    );
    for (name, sql) in TEXTS {
        make.push_str(&format!("insert into texts values ('{name}', {sql});"));
    }
    for (name, sql) in DOCUMENTS {
        make.push_str(&format!("insert into documents values ('{name}', {sql});"));
    }
    client.batch_execute(&make).await.unwrap();
    let functions = functions(bed, bundle).await;
    assert!(functions.len() > 4, "{bundle}");
    let mut calls = 0;
    for Function { name, arguments } in &functions {
        for (at, (argument, of)) in arguments.iter().enumerate() {
            let (table, names): (&str, Vec<&str>) = match of.as_str() {
                "text" => ("texts", TEXTS.iter().map(|(name, _)| *name).collect()),
                "jsonb" => ("documents", DOCUMENTS.iter().map(|(name, _)| *name).collect()),
                _ => continue,
            };
            for content in names {
                let given: Vec<String> = arguments
                    .iter()
                    .enumerate()
                    .map(|(other, (name, of))| match () {
                        () if other == at => format!("{name} => v.value"),
                        () => format!("{name} => {}", good(name, of, token)),
                    })
                    .collect();
                let sql = format!("select from {table} v, {name}({}) where v.name = '{content}'", given.join(", "));
                calls += call(client, &format!("{name}, {argument} of {content}"), &sql).await;
            }
        }
    }
    assert!(calls > 50, "{bundle}: only {calls} calls");
}

/// A value that lets the others be looked at.
fn good(name: &str, of: &str, token: &str) -> String {
    match (name, of) {
        ("access_token", _) => format!("'{token}'"),
        ("organization", _) => "'org_acme'".into(),
        ("scope", _) => "'local'".into(),
        ("code_challenge_method", _) => "'S256'".into(),
        ("code_challenge", _) => "'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'".into(),
        ("code", _) => "'some_code'".into(),
        ("state", _) => "'some_state'".into(),
        ("verifier", _) => "'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'".into(),
        ("role" | "group" | "permission", _) => "'admin'".into(),
        ("is_local" | "is_bound", _) => "true".into(),
        ("user_metadata", _) => "'{}'".into(),
        (_, of) => format!("null::{of}"),
    }
}

#[tokio::test]
async fn what_everyone_may_call() {
    let bed = Bed::shared("everyone").await;
    let session = sign_in(&bed.admin, ALICE).await;
    let anybody = bed.connect(&bed.role("anybody", "").await).await;
    all_calls(&bed, &anybody, "everyone", &session.access_token).await;
    // Through settings, too.
    for (name, _) in TEXTS {
        for setting in ["request.headers", "workos_auth.session_token"] {
            let set = match setting {
                "request.headers" => {
                    format!("select set_config('{setting}', (select value from texts where name = '{name}'), true)")
                }
                _ => format!(
                    "do $$ begin execute format('set local {setting} = %L', (select value from texts where name = '{name}')); end $$"
                ),
            };
            let sql = format!("{set}; select auth.use_request_token(); select auth.uid()");
            call(&anybody, &format!("{setting} of {name}"), &sql).await;
        }
    }
    let headers =
        "select set_config('request.headers', '{\"x\": ' || repeat('[', 400000) || repeat(']', 400000) || '}', true);
        select auth.use_request_token()";
    call(&anybody, "deep headers", headers).await;
}

#[tokio::test]
async fn what_a_backend_may_call() {
    let (bed, backend) = Bed::brokered("backend").await;
    let session = sign_in(&bed.admin, ALICE).await;
    all_calls(&bed, &backend, "sign_in", &session.access_token).await;
}
