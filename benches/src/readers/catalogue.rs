//! What is measured on every row: the readers, what they stand beside, and the tables.

use super::tokens::{ORGANIZATION, PERSON, ROLE, SESSION};

/// Rows of `bench_notes`.
pub const ROWS: u32 = 1_000_000;
/// Rows of `bench_documents`, which are ten times as wide.
pub const DOCUMENTS: u32 = 100_000;

/// A filter, as a policy has it.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The table it is on.
    pub table: Table,
    /// The policy, with `{}` where the call stands.
    pub policy: String,
    /// The policy of the query whose time is subtracted: the same without a call.
    pub baseline: String,
    /// The bare policy of its family's floor, such as an empty C function of the same result type.
    pub floor: String,
    /// The call.
    pub call: &'static str,
    /// What the tables call it, where that is not the policy.
    pub name: Option<&'static str>,
    /// What the picture calls it, if it is in there.
    pub drawn: Option<&'static str>,
    /// Whether the call can stand in `(select …)`: it does not look at the row.
    pub wrapped: bool,
    /// Whether the session has many roles, groups and permissions.
    pub large_token: bool,
}

/// What the rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Narrow rows.
    Notes,
    /// Rows that hold a document.
    Documents,
}

impl Table {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notes => "bench_notes",
            Self::Documents => "bench_documents",
        }
    }

    /// How many rows it has.
    pub fn rows(self) -> u32 {
        match self {
            Self::Notes => ROWS,
            Self::Documents => DOCUMENTS,
        }
    }
}

/// The tables, each with row-level security and one policy, which is changed for each filter. `payload` is the claims.
pub fn schema(payload: &str) -> String {
    format!(
        "create role {ROLE} login;
        create table bench_notes as
            select '{PERSON}'::uuid as owner, '{SESSION}'::uuid as session, '{PERSON}'::text as owner_text,
                '{ROLE}'::text as role, '{ORGANIZATION}'::text as organization
            from generate_series(1, {ROWS});
        create table bench_documents (claims jsonb not null);
        -- Inline and uncompressed: shorter than what Postgres begins to compress at.
        insert into bench_documents select '{payload}'::jsonb from generate_series(1, {DOCUMENTS});
        alter table bench_notes enable row level security;
        alter table bench_documents enable row level security;
        create policy bench on bench_notes to {ROLE} using (true);
        create policy bench on bench_documents to {ROLE} using (true);
        grant select on bench_notes, bench_documents to {ROLE};"
    )
}

/// Every filter. Each is true of every row, so that all queries do the same beside it.
pub fn filters() -> Vec<Filter> {
    let mut all: Vec<Filter> = Vec::new();
    // The floor of each family stands first.
    let mut family = |filters: Vec<Filter>| {
        let floor = filters.first().map(Filter::bare).unwrap_or_default();
        all.extend(filters.into_iter().map(|filter| Filter { floor: floor.clone(), ..filter }));
    };

    let owner = |call| compare("owner", &format!("'{PERSON}'::uuid"), call);
    family(vec![
        owner("bench_c_uuid()")
            .named("`owner = …`, an empty C function that returns uuid")
            .drawn("an empty C function"),
        owner("auth.uid()").drawn("auth.uid()"),
        compare("session", &format!("'{SESSION}'::uuid"), "auth.session_id()").drawn("auth.session_id()"),
        owner("bench_sql_uid()")
            .named("`owner = auth.uid()` as Supabase defines it, in SQL")
            .drawn("auth.uid() as Supabase defines it"),
        owner("bench_plpgsql_uid()").named("`owner = …`, the same in PL/pgSQL").drawn("auth.uid() in PL/pgSQL"),
    ]);

    let text = |column, value, call| compare(column, &format!("'{value}'"), call);
    family(vec![
        text("role", ROLE, "bench_c_text()").named("`role = …`, an empty C function that returns text"),
        text("role", ROLE, "auth.role()").drawn("auth.role()"),
        text("organization", ORGANIZATION, "auth.organization_id()").drawn("auth.organization_id()"),
        text("owner_text", &PERSON.to_string(), "current_setting('app.user_id')")
            .drawn("current_setting('…'), as text"),
    ]);

    family(vec![
        ask("bench_c_boolean()").named("an empty C function that returns boolean"),
        ask("auth.has_role('role:50')").drawn("auth.has_role('…'), the last of 50"),
        ask("not auth.has_role('nobody')"),
        ask("auth.has_role('role:50', organization)").of_the_organization().drawn("auth.has_role('…', organization)"),
        ask("auth.in_group('group:50')"),
        ask("not auth.in_group('nobody')"),
        ask("auth.in_group('group:50', organization)").of_the_organization(),
        ask("auth.has_permission('permission:50')"),
        ask("not auth.has_permission('nobody')"),
        ask("auth.has_permission('permission:50', organization)").of_the_organization(),
    ]);

    family(vec![
        document("sub", &PERSON.to_string(), "claims")
            .stored()
            .named("`(claims ->> 'sub') = …`, a stored jsonb column of the same content")
            .drawn("a stored jsonb ->> 'sub'"),
        document("sub", &PERSON.to_string(), "auth.session_claims()")
            .named("`(auth.session_claims() ->> 'sub') = …`")
            .drawn("auth.session_claims() ->> 'sub'"),
        document("sub", &PERSON.to_string(), "current_setting('request.jwt.claims')::jsonb")
            .named("`(current_setting('request.jwt.claims')::jsonb ->> 'sub') = …`"),
    ]);
    family(vec![
        document("org_id", ORGANIZATION, "claims").stored().named("`(claims ->> 'org_id') = …`, the stored column"),
        document("org_id", ORGANIZATION, "auth.session_claims()").named("`(auth.session_claims() ->> 'org_id') = …`"),
    ]);
    all
}

/// A column beside what a function returns, over the column beside its value.
fn compare(column: &str, value: &str, call: &'static str) -> Filter {
    filter(Table::Notes, format!("{column} = {{}}"), format!("{column} = {value}"), call)
}

/// A yes-or-no function, of a session with many roles, over no filter.
fn ask(call: &'static str) -> Filter {
    Filter { large_token: true, ..filter(Table::Notes, "{}".into(), "true".into(), call) }
}

/// A member of a document, over no filter.
fn document(member: &str, value: &str, call: &'static str) -> Filter {
    filter(Table::Documents, format!("({{}} ->> '{member}') = '{value}'"), "true".into(), call)
}

fn filter(table: Table, policy: String, baseline: String, call: &'static str) -> Filter {
    Filter {
        table,
        policy,
        baseline,
        floor: String::new(),
        call,
        name: None,
        drawn: None,
        wrapped: true,
        large_token: false,
    }
}

impl Filter {
    /// The policy with the call bare.
    pub fn bare(&self) -> String {
        self.policy.replace("{}", self.call)
    }

    /// The policy with the call in `(select …)`, once a query, if that is possible.
    pub fn wrapped(&self) -> Option<String> {
        self.wrapped.then(|| self.policy.replace("{}", &format!("(select {})", self.call)))
    }

    /// What the tables call it.
    pub fn name(&self) -> String {
        self.name.map_or_else(|| format!("`{}`", self.bare()), str::to_owned)
    }

    fn named(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }

    fn drawn(self, name: &'static str) -> Self {
        Self { drawn: Some(name), ..self }
    }

    /// Of a column: reading that is no part of the cost, and it cannot be done once a query.
    fn of_the_organization(self) -> Self {
        Self { wrapped: false, baseline: "organization is not null".into(), ..self }
    }

    fn stored(self) -> Self {
        Self { wrapped: false, ..self }
    }
}
