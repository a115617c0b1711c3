//! `auth.check()`: faults are planted, reported, and mended as the report says.

use tokio_postgres::Client;
use workos_testbed::Cluster;

use crate::bed::Bed;
use crate::sql::{lines, text};

/// A row of `auth.check()`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "its columns")]
pub struct Finding {
    pub severity: String,
    pub object: String,
    pub finding: String,
    pub remedy: String,
}

/// What `auth.check()` reports, but that the library is not preloaded: no cluster of the tests preloads it, unless that is what is tested.
pub async fn check(client: &Client) -> Vec<Finding> {
    let mut all = check_all(client).await;
    all.retain(|finding| finding.object != "session_preload_libraries");
    all
}

/// Everything that `auth.check()` reports.
pub async fn check_all(client: &Client) -> Vec<Finding> {
    let rows = client.query("select * from auth.check()", &[]).await.unwrap();
    rows.iter()
        .map(|row| Finding {
            severity: row.get("severity"),
            object: row.get("object"),
            finding: row.get("finding"),
            remedy: row.get("remedy"),
        })
        .collect()
}

/// A row of `auth.check()` that is expected: severity, object, and a part of the finding.
pub type Row<'a> = (&'a str, &'a str, &'a str);

/// Something unsafe, and what `auth.check()` makes of it. In its SQL, `PEOPLE`, `APP` and `DATABASE` stand for a patient's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fault<'a> {
    /// What makes the database unsafe.
    pub plant: &'a str,
    /// The rows that are expected, in their order.
    pub rows: &'a [Row<'a>],
    /// A query that PEOPLE can run and that gives a row, until the remedy has been run. Empty: nothing to show.
    pub leak: &'a str,
    /// What removes the rest.
    pub clean: &'a str,
}

/// A database with the two roles of an application, in which nothing is unsafe.
pub struct Patient<'a> {
    /// The database.
    pub bed: Bed<'a>,
    /// The role that people act as.
    pub people: String,
    /// The backend's role, a NOINHERIT member of that one.
    pub app: String,
}

impl<'a> Patient<'a> {
    /// Makes it.
    pub async fn new(cluster: &'a Cluster, database: &str) -> Self {
        let bed = Bed::new(cluster, database).await;
        let (people, app) = (format!("{database}_people"), format!("{database}_app"));
        bed.set("workos_auth.allowed_roles", &people).await;
        let roles = format!(
            "create role {people} nologin; create role {app} login noinherit; grant {people} to {app};
             select auth.grant_sign_in('{app}')"
        );
        bed.admin.batch_execute(&roles).await.unwrap();
        let patient = Self { bed, people, app };
        patient.is_sound("at first").await;
        patient
    }

    /// Puts this patient's names into a text.
    pub fn named(&self, sql: &str) -> String {
        sql.replace("PEOPLE", &self.people).replace("APP", &self.app).replace("DATABASE", &self.bed.database)
    }

    /// Runs statements as the superuser.
    pub async fn run(&self, sql: &str) {
        let sql = self.named(sql);
        self.bed.admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    }

    /// Nothing is reported.
    pub async fn is_sound(&self, when: &str) {
        let findings = check(&self.bed.admin).await;
        assert!(findings.is_empty(), "{when}: {findings:#?}");
    }

    /// These rows are reported, and no other.
    pub async fn shows(&self, rows: &[Row<'_>], when: &str) -> Vec<Finding> {
        let findings = check(&self.bed.admin).await;
        let as_expected = findings.len() == rows.len()
            && findings.iter().zip(rows).all(|(found, (severity, object, part))| {
                found.severity == *severity
                    && found.object == self.named(object)
                    && found.finding.contains(&self.named(part))
                    && found.finding.ends_with('.')
            });
        assert!(as_expected, "{when}\nexpected {rows:#?}\nfound {findings:#?}");
        findings
    }

    /// Runs a row's remedy as it stands, in a session of its own that has not loaded the library. The extended protocol takes one statement
    /// and no more.
    pub async fn remedy(&self, finding: &Finding) {
        let result = self.bed.superuser().await.execute(&finding.remedy, &[]).await;
        result.unwrap_or_else(|error| panic!("{finding:#?}\n{error:?}"));
        // It reloads the configuration, and this waits until that is done.
        if finding.remedy.contains("auth.alter_system") {
            self.bed.cluster.reload().await.unwrap();
        }
    }

    /// These rows are reported, and no other; once every row's remedy has been run, none is.
    pub async fn is_mended(&self, rows: &[Row<'_>], when: &str) {
        for finding in &self.shows(rows, when).await {
            self.remedy(finding).await;
        }
        self.is_sound(when).await;
    }

    /// Plants a fault, sees it reported, runs every row's remedy, and sees nothing reported any more.
    pub async fn is_mended_of(&self, fault: &Fault<'_>) {
        self.run(fault.plant).await;
        if !fault.leak.is_empty() {
            assert!(self.leaks(fault.leak).await, "nothing leaks: {}", fault.plant);
        }
        self.is_mended(fault.rows, fault.plant).await;
        if !fault.leak.is_empty() {
            assert!(!self.leaks(fault.leak).await, "it still leaks: {}", fault.plant);
        }
        self.run(fault.clean).await;
    }

    /// Does something harmless, of which nothing may be reported.
    pub async fn stays_sound(&self, harmless: &str, clean: &str) {
        self.run(harmless).await;
        self.is_sound(harmless).await;
        self.run(clean).await;
    }

    /// Whether PEOPLE get a row out of this query.
    pub async fn leaks(&self, query: &str) -> bool {
        let client = self.bed.superuser().await;
        text(&client, &self.named("set role PEOPLE")).await.unwrap();
        lines(&client, &self.named(query)).await.is_ok_and(|rows| !rows.is_empty())
    }
}
