//! Sessions as a person who knows the rules would keep them on paper: who has which, what ends them, which tokens are good, and the name
//! of the error otherwise. To compare with what a database does; nothing runs by it.
//!
//! It knows of no clock: a rotation is lately until somebody says that time has passed. Names of errors are those of
//! [`crate::ErrorCode::name`].

use std::collections::BTreeMap;

use uuid::Uuid;

/// What is refused, by the name of its error.
pub type ModelAnswer<T> = Result<T, &'static str>;

/// How long ago a refresh token was replaced, as the reuse interval sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// Not once.
    Never,
    /// Within the interval.
    Lately,
    /// Before it.
    LongAgo,
}

/// A session that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// An index of [`World::people`].
    pub person: usize,
    /// How often the person's rights have changed since.
    pub claims_version: i64,
    /// Of the newest refresh token.
    pub counter: u64,
    /// When it became the newest.
    pub rotated: Rotated,
    /// How often in a row the token before the newest came late, and the counter that this was last counted at.
    pub late: Option<(u32, u64)>,
    /// Its time is over: nothing is refreshed any more.
    pub is_over: bool,
}

/// Somebody at an identity provider, who may have an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// Whom they belong to.
    pub organization: Option<String>,
    /// Their user, from the first sign-in to the deletion.
    pub user: Option<Uuid>,
    /// Whether the user is banned.
    pub is_banned: bool,
    /// What the last sign-in said of them.
    pub groups: Vec<String>,
}

/// Which sessions end with a sign-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of the person's.
    Global,
    /// The current one.
    Local,
    /// All but the current one.
    Others,
}

/// Everybody and their sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// Everybody.
    pub people: Vec<Person>,
    /// The sessions that live, by their ids.
    pub sessions: BTreeMap<Uuid, Session>,
}

impl World {
    /// Nobody has signed in; each person with their organization.
    pub fn new<'a>(organizations: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let person =
            |organization: Option<&str>| Person { organization: organization.map(str::to_owned), ..Person::default() };
        Self { people: organizations.into_iter().map(person).collect(), sessions: BTreeMap::new() }
    }

    /// Whether a person may sign in, and as whom: `None` is somebody new.
    ///
    /// # Errors
    /// `user_banned`.
    pub fn may_sign_in(&self, person: usize) -> ModelAnswer<Option<Uuid>> {
        let Person { user, is_banned, .. } = self.people[person];
        if is_banned { Err("user_banned") } else { Ok(user) }
    }

    /// A person has signed in: what they are told to be a member of has changed, perhaps.
    pub fn sign_in(&mut self, person: usize, groups: &[String], session: Uuid, user: Uuid) {
        let Person { organization, user: before, groups: old, .. } = &mut self.people[person];
        let changed = organization.is_some() && before.is_some() && old != groups;
        *before = Some(user);
        if organization.is_some() {
            *old = groups.to_vec();
        }
        if changed {
            for session in self.sessions.values_mut().filter(|session| session.person == person) {
                session.claims_version += 1;
            }
        }
        let new =
            Session { person, claims_version: 0, counter: 0, rotated: Rotated::Never, late: None, is_over: false };
        self.sessions.insert(session, new);
    }

    /// A refresh token is presented. Returns the counter of the one that is issued; a theft ends the session.
    ///
    /// # Errors
    /// `refresh_token_not_found`, `user_banned`, `session_expired`, `conflict`, `refresh_token_already_used`.
    pub fn refresh(&mut self, id: Uuid, presented: u64) -> ModelAnswer<u64> {
        let session = self.sessions.get_mut(&id).ok_or("refresh_token_not_found")?;
        if self.people[session.person].is_banned {
            return Err("user_banned");
        }
        if session.is_over {
            return Err("session_expired");
        }
        if presented >= session.counter {
            session.counter = presented + 1;
            session.rotated = Rotated::Lately;
            return Ok(session.counter);
        }
        let is_late = session.rotated != Rotated::Lately;
        let is_last = presented + 1 == session.counter;
        match (is_last, is_late) {
            (true, false) => return Ok(session.counter),
            (false, false) => return Err("conflict"),
            (false, true) => {}
            (true, true) => {
                let counted = match session.late {
                    Some((_, at)) if at == session.counter => return Ok(session.counter),
                    Some((so_far, at)) if at + 1 == session.counter => so_far + 1,
                    _ => 1,
                };
                if counted < 3 {
                    session.late = Some((counted, session.counter));
                    return Ok(session.counter);
                }
            }
        }
        self.sessions.remove(&id);
        Err("refresh_token_already_used")
    }

    /// An access token is shown.
    ///
    /// # Errors
    /// `session_not_found`, `session_stale`.
    pub fn read(&self, id: Uuid, claims_version: i64) -> ModelAnswer<()> {
        let session = self.sessions.get(&id).ok_or("session_not_found")?;
        if claims_version < session.claims_version { Err("session_stale") } else { Ok(()) }
    }

    /// Whoever shows an access token of this session signs out, also one that is older than the person's rights. Returns how many
    /// sessions ended.
    ///
    /// # Errors
    /// `session_not_found`.
    pub fn sign_out(&mut self, id: Uuid, scope: Scope) -> ModelAnswer<i64> {
        let person = self.sessions.get(&id).ok_or("session_not_found")?.person;
        Ok(self.end(|other, session| {
            session.person == person
                && match scope {
                    Scope::Global => true,
                    Scope::Local => other == id,
                    Scope::Others => other != id,
                }
        }))
    }

    /// A ban by an operator ends the sessions; one by hand ends what comes after.
    pub fn ban(&mut self, person: usize, by_hand: bool) {
        self.people[person].is_banned = self.people[person].user.is_some();
        if !by_hand {
            self.revoke_sessions(person);
        }
    }

    /// The ban is lifted.
    pub fn unban(&mut self, person: usize) {
        self.people[person].is_banned = false;
    }

    /// The user is removed; the person may come again, as somebody new.
    pub fn delete(&mut self, person: usize) {
        self.revoke_sessions(person);
        let organization = self.people[person].organization.take();
        self.people[person] = Person { organization, ..Person::default() };
    }

    /// The person's sessions end.
    pub fn revoke_sessions(&mut self, person: usize) {
        self.end(|_, session| session.person == person);
    }

    /// The organization's sessions end.
    pub fn revoke_organization(&mut self, organization: &str) {
        let people = self.people.clone();
        self.end(|_, session| people[session.person].organization.as_deref() == Some(organization));
    }

    /// The session ends.
    pub fn end_session(&mut self, id: Uuid) {
        self.sessions.remove(&id);
    }

    /// Longer than the reuse interval.
    pub fn time_passes(&mut self, id: Uuid) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.rotated == Rotated::Lately) {
            session.rotated = Rotated::LongAgo;
        }
    }

    /// The session's time is over.
    pub fn time_is_over(&mut self, id: Uuid) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.is_over = true;
        }
    }

    /// The database forgets so many of the session's refreshes, as one does that is restored.
    pub fn lose_history(&mut self, id: Uuid, refreshes: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.counter = session.counter.saturating_sub(refreshes);
        }
    }

    /// Takes over what another world says of one person.
    pub fn adopt(&mut self, other: &Self, person: usize) {
        self.people[person] = other.people[person].clone();
        self.sessions.retain(|_, session| session.person != person);
        let theirs = other.sessions.iter().filter(|(_, session)| session.person == person);
        self.sessions.extend(theirs.map(|(id, session)| (*id, session.clone())));
    }

    fn end(&mut self, which: impl Fn(Uuid, &Session) -> bool) -> i64 {
        let before = self.sessions.len();
        self.sessions.retain(|id, session| !which(*id, session));
        i64::try_from(before - self.sessions.len()).unwrap_or(i64::MAX)
    }
}
