//! Step 5: the same query for two people.

use super::signing_in::SignedIn;
use crate::console::{Bind, Console, Show, column};
use crate::failure::{Failure, Result};
use crate::paper::Paper;

pub const BEGIN: &str = "begin;
set local role authenticated;";
pub const SET_SESSION: &str = "select auth.set_session($1) ->> 'email' as signed_in";
pub const SELECT: &str = "select id, organization, title from todos order by id";

/// insufficient_privilege: what Postgres says when a policy refuses a row.
const POLICY_VIOLATED: &str = "42501";

pub async fn tell(paper: Paper, app: &Console, alice: &SignedIn, bob: &SignedIn) -> Result<()> {
    paper.say(
        "A request of Alice's arrives with her access token. The backend takes any connection of its pool, opens a transaction, \
         and puts her session on it. Both end with the transaction: nothing is left for the next request to find.",
    );
    enter(app, alice).await?;
    app.run("insert into todos (title) values ('Order new anvils'), ('Test the rocket skates');").await?;
    expect(app, "org_acme", 2).await?;
    app.run("commit;").await?;

    paper.say("Then one of Bob's, on the same connection. The query is the same to the letter; his rows are not.");
    enter(app, bob).await?;
    app.run("insert into todos (title) values ('Paint the logo');").await?;
    expect(app, "org_globex", 1).await?;
    app.run("commit;").await?;

    paper.say("What if Bob names Acme himself? The policy looks at the row, and at who he is:");
    enter(app, bob).await?;
    let foreign = "insert into todos (organization, title) values ('org_acme', 'Sell the anvils')";
    app.refused(foreign, &[], POLICY_VIOLATED).await?;
    app.run("rollback;").await?;

    paper.say("And a request that nobody has signed in for sees an empty table:");
    app.run(BEGIN).await?;
    expect(app, "nobody", 0).await?;
    app.run("commit;").await
}

/// Opens a transaction with somebody's session.
pub async fn enter(app: &Console, person: &SignedIn) -> Result<()> {
    app.run(BEGIN).await?;
    app.query(SET_SESSION, &[Bind(&person.access_token, &format!("{}'s access token", person.name))], Show::Table)
        .await
        .map(drop)
}

/// Shows the rows, and sees to it that they are the ones that the tour talks about.
pub async fn expect(app: &Console, organization: &str, count: usize) -> Result<()> {
    let rows = app.query(SELECT, &[], Show::Table).await?;
    let strangers = rows.iter().map(|row| column::<&str>(row, "organization")).collect::<Result<Vec<_>>>()?;
    if rows.len() == count && strangers.iter().all(|of| *of == organization) {
        return Ok(());
    }
    Err(Failure::unexpected(format!("expected {count} rows of {organization}")).in_statement(SELECT))
}
