//! Step 8: the same database behind Supabase's client.

use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET};

use crate::console::{Console, Show};
use crate::failure::{Failure, Result};
use crate::paper::Paper;
use crate::site::{Plan, Site};
use crate::stage::{DATABASE, Stage};

pub async fn tell(stage: &Stage, paper: Paper, admin: &Console) -> Result<Site> {
    let plan = Plan::make()?;
    let (issuer, page) = (plan.gateway_url(), plan.page_url());
    paper.say(
        "A page that signs in with @supabase/supabase-js needs no change: the gateway, a small program without a state of \
         its own, answers it at /auth/v1 and calls the functions you have just seen. It connects as a role that may sign \
         people in and nothing more. The database learns where the gateway and the page are:",
    );
    admin.run("create role gateway login;").await?;
    admin.query("select auth.grant_sign_in('gateway')", &[], Show::Nothing).await?;
    admin
        .run(&format!(
            "alter database {database} set workos_auth.issuer = '{issuer}';
alter database {database} set workos_auth.site_url = '{page}';
insert into auth.redirect_urls (pattern) values ('{page}/**');",
            database = DATABASE,
        ))
        .await?;
    let configure = format!(
        "select auth.configure_workos(
    client_id     => '{CLIENT_ID}',
    client_secret => '{CLIENT_SECRET}',
    redirect_uri  => '{issuer}/callback',
    api_url       => '{}')",
        plan.workos.url()
    );
    admin.query(&configure, &[], Show::Nothing).await?;

    let site = plan.open(stage)?;
    paper.say("The gateway runs now. What it tells everybody who asks:");
    let document = format!("{issuer}/.well-known/openid-configuration");
    let answer: serde_json::Value = get(&document).await?.json().await.map_err(workos_testbed::Error::from)?;
    if answer["issuer"] != issuer.as_str() {
        return Err(Failure::unexpected(format!("the gateway names another issuer: {}", answer["issuer"])));
    }
    let line = |name: &str| format!("  {name}: {}", answer[name].as_str().unwrap_or_default());
    paper.block(&[format!("GET {document}"), line("issuer"), line("jwks_uri")]);

    match site.missing {
        None => {
            get(&page).await?;
            paper.say("And the page of examples/browser, in which a click signs you in:");
            paper.block(&[page]);
        }
        Some(why) => paper.say(&format!("The page of examples/browser is left out: {why}.")),
    }
    Ok(site)
}

async fn get(url: &str) -> Result<reqwest::Response> {
    let get = async {
        // Proxies of the environment are not for loopback.
        let http = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(20)).build()?;
        http.get(url).send().await?.error_for_status()
    };
    get.await.map_err(|error| workos_testbed::Error::from(error).into())
}
