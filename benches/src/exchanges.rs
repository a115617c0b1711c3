//! Exchanges, beside the one HTTP request that each of them makes.
//!
//! Every exchange needs a fresh code. Starting the sign-ins and following their URLs is done before the clock starts,
//! for both alike. Each client signs in a person of its own, who has been here before: two sign-ins of one person at
//! the same time wait for one another, for both write when that person was last seen.

use tokio_postgres::Client;
use url::Url;
use workos_simulator::Profile;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};
use workos_testbed::{Browser, Callback, Error, Result, Workos};

use crate::bench::{Bench, DATABASE};
use crate::report::tell;
use crate::sample::{Sample, backend_pid, measured, measured_with, median, spread, together};

/// How many each client makes, each round.
const EXCHANGES: usize = 200;

const START: &str = "select url, code_verifier from auth.start_sign_in(organization => 'org_acme')";
/// What [`Flow`] is exchanged with.
pub const EXCHANGE: &str = "select * from auth.exchange_code($1, $2, $3)";

/// What the columns are.
pub const HEAD: &str = "\
| exchange | clients | per second, min / median / max | time, in bare calls | CPU of the backend, ms |
|---|---|---|---|---|";

/// A sign-in that waits for its exchange.
pub struct Flow {
    /// What came back.
    pub callback: Callback,
    /// What was kept.
    pub verifier: String,
}

impl Flow {
    /// Starts a sign-in, and lets the browser finish it: as `who`, or as the first person of the directory.
    ///
    /// # Errors
    /// The statement or the browser fails.
    pub async fn start(client: &Client, browser: &Browser, who: Option<&str>) -> Result<Self> {
        let row = client.query_one(START, &[]).await?;
        Ok(Self { callback: browser.sign_in(row.get("url"), who).await?, verifier: row.get("code_verifier") })
    }
}

/// Prints a line for the bare call and one for the exchange.
///
/// # Errors
/// A statement or a call fails.
pub async fn measure(bench: &Bench, clients: usize, rounds: usize) -> Result<()> {
    let (mut bare, mut exchanged) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(bare_calls(&bench.workos, clients).await?);
        exchanged.push(exchanges(bench, DATABASE, clients).await?);
    }
    let rate = |samples: &[Sample]| spread(samples.iter().map(Sample::per_second), 0);
    tell!("| the bare call, `POST /sso/token` by reqwest | {clients} | {} | 1.0 | |", rate(&bare));
    let times = median(exchanged.iter().zip(&bare).map(|(sample, floor)| sample.times(floor)));
    let cpu = spread(exchanged.iter().map(Sample::cpu_milliseconds), 2);
    tell!("| `auth.exchange_code` | {clients} | {} | {times:.1} | {cpu} |", rate(&exchanged));
    Ok(())
}

/// Exchanges in one database, by so many clients at once.
///
/// # Errors
/// A statement or a call fails.
pub async fn exchanges(bench: &Bench, database: &str, clients: usize) -> Result<Sample> {
    let browser = Browser::new()?;
    let mut jobs = Vec::new();
    for number in 0..clients {
        let who = person(&bench.workos, number)?;
        let client = bench.cluster.connect(database, SUPERUSER).await?;
        let backend = backend_pid(&client).await?;
        let mut flows = Vec::new();
        // One more, which pays for the connection to WorkOS.
        for _ in 0..=EXCHANGES {
            flows.push(Flow::start(&client, &browser, Some(&who)).await?);
        }
        let prepared = client.prepare(EXCHANGE).await?;
        let exchange = async move |client: &Client, flow: Flow| {
            let Flow { callback, verifier } = flow;
            client.query_one(&prepared, &[&callback.code, &verifier, &callback.state]).await
        };
        if let Some(flow) = flows.pop() {
            exchange(&client, flow).await?;
        }
        jobs.push(measured_with(Some(backend), async move {
            for flow in flows {
                exchange(&client, flow).await?;
            }
            Ok((EXCHANGES, client))
        }));
    }
    together(jobs).await
}

/// Somebody of Acme's, by e-mail address.
///
/// # Errors
/// The simulator does not take them.
pub fn person(workos: &Workos, number: usize) -> Result<String> {
    let email = format!("bench{number}@acme.com");
    let profile = Profile {
        id: format!("prof_bench{number}"),
        connection: "conn_acme".to_owned(),
        email: email.clone(),
        first_name: Some("Bench".to_owned()),
        last_name: Some(number.to_string()),
        idp_id: format!("okta-bench{number}"),
        role: Some("member".to_owned()),
        roles: None,
        groups: vec!["engineering".to_owned()],
        custom_attributes: Default::default(),
    };
    let refused = |error| Error::Lost(format!("the simulator does not take {email}: {error}"));
    workos.simulator().put_profile(profile).map_err(refused)?;
    Ok(email)
}

/// What an exchange cannot be quicker than: the same request from the same client library, kept alive alike.
async fn bare_calls(workos: &Workos, clients: usize) -> Result<Sample> {
    let browser = Browser::new()?;
    let base = workos.url();
    let authorize = authorize_url(&base)?;
    let mut jobs = Vec::new();
    for _ in 0..clients {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut codes = Vec::new();
        for _ in 0..=EXCHANGES {
            codes.push(browser.sign_in(&authorize, None).await?.code);
        }
        let url = format!("{base}/sso/token");
        if let Some(code) = codes.pop() {
            redeem(&http, &url, &code).await?;
        }
        jobs.push(measured(None, async move {
            for code in codes {
                redeem(&http, &url, &code).await?;
            }
            Ok(EXCHANGES)
        }));
    }
    together(jobs).await
}

fn authorize_url(base: &str) -> Result<String> {
    let parameters = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("organization", "org_acme"),
        ("state", "bench"),
    ];
    Url::parse_with_params(&format!("{base}/sso/authorize"), parameters)
        .map(Into::into)
        .map_err(|error| Error::Lost(format!("the simulator's URL is none: {error}")))
}

async fn redeem(http: &reqwest::Client, url: &str, code: &str) -> Result<()> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", CLIENT_ID)
        .append_pair("client_secret", CLIENT_SECRET)
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .finish();
    let request = http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}
