//! Who tries to get at another person's token.

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, set_session};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refusal, text};

/// What gives a token away: any part of it but the header, which says nothing.
fn secrets(token: &str) -> Vec<String> {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let payload = signed.split_once('.').unwrap().1;
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parts = [&payload[..24], &payload[payload.len() - 24..], &signature[..24], &signature[signature.len() - 24..]];
    parts.iter().flat_map(|part| [(*part).to_owned(), hex(part)]).collect()
}

fn is_hidden(what: &str, text: &str, token: &str) {
    for secret in secrets(token) {
        assert!(!text.contains(&secret), "{what} shows the token");
    }
}

/// Everything that a function could look at or have written down. DATABASE stands for the database's name.
const ATTEMPTS: &[&str] = &[
    "select current_setting('workos_auth.session_token')",
    "select current_setting('workos_auth.session_token', true)",
    "select current_setting('WorkOS_Auth.Session_Token', true)",
    "show workos_auth.session_token",
    "show all",
    "select string_agg(s::text, ' ') from pg_settings s",
    "select string_agg(s::text, ' ') from pg_show_all_settings() s",
    "select string_agg(s::text, ' ') from pg_file_settings s",
    "select string_agg(s::text, ' ') from pg_db_role_setting s",
    "update pg_settings set setting = setting where name like 'workos_auth.s%' returning 'x'",
    "create function pg_temp.thief() returns text language sql set workos_auth.session_token from current as 'select 1::text'",
    "create procedure pg_temp.thief() language sql set workos_auth.session_token from current as 'select 1'",
    "alter function public.harmless() set workos_auth.session_token from current",
    "alter role current_user set workos_auth.session_token from current",
    "alter role current_user in database DATABASE set workos_auth.session_token from current",
    "alter database DATABASE set workos_auth.session_token from current",
    "select current_query()",
    "select string_agg(a::text, ' ') from pg_stat_activity a",
    "select string_agg(a::text, ' ') from pg_stat_get_activity(null) a",
    "select string_agg(a::text, ' ') from pg_prepared_statements a",
    "select string_agg(a::text, ' ') from pg_cursors a",
    "select string_agg(a::text, ' ') from pg_backend_memory_contexts a",
    "select string_agg(p.proconfig::text, ' ') from pg_proc p",
    "select string_agg(p.prosrc, ' ') from pg_proc p",
    "explain (verbose, settings) select auth.uid()",
    "explain (analyze, verbose, settings) select auth.session_claims()",
    "select query_to_xml('show workos_auth.session_token', true, true, '')::text",
    "select query_to_xml('select * from pg_settings', true, true, '')::text",
    "select set_config('workos_auth.session_token', current_setting('workos_auth.session_token'), false)",
    "select auth.session_claims()::text || auth.jwt()::text",
    "select pg_read_file('postmaster.opts')",
    "select pg_ls_dir('.')::text",
    "copy (select 1) to program 'cat /proc/$PPID/environ'",
    "load '$libdir/workos_auth'",
    "create function pg_temp.c() returns text language c as '$libdir/workos_auth', 'uid_wrapper'",
];

/// A function of an attacker's that runs in a victim's session, and writes down whatever it can get at.
fn spy(attempts: &[&str], rights: &str) -> String {
    let attempts = attempts.iter().map(|attempt| format!("$a${attempt}$a$")).collect::<Vec<_>>().join(", ");
    format!(
        "create table public.loot (attempt text, outcome text); grant all on public.loot to public;
         create function public.harmless() returns int language sql as 'select 1';
         create function public.spy() returns trigger language plpgsql {rights} as $$
         declare attempt text; got text; said text; detail text; hint text; context text;
         begin
             insert into public.loot values ('who', current_user || ' ' || coalesce(auth.uid()::text, 'nobody'));
             foreach attempt in array array[{attempts}] loop
                 begin
                     got := null;
                     execute attempt into got;
                     insert into public.loot values (attempt, coalesce(got, 'nothing'));
                 exception when others then
                     get stacked diagnostics said = message_text, detail = pg_exception_detail, hint = pg_exception_hint,
                         context = pg_exception_context;
                     insert into public.loot values (attempt, sqlstate || ' ' || said || detail || hint || context);
                 end;
             end loop;
             return new;
         end $$"
    )
}

/// The tables of an attacker's, a table of the attacker's that a victim writes to, and the victim.
async fn trap(bed: &Bed<'_>, rights: &str, attributes: &str) -> (String, Client) {
    let mallory = bed.role("mallory", attributes).await;
    let victim = bed.role("victim", "").await;
    bed.admin.batch_execute(&format!("grant create on schema public to {mallory}")).await.unwrap();
    let client = bed.connect(&mallory).await;
    client.batch_execute(&bed.named(&spy(ATTEMPTS, rights))).await.unwrap();
    client
        .batch_execute(
            "create table public.guestbook (entry text); grant all on public.guestbook to public;
             create trigger spy before insert on public.guestbook for each row execute function public.spy()",
        )
        .await
        .unwrap();
    (mallory, bed.connect(&victim).await)
}

#[tokio::test]
async fn a_trigger_of_a_colleague_s_finds_no_token() {
    for (database, rights) in [("reading", "security invoker"), ("reading_as_definer", "security definer")] {
        case!(database, rights);
        let bed = Bed::shared(database).await;
        let (mallory, victim) = trap(&bed, rights, "").await;
        let alice = bed.sign_in(ALICE).await;
        set_session(&victim, &alice.access_token, false).await.unwrap();
        // A token set by a prepared statement, too.
        let set = victim.prepare("select auth.set_session($1, true)").await.unwrap();
        victim.batch_execute("begin").await.unwrap();
        victim.query_one(&set, &[&alice.access_token]).await.unwrap();
        victim.execute("insert into public.guestbook values ($1)", &[&"hello"]).await.unwrap();
        victim.batch_execute("commit").await.unwrap();

        let loot = bed.admin.query("select attempt, outcome from public.loot", &[]).await.unwrap();
        let loot: Vec<(String, String)> = loot.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(loot.len(), ATTEMPTS.len() + 1, "{loot:?}");
        // It sees who is signed in, for that is what triggers are for.
        let whom = if rights.ends_with("invoker") { bed.named("DATABASE_victim") } else { mallory };
        assert_eq!(loot[0].1, format!("{whom} {}", alice.user_id));
        for (attempt, outcome) in &loot {
            is_hidden(attempt, outcome, &alice.access_token);
            let names_it = attempt.to_lowercase().contains("session_token");
            assert!(
                !names_it || ["42501", "42704"].iter().any(|code| outcome.starts_with(code)),
                "{attempt}: {outcome}"
            );
        }
        for sql in [
            "select string_agg(p::text, ' ') from pg_proc p",
            "select string_agg(s::text, ' ') from pg_db_role_setting s",
        ] {
            is_hidden(sql, &text(&bed.admin, sql).await.unwrap().unwrap_or_default(), &alice.access_token);
        }
        is_hidden("the log", &bed.log(), &alice.access_token);
    }
}

/// Monitoring roles see settings that other roles do not; a token is not one for them.
#[tokio::test]
async fn monitoring_is_shown_no_token() {
    let bed = Bed::shared("monitored").await;
    let (mallory, victim) = trap(&bed, "security definer", "").await;
    bed.admin
        .batch_execute(&format!(
            "grant pg_monitor, pg_read_all_settings, pg_read_all_stats, pg_read_all_data to {mallory}"
        ))
        .await
        .unwrap();
    let alice = bed.sign_in(ALICE).await;
    set_session(&victim, &alice.access_token, false).await.unwrap();
    victim.execute("insert into public.guestbook values ($1)", &[&"hello"]).await.unwrap();
    let monitor = bed.connect(&mallory).await;
    set_session(&monitor, &alice.access_token, false).await.unwrap();
    for attempt in ATTEMPTS {
        if let Ok(shown) = lines(&monitor, &bed.named(attempt)).await {
            is_hidden(attempt, &shown.join("\n"), &alice.access_token);
        }
    }
    for row in bed.admin.query("select attempt, outcome from public.loot", &[]).await.unwrap() {
        is_hidden(row.get(0), row.get(1), &alice.access_token);
    }
}

#[tokio::test]
async fn other_connections_see_no_token() {
    let bed = Bed::shared("activity").await;
    let app = bed.role("app", "").await;
    let monitor = bed.role("monitor", "").await;
    bed.admin.batch_execute(&format!("grant pg_monitor to {monitor}")).await.unwrap();
    let alice = bed.sign_in(ALICE).await;
    let victim = bed.connect(&app).await;
    // The last query of a connection stays in sight as long as it idles.
    for call in ["select auth.verify_token($1)", "select auth.set_session($1, false)"] {
        victim.query_one(call, &[&alice.access_token]).await.unwrap();
        for role in [app.as_str(), &monitor, "postgres"] {
            let other = bed.connect(role).await;
            let activity = lines(&other, "select * from pg_stat_activity").await.unwrap().join("\n");
            assert_eq!(activity.contains(call), role != "nobody", "{role}: {activity}");
            is_hidden(&format!("pg_stat_activity to {role}"), &activity, &alice.access_token);
            for sql in [
                "select * from pg_settings",
                "show all",
                "select * from pg_prepared_statements",
                "select * from pg_locks",
            ] {
                is_hidden(sql, &lines(&other, sql).await.unwrap().join("\n"), &alice.access_token);
            }
            // The setting is the connection's own.
            assert_eq!(text(&other, "select auth.uid()").await.unwrap(), None, "{role}");
        }
    }
    let stranger = bed.role("stranger", "").await;
    let activity = lines(&bed.connect(&stranger).await, "select * from pg_stat_activity").await.unwrap().join("\n");
    assert!(!activity.contains("set_session"), "{activity}");
}

/// A function may bring a session of its own, and takes it away again.
#[tokio::test]
async fn a_function_with_a_token_of_its_own_changes_nobody_s_session() {
    let bed = Bed::shared("planters").await;
    let mallory = bed.role("mallory", "").await;
    let victim = bed.role("victim", "").await;
    bed.admin.batch_execute(&format!("grant create on schema public to {mallory}")).await.unwrap();
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(workos_end_to_end::BOB).await);
    let planter = bed.connect(&mallory).await;
    let sql = format!(
        "select auth.uid();
         create function public.whoami() returns text language plpgsql set workos_auth.session_token = '{0}' as 'begin return auth.uid(); end';
         create function public.fails() returns text language plpgsql as 'begin raise division_by_zero; end';
         alter function public.fails() set workos_auth.session_token = '{0}';
         create function public.nobody() returns text language plpgsql set workos_auth.session_token = '' as 'begin return coalesce(auth.uid()::text, ''nobody''); end';
         create function public.forger() returns text language plpgsql set workos_auth.session_token = 'forged' as 'begin return auth.uid(); end'",
        bob.access_token
    );
    planter.batch_execute(&sql).await.unwrap();
    let client = bed.connect(&victim).await;
    set_session(&client, &alice.access_token, false).await.unwrap();
    let uid = async || text(&client, "select auth.uid()").await.unwrap();
    let me = Some(alice.user_id.to_string());
    assert_eq!(text(&client, "select public.whoami()").await.unwrap(), Some(bob.user_id.to_string()));
    assert_eq!(uid().await, me);
    refusal(client.batch_execute("select public.fails()").await);
    assert_eq!(uid().await, me);
    assert_eq!(text(&client, "select public.nobody()").await.unwrap().as_deref(), Some("nobody"));
    assert_eq!(uid().await, me);
    workos_end_to_end::refused(client.batch_execute("select public.forger()").await, "bad_jwt");
    assert_eq!(uid().await, me);
    let caught = "do $$ begin begin perform public.forger(); exception when others then null; end;
        begin perform public.fails(); exception when others then null; end;
        if auth.email() <> 'alice@acme.com' then raise 'another session'; end if; end $$";
    client.batch_execute(caught).await.unwrap();
    assert_eq!(uid().await, me);
}
