//! Steps 3 and 4: from the authorize URL to a session.

use tokio_postgres::Row;
use url::Url;
use workos_testbed::{Callback, browser_sign_in};

use crate::console::{Bind, Console, Show, column};
use crate::failure::{Failure, Result};
use crate::paper::{Paper, shorten};

/// Somebody who has signed in.
pub struct SignedIn {
    /// For the prose.
    pub name: &'static str,
    /// What the backend got for the code.
    pub access_token: String,
}

const EXCHANGE: &str = "select * from auth.exchange_code($1, $2, $3)";
const CLAIMS: &str = "select key as claim, value from jsonb_each(auth.verify_token($1)) order by key";
const IDENTITIES: &str = "select i.email, i.organization_id, i.connection_type, i.idp_id
from auth.identities as i order by i.email";

/// In full, for the first time.
pub async fn alice(paper: Paper, app: &Console) -> Result<SignedIn> {
    paper.say(
        "Alice types her company's name into the application. The backend asks the database for the address of Acme's \
         sign-in page, sends Alice's browser there, and puts state and code_verifier into its cookie.",
    );
    let start = "select * from auth.start_sign_in(
    organization => 'org_acme',
    redirect_to  => 'http://localhost:3000/todos')";
    let flow = app.query_one(start, &[], Show::Record).await?;
    let url = column::<&str>(&flow, "url")?;
    paper.say("The address in full, and what each part of it is for:");
    explain(paper, url)?;

    paper.say(
        "The browser goes there. Alice signs in at Acme's identity provider (the stand-in believes her at once), and WorkOS \
         sends the browser back to the backend:",
    );
    let callback = follow(paper, url, "alice@acme.com").await?;

    paper.say(
        "A code alone is worth nothing. With the verifier of the cookie the database redeems it at WorkOS, once; writes who \
         Alice is; and issues a session: a signed access token for requests, and a refresh token.",
    );
    let session = exchange(app, &flow, &callback, "org_acme").await?;

    paper.say(
        "What the access token says. It is a JWT in the form that Supabase uses, signed by the database (ES256): sub is \
         Alice's row in auth.users, org_id and the lines around it are what WorkOS vouches for, exp is when it ends (in \
         seconds since 1970). Nothing in it comes from the browser.",
    );
    let token = column::<String>(&session, "access_token")?;
    app.query(CLAIMS, &[Bind(&token, "the access token")], Show::Table).await?;
    Ok(SignedIn { name: "Alice", access_token: token })
}

/// The same, without the explanations, and what is in the tables then.
pub async fn bob(paper: Paper, app: &Console, admin: &Console) -> Result<SignedIn> {
    paper.say("The same four moves for somebody from another customer: ask, follow, come back, exchange.");
    let start = "select * from auth.start_sign_in(organization => 'org_globex')";
    let flow = app.query_one(start, &[], Show::Record).await?;
    let callback = follow(paper, column(&flow, "url")?, "bob@globex.com").await?;
    let session = exchange(app, &flow, &callback, "org_globex").await?;

    paper.say(
        "Nobody made accounts for the two: the sign-in did. It keeps them apart by identity, not by e-mail address, so that \
         one customer's identity provider cannot assert its way into another customer's account.",
    );
    admin.query(IDENTITIES, &[], Show::Table).await?;
    Ok(SignedIn { name: "Bob", access_token: column(&session, "access_token")? })
}

async fn exchange(app: &Console, flow: &Row, callback: &Callback, organization: &str) -> Result<Row> {
    let binds = [
        Bind(&callback.code, "the code of the callback"),
        Bind(column(flow, "code_verifier")?, "the verifier of the cookie"),
        Bind(&callback.state, "the state of the callback"),
    ];
    let session = app.query_one(EXCHANGE, &binds, Show::Record).await?;
    if column::<&str>(&session, "organization_id")? != organization {
        return Err(Failure::unexpected(format!("the session is not of {organization}")).in_statement(EXCHANGE));
    }
    Ok(session)
}

/// What the browser does, and where it ends.
async fn follow(paper: Paper, url: &str, who: &str) -> Result<Callback> {
    let callback = browser_sign_in(url, Some(who)).await?;
    paper.block(&[
        format!("browser:  GET {}", shorten(url)),
        format!("WorkOS:   302 Found, Location: {}?", workos_testbed::workos::REDIRECT_URI),
        format!("              code={}", shorten(&callback.code)),
        format!("              &state={}", callback.state),
    ]);
    Ok(callback)
}

fn explain(paper: Paper, url: &str) -> Result<()> {
    let url = Url::parse(url).map_err(|error| Failure::unexpected(format!("the authorize URL is none: {error}")))?;
    let mut address = url.clone();
    address.set_query(None);
    paper.block(&[format!("{address}?")]);
    let rows: Vec<Vec<String>> = url
        .query_pairs()
        .map(|(name, value)| vec![name.to_string(), value.to_string(), purpose(&name).to_owned()])
        .collect();
    paper.table(&["parameter", "value", "what it is for"], &rows);
    Ok(())
}

/// <https://workos.com/docs/reference/sso/get-authorization-url>
fn purpose(parameter: &str) -> &'static str {
    match parameter {
        "client_id" => "which application asks",
        "redirect_uri" => "where browsers return to",
        "response_type" => "asks for a code",
        "organization" => "whose identity provider",
        "state" => "names this sign-in",
        "code_challenge" => "PKCE: hash of a secret",
        "code_challenge_method" => "SHA-256, always",
        _ => "",
    }
}
