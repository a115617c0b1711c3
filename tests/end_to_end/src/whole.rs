//! What is true of sessions whatever raced and whatever crashed: each is whole, or gone.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::bed::{Bed, Session, refresh};
use crate::sql::{lines, refused};

/// What must not be, one query each.
const FLAWS: &str = "
    select 'a session without its user', s.id from auth.sessions s
        where not exists (select from auth.users u where u.id = s.user_id);
    select 'a session of somebody else''s identity', s.id from auth.sessions s left join auth.identities i on i.id = s.identity_id
        where i.user_id is distinct from s.user_id;
    select 'a session of no member', s.id from auth.sessions s where organization_id is not null and not exists (
        select from auth.organization_memberships m where (m.organization_id, m.user_id) = (s.organization_id, s.user_id));
    select 'a session that cannot be refreshed', s.id from auth.sessions s
        where refresh_token_salt is null or refresh_token_key_id is null;
    select 'a session of a banned user', s.id from auth.sessions s join auth.users u on u.id = s.user_id
        where u.banned_until > now();
    select 'a user without an identity', u.id from auth.users u
        where not exists (select from auth.identities i where i.user_id = u.id);
    select 'one address, several users', i.organization_id, lower(i.email) from auth.identities i
        group by 2, 3 having count(distinct user_id) > 1;
    select 'a session that nobody signed in to', s.id from auth.sessions s
        where not exists (select from auth.audit_log_entries a where a.action = 'login' and a.session_id = s.id)";

/// How many times the session had been refreshed when this token was issued: bytes 21 to 28 of it.
pub fn counter(refresh_token: &str) -> u64 {
    let bytes = URL_SAFE_NO_PAD.decode(refresh_token).unwrap();
    u64::from_be_bytes(bytes[21..29].try_into().unwrap())
}

/// The newest answer that was given for each session.
pub fn newest<'a>(answers: impl IntoIterator<Item = &'a Session>) -> Vec<Session> {
    let mut newest: BTreeMap<Uuid, &Session> = BTreeMap::new();
    for answer in answers {
        let known = newest.entry(answer.session_id).or_insert(answer);
        if counter(&known.refresh_token) < counter(&answer.refresh_token) {
            *known = answer;
        }
    }
    newest.into_values().cloned().collect()
}

impl Bed<'_> {
    /// No session, user or identity is half there.
    pub async fn is_whole(&self) {
        let flaws = lines(&self.admin, FLAWS).await.unwrap();
        assert!(flaws.is_empty(), "{flaws:#?}");
    }

    /// The counter in a session's row; `None` where it has ended.
    pub async fn counter(&self, session: Uuid) -> Option<u64> {
        let sql = "select refresh_token_counter from auth.sessions where id = $1";
        let row = self.admin.query_opt(sql, &[&session]).await.unwrap();
        row.map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap())
    }

    /// Each session lives, and then its newest token is good and gives one that is good; or it has ended, and then both of its
    /// tokens are refused. Returns what the refresh gave.
    pub async fn lives_or_has_ended(&self, client: &Client, session: &Session) -> Option<Session> {
        let verify = async |token: &str| client.query_one("select auth.verify_token($1)", &[&token]).await;
        if self.counter(session.session_id).await.is_none() {
            refused(refresh(client, &session.refresh_token).await, "refresh_token_not_found");
            refused(verify(&session.access_token).await, "session_not_found");
            return None;
        }
        let next = refresh(client, &session.refresh_token).await.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!((next.session_id, next.user_id), (session.session_id, session.user_id));
        assert!(counter(&next.refresh_token) > counter(&session.refresh_token));
        verify(&next.access_token).await.unwrap_or_else(|error| panic!("{error:?}"));
        Some(next)
    }
}
