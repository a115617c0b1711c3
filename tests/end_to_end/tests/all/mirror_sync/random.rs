//! Random histories at a customer, and polls, webhooks, comparisons, crashes and restores in between, in any order: in the end the tables are
//! what WorkOS has, and nobody has a session who is not active there.
//!
//! A failure names its seed. `MIRROR_SEED` runs one, `MIRROR_SEEDS` so many, `MIRROR_STEPS` so many steps of each.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use workos_end_to_end::following::{DIRECTORY, WEBHOOK_SECRET, receive};
use workos_end_to_end::{Bed, Person, Session, exchange, lines, start};
use workos_simulator::{
    Change, DateFormat, Departure, DirectoryUserPatch, DirectoryUserState, EventSettings, Fault, FaultKind,
    MembershipPatch, MembershipStatus, NewDirectory, NewDirectoryGroup, NewDirectoryUser, NewMembership, NewUser,
    Profile,
};
use workos_testbed::workos::CLIENT_SECRET;

const SEEDS: u64 = 3;
const STEPS: u64 = 250;
const PEOPLE: usize = 8;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn whatever_happens_in_whatever_order_the_tables_become_what_workos_has() {
    let seeds = match number("MIRROR_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("MIRROR_SEEDS").unwrap_or(SEEDS)).map(|_| fastrand::u64(..)).collect(),
    };
    for (at, seed) in seeds.into_iter().enumerate() {
        let bed = Bed::shared(&format!("walk_{at}")).await;
        workos_end_to_end::case!(seed);
        Walk::new(&bed, seed).await.run(number("MIRROR_STEPS").unwrap_or(STEPS)).await;
    }
}

struct Walk<'a> {
    bed: &'a Bed<'static>,
    rng: Rng,
    people: Vec<Person>,
    sessions: Vec<(usize, Session)>,
    cursors: Vec<String>,
    groups: usize,
    /// How many memberships of each person were deleted: WorkOS gives no id twice.
    deleted: [usize; PEOPLE],
}

impl<'a> Walk<'a> {
    async fn new(bed: &'a Bed<'static>, seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        let mut people = Vec::new();
        let mut users = Vec::new();
        for n in 0..PEOPLE {
            let email: &'static str = format!("p{n}@acme.com").leak();
            bed.simulator()
                .put_profile(Profile {
                    id: format!("prof_p{n}"),
                    connection: "conn_acme".into(),
                    email: email.into(),
                    idp_id: format!("okta-p{n}"),
                    first_name: None,
                    last_name: None,
                    role: None,
                    roles: None,
                    groups: Vec::new(),
                    custom_attributes: BTreeMap::new(),
                })
                .unwrap();
            people.push(Person { selector: "organization => 'org_acme'", email });
            users.push(NewDirectoryUser {
                idp_id: format!("okta-p{n}"),
                email: Some(email.into()),
                ..NewDirectoryUser::default()
            });
            let id = Some(format!("user_p{n}"));
            bed.simulator()
                .change(Change::CreateUser(NewUser { id, email: email.into(), ..NewUser::default() }))
                .unwrap();
        }
        let group = |n: usize| NewDirectoryGroup {
            id: Some(format!("directory_group_{n}")),
            directory: String::new(),
            name: format!("Group {n}"),
        };
        let new = NewDirectory {
            id: Some(DIRECTORY.into()),
            organization: "org_acme".into(),
            name: "Acme".into(),
            kind: None,
            users,
            groups: vec![(group(0), vec!["okta-p0".into()]), (group(1), Vec::new())],
        };
        bed.simulator().change(Change::CreateDirectory(new)).unwrap();
        bed.admin.execute("select auth.set_webhook_secret($1)", &[&WEBHOOK_SECRET]).await.unwrap();
        bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
        Self { bed, rng, people, sessions: Vec::new(), cursors: Vec::new(), groups: 2, deleted: [0; PEOPLE] }
    }

    async fn run(mut self, steps: u64) {
        for _ in 0..steps {
            self.step().await;
        }
        self.bed.simulator().clear_faults();
        self.bed.simulator().set_events(EventSettings { hold_back_ms: 0, ..EventSettings::default() });
        for _ in 0..100 {
            self.bed.sync().await;
            let last = self.bed.simulator().events().last().map(|event| event["id"].as_str().unwrap().to_owned());
            if self.bed.cursor().await == last {
                break;
            }
        }
        self.compare().await;
    }

    async fn step(&mut self) {
        match self.rng.u8(..100) {
            0..45 => self.happens(),
            45..55 => self.signs_in().await,
            55..68 => {
                let _ = self.bed.admin.batch_execute(&format!("call auth.sync_workos({})", self.rng.u8(1..4))).await;
                self.cursors.extend(self.bed.cursor().await);
            }
            68..82 => self.webhooks().await,
            82..86 => self.killed().await,
            86..90 => self.restored().await,
            90..93 => {
                let _ = self.bed.admin.batch_execute("call auth.reconcile_workos()").await;
            }
            93..95 => {
                let _ = self.bed.admin.batch_execute("call auth.reconcile_workos('org_acme')").await;
            }
            _ => self.weather(),
        }
    }

    /// How WorkOS tells of events, and what goes wrong on the way.
    fn weather(&mut self) {
        self.bed.simulator().clear_faults();
        let (hold_back_ms, reorder) = (self.rng.u64(0..300), self.rng.bool().then(|| self.rng.u64(..)));
        let dates = if self.rng.bool() { DateFormat::Iso } else { DateFormat::Spaced };
        self.bed.simulator().set_events(EventSettings { hold_back_ms, dates, reorder });
        let kind = match self.rng.u8(..6) {
            0 => FaultKind::RepeatedEvents,
            1 => FaultKind::EventFilterIgnored,
            2 => FaultKind::Status { code: 503, body: None },
            3 => FaultKind::TruncatedBody,
            4 => FaultKind::Reset,
            _ => return,
        };
        let times = self.rng.u32(1..4);
        self.bed.simulator().set_fault(Fault::events(kind).times(times)).unwrap();
    }

    /// Something at the customer. What WorkOS refuses, such as the departure of somebody who has left, does not happen.
    fn happens(&mut self) {
        let person = self.rng.usize(..PEOPLE);
        let group = format!("directory_group_{}", self.rng.usize(..self.groups));
        let user = self.directory_user(person);
        let organization = ["org_globex", "org_initech", "org_hooli"][self.rng.usize(..3)].to_owned();
        let membership = format!("om_p{person}_{}", self.deleted[person]);
        let change = match (self.rng.u8(..16), user) {
            (0 | 1, Some(id)) => Change::DirectoryUserDeparts { id, departure: Departure::Deleted },
            (2, Some(id)) => Change::DirectoryUserDeparts { id, departure: Departure::Inactive },
            (3 | 4, _) => {
                Change::DirectoryUserComesBack { directory: DIRECTORY.into(), idp_id: format!("okta-p{person}") }
            }
            (5, Some(id)) => {
                let states = [DirectoryUserState::Suspended, DirectoryUserState::Active];
                let state = Some(states[self.rng.usize(..2)]);
                Change::UpdateDirectoryUser(DirectoryUserPatch { id, state, ..DirectoryUserPatch::default() })
            }
            (6 | 7, Some(user)) => Change::AddToDirectoryGroup { group, user },
            (8, Some(user)) => Change::RemoveFromDirectoryGroup { group, user },
            (9, _) => Change::RenameDirectoryGroup { id: group, name: format!("Group {}", self.rng.u16(..)) },
            (10, _) => Change::DeleteDirectoryGroup { id: group },
            (11, _) => {
                self.groups += 1;
                let id = Some(format!("directory_group_{}", self.groups - 1));
                Change::CreateDirectoryGroup(NewDirectoryGroup {
                    id,
                    directory: DIRECTORY.into(),
                    name: format!("Group {}", self.groups),
                })
            }
            (12, _) => Change::RenameOrganization { id: organization, name: format!("Name {}", self.rng.u16(..)) },
            (13, _) => Change::CreateMembership(NewMembership {
                id: Some(membership),
                user: format!("user_p{person}"),
                organization: "org_globex".into(),
                ..NewMembership::default()
            }),
            (14, _) => {
                let status = [MembershipStatus::Active, MembershipStatus::Inactive][self.rng.usize(..2)];
                Change::UpdateMembership(MembershipPatch {
                    id: membership,
                    status: Some(status),
                    ..MembershipPatch::default()
                })
            }
            (15, _) if self.rng.u8(..8) == 0 => {
                self.deleted[person] += 1;
                Change::DeleteMembership { id: membership }
            }
            (15, _) if self.rng.u8(..20) == 0 => Change::DeleteOrganization { id: "org_umbrella".into() },
            _ => return,
        };
        let _ = self.bed.simulator().change(change);
    }

    /// The person's newest entry in the directory that WorkOS still has.
    fn directory_user(&self, person: usize) -> Option<String> {
        let idp_id = format!("okta-p{person}");
        let events = self.bed.simulator().events();
        let created = events
            .iter()
            .rev()
            .find(|event| event["event"] == "dsync.user.created" && event["data"]["idp_id"] == idp_id.as_str());
        created.map(|event| event["data"]["id"].as_str().unwrap().to_owned())
    }

    /// Whoever has been seen leaving is refused; whoever has not gets a session.
    async fn signs_in(&mut self) {
        let person = self.rng.usize(..PEOPLE);
        let pending = start(&self.bed.admin, self.people[person]).await;
        if let Ok(session) = exchange(&self.bed.admin, &pending).await {
            self.sessions.push((person, session));
        }
    }

    /// Some of the last events, in any order, some of them more than once.
    async fn webhooks(&mut self) {
        let events = self.bed.simulator().events();
        for _ in 0..self.rng.usize(1..6) {
            let back = self.rng.usize(..events.len().min(40));
            receive(&self.bed.admin, &events[events.len() - 1 - back]).await.unwrap();
        }
    }

    /// A backend ends in the middle of a page, or of a comparison.
    async fn killed(&mut self) {
        let client = self.bed.superuser().await;
        let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let call = if self.rng.bool() { "call auth.sync_workos()" } else { "call auth.reconcile_workos()" };
        let task = tokio::spawn(async move { client.batch_execute(call).await });
        tokio::time::sleep(Duration::from_micros(self.rng.u64(..60_000))).await;
        self.bed.admin.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
        let _ = task.await.unwrap();
        self.bed.until(&format!("not exists (select from pg_stat_activity where pid = {pid})")).await;
    }

    /// The cursor is that of before: what follows it comes once more.
    async fn restored(&mut self) {
        if let Some(cursor) = self.rng.choice(&self.cursors) {
            let sql = "update auth.workos_sync_state set cursor = $1 where cursor is not null";
            self.bed.admin.execute(sql, &[cursor]).await.unwrap();
        }
    }

    async fn get(&self, path: &str) -> Vec<Value> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/{path}&limit=100", self.bed.workos.url());
        let answer: Value = http.get(url).bearer_auth(CLIENT_SECRET).send().await.unwrap().json().await.unwrap();
        assert!(answer["list_metadata"]["after"].is_null(), "a second page of {path}");
        answer["data"].as_array().unwrap().clone()
    }

    /// The tables against what WorkOS answers, and each session against its person.
    async fn compare(&self) {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or("NULL").to_owned();
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        let of = |items: &[Value], names: &[&str]| {
            sorted(
                items
                    .iter()
                    .map(|item| names.iter().map(|name| text(item, name)).collect::<Vec<_>>().join("|"))
                    .collect(),
            )
        };
        let users = self.get(&format!("directory_users?directory={DIRECTORY}")).await;
        let groups = self.get(&format!("directory_groups?directory={DIRECTORY}")).await;
        let organizations = self.get("organizations?order=asc").await;
        let memberships = self
            .get("user_management/organization_memberships?organization_id=org_globex&statuses=active,inactive,pending")
            .await;
        let here = |sql: &'static str| async move { sorted(lines(&self.bed.admin, sql).await.unwrap()) };
        assert_eq!(
            here("select id, state from auth.directory_users where deleted_at is null").await,
            of(&users, &["id", "state"])
        );
        assert_eq!(here("select id, name from auth.directory_groups").await, of(&groups, &["id", "name"]));
        assert_eq!(
            here("select id, name from auth.organizations where deleted_at is null").await,
            of(&organizations, &["id", "name"])
        );
        assert_eq!(
            here("select id, status from auth.workos_memberships where deleted_at is null and organization_id = 'org_globex'").await,
            of(&memberships, &["id", "status"])
        );
        let mut members: Vec<String> = Vec::new();
        for user in &users {
            members.extend(
                user["groups"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|group| format!("{}|{}", text(group, "id"), text(user, "id"))),
            );
        }
        assert_eq!(here("select group_id, directory_user_id from auth.directory_group_members").await, sorted(members));

        let active: BTreeSet<String> =
            users.iter().filter(|user| user["state"] == "active").map(|user| text(user, "idp_id")).collect();
        for (person, session) in &self.sessions {
            let is_active = active.contains(&format!("okta-p{person}"));
            assert!(is_active || !self.bed.lives(session).await, "p{person} is not active, and has a session");
        }
        assert!(!self.sessions.is_empty());
    }
}
