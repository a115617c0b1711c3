//! Everything that a test can have happen at WorkOS.

use serde::Deserialize;

use crate::changes::directories::{self, NewDirectory};
use crate::changes::directory_groups::{self, NewDirectoryGroup};
use crate::changes::directory_users::{self, Departure, DirectoryUserPatch, NewDirectoryUser};
use crate::changes::memberships::{self, MembershipPatch, NewMembership};
use crate::changes::organization_domains::NewDomain;
use crate::changes::organizations::{self, NewOrganization, OrganizationPatch};
use crate::changes::roles::{self, Role};
use crate::changes::sessions::{self, NewSession};
use crate::changes::users::{self, NewUser, UserPatch};
use crate::changes::{connections, organization_domains};
use crate::objects::directory::DirectoryState;
use crate::refusal::Refusal;
use crate::seed::ConnectionState;
use crate::state::Memory;

/// One thing that happens, with the events that WorkOS makes of it.
///
/// As JSON (`POST /_simulator/changes`): `{"delete_user":{"id":"user_alice"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// `organization.created`, `organization_domain.created`
    CreateOrganization {
        /// What people call it.
        name: String,
        /// The application's own id of it.
        #[serde(default)]
        external_id: Option<String>,
        /// Domains that are its own.
        #[serde(default)]
        verified_domains: Vec<String>,
    },
    /// `organization.updated`
    RenameOrganization {
        /// Which.
        id: String,
        /// What people call it from now on.
        name: String,
    },
    /// `organization.deleted` alone, though all that belongs to it goes too: WorkOS does not document more.
    DeleteOrganization {
        /// Which.
        id: String,
    },
    /// `organization_domain.created`: it is pending.
    AddDomain {
        /// Whose.
        organization: String,
        /// `acme.com`
        domain: String,
    },
    /// `organization_domain.verified`, and `organization_domain.verification_failed` for others that wanted it.
    VerifyDomain {
        /// `org_domain_…`
        id: String,
    },
    /// `organization_domain.verification_failed`, after 30 days.
    FailDomain {
        /// `org_domain_…`
        id: String,
    },
    /// `organization_domain.deleted`
    DeleteDomain {
        /// `org_domain_…`
        id: String,
    },
    /// `user.created`
    CreateUser(NewUser),
    /// `user.updated`
    UpdateUser(UserPatch),
    /// `user.deleted`
    DeleteUser {
        /// Who.
        id: String,
    },
    /// `organization_membership.created`
    CreateMembership(NewMembership),
    /// `organization_membership.updated`
    UpdateMembership(MembershipPatch),
    /// `organization_membership.deleted`
    DeleteMembership {
        /// Which.
        id: String,
    },
    /// `role.created` or `organization_role.created`
    CreateRole(Role),
    /// `role.updated` or `organization_role.updated`, and none for those who have the role.
    SetRolePermissions(Role),
    /// `role.deleted` or `organization_role.deleted`, then `organization_membership.updated` for each who had it.
    DeleteRole {
        /// Whose; none for the environment's.
        #[serde(default)]
        organization: Option<String>,
        /// Which.
        slug: String,
    },
    /// `session.created`, and `authentication.sso_succeeded` with a connection.
    CreateSession(NewSession),
    /// `session.revoked`
    RevokeSession {
        /// Which.
        id: String,
    },
    /// `connection.activated` or `connection.deactivated`
    SetConnectionState {
        /// Which.
        id: String,
        /// From now on.
        state: ConnectionState,
    },
    /// `connection.deleted`
    DeleteConnection {
        /// Which.
        id: String,
    },
    /// `connection.saml_certificate_renewal_required`
    CertificateExpires {
        /// Which.
        connection: String,
        /// When; a negative number for one that has expired.
        in_days: i64,
    },
    /// `connection.saml_certificate_renewed`
    CertificateRenewed {
        /// Which.
        connection: String,
        /// For how long.
        for_days: i64,
    },
    /// `dsync.activated`, and the events of the first sync.
    CreateDirectory(NewDirectory),
    /// No event.
    SetDirectoryState {
        /// Which.
        id: String,
        /// From now on.
        state: DirectoryState,
    },
    /// `dsync.deleted` alone.
    DeleteDirectory {
        /// Which.
        id: String,
    },
    /// `dsync.user.created`
    CreateDirectoryUser(NewDirectoryUser),
    /// `dsync.user.updated`
    UpdateDirectoryUser(DirectoryUserPatch),
    /// `dsync.user.deleted` or `dsync.user.updated`; `organization_membership.updated` for a membership that the directory manages.
    DirectoryUserDeparts {
        /// Who.
        id: String,
        /// What the environment does with them.
        #[serde(default)]
        departure: Departure,
    },
    /// `dsync.user.created` with a new id, or `dsync.user.updated`; `organization_membership.updated` for a membership that the directory
    /// manages.
    DirectoryUserComesBack {
        /// Where.
        directory: String,
        /// Who, by the identity provider's own id.
        idp_id: String,
    },
    /// `dsync.group.created`
    CreateDirectoryGroup(NewDirectoryGroup),
    /// `dsync.group.updated`
    RenameDirectoryGroup {
        /// Which.
        id: String,
        /// What people call it from now on.
        name: String,
    },
    /// `dsync.group.deleted` alone.
    DeleteDirectoryGroup {
        /// Which.
        id: String,
    },
    /// `dsync.group.user_added`
    AddToDirectoryGroup {
        /// Which.
        group: String,
        /// Who.
        user: String,
    },
    /// `dsync.group.user_removed`
    RemoveFromDirectoryGroup {
        /// Which.
        group: String,
        /// Who.
        user: String,
    },
}

/// Has it happen. Answers the id of what it happened to.
pub(crate) fn apply(memory: &mut Memory, change: Change) -> Result<String, Refusal> {
    match change {
        Change::CreateOrganization { name, external_id, verified_domains } => {
            let domains = verified_domains.into_iter().map(|domain| NewDomain { domain, verified: true }).collect();
            let new = NewOrganization { name, external_id, domains, ..NewOrganization::default() };
            organizations::create(memory, new).map(|organization| organization.id)
        }
        Change::RenameOrganization { id, name } => {
            let patch = OrganizationPatch { name: Some(name), ..OrganizationPatch::default() };
            organizations::update(memory, &id, patch).map(|organization| organization.id)
        }
        Change::DeleteOrganization { id } => organizations::delete(memory, &id).map(|()| id),
        Change::AddDomain { organization, domain } => {
            organization_domains::create(memory, &organization, &domain).map(|domain| domain.id)
        }
        Change::VerifyDomain { id } => organization_domains::verify(memory, &id),
        Change::FailDomain { id } => organization_domains::fail(memory, &id, "domain_verification_period_expired"),
        Change::DeleteDomain { id } => organization_domains::delete(memory, &id).map(|()| id),
        Change::CreateUser(new) => users::create(memory, new),
        Change::UpdateUser(patch) => users::update(memory, patch),
        Change::DeleteUser { id } => users::delete(memory, &id),
        Change::CreateMembership(new) => memberships::create(memory, new),
        Change::UpdateMembership(patch) => memberships::update(memory, patch),
        Change::DeleteMembership { id } => memberships::delete(memory, &id),
        Change::CreateRole(role) => roles::create(memory, role),
        Change::SetRolePermissions(role) => roles::set_permissions(memory, role),
        Change::DeleteRole { organization, slug } => roles::delete(memory, organization, &slug),
        Change::CreateSession(new) => sessions::create(memory, new),
        Change::RevokeSession { id } => sessions::revoke(memory, &id),
        Change::SetConnectionState { id, state } => connections::set_state(memory, &id, state),
        Change::DeleteConnection { id } => connections::delete(memory, &id),
        Change::CertificateExpires { connection, in_days } => {
            connections::certificate_expires(memory, &connection, in_days)
        }
        Change::CertificateRenewed { connection, for_days } => {
            connections::certificate_renewed(memory, &connection, for_days)
        }
        Change::CreateDirectory(new) => directories::create(memory, new),
        Change::SetDirectoryState { id, state } => directories::set_state(memory, &id, state),
        Change::DeleteDirectory { id } => directories::delete(memory, &id),
        Change::CreateDirectoryUser(new) => directory_users::create(memory, new),
        Change::UpdateDirectoryUser(patch) => directory_users::update(memory, patch),
        Change::DirectoryUserDeparts { id, departure } => directory_users::depart(memory, &id, departure),
        Change::DirectoryUserComesBack { directory, idp_id } => directory_users::come_back(memory, &directory, &idp_id),
        Change::CreateDirectoryGroup(new) => directory_groups::create(memory, new),
        Change::RenameDirectoryGroup { id, name } => directory_groups::rename(memory, &id, name),
        Change::DeleteDirectoryGroup { id } => directory_groups::delete(memory, &id),
        Change::AddToDirectoryGroup { group, user } => directory_groups::add(memory, &group, &user),
        Change::RemoveFromDirectoryGroup { group, user } => directory_groups::remove(memory, &group, &user),
    }
}
