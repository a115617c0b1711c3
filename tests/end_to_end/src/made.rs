//! People and sessions that an administrator makes.

use tokio_postgres::{Client, GenericClient, Row};
use uuid::Uuid;

use crate::bed::Bed;

/// A user of this address, of an organization.
pub async fn create(client: &impl GenericClient, email: &str, organization: Option<&str>) -> Uuid {
    let sql = "select auth.create_user(email => $1, organization => $2)";
    client.query_one(sql, &[&email, &organization]).await.unwrap().get(0)
}

/// Calls `auth.create_session` with these further arguments, each after a comma.
///
/// # Errors
/// What the server said.
pub async fn session_of(client: &impl GenericClient, user: Uuid, further: &str) -> Result<Row, tokio_postgres::Error> {
    client.query_one(&format!("select * from auth.create_session('{user}'{further})"), &[]).await
}

/// An administrator who is no superuser.
pub async fn administrator(bed: &Bed<'_>) -> Client {
    let role = bed.role("administrator", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&role]).await.unwrap();
    bed.connect(&role).await
}
