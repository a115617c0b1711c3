//! Parallel plans: a worker has a process of its own, verifies the token for itself, and answers as the leader does.

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, Session, set_session, sign_in};
use workos_end_to_end::case;
use workos_end_to_end::parallel::{CREATE_PROCESS, force_parallel, in_workers};
use workos_end_to_end::sql::{connect_with_notices, lines, refused, refused_as, text};
use workos_end_to_end::waiting::pass;

const ROWS: i64 = 6_000;

/// What a session is asked, with a condition on a row that only the right answer meets, for Alice.
const READERS: &[(&str, &str)] = &[
    ("auth.uid()", "owner = auth.uid()"),
    ("auth.role()", "role = auth.role()"),
    ("auth.email()", "email = auth.email()"),
    ("auth.session_id()", "session = auth.session_id()"),
    ("auth.organization_id()", "organization = auth.organization_id()"),
    ("auth.connection_id()", "connection = auth.connection_id()"),
    ("auth.session_claims()", "auth.session_claims()->>'sub' = owner::text"),
    ("auth.jwt()", "auth.jwt()->>'email' = email"),
    ("auth.has_role('admin')", "auth.has_role('admin') and id % 3 = 0"),
    ("auth.has_role('admin', 'org_acme')", "auth.has_role('admin', organization)"),
    ("auth.in_group('engineering')", "auth.in_group('engineering') and id % 3 = 0"),
    ("auth.in_group('admins', 'org_globex')", "auth.in_group('admins', organization)"),
    ("auth.has_permission('p')", "not auth.has_permission('p') and id % 3 = 0"),
    ("auth.has_permission('p', 'org_acme')", "not auth.has_permission('p', 'org_acme') and id % 3 = 0"),
];

/// A table that only workers read, for people who see a third of it each, and a connection of an ordinary role's.
struct Hall {
    bed: Bed<'static>,
    app: String,
    client: Client,
    alice: Session,
    bob: Session,
}

impl Hall {
    async fn new(database: &str) -> Self {
        let bed = Bed::shared(database).await;
        let app = bed.role("app", "").await;
        let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
        let sql = format!(
            "create table rows (id int, owner uuid, role text, email text, session uuid, organization text, connection text)
                 with (parallel_workers = 2, autovacuum_enabled = off);
             insert into rows
                 select i, u.id, u.role, u.email, s.id, s.organization_id, s.connection_id from generate_series(1, {ROWS}) i
                 left join auth.users u on u.email = (array['{}', '{}'])[1 + i % 3] left join auth.sessions s on s.user_id = u.id;
             update rows set role = null where owner is distinct from '{}';
             create table guarded with (parallel_workers = 2, autovacuum_enabled = off) as table rows;
             alter table guarded enable row level security;
             create policy own on guarded using (owner = auth.uid());
             grant select on rows, guarded to {app};
             analyze rows, guarded;
             grant create on schema public to {app};
             {CREATE_PROCESS}",
            ALICE.email, BOB.email, alice.user_id
        );
        bed.admin.batch_execute(&sql).await.unwrap();
        let client = bed.connect(&app).await;
        force_parallel(&client).await;
        client.batch_execute("select auth.uid()").await.unwrap();
        Self { bed, app, client, alice, bob }
    }

    /// A query of what every reader says, and whether another process than the leader says so, for each row of a table.
    async fn everything(&self, client: &Client) -> String {
        let leader = text(client, "select pg_backend_pid()").await.unwrap().unwrap();
        let mut answers: Vec<&str> = READERS.iter().map(|(reader, _)| *reader).collect();
        let verified = format!("auth.verify_token('{}')", self.bob.access_token);
        answers.push(&verified);
        format!("select distinct process() <> {leader}, row({})::text from rows", answers.join(", "))
    }

    /// The same, by the leader alone.
    async fn alone(&self, session: Option<&Session>) -> String {
        let client = self.bed.connect(&self.app).await;
        client.batch_execute("set max_parallel_workers_per_gather = 0").await.unwrap();
        if let Some(session) = session {
            set_session(&client, &session.access_token, false).await.unwrap();
        }
        let all = lines(&client, &self.everything(&client).await).await.unwrap();
        assert_eq!(all.len(), 1, "the leader says: {all:#?}");
        all[0].strip_prefix("f|").unwrap().to_owned()
    }

    /// Every row was read by a worker, and all of them said this.
    async fn says(&self, what: &str, expected: &str) {
        let all = lines(&self.client, &self.everything(&self.client).await).await;
        let all = all.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(all, [format!("t|{expected}")], "{what}");
    }
}

fn set(session: &Session, is_local: bool) -> String {
    format!("select auth.set_session('{}', {is_local})", session.access_token)
}

#[tokio::test]
async fn workers_answer_as_the_leader_does_however_the_session_was_set() {
    let hall = Hall::new("answers").await;
    let (alice, bob) = (hall.alone(Some(&hall.alice)).await, hall.alone(Some(&hall.bob)).await);
    let nobody = hall.alone(None).await;
    assert!(alice != bob && nobody.starts_with(&format!("(,{},,,,,,,,,,,,,", hall.app)), "{alice}\n{bob}\n{nobody}");
    let (set_alice, set_bob) = (set(&hall.alice, true), set(&hall.bob, true));
    let keep_bob = set(&hall.bob, false);
    let caught = |script: &str| format!("do $$ begin {script}; raise 'x'; exception when others then null; end $$");
    let perform = |script: &str| script.replacen("select", "perform", 1);
    for (script, expected) in [
        ("select".to_owned(), &nobody),
        (set(&hall.alice, false), &alice),
        (keep_bob.clone(), &bob),
        (format!("begin; {set_alice}"), &alice),
        // The second run after a change, within the transaction and after it.
        (set_bob.clone(), &bob),
        ("commit".to_owned(), &bob),
        ("select auth.clear_session()".to_owned(), &nobody),
        (format!("set workos_auth.session_token = '{}'", hall.alice.access_token), &alice),
        (format!("begin; set local workos_auth.session_token = '{}'", hall.bob.access_token), &bob),
        ("rollback".to_owned(), &alice),
        // A subtransaction that rolled back, and one that did not.
        (format!("begin; {set_alice}; savepoint s; {set_bob}; rollback to s"), &alice),
        (format!("savepoint t; {set_bob}; release t"), &bob),
        (caught(&perform(&set_alice)), &bob),
        ("savepoint u; select auth.clear_session(); savepoint v".to_owned(), &nobody),
        ("rollback to u".to_owned(), &bob),
        ("rollback".to_owned(), &alice),
        ("begin isolation level serializable".to_owned(), &alice),
        ("commit; reset all".to_owned(), &nobody),
    ] {
        hall.client.batch_execute(&script).await.unwrap();
        if script.contains("reset all") {
            force_parallel(&hall.client).await;
        }
        hall.says(script.split("eyJ").next().unwrap(), expected).await;
    }
    let plan = in_workers(&hall.client, &hall.everything(&hall.client).await).await.unwrap();
    for (reader, _) in READERS {
        assert!(plan.nodes.contains(reader.split('(').next().unwrap()), "{reader} is not in {}", plan.nodes);
    }
}

#[tokio::test]
async fn every_reader_filters_in_the_workers() {
    let hall = Hall::new("filters").await;
    let count = "select count(*) from guarded";
    let leader = hall.bed.connect(&hall.app).await;
    leader
        .batch_execute("set max_parallel_workers_per_gather = 0; prepare counting as select count(*) from guarded")
        .await
        .unwrap();
    hall.client.batch_execute(&format!("prepare counting as {count}")).await.unwrap();
    let verified = format!("owner::text = auth.verify_token('{}')->>'sub'", hall.alice.access_token);
    let conditions = READERS.iter().map(|(_, condition)| *condition).chain([verified.as_str()]);
    for condition in conditions {
        let policy = format!("alter policy own on guarded using ({condition})");
        hall.bed.admin.batch_execute(&policy).await.unwrap();
        for (session, expected) in [(Some(&hall.alice), true), (Some(&hall.bob), false), (None, false)] {
            let mut counts = Vec::new();
            for client in [&leader, &hall.client] {
                match session {
                    Some(session) => set_session(client, &session.access_token, false).await.unwrap(),
                    None => client.batch_execute("select auth.clear_session()").await.unwrap(),
                }
                for query in [count, "execute counting", "execute counting"] {
                    counts.push(text(client, query).await.unwrap().unwrap().parse::<i64>().unwrap());
                }
            }
            assert!(counts.iter().all(|found| *found == counts[0]), "{condition}: {counts:?}");
            assert!(!expected || counts[0] == ROWS / 3, "{condition}: {counts:?}");
        }
        let plan = in_workers(&hall.client, count).await.unwrap();
        let reader = &condition[condition.find("auth.").unwrap()..];
        let reader = reader.split('(').next().unwrap();
        assert!(plan.nodes.contains("\"Parallel Aware\":true") && plan.nodes.contains(reader), "{condition}: {plan:?}");
    }
}

#[tokio::test]
async fn a_function_with_a_session_of_its_own_takes_it_into_the_workers() {
    let hall = Hall::new("functions").await;
    let (alice, bob) = (hall.alone(Some(&hall.alice)).await, hall.alone(Some(&hall.bob)).await);
    let everything = hall.everything(&hall.client).await;
    let query =
        format!("select string_agg(in_worker || '|' || answer, '/') from ({everything}) said (in_worker, answer)");
    let token = &hall.bob.access_token;
    hall.client
        .batch_execute(&format!(
            "create function as_bob() returns setof text language plpgsql set workos_auth.session_token = '{token}' as $_$ begin
                 return query {query}; end $_$;
             create function becomes_bob() returns setof text language plpgsql as $_$ begin
                 perform auth.set_session('{token}', true); return query {query}; end $_$;
             create function was_bob() returns setof text language plpgsql as $_$ begin
                 begin perform auth.set_session('{token}', false); raise 'x'; exception when others then null; end;
                 return query {query}; end $_$"
        ))
        .await
        .unwrap();
    for (is_local, begin, after) in [(true, "begin", None), (false, "select", Some(&alice))] {
        hall.client.batch_execute(begin).await.unwrap();
        for (function, expected, then) in [
            ("as_bob", &bob, &alice),
            ("was_bob", &alice, &alice),
            ("becomes_bob", &bob, if is_local { &bob } else { &alice }),
        ] {
            set_session(&hall.client, &hall.alice.access_token, is_local).await.unwrap();
            let seen = text(&hall.client, &format!("select {function}()")).await.unwrap().unwrap();
            assert_eq!(seen, format!("true|{expected}"), "{function}");
            hall.says(function, then).await;
        }
        hall.client.batch_execute("commit").await.unwrap();
        if let Some(after) = after {
            hall.says("afterwards", after).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_is_bad_is_as_bad_in_a_worker() {
    let hall = Hall::new("refusals").await;
    hall.bed.set("workos_auth.access_token_ttl", "2s").await;
    let (client, backend) = (&hall.client, hall.bed.backend().await);
    let queries =
        ["select auth.uid() from rows", "execute kept", "select count(*) from rows where kept_back() = owner"];
    let sql = "prepare kept as select count(*) from guarded;
        create function kept_back() returns uuid volatile parallel safe language plpgsql as 'begin return auth.uid(); end'";
    client.batch_execute(sql).await.unwrap();
    // The plan is made once, for good, while the session is a good one.
    set_session(client, &hall.alice.access_token, false).await.unwrap();
    assert_eq!(text(client, "execute kept").await.unwrap(), Some((ROWS / 3).to_string()));
    let is_refused = async |name: &str| {
        for query in queries {
            let refusal = refused(client.batch_execute(query).await, name);
            // The leader says so itself where it has to plan anew, for it looks at what it plans for.
            let in_worker = refusal.context.contains("parallel worker");
            assert!(in_worker || query == "execute kept", "{query} was refused by the leader: {refusal:?}");
        }
    };
    let admin = &hall.bed.admin;
    let update = async |sql: &str| admin.batch_execute(sql).await.unwrap();

    update("update auth.sessions set claims_version = 1").await;
    is_refused("session_stale").await;
    update("update auth.sessions set claims_version = 0").await;
    update("update auth.signing_keys set status = 'retired'").await;
    is_refused("bad_jwt_key").await;
    update("update auth.signing_keys set status = 'active'").await;
    update("create table kept as table auth.installation; update auth.installation set id = gen_random_uuid()").await;
    is_refused("bad_jwt_issuer").await;
    update("update auth.installation set id = (select id from kept)").await;
    assert_eq!(text(client, "execute kept").await.unwrap(), Some((ROWS / 3).to_string()));
    let (signed, _) = hall.alice.access_token.rsplit_once('.').unwrap();
    let (_, signature) = hall.bob.access_token.rsplit_once('.').unwrap();
    for (token, name) in [(format!("{signed}.{signature}"), "bad_jwt_signature"), ("x.y.z".to_owned(), "bad_jwt")] {
        client.batch_execute(&format!("set workos_auth.session_token = '{token}'")).await.unwrap();
        is_refused(name).await;
    }
    let short = sign_in(&backend, ALICE).await;
    set_session(client, &short.access_token, false).await.unwrap();
    assert_eq!(text(client, "execute kept").await.unwrap(), Some((ROWS / 3).to_string()));
    pass(short.claims["exp"].as_i64().unwrap()).await;
    is_refused("bad_jwt_expired").await;
    set_session(client, &hall.alice.access_token, false).await.unwrap();
    client.batch_execute("begin isolation level repeatable read; select count(*) from rows").await.unwrap();
    update("delete from auth.sessions").await;
    refused(client.batch_execute(queries[1]).await, "session_not_found");
    client.batch_execute("rollback").await.unwrap();
    is_refused("session_not_found").await;
}

#[tokio::test]
async fn the_library_may_be_loaded_first_where_rows_are_read() {
    let hall = Hall::new("late").await;
    let admin = &hall.bed.admin;
    // The leader sees a function of PL/pgSQL, and nothing of the extension's.
    let sql = "create function reads() returns text stable parallel safe language plpgsql
        as $$ begin return auth.email() || ' ' || (auth.session_claims()->>'iss'); end $$";
    admin.batch_execute(sql).await.unwrap();
    // A setting of the database must be known there, too.
    hall.bed.set("workos_auth.issuer", "https://issuer.example").await;
    let session = sign_in(&hall.bed.backend().await, ALICE).await;
    let expected = format!("{} https://issuer.example", ALICE.email);
    for (workers, process) in [(2, "a worker"), (0, "the leader")] {
        case!(workers, process);
        for (begin, local) in [("select 1", ""), ("begin", "local")] {
            case!(begin, local);
            let (client, notices) =
                connect_with_notices(&hall.bed.cluster.config(&hall.bed.database, &hall.app)).await.unwrap();
            force_parallel(&client).await;
            let set = format!("{begin}; set {local} workos_auth.session_token = '{}'", session.access_token);
            client.batch_execute(&format!("set max_parallel_workers = {workers}; {set}")).await.unwrap();
            for _ in 0..2 {
                let said = lines(&client, "select distinct reads() from rows").await.unwrap();
                assert_eq!(said, [expected.as_str()], "{process} is the first to load the library");
            }
            assert_eq!(text(&client, "select reads()").await.unwrap().as_deref(), Some(expected.as_str()));
            assert_eq!(notices.take_warnings(), []);
        }
    }
}

#[tokio::test]
async fn a_worker_does_not_get_around_the_identity_of_the_query_that_waits_for_it() {
    let hall = Hall::new("around").await;
    let token = &hall.bob.access_token;
    let sql = format!(
        "create function becomes_bob(text) returns setof text language plpgsql as $$ begin
             perform auth.set_session('{token}', true); return query select distinct auth.email() from rows; end $$;
         create function as_bob(text) returns setof text language plpgsql set workos_auth.session_token = '{token}'
             as $$ begin return query select distinct auth.email() from rows; end $$;
         create function no_longer(text) returns setof text language plpgsql as $$ begin
             perform auth.clear_session(); return query select distinct coalesce(auth.email(), 'nobody') from rows; end $$"
    );
    hall.client.batch_execute(&sql).await.unwrap();
    let alone = hall.bed.connect(&hall.app).await;
    alone.batch_execute("set max_parallel_workers_per_gather = 0; select auth.uid()").await.unwrap();
    for (client, where_) in [(&alone, "in the leader"), (&hall.client, "in a worker")] {
        for function in ["becomes_bob", "as_bob", "no_longer"] {
            let after = format!("select said, auth.email() from {function}('x') said");
            let before =
                format!("select said from (select auth.email() as mine offset 0) a, lateral {function}(mine) said");
            for query in [before, after] {
                // What sets the session for good is read by the outer query too, where that reads after it.
                if function != "as_bob" && !query.contains("mine") {
                    continue;
                }
                client.batch_execute(&format!("begin; {}", set(&hall.alice, true))).await.unwrap();
                let seen = lines(client, &query).await;
                refused_as(seen.map(|rows| println!("{where_}: {query}: {rows:?}")), "55000");
                client.batch_execute("rollback").await.unwrap();
            }
        }
        // By themselves, all of them may.
        for (function, answer) in [("becomes_bob", BOB.email), ("as_bob", BOB.email), ("no_longer", "nobody")] {
            client.batch_execute(&format!("begin; {}", set(&hall.alice, true))).await.unwrap();
            assert_eq!(lines(client, &format!("select {function}('x')")).await.unwrap(), [answer], "{where_}");
            client.batch_execute("rollback").await.unwrap();
        }
    }
}
