//! Everything a caller can get wrong while setting up and while starting a sign-in: each has its own SQLSTATE, and
//! nothing changes.

use tokio_postgres::Client;
use workos_auth_core::ErrorCode;
use workos_auth_core::error::PostgresCode;
use workos_end_to_end::{Bed, refusal, refused, sign_in, start, text};

/// SQL, the name of its error, and what its detail says.
type Case<'a> = (&'a str, &'a str, &'a str);

async fn check(bed: &Bed<'_>, client: &Client, cases: &[Case<'_>]) {
    let before = bed.contents().await;
    for (sql, name, detail) in cases {
        let code = ErrorCode::ALL.iter().find(|code| code.name() == *name).expect(name);
        let result = client.query(*sql, &[]).await;
        assert!(result.is_err(), "{sql} succeeded");
        let refusal = refusal(result);
        assert_eq!((&*refusal.sqlstate, &*refusal.message), (code.sqlstate(), code.message()), "{sql}\n{refusal}");
        assert!(refusal.detail.contains(detail), "{sql}\n{refusal}");
        assert!(code.hint().is_empty() || !refusal.hint.is_empty(), "{sql}\n{refusal}");
        assert_eq!(bed.contents().await, before, "{sql} left something behind");
    }
    assert!(bed.simulator().requests().is_empty(), "WorkOS was asked");
}

#[tokio::test]
async fn error_codes_are_there_for_everybody() {
    let bed = Bed::shared("codes").await;
    let anybody = bed.connect(&bed.role("anybody", "").await).await;
    let rows = anybody.query("select sqlstate, name, http_status, meaning from auth.error_codes", &[]).await.unwrap();
    let listed: Vec<(&str, &str, i32, &str)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let ours =
        ErrorCode::ALL.iter().map(|code| (code.sqlstate(), code.name(), i32::from(code.http_status()), code.message()));
    let postgres =
        PostgresCode::ALL.iter().map(|code| (code.sqlstate, code.name, i32::from(code.http_status), code.meaning));
    let wanted: Vec<(&str, &str, i32, &str)> = ours.chain(postgres).collect();
    assert_eq!(listed, wanted);
}

#[tokio::test]
async fn starting_a_sign_in() {
    let bed = Bed::shared("starting").await;
    let app = bed.backend().await;
    check(
        &bed,
        &app,
        &[
            ("select auth.start_sign_in()", "selector_missing", ""),
            ("select auth.start_sign_in(null, null, null, null, null, null, null)", "selector_missing", ""),
            (
                "select auth.start_sign_in(redirect_to => 'http://localhost:3000/', login_hint => 'a@b.c')",
                "selector_missing",
                "",
            ),
            (
                "select auth.start_sign_in(organization => 'org_acme', provider => 'GoogleOAuth')",
                "selector_conflict",
                "",
            ),
            (
                "select auth.start_sign_in(connection => 'conn_acme', provider => 'GoogleOAuth')",
                "selector_conflict",
                "",
            ),
            ("select auth.start_sign_in('org_acme', 'conn_acme', 'GoogleOAuth')", "selector_conflict", ""),
            ("select auth.start_sign_in(organization => '')", "validation_failed", "organization"),
            ("select auth.start_sign_in(connection => '')", "validation_failed", "connection"),
            ("select auth.start_sign_in(provider => '')", "validation_failed", "provider"),
            (
                "select auth.start_sign_in(organization => '', provider => 'GoogleOAuth')",
                "validation_failed",
                "organization",
            ),
            ("select auth.start_sign_in(organization => 'org acme')", "validation_failed", "organization"),
            ("select auth.start_sign_in(organization => E'org_acme\\n')", "validation_failed", "organization"),
            ("select auth.start_sign_in(organization => repeat('o', 256))", "validation_failed", "organization"),
            ("select auth.start_sign_in('org_acme', login_hint => '')", "validation_failed", "login_hint"),
            (
                "select auth.start_sign_in('org_acme', login_hint => repeat('a', 321))",
                "validation_failed",
                "login_hint",
            ),
            ("select auth.start_sign_in('org_acme', login_hint => E'a\\r\\nb')", "validation_failed", "login_hint"),
            ("select auth.start_sign_in('org_acme', domain_hint => '')", "validation_failed", "domain_hint"),
        ],
    )
    .await;
}

#[tokio::test]
async fn redirect_to() {
    let bed = Bed::shared("redirect_to").await;
    let app = bed.backend().await;
    let malformed = [
        "''",
        "' '",
        "'nonsense'",
        "'/relative'",
        "'//localhost:3000/x'",
        "'javascript:alert(1)'",
        "'data:text/html,x'",
        "'http://'",
        "'http:///x'",
        "'http://user:password@localhost:3000/x'",
        "'http://localhost:3000@evil.example/x'",
        "'http://localhost:3000\\@evil.example/x'",
        "E'http://localhost:3000/\\nx'",
        "E'http://localhost:3000/\\tx'",
        "'http://localhost:3000/../x'",
        "'http://localhost:99999/'",
        "'http://localhost:3000/' || repeat('x', 9000)",
    ];
    let not_allowed = [
        "'https://evil.example/'",
        "'http://localhost:3001/x'",
        "'https://localhost:3000/x'",
        "'http://localhost.evil.example:3000/'",
        "'http://127.0.0.1:3000/'",
    ];
    let sql = |function: &str, value: &str| format!("select auth.{function}('org_acme', redirect_to => {value})");
    for function in ["start_sign_in", "workos_authorize_url"] {
        let with = |values: &[&str]| values.iter().map(|value| sql(function, value)).collect::<Vec<_>>();
        let (malformed, not_allowed) = (with(&malformed), with(&not_allowed));
        let mut cases: Vec<Case<'_>> =
            malformed.iter().map(|sql| (sql.as_str(), "redirect_to_malformed", "")).collect();
        cases.extend(not_allowed.iter().map(|sql| (sql.as_str(), "redirect_to_not_allowed", "")));
        check(&bed, &app, &cases).await;
    }
}

#[tokio::test]
async fn params() {
    let bed = Bed::shared("params").await;
    let app = bed.backend().await;
    let sql = |function: &str, value: &str| format!("select auth.{function}('org_acme', params => '{value}')");
    let reserved = [
        "client_id",
        "client_secret",
        "redirect_uri",
        "response_type",
        "state",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "organization",
        "connection",
        "provider",
        "domain",
        "login_hint",
        "domain_hint",
        "grant_type",
        "State",
        "CLIENT_ID",
    ];
    let invalid = [
        "null",
        "[]",
        "\"x\"",
        "1",
        "true",
        "{\"\": 1}",
        "{\"state[]\": 1}",
        "{\"organization[0]\": 1}",
        "{\"a b\": 1}",
        "{\"a\": {\"b\": {\"c\": 1}}}",
        "{\"a\": [[1]]}",
        "{\"a\": [{\"b\": 1}]}",
        "{\"a\": {\"b]\": 1}}",
    ];
    for function in ["start_sign_in", "workos_authorize_url"] {
        let many = (0..65).map(|n| format!("\"p{n}\": 1")).collect::<Vec<_>>().join(",");
        let long = "x".repeat(9000);
        let reserved: Vec<(String, &str)> = reserved
            .iter()
            .map(|name| (sql(function, &format!("{{\"prompt\": \"login\", \"{name}\": \"x\"}}")), *name))
            .collect();
        let mut invalid: Vec<String> = invalid.iter().map(|value| sql(function, value)).collect();
        invalid.push(sql(function, &format!("{{{many}}}")));
        // What jsonb can hold and other readers of JSON cannot.
        invalid.push(sql(function, &format!("{{\"a\": {}{}}}", "[".repeat(500), "]".repeat(500))));
        invalid.push(sql(function, &format!("{{\"a\": \"{long}\"}}")));
        let mut cases: Vec<Case<'_>> =
            reserved.iter().map(|(sql, name)| (sql.as_str(), "reserved_parameter", *name)).collect();
        cases.extend(invalid.iter().map(|sql| (sql.as_str(), "parameter_invalid", "")));
        check(&bed, &app, &cases).await;
    }
}

#[tokio::test]
async fn challenges() {
    let bed = Bed::shared("challenges").await;
    let app = bed.backend().await;
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let invalid = [
        String::new(),
        challenge[..42].to_owned(),
        format!("{challenge}="),
        format!("{challenge}A"),
        // The last character has two bits that a canonical spelling leaves zero.
        format!("{}N", &challenge[..42]),
        challenge.replace('-', "+"),
        format!(" {}", &challenge[..42]),
        "ä".repeat(43),
    ];
    let sql = |value: &str, method: &str| {
        format!(
            "select auth.workos_authorize_url('org_acme', code_challenge => '{value}', code_challenge_method => {method})"
        )
    };
    let mut rows: Vec<(String, &str, &str)> =
        invalid.iter().map(|value| (sql(value, "'S256'"), "code_challenge_invalid", "S256")).collect();
    for method in ["'plain'", "'none'", "''", "'S512'"] {
        rows.push((sql(challenge, method), "code_challenge_method_not_allowed", ""));
    }
    rows.push((sql(challenge, "null"), "null_value", "code_challenge_method"));
    rows.push(("select auth.workos_authorize_url()".into(), "selector_missing", ""));
    rows.push((
        "select auth.workos_authorize_url(organization => 'o', provider => 'GoogleOAuth')".into(),
        "selector_conflict",
        "",
    ));
    let cases: Vec<Case<'_>> = rows.iter().map(|(sql, name, detail)| (sql.as_str(), *name, *detail)).collect();
    check(&bed, &app, &cases).await;
}

#[tokio::test]
async fn configuring() {
    let bed = Bed::shared("configuring").await;
    let dir = bed.cluster.data_dir().display().to_string();
    let file = |name: &str, content: &str| {
        let path = bed.cluster.root_key_path().with_file_name(name);
        std::fs::write(&path, content).unwrap();
        // The server may run as another user.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        path.display().to_string()
    };
    let two_lines = file("two_lines", "sk_one\nsk_two\n");
    let nothing = file("nothing", "\n");
    let long = file("long", &"x".repeat(4097));
    let known = text(&bed.admin, "select api_url from auth.providers").await.unwrap().unwrap();
    let call = |arguments: &str| format!("select auth.configure_workos({arguments})");
    let right = "'client_demo', 'http://localhost:3000/callback'";
    let at = format!("api_url => '{known}'");
    let mut rows: Vec<(String, &str, &str)> = vec![
        (call("null, 'http://localhost:3000/callback'"), "null_value", "client_id"),
        (call("'client_demo', null"), "null_value", "redirect_uri"),
        (call(&format!("{right}, api_url => null")), "null_value", "api_url"),
        (call(&format!("{right}, enabled => null, {at}")), "null_value", "enabled"),
        (call("'', 'http://localhost:3000/callback'"), "validation_failed", "client_id"),
        (call("'client demo', 'http://localhost:3000/callback'"), "validation_failed", "client_id"),
        (call(&format!("{right}, client_secret => '', {at}")), "validation_failed", "client_secret"),
        (call(&format!("{right}, client_secret => 'sk test', {at}")), "validation_failed", "client_secret"),
        (call(&format!("{right}, client_secret => repeat('x', 4097), {at}")), "validation_failed", "client_secret"),
        (
            call(&format!("{right}, client_secret => 'a', client_secret_file => '/x', {at}")),
            "validation_failed",
            "client_secret_file",
        ),
        // The secret is bound to both.
        (call(&format!("'client_other', 'http://localhost:3000/callback', {at}")), "client_secret_required", ""),
        (call(right), "client_secret_required", ""),
        (call(&format!("{right}, api_url => 'http://127.0.0.1:1'")), "client_secret_required", ""),
    ];
    for uri in [
        "",
        "nonsense",
        "http://app.example.com/callback",
        "https://user@app.example.com/",
        "https://app.example.com/#x",
        "ftp://app.example.com/",
        "https://",
        "https://app.example.com/a b",
    ] {
        rows.push((call(&format!("'client_demo', '{uri}', {at}")), "redirect_uri_invalid", ""));
    }
    for url in [
        "",
        "nonsense",
        "http://api.workos.com",
        "https://user:pw@api.workos.com",
        "https://api.workos.com?x=1",
        "https://api.workos.com/#x",
        "file:///etc/passwd",
        "https:///",
    ] {
        rows.push((call(&format!("{right}, client_secret => 'sk', api_url => '{url}'")), "api_url_invalid", ""));
    }
    for path in ["", "/no/such/file", &dir, "/dev/zero", &two_lines, &nothing, &long] {
        rows.push((
            call(&format!("{right}, client_secret_file => '{path}', {at}")),
            "client_secret_file_invalid",
            path,
        ));
    }
    let cases: Vec<Case<'_>> = rows.iter().map(|(sql, name, detail)| (sql.as_str(), *name, *detail)).collect();
    check(&bed, &bed.admin, &cases).await;

    // An administrator who is no superuser chooses neither the address nor a file of the server.
    let keeper = bed.role("keeper", "").await;
    bed.admin.execute(&format!("select auth.grant_admin('{keeper}')"), &[]).await.unwrap();
    let keeper = bed.connect(&keeper).await;
    check(
        &bed,
        &keeper,
        &[
            (&call(&format!("{right}, client_secret => 'sk', {at}")), "insufficient_privilege", "api_url"),
            (
                &call(&format!("{right}, client_secret_file => '/etc/hostname'")),
                "insufficient_privilege",
                "pg_read_server_files",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn root_key_grants_and_redirect_urls() {
    let bed = Bed::shared("setting_up").await;
    let key = bed.cluster.root_key_path();
    let inside = bed.cluster.data_dir().join("root.key");
    let in_nowhere = key.with_file_name("none").join("root.key");
    let rows: Vec<(String, &str, &str)> = vec![
        ("select auth.create_root_key(null)".into(), "null_value", "path"),
        ("select auth.create_root_key('')".into(), "validation_failed", "path"),
        ("select auth.create_root_key('root.key')".into(), "validation_failed", "path"),
        (format!("select auth.create_root_key('{}')", key.display()), "root_key_exists", "root.key"),
        (format!("select auth.create_root_key('{}')", inside.display()), "root_key_in_data_directory", "root.key"),
        (format!("select auth.create_root_key('{}')", in_nowhere.display()), "root_key_not_written", "root.key"),
        ("select auth.grant_sign_in(null)".into(), "null_value", "role"),
        ("select auth.revoke_sign_in(null)".into(), "null_value", "role"),
        ("select auth.grant_admin(null)".into(), "null_value", "role"),
        ("select auth.revoke_admin(null)".into(), "null_value", "role"),
        ("insert into auth.redirect_urls (pattern) values (null)".into(), "null_value", "pattern"),
    ];
    let patterns = [
        "",
        "*",
        "**",
        "https://*",
        "https://**",
        "https://*/**",
        "https://*.com/**",
        "https://*example.com",
        "https://app.*.com/",
        "http*://app.example.com/",
        "*://app.example.com/",
        "https://user@app.example.com/",
        "https://*@app.example.com/",
        "https://app.example.com:*/",
        "javascript:*",
        "https://1.2.3.*/",
        "https://app.example.com\\.evil.com/",
        "https://{a,b}.example.com/",
    ];
    let inserts: Vec<String> = patterns
        .iter()
        .map(|pattern| format!("insert into auth.redirect_urls (pattern) values ('{pattern}')"))
        .collect();
    let update = "update auth.redirect_urls set pattern = 'https://*.com/**'";
    let mut cases: Vec<Case<'_>> = rows.iter().map(|(sql, name, detail)| (sql.as_str(), *name, *detail)).collect();
    cases.extend(inserts.iter().map(|sql| (sql.as_str(), "redirect_pattern_unsafe", "")));
    cases.push((update, "redirect_pattern_unsafe", ""));
    check(&bed, &bed.admin, &cases).await;
    assert!(!inside.exists(), "a key that was refused was written");
}

#[tokio::test]
async fn nothing_for_a_session_or_a_question() {
    let bed = Bed::shared("nothing").await;
    let app = bed.backend().await;
    check(
        &bed,
        &app,
        &[
            ("select auth.set_session(null)", "null_value", "access_token"),
            ("select auth.set_session('x', null)", "null_value", "is_local"),
            ("select auth.set_session('')", "bad_jwt", ""),
            ("select auth.verify_token(null)", "null_value", "access_token"),
            ("select auth.verify_token('')", "bad_jwt", ""),
            ("select auth.sign_out(null)", "null_value", "access_token"),
            ("select auth.sign_out('')", "bad_jwt", ""),
            ("select auth.sign_out('local')", "bad_jwt", ""),
            ("select auth.sign_out('x', null)", "bad_jwt", ""),
            ("select auth.my_sessions(null)", "null_value", "access_token"),
            ("select auth.my_sessions('')", "bad_jwt", ""),
            ("select auth.update_user(null, '{}')", "null_value", "access_token"),
            ("select auth.update_user('x', null)", "bad_jwt", ""),
            ("select auth.link_identity(null)", "null_value", "access_token"),
            ("select auth.link_identity('x')", "bad_jwt", ""),
            ("select auth.unlink_identity(null, null)", "null_value", "access_token"),
            ("select auth.unlink_identity('x', null)", "bad_jwt", ""),
            ("select auth.has_role(null)", "null_value", "role"),
            ("select auth.has_role(null, 'org_acme')", "null_value", "role"),
            ("select auth.in_group(null)", "null_value", "group"),
            ("select auth.in_group(null, 'org_acme')", "null_value", "group"),
            ("select auth.has_permission(null)", "null_value", "permission"),
            ("select auth.has_permission(null, 'org_acme')", "null_value", "permission"),
        ],
    )
    .await;

    let session = sign_in(&app, workos_end_to_end::ALICE).await;
    let before = bed.contents().await;
    let sign_out = async |scope: &str| {
        let sql = format!("select auth.sign_out($1, {scope})");
        app.query(&sql, &[&session.access_token]).await
    };
    for (scope, name) in [
        ("''", "validation_failed"),
        ("'all'", "validation_failed"),
        ("'GLOBAL'", "validation_failed"),
        ("null", "null_value"),
    ] {
        let refusal = refused(sign_out(scope).await, name);
        assert!(refusal.detail.contains("scope"), "{refusal}");
    }
    assert_eq!(bed.contents().await, before);
}

#[tokio::test]
async fn a_database_without_a_provider_says_what_to_do() {
    let bed = Bed::shared("provider").await;
    let app = bed.backend().await;
    let pending = start(&app, workos_end_to_end::ALICE).await;
    bed.admin.batch_execute("delete from auth.providers").await.unwrap();
    let refusal = refused(app.query("select auth.start_sign_in('org_acme')", &[]).await, "provider_not_configured");
    assert!(refusal.hint.contains("auth.configure_workos"), "{refusal}");
    refused(workos_end_to_end::exchange(&app, &pending).await, "provider_not_configured");
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 1);
}
