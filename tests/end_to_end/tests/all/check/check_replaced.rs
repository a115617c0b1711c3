//! `auth.check()` of the extension's own objects: one that is not what was installed is reported, and its remedy restores it.

use workos_end_to_end::check::{Fault, Patient, Row, check};

use super::CLUSTER;

/// A fault that nobody can use by itself.
const fn of<'a>(plant: &'a str, rows: &'a [Row<'a>]) -> Fault<'a> {
    Fault { plant, rows, leak: "", clean: "" }
}

/// Statements that a member of the extension stays a member under, what is reported of each, and who gets at what by it.
const REPLACED: &[Fault<'_>] = &[
    // What "test bootstrap" scripts of many projects do.
    Fault {
        plant: "create or replace function auth.uid() returns uuid language sql stable
                as $$ select nullif(current_setting('app.uid', true), '')::uuid $$",
        rows: &[("error", "auth.uid()", "its language, library, parallel label, symbol or source.")],
        leak: "set app.uid = '00000000-0000-4000-8000-0000000000ad'; select from notes",
        clean: "",
    },
    Fault {
        plant: "create or replace function auth.uid() returns uuid language sql stable
                return nullif(current_setting('app.uid', true), '')::uuid",
        rows: &[("error", "auth.uid()", "symbol or source")],
        leak: "set app.uid = '00000000-0000-4000-8000-0000000000ad'; select from notes",
        clean: "",
    },
    // Another of the library's own symbols.
    of(
        "create or replace function auth.uid() returns uuid language c stable parallel safe
         as '$libdir/workos_auth', 'workos_auth_session_id'",
        &[("error", "auth.uid()", "installed: its symbol or source.")],
    ),
    of(
        "create or replace function auth.uid() returns uuid language internal stable parallel safe as 'gen_random_uuid'",
        &[("error", "auth.uid()", "its language, library, symbol or source.")],
    ),
    of("alter function auth.uid() immutable", &[("error", "auth.uid()", "its volatility.")]),
    of("alter function auth.role() parallel unsafe", &[("error", "auth.role()", "its parallel label.")]),
    of("alter function auth.jwt() security definer", &[("error", "auth.jwt()", "its SECURITY DEFINER.")]),
    of("alter function auth.email() strict", &[("error", "auth.email()", "its strictness.")]),
    of("alter function auth.uid() leakproof", &[("error", "auth.uid()", "its leakproofness.")]),
    of("alter function auth.uid() set search_path = public", &[("error", "auth.uid()", "its settings.")]),
    of(
        "alter function auth.sign_out(text, text) reset search_path; alter function auth.ban_user(uuid, timestamptz) set search_path = public",
        &[
            ("error", "auth.ban_user(uuid,timestamp with time zone)", "its settings."),
            ("error", "auth.sign_out(text,text)", "its settings."),
        ],
    ),
    of(
        "alter function auth.email() support text_starts_with_support",
        &[("error", "auth.email()", "its support function.")],
    ),
    of(
        "create or replace function auth.set_session(access_token text, is_local boolean default false) returns jsonb
         language c volatile parallel unsafe as '$libdir/workos_auth', 'set_session_wrapper'",
        &[("error", "auth.set_session(text,boolean)", "its defaults.")],
    ),
    of(
        "create or replace function auth.check_hook() returns trigger language plpgsql as 'begin return new; end'",
        &[("error", "auth.check_hook()", "language")],
    ),
    of(
        "create or replace function auth.check_roles(out severity text, out object text, out finding text, out remedy text) returns setof record
         language sql stable parallel restricted rows 20 set search_path = pg_catalog, pg_temp set quote_all_identifiers = off set standard_conforming_strings = on set jit = off
         as 'select null, null, null, null limit 0'",
        &[("error", "auth.check_roles()", "its symbol or source.")],
    ),
    of(
        "create or replace view auth.error_codes as select e.sqlstate, e.name, e.http_status, e.meaning from auth.error_codes() as e where false",
        &[("error", "auth.error_codes", "This view of the extension is not as it was installed: its text.")],
    ),
    of(
        "alter view auth.error_codes set (security_barrier = true)",
        &[("error", "auth.error_codes", "its options.")],
    ),
    // Policies, triggers, indexes, constraints and columns are the tables', not the extension's: they can be dropped.
    of(
        "alter policy administrators on auth.redirect_urls using (true)",
        &[("error", "administrators ON auth.redirect_urls", "This policy of the extension is not as it was installed: its text.")],
    ),
    of(
        "alter policy administrators on auth.hooks with check (true)",
        &[("error", "administrators ON auth.hooks", "its text.")],
    ),
    of(
        "alter policy administrators on auth.audit_log_entries to PEOPLE",
        &[("error", "administrators ON auth.audit_log_entries", "its roles.")],
    ),
    of(
        "drop policy administrators on auth.audit_log_entries; create policy administrators on auth.audit_log_entries using (
             pg_catalog.has_function_privilege(current_user, 'auth.configure_workos(text, text, text, text, text, boolean)', 'execute'))",
        &[("error", "administrators ON auth.audit_log_entries", "its command, text.")],
    ),
    of(
        "drop policy administrators on auth.redirect_urls",
        &[("error", "administrators ON auth.redirect_urls", "This policy of the extension is gone.")],
    ),
    of(
        "create or replace trigger check_hook before insert or update on auth.hooks for each row execute function nothing()",
        &[("error", "check_hook ON auth.hooks", "its function.")],
    ),
    of(
        "create or replace trigger check_hook before insert or update on auth.hooks for each row when (new.event <> 'token')
             execute function auth.check_hook()",
        &[("error", "check_hook ON auth.hooks", "its condition.")],
    ),
    of(
        "create or replace trigger check_redirect_url before insert on auth.redirect_urls for each row execute function auth.check_redirect_url()",
        &[("error", "check_redirect_url ON auth.redirect_urls", "its columns, time.")],
    ),
    of(
        "drop trigger forget_cached_rows_truncated on auth.sessions; drop trigger audit_configuration on auth.hooks",
        &[
            ("error", "audit_configuration ON auth.hooks", "This trigger of the extension is gone."),
            ("error", "forget_cached_rows_truncated ON auth.sessions", "This trigger of the extension is gone."),
        ],
    ),
    of(
        "drop index auth.sessions_user_id_idx, auth.users_email_key; create index sessions_user_id_idx on auth.sessions (id)",
        &[
            ("error", "auth.users_email_key", "This index of the extension is gone."),
            ("warning", "auth.sessions_user_id_idx", "its columns, text."),
        ],
    ),
    of(
        "alter table auth.sessions drop constraint sessions_user_id_fkey; alter table auth.redirect_urls drop constraint redirect_urls_pkey;
         alter table auth.hooks drop constraint hooks_event_check",
        &[
            ("error", "hooks_event_check ON auth.hooks", "This table constraint of the extension is gone."),
            ("error", "redirect_urls_pkey ON auth.redirect_urls", "gone."),
            ("error", "sessions_user_id_fkey ON auth.sessions", "gone."),
        ],
    ),
    of(
        "alter table auth.sessions alter constraint sessions_user_id_fkey deferrable initially deferred;
         alter table auth.identities drop constraint identities_user_id_fkey,
             add constraint identities_user_id_fkey foreign key (user_id) references auth.users (id) on delete set null",
        &[
            ("error", "identities_user_id_fkey ON auth.identities", "its actions, text."),
            ("error", "sessions_user_id_fkey ON auth.sessions", "its deferrability, text."),
        ],
    ),
    of(
        "alter table auth.redirect_urls alter column created_by set default 'nobody', alter column created_by drop not null",
        &[("warning", "auth.redirect_urls.created_by", "its NOT NULL, text.")],
    ),
];

async fn patient(name: &str) -> Patient<'static> {
    let patient = Patient::new(&CLUSTER, name).await;
    patient
        .run(
            "create function nothing() returns trigger language plpgsql as 'begin return new; end';
             create table notes (owner uuid, line text); alter table notes enable row level security;
             create policy mine on notes for select using (owner = auth.uid()); grant select on notes to PEOPLE;
             insert into notes values ('00000000-0000-4000-8000-0000000000ad', 'hers alone')",
        )
        .await;
    patient
}

#[tokio::test]
async fn what_was_replaced_is_found_and_restored() {
    let patient = patient("check_replaced").await;
    let members = "select md5(string_agg(to_jsonb(m)::text, '' order by kind collate \"C\", identity collate \"C\"))
        from (select kind, identity, state, printed, restore from auth.check_members()) as m";
    let before: String = patient.bed.admin.query_one(members, &[]).await.unwrap().get(0);
    for fault in REPLACED {
        patient.is_mended_of(fault).await;
        let after: String = patient.bed.admin.query_one(members, &[]).await.unwrap().get(0);
        assert_eq!(after, before, "not what it was: {}", fault.plant);
    }
    // What an administrator may not do by a policy that was opened, they may not do afterwards.
    let operator = patient.bed.role("stranger", "").await;
    patient.run(&format!("grant select, insert on auth.redirect_urls to {operator}")).await;
    patient.run("alter policy administrators on auth.redirect_urls using (true)").await;
    let insert = "insert into auth.redirect_urls values ('https://evil.example/**')";
    let client = patient.bed.connect(&operator).await;
    client.execute(insert, &[]).await.unwrap();
    patient.run("delete from auth.redirect_urls").await;
    for finding in check(&patient.bed.admin).await {
        patient.remedy(&finding).await;
    }
    patient.is_sound("the policy and the rights").await;
    client.execute(insert, &[]).await.unwrap_err();
}

#[tokio::test]
async fn functions_that_left_the_extension_come_back() {
    let patient = patient("check_gone").await;
    for (plant, rows) in [
        // Only the membership.
        (
            "alter extension workos_auth drop function auth.jwks()",
            &[("error", "auth.jwks()", "This function of the extension is gone.")][..],
        ),
        ("alter extension workos_auth drop function auth.jwks(); drop function auth.jwks()", &[("error", "auth.jwks()", "gone.")]),
        // Another in its place.
        (
            "alter extension workos_auth drop function auth.verify_token(text); drop function auth.verify_token(text);
             create function auth.verify_token(text) returns jsonb language sql as 'select jsonb_build_object(''sub'', $1)'",
            &[("error", "auth.verify_token(text)", "gone.")],
        ),
        (
            "create or replace view auth.error_codes as select e.*, current_user as who from auth.error_codes() as e",
            &[("error", "auth.error_codes", "its columns, text.")],
        ),
        (
            "alter extension workos_auth drop view auth.error_codes; drop view auth.error_codes",
            &[("error", "auth.error_codes", "This view of the extension is gone.")],
        ),
    ] {
        patient.run(plant).await;
        let findings = patient.shows(rows, plant).await;
        // What can only be dropped and made again loses its rights too.
        if plant.contains("create function") {
            // A function with other names of arguments cannot be replaced, only dropped.
            patient.run("drop function auth.verify_token(text)").await;
        }
        patient.remedy(&findings[0]).await;
        // What was made anew is nobody's but the owner's, until the rights are given, which is the next remedy.
        for finding in check(&patient.bed.admin).await {
            assert!(finding.finding.starts_with("Everybody lacks"), "{finding:#?}");
            patient.remedy(&finding).await;
        }
        patient.is_sound(plant).await;
    }
}

#[tokio::test]
async fn foreign_keys_between_the_extensions_tables_fire() {
    let patient = patient("check_internal").await;
    patient.run("alter table auth.identities disable trigger all").await;
    let findings = check(&patient.bed.admin).await;
    assert!(findings.len() > 3, "{findings:#?}");
    for finding in &findings {
        let what = match finding.object.split(' ').next() {
            Some("restore_begins" | "restore_ends") => "a restore fails",
            Some("fill_in_defaults") => "NULL is refused",
            Some("identity_left") => "a token from before",
            Some("keep_feeds_apart" | "keep_feeds_apart_truncated") => "a verifier takes",
            _ => "rows stay behind",
        };
        assert!(finding.finding.contains(&format!("does not always fire: {what}")), "{finding:#?}");
        patient.remedy(finding).await;
    }
    patient.is_sound("they fire").await;
    // An application's own foreign key is its own business.
    patient
        .stays_sound(
            "create table t (id uuid references auth.users (id)); alter table t disable trigger all",
            "drop table t",
        )
        .await;
}
