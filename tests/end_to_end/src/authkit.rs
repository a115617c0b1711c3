//! People of AuthKit at the simulator, and sign-ins through it.

use serde_json::Value;
use tokio_postgres::{Client, GenericClient};
use workos_simulator::{Change, Fault, FaultKind, NewMembership, NewUser};

use crate::bed::{Bed, Pending, Session, configure_authkit, exchange, start_with};

/// The selector of AuthKit, as an argument of `auth.start_sign_in`.
pub const AUTHKIT: &str = "provider => 'authkit'";
/// The same in an organization.
pub const AUTHKIT_OF_ACME: &str = "provider => 'authkit', organization => 'org_acme'";

impl Bed<'_> {
    /// Switches AuthKit on, and opens a connection of the backend's role.
    pub async fn with_authkit(&self) -> Client {
        let api_url = self.workos.url();
        let configure = configure_authkit(&format!(", api_url => '{api_url}'"));
        self.admin.batch_execute(&configure).await.unwrap();
        self.backend().await
    }

    /// Makes somebody known at AuthKit, a member of these organizations; answers the `user_…`.
    pub fn person(&self, email: &str, organizations: &[&str]) -> String {
        let change = |change| self.workos.simulator().change(change).unwrap();
        let user = change(Change::CreateUser(NewUser { email: email.to_owned(), ..NewUser::default() }));
        for organization in organizations {
            let new = NewMembership {
                user: user.clone(),
                organization: (*organization).to_owned(),
                ..NewMembership::default()
            };
            change(Change::CreateMembership(new));
        }
        user
    }

    /// Sets a fault of the next `POST /user_management/authenticate`.
    pub fn fault_once(&self, kind: FaultKind) {
        self.workos.simulator().set_fault(Fault::authenticate(kind).times(1)).unwrap();
    }

    /// Has the next answer of AuthKit say something else: JSON merge patches of the answer, and of its token's claims.
    pub fn answer_once(&self, answer: &Value, claims: &Value) {
        self.fault_once(FaultKind::AnswerOverrides { patch: answer.clone() });
        self.fault_once(FaultKind::ClaimOverrides { patch: claims.clone() });
    }
}

/// Goes as far as WorkOS's redirect.
pub async fn come_back(client: &impl GenericClient, email: &str) -> Pending {
    start_with(client, AUTHKIT, email).await
}

/// The whole flow.
///
/// # Errors
/// What the server said.
pub async fn sign_in(
    client: &impl GenericClient,
    arguments: &str,
    email: &str,
) -> Result<Session, tokio_postgres::Error> {
    exchange(client, &start_with(client, arguments, email).await).await
}
