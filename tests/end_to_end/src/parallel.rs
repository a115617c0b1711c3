//! Plans whose rows are read by parallel workers.

use serde_json::Value;
use tokio_postgres::Client;

use crate::sql::text;

/// Makes a function that says which process it runs in, and may do so in a worker.
pub const CREATE_PROCESS: &str =
    "create function process() returns int parallel safe language plpgsql as 'begin return pg_backend_pid(); end';";

/// Has every query that may run in parallel workers run there, all of it: the leader only gathers.
pub async fn force_parallel(client: &Client) {
    let version: i32 = text(client, "show server_version_num").await.unwrap().unwrap().parse().unwrap();
    let setting = if version < 160_000 { "force_parallel_mode" } else { "debug_parallel_query" };
    client
        .batch_execute(&format!(
            "set {setting} = on; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
             set max_parallel_workers_per_gather = 2; set parallel_leader_participation = off"
        ))
        .await
        .unwrap();
}

/// What happens below the Gather node of a plan that was run.
#[derive(Debug)]
pub struct InWorkers {
    /// How many workers ran.
    pub launched: i64,
    /// The plan nodes that they ran, as JSON.
    pub nodes: String,
}

/// Runs a query and says what of it the workers did.
///
/// # Errors
/// What the server said.
pub async fn in_workers(client: &Client, query: &str) -> Result<InWorkers, tokio_postgres::Error> {
    let plan = text(client, &format!("explain (analyze, verbose, costs off, format json) {query}")).await?.unwrap();
    let plan: Value = workos_auth_core::json::parse(&plan).unwrap();
    let gather = gather(&plan[0]["Plan"]).unwrap_or_else(|| panic!("no Gather in {plan:#}"));
    let launched = gather["Workers Launched"].as_i64().unwrap();
    assert!(launched > 0, "no worker ran: {plan:#}");
    Ok(InWorkers { launched, nodes: gather["Plans"].to_string() })
}

fn gather(node: &Value) -> Option<&Value> {
    if node["Node Type"].as_str().is_some_and(|kind| kind.starts_with("Gather")) {
        return Some(node);
    }
    node["Plans"].as_array()?.iter().find_map(gather)
}
