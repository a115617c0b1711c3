//! What may happen in a step.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastrand::Rng;
use serde_json::json;
use uuid::Uuid;
use workos_auth_core::session_model::Scope;
use workos_simulator::{Fault, FaultKind};

use super::{Came, Failed, Given, Open, PEOPLE, Walk, came};
use crate::bed::{exchange, refresh, set_session, start};
use crate::operations;
use crate::whole::counter;

/// Another counter, or another tag.
fn forged(token: &str, rng: &mut Rng) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    bytes[rng.usize(21..45)] ^= 1 << rng.u8(..8);
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Walk<'_> {
    /// Does one thing, drawn by lot.
    pub(super) async fn act(&mut self, at: usize, person: usize, step: usize) -> Result<Failed, String> {
        match self.rng.u8(..40) {
            0..3 => self.sign_in(at, person, step).await,
            3..20 => self.refresh(at, person).await,
            20 | 21 => self.take_turns(at, person).await,
            22 => self.sign_out(at, person).await,
            23..27 => self.read(at, person).await,
            27..38 => self.change_row(at, person).await,
            _ if self.connections[at].operates => self.operate(at, person).await,
            _ => self.refresh(at, person).await,
        }
    }

    async fn sign_in(&mut self, at: usize, person: usize, step: usize) -> Result<Failed, String> {
        let pending = match &mut self.connections[at].open {
            Some(open) => open.pending.take(),
            None => Some(start(&self.bed.admin, PEOPLE[person].0).await),
        };
        let Some(pending) = pending else { return Ok(Failed::No) };
        let groups =
            [vec!["staff".to_owned()], vec![format!("group {step}")]][usize::from(self.rng.u8(..3) == 0)].clone();
        let patch = json!({ "groups": groups });
        self.bed.simulator().set_fault(Fault::token(FaultKind::ProfileOverrides { patch }).times(1)).unwrap();
        let result = exchange(&self.connections[at].client, &pending).await;
        let answer = result.as_ref().ok().cloned();
        let expected = self.world(at).may_sign_in(person);
        let is_new = expected.as_ref().is_ok_and(Option::is_none);
        // Somebody new is whom the database says, as long as it is somebody new.
        let known = |user: Uuid| self.world.people.iter().any(|person| person.user == Some(user));
        let user = answer.as_ref().map(|session| session.user_id);
        let expected = match expected {
            Ok(None) if user.is_none_or(|user| !known(user)) => Ok((user.unwrap_or_default(), true)),
            Ok(user) => Ok((user.unwrap_or_default(), is_new)),
            Err(name) => Err(name),
        };
        let came = came(result.map(|session| (session.user_id, session.is_new_user)));
        let failed = self.judge(at, person, "sign in", &came, &expected)?;
        if let Some(session) = answer {
            self.world(at).sign_in(person, &groups, session.session_id, session.user_id);
            self.remember(person, &session, 0);
        }
        Ok(failed)
    }

    async fn refresh(&mut self, at: usize, person: usize) -> Result<Failed, String> {
        let Some(given) = self.some_given(at, person) else { return Ok(Failed::No) };
        let (token, what, name) = match self.rng.u8(..50) {
            0 => (self.foreign.clone(), "a foreign token", "refresh_token_not_found"),
            1 => (forged(&given.refresh_token, &mut self.rng), "a forged token", "refresh_token_not_found"),
            2 => (given.refresh_token[1..].to_owned(), "no token", "validation_failed"),
            _ => return self.present(at, &given).await,
        };
        let came = came(refresh(&self.connections[at].client, &token).await.map(drop));
        self.judge(at, person, what, &came, &Err(name))
    }

    async fn present(&mut self, at: usize, given: &Given) -> Result<Failed, String> {
        let expected = self.world(at).refresh(given.session, given.counter);
        let result = refresh(&self.connections[at].client, &given.refresh_token).await;
        let answer = result.as_ref().ok().cloned();
        let came = came(result.map(|session| counter(&session.refresh_token)));
        let what = format!("refresh {} of {}", given.counter, given.session);
        let failed = self.judge(at, given.person, &what, &came, &expected)?;
        if let Some(session) = answer {
            if session.session_id != given.session {
                return Err("another session".to_owned());
            }
            let version = self.world(at).sessions[&session.session_id].claims_version;
            self.remember(given.person, &session, version);
        }
        let is_theft = expected == Err("refresh_token_already_used") && came != Came::Refused("40001".to_owned());
        Ok(if is_theft { Failed::Theft(given.session) } else { failed })
    }

    /// Two have the same tokens, and take turns.
    async fn take_turns(&mut self, at: usize, person: usize) -> Result<Failed, String> {
        if self.connections[at].open.is_some() {
            return Ok(Failed::No);
        }
        let Some(mut given) = self.some_given(at, person) else { return Ok(Failed::No) };
        for _ in 0..self.rng.u8(1..5) {
            for _ in 0..2 {
                match self.present(at, &given).await? {
                    Failed::No => self.time_passes(at, person, given.session).await,
                    failed => return Ok(failed),
                }
            }
            given = self.given[self.given.len() - 1].clone();
        }
        Ok(Failed::No)
    }

    async fn time_passes(&mut self, at: usize, person: usize, session: Uuid) {
        self.world.time_passes(session);
        self.change(at, person, "time passes", "refreshed_at = refreshed_at - interval '2 hours'", session).await;
    }

    async fn change(&mut self, at: usize, person: usize, what: &str, change: &str, session: Uuid) {
        self.said(at, person, format!("{what} for {session}"));
        let sql = format!("update auth.sessions set {change} where id = '{session}'");
        self.bed.admin.batch_execute(&sql).await.unwrap();
    }

    /// An access token is shown, of anybody, in one of the two ways.
    pub(super) async fn read(&mut self, at: usize, person: usize) -> Result<Failed, String> {
        let Some(given) = self.some_given(at, person) else { return Ok(Failed::No) };
        let expected = self.world(at).read(given.session, given.claims_version);
        let client = &self.connections[at].client;
        let sets = self.rng.bool();
        let result = if sets {
            set_session(client, &given.access_token, false).await
        } else {
            client.query_one("select auth.verify_token($1)", &[&given.access_token]).await.map(drop)
        };
        let came_in = came(result);
        let what = format!("read {} of {}", given.claims_version, given.session);
        let failed = self.judge(at, person, &what, &came_in, &expected)?;
        if !sets || came_in != Came::To(()) {
            return Ok(failed);
        }
        let client = &self.connections[at].client;
        let session = client.query_one("select auth.session_id()", &[]).await.map(|row| row.get::<_, Uuid>(0));
        let session = came(session);
        let cleared = client.batch_execute("select auth.clear_session()").await;
        let failed = self.judge(at, person, "whose session", &session, &Ok(given.session))?;
        match failed {
            Failed::No => cleared.map(|()| failed).map_err(|error| error.to_string()),
            failed => Ok(failed),
        }
    }

    async fn sign_out(&mut self, at: usize, person: usize) -> Result<Failed, String> {
        let Some(given) = self.some_given(at, person) else { return Ok(Failed::No) };
        let scopes = [("global", Scope::Global), ("local", Scope::Local), ("others", Scope::Others)];
        let (name, scope) = scopes[self.rng.usize(..scopes.len())];
        let expected = self.world(at).sign_out(given.session, scope);
        let client = &self.connections[at].client;
        let result = client.query_one("select auth.sign_out($1, $2)", &[&given.access_token, &name]).await;
        let came = came(result.map(|row| row.get::<_, i64>(0)));
        self.judge(at, person, &format!("sign out {name} by {}", given.session), &came, &expected)
    }

    /// What only time, a restore or a hand on the tables does; by a superuser, outside of any transaction.
    async fn change_row(&mut self, at: usize, person: usize) -> Result<Failed, String> {
        if self.connections[at].open.is_some() {
            return Ok(Failed::No);
        }
        let Some(id) = self.some_given(at, person).map(|given| given.session) else { return Ok(Failed::No) };
        let Some(counter) = self.world.sessions.get(&id).map(|session| session.counter) else { return Ok(Failed::No) };
        match self.rng.u8(..30) {
            0 => {
                self.world.time_is_over(id);
                self.change(at, person, "its time is over", "not_after = now() - interval '1 s'", id).await;
            }
            1 | 2 if counter > 0 => {
                let lost = self.rng.u64(1..=counter);
                self.world.lose_history(id, lost);
                let change = format!("refresh_token_counter = refresh_token_counter - {lost}");
                self.change(at, person, "history is lost", &change, id).await;
            }
            _ => self.time_passes(at, person, id).await,
        }
        Ok(Failed::No)
    }

    async fn operate(&mut self, at: usize, person: usize) -> Result<Failed, String> {
        let in_transaction = self.connections[at].open.is_some();
        let Some(user) = self.world(at).people[person].user else { return Ok(Failed::No) };
        let (what, sql) = match self.rng.u8(..9) {
            0 | 1 => {
                self.world(at).ban(person, false);
                ("ban", operations::ban(user))
            }
            2 => {
                self.world(at).ban(person, true);
                ("ban by hand", format!("update auth.users set banned_until = 'infinity' where id = '{user}'"))
            }
            3..=5 => {
                self.world(at).unban(person);
                ("unban", operations::unban(user))
            }
            6 => {
                self.world(at).delete(person);
                ("delete", operations::delete_user(user))
            }
            7 => {
                self.world(at).revoke_sessions(person);
                ("revoke", operations::revoke_sessions(user))
            }
            _ => {
                let Some(organization) = PEOPLE[person].1.filter(|_| !in_transaction) else { return Ok(Failed::No) };
                let is_held = |open: &Open| PEOPLE[open.person].1 == Some(organization);
                if self.connections.iter().any(|other| other.open.as_ref().is_some_and(is_held)) {
                    return Ok(Failed::No);
                }
                self.world.revoke_organization(organization);
                ("revoke the organization", operations::revoke_organization(organization))
            }
        };
        let came = came(self.connections[at].client.batch_execute(&sql).await);
        self.judge(at, person, what, &came, &Ok(()))
    }
}
