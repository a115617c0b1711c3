//! Rows of two people under row-level security, one of whom attacks the other's.

use tokio_postgres::Client;

use crate::bed::{ALICE, BOB, Bed, Session, set_session};
use crate::sql::{Notices, connect_with_notices, lines};

/// A table with rows of Alice's (1 to 3) and Bob's (4 to 6), a role for the application and one for the attacker, who is Bob.
pub struct Notes {
    /// The database.
    pub bed: Bed<'static>,
    /// Whose rows are to be protected.
    pub alice: Session,
    /// Whose session the attacker has.
    pub bob: Session,
    /// The attacker's connection.
    pub mallory: Client,
    /// What the server says to the attacker.
    pub notices: Notices,
    before: Vec<String>,
}

impl Notes {
    /// Makes all of it; roles are named after the database.
    #[track_caller]
    pub fn new(name: &str) -> impl Future<Output = Self> + use<> {
        Self::of(Bed::shared(name))
    }

    async fn of(bed: impl Future<Output = Bed<'static>>) -> Self {
        let bed = bed.await;
        let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
        let mallory = bed.role("mallory", "").await;
        let owner = bed.role("owner", "").await;
        bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&owner]).await.unwrap();
        let sql = format!(
            "grant create on schema public to {owner}; set role {owner};
             create table public.notes (id int primary key, owner uuid default auth.uid() references auth.users (id), body text unique);
             insert into public.notes select i, '{0}', 'secret-of-alice-' || i from generate_series(1, 3) i;
             insert into public.notes select i, '{1}', 'note-of-bob-' || i from generate_series(4, 6) i;
             alter table public.notes enable row level security;
             create policy owners on public.notes using (owner = auth.uid());
             create policy tenants on public.notes as restrictive using (auth.has_role('admin'));
             create table public.comments (note int references public.notes (id) on delete cascade, words text);
             grant all on public.notes, public.comments to {mallory};
             revoke truncate, trigger, references on public.notes from {mallory};
             reset role; revoke create on schema public from {owner};
             create schema evil; grant all on schema evil to {mallory}; analyze public.notes",
            alice.user_id, bob.user_id
        );
        bed.admin.batch_execute(&sql).await.unwrap();
        let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, &mallory)).await.unwrap();
        set_session(&client, &bob.access_token, false).await.unwrap();
        let mut notes = Self { bed, alice, bob, mallory: client, notices, before: Vec::new() };
        notes.before = notes.all().await;
        notes
    }

    async fn all(&self) -> Vec<String> {
        lines(&self.bed.admin, "select * from public.notes order by 1").await.unwrap()
    }

    /// Nothing of Alice's was shown in a warning or changed, and Bob sees his own.
    pub async fn is_safe(&self, what: &str) {
        for warning in self.notices.take_warnings() {
            assert!(!warning.to_string().contains("secret-of-alice"), "{what}: {warning}");
        }
        assert_eq!(self.all().await, self.before, "{what}");
        let own = lines(&self.mallory, "select id from public.notes order by 1").await.unwrap();
        assert_eq!(own, ["4", "5", "6"], "{what}");
    }

    /// What a query of Mallory's shows, none of which is Alice's.
    pub async fn shows(&self, sql: &str) -> Vec<String> {
        let shown = lines(&self.mallory, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert!(!shown.join("\n").contains("secret-of-alice"), "{sql}: {shown:?}");
        shown
    }
}
