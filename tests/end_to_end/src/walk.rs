//! A walk at random through everything that changes whose claims are read, beside a model that says whose they must be.

use fastrand::Rng;
use tokio_postgres::Client;

use crate::bed::{ALICE, BOB, Bed, GINA};
use crate::model::Setting;
use crate::sql::{Refusal, text};

/// How many of the last steps a failure shows.
const SHOWN: usize = 40;

/// What somebody may put on a connection, and what a reader then says.
#[derive(Debug)]
struct Token {
    token: String,
    /// The person and the session, or the SQLSTATE of the refusal.
    claims: Result<String, &'static str>,
}

/// A database for walks: three sessions of two people and one of a third, one that has ended, and something that is no token.
pub struct Ground {
    /// The database.
    pub bed: Bed<'static>,
    /// An ordinary role.
    pub app: String,
    tokens: Vec<Token>,
}

impl Ground {
    /// Makes it.
    #[track_caller]
    pub fn new(name: &str) -> impl Future<Output = Self> + use<> {
        Self::of(Bed::shared(name))
    }

    async fn of(bed: impl Future<Output = Bed<'static>>) -> Self {
        let bed = bed.await;
        let app = bed.role("app", "").await;
        let mut tokens = vec![Token { token: "no.token".to_owned(), claims: Err("WA501") }];
        let mut ended = bed.sign_in(ALICE).await;
        for person in [ALICE, ALICE, BOB, GINA] {
            let session = bed.sign_in(person).await;
            let claims = Ok(format!("{} {}", session.user_id, session.session_id));
            tokens.push(Token { token: session.access_token.clone(), claims });
            ended.user_id = session.user_id;
        }
        bed.admin.execute("delete from auth.sessions where id = $1", &[&ended.session_id]).await.unwrap();
        tokens.push(Token { token: ended.access_token, claims: Err("WA509") });
        let gina = &tokens[4].token;
        let sql = format!(
            "create table everything as select id as owner from auth.users;
             create table guarded as table everything;
             alter table guarded enable row level security;
             create policy own on guarded using (owner = auth.uid());
             grant select on everything, guarded to {app};
             create function inlined() returns text stable language sql as $$ select auth.uid() || ' ' || auth.session_id() $$;
             create function planned() returns text stable language plpgsql
                 as $$ declare claims text := auth.uid() || ' ' || auth.session_id(); begin return claims; end $$;
             create function as_gina() returns text language plpgsql set workos_auth.session_token = '{gina}'
                 as $$ begin return (select auth.uid() || ' ' || auth.session_id()); end $$"
        );
        bed.admin.batch_execute(&sql).await.unwrap();
        Self { bed, app, tokens }
    }
}

/// The ways to ask, each with the same answer.
const READS: &[&str] = &[
    "select auth.uid() || ' ' || auth.session_id()",
    "select (auth.jwt()->>'sub') || ' ' || (auth.session_claims()->>'session_id')",
    "select inlined()",
    "select planned()",
    "select (select inlined()) from guarded",
    "select owner || ' ' || auth.session_id() from guarded",
    "select owner || ' ' || (select auth.session_id()) from everything where owner = (select auth.uid())",
    "execute prepared",
    "execute bound('x')",
];
/// These two are there from now on, whatever becomes of the transaction.
const PREPARE: &str =
    "prepare prepared as select owner || ' ' || auth.session_id() from everything where owner = auth.uid();
    prepare bound(text) as select owner || ' ' || auth.session_id() from guarded where owner::text <> $1";

/// A server connection, the clients that take turns on it, and what must be true of it.
struct Connection<'a> {
    clients: &'a [Client],
    /// Who is in a transaction, if anybody is.
    turn: usize,
    token: Setting<Option<usize>>,
    failed: bool,
    prepared: bool,
}

/// Goes `steps` steps. Each group of `connections` are the clients that share one server connection.
pub async fn walk(ground: &Ground, connections: &[&[Client]], seed: u64, steps: usize) {
    println!("the seed of this walk is {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut all: Vec<Connection<'_>> = connections.iter().map(|clients| Connection::new(clients)).collect();
    let mut said: Vec<String> = Vec::new();
    for _ in 0..steps {
        let at = rng.usize(..all.len());
        let outcome = all[at].step(ground, &mut rng).await;
        let (what, wrong) = match outcome {
            Ok(what) => (what, None),
            Err(what) => (what.clone(), Some(what)),
        };
        said.push(format!("connection {at}, client {}: {what}", all[at].turn));
        if wrong.is_some() {
            let from = said.len().saturating_sub(SHOWN);
            panic!("seed {seed}, step {}:\n{}", said.len(), said[from..].join("\n"));
        }
    }
}

impl<'a> Connection<'a> {
    fn new(clients: &'a [Client]) -> Self {
        Self { clients, turn: 0, token: Setting::new(None), failed: false, prepared: false }
    }

    /// One step: what was done, or what was wrong with it.
    async fn step(&mut self, ground: &Ground, rng: &mut Rng) -> Result<String, String> {
        if !self.token.in_transaction() {
            self.turn = rng.usize(..self.clients.len());
        }
        match rng.u8(..20) {
            _ if self.failed => self.recover(rng).await,
            0..8 => self.read(ground, rng).await,
            8..14 => self.change(ground, rng).await,
            _ => self.go_on(rng).await,
        }
    }

    /// In a transaction that has failed, there is nothing but the way out.
    async fn recover(&mut self, rng: &mut Rng) -> Result<String, String> {
        match rng.u8(..4) {
            0 => self.expect("select auth.uid()", Err("25P02")).await,
            1 if self.token.savepoints() > 0 => self.roll_back_to_savepoint(rng).await,
            end => {
                self.failed = false;
                self.token.rollback();
                self.expect(if end == 2 { "commit" } else { "rollback" }, Ok(None)).await
            }
        }
    }

    async fn read(&mut self, ground: &Ground, rng: &mut Rng) -> Result<String, String> {
        let claims = self.token.current().map(|token| ground.tokens[token].claims.as_deref());
        if !self.prepared {
            self.expect(PREPARE, Ok(None)).await?;
            self.prepared = true;
        }
        let answer = match claims {
            Some(Err(sqlstate)) => Err(*sqlstate),
            Some(Ok(claims)) => Ok(Some(claims.to_owned())),
            None => Ok(None),
        };
        self.expect(READS[rng.usize(..READS.len())], answer).await
    }

    /// Puts a token on or takes it off, in one of the ways there are.
    async fn change(&mut self, ground: &Ground, rng: &mut Rng) -> Result<String, String> {
        let chosen = rng.usize(..ground.tokens.len());
        let Token { token, claims } = &ground.tokens[chosen];
        let is_local = rng.bool();
        let verified = claims.as_ref().map(drop).map_err(|sqlstate| *sqlstate);
        let (sql, refused, set) = match rng.u8(..12) {
            0..5 => (format!("select null from auth.set_session('{token}', {is_local})"), verified, Some(Some(chosen))),
            // Nobody looks at the token before a reader does.
            5 | 6 => {
                let local = if is_local { "local" } else { "" };
                (format!("set {local} workos_auth.session_token = '{token}'"), Ok(()), Some(Some(chosen)))
            }
            7 => (
                format!(
                    "do $$ begin perform auth.set_session('{token}', {is_local}); perform auth.uid();
                     raise 'undone'; exception when others then null; end $$"
                ),
                Ok(()),
                None,
            ),
            8 => {
                // The claims of a function are its own.
                let gina = ground.tokens[4].claims.clone().ok();
                return self.expect("select as_gina()", Ok(gina)).await;
            }
            how => {
                let sql = ["select null from auth.clear_session()", "reset workos_auth.session_token", "reset all"];
                self.token.set(None);
                return self.expect(sql[usize::from(how - 9)], Ok(None)).await;
            }
        };
        match (refused, set) {
            (Ok(()), Some(set)) if is_local => self.token.set_local(set),
            (Ok(()), Some(set)) => self.token.set(set),
            _ => {}
        }
        self.expect(&sql, refused.map(|()| None)).await
    }

    /// Begins and ends transactions and subtransactions, and fails in them.
    async fn go_on(&mut self, rng: &mut Rng) -> Result<String, String> {
        if !self.token.in_transaction() {
            return match rng.u8(..6) {
                0 => {
                    self.token = Setting::new(None);
                    self.prepared = false;
                    self.expect("discard all", Ok(None)).await
                }
                1 => self.expect("select 1 / 0", Err("22012")).await,
                _ => {
                    self.token.begin();
                    let isolation = ["read committed", "repeatable read", "serializable"];
                    self.expect(&format!("begin isolation level {}", isolation[rng.usize(..3)]), Ok(None)).await
                }
            };
        }
        let savepoints = self.token.savepoints();
        match rng.u8(..12) {
            0 | 1 => {
                self.token.commit();
                self.expect("commit", Ok(None)).await
            }
            2 => {
                self.token.rollback();
                self.expect("rollback", Ok(None)).await
            }
            3 => self.expect("select 1 / 0 from everything where owner is distinct from auth.uid()", Err("")).await,
            4..7 if savepoints > 0 => self.roll_back_to_savepoint(rng).await,
            7 | 8 if savepoints > 0 => {
                let savepoint = rng.usize(1..=savepoints);
                self.token.release(savepoint);
                self.expect(&format!("release s{savepoint}"), Ok(None)).await
            }
            _ => {
                self.token.begin();
                self.expect(&format!("savepoint s{}", savepoints + 1), Ok(None)).await
            }
        }
    }

    async fn roll_back_to_savepoint(&mut self, rng: &mut Rng) -> Result<String, String> {
        let savepoint = rng.usize(1..=self.token.savepoints());
        self.failed = false;
        self.token.rollback_to(savepoint);
        self.expect(&format!("rollback to s{savepoint}"), Ok(None)).await
    }

    /// Runs a statement that must answer so, or be refused with this SQLSTATE (the empty one: any).
    async fn expect(&mut self, sql: &str, answer: Result<Option<String>, &str>) -> Result<String, String> {
        // A token is long, and its first letters say nothing.
        let shown = sql.split("eyJ").next().unwrap_or_default();
        let said = match text(&self.clients[self.turn], sql).await {
            Ok(said) => Ok(said),
            Err(error) => Err(Refusal::from(error.as_db_error().ok_or_else(|| format!("{shown}: {error}"))?)),
        };
        self.failed = said.is_err() && self.token.in_transaction();
        let right = match (&said, &answer) {
            (Ok(said), Ok(answer)) => said == answer,
            (Err(refusal), Err(sqlstate)) => sqlstate.is_empty() || refusal.sqlstate == *sqlstate,
            _ => false,
        };
        if right { Ok(format!("{shown}: {said:?}")) } else { Err(format!("{shown}: {said:?}, not {answer:?}")) }
    }
}
