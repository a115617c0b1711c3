//! `KEEP=1`: what the reader needs to go on alone.

use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};

use crate::paper::Paper;
use crate::{DATABASE, Stage};

/// A sign-in in psql. The browser's part is curl's; what it is sent to holds the code.
const SIGN_IN: &str = r"select * from auth.start_sign_in(organization => 'org_acme') \gset
\set code `curl -s -o /dev/null -w '%{redirect_url}' :'url' | sed 's/.*code=\([^&]*\).*/\1/'`
select * from auth.exchange_code(:'code', :'code_verifier', :'state') \gset
begin;
set local role authenticated;
select auth.set_session(:'access_token') ->> 'email' as signed_in;
select * from todos;
commit;";

/// Says how to connect, what to try there, and how to end it.
pub fn explain(stage: &Stage, paper: Paper) {
    let Stage { cluster, workos } = stage;
    let (socket, port) = (cluster.socket_dir(), cluster.port());
    let psql = |user: &str| format!("psql -h 127.0.0.1 -p {port} -U {user} {DATABASE}");
    paper.heading("Everything is still running");
    paper.say("Connect, in another terminal, as the administrator or as the application's backend:");
    paper.block(&[psql(SUPERUSER), psql("app")]);
    paper.say("What is where:");
    paper.facts(&[
        ("socket directory", socket.display().to_string()),
        ("server's log", cluster.log_path().display().to_string()),
        ("root key", cluster.root_key_path().display().to_string()),
        ("stand-in for WorkOS", workos.url()),
        ("client id", CLIENT_ID.to_owned()),
        ("client secret", CLIENT_SECRET.to_owned()),
        ("redirect URI", REDIRECT_URI.to_owned()),
        ("organizations", "org_acme (Alice, Anna), org_globex (Bob)".to_owned()),
    ]);
    paper.say("A sign-in of your own, to be pasted into the second psql:");
    paper.block(&SIGN_IN.lines().map(str::to_owned).collect::<Vec<_>>());
    paper.say("Ctrl-C here ends it and removes everything.");
}
