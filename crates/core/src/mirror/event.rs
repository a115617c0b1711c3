//! Events, and what each of them changes.

use serde_json::Value;

use super::directory::{Directory, DirectoryGroup, DirectoryUser};
use super::moment::Moment;
use super::organization::{Connection, Domain, Organization};
use super::people::{Membership, Role};
use super::reading::{Object, Read, Unreadable};
use crate::error::{Error, ErrorCode, Result};

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `event_…`
    pub id: String,
    /// its type, such as `dsync.user.deleted`
    pub event: String,
    /// when it happened, by WorkOS's clock
    pub created_at: Moment,
    /// its data, which is not read yet
    data: Value,
}

/// What an event changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is so now.
    Organization(Organization),
    /// By its id.
    OrganizationDeleted(String),
    /// It is so now.
    Domain(Domain),
    /// It is gone.
    DomainDeleted(Domain),
    /// It is so now.
    Connection(Connection),
    /// By its id.
    ConnectionDeleted(String),
    /// Of a connection.
    CertificateExpires {
        /// `conn_…`
        connection_id: String,
        /// when
        at: Moment,
    },
    /// It is so now.
    Role(Role),
    /// Nobody has it any more.
    RoleDeleted(Role),
    /// It is so now.
    Membership(Membership),
    /// It is gone.
    MembershipDeleted(Membership),
    /// A person of AuthKit, by their id.
    UserDeleted(String),
    /// A session of AuthKit, by its id.
    SessionRevoked(String),
    /// It is so now.
    Directory(Directory),
    /// By its id. It comes alone, without its users and groups.
    DirectoryDeleted(String),
    /// It is so now.
    DirectoryUser(DirectoryUser),
    /// They are gone.
    DirectoryUserDeleted(DirectoryUser),
    /// It is so now.
    DirectoryGroup(DirectoryGroup),
    /// By its id. It comes alone, without its members.
    DirectoryGroupDeleted(String),
    /// Somebody has come into a group.
    GroupMemberAdded(DirectoryGroup, DirectoryUser),
    /// Somebody is no longer in a group.
    GroupMemberRemoved(DirectoryGroup, DirectoryUser),
}

impl Change {
    /// An object that says it will change later than WorkOS told of it would shut out all that is told afterwards: such a time is not taken.
    fn not_later_than(mut self, told_at: Moment) -> Self {
        let at = match &mut self {
            Self::Organization(it) => {
                it.domains.iter_mut().flatten().for_each(|domain| domain.updated_at = domain.updated_at.min(told_at));
                &mut it.updated_at
            }
            Self::Domain(it) => &mut it.updated_at,
            Self::Connection(it) => &mut it.updated_at,
            Self::Role(it) | Self::RoleDeleted(it) => &mut it.updated_at,
            Self::Membership(it) => &mut it.updated_at,
            Self::Directory(it) => &mut it.updated_at,
            Self::DirectoryUser(it) => &mut it.updated_at,
            Self::DirectoryGroup(it) => &mut it.updated_at,
            Self::GroupMemberAdded(group, user) | Self::GroupMemberRemoved(group, user) => {
                group.updated_at = group.updated_at.min(told_at);
                &mut user.updated_at
            }
            _ => return self,
        };
        *at = (*at).min(told_at);
        self
    }

    /// Whether it counts whenever it comes. Nothing in the others says which of two is the newer one, so that only their order does.
    pub fn is_dated(&self) -> bool {
        !matches!(self, Self::GroupMemberAdded(..) | Self::GroupMemberRemoved(..))
    }
}

/// The types of events that are applied. What is of any other is passed over.
pub const EVENTS: &[&str] = &[
    "connection.activated",
    "connection.deactivated",
    "connection.deleted",
    "connection.saml_certificate_renewal_required",
    "connection.saml_certificate_renewed",
    "dsync.activated",
    "dsync.deleted",
    "dsync.group.created",
    "dsync.group.deleted",
    "dsync.group.updated",
    "dsync.group.user_added",
    "dsync.group.user_removed",
    "dsync.user.created",
    "dsync.user.deleted",
    "dsync.user.updated",
    "organization.created",
    "organization.deleted",
    "organization.updated",
    "organization_domain.created",
    "organization_domain.deleted",
    "organization_domain.updated",
    "organization_domain.verification_failed",
    "organization_domain.verified",
    "organization_membership.created",
    "organization_membership.deleted",
    "organization_membership.updated",
    "organization_role.created",
    "organization_role.deleted",
    "organization_role.updated",
    "role.created",
    "role.deleted",
    "role.updated",
    "session.revoked",
    "user.deleted",
];

impl Event {
    /// Reads what every event has. Its data is read by [`Event::change`], once it is known that it is needed.
    ///
    /// # Errors
    /// `event_malformed`
    pub fn read(value: Value) -> Result<Self> {
        let malformed = |why: Unreadable| malformed("An event", &why.to_string());
        let object = Object::new("event", &value).map_err(malformed)?;
        let read = || {
            Ok(Self {
                id: object.id("id", "event_")?,
                event: object.slug("event")?,
                created_at: object.moment("created_at")?,
                data: Value::Null,
            })
        };
        let event = read().map_err(malformed)?;
        let data = match value {
            Value::Object(mut members) => members.remove("data").unwrap_or_default(),
            _ => Value::Null,
        };
        Ok(Self { data, ..event })
    }

    /// What it changes; `None` for a type that nothing follows from here.
    ///
    /// # Errors
    /// `event_malformed`
    pub fn change(&self) -> Result<Option<Change>> {
        let change = self.read_change().map(|change| change.map(|change| change.not_later_than(self.created_at)));
        change.map_err(|why| {
            malformed(&format!("{}, {},", self.id, self.event), &why.to_string())
                .hint("Nothing of the page was applied. Please report it. To go on without the event: select auth.skip_event('event_…').")
        })
    }

    fn read_change(&self) -> Read<Option<Change>> {
        let data = &self.data;
        let id = |what, prefix| Object::new(what, data)?.id("id", prefix);
        let within = |member| Object::new("data", data).map(|object| object.value(member));
        let change = match self.event.as_str() {
            "organization.created" | "organization.updated" => Change::Organization(Organization::read(data)?),
            "organization.deleted" => Change::OrganizationDeleted(id("organization", "org_")?),
            "organization_domain.created" | "organization_domain.updated" | "organization_domain.verified" => {
                Change::Domain(Domain::read(data)?)
            }
            "organization_domain.verification_failed" => Change::Domain(Domain::read(within("organization_domain")?)?),
            "organization_domain.deleted" => Change::DomainDeleted(Domain::read(data)?),
            "connection.activated" | "connection.deactivated" => Change::Connection(Connection::read(data)?),
            "connection.deleted" => Change::ConnectionDeleted(id("connection", "")?),
            "connection.saml_certificate_renewal_required" | "connection.saml_certificate_renewed" => {
                let object = Object::new("data", data)?;
                Change::CertificateExpires {
                    connection_id: object.object("connection", "connection")?.id("id", "")?,
                    at: object.object("certificate", "certificate")?.moment("expiry_date")?,
                }
            }
            "role.created" | "role.updated" | "organization_role.created" | "organization_role.updated" => {
                return Ok(Role::read(data, None)?.map(Change::Role));
            }
            "role.deleted" | "organization_role.deleted" => {
                return Ok(Role::read(data, None)?.map(Change::RoleDeleted));
            }
            "organization_membership.created" | "organization_membership.updated" => {
                Change::Membership(Membership::read(data)?)
            }
            "organization_membership.deleted" => Change::MembershipDeleted(Membership::read(data)?),
            "user.deleted" => Change::UserDeleted(id("user", "user_")?),
            "session.revoked" => Change::SessionRevoked(id("session", "session_")?),
            "dsync.activated" => Change::Directory(Directory::read(data)?),
            "dsync.deleted" => Change::DirectoryDeleted(id("directory", "")?),
            "dsync.user.created" | "dsync.user.updated" => Change::DirectoryUser(DirectoryUser::read(data)?),
            "dsync.user.deleted" => Change::DirectoryUserDeleted(DirectoryUser::read(data)?),
            "dsync.group.created" | "dsync.group.updated" => Change::DirectoryGroup(DirectoryGroup::read(data)?),
            "dsync.group.deleted" => Change::DirectoryGroupDeleted(id("directory group", "")?),
            "dsync.group.user_added" | "dsync.group.user_removed" => {
                let group = DirectoryGroup::read(within("group")?)?;
                let user = DirectoryUser::read(within("user")?)?;
                match self.event.ends_with("added") {
                    true => Change::GroupMemberAdded(group, user),
                    false => Change::GroupMemberRemoved(group, user),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(change))
    }
}

pub(super) fn malformed(what: &str, why: &str) -> Error {
    Error::with_detail(ErrorCode::EventMalformed, format!("{what} cannot be taken: {why}."))
}
