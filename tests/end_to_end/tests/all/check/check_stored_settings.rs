//! `auth.check()` of settings that nothing looks at where they are stored, and whether the library is preloaded. Settings are the
//! cluster's, so each test has one of its own.

use workos_end_to_end::check::{Fault, Finding, Patient, Row, check_all};
use workos_end_to_end::made::administrator;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_testbed::Cluster;

const UNKNOWN: &str = "There is no setting of this name, so that it does nothing. It is kept for ";
const BAD: &str = "Its value cannot be used, so that it does nothing. It is kept for ";
const ELSEWHERE: &str = "It does nothing outside the configuration file. It is kept for ";

const fn of<'a>(plant: &'a str, rows: &'a [Row<'a>]) -> Fault<'a> {
    Fault { plant, rows, leak: "", clean: "" }
}

/// Plants in a session that has not loaded the library, where anything is taken.
async fn plant(patient: &Patient<'_>, sql: &str) {
    patient
        .bed
        .superuser()
        .await
        .batch_execute(&patient.named(sql))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[tokio::test]
async fn what_is_kept_for_roles_and_databases() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "stored").await;
    patient.run("create role \"DATABASE x;\" login").await;
    let place = |what: &'static str, place: &str| format!("{what}{place}.");
    for (sql, object, finding) in [
        (
            "alter database DATABASE set workos_auth.sesion_ttl = '7d'",
            "workos_auth.sesion_ttl",
            place(UNKNOWN, "the database DATABASE"),
        ),
        ("alter role all set workos_auth.sesion_ttl = '7d'", "workos_auth.sesion_ttl", place(UNKNOWN, "all roles")),
        (
            "alter role \"DATABASE x;\" set workos_auth.\"Sesion_TTL\" = '7d'",
            "workos_auth.Sesion_TTL",
            place(UNKNOWN, "the role \"DATABASE x;\""),
        ),
        (
            "alter role APP in database DATABASE set workos_auth.x = ''",
            "workos_auth.x",
            place(UNKNOWN, "the role APP in the database DATABASE"),
        ),
        (
            "alter database DATABASE set workos_auth.session_ttl = 'two days'",
            "workos_auth.session_ttl",
            place(BAD, "the database DATABASE"),
        ),
        (
            "alter database DATABASE set workos_auth.session_ttl = '0'",
            "workos_auth.session_ttl",
            place(BAD, "the database DATABASE"),
        ),
        (
            "alter role APP set workos_auth.account_linking = 'mail'",
            "workos_auth.account_linking",
            place(BAD, "the role APP"),
        ),
        // It is not in force, so that nothing is said of what it would do.
        ("alter role APP set workos_auth.rls_guard = 'maybe'", "workos_auth.rls_guard", place(BAD, "the role APP")),
        (
            "alter role APP set workos_auth.allow_signup = 'perhaps'",
            "workos_auth.allow_signup",
            place(BAD, "the role APP"),
        ),
        (
            "alter database DATABASE set workos_auth.root_key_file = '/k'",
            "workos_auth.root_key_file",
            place(ELSEWHERE, "the database DATABASE"),
        ),
    ] {
        plant(&patient, sql).await;
        patient.is_mended_of(&of("select 1", &[("warning", object, &finding)])).await;
        // Nothing else that is kept went with it.
        let kept = "select count(*) from pg_db_role_setting, unnest(setconfig) as c where c like 'workos_auth.allowed_roles=%'";
        assert_eq!(patient.bed.count(kept).await, 1, "{sql}");
        assert_eq!(
            patient.bed.count("select count(*) from pg_db_role_setting where setconfig = '{}'").await,
            0,
            "{sql}"
        );
    }
    // Behind one that is ignored the next counts.
    plant(
        &patient,
        "alter role APP in database DATABASE set workos_auth.rls_guard = 'maybe'; alter role APP set workos_auth.rls_guard = 'off'",
    )
    .await;
    let guard = "auth.set_session also serves superusers and BYPASSRLS, whom no policy binds (for APP).";
    let found = patient
        .shows(&[("warning", "workos_auth.rls_guard", BAD), ("warning", "workos_auth.rls_guard", guard)], "the next")
        .await;
    patient.remedy(&found[1]).await;
    patient.is_mended(&[("warning", "workos_auth.rls_guard", BAD)], "the next").await;
    patient.run("alter role APP reset workos_auth.rls_guard").await;
    // Each entry is one row, and goes by itself.
    plant(
        &patient,
        "alter role APP set workos_auth.a = '1'; alter role APP set work_mem = '8MB'; alter role APP set workos_auth.b = '2';
         alter role APP set search_path = a, \"B c\"",
    )
    .await;
    patient
        .is_mended(&[("warning", "workos_auth.a", UNKNOWN), ("warning", "workos_auth.b", UNKNOWN)], "two of four")
        .await;
    let kept = format!("select setconfig from pg_db_role_setting where setrole = '{}'::regrole", patient.app);
    assert_eq!(lines(&patient.bed.admin, &kept).await.unwrap(), [r#"{work_mem=8MB,"search_path=a, \"B c\""}"#]);
    for harmless in [
        "alter database DATABASE set workos_auth.session_ttl = '2d'",
        "alter role APP set workos_auth.account_linking = 'email'",
        "alter role APP set other.thing = 'x'",
        "alter database postgres set workos_auth.sesion_ttl = '7d'",
    ] {
        plant(&patient, harmless).await;
        patient.is_sound(harmless).await;
    }
}

#[tokio::test]
async fn what_is_kept_with_functions() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "functions").await;
    let create = |set: &str| {
        format!("create or replace function public.\"Of ours\"(a int) returns int language sql {set} as 'select 1'")
    };
    for (set, object, finding) in [
        (
            "set workos_auth.sesion_ttl = '7d'",
            "workos_auth.sesion_ttl",
            "There is no setting of this name, so that it does nothing.",
        ),
        (
            "set workos_auth.session_ttl = 'two days'",
            "workos_auth.session_ttl",
            "Its value cannot be used, so that it does nothing.",
        ),
        (
            "set search_path = '' set workos_auth.root_key_file = '/k'",
            "workos_auth.root_key_file",
            "It does nothing outside the configuration file.",
        ),
    ] {
        plant(&patient, &create(set)).await;
        let place =
            "It is kept with the function public.\"Of ours\"(integer), whose calls fail where the library is loaded.";
        let found = patient.shows(&[("warning", object, &format!("{finding} {place}"))], set).await;
        let hint = text(&patient.bed.admin, &found[0].remedy).await.unwrap().unwrap();
        assert_eq!(
            hint,
            format!("Define public.\"Of ours\"(integer) again without SET {object}, or with a value that counts.")
        );
        plant(&patient, &create("set workos_auth.session_ttl = '2d' set search_path = ''")).await;
        patient.is_sound(set).await;
    }
}

/// Where the library is preloaded, some minor versions of Postgres refuse ALTER … RESET of the name: the remedy goes its own way.
#[tokio::test]
async fn an_unknown_name_goes_where_the_library_is_preloaded() {
    let mut cluster = Cluster::start().unwrap();
    {
        let patient = Patient::new(&cluster, "preloaded").await;
        plant(&patient, "alter database DATABASE set workos_auth.sesion_ttl = '7d'").await;
    }
    cluster.append_conf("shared_preload_libraries = 'workos_auth'").unwrap();
    cluster.restart().unwrap();
    let client = cluster.connect("preloaded", "postgres").await.unwrap();
    // At once, as the documents say.
    assert_eq!(text(&client, "show workos_auth.session_ttl").await.unwrap().as_deref(), Some("7d"));
    refused_as(client.batch_execute("alter database preloaded set workos_auth.sesion_ttl = '7d'").await, "42602");
    refused_as(
        client.batch_execute("alter database preloaded set workos_auth.session_ttl = 'two days'").await,
        "22023",
    );
    client.batch_execute("alter system set workos_auth.site_url = 'https://app.example.com'").await.unwrap();
    let found = check_all(&client).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].finding.starts_with(UNKNOWN), "{found:#?}");
    client.batch_execute(&found[0].remedy).await.unwrap();
    assert_eq!(check_all(&client).await, []);
}

#[tokio::test]
async fn what_stands_in_configuration_files() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "files").await;
    let operator = administrator(&patient.bed).await;
    for (line, object, part) in [
        ("workos_auth.sesion_ttl = '7d'", "workos_auth.sesion_ttl", "There is no setting of this name"),
        ("workos_auth.session_ttl = 'two days'", "workos_auth.session_ttl", "Its value cannot be used"),
        (
            "workos_auth.root_key_command_timeout = '1h'",
            "workos_auth.root_key_command_timeout",
            "Its value cannot be used",
        ),
    ] {
        cluster.append_conf(line).unwrap();
        cluster.reload().await.unwrap();
        let findings = patient.shows(&[("warning", object, part)], line).await;
        let by_hand = text(&patient.bed.admin, &findings[0].remedy).await.unwrap().unwrap();
        assert!(by_hand.starts_with(&format!("Mend {object} in line ")), "{by_hand}");
        assert!(by_hand.contains("postgresql.conf, or take it out"), "{by_hand}");
        // The files are not for everybody to read.
        assert_eq!(
            lines(&operator, "select finding from auth.check() where severity = 'warning'").await.unwrap(),
            [""; 0],
            "{line}"
        );
        let mended = line.split(" = ").next().unwrap();
        if object == "workos_auth.sesion_ttl" {
            let file = cluster.data_dir().join("postgresql.conf");
            let kept: String = std::fs::read_to_string(&file).unwrap().replace(line, "");
            std::fs::write(&file, kept).unwrap();
        } else {
            // Of two lines of one name the last counts.
            cluster.append_conf(&format!("{mended} = '60s'")).unwrap();
        }
        cluster.reload().await.unwrap();
        patient.is_sound(line).await;
    }
}

#[tokio::test]
async fn a_library_that_each_connection_loads_late() {
    let mut cluster = Cluster::start_with(&["session_preload_libraries = 'auto_explain'"]).unwrap();
    {
        let patient = Patient::new(&cluster, "late").await;
        let found = check_all(&patient.bed.admin).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!((&*found[0].severity, &*found[0].object), ("info", "session_preload_libraries"));
        assert_eq!(
            found[0].remedy,
            "ALTER DATABASE late SET session_preload_libraries = 'auto_explain', 'workos_auth';"
        );
        // Whoever may not see what is preloaded is told the same, and not what else is.
        let told: Vec<Finding> = check_all(&administrator(&patient.bed).await).await;
        assert_eq!((told.len(), &told[0].finding), (1, &found[0].finding), "{told:#?}");
        assert!(told[0].remedy.contains("by_hand") && !told[0].remedy.contains("auto_explain"), "{told:#?}");
        // What a fresh connection does not know yet.
        let fresh = patient.bed.superuser().await;
        refused_as(fresh.batch_execute("show workos_auth.session_ttl").await, "42704");
        // Since 17 ALTER SYSTEM takes any name with a dot in it.
        let knows_all = "select current_setting('server_version_num')::int >= 170000";
        if !fresh.query_one(knows_all, &[]).await.unwrap().get::<_, bool>(0) {
            let set = fresh.batch_execute("alter system set workos_auth.site_url = 'https://a.example.com'");
            refused_as(set.await, "42704");
        }
        patient.remedy(&found[0]).await;
        for client in [&patient.bed.admin, &patient.bed.superuser().await] {
            assert_eq!(check_all(client).await, []);
        }
        let fresh = patient.bed.superuser().await;
        assert_eq!(text(&fresh, "show workos_auth.session_ttl").await.unwrap().as_deref(), Some("7d"));
        assert_eq!(
            text(&fresh, "show session_preload_libraries").await.unwrap().as_deref(),
            Some("auto_explain, workos_auth")
        );
        patient.run("alter database DATABASE reset session_preload_libraries").await;
    }
    cluster.append_conf("shared_preload_libraries = '$libdir/workos_auth'").unwrap();
    cluster.restart().unwrap();
    assert_eq!(check_all(&cluster.connect("late", "postgres").await.unwrap()).await, []);
}

#[tokio::test]
async fn resetting_is_for_superusers_and_for_our_names() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "resetting").await;
    let operator = administrator(&patient.bed).await;
    refused_as(operator.batch_execute("select auth.reset_setting('workos_auth.x')").await, "42501");
    for (call, name, part) in [
        ("auth.reset_setting(null)", "null_value", "setting"),
        ("auth.reset_setting('work_mem')", "validation_failed", "setting"),
        ("auth.reset_setting('')", "validation_failed", "setting"),
        ("auth.reset_setting('workos_auth.a=b')", "validation_failed", "setting"),
        ("auth.reset_setting('workos_auth.x', database => 'nowhere')", "validation_failed", "database"),
    ] {
        let refusal = refused(patient.bed.admin.batch_execute(&format!("select {call}")).await, name);
        assert!(refusal.detail.contains(part), "{call}: {refusal}");
    }
    patient.run("create function as_owner() returns bigint language sql security definer as $$ select auth.reset_setting('workos_auth.x') $$; alter function as_owner() owner to workos_auth_owner").await;
    refused_as(patient.bed.admin.execute("select as_owner()", &[]).await, "42501");
    patient.run("drop function as_owner()").await;
    let call = patient.named("select auth.reset_setting('WORKOS_AUTH.Allowed_Roles', database => 'DATABASE')");
    assert_eq!(
        text(&patient.bed.admin, "select auth.reset_setting('workos_auth.allowed_roles')").await.unwrap().as_deref(),
        Some("0")
    );
    for expected in ["1", "0"] {
        assert_eq!(text(&patient.bed.admin, &call).await.unwrap().as_deref(), Some(expected));
    }
}
