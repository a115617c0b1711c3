//! People who move in from Supabase Auth, beside rows that are merely copied into the same tables.

use std::time::Instant;

use workos_testbed::Result;

use crate::bench::{Bench, machine, number};
use crate::report::tell;
use crate::sample::{median, spread};

/// How many people; `BENCH_PEOPLE` is another number.
const PEOPLE: usize = 100_000;
/// How many in a transaction, as `examples/moving/move.sh` has it.
const BATCH: usize = 1000;

const HEAD: &str = "\
| | people | seconds, min / median / max | people a second, median |
|---|---|---|---|";

/// Each with a WorkOS identity of one of a hundred organizations.
const STAGED: &str = "
    select jsonb_build_object('id', id, 'aud', 'authenticated', 'role', 'authenticated', 'email', email, 'email_confirmed_at', now(),
            'raw_app_meta_data', '{\"provider\": \"workos\", \"providers\": [\"workos\"]}'::jsonb, 'raw_user_meta_data', jsonb_build_object('full_name', 'Number ' || n),
            'created_at', now(), 'updated_at', now(), 'last_sign_in_at', now(), 'is_sso_user', false, 'is_anonymous', false) as user_row,
        jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'provider', 'workos', 'provider_id', 'prof_bench' || n, 'user_id', id,
            'created_at', now(), 'updated_at', now(), 'identity_data', jsonb_build_object('sub', 'prof_bench' || n, 'email', email, 'full_name', 'Number ' || n,
                'custom_claims', jsonb_build_object('organization_id', 'org_bench' || n % 100, 'connection_id', 'conn_bench' || n % 100)))) as identity_rows
    from (select n, gen_random_uuid() as id, 'person' || n || '@bench' || n % 100 || '.example' as email from generate_series(1, $PEOPLE) as n) as p";

/// What is imported cannot be quicker than: the same rows, by two plain statements.
const COPIED: &str = "
    insert into bench_users select (r.user_row ->> 'id')::uuid, r.user_row ->> 'email', r.user_row -> 'raw_user_meta_data' from bench_people as r;
    insert into bench_identities select gen_random_uuid(), (r.user_row ->> 'id')::uuid, r.identity_rows -> 0 ->> 'provider_id', r.identity_rows -> 0 -> 'identity_data'
        from bench_people as r";

/// Prints the table.
///
/// # Errors
/// A statement fails.
pub async fn measure(rounds: usize) -> Result<()> {
    let bench = Bench::start(&[]).await?;
    let people = number("BENCH_PEOPLE", PEOPLE).max(1);
    tell!("{}.\nDefault settings, fsync on; a transaction has {BATCH} people.\n\n{HEAD}", machine(&bench.admin).await?);
    let mut times: [(&str, Vec<f64>); 3] = [
        ("rows copied by two statements", Vec::new()),
        ("`auth.import_supabase`", Vec::new()),
        ("the same once more", Vec::new()),
    ];
    for _ in 0..rounds {
        let stage = STAGED.replace("$PEOPLE", &people.to_string());
        let emptied = "delete from auth.users where email like 'person%'";
        let staged = format!(
            "drop table if exists bench_people, bench_users, bench_identities; create table bench_people as {stage};
             create table bench_users (id uuid primary key, email text unique, data jsonb);
             create table bench_identities (id uuid primary key, user_id uuid references bench_users, provider_id text unique, data jsonb);
             create index on bench_identities (user_id); analyze bench_people; checkpoint"
        );
        // VACUUM runs in no transaction, which statements that are sent together are.
        for statements in [emptied, "vacuum auth.users, auth.identities, auth.organization_memberships", &staged] {
            bench.admin.batch_execute(statements).await?;
        }
        let import = format!(
            "do $$ declare p record; n int := 0; begin
                 for p in select * from bench_people loop
                     perform auth.import_supabase(p.user_row, p.identity_rows);
                     n := n + 1; if n % {BATCH} = 0 then commit; end if;
                 end loop; end $$"
        );
        for ((_, times), statement) in times.iter_mut().zip([COPIED, &import, &import]) {
            let begin = Instant::now();
            bench.admin.batch_execute(statement).await?;
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    for (name, times) in &times {
        let a_second = people as f64 / median(times.iter().copied());
        tell!("| {name} | {people} | {} | {a_second:.0} |", spread(times.iter().copied(), 1));
    }
    Ok(())
}
