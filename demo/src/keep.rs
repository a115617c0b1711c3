//! A terminal, or `KEEP=1`: what the reader needs to go on alone.

use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET};

use crate::paper::Paper;
use crate::site::Site;
use crate::stage::{DATABASE, Stage};

/// A sign-in in psql. The click on the login page is curl's; what it is sent to holds the code.
const SIGN_IN: &str = r"select *, split_part(url, '?', 1) as at, split_part(url, '?', 2) as query
from auth.start_sign_in(organization => 'org_acme') \gset
\set ask `echo request=:'query'`
\set to `curl -sw '%{redirect_url}' -d profile=prof_alice --data-urlencode :'ask' :'at'/continue`
\set code `echo :'to' | sed 's/.*code=\([^&]*\).*/\1/'`
select * from auth.exchange_code(:'code', :'code_verifier', :'state') \gset
begin;
set local role authenticated;
select auth.set_session(:'access_token') ->> 'email' as signed_in;
select * from todos;
commit;";

/// Says how to connect, what to try there, and how to end it.
pub fn explain(stage: &Stage, site: Option<&Site>, paper: Paper) {
    let Stage { cluster, workos } = stage;
    let (socket, port) = (cluster.socket_dir(), cluster.port());
    let psql = |user: &str| format!("psql -h 127.0.0.1 -p {port} -U {user} {DATABASE}");
    paper.heading("Everything is still running");
    if let Some(site) = site.filter(|site| site.missing.is_none()) {
        paper.say("Open this in a browser on this machine, and sign in as Alice, Anna or Bob:");
        paper.block(&[site.plan.page_url()]);
    }
    paper.say("Connect, in another terminal, as the administrator or as the application's backend:");
    paper.block(&[psql(SUPERUSER), psql("app")]);
    paper.say("What is where:");
    paper.facts(&[
        ("socket directory", socket.display().to_string()),
        ("server's log", cluster.log_path().display().to_string()),
        ("root key", cluster.root_key_path().display().to_string()),
        // Without a site, the one that the tour has configured.
        ("stand-in for WorkOS", site.map_or_else(|| workos.url(), |site| site.plan.workos.url())),
        ("client id", CLIENT_ID.to_owned()),
        ("client secret", CLIENT_SECRET.to_owned()),
        ("organizations", "org_acme (Alice, Anna), org_globex (Bob)".to_owned()),
    ]);
    if let Some(site) = site {
        paper.facts(&[("gateway", site.plan.gateway_url())]);
        for (name, log) in site.logs() {
            paper.facts(&[(&format!("{name}'s log"), log.display().to_string())]);
        }
    }
    paper.say("A sign-in of your own, to be pasted into the second psql:");
    paper.block(&SIGN_IN.lines().map(str::to_owned).collect::<Vec<_>>());
    paper.say("Ctrl-C here ends it and removes everything.");
}
