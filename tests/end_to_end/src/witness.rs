//! What a test looks at beside the answers: what WorkOS saw, and what stands in the tables.

use tokio_postgres::Client;
use workos_simulator::{Profile, RecordedRequest, Simulator};

use crate::bed::Bed;

/// Somebody of whom an identity provider says no more than it must.
pub fn profile(id: &str, connection: &str, email: &str, idp_id: &str) -> Profile {
    Profile {
        id: id.to_owned(),
        connection: connection.to_owned(),
        email: email.to_owned(),
        first_name: None,
        last_name: None,
        idp_id: idp_id.to_owned(),
        role: None,
        roles: None,
        groups: Vec::new(),
        custom_attributes: Default::default(),
    }
}

impl Bed<'_> {
    /// A connection of the backend's role, which `auth.grant_sign_in` was called for and nothing else.
    pub async fn backend(&self) -> Client {
        let role = format!("{}_backend", self.database);
        let sql = format!(
            "do $$ begin
                 if to_regrole('{role}') is null then
                     create role {role} login; perform auth.grant_sign_in('{role}');
                 end if;
             end $$"
        );
        self.admin.batch_execute(&sql).await.unwrap();
        self.connect(&role).await
    }

    /// Changes a setting for connections that are made from now on.
    pub async fn set(&self, setting: &str, value: &str) {
        let sql = format!("alter database {} set {setting} = '{value}'", self.database);
        self.admin.batch_execute(&sql).await.unwrap();
    }

    /// WorkOS, for faults, recorded requests and the clock.
    pub fn simulator(&self) -> &Simulator {
        self.workos.simulator()
    }

    /// The exchanges that WorkOS has seen so far.
    pub fn token_requests(&self) -> Vec<RecordedRequest> {
        self.simulator().requests().into_iter().filter(|request| request.path == "/sso/token").collect()
    }

    /// A number that a query gives the superuser.
    pub async fn count(&self, sql: &str) -> i64 {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Everything that stands in the tables of the extension, a table each: to see whether anything changed.
    pub async fn contents(&self) -> Vec<(String, String)> {
        let sql = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                   where n.nspname = 'auth' and c.relkind = 'r' order by 1";
        let tables = self.admin.query(sql, &[]).await.unwrap();
        assert!(tables.len() > 10, "there are only {} tables", tables.len());
        let mut contents = Vec::new();
        for table in tables {
            let table: String = table.get(0);
            let sql = format!("select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from auth.{table} t");
            contents.push((table, self.admin.query_one(&sql, &[]).await.unwrap().get(0)));
        }
        contents
    }
}
