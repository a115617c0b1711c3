//! The tour: nine steps, each a file that reads like the text it prints.

mod browser;
mod forging;
mod reading;
mod setting_up;
mod signing_in;
mod signing_out;
mod todos;

use workos_testbed::cluster::SUPERUSER;

use crate::console::{ADMINISTRATOR, BACKEND, Console, Show};
use crate::failure::Result;
use crate::origin;
use crate::paper::Paper;
use crate::site::Site;
use crate::stage::Stage;

/// Tells everything, in order, and returns what a browser can be pointed at.
///
/// # Errors
/// The first statement that does not do what the tour says.
pub async fn tell(stage: &Stage, paper: Paper) -> Result<Site> {
    let admin = Console::open(&stage.cluster, SUPERUSER, ADMINISTRATOR, paper).await?;
    welcome(stage, paper, &admin).await?;

    step(paper, "1 of 9: Set up", setting_up::tell(stage, paper, &admin)).await?;
    step(paper, "2 of 9: A table that knows whose rows are whose", todos::tell(paper, &admin)).await?;
    let app = Console::open(&stage.cluster, "app", BACKEND, paper).await?;
    let alice = step(paper, "3 of 9: Alice of Acme signs in", signing_in::alice(paper, &app)).await?;
    let bob = step(paper, "4 of 9: Bob of Globex signs in", signing_in::bob(paper, &app, &admin)).await?;
    step(paper, "5 of 9: One query, two answers", reading::tell(paper, &app, &alice, &bob)).await?;
    step(paper, "6 of 9: A forged token", forging::tell(paper, &app, &bob)).await?;
    step(paper, "7 of 9: Signing out", signing_out::tell(stage, paper, &alice)).await?;
    let site = step(paper, "8 of 9: Supabase's client", browser::tell(stage, paper, &admin)).await?;
    paper.heading("9 of 9: What to read next");
    what_next(paper);
    Ok(site)
}

/// A heading, and the step that a failure then names.
async fn step<T>(paper: Paper, title: &str, told: impl Future<Output = Result<T>>) -> Result<T> {
    paper.heading(title);
    told.await.map_err(|failure| failure.in_step(&format!("step {title}")))
}

async fn welcome(stage: &Stage, paper: Paper, admin: &Console) -> Result<()> {
    paper.heading("workos_auth: sign in with WorkOS, from SQL");
    paper.say(
        "WorkOS lets the customers of an application sign in through their own company's identity provider (Okta, Entra \
         ID, Google, …). Usually a service of its own stands between WorkOS and the database, and keeps the sessions. \
         Here Postgres does it: it makes the address that the browser is sent to, talks to WorkOS, issues the session, \
         and lets row-level security ask who is there.",
    );
    paper.say(&format!(
        "Every statement below runs while you watch, in a Postgres of its own on port {} and against a stand-in for \
         WorkOS at {}, so that you need no account. The prompt says who is speaking: {ADMINISTRATOR} is the \
         administrator, {BACKEND} the application's backend.",
        stage.cluster.port(),
        stage.workos.url(),
    ));
    admin.query("select split_part(version(), ' on ', 1) as server", &[], Show::Table).await.map(drop)
}

fn what_next(paper: Paper) {
    let kept = format!("KEEP=1 {}", origin::command());
    let kept = (kept.as_str(), "the same, and then everything stays, for your browser and for psql".to_owned());
    if origin::page_dir().is_none() {
        paper.facts(&[
            (
                "\\dx+ workos_auth",
                "in psql: the tables and functions you have just used; each has a comment".to_owned(),
            ),
            ("man workos-auth-gateway", "the gateway, and what its database role needs".to_owned()),
            kept,
        ]);
        return;
    }
    paper.facts(&[
        ("docs/tutorial.md", "the same by hand, in psql".to_owned()),
        ("docs/workos.md", "the same with your own WorkOS account".to_owned()),
        ("README.md", "the list of all documents".to_owned()),
        ("examples/", "backends for Express, psycopg and tokio-postgres, to be run and to be copied".to_owned()),
        ("sql/", "the tables and functions you have just used; each comes with its COMMENT".to_owned()),
        ("demo/src/story/", "this tour, a file a step: change a policy and run it again".to_owned()),
        kept,
        ("make test", "everything that is claimed here and in the documents, tried".to_owned()),
    ]);
}
