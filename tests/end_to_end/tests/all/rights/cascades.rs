//! What a foreign key's own queries run, which Postgres runs as the owner of the table that has it: set off by a statement of ours it has no
//! rights, whoever owns the table.

use tokio_postgres::types::ToSql;
use uuid::Uuid;
use workos_end_to_end::bed::ALICE;
use workos_end_to_end::sql::{lines, refused};
use workos_end_to_end::{Bed, made};

use super::others_code::{NOBODY, bed, seen};

/// Somebody waits for a lock.
const WAITS: &str =
    "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";

/// A way to have code of one's own run in a cascade into a superuser's table.
struct Way {
    name: &'static str,
    /// A superuser's; OWNER is the attacker.
    table: &'static str,
    /// The attacker's. `app.mark(text)` writes down as whom it runs, and returns true.
    attack: &'static str,
    /// How the row gets there; $1 is the user.
    fill: &'static str,
}

const WAYS: &[Way] = &[
    Way {
        name: "a BEFORE trigger",
        table: "create table t (id uuid references auth.users on delete cascade); grant trigger on t to OWNER",
        attack: "create trigger b before delete on public.t for each row execute function app.saw('before')",
        fill: "insert into t values ($1::uuid)",
    },
    Way {
        name: "a BEFORE trigger for an UPDATE",
        table: "create table t (id uuid references auth.users on delete set null); grant trigger on t to OWNER",
        attack: "create trigger b before update on public.t for each row execute function app.saw('before')",
        fill: "insert into t values ($1::uuid)",
    },
    Way {
        name: "the condition of an AFTER trigger",
        table: "create table t (id uuid references auth.users on delete cascade); grant trigger on t to OWNER",
        attack: "create trigger w after delete on public.t for each row when (app.mark('when')) execute function app.saw('after')",
        fill: "insert into t values ($1::uuid)",
    },
    Way {
        name: "a table behind the table",
        table: "create table t (id uuid primary key references auth.users on delete cascade);
                create table u (id uuid references t on delete set null); grant trigger on u to OWNER",
        attack: "create trigger b before update on public.u for each row execute function app.saw('before')",
        fill: "with f as (insert into t values ($1::uuid)) insert into u values ($1)",
    },
    Way {
        name: "a partition with a foreign key of its own",
        table: "create table p (k int not null, id uuid, friend uuid references auth.users on delete set null); alter table p owner to OWNER;
                create table t (k int not null, id uuid references auth.users on delete cascade, friend uuid) partition by list (k);
                alter table t attach partition p for values in (1)",
        attack: "create trigger b before delete or update on public.p for each row execute function app.saw('before')",
        fill: "insert into t values (1, $1::uuid)",
    },
    Way {
        name: "a CHECK constraint and the indexes of a partition",
        table: "create table t (k int not null, id uuid references auth.users on delete set null) partition by list (k);
                create table p partition of t for values in (1); alter table p owner to OWNER; grant create on schema public to OWNER",
        attack: "alter table public.p add check (app.mark('check'));
                 create index on public.p (app.immutable_mark('index ' || k));
                 create index on public.p (k) where app.immutable_mark('predicate ' || k);
                 create index on public.p (k) where app.immutable_mark('folded predicate')",
        fill: "insert into t values (1, $1::uuid)",
    },
    Way {
        name: "a domain",
        table: "create domain app.d as uuid; alter domain app.d owner to OWNER; create table t (id app.d references auth.users on delete set null)",
        attack: "alter domain app.d add check (app.mark('domain'))",
        fill: "insert into t values ($1::uuid)",
    },
];

/// As whom it was seen by the superuser who filled the table is the superuser's own doing.
async fn prepare(bed: &Bed<'_>) -> String {
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "create function app.mark(what text) returns boolean language plpgsql as $$ begin
                 insert into public.seen (what) values (what || ' as ' || current_user); return true;
             end $$;
             create function app.immutable_mark(what text) returns boolean language plpgsql immutable as $$ begin
                 return (select app.mark(what));
             end $$;
             alter function app.mark owner to {owner}; alter function app.immutable_mark owner to {owner};
             grant usage on schema app to public"
        ))
        .await
        .unwrap();
    owner
}

#[tokio::test]
async fn a_cascade_into_a_superusers_table_runs_nothing_as_them() {
    let bed = bed("cascades").await;
    let owner = prepare(&bed).await;
    let operator = made::administrator(&bed).await;
    for Way { name, table, attack, fill } in WAYS {
        bed.admin
            .batch_execute(&table.replace("OWNER", &owner))
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let attack = format!("set role {owner}; {attack}; reset role");
        bed.admin.batch_execute(&attack).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let user = made::create(&bed.admin, "cascade@before.example", None).await;
        bed.admin.execute(*fill, &[&user]).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        seen(&bed).await;
        operator
            .execute("select auth.delete_user($1)", &[&user])
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let seen = seen(&bed).await;
        assert!(!seen.is_empty(), "{name}: nothing ran");
        assert!(seen.iter().all(|line| line.ends_with(&format!(" as {NOBODY}"))), "{name}: {seen:?}");
        bed.admin.batch_execute("drop table if exists t, u, p cascade; drop domain if exists app.d").await.unwrap();
    }
}

/// What a trigger needs rights for, a definer's function has.
#[tokio::test]
async fn a_trigger_of_the_applications_own_needs_a_definer() {
    let bed = bed("cascades_definer").await;
    let operator = made::administrator(&bed).await;
    bed.admin
        .batch_execute(
            "create table kept (id uuid);
             create table profiles (id uuid references auth.users on delete cascade);
             create function keep() returns trigger language plpgsql security definer set search_path = public as $$ begin
                 insert into kept values (old.id); return old;
             end $$;
             create trigger keep before delete on profiles for each row execute function keep()",
        )
        .await
        .unwrap();
    let user = made::create(&bed.admin, "kept@before.example", None).await;
    bed.admin.execute("insert into profiles values ($1)", &[&user]).await.unwrap();
    operator.execute("select auth.delete_user($1)", &[&user]).await.unwrap();
    assert_eq!(lines(&bed.admin, "select id from kept").await.unwrap(), [user.to_string()]);
    // A cascade of the application's own, in such a function, is the application's.
    bed.admin
        .batch_execute(
            "create table firsts (id int primary key); create table seconds (id int references firsts on delete cascade);
             create table gone (id int); revoke all on gone from public;
             create function note() returns trigger language plpgsql as $$ begin insert into public.gone values (old.id); return old; end $$;
             create trigger note before delete on seconds for each row execute function note();
             create function sweep() returns trigger language plpgsql security definer set search_path = public as $$ begin
                 delete from firsts; return old;
             end $$;
             create trigger sweep after delete on profiles for each row execute function sweep();
             insert into firsts values (1); insert into seconds values (1)",
        )
        .await
        .unwrap();
    let user = made::create(&bed.admin, "swept@before.example", None).await;
    bed.admin.execute("insert into profiles values ($1)", &[&user]).await.unwrap();
    operator.execute("select auth.delete_user($1)", &[&user]).await.unwrap();
    assert_eq!(lines(&bed.admin, "select id from gone").await.unwrap(), ["1"]);
}

/// A trigger that is made while the removal waits for the row.
#[tokio::test]
async fn a_trigger_that_comes_late_runs_as_nobody() {
    let bed = bed("cascades_late").await;
    let owner = prepare(&bed).await;
    let session = bed.sign_in(ALICE).await;
    bed.admin
        .batch_execute(&format!(
            "create table t (id uuid references auth.sessions on delete cascade); grant insert, trigger on t to {owner}; grant usage on schema public to {owner}"
        ))
        .await
        .unwrap();
    let attacker = bed.connect(&owner).await;
    attacker.batch_execute(&format!("begin; insert into public.t values ('{}')", session.session_id)).await.unwrap();
    let superuser = bed.superuser().await;
    let arguments: [&(dyn ToSql + Sync); 1] = [&session.user_id];
    let sign_out = superuser.execute("select auth.revoke_sessions($1)", &arguments);
    let attack = async {
        bed.until(WAITS).await;
        let late = "create trigger b before delete on public.t for each row execute function app.saw('late'); commit";
        attacker.batch_execute(late).await.unwrap();
    };
    tokio::join!(sign_out, attack).0.unwrap();
    assert_eq!(seen(&bed).await, [format!("late as {NOBODY}")]);
}

/// An IMMUTABLE function in a default that a superuser attached runs while our statement is planned.
#[tokio::test]
async fn what_the_planner_calls_runs_as_nobody() {
    let bed = bed("cascades_planned").await;
    prepare(&bed).await;
    bed.admin
        .batch_execute("alter table auth.users add column extra boolean default app.immutable_mark('default')")
        .await
        .unwrap();
    seen(&bed).await;
    made::create(&bed.superuser().await, "planned@before.example", None).await;
    let seen = seen(&bed).await;
    assert!(!seen.is_empty() && seen.iter().all(|line| line == &format!("default as {NOBODY}")), "{seen:?}");
}

/// A foreign key to a telephone number would tell who has it.
#[tokio::test]
async fn a_foreign_key_leads_to_a_primary_key() {
    let bed = bed("cascades_keys").await;
    for sql in [
        "create table app.phones (phone text references auth.users (phone))",
        "create table app.phones (phone text references auth.users (phone) on update cascade)",
        "create table app.states (state bytea references auth.flow_states (state_hash))",
        "create table app.ids (p text, i text, foreign key (p, i) references auth.identities (provider, provider_id))",
    ] {
        let refusal = refused(bed.admin.batch_execute(sql).await, "foreign_key_unsafe");
        assert!(refusal.detail.contains("which is not its primary key"), "{sql}: {refusal}");
    }
    let members = "create table app.members (o text, u uuid, foreign key (o, u) references auth.organization_memberships (organization_id, user_id))";
    bed.admin.batch_execute(members).await.unwrap();
}

/// Somebody is taken out of an organization by hand while a session of theirs there is being opened.
#[tokio::test]
async fn no_session_outlives_a_membership_that_ends_meanwhile() {
    let bed = Bed::shared("cascades_member").await;
    let user: Uuid = made::create(&bed.admin, "member@acme.com", Some("org_acme")).await;
    let opening = bed.superuser().await;
    opening.batch_execute("begin").await.unwrap();
    let create = "select session_id from auth.create_session($1, organization => 'org_acme')";
    let session: Uuid = opening.query_one(create, &[&user]).await.unwrap().get(0);
    let other = bed.superuser().await;
    let arguments: [&(dyn ToSql + Sync); 1] = [&user];
    let removal = other.execute("delete from auth.organization_memberships where user_id = $1", &arguments);
    let commit = async {
        bed.until(WAITS).await;
        opening.batch_execute("commit").await.unwrap();
    };
    tokio::join!(removal, commit).0.unwrap();
    assert_eq!(bed.count(&format!("select count(*) from auth.sessions where id = '{session}'")).await, 0);
}
