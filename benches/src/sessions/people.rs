//! A database with as many people as wanted, each with an identity, a membership and a session: copies of one who signed
//! in for real. Every one of the sessions can be refreshed, so that those which are lie scattered over the whole table.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use tokio::task::JoinSet;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_auth_core::refresh_token::{self, Parts};
use workos_auth_core::seal::{DataKey, Purpose, RootKey};
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Browser, Cluster, Error, Result};

use crate::exchanges::Flow;

/// What a backend says of its client: the arguments `ip` and `user_agent`.
pub const CLIENT: &str = "'203.0.113.7'::inet,
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36'";

/// Organizations that the people belong to.
const ORGANIZATIONS: usize = 1000;

/// Whom the rows are made for. `bench_sessions` is the floor's: the same rows, indexes and free space.
const NUMBERS: &str = "
create unlogged table bench_people as
    select encode(substr(hash, 1, 16), 'hex')::uuid as id, substr(hash, 17) as salt,
        encode(substr(hash, 1, 16), 'hex') || '@bench.test' as email, 'org_bench' || i % :organizations as organization
    from (select i, sha256(convert_to(i::text, 'UTF8')) as hash from generate_series(0, :count - 1) as i) as numbers
    order by id;
insert into auth.organizations (id) select 'org_bench' || i from generate_series(0, :organizations - 1) as i;
do $$ begin execute (
    select format('create table bench_sessions (like auth.sessions including all) with (%s)', array_to_string(reloptions, ','))
    from pg_class where oid = 'auth.sessions'::regclass); end $$;";

/// Keys that come in order fill the indexes as quickly as building them afterwards would; foreign keys hold by themselves.
const ORDERED: &str = "set session_replication_role = replica; set synchronize_seqscans = off";

/// The tables, each filled by a connection of its own: `t` is the person who is copied, `n` the copy.
const TABLES: [(&str, &str); 4] = [
    ("auth.users", "
        (id, aud, role, email, email_confirmed_at, last_sign_in_at, raw_app_meta_data, raw_user_meta_data, is_sso_user)
        select n.id, t.aud, t.role, n.email, t.email_confirmed_at, t.last_sign_in_at, t.raw_app_meta_data, t.raw_user_meta_data,
            t.is_sso_user
        from auth.users as t, bench_people as n"),
    ("auth.identities", "
        (id, user_id, provider, provider_id, organization_id, connection_id, connection_type, idp_id, identity_data,
            last_sign_in_at)
        select n.id, n.id, t.provider, 'prof_' || n.id, n.organization, t.connection_id, t.connection_type, t.idp_id,
            t.identity_data || jsonb_build_object('email', n.email), t.last_sign_in_at
        from auth.identities as t, bench_people as n"),
    ("auth.organization_memberships", "
        (organization_id, user_id, role, roles, groups, permissions, custom_attributes)
        select n.organization, n.id, t.role, t.roles, t.groups, t.permissions, t.custom_attributes
        from auth.organization_memberships as t, bench_people as n"),
    ("auth.sessions", SESSIONS),
];
const SESSIONS: &str = "
        (id, user_id, identity_id, organization_id, connection_id, email, aal, amr, refresh_token_key_id, refresh_token_salt, ip,
            user_agent, not_after)
        select n.id, n.id, n.id, n.organization, t.connection_id, n.email, t.aal, t.amr, t.refresh_token_key_id, n.salt, t.ip,
            t.user_agent, t.not_after
        from auth.sessions as t, bench_people as n";

/// A database and its people.
pub struct People {
    /// what it is called
    pub database: &'static str,
    /// the superuser's connection
    pub admin: Client,
    /// how many sessions there are, numbered from 0
    pub count: usize,
    key: DataKey,
    installation: Uuid,
    /// How many times each session has been refreshed.
    counters: Vec<AtomicU64>,
}

impl People {
    /// Fills a database that the extension is set up in.
    ///
    /// # Errors
    /// A statement fails, or the key of the refresh tokens cannot be opened.
    pub async fn new(cluster: &Cluster, database: &'static str, admin: Client, count: usize) -> Result<Self> {
        sign_in(&admin).await?;
        let numbers =
            NUMBERS.replace(":count", &count.to_string()).replace(":organizations", &ORGANIZATIONS.to_string());
        admin.batch_execute(&numbers).await?;
        let mut filling = JoinSet::new();
        for (table, rows) in TABLES.into_iter().chain([("bench_sessions", SESSIONS)]) {
            let client = cluster.connect(database, SUPERUSER).await?;
            filling.spawn(async move {
                client.batch_execute(ORDERED).await?;
                client.batch_execute(&format!("insert into {table} {rows}")).await?;
                client.batch_execute(&format!("vacuum (analyze) {table}")).await
            });
        }
        for filled in filling.join_all().await {
            filled?;
        }
        for statement in ["drop table bench_people", "vacuum (analyze)", "checkpoint"] {
            admin.batch_execute(statement).await?;
        }
        let (key, installation) = refresh_token_key(cluster, &admin).await?;
        let counters = std::iter::repeat_with(AtomicU64::default).take(count).collect();
        Ok(Self { database, admin, count, key, installation, counters })
    }

    /// The newest refresh token of a session.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn token(&self, number: usize) -> Result<String> {
        let (id, salt) = id_and_salt(number)?;
        let parts =
            Parts { key_id: self.key.id(), session_id: id, counter: self.counter(number)?.load(Ordering::Relaxed) };
        let token = refresh_token::mint(&self.key, self.installation, &salt, &parts).map_err(refused)?;
        Ok(token.expose().to_owned())
    }

    /// Counts that a session was refreshed.
    ///
    /// # Errors
    /// There is no such session.
    pub fn was_refreshed(&self, number: usize) -> Result<()> {
        self.counter(number)?.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How often all sessions together were refreshed.
    pub fn refreshes(&self) -> u64 {
        self.counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    fn counter(&self, number: usize) -> Result<&AtomicU64> {
        self.counters.get(number).ok_or_else(|| Error::Other(format!("there is no session {number}")))
    }
}

/// `sessions.id` of a session, and its salt.
///
/// # Errors
/// None, as long as SHA-256 has 256 bits.
pub fn id_and_salt(number: usize) -> Result<(Uuid, [u8; 16])> {
    let hash = digest(&SHA256, number.to_string().as_bytes());
    let (id, salt) = hash.as_ref().split_at(16);
    let wrong = || Error::Other("SHA-256 has another length".into());
    Ok((Uuid::from_slice(id).map_err(|_| wrong())?, salt.try_into().map_err(|_| wrong())?))
}

/// The person whom the others are copied from.
async fn sign_in(admin: &Client) -> Result<()> {
    let Flow { callback, verifier } = Flow::start(admin, &Browser::new()?, None).await?;
    let exchange = format!("select from auth.exchange_code($1, $2, $3, {CLIENT})");
    admin.query_one(&exchange, &[&callback.code, &verifier, &callback.state]).await?;
    Ok(())
}

/// What the tags of refresh tokens are made with, opened with the cluster's root key.
async fn refresh_token_key(cluster: &Cluster, admin: &Client) -> Result<(DataKey, Uuid)> {
    let row = admin
        .query_one(
            "select k.id, k.wrapped_key, i.id::text from auth.data_keys as k, auth.installation as i
             where k.purpose = 'refresh_token' and k.retired_at is null",
            &[],
        )
        .await?;
    let (id, wrapped, installation): (i64, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2));
    let id = u32::try_from(id).map_err(refused)?;
    let installation = Uuid::parse_str(&installation).map_err(refused)?;
    let root = RootKey::from_bytes(&fs::read(cluster.root_key_path()).map_err(refused)?).map_err(refused)?;
    Ok((DataKey::unwrap(&wrapped, Purpose::RefreshToken, id, &root, installation).map_err(refused)?, installation))
}

/// What the core says, in the benchmarks' words.
pub fn refused(error: impl std::fmt::Display) -> Error {
    Error::Other(format!("a refresh token cannot be made: {error}"))
}
