//! Step 1: what an administrator does once.

use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_PATTERN, REDIRECT_URI};

use crate::console::{ADMINISTRATOR, Console, Show};
use crate::failure::{Failure, Result};
use crate::paper::Paper;
use crate::stage::Stage;

const ROLES: &str = "create role authenticated nologin;
create role app login noinherit;
grant authenticated to app;";

pub async fn tell(stage: &Stage, paper: Paper, admin: &Console) -> Result<()> {
    paper.say("One extension. Everything it has is in the schema auth.");
    admin.run("create extension workos_auth;").await?;

    paper.say(
        "Secrets are sealed before they reach a table, so that no dump, backup or replica holds one in clear. They are \
         sealed under a root key, a file outside the data directory, which the database makes and never overwrites.",
    );
    let path = stage.cluster.root_key_path().display().to_string();
    admin.query(&format!("select auth.create_root_key(\n    '{path}')"), &[], Show::Table).await?;
    admin.run(&format!("alter system set workos_auth.root_key_file =\n    '{path}';")).await?;
    paper.statement(ADMINISTRATOR, "select pg_reload_conf();");
    // The same statement, and a wait until the server has done it.
    stage.cluster.reload().await.map_err(|error| Failure::from(error).in_statement("select pg_reload_conf();"))?;

    paper.say(
        "Now WorkOS: the client id and the API key of its dashboard, and the address that it sends browsers back to. \
         (The API URL is the stand-in's; left out, it is https://api.workos.com. With client_secret_file the key never \
         passes through SQL.)",
    );
    let configure = format!(
        "select auth.configure_workos(
    client_id     => '{CLIENT_ID}',
    client_secret => '{CLIENT_SECRET}',
    redirect_uri  => '{REDIRECT_URI}',
    api_url       => '{}')",
        stage.workos.url()
    );
    admin.query(&configure, &[], Show::Nothing).await?;

    let length = CLIENT_SECRET.len();
    paper.say(&format!(
        "{CLIENT_SECRET} has {length} characters. What was written has more bytes, an encryption of it (AES-256-GCM-SIV), \
         and the key itself stands nowhere among them (position 0 means: not found).",
    ));
    let sealed = format!(
        "select client_id, octet_length(client_secret) as sealed_bytes,
       position('{CLIENT_SECRET}'::bytea in client_secret) as position_of_the_key
from auth.providers"
    );
    let row = admin.query_one(&sealed, &[], Show::Table).await?;
    if crate::console::column::<i32>(&row, "position_of_the_key")? != 0 {
        return Err(Failure::unexpected("the client secret stands in the table in clear").in_statement(&sealed));
    }

    paper.say("After a sign-in a browser may be sent to these addresses, and to no other:");
    admin.run(&format!("insert into auth.redirect_urls (pattern) values ('{REDIRECT_PATTERN}');")).await?;

    paper.say(
        "Two roles. The backend connects as app, which owns nothing and may do nothing but sign people in. For the work of \
         a person who is signed in it becomes authenticated, the role that policies are written for.",
    );
    admin.run(ROLES).await?;
    admin.query("select auth.grant_sign_in('app')", &[], Show::Nothing).await?;
    Ok(())
}
