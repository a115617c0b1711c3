//! Which of an organization's people a directory user is, and whether they have left: the rules of docs/directories.md, "Who is who".

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};
use uuid::Uuid;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::bed::{Session, refresh, set_session};
use workos_end_to_end::issuer::{OtherIssuer, accept, now};
use workos_end_to_end::sql::{refused, text};
use workos_end_to_end::told::{apply, event, page};

/// A database, what WorkOS tells it, and who signs in.
struct World {
    at: Accounts,
    told: Cell<u32>,
    profiles: RefCell<Vec<(String, String)>>,
}

impl World {
    async fn new(name: &str) -> Self {
        Self { at: Accounts::new(name, &[]).await, told: Cell::new(0), profiles: RefCell::default() }
    }

    /// WorkOS tells of something.
    async fn tells(&self, kind: &str, data: Value) {
        self.told.set(self.told.get() + 1);
        let page = page(&[event(&format!("event_{:03}", self.told.get()), kind, data)]);
        let cursor = self.at.bed.cursor().await;
        apply(&self.at.bed.admin, &page, cursor.as_deref()).await.unwrap();
    }

    /// A directory user, as events have them from now on.
    fn user(&self, id: &str, directory: &str, idp_id: &str, name: &str, state: &str, roles: &[&str]) -> Value {
        json!({
            "id": format!("directory_user_{id}"), "directory_id": format!("directory_{directory}"), "organization_id": "org_initech",
            "idp_id": idp_id, "email": format!("{name}@initech.com"), "state": state, "custom_attributes": {},
            "roles": roles.iter().map(|slug| json!({ "slug": slug })).collect::<Vec<_>>(),
            "updated_at": format!("2026-01-15T08:00:{:02}.000Z", self.told.get()),
        })
    }

    async fn is_there(&self, id: &str, directory: &str, idp_id: &str, name: &str) {
        self.tells("dsync.user.created", self.user(id, directory, idp_id, name, "active", &[])).await;
    }

    async fn changes(&self, id: &str, directory: &str, idp_id: &str, name: &str, state: &str) {
        self.tells("dsync.user.updated", self.user(id, directory, idp_id, name, state, &[])).await;
    }

    async fn leaves(&self, id: &str, directory: &str, idp_id: &str, name: &str) {
        self.tells("dsync.user.deleted", self.user(id, directory, idp_id, name, "inactive", &[])).await;
    }

    async fn comes(&self, profile: &str, name: &str, idp_id: &str) -> Session {
        self.has_the_address(profile, idp_id);
        self.at.signs_in(profile, OKTA, &format!("{name}@initech.com"), idp_id).await
    }

    async fn is_refused(&self, profile: &str, name: &str, idp_id: &str) {
        self.has_the_address(profile, idp_id);
        refused(self.at.comes(profile, OKTA, &format!("{name}@initech.com"), idp_id).await, "member_removed");
    }

    /// The simulator picks people by their address: a profile that shares it with another one has to leave it.
    fn has_the_address(&self, profile: &str, idp_id: &str) {
        let mut profiles = self.profiles.borrow_mut();
        for (other, idp_id) in profiles.iter().filter(|(other, _)| other != profile) {
            self.at.put(other, OKTA, &format!("{other}@gone.example"), idp_id);
        }
        profiles.push((profile.to_owned(), idp_id.to_owned()));
    }

    /// No session is left, and none can be had.
    async fn is_out(&self, session: &Session) {
        refused(refresh(&self.at.app, &session.refresh_token).await, "refresh_token_not_found");
        self.gets_no_session(session.user_id, "not_a_member").await;
    }

    async fn lives(&self, session: &Session) -> Session {
        refresh(&self.at.app, &session.refresh_token).await.unwrap()
    }

    async fn gets_no_session(&self, user_id: Uuid, name: &str) {
        let sql = "select auth.create_session($1, 'org_initech')";
        refused(self.at.bed.admin.query(sql, &[&user_id]).await, name);
    }

    async fn sql(&self, sql: &str) -> Option<String> {
        text(&self.at.bed.admin, sql).await.unwrap()
    }
}

#[tokio::test]
async fn a_successor_of_the_same_address_does_not_keep_a_leaver_in() {
    let world = World::new("successor").await;
    let carol = world.comes("prof_1", "carol", "1").await;
    world.is_there("1", "a", "1", "carol").await;
    world.changes("1", "a", "1", "carol.old", "active").await;
    world.is_there("2", "a", "2", "carol").await;
    world.leaves("1", "a", "1", "carol.old").await;
    world.is_out(&carol).await;
    world.is_refused("prof_1", "carol", "1").await;
    world.comes("prof_2", "carol", "2").await;
}

/// The ids of sign-in and of directory are others.
#[tokio::test]
async fn a_successor_is_removed_in_their_turn_and_their_predecessor_does_not_come_back() {
    let world = World::new("in_turn").await;
    let old = world.comes("prof_1", "carol", "saml1").await;
    world.is_there("1", "a", "scim1", "carol").await;
    world.leaves("1", "a", "scim1", "carol").await;
    world.is_out(&old).await;
    world.is_there("2", "a", "scim2", "carol").await;
    world.is_refused("prof_1", "carol", "saml1").await;
    let new = world.comes("prof_2", "carol", "saml2").await;
    assert_ne!(new.user_id, old.user_id);
    world.is_refused("prof_1", "carol", "saml1").await;
    let new = world.lives(&new).await;
    world.leaves("2", "a", "scim2", "carol").await;
    world.is_out(&new).await;
    world.is_refused("prof_2", "carol", "saml2").await;

    // Nobody had told of the predecessor, who seemed to be the new one.
    let world = World::new("untold").await;
    world.comes("prof_1", "carol", "saml1").await;
    world.is_there("2", "a", "scim2", "carol").await;
    let new = world.comes("prof_2", "carol", "saml2").await;
    world.leaves("2", "a", "scim2", "carol").await;
    world.is_out(&new).await;
}

#[tokio::test]
async fn one_id_in_two_directories_is_two_people() {
    for is_here_before in [false, true] {
        let world = World::new(if is_here_before { "equal_before" } else { "equal" }).await;
        let mut people = Vec::new();
        if is_here_before {
            people = vec![world.comes("prof_1", "alice", "7").await, world.comes("prof_2", "bob", "7").await];
        }
        world.is_there("1", "a", "7", "alice").await;
        world.is_there("2", "b", "7", "bob").await;
        if !is_here_before {
            people = vec![world.comes("prof_1", "alice", "7").await, world.comes("prof_2", "bob", "7").await];
        }
        world.leaves("1", "a", "7", "alice").await;
        world.is_out(&people[0]).await;
        world.is_refused("prof_1", "alice", "7").await;
        world.lives(&people[1]).await;
        world.comes("prof_2", "bob", "7").await;
    }
}

#[tokio::test]
async fn who_is_in_two_directories_is_judged_by_both() {
    let world = World::new("both").await;
    world.is_there("1", "a", "okta", "dan").await;
    world.is_there("2", "b", "google", "dan").await;
    let dan = world.comes("prof_1", "dan", "okta").await;
    world.leaves("1", "a", "okta", "dan").await;
    let dan = world.lives(&dan).await;
    world.comes("prof_1", "dan", "okta").await;
    world.leaves("2", "b", "google", "dan").await;
    world.is_out(&dan).await;
    world.is_refused("prof_1", "dan", "okta").await;
}

#[tokio::test]
async fn a_directory_that_is_deleted_forgets_that_somebody_had_left_who_came_back() {
    let world = World::new("returned").await;
    world.comes("prof_1", "jo", "j").await;
    world.is_there("1", "a", "j", "jo").await;
    world.leaves("1", "a", "j", "jo").await;
    world.is_there("2", "a", "j", "jo").await;
    // Also of who has never signed in.
    world.is_there("3", "a", "k", "kim").await;
    world.leaves("3", "a", "k", "kim").await;
    world.is_there("4", "a", "k", "kim").await;
    // And not of who has not come back.
    world.is_there("5", "a", "l", "lea").await;
    world.leaves("5", "a", "l", "lea").await;
    world.tells("dsync.deleted", json!({ "id": "directory_a" })).await;
    world.comes("prof_1", "jo", "j").await;
    world.comes("prof_2", "kim", "k").await;
    world.is_refused("prof_3", "lea", "l").await;
    // What is told late of the row of before.
    world.leaves("1", "a", "j", "jo").await;
}

/// A reconciliation sees that the directory is gone before the events are read that came before.
#[tokio::test]
async fn a_suspension_of_before_a_directory_went_counts() {
    let world = World::new("suspended").await;
    let fay = world.comes("prof_1", "fay", "f").await;
    world.is_there("1", "a", "f", "fay").await;
    let (suspended, again) =
        (world.user("1", "a", "f", "fay", "suspended", &[]), world.user("1", "a", "f", "fay", "active", &[]));
    world.tells("dsync.deleted", json!({ "id": "directory_a" })).await;
    world.tells("dsync.user.updated", suspended).await;
    world.is_out(&fay).await;
    world.is_refused("prof_1", "fay", "f").await;
    world.tells("dsync.user.updated", again).await;
    world.comes("prof_1", "fay", "f").await;
}

#[tokio::test]
async fn members_who_never_came_by_single_sign_on_leave_too() {
    let world = World::new("members").await;
    let admin = &world.at.bed.admin;
    let id = world.sql("select auth.create_user('eve@initech.com', 'org_initech')::text").await.unwrap();
    let eve: Uuid = id.parse().unwrap();
    let open = "select refresh_token from auth.create_session($1, 'org_initech')";
    let token: String = admin.query_one(open, &[&eve]).await.unwrap().get(0);
    world.is_there("1", "a", "e", "eve").await;
    world.leaves("1", "a", "e", "eve").await;
    refused(refresh(&world.at.app, &token).await, "refresh_token_not_found");
    world.gets_no_session(eve, "not_a_member").await;
    // Nor where she is made a member again here.
    admin
        .execute(
            "insert into auth.organization_memberships (organization_id, user_id) values ('org_initech', $1)",
            &[&eve],
        )
        .await
        .unwrap();
    world.gets_no_session(eve, "member_removed").await;
}

#[tokio::test]
async fn people_of_authkit_leave_with_the_directory_too() {
    let world = World::new("authkit").await;
    let admin = &world.at.bed.admin;
    let authkit = OtherIssuer::new("https://api.example.com", Algorithm::Rs256);
    authkit.is_trusted_by(&world.at.bed).await;
    let claims = |later: i64| json!({ "org_id": "org_initech", "email": "ada@initech.com", "email_verified": true, "sid": format!("session_{later}"), "auth_time": now() + later, "iat": now() + later });
    let token = authkit.token("ada", claims(0));
    let ada = accept(admin, &token).await.unwrap();
    world.is_there("1", "a", "x", "ada").await;
    world.leaves("1", "a", "x", "ada").await;
    let role = world.at.bed.role("app", "").await;
    let app = world.at.bed.connect(&role).await;
    refused(set_session(&app, &token, false).await, "session_not_found");
    refused(accept(admin, &authkit.token("ada", claims(2))).await, "member_removed");
    world.gets_no_session(ada, "not_a_member").await;

    // The other way round: the membership at AuthKit is not good any more, and the same person signs in.
    let world = World::new("authkit_first").await;
    let authkit = OtherIssuer::new("https://api.example.com", Algorithm::Rs256);
    authkit.is_trusted_by(&world.at.bed).await;
    let bob = world.comes("prof_1", "bob", "b").await;
    world.at.bed.admin.execute("insert into auth.identities (user_id, provider, provider_id, identity_data) values ($1, 'https://api.example.com', 'user_bob', '{}')", &[&bob.user_id]).await.unwrap();
    let membership = |status: &str| {
        json!({ "id": "om_bob", "user_id": "user_bob", "organization_id": "org_initech", "status": status, "role": { "slug": "member" },
            "updated_at": format!("2026-01-15T08:00:{:02}.000Z", world.told.get()) })
    };
    world.tells("organization_membership.updated", membership("inactive")).await;
    world.is_out(&bob).await;
    world.is_refused("prof_1", "bob", "b").await;
    world.tells("organization_membership.updated", membership("active")).await;
    world.comes("prof_1", "bob", "b").await;
}

/// The role that a directory gives does not outlive it.
#[tokio::test]
async fn a_role_goes_with_the_directory_user_that_gave_it() {
    for case in ["user", "directory"] {
        let world = World::new(&format!("role_{case}")).await;
        let gil = world.comes("prof_1", "gil", "g").await;
        world.tells("dsync.user.created", world.user("1", "a", "g", "gil", "active", &["admin"])).await;
        world.tells("dsync.user.created", world.user("2", "b", "g", "gil", "active", &["viewer"])).await;
        let role = "select role || ' ' || roles::text from auth.organization_memberships";
        assert_eq!(world.sql(role).await.as_deref(), Some("admin {admin}"), "{case}");
        match case {
            "user" => world.leaves("1", "a", "g", "gil").await,
            _ => world.tells("dsync.deleted", json!({ "id": "directory_a" })).await,
        }
        assert_eq!(world.sql(role).await.as_deref(), Some("viewer {viewer}"), "{case}");
        world.changes("2", "b", "g", "gil", "active").await;
        let none = "select count(*)::text from auth.organization_memberships where role is null and roles = '{}'";
        assert_eq!(world.sql(none).await.as_deref(), Some("1"), "{case}");
        world.lives(&gil).await;
    }
}

#[tokio::test]
async fn a_removal_that_does_not_say_the_organization_counts() {
    let world = World::new("unsaid").await;
    let wim = world.comes("prof_1", "wim", "w").await;
    world.is_there("1", "a", "w", "wim").await;
    let mut user = world.user("1", "a", "w", "wim", "inactive", &[]);
    user["organization_id"] = Value::Null;
    world.tells("dsync.user.deleted", user).await;
    world.is_out(&wim).await;
    // Known by the directory alone.
    let xia = world.comes("prof_2", "xia", "x").await;
    world.tells("dsync.activated", json!({ "id": "directory_b", "organization_id": "org_initech", "state": "active", "name": "B", "type": "okta scim v2.0", "updated_at": "2026-01-15T08:00:00.000Z" })).await;
    let mut user = world.user("2", "b", "x", "xia", "suspended", &[]);
    user["organization_id"] = Value::Null;
    world.tells("dsync.user.updated", user).await;
    world.is_out(&xia).await;
}

#[tokio::test]
async fn an_organization_that_went_before_it_was_known_lets_nobody_in() {
    let world = World::new("gone").await;
    world.tells("organization.deleted", json!({ "id": "org_initech" })).await;
    world.is_refused("prof_1", "amy", "a").await;
    let authkit = OtherIssuer::new("https://api.example.com", Algorithm::Rs256);
    authkit.is_trusted_by(&world.at.bed).await;
    let token = authkit.token("ada", json!({ "org_id": "org_initech" }));
    refused(accept(&world.at.bed.admin, &token).await, "member_removed");
}

#[tokio::test]
async fn a_merge_takes_the_directory_users_along() {
    let world = World::new("merged").await;
    let max = world.comes("prof_1", "max", "saml").await;
    world.is_there("1", "a", "scim", "max").await;
    world.changes("1", "a", "scim", "max.new", "active").await;
    let other = world.at.signs_in("prof_2", GOOGLE, "maximilian@initech.com", "m").await;
    world.at.bed.admin.execute("select auth.merge_users($1, $2)", &[&max.user_id, &other.user_id]).await.unwrap();
    world.leaves("1", "a", "scim", "max.new").await;
    world.is_out(&other).await;
}

/// Also where nobody has told of the memberships.
#[tokio::test]
async fn a_user_of_authkit_who_is_deleted_has_left_everywhere() {
    let world = World::new("everywhere").await;
    let admin = &world.at.bed.admin;
    let authkit = OtherIssuer::new("https://api.example.com", Algorithm::Rs256);
    authkit.is_trusted_by(&world.at.bed).await;
    let claims = |later: i64| json!({ "org_id": "org_initech", "sid": format!("session_{later}"), "auth_time": now() + later, "iat": now() + later });
    let ada = accept(admin, &authkit.token("ada", claims(0))).await.unwrap();
    world.tells("user.deleted", json!({ "id": "user_ada" })).await;
    world.gets_no_session(ada, "not_a_member").await;
    let role = world.at.bed.role("app", "").await;
    let app = world.at.bed.connect(&role).await;
    let mut without = claims(2);
    without["org_id"] = Value::Null;
    for later in [claims(2), without] {
        refused(set_session(&app, &authkit.token("ada", later.clone()), false).await, "member_removed");
        refused(accept(admin, &authkit.token("ada", later)).await, "member_removed");
    }
}

/// An index could not hold it, and a time of the year 9999 would let no later word count.
#[tokio::test]
async fn what_is_told_of_one_person_stops_nothing_that_is_told_later() {
    let world = World::new("stops_nothing").await;
    let ivy = world.comes("prof_1", "ivy", "i").await;
    let user = |state: &str, at: &str| {
        let mut user = world.user("1", "a", &"\u{1f600}".repeat(900), "ivy", state, &[]);
        user["updated_at"] = json!(at);
        user
    };
    world.tells("dsync.user.created", user("active", "9999-12-31T00:00:00.000Z")).await;
    world.lives(&ivy).await;
    world.tells("dsync.user.updated", user("suspended", "2026-01-15T12:00:00.000Z")).await;
    world.gets_no_session(ivy.user_id, "not_a_member").await;
}
