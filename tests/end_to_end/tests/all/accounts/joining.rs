//! `auth.move_identity` and `auth.merge_users`: an administrator gives an account back, and nothing is lost.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::bed::{ALICE, ANNA, BOB, is_good, reader};
use workos_end_to_end::made::{self, administrator};
use workos_end_to_end::racing::LEVELS;
use workos_end_to_end::sql::{Refusal, lines, refused, refused_as, text};
use workos_end_to_end::{Bed, Session};

async fn identity(bed: &Bed<'_>, profile: &str) -> Uuid {
    let sql = "select id from auth.identities where provider_id = $1";
    bed.admin.query_one(sql, &[&profile]).await.unwrap().get(0)
}

async fn moves(client: &Client, identity: Uuid, organization: &str) -> Result<(), tokio_postgres::Error> {
    let sql = "select auth.move_identity(identity_id => $1, organization => $2)";
    client.execute(sql, &[&identity, &organization]).await.map(drop)
}

async fn merges(client: &Client, from: Uuid, into: Uuid) -> Result<(), tokio_postgres::Error> {
    client.execute("select auth.merge_users(from_user => $1, into_user => $2)", &[&from, &into]).await.map(drop)
}

async fn know(bed: &Bed<'_>, organization: &str) {
    let sql = "insert into auth.organizations (id) values ($1) on conflict do nothing";
    bed.admin.execute(sql, &[&organization]).await.unwrap();
}

async fn audited(bed: &Bed<'_>, action: &str) -> Vec<(Option<Uuid>, Option<String>, Value)> {
    let sql = "select user_id, organization_id, payload from auth.audit_log_entries where action = $1 order by created_at, id";
    let rows = bed.admin.query(sql, &[&action]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn owners(bed: &Bed<'_>) -> Vec<String> {
    lines(&bed.admin, "select provider_id, user_id from auth.identities order by 1").await.unwrap()
}

#[tokio::test]
async fn an_identity_moves_and_the_account_stays() {
    let at = Accounts::new("moves", &[]).await;
    let admin = administrator(&at.bed).await;
    let ann = at.signs_in("prof_1", "conn_acme", "ann@acme.com", "ann").await;
    let other = at.signs_in("prof_2", "conn_acme", "bea@acme.com", "bea").await;
    let app = at.bed.role("app", "").await;
    let (first, second) = (reader(&at.bed, &app, &ann).await, reader(&at.bed, &app, &other).await);
    let refusal = at.is_refused("prof_1", "conn_globex", "ann@acme.com", "ann", "identity_organization_changed").await;
    let id = identity(&at.bed, "prof_1").await;
    assert!(refusal.detail.contains(&id.to_string()) && refusal.hint.contains("auth.move_identity"), "{refusal}");
    let unknown = refused(moves(&admin, id, "org_globex").await, "organization_not_found");
    assert!(unknown.hint.contains("INSERT INTO auth.organizations"), "{unknown}");
    admin.batch_execute("insert into auth.organizations (id) values ('org_globex')").await.unwrap();

    moves(&admin, id, "org_globex").await.unwrap();
    // What the old organization vouched for ends; a colleague's does not.
    refused(first.batch_execute("select auth.uid()").await, "session_not_found");
    is_good(&second, &other).await;
    let members = "select organization_id from auth.organization_memberships where user_id = ";
    assert_eq!(lines(&at.bed.admin, &format!("{members}'{}'", ann.user_id)).await.unwrap(), [""; 0]);
    assert_eq!(at.email(ann.user_id).await, None, "the old organization said it");
    let payload = json!({
        "provider": "workos", "provider_id": "prof_1", "identity_id": id, "old_organization_id": "org_acme", "sessions": 1,
    });
    let entry = (Some(ann.user_id), Some("org_globex".to_owned()), payload);
    assert_eq!(audited(&at.bed, "identity_moved").await, [entry]);
    // Once more is nothing.
    let before = at.bed.contents().await;
    moves(&admin, id, "org_globex").await.unwrap();
    assert_eq!(at.bed.contents().await, before);

    let again = at.signs_in("prof_1", "conn_globex", "ann@acme.com", "ann").await;
    assert_eq!((again.user_id, again.is_new_user), (ann.user_id, false));
    assert_eq!(again.organization_id.as_deref(), Some("org_globex"));
    assert_eq!(at.email(ann.user_id).await.as_deref(), Some("ann@acme.com"));
    assert_eq!(lines(&at.bed.admin, &format!("{members}'{}'", ann.user_id)).await.unwrap(), ["org_globex"]);
    // It comes from the old organization no more.
    at.is_refused("prof_1", "conn_acme", "ann@acme.com", "ann", "identity_organization_changed").await;
}

#[tokio::test]
async fn an_account_is_not_put_into_two_organizations() {
    let at = Accounts::new("two", &[]).await;
    let admin = administrator(&at.bed).await;
    let ann = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    let again = at.signs_in("prof_2", GOOGLE, "ann@initech.com", "ann").await;
    assert_eq!(ann.user_id, again.user_id, "Okta was replaced");
    know(&at.bed, "org_globex").await;
    let (first, second) = (identity(&at.bed, "prof_1").await, identity(&at.bed, "prof_2").await);
    let before = at.bed.contents().await;
    let refusal = refused(moves(&admin, first, "org_globex").await, "cross_organization_link_disabled");
    assert!(refusal.hint.contains("link_across_organizations = on for this transaction"), "{refusal}");
    assert_eq!(at.bed.contents().await, before);
    // An administrator does not say so themselves.
    refused_as(admin.batch_execute("set workos_auth.link_across_organizations = on").await, "42501");
    at.bed.admin.batch_execute("set workos_auth.link_across_organizations = on").await.unwrap();
    moves(&at.bed.admin, first, "org_globex").await.unwrap();
    // Another identity leads to the old organization still: its session and the membership stay.
    assert_eq!((at.lives(&ann).await, at.lives(&again).await), (false, true));
    assert_eq!(at.bed.count("select count(*) from auth.organization_memberships").await, 1);
    moves(&at.bed.admin, second, "org_globex").await.unwrap();
    assert!(!at.lives(&again).await);
    assert_eq!(at.bed.count("select count(*) from auth.organization_memberships").await, 0);
    let organizations = "select distinct organization_id from auth.identities";
    assert_eq!(lines(&at.bed.admin, organizations).await.unwrap(), ["org_globex"]);
}

#[tokio::test]
async fn moving_waits_for_a_sign_in_under_way() {
    let bed = Bed::shared("under_way").await;
    let admin = administrator(&bed).await;
    let alice = bed.sign_in(ALICE).await;
    know(&bed, "org_globex").await;
    let profile = text(&bed.admin, "select provider_id from auth.identities").await.unwrap().unwrap();
    let id = identity(&bed, &profile).await;
    let app = bed.backend().await;
    app.batch_execute("begin").await.unwrap();
    let late = workos_end_to_end::sign_in(&app, ALICE).await;
    let (moved, ()) = tokio::join!(moves(&admin, id, "org_globex"), async {
        bed.until_waiting(1).await;
        app.batch_execute("commit").await.unwrap();
    });
    moved.unwrap();
    assert_eq!(late.user_id, alice.user_id);
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0, "its session has ended too");
}

/// The simulator picks people by their address: a profile that shares it with another one has to leave it.
fn leaves(at: &Accounts, profile: &str, idp_id: &str) {
    at.put(profile, OKTA, &format!("{profile}@gone.example"), idp_id);
}

/// Two accounts of one person, by an identity provider that gave them another id; the first has the rows of the application.
async fn twice(at: &Accounts) -> (Session, Session) {
    let old = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann-1").await;
    leaves(at, "prof_1", "ann-1");
    let new = at.signs_in("prof_2", OKTA, "ann@initech.com", "ann-2").await;
    assert_ne!(old.user_id, new.user_id);
    (old, new)
}

#[tokio::test]
async fn two_accounts_become_one() {
    let at = Accounts::new("merged", &[]).await;
    let admin = administrator(&at.bed).await;
    let (old, new) = twice(&at).await;
    let alive = at.signs_in("prof_1", OKTA, "left@initech.com", "ann-1").await;
    let app = at.bed.role("app", "").await;
    let (of_old, of_new) = (reader(&at.bed, &app, &alive).await, reader(&at.bed, &app, &new).await);
    at.admin("update auth.users set email = null where email = 'left@initech.com'").await;
    merges(&admin, new.user_id, old.user_id).await.unwrap();
    refused(of_new.batch_execute("select auth.uid()").await, "session_not_found");
    // Its address has changed, so a refresh is due.
    refused(of_old.batch_execute("select auth.uid()").await, "session_stale");
    assert_eq!(at.users().await, 1);
    assert_eq!(owners(&at.bed).await, [format!("prof_1|{}", old.user_id), format!("prof_2|{}", old.user_id)]);
    assert_eq!(at.email(old.user_id).await.as_deref(), Some("ann@initech.com"));
    let payload = json!({
        "from_user": new.user_id, "email": "ann@initech.com", "identities": 1, "memberships": 0, "sessions": 1,
    });
    assert_eq!(audited(&at.bed, "users_merged").await, [(Some(old.user_id), None, payload)]);
    // Both profiles lead into it from now on.
    for (profile, idp_id, other) in [("prof_1", "ann-1", ("prof_2", "ann-2")), ("prof_2", "ann-2", ("prof_1", "ann-1"))]
    {
        leaves(&at, other.0, other.1);
        let session = at.signs_in(profile, OKTA, "ann@initech.com", idp_id).await;
        assert_eq!((session.user_id, session.is_new_user), (old.user_id, false), "{profile}");
    }
}

#[tokio::test]
async fn memberships_come_along_and_addresses_where_there_is_none() {
    let bed = Bed::shared("memberships").await;
    let admin = administrator(&bed).await;
    let anna = bed.sign_in(ANNA).await;
    let made = made::create(&bed.admin, "anna@home.example", Some("org_acme")).await;
    bed.admin
        .batch_execute(&format!(
            "update auth.users set phone = '4711' where id = '{made}';
             update auth.organization_memberships set role = 'owner', permissions = '{{all}}' where user_id = '{made}'"
        ))
        .await
        .unwrap();
    merges(&admin, made, anna.user_id).await.unwrap();
    let sql = "select organization_id, role, permissions from auth.organization_memberships";
    assert_eq!(lines(&bed.admin, sql).await.unwrap(), ["org_acme|member|{}"], "what is said of into_user counts");
    let sql = "select email, phone, banned_until from auth.users";
    assert_eq!(lines(&bed.admin, sql).await.unwrap(), ["anna@acme.com|4711|NULL"]);

    // The other way round: an account that an administrator made takes over what a profile leads to.
    let made = made::create(&bed.admin, "anna@office.example", None).await;
    merges(&admin, anna.user_id, made).await.unwrap();
    let sql = "select u.email, u.phone, m.organization_id, u.is_sso_user, u.raw_app_meta_data -> 'providers'
        from auth.users u join auth.organization_memberships m on m.user_id = u.id";
    assert_eq!(lines(&bed.admin, sql).await.unwrap(), [r#"anna@office.example|4711|org_acme|t|["custom", "workos"]"#]);
    let again = bed.sign_in(ANNA).await;
    assert_eq!((again.user_id, again.is_new_user), (made, false));
}

#[tokio::test]
async fn a_ban_of_either_is_a_ban_of_both() {
    let at = Accounts::new("bans", &[]).await;
    let admin = administrator(&at.bed).await;
    for (name, of_from, of_into, expected) in [
        ("from", "2999-01-01", "", "2999-01-01"),
        ("into", "", "2999-01-01", "2999-01-01"),
        ("later", "2999-01-01", "3000-01-01", "3000-01-01"),
        ("earlier", "3000-01-01", "2999-01-01", "3000-01-01"),
        ("for ever", "infinity", "2999-01-01", "infinity"),
        ("over", "2001-01-01", "", ""),
    ] {
        let (from, into) = (
            made::create(&at.bed.admin, &format!("{}@from.example", name.replace(' ', "")), None).await,
            made::create(&at.bed.admin, &format!("{}@into.example", name.replace(' ', "")), None).await,
        );
        let sessions = "insert into auth.sessions (id, user_id) values (gen_random_uuid(), $1)";
        for (user, until) in [(from, of_from), (into, of_into)] {
            let sql =
                "update auth.users set banned_until = nullif($2::text, '')::timestamp at time zone 'utc' where id = $1";
            at.bed.admin.execute(sql, &[&user, &until]).await.unwrap();
            at.bed.admin.execute(sessions, &[&user]).await.unwrap();
        }
        merges(&admin, from, into).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let sql = format!(
            "select coalesce(to_char(banned_until at time zone 'utc', 'YYYY-MM-DD'), banned_until::text, '') from auth.users where id = '{into}'"
        );
        let until = text(&at.bed.admin, &sql).await.unwrap();
        let is_over = name == "over";
        assert_eq!(until.as_deref(), Some(if is_over { of_from } else { expected }), "{name}");
        let left = at.bed.count(&format!("select count(*) from auth.sessions where user_id = '{into}'")).await;
        assert_eq!(left, i64::from(is_over), "{name}: the sessions of who is banned have ended");
    }
}

#[tokio::test]
async fn no_row_of_the_application_is_lost() {
    let at = Accounts::new("rows", &[]).await;
    let admin = administrator(&at.bed).await;
    let owner = at.bed.role("owner", "").await;
    at.admin(&format!(
        "create table notes (owner uuid references auth.users (id) on delete cascade, note text);
         create table \"Odd table\" (\"the person\" uuid references auth.users (id) on delete set null);
         create domain person as uuid;
         create table parts (author person references auth.users (id), n int) partition by range (n);
         create table part_1 partition of parts for values from (0) to (10);
         create table seats (org text, who uuid, foreign key (org, who) references auth.organization_memberships (organization_id, user_id) on delete cascade);
         create table devices (session uuid references auth.sessions (id) on delete cascade);
         alter table notes enable row level security; alter table notes force row level security;
         alter table notes owner to {owner}; alter table seats owner to {owner}"
    ))
    .await;
    let (old, new) = twice(&at).await;
    for (plant, table, mend) in [
        (
            "insert into notes values ('FROM', 'mine')",
            "public.notes (owner)",
            "update notes set owner = 'INTO' where owner = 'FROM'",
        ),
        (
            "insert into \"Odd table\" values ('FROM')",
            "public.\"Odd table\" (\"the person\")",
            "delete from \"Odd table\"",
        ),
        ("insert into parts values ('FROM', 1)", "public.parts (author)", "update parts set author = 'INTO'"),
        (
            "insert into seats values ('org_initech', 'FROM')",
            "public.seats (org, who)",
            "update seats set who = 'INTO'",
        ),
    ] {
        let named = |sql: &str| sql.replace("FROM", &new.user_id.to_string()).replace("INTO", &old.user_id.to_string());
        at.admin(&named(plant)).await;
        let before = at.bed.contents().await;
        let refusal = refused(merges(&admin, new.user_id, old.user_id).await, "user_referenced");
        assert_eq!(refusal.detail, format!("These tables have rows that reference from_user: {table}."), "{plant}");
        assert_eq!(at.bed.contents().await, before, "{plant}");
        at.admin(&named(mend)).await;
    }
    // Rows of the one who stays are no hindrance, nor is what hangs on a session that ends.
    at.bed.admin.execute("insert into devices values ($1)", &[&new.session_id]).await.unwrap();
    merges(&admin, new.user_id, old.user_id).await.unwrap();
    assert_eq!(at.bed.count("select count(*) from notes where note = 'mine'").await, 1);
    assert_eq!(at.bed.count("select count(*) from seats").await, 1);
}

/// The question is asked with the rights of each table's owner, and runs nothing of theirs.
#[tokio::test]
async fn asking_runs_no_code_of_others() {
    let at = Accounts::new("others", &[]).await;
    let admin = administrator(&at.bed).await;
    let owner = at.bed.role("owner", "").await;
    at.admin(&format!(
        "create sequence seen; grant all on sequence seen to public; grant create on schema public to {owner};
         grant references on auth.users to {owner}; grant usage on schema auth to {owner}"
    ))
    .await;
    at.bed
        .connect(&owner)
        .await
        .batch_execute(
            "create function saw(uuid) returns boolean language plpgsql security definer as $$
                 begin perform nextval('public.seen'); return true; end $$;
             create table trap (ref uuid references auth.users (id) on delete cascade);
             alter table trap enable row level security; alter table trap force row level security;
             create policy trap on trap using (public.saw(ref))",
        )
        .await
        .unwrap();
    let (old, new) = twice(&at).await;
    at.bed.admin.execute("insert into trap values ($1)", &[&new.user_id]).await.unwrap();
    refused(merges(&admin, new.user_id, old.user_id).await, "user_referenced");
    refused(merges(&at.bed.admin, new.user_id, old.user_id).await, "user_referenced");
    // A sequence is not rolled back.
    assert_eq!(text(&at.bed.admin, "select is_called from seen").await.unwrap().as_deref(), Some("f"));
}

#[tokio::test]
async fn accounts_of_two_customers_stay_two() {
    let bed = Bed::shared("customers").await;
    let admin = administrator(&bed).await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let before = bed.contents().await;
    for (from, into) in [(alice.user_id, bob.user_id), (bob.user_id, alice.user_id)] {
        refused(merges(&admin, from, into).await, "cross_organization_link_disabled");
    }
    assert_eq!(bed.contents().await, before);
    bed.admin.batch_execute("begin; set local workos_auth.link_across_organizations = on").await.unwrap();
    merges(&bed.admin, bob.user_id, alice.user_id).await.unwrap();
    bed.admin.batch_execute("commit").await.unwrap();
    assert_eq!(bed.sign_in(BOB).await.user_id, alice.user_id);
}

#[tokio::test]
async fn nobody_and_nonsense() {
    let bed = Bed::shared("nonsense").await;
    let admin = administrator(&bed).await;
    let alice = bed.sign_in(ALICE).await.user_id;
    let made = made::create(&bed.admin, "deleted@acme.com", None).await;
    let visitor = made::create(&bed.admin, "visitor@acme.com", None).await;
    bed.admin
        .batch_execute(&format!(
            "update auth.users set deleted_at = now() where id = '{made}'; update auth.users set is_anonymous = true where id = '{visitor}'"
        ))
        .await
        .unwrap();
    let backend = bed.backend().await;
    let before = bed.contents().await;
    let id = text(&bed.admin, "select id from auth.identities").await.unwrap().unwrap();
    for (call, name, part) in [
        ("auth.move_identity(null, 'org_acme')".to_owned(), "null_value", "identity_id"),
        (format!("auth.move_identity('{id}', null)"), "null_value", "organization"),
        ("auth.move_identity(gen_random_uuid(), 'org_acme')".to_owned(), "identity_not_found", "no row with this id"),
        (format!("auth.move_identity('{id}', 'org_unknown')"), "organization_not_found", "auth.organizations"),
        (format!("auth.move_identity('{id}', '')"), "organization_not_found", "auth.organizations"),
        (format!("auth.merge_users(null, '{alice}')"), "null_value", "from_user"),
        (format!("auth.merge_users('{alice}', null)"), "null_value", "into_user"),
        (format!("auth.merge_users('{alice}', '{alice}')"), "validation_failed", "into_user"),
        (format!("auth.merge_users(gen_random_uuid(), '{alice}')"), "user_not_found", "from_user"),
        (format!("auth.merge_users('{alice}', gen_random_uuid())"), "user_not_found", "into_user"),
        (format!("auth.merge_users('{alice}', '{made}')"), "user_deleted", "into_user"),
        (format!("auth.merge_users('{made}', '{alice}')"), "user_deleted", "from_user"),
        (format!("auth.merge_users('{alice}', '{visitor}')"), "validation_failed", "anonymous"),
    ] {
        let refusal: Refusal = refused(admin.batch_execute(&format!("select {call}")).await, name);
        assert!(refusal.detail.contains(part), "{call}: {refusal}");
    }
    let calls = [format!("auth.move_identity('{id}', 'org_acme')"), format!("auth.merge_users('{made}', '{alice}')")];
    for call in calls {
        refused_as(backend.batch_execute(&format!("select {call}")).await, "42501");
    }
    assert_eq!(bed.contents().await, before);
    // An anonymous account becomes part of somebody's.
    merges(&admin, visitor, alice).await.unwrap();
}

#[tokio::test]
async fn what_is_rolled_back_did_not_happen() {
    let at = Accounts::new("undone", &[]).await;
    let admin = administrator(&at.bed).await;
    let (old, new) = twice(&at).await;
    know(&at.bed, "org_globex").await;
    let id = identity(&at.bed, "prof_2").await;
    let before = at.bed.contents().await;
    for level in LEVELS {
        for call in [
            format!("auth.move_identity('{id}', 'org_globex')"),
            format!("auth.merge_users('{}', '{}')", new.user_id, old.user_id),
        ] {
            let sql = format!("begin isolation level {level}; select {call}; rollback");
            admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{level} {call}: {error:?}"));
            assert_eq!(at.bed.contents().await, before, "{level} {call}");
        }
    }
}
