//! Transaction pooling: people who take turns on one server connection, through a real PgBouncer.

use tokio_postgres::Client;
use tokio_postgres::types::Type;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, Session};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused_as, text};
use workos_end_to_end::walk::{Ground, walk};
use workos_testbed::PgBouncer;

const TRANSACTION: &[&str] = &["pool_mode = transaction", "default_pool_size = 1"];
const SESSION: &[&str] = &["pool_mode = session", "default_pool_size = 1"];

/// Alice and Bob, with a row of each, and an ordinary role's connections to the pooler.
struct Pool {
    bed: Bed<'static>,
    app: String,
    alice: Session,
    bob: Session,
}

impl Pool {
    async fn new(database: &str) -> Self {
        let bed = Bed::shared(database).await;
        let app = bed.role("app", "").await;
        let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
        let rows = format!(
            "create table todos (owner uuid, title text);
             insert into todos values ('{}', 'alice'), ('{}', 'bob'), (null, 'nobody');
             alter table todos enable row level security;
             create policy own on todos using (owner = auth.uid());
             create table everything as table todos;
             grant select on todos, everything to {app};
             create function inlined() returns text stable language sql
                 as $$ select title from public.everything where owner = auth.uid() $$;
             create function not_inlined() returns text stable language sql set work_mem = '5MB'
                 as $$ select title from public.everything where owner = auth.uid() $$;
             create function planned() returns text stable language plpgsql
                 as $$ begin return (select title from public.everything where owner = auth.uid()); end $$;
             create function simple() returns uuid language plpgsql as $$ declare it uuid := auth.uid(); begin return it; end $$;
             create view mine as select title from everything where owner = (select auth.uid());
             grant select on mine to {app}",
            alice.user_id, bob.user_id
        );
        bed.admin.batch_execute(&rows).await.unwrap();
        Self { bed, app, alice, bob }
    }

    async fn client(&self, pooler: &PgBouncer) -> Client {
        pooler.connect(&self.bed.database, &self.app).await.unwrap()
    }
}

fn set(session: &Session, is_local: bool) -> String {
    format!("select auth.set_session('{}', {is_local})", session.access_token)
}

/// Whose row is seen, by both protocols.
async fn who(client: &Client) -> Option<String> {
    let simple = text(client, "select title from todos").await.unwrap();
    let extended =
        client.query_typed("select title from todos where title <> $1", &[(&"x", Type::TEXT)]).await.unwrap();
    assert_eq!(simple, extended.first().map(|row| row.get(0)));
    simple
}

async fn server(client: &Client) -> String {
    text(client, "select pg_backend_pid()").await.unwrap().unwrap()
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

#[tokio::test]
async fn two_clients_on_one_server_connection_never_see_each_others_claims() {
    let pool = Pool::new("turns").await;
    let pooler = PgBouncer::start(pool.bed.cluster, TRANSACTION).unwrap();
    let (a, b) = (pool.client(&pooler).await, pool.client(&pooler).await);
    let one = server(&a).await;
    for round in 0..5 {
        for (client, other, session, name) in [(&a, &b, &pool.alice, "alice"), (&b, &a, &pool.bob, "bob")] {
            case!(name);
            assert_eq!(server(client).await, one, "the clients have a server connection each");
            for end in ["commit", "rollback", "savepoint s; select auth.clear_session(); rollback to s; commit"] {
                case!(end);
                client.batch_execute("begin").await.unwrap();
                // By parameter, as applications do, and by literal.
                match round % 2 {
                    0 => client.batch_execute(&set(session, true)).await.unwrap(),
                    _ => {
                        let sql = "select auth.set_session($1)";
                        client.query_typed(sql, &[(&session.access_token, Type::TEXT)]).await.map(drop).unwrap();
                    }
                }
                assert_eq!(who(client).await, named(name));
                // The other waits for the server connection, and gets it without the claims.
                let (ended, seen) = tokio::join!(client.batch_execute(end), who(other));
                ended.unwrap();
                assert_eq!((seen, who(client).await), (None, None), "{end}");
            }
            // An error ends the transaction, and its session with it.
            client.batch_execute(&format!("begin; {}", set(session, true))).await.unwrap();
            refused_as(client.batch_execute("select 1 / 0 from todos where owner = auth.uid()").await, "22012");
            refused_as(client.batch_execute("select auth.uid()").await, "25P02");
            client.batch_execute("commit").await.unwrap();
            assert_eq!((who(other).await, who(client).await), (None, None));
            // One that is cut short in a subtransaction leaves what was before.
            client.batch_execute(&format!("begin; {}; savepoint s", set(session, true))).await.unwrap();
            let slow = "set local statement_timeout = 50; select auth.clear_session(); select pg_sleep(60)";
            refused_as(client.batch_execute(slow).await, "57014");
            client.batch_execute("rollback to s").await.unwrap();
            assert_eq!(who(client).await, named(name));
            client.batch_execute("commit").await.unwrap();
        }
    }
    // A client that is lost in the middle of its transaction leaves nothing.
    a.batch_execute(&format!("begin; {}", set(&pool.alice, true))).await.unwrap();
    drop(a);
    assert_eq!(who(&b).await, None);
    // One statement that is its own transaction ends with it.
    b.batch_execute(&set(&pool.bob, true)).await.unwrap();
    assert_eq!(who(&b).await, None);
}

#[tokio::test]
async fn a_session_for_the_connection_is_the_next_clients_too_unless_it_is_discarded() {
    let pool = Pool::new("mistaken").await;
    // The mistake: with transaction pooling the connection belongs to everyone.
    let pooler = PgBouncer::start(pool.bed.cluster, TRANSACTION).unwrap();
    let (a, b) = (pool.client(&pooler).await, pool.client(&pooler).await);
    a.batch_execute(&set(&pool.alice, false)).await.unwrap();
    assert_eq!((who(&a).await, who(&b).await), (named("alice"), named("alice")));
    // A session of one's own, for the transaction, covers it; then it is there again.
    b.batch_execute(&format!("begin; {}", set(&pool.bob, true))).await.unwrap();
    assert_eq!(who(&b).await, named("bob"));
    b.batch_execute("commit").await.unwrap();
    assert_eq!((who(&b).await, who(&a).await), (named("alice"), named("alice")));
    for cure in ["discard all", "reset all", "select auth.clear_session()", "reset workos_auth.session_token"] {
        a.batch_execute(&set(&pool.alice, false)).await.unwrap();
        b.batch_execute(cure).await.unwrap();
        assert_eq!((who(&a).await, who(&b).await), (None, None), "{cure}");
    }

    // A pooler that discards after every transaction makes up for the mistake.
    let always = [TRANSACTION, &["server_reset_query = DISCARD ALL", "server_reset_query_always = 1"]].concat();
    let pooler = PgBouncer::start(pool.bed.cluster, &always).unwrap();
    let (a, b) = (pool.client(&pooler).await, pool.client(&pooler).await);
    a.batch_execute(&format!("begin; {}", set(&pool.alice, false))).await.unwrap();
    assert_eq!(who(&a).await, named("alice"));
    a.batch_execute("commit").await.unwrap();
    assert_eq!(server(&a).await, server(&b).await);
    assert_eq!((who(&b).await, who(&a).await), (None, None));

    // In session mode the connection is the client's until it leaves, and discarded then.
    for (reset, left) in [("server_reset_query = DISCARD ALL", None), ("server_reset_query =", named("alice"))] {
        case!(reset, left);
        let pooler = PgBouncer::start(pool.bed.cluster, &[SESSION, &[reset]].concat()).unwrap();
        let a = pool.client(&pooler).await;
        a.batch_execute(&set(&pool.alice, false)).await.unwrap();
        assert_eq!(who(&a).await, named("alice"));
        let one = server(&a).await;
        drop(a);
        let b = pool.client(&pooler).await;
        assert_eq!((server(&b).await, who(&b).await), (one, left), "{reset}");
    }
}

#[tokio::test]
async fn plans_that_are_kept_are_kept_for_nobody() {
    let pool = Pool::new("plans").await;
    let pooler = PgBouncer::start(pool.bed.cluster, TRANSACTION).unwrap();
    let (a, b) = (pool.client(&pooler).await, pool.client(&pooler).await);
    // On the one server connection, so what one prepares the other finds.
    a.batch_execute(&format!(
        "begin; {};
         prepare bare as select title from everything where owner = auth.uid();
         prepare once as select title from everything where owner = (select auth.uid());
         prepare guarded as select title from todos;
         prepare bound(text) as select title from everything where owner = auth.uid() and title <> $1;
         prepare claims(text) as select split_part(auth.jwt()->>'email', '@', 1) where auth.uid()::text <> $1;
         commit",
        set(&pool.alice, true)
    ))
    .await
    .unwrap();
    let queries = [
        "execute bare",
        "execute once",
        "execute guarded",
        "execute bound('x')",
        "execute claims('x')",
        "select inlined()",
        "select not_inlined()",
        "select planned()",
        "select title from everything where owner = simple()",
        "select title from mine",
    ];
    for round in 0..8 {
        for (client, session, name) in [(&a, &pool.alice, "alice"), (&b, &pool.bob, "bob")] {
            client.batch_execute(&format!("begin; {}", set(session, true))).await.unwrap();
            for query in queries {
                assert_eq!(text(client, query).await.unwrap(), named(name), "round {round}: {query}");
            }
            client.batch_execute("commit").await.unwrap();
            for query in queries {
                assert_eq!(text(client, query).await.unwrap(), None, "round {round}, nobody: {query}");
            }
        }
    }
    let generic = "select count(*) from pg_prepared_statements where generic_plans > 5";
    assert_eq!(text(&b, generic).await.unwrap().as_deref(), Some("5"), "not every plan was a generic one");

    // Within one transaction, too, from one person to the next and to nobody.
    a.batch_execute("begin").await.unwrap();
    for (session, name) in [(&pool.alice, "alice"), (&pool.bob, "bob"), (&pool.alice, "alice")] {
        a.batch_execute(&set(session, true)).await.unwrap();
        for query in queries {
            assert_eq!(text(&a, query).await.unwrap(), named(name), "{query}");
        }
        a.batch_execute("select auth.clear_session()").await.unwrap();
        for query in queries {
            assert_eq!(text(&a, query).await.unwrap(), None, "{query}");
        }
    }
    a.batch_execute("commit").await.unwrap();

    // DISCARD ALL drops the plans; DISCARD PLANS has them made anew; a changed policy does, too.
    a.batch_execute("discard plans").await.unwrap();
    pool.bed
        .admin
        .batch_execute("alter policy own on todos using (owner = auth.uid() and title = 'bob')")
        .await
        .unwrap();
    for (session, seen) in [(&pool.alice, ""), (&pool.bob, "bob")] {
        case!(seen);
        b.batch_execute(&format!("begin; {}", set(session, true))).await.unwrap();
        assert_eq!(lines(&b, "execute guarded").await.unwrap().join(""), seen);
        b.batch_execute("commit").await.unwrap();
    }
    b.batch_execute("discard all").await.unwrap();
    refused_as(a.batch_execute("execute bare").await, "26000");
}

const STEPS: usize = 300;

/// Every run walks other ways; `WALK_SEED` has one walked again.
fn seed() -> u64 {
    std::env::var("WALK_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap())
}

#[tokio::test]
async fn a_walk_at_random_on_connections_of_ones_own() {
    let ground = Ground::new("walked").await;
    for _ in 0..3 {
        let mut connections = Vec::new();
        for _ in 0..3 {
            connections.push([ground.bed.connect(&ground.app).await]);
        }
        let connections: Vec<&[Client]> = connections.iter().map(<[Client; 1]>::as_slice).collect();
        walk(&ground, &connections, seed(), STEPS).await;
    }
}

#[tokio::test]
async fn a_walk_at_random_of_clients_that_share_a_connection() {
    let ground = Ground::new("walked_together").await;
    for _ in 0..3 {
        let pooler = PgBouncer::start(ground.bed.cluster, TRANSACTION).unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(pooler.connect(&ground.bed.database, &ground.app).await.unwrap());
        }
        walk(&ground, &[&clients], seed(), STEPS).await;
    }
}
