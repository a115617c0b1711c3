//! A walk at random through everything that happens to sessions, over several connections, beside the model that says what must come of
//! it: `workos_auth_core::session_model`.
//!
//! One statement runs at a time. A transaction may stay open over many steps; what it is about, one person, is then nobody else's to
//! write, so that nothing waits.

mod acts;

use fastrand::Rng;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_auth_core::ErrorCode;
use workos_auth_core::session_model::{ModelAnswer, World};

use crate::bed::{ALICE, ANNA, BOB, Bed, GINA, Pending, Person, Session, start};
use crate::sql::{Refusal, lines};
use crate::whole::counter;

/// How many of the last steps a failure shows.
const SHOWN: usize = 40;
const PEOPLE: [(Person, Option<&str>); 4] =
    [(ALICE, Some("org_acme")), (ANNA, Some("org_acme")), (BOB, Some("org_globex")), (GINA, None)];
const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

/// Tokens that somebody was given.
#[derive(Debug, Clone)]
struct Given {
    person: usize,
    session: Uuid,
    access_token: String,
    claims_version: i64,
    refresh_token: String,
    counter: u64,
}

/// A transaction that is open: what it is about, and what is true within it.
struct Open {
    person: usize,
    level: &'static str,
    world: World,
    /// A sign-in that was started before, since the transaction's snapshot may be older than a later one.
    pending: Option<Pending>,
}

struct Connection {
    client: Client,
    /// Whether it is a superuser's.
    operates: bool,
    open: Option<Open>,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Came<T> {
    /// It was answered.
    To(T),
    /// It was refused with this SQLSTATE.
    Refused(String),
}

struct Walk<'a> {
    bed: &'a Bed<'a>,
    rng: Rng,
    connections: Vec<Connection>,
    /// What is committed.
    world: World,
    given: Vec<Given>,
    /// A refresh token of another database.
    foreign: String,
    said: Vec<String>,
}

/// Goes `steps` steps over a database of its own, in which nobody has signed in; `foreign` is a refresh token of another one. Returns
/// what was done and what came of it, a line each.
pub async fn walk(bed: &Bed<'_>, foreign: &str, seed: u64, steps: usize) -> Vec<String> {
    println!("the seed of this walk is {seed}");
    // No step takes so long: what was replaced lately is what no step has moved to long ago.
    for (setting, value) in
        [("workos_auth.refresh_reuse_interval", "1h"), ("workos_auth.rls_guard", "off"), ("lock_timeout", "20s")]
    {
        bed.set(setting, value).await;
    }
    // The first of an organization makes colleagues wait: its row is theirs too.
    let known = "insert into auth.organizations (id) values ('org_acme'), ('org_globex')";
    bed.admin.batch_execute(known).await.unwrap();
    let mut connections = Vec::new();
    for operates in [false, false, false, true, true] {
        let client = if operates { bed.superuser().await } else { bed.backend().await };
        connections.push(Connection { client, operates, open: None });
    }
    let mut walk = Walk {
        bed,
        rng: Rng::with_seed(seed),
        connections,
        world: World::new(PEOPLE.map(|(_, organization)| organization)),
        given: Vec::new(),
        foreign: foreign.to_owned(),
        said: Vec::new(),
    };
    for step in 0..steps {
        let outcome = match walk.step(step).await {
            Ok(()) => walk.compare().await,
            wrong => wrong,
        };
        if let Err(wrong) = outcome {
            let from = walk.said.len().saturating_sub(SHOWN);
            panic!("seed {seed}, step {step}: {wrong}, after\n{}", walk.said[from..].join("\n"));
        }
    }
    for at in 0..walk.connections.len() {
        walk.finish(at, true).await.unwrap();
    }
    walk.compare().await.unwrap();
    walk.said
}

/// Whether the database said what the model says.
fn same<T: std::fmt::Debug + PartialEq>(came: &Came<T>, expected: &ModelAnswer<T>) -> Result<(), String> {
    let expected = match expected {
        Ok(answer) => Ok(answer),
        Err(name) => Err(ErrorCode::ALL.iter().find(|code| code.name() == *name).unwrap().sqlstate()),
    };
    let right = match (came, &expected) {
        (Came::To(answer), Ok(expected)) => answer == *expected,
        (Came::Refused(sqlstate), Err(expected)) => sqlstate == expected,
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("{came:?}, not {expected:?}")) }
}

fn came<T>(result: Result<T, tokio_postgres::Error>) -> Came<T> {
    match result {
        Ok(answer) => Came::To(answer),
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("the server said nothing: {error}"));
            Came::Refused(Refusal::from(error).sqlstate)
        }
    }
}

impl Walk<'_> {
    async fn step(&mut self, step: usize) -> Result<(), String> {
        let at = self.rng.usize(..self.connections.len());
        if self.connections[at].open.is_some() && self.rng.u8(..6) == 0 {
            let commits = self.rng.bool();
            return self.finish(at, commits).await;
        }
        let person = match &self.connections[at].open {
            Some(open) => open.person,
            None => self.rng.usize(..PEOPLE.len()),
        };
        let is_free = self.connections.iter().all(|other| other.open.as_ref().is_none_or(|open| open.person != person));
        let is_mine = self.connections[at].open.is_some();
        if !is_mine && !is_free {
            return self.read(at, person).await.map(drop);
        }
        if !is_mine && self.rng.u8(..4) == 0 {
            let level = LEVELS[self.rng.usize(..LEVELS.len())];
            self.said(at, person, format!("begin isolation level {level}"));
            let begin = format!("begin isolation level {level}");
            let pending = Some(start(&self.bed.admin, PEOPLE[person].0).await);
            self.connections[at].client.batch_execute(&begin).await.map_err(|error| error.to_string())?;
            self.connections[at].open = Some(Open { person, level, world: self.world.clone(), pending });
        }
        // Undone by itself, now and then.
        let undone = self.connections[at].open.is_some() && self.rng.u8(..5) == 0;
        let before = self.connections[at].open.as_ref().map(|open| open.world.clone());
        if undone {
            self.said(at, person, "savepoint".to_owned());
            self.connections[at].client.batch_execute("savepoint s").await.map_err(|error| error.to_string())?;
        }
        let failed = self.act(at, person, step).await?;
        match (undone, &failed) {
            (_, Failed::Theft(session)) => {
                // It ends whatever becomes of the transaction, which may hold its row until it is over.
                self.finish(at, false).await?;
                self.world.end_session(*session);
                self.has_ended(*session).await
            }
            (true, _) => {
                self.said(at, person, "rollback to savepoint".to_owned());
                if let (Some(open), Some(before)) = (&mut self.connections[at].open, before) {
                    open.world = before;
                }
                let undo = self.connections[at].client.batch_execute("rollback to s").await;
                undo.map_err(|error| error.to_string())
            }
            (false, Failed::Yes) => self.finish(at, false).await,
            (false, Failed::No) => Ok(()),
        }
    }

    fn said(&mut self, at: usize, person: usize, what: String) {
        let who = PEOPLE[person].0.email;
        self.said.push(format!("connection {at}, {who}: {what}"));
    }

    /// What is true for this connection.
    fn world(&mut self, at: usize) -> &mut World {
        match &mut self.connections[at].open {
            Some(open) => &mut open.world,
            None => &mut self.world,
        }
    }

    /// Ends the transaction, if one is open.
    async fn finish(&mut self, at: usize, commits: bool) -> Result<(), String> {
        let Some(open) = self.connections[at].open.take() else { return Ok(()) };
        let how = if commits { "commit" } else { "rollback" };
        self.said(at, open.person, how.to_owned());
        match came(self.connections[at].client.batch_execute(how).await) {
            Came::To(()) if commits => self.world.adopt(&open.world, open.person),
            Came::To(()) => {}
            Came::Refused(sqlstate) if sqlstate == "40001" && open.level == "serializable" => {}
            Came::Refused(sqlstate) => return Err(format!("{how}: {sqlstate}")),
        }
        Ok(())
    }

    /// A theft is carried out by somebody else, soon.
    async fn has_ended(&self, session: Uuid) -> Result<(), String> {
        for _ in 0..1_000 {
            if self.bed.counter(session).await.is_none() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Err("the stolen session goes on".to_owned())
    }

    /// Compares; under SERIALIZABLE Postgres may ask for another try whatever is done.
    fn judge<T: std::fmt::Debug + PartialEq>(
        &mut self,
        at: usize,
        person: usize,
        what: &str,
        came: &Came<T>,
        expected: &ModelAnswer<T>,
    ) -> Result<Failed, String> {
        self.said(at, person, format!("{what}: {came:?}"));
        let serializable = self.connections[at].open.as_ref().is_some_and(|open| open.level == "serializable");
        if serializable && *came == Came::Refused("40001".to_owned()) {
            // Whatever the model did is undone with the rest.
            return Ok(Failed::Yes);
        }
        same(came, expected)?;
        Ok(if expected.is_err() { Failed::Yes } else { Failed::No })
    }

    /// Mostly of a session that lives, and of the last ones.
    fn some_given(&mut self, at: usize, person: usize) -> Option<Given> {
        let (lives, is_new) = (self.rng.u8(..6) > 0, self.rng.u8(..4) > 0);
        let world = self.connections[at].open.as_ref().map_or(&self.world, |open| &open.world);
        let wanted = |given: &&Given| given.person == person && world.sessions.contains_key(&given.session) == lives;
        let theirs: Vec<&Given> = self.given.iter().filter(wanted).collect();
        let from = if is_new { theirs.len().saturating_sub(5) } else { 0 };
        self.rng.choice(&theirs[from..]).map(|given| (*given).clone())
    }

    fn remember(&mut self, person: usize, session: &Session, claims_version: i64) {
        self.given.push(Given {
            person,
            session: session.session_id,
            access_token: session.access_token.clone(),
            claims_version,
            refresh_token: session.refresh_token.clone(),
            counter: counter(&session.refresh_token),
        });
    }

    /// What is committed is what the model says: which sessions live, with what counter and which version of the claims.
    async fn compare(&mut self) -> Result<(), String> {
        let sql = "select id, user_id, refresh_token_counter, claims_version from auth.sessions order by id";
        let rows = lines(&self.bed.admin, sql).await.unwrap();
        let line = |(id, session): (&Uuid, &workos_auth_core::session_model::Session)| {
            let user = self.world.people[session.person].user.unwrap_or_default();
            format!("{id}|{user}|{}|{}", session.counter, session.claims_version)
        };
        let expected: Vec<String> = self.world.sessions.iter().map(line).collect();
        if rows == expected { Ok(()) } else { Err(format!("the sessions are\n{rows:#?}, not\n{expected:#?}")) }
    }
}

/// Whether a step failed, and what follows from that.
enum Failed {
    No,
    /// A transaction around it is to be rolled back.
    Yes,
    /// The same, and this session ends all the same.
    Theft(Uuid),
}
