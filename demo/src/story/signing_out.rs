//! Step 7: a session that ends while it is in use.

use super::reading::{self, SELECT};
use super::signing_in::SignedIn;
use crate::console::{Bind, Console, Show};
use crate::failure::Result;
use crate::paper::Paper;
use crate::stage::Stage;

const SESSION_NOT_FOUND: &str = "WA509";

pub async fn tell(stage: &Stage, paper: Paper, alice: &SignedIn) -> Result<()> {
    paper.say(
        "A signed token is good until it expires, an hour here. To end it at once, each session also has one row, and every \
         statement looks whether it is still there. Two connections of the pool, both at work for Alice. The first is in the \
         middle of a transaction:",
    );
    let first = Console::open(&stage.cluster, "app", "app 1=>", paper).await?;
    let second = Console::open(&stage.cluster, "app", "app 2=>", paper).await?;
    reading::enter(&first, alice).await?;
    reading::expect(&first, "org_acme", 2).await?;

    paper.say("On the second she signs out, everywhere. That takes her token, and neither a role nor a transaction:");
    let token = Bind(&alice.access_token, "Alice's access token");
    second.query("select auth.sign_out($1) as sessions_ended", &[token], Show::Table).await?;

    paper.say("The first connection, the same transaction, the very next statement:");
    first.refused(SELECT, &[], SESSION_NOT_FOUND).await?;
    first.run("rollback;").await
}
