//! `auth.check()` of settings, keys and clean-up. Settings are the cluster's, so each test has one of its own.

use workos_end_to_end::bed::{ALICE, sign_in, start};
use workos_end_to_end::check::{Fault, Patient, Row, check};
use workos_end_to_end::sql::{lines, refused_as, shell, text};
use workos_end_to_end::{Bed, case};
use workos_testbed::Cluster;

const CHECK_SESSIONS: &[Row<'_>] = &[("warning", "workos_auth.check_sessions", "good until it expires.")];
const GUARD: &[Row<'_>] = &[("warning", "workos_auth.rls_guard", "also serves superusers")];
const PLAIN: &[Row<'_>] = &[("warning", "workos_auth.allow_plain_pkce", "knows its verifier")];
const LOGGED: &[Row<'_>] = &[("warning", "log_parameter_max_length", "logs statements with their bind values")];
const LOGGED_ERRORS: &[Row<'_>] = &[("warning", "log_parameter_max_length_on_error", "statements that fail")];

/// A fault in the place that a statement names.
const fn of<'a>(plant: &'a str, rows: &'a [Row<'a>]) -> Fault<'a> {
    Fault { plant, rows, leak: "", clean: "" }
}

#[tokio::test]
async fn settings_are_mended_where_they_were_made() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "settings").await;
    patient.run("create role \"DATABASE x;\" login").await;
    for fault in [
        of("alter database DATABASE set workos_auth.check_sessions = off", CHECK_SESSIONS),
        of("alter database DATABASE set workos_auth.check_sessions = 'FaLs'", CHECK_SESSIONS),
        of("alter role all set workos_auth.check_sessions = 0", CHECK_SESSIONS),
        of(
            "alter role APP set workos_auth.check_sessions = 'no'",
            &[("warning", "workos_auth.check_sessions", "until it expires (for APP).")],
        ),
        of(
            "alter role \"DATABASE x;\" in database DATABASE set workos_auth.rls_guard = 'off'",
            &[("warning", "workos_auth.rls_guard", "(for \"DATABASE x;\")")],
        ),
        of("alter database DATABASE set workos_auth.rls_guard = 'Warning'", GUARD),
        of("alter database DATABASE set workos_auth.allow_plain_pkce = on", PLAIN),
        // Two places at once: what everybody has, and what one role has of its own.
        of(
            "alter database DATABASE set workos_auth.allow_plain_pkce = 't'; alter role APP set workos_auth.allow_plain_pkce = 'yes'",
            &[
                ("warning", "workos_auth.allow_plain_pkce", "(for APP)"),
                ("warning", "workos_auth.allow_plain_pkce", "verifier."),
            ],
        ),
        of("alter database DATABASE set log_statement = 'all'", LOGGED),
        of("alter database DATABASE set log_min_duration_sample = '1s'", LOGGED),
        of("alter database DATABASE set log_transaction_sample_rate = 0.5", LOGGED),
        of(
            "alter database DATABASE set log_min_duration_statement = 0; alter database DATABASE set log_parameter_max_length = '1kB'",
            LOGGED,
        ),
        of(
            "alter role APP set log_statement = 'mod'",
            &[("warning", "log_parameter_max_length", "in its log (for APP)")],
        ),
        of("alter role all set log_parameter_max_length_on_error = -1", LOGGED_ERRORS),
        of(
            "alter database DATABASE set pgaudit.log_parameter = on",
            &[("warning", "pgaudit.log_parameter", "pgaudit logs bind values")],
        ),
        of(
            "alter database DATABASE set auto_explain.log_min_duration = 0; alter database DATABASE set auto_explain.log_parameter_max_length = 64",
            &[("warning", "auto_explain.log_parameter_max_length", "auto_explain logs plans")],
        ),
    ] {
        patient.is_mended_of(&fault).await;
        // What the remedy wrote is where the fault was; the cluster's own settings come last, lest they hide one.
        patient.run("alter database DATABASE reset all; alter role all reset all; alter role APP reset all").await;
        patient.run("alter system reset all").await;
        cluster.reload().await.unwrap();
        patient.bed.set("workos_auth.allowed_roles", &patient.people).await;
    }

    // In the configuration file.
    for (line, rows) in [
        ("workos_auth.check_sessions = off", CHECK_SESSIONS),
        (
            "workos_auth.allow_root_key_in_data_directory = on",
            &[("warning", "workos_auth.allow_root_key_in_data_directory", "every base backup")],
        ),
        ("log_min_duration_statement = 250ms", LOGGED),
        ("log_parameter_max_length_on_error = 64", LOGGED_ERRORS),
    ] {
        cluster.append_conf(line).unwrap();
        cluster.reload().await.unwrap();
        let findings = patient.shows(rows, line).await;
        assert!(findings[0].remedy.starts_with("SELECT auth.alter_system("), "{findings:#?}");
        patient.remedy(&findings[0]).await;
        patient.is_sound(line).await;
    }

    for (harmless, clean) in [
        ("alter role APP set log_parameter_max_length = -1", "alter role APP reset all"),
        ("alter database DATABASE set log_statement = 'ddl'", "alter database DATABASE reset log_statement"),
        ("alter database DATABASE set log_duration = on", "alter database DATABASE reset log_duration"),
        (
            "alter database DATABASE set workos_auth.check_sessions = 'ON'",
            "alter database DATABASE reset workos_auth.check_sessions",
        ),
        // The caller's own business, and another database's.
        ("set workos_auth.check_sessions = off; set log_parameter_max_length_on_error = -1", "reset all"),
        ("alter database postgres set workos_auth.check_sessions = off", "alter database postgres reset all"),
        ("alter role APP in database postgres set workos_auth.rls_guard = 'off'", ""),
        // One of many settings, and one that another covers.
        ("alter role APP set workos_auth.require_code_challenge = off", "alter role APP reset all"),
        (
            "alter role all set workos_auth.check_sessions = off; alter database DATABASE set workos_auth.check_sessions = on",
            "alter role all reset all",
        ),
    ] {
        patient.stays_sound(harmless, clean).await;
    }
}

#[tokio::test]
async fn what_the_log_showed_it_shows_no_longer() {
    let cluster = Cluster::start_with(&["log_statement = 'all'"]).unwrap();
    let bed = workos_end_to_end::Bed::new(&cluster, "logged").await;
    let logs = |bind: &'static str| {
        let (bed, cluster) = (&bed, &cluster);
        async move {
            // Refused, and logged all the same.
            bed.superuser().await.execute("select auth.set_session($1)", &[&bind]).await.unwrap_err();
            cluster.log().unwrap().contains(bind)
        }
    };
    assert!(logs("first-secret").await, "it should be logged");
    let findings = check(&bed.admin).await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    bed.admin.execute(&findings[0].remedy, &[]).await.unwrap();
    cluster.reload().await.unwrap();
    assert_eq!(check(&bed.admin).await, []);
    assert!(!logs("second-secret").await, "it is still logged");
}

#[tokio::test]
async fn tokens_in_the_catalogs() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "planted").await;
    patient.run("create role \"DATABASE x;\" login").await;
    const PLANTED: &[Row<'_>] = &[("error", "workos_auth.session_token", "kept in the catalogs")];
    for fault in [
        of("alter database DATABASE set workos_auth.session_token = 'a=b'", PLANTED),
        of("alter role all set workos_auth.session_token = 'a'", PLANTED),
        of("alter role \"DATABASE x;\" set workos_auth.session_token = 'a'", PLANTED),
        of("alter role APP in database DATABASE set workos_auth.session_token = 'a'", PLANTED),
        of(
            "create function public.\"f;\"(int) returns int language sql set workos_auth.session_token = 'a' as 'select 1'",
            &[("error", "public.\"f;\"(integer)", "kept in the catalogs")],
        ),
        of(
            "create procedure p() language sql set workos_auth.session_token = 'a' as ''",
            &[("error", "public.p()", "kept in the catalogs")],
        ),
    ] {
        patient.is_mended_of(&fault).await;
        let kept = "select count(*) from pg_db_role_setting where setconfig::text ~ 'session_token'";
        assert_eq!(patient.bed.count(kept).await, 0, "{}", fault.plant);
    }
}

#[tokio::test]
async fn keys_and_clean_up() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "rows").await;
    let session = patient.bed.sign_in(ALICE).await;
    patient.stays_sound("update auth.signing_keys set activated_at = now() - interval '365 days'", "").await;
    let fault = of(
        "update auth.signing_keys set activated_at = now() - interval '366 days' - interval '1 hour'",
        &[("warning", "auth.signing_keys", "is 366 days old")],
    );
    patient.is_mended_of(&fault).await;

    // The old key is retiring now; its last tokens live for an hour, and a day is added to that.
    let kid: String = patient
        .bed
        .admin
        .query_one("select kid from auth.signing_keys where status = 'retiring'", &[])
        .await
        .unwrap()
        .get(0);
    let replaced = "update auth.signing_keys set activated_at = now() - interval '25 hours' + interval";
    patient.stays_sound(&format!("{replaced} '1 minute' where status = 'active'"), "").await;
    sign_in(&patient.bed.admin, ALICE).await;
    patient.run(&format!("{replaced} '-1 minute' where status = 'active'")).await;
    let findings = patient.shows(&[("info", "auth.signing_keys", &kid)], "a key that is done").await;
    patient.bed.admin.execute("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
    patient.remedy(&findings[0]).await;
    patient.is_sound("retired").await;
    let status =
        lines(&patient.bed.admin, "select kid, status from auth.signing_keys where status = 'retired'").await.unwrap();
    assert_eq!(status, [format!("{kid}|retired")]);

    let sessions = "insert into auth.sessions (id, not_after) select gen_random_uuid(), now() - interval";
    patient.stays_sound(&format!("{sessions} '25 hours' from generate_series(1, 10000)"), "").await;
    patient.stays_sound(&format!("{sessions} '23 hours' from generate_series(1, 10)"), "").await;
    let fault = of(
        "insert into auth.sessions (id, not_after) values (gen_random_uuid(), now() - interval '25 hours')",
        &[("warning", "auth.sessions", "clean-up is behind")],
    );
    patient.is_mended_of(&fault).await;
    let left = patient.bed.count("select count(*) from auth.sessions").await;
    assert_eq!(left, 2, "those that live");

    // A sign-in without a challenge, which only auth.workos_authorize_url starts.
    start(&patient.bed.admin, ALICE).await;
    patient.is_sound("a sign-in with a challenge").await;
    let fault = of(
        "select auth.workos_authorize_url(organization => 'org_acme')",
        &[
            ("info", "workos_auth.allow_implicit", "(implicit flow)"),
            ("info", "workos_auth.require_code_challenge", "without a code challenge"),
        ],
    );
    patient.is_mended_of(&fault).await;
    patient.run("alter database DATABASE reset all; alter role all reset all").await;
    patient.run("alter system reset all").await;
    cluster.reload().await.unwrap();
    patient.bed.set("workos_auth.allowed_roles", &patient.people).await;
    // One of the two, and for one role alone.
    patient
        .stays_sound(
            "alter database DATABASE set workos_auth.require_code_challenge = on",
            "alter database DATABASE reset workos_auth.require_code_challenge",
        )
        .await;
    patient.run("alter database DATABASE set workos_auth.allow_implicit = 'No'").await;
    patient.shows(&[("info", "workos_auth.require_code_challenge", "enough")], "implicit is off").await;
    patient.run("alter role APP set workos_auth.allow_implicit = 'TRUE'").await;
    patient
        .is_mended(
            &[
                ("info", "workos_auth.allow_implicit", "(for APP)"),
                ("info", "workos_auth.require_code_challenge", "enough"),
            ],
            "implicit is on for one role",
        )
        .await;
    let flows = "insert into auth.flow_states (id, state_hash, upstream_verifier, data_key_id, client_id, api_url, provider, expires_at, code_challenge)
         select gen_random_uuid(), sha256(i::text::bytea), '', (select min(id) from auth.data_keys), 'c', 'u', 'p', now() - interval '25 hours', i
         from generate_series(1, 10001) as i";
    let fault = of(flows, &[("warning", "auth.flow_states", "clean-up is behind")]);
    patient.is_mended_of(&fault).await;
}

#[tokio::test]
async fn a_root_key_that_backups_copy() {
    let mut cluster = Cluster::start().unwrap();
    let inside = cluster.data_dir().join("root.key").display().to_string();
    let space = cluster.root_key_path().with_file_name("space").display().to_string();
    {
        let patient = Patient::new(&cluster, "copied").await;
        shell(&patient.bed.admin, &format!("mkdir -p {space}")).await;
        patient.run(&format!("create tablespace space location '{space}'")).await;
        let operator = patient.bed.role("operator", "").await;
        patient.run(&format!("select auth.grant_admin('{operator}')")).await;
        for path in [inside, format!("{space}/root.key")] {
            case!(path);
            cluster.append_conf(&format!("workos_auth.root_key_file = '{path}'")).unwrap();
            cluster.reload().await.unwrap();
            let findings =
                patient.shows(&[("error", "workos_auth.root_key_file", "every base backup copies")], &path).await;
            // A place on the server is not for everybody to know.
            let told = check(&cluster.connect("copied", &operator).await.unwrap()).await;
            assert!(told.len() == 1 && told[0].finding.contains("is not there"), "{path}: {told:#?}");
            assert!(!told[0].finding.contains(&path), "{told:#?}");
            patient.remedy(&findings[0]).await;
            let unnamed = &[("error", "workos_auth.root_key_file", "no root key is configured")];
            patient.shows(unnamed, &path).await;
            patient.run("alter system reset all").await;
        }
        let directory = format!("{}2", cluster.data_dir().display());
        let key = cluster.root_key_path().display().to_string();
        shell(&patient.bed.admin, &format!("mkdir {directory} && cp {key} {directory}/ && chmod 0600 {directory}/*"))
            .await;
    }
    // On the command line or wherever else: a neighbour of the data directory is none of its files.
    let beside = format!("{}2/root.key", cluster.data_dir().display());
    cluster.append_conf(&format!("workos_auth.root_key_file = '{beside}'")).unwrap();
    cluster.restart().unwrap();
    let admin = cluster.connect("copied", "postgres").await.unwrap();
    assert_eq!(check(&admin).await, []);
}

#[tokio::test]
async fn a_configuration_that_only_its_file_changes() {
    let mut cluster = Cluster::start().unwrap();
    let inside = cluster.data_dir().join("root.key").display().to_string();
    {
        let patient = Patient::new(&cluster, "managed").await;
        // What the remedies call is ALTER SYSTEM and a reload, for those who may.
        let operator = patient.bed.role("operator", "").await;
        patient.run(&format!("select auth.grant_admin('{operator}')")).await;
        refused_as(
            patient
                .bed
                .connect(&operator)
                .await
                .execute("select auth.alter_system('workos_auth.check_sessions', 'on')", &[])
                .await,
            "42501",
        );
        patient.run("create function as_owner() returns void language sql security definer as $$ select auth.alter_system('log_statement', 'all') $$; alter function as_owner() owner to workos_auth_owner").await;
        refused_as(patient.bed.admin.execute("select as_owner()", &[]).await, "42501");
        patient.run("drop function as_owner()").await;
        for (setting, value, sqlstate) in [
            ("'nothing'", "'on'", "42704"),
            ("'workos_auth.check_sessions'", "'perhaps'", "22023"),
            ("'workos_auth.check_sessions = off; --'", "'on'", "22023"),
            ("''", "'on'", "22023"),
            ("'..'", "'on'", "42601"),
            ("NULL", "'on'", "22004"),
            ("'workos_auth.check_sessions'", "NULL", "22004"),
        ] {
            let call = format!("select auth.alter_system({setting}, {value})");
            refused_as(patient.bed.admin.execute(&call, &[]).await, sqlstate);
        }
        let quoted = r"a\'b''c\\";
        patient.bed.admin.execute("select auth.alter_system('workos_auth.audience', $1)", &[&quoted]).await.unwrap();
        let shown = "select setting from pg_settings where name = 'workos_auth.audience'";
        assert_eq!(lines(&patient.bed.admin, shown).await.unwrap(), [quoted]);
        patient.run("alter system reset all").await;
        cluster.reload().await.unwrap();
        if patient.bed.count("select current_setting('server_version_num')::bigint").await < 170_000 {
            return;
        }
    }
    cluster.append_conf("allow_alter_system = off").unwrap();
    cluster.restart().unwrap();
    let patient = Patient::new(&cluster, "managed_again").await;
    for (line, rows, mends) in [
        ("workos_auth.check_sessions = off", CHECK_SESSIONS, true),
        ("log_min_duration_statement = 250ms", LOGGED, true),
        (
            "workos_auth.allow_root_key_in_data_directory = on",
            &[("warning", "workos_auth.allow_root_key_in_data_directory", "every base backup")],
            false,
        ),
        (
            &format!("workos_auth.root_key_file = '{inside}'"),
            &[("error", "workos_auth.root_key_file", "every base backup copies")],
            false,
        ),
    ] {
        cluster.append_conf(line).unwrap();
        cluster.reload().await.unwrap();
        let findings = patient.shows(rows, line).await;
        patient.remedy(&findings[0]).await;
        if mends {
            patient.is_sound(line).await;
            continue;
        }
        // Nothing that SQL can do: the remedy says what to do by hand.
        let said: String =
            patient.bed.superuser().await.query_one(&findings[0].remedy, &[]).await.unwrap().get("by_hand");
        assert!(said.starts_with(&format!("Take {} out of", rows[0].1)), "{said}");
        cluster.append_conf("workos_auth.allow_root_key_in_data_directory = off").unwrap();
        let key = cluster.root_key_path().display().to_string();
        cluster.append_conf(&format!("workos_auth.root_key_file = '{key}'")).unwrap();
        cluster.reload().await.unwrap();
        patient.is_sound(line).await;
    }
}

/// The first steps of an installation set where the root key is, and the next of them needs it.
#[tokio::test]
async fn the_statement_after_alter_system_has_the_new_value() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "told").await;
    for round in 0..50 {
        let audience = format!("round {round}");
        bed.admin.execute("select auth.alter_system('workos_auth.audience', $1)", &[&audience]).await.unwrap();
        let shown = text(&bed.admin, "show workos_auth.audience").await.unwrap();
        assert_eq!(shown, Some(audience));
    }
}
