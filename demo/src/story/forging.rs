//! Step 6: a token that says something else than the database signed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::reading::{BEGIN, SET_SESSION};
use super::signing_in::SignedIn;
use crate::console::{Bind, Console, Show};
use crate::failure::{Failure, Result};
use crate::paper::Paper;

const BAD_SIGNATURE: &str = "WA504";
const LOOK_UP: &str = "select * from auth.error_codes where sqlstate = 'WA504'";

pub async fn tell(paper: Paper, app: &Console, bob: &SignedIn) -> Result<()> {
    paper.say(
        "A token is three parts, head.claims.signature, and anyone can read and rewrite the middle one. Bob would like to be \
         of Acme: he changes one claim of his own token and leaves the rest as it is.",
    );
    let (claims, forged) = forge(&bob.access_token)
        .ok_or_else(|| Failure::unexpected("the access token is no JWT with the claim org_id"))?;
    paper.facts(&[("genuine", claims), ("forged", "\"org_id\": \"org_acme\"".to_owned())]);
    paper.say(
        "The database checks the signature before it reads a claim. A bad token is an error with a code of its own, never a \
         visitor without a name, so that a bug cannot pass for one.",
    );
    app.run(BEGIN).await?;
    app.refused(SET_SESSION, &[Bind(&forged, "Bob's token, rewritten")], BAD_SIGNATURE).await?;
    app.run("rollback;").await?;
    paper.say("Programs tell errors apart by SQLSTATE; auth.error_codes has a name and an HTTP status for each.");
    app.query_one(LOOK_UP, &[], Show::Table).await.map(drop)
}

/// The claim as it was, and the whole token with another in its place.
fn forge(token: &str) -> Option<(String, String)> {
    let mut parts = token.splitn(3, '.');
    let (head, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    #[allow(clippy::disallowed_methods, reason = "no code of the extension: nothing of anybody's is kept")]
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let organization = claims.get_mut("org_id")?;
    let genuine = format!("\"org_id\": {organization}");
    *organization = Value::from("org_acme");
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    Some((genuine, format!("{head}.{payload}.{signature}")))
}
