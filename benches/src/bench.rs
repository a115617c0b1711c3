//! What every part runs in: the extension in a cluster, and the words that say what the figures are of.

use std::{env, fs};

use tokio_postgres::Client;
use workos_testbed::{Cluster, Result, Workos};

/// How many clients at once, a line of a table each.
pub const CLIENTS: [usize; 2] = [1, 8];
/// The testbed's clusters are quick rather than durable; these are what Postgres has by default.
pub const DURABLE: &[&str] =
    &["fsync = on", "full_page_writes = on", "synchronous_commit = on", "shared_buffers = '128MB'"];

const FLOORS: &str = "
create function bench_floor() returns text language plpgsql volatile as $$ begin return ''; end $$;
create table bench_rows (id uuid primary key default gen_random_uuid(), text text not null);";

/// The database of the runs, unless they make one of their own.
pub const DATABASE: &str = "postgres";

/// The extension set up in a cluster of its own.
pub struct Bench {
    pub cluster: Cluster,
    pub workos: Workos,
    pub admin: Client,
}

impl Bench {
    /// With these settings besides those of every run.
    ///
    /// # Errors
    /// The cluster does not start, or the extension cannot be installed.
    pub async fn start(settings: &[&str]) -> Result<Self> {
        let workos = Workos::start()?;
        let cluster = Cluster::start_with(&[DURABLE, settings].concat())?;
        let admin = workos.install(&cluster, DATABASE).await?;
        admin.batch_execute(FLOORS).await?;
        Ok(Self { cluster, workos, admin })
    }
}

/// A number from the environment.
pub fn number(variable: &str, default: usize) -> usize {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the figures are of, and how busy it was with other things.
///
/// # Errors
/// The server does not answer.
pub async fn machine(admin: &Client) -> Result<String> {
    let row = admin.query_one("select current_date::text, split_part(version(), ' on ', 1)", &[]).await?;
    let (date, postgres): (String, String) = (row.get(0), row.get(1));
    let first_field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line =
            text.lines().find_map(|line| line.strip_prefix(name).map(|rest| rest.trim_matches([' ', '\t', ':'])));
        line.unwrap_or("unknown").to_owned()
    };
    let processor = first_field("/proc/cpuinfo", "model name");
    let load = first_field("/proc/loadavg", "").split(' ').next().unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(format!("{date}, {postgres}, {processor}, {cores} cores, load {load} at the start"))
}
