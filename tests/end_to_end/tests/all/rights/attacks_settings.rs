//! Whatever an ordinary role sets, by whatever way, the extension's settings and answers stay what they are.

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, set_session};
use workos_end_to_end::sql::{refusal, refused_as, text};
use workos_end_to_end::wire::Wire;
use workos_end_to_end::{Bed, Refusal};
use workos_testbed::Cluster;

/// A setting of the extension, and a value that it does not have.
#[derive(Debug)]
struct Setting {
    name: String,
    value: String,
    other: String,
    /// What refuses an ordinary role: 42501, or 55P02 for what stands in the configuration file alone.
    sqlstate: &'static str,
}

/// What the catalog says of every setting of ours. It does not show `session_token`, which has tests of its own.
async fn settings(admin: &Client) -> Vec<Setting> {
    // For the library to be there, and for ordinary roles to be asked about what only a superuser is shown.
    let see = "select auth.uid(); create or replace function public.shown(name text) returns text language sql security definer
        as 'select setting from pg_catalog.pg_settings as s where s.name = $1'";
    admin.batch_execute(see).await.unwrap();
    let sql =
        "select name, setting, context, case vartype when 'bool' then case setting when 'on' then 'off' else 'on' end
            when 'enum' then (select v from unnest(enumvals) v where v <> setting limit 1)
            when 'integer' then case setting when min_val then max_val else min_val end else '/planted' end
        from pg_settings where name like 'workos\\_auth.%' order by 1";
    let settings: Vec<Setting> = admin
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| Setting {
            name: row.get(0),
            value: row.get(1),
            sqlstate: match row.get(2) {
                "superuser" => "42501",
                "sighup" | "postmaster" => "55P02",
                other => panic!("{}: {other} may be set by more than a superuser", row.get::<_, &str>(0)),
            },
            other: row.get(3),
        })
        .collect();
    assert!(settings.len() > 20, "{settings:?}");
    assert!(settings.iter().all(|setting| setting.value != setting.other), "{settings:?}");
    settings
}

impl Setting {
    /// Gives the setting a value that is not the built-in one, as an administrator may: the value that it must keep, and
    /// one for an attacker to try.
    async fn administer(&self, bed: &Bed<'_>) -> (&str, &str) {
        if self.sqlstate != "42501" {
            return (&self.value, &self.other);
        }
        bed.set(&self.name, &self.other).await;
        (&self.other, &self.value)
    }

    async fn leave(&self, bed: &Bed<'_>) {
        if self.sqlstate == "42501" {
            bed.admin.batch_execute(&format!("alter database {} reset {}", bed.database, self.name)).await.unwrap();
        }
    }

    /// As a superuser would see it in this session.
    async fn is_unchanged(&self, what: &str, client: &Client) {
        let shown = text(client, &format!("select public.shown('{}')", self.name)).await.unwrap();
        assert_eq!(shown.as_deref(), Some(&*self.value), "{what}: {}", self.name);
    }
}

#[tokio::test]
async fn an_ordinary_role_changes_no_setting_of_a_session() {
    let bed = Bed::shared("settings").await;
    let mallory = bed.role("mallory", "").await;
    bed.admin.batch_execute(&format!("grant create on schema public to {mallory}")).await.unwrap();
    let session = bed.sign_in(ALICE).await;
    let client = bed.connect(&mallory).await;
    set_session(&client, &session.access_token, false).await.unwrap();
    client.batch_execute("create function public.mine() returns int language sql as 'select 1'").await.unwrap();
    for setting in settings(&bed.admin).await {
        let Setting { name, other, sqlstate, .. } = &setting;
        for (way, sql) in [
            ("SET", format!("set {name} = '{other}'")),
            ("SET SESSION", format!("set session {name} to '{other}'")),
            ("SET LOCAL", format!("begin; set local {name} = '{other}'")),
            ("quoted", format!("set \"{}\" = '{other}'", name.replace("workos_auth", "WorkOS_Auth"))),
            ("set_config", format!("select set_config('{name}', '{other}', false)")),
            ("set_config, local", format!("begin; select set_config('{name}', '{other}', true)")),
            ("set_config, upper case", format!("select set_config('{}', '{other}', false)", name.to_uppercase())),
            (
                "UPDATE pg_settings",
                format!(
                    "do $$ begin update pg_settings set setting = '{other}' where name = '{name}';
                if not found then raise insufficient_privilege; end if; end $$"
                ),
            ),
            ("RESET", format!("reset {name}")),
            ("SET TO DEFAULT", format!("set {name} to default")),
            (
                "CREATE FUNCTION … SET",
                format!("create function public.evil() returns int language sql set {name} = '{other}' as 'select 1'"),
            ),
            ("ALTER FUNCTION … SET", format!("alter function public.mine() set {name} = '{other}'")),
            (
                "CREATE FUNCTION … FROM CURRENT",
                format!("create function public.evil() returns int language sql set {name} from current as 'select 1'"),
            ),
            ("ALTER FUNCTION … FROM CURRENT", format!("alter function public.mine() set {name} from current")),
            (
                "CREATE PROCEDURE … SET",
                format!("create procedure public.evil() language sql set {name} = '{other}' as 'select 1'"),
            ),
            ("DO", format!("do $$ begin perform set_config('{name}', '{other}', false); end $$")),
            ("EXECUTE", format!("do $$ begin execute 'set {name} = ''{other}'''; end $$")),
        ] {
            let what = format!("{way}: {name}");
            let refusal = refusal_of(&what, client.batch_execute(&sql).await);
            // What nobody at all may see or set in a session is refused as one or the other.
            let right = [*sqlstate, "42501"].contains(&&*refusal.sqlstate);
            assert!(right, "{what}: {refusal}");
            client.batch_execute("rollback").await.unwrap();
            setting.is_unchanged(&what, &client).await;
        }
    }
    let planted = "select count(*) from pg_proc where proname = 'evil' or proname = 'mine' and proconfig is not null";
    assert_eq!(bed.count(planted).await, 0);
    // It is still Alice's.
    let alice = session.user_id.to_string();
    assert_eq!(text(&client, "select auth.uid()").await.unwrap(), Some(alice));
    refused_as(client.batch_execute("set workos_auth.check_session = off").await, "42602");
}

#[track_caller]
fn refusal_of<T>(what: &str, result: Result<T, tokio_postgres::Error>) -> Refusal {
    assert!(result.is_err(), "{what}: done");
    refusal(result)
}

#[tokio::test]
async fn an_ordinary_role_changes_no_setting_of_later_sessions() {
    let bed = Bed::shared("kept").await;
    let mallory = bed.role("mallory", "createrole").await;
    let victim = bed.role("victim", "").await;
    // Even the owner of the database sets only what everybody may.
    bed.admin.batch_execute(&format!("alter database {} owner to {mallory}", bed.database)).await.unwrap();
    let database = &bed.database;
    let kept = &bed.named(
        "select count(*) from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase
        where setconfig::text like '%workos_auth%' and coalesce(datname, 'DATABASE') = 'DATABASE'",
    );
    let before = bed.count(kept).await;
    for loaded in [true, false] {
        for setting in settings(&bed.admin).await {
            let Setting { name, other, sqlstate, .. } = &setting;
            for (way, sql) in [
                ("ALTER ROLE", format!("alter role {mallory} set {name} = '{other}'")),
                ("ALTER ROLE CURRENT_USER", format!("alter role current_user set {name} = '{other}'")),
                ("ALTER ROLE of another", format!("alter role {victim} set {name} = '{other}'")),
                (
                    "ALTER ROLE IN DATABASE",
                    format!("alter role {victim} in database {database} set {name} = '{other}'"),
                ),
                ("ALTER ROLE ALL", format!("alter role all set {name} = '{other}'")),
                ("ALTER ROLE FROM CURRENT", format!("alter role {mallory} set {name} from current")),
                ("ALTER DATABASE", format!("alter database {database} set {name} = '{other}'")),
                ("ALTER DATABASE FROM CURRENT", format!("alter database {database} set {name} from current")),
                ("ALTER SYSTEM", format!("alter system set {name} = '{other}'")),
                ("GRANT SET", format!("grant set on parameter {name} to {mallory}")),
            ] {
                let what = format!("{way}: {name}, loaded {loaded}");
                // Without the library its settings are names that nobody knows yet.
                let client = bed.connect(&mallory).await;
                if loaded {
                    client.batch_execute("select auth.uid()").await.unwrap();
                }
                let refusal = refusal_of(&what, client.batch_execute(&sql).await);
                // FROM CURRENT of a name that nobody knows yet has nothing to copy.
                let unknown = !loaded && way.contains("FROM CURRENT") && refusal.sqlstate == "42704";
                assert!(unknown || [*sqlstate, "42501"].contains(&&*refusal.sqlstate), "{what}: {refusal}");
            }
        }
    }
    assert_eq!(bed.count(kept).await, before);
    let fresh = bed.connect(&victim).await;
    fresh.batch_execute("select auth.uid()").await.unwrap();
    for setting in settings(&bed.admin).await {
        setting.is_unchanged("a new session", &fresh).await;
    }
}

#[tokio::test]
async fn nothing_is_planted_before_the_library_is_loaded() {
    let bed = Bed::shared("placeholders").await;
    let mallory = bed.role("mallory", "").await;
    // The library is loaded by a function that runs with a superuser's rights, or the extension's own.
    bed.admin
        .batch_execute(
            "create function public.loads() returns uuid language sql security definer as 'select auth.uid()'",
        )
        .await
        .unwrap();
    let loaders = [
        "select auth.uid()",
        "select public.loads()",
        "select auth.sign_out('a.b.c')",
        "begin; savepoint t; select auth.uid(); release t; commit",
    ];
    for setting in settings(&bed.admin).await {
        let name = &setting.name;
        let (kept, other) = setting.administer(&bed).await;
        for (way, sql) in [
            ("SET", format!("set {name} = '{other}'")),
            ("SET LOCAL", format!("begin; set local {name} = '{other}'")),
            ("SET in a subtransaction", format!("begin; savepoint s; set {name} = '{other}'; release s")),
            (
                "both",
                format!(
                    "set {name} = '{other}'; begin; set local {name} = '{other}'; savepoint s; set local {name} = '{other}'"
                ),
            ),
            ("set_config", format!("select set_config('{name}', '{other}', false)")),
        ] {
            for loader in loaders {
                let what = format!("{way}: {name}: {loader}");
                let client = bed.connect(&mallory).await;
                client.batch_execute(&sql).await.unwrap();
                match client.batch_execute(loader).await {
                    Ok(()) => {}
                    Err(error) => assert_eq!(refusal(Err::<(), _>(error)).sqlstate, "WA501", "{what}"),
                }
                client.batch_execute("rollback").await.unwrap();
                let shown = text(&client, &format!("select public.shown('{name}')")).await.unwrap();
                assert_eq!(shown.as_deref(), Some(kept), "{what}");
                assert_eq!(text(&client, "select auth.uid()").await.unwrap(), None, "{what}");
            }
        }
        for (way, sql) in [
            (
                "CREATE FUNCTION",
                format!("create function pg_temp.evil() returns int language sql set {name} = '{other}' as 'select 1'"),
            ),
            (
                "ALTER FUNCTION",
                format!(
                    "create function pg_temp.mine() returns int language sql as 'select 1'; alter function pg_temp.mine() set {name} = '{other}'"
                ),
            ),
        ] {
            let client = bed.connect(&mallory).await;
            let refusal = refusal_of(way, client.batch_execute(&sql).await);
            assert_eq!(refusal.sqlstate, "42501", "{way}: {name}: {refusal}");
        }
        setting.leave(&bed).await;
    }
}

#[tokio::test]
async fn nothing_is_planted_by_the_options_of_a_connection() {
    for (preload, configuration) in [("late", ""), ("early", "shared_preload_libraries = 'workos_auth'")] {
        let cluster = Cluster::start_with(&[configuration]).unwrap();
        let bed = Bed::new(&cluster, "options").await;
        let mallory = bed.role("mallory", "").await;
        for setting in settings(&bed.admin).await {
            let Setting { name, sqlstate, .. } = &setting;
            let (kept, other) = setting.administer(&bed).await;
            let options = format!("-c {name}={other}");
            let long = format!("--{}={other}", name.replace('_', "-"));
            for (way, parameter, value) in [
                ("PGOPTIONS", "options", options.as_bytes()),
                ("PGOPTIONS --", "options", long.as_bytes()),
                ("a start-up parameter", name.as_str(), other.as_bytes()),
            ] {
                let what = format!("{preload}, {way}: {name}");
                let (mut wire, hello) = Wire::connect(&cluster, "options", &mallory, &[(parameter, value)]).await;
                if let Some(refusal) = hello.refusal {
                    assert!(
                        [*sqlstate, "42501"].contains(&&*refusal.sqlstate) && preload == "early",
                        "{what}: {refusal}"
                    );
                    continue;
                }
                assert_eq!(preload, "late", "{what}");
                // Refused later, or without effect: never a value of the attacker's choice, and never the built-in one
                // where an administrator gave another.
                let answer = wire.query(b"select auth.uid()").await;
                match answer.refusal {
                    Some(refusal) => assert_eq!(refusal.sqlstate, "42501", "{what}: {refusal}"),
                    None => {
                        assert_eq!(answer.rows, ["NULL"], "{what}");
                        let shown = wire.query(format!("select public.shown('{name}')").as_bytes()).await.rows;
                        assert_eq!(shown, [kept], "{what}");
                    }
                }
            }
            setting.leave(&bed).await;
        }
        // A token is ignored there, whatever its bytes, and shown to nobody.
        let token = bed.sign_in(ALICE).await.access_token;
        let invalid = [token.as_bytes(), b"\xff\xfe"].concat();
        let option = |value: &[u8]| [b"-c workos_auth.session_token=", value].concat();
        for (way, parameter, value) in [
            ("PGOPTIONS", "options", option(token.as_bytes())),
            ("a start-up parameter", "workos_auth.session_token", token.clone().into_bytes()),
            ("PGOPTIONS, not UTF-8", "options", option(&invalid)),
            ("a start-up parameter, not UTF-8", "workos_auth.session_token", invalid.clone()),
        ] {
            let what = format!("{preload}, {way}");
            let (mut wire, hello) = Wire::connect(&cluster, "options", &mallory, &[(parameter, &value)]).await;
            assert_eq!(hello.refusal, None, "{what}");
            let answer = wire.query(b"select auth.uid()").await;
            assert_eq!((answer.refusal, answer.rows), (None, vec!["NULL".to_owned()]), "{what}");
            for warning in hello.warnings.iter().chain(&answer.warnings) {
                assert!(!warning.to_string().contains(&token[..12]), "{what}: {warning}");
            }
            wire.query(b"reset all").await;
            assert_eq!(wire.query(b"select auth.uid()").await.rows, ["NULL"], "{what}, after RESET ALL");
            wire.query(b"discard all").await;
            assert_eq!(wire.query(b"select auth.uid()").await.rows, ["NULL"], "{what}, after DISCARD ALL");
        }
        assert!(!cluster.log().unwrap().contains(&token[..40]), "{preload}: the log shows the token");
    }
}

#[tokio::test]
async fn a_definer_function_of_an_attacker_sets_nothing_for_a_superuser() {
    let bed = Bed::shared("definers").await;
    let mallory = bed.role("mallory", "").await;
    bed.admin.batch_execute(&format!("grant create on schema public to {mallory}")).await.unwrap();
    let client = bed.connect(&mallory).await;
    for setting in settings(&bed.admin).await {
        let Setting { name, other, sqlstate, .. } = &setting;
        let sql = format!(
            "create or replace function public.evil() returns text language plpgsql security definer as
             $$ begin return set_config('{name}', '{other}', false); end $$"
        );
        client.batch_execute(&sql).await.unwrap();
        let refusal = refusal_of(name, bed.admin.batch_execute("select public.evil()").await);
        assert_eq!(refusal.sqlstate, *sqlstate, "{name}: {refusal}");
        setting.is_unchanged("a definer function", &bed.admin).await;
    }
}
