//! All that WorkOS has, list after list: which ones there are, in which order they are read, and what their items say.

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::directory::{Directory, DirectoryGroup, DirectoryUser};
use super::event::Change;
use super::organization::{Connection, Organization};
use super::people::{Membership, Role};
use super::reading::{Object, Read, Unreadable};
use crate::error::{Error, ErrorCode, Result};

/// A list of WorkOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Every organization, with its domains.
    Organizations,
    /// Connections of single sign-on.
    Connections,
    /// The roles of the whole environment.
    Roles,
    /// The roles of an organization of its own.
    RolesOf(String),
    /// The memberships of an organization, also those that are not active, which the list leaves out where nobody asks for them.
    MembershipsOf(String),
    /// Directories.
    Directories,
    /// The groups of a directory, before its people, who say which of them they are in.
    GroupsOf(String),
    /// The people of a directory.
    UsersOf(String),
}

/// Where the next organization, or the next directory, comes from.
pub trait Known {
    /// The first organization behind this one, or the first of all.
    ///
    /// # Errors
    /// The implementation's own.
    fn next_organization(&self, after: Option<&str>) -> Result<Option<String>>;
    /// The first directory behind this one, or the first of all.
    ///
    /// # Errors
    /// As above.
    fn next_directory(&self, after: Option<&str>) -> Result<Option<String>>;
}

impl Stop {
    /// The first list of all, or of what there is of one organization, which is asked for by itself.
    pub fn first(organization: Option<&str>) -> Self {
        match organization {
            None => Self::Organizations,
            Some(_) => Self::Connections,
        }
    }

    /// The list behind this one; `None` behind the last.
    ///
    /// # Errors
    /// Those of `known`.
    pub fn next(&self, organization: Option<&str>, known: &impl Known) -> Result<Option<Self>> {
        let roles_or_directories = |id: Option<String>| Some(id.map_or(Self::Directories, Self::RolesOf));
        let groups = |id: Option<String>| id.map(Self::GroupsOf);
        Ok(match self {
            Self::Organizations => Some(Self::Connections),
            Self::Connections => match organization {
                Some(id) => Some(Self::RolesOf(id.to_owned())),
                None => Some(Self::Roles),
            },
            Self::Roles => roles_or_directories(known.next_organization(None)?),
            Self::RolesOf(id) => Some(Self::MembershipsOf(id.clone())),
            Self::MembershipsOf(id) => match organization {
                Some(_) => Some(Self::Directories),
                None => roles_or_directories(known.next_organization(Some(id))?),
            },
            Self::Directories => groups(known.next_directory(None)?),
            Self::GroupsOf(id) => Some(Self::UsersOf(id.clone())),
            Self::UsersOf(id) => groups(known.next_directory(Some(id))?),
        })
    }

    /// The parts of its path.
    pub fn path(&self) -> Vec<&str> {
        match self {
            Self::Organizations => vec!["organizations"],
            Self::Connections => vec!["connections"],
            Self::Roles => vec!["authorization", "roles"],
            Self::RolesOf(id) => vec!["authorization", "organizations", id, "roles"],
            Self::MembershipsOf(_) => vec!["user_management", "organization_memberships"],
            Self::Directories => vec!["directories"],
            Self::GroupsOf(_) => vec!["directory_groups"],
            Self::UsersOf(_) => vec!["directory_users"],
        }
    }

    /// The parts of the path of one of its items; `None` for a role, which WorkOS names by no id.
    pub fn path_of<'a>(&self, id: &'a str) -> Option<Vec<&'a str>> {
        let mut path = match self {
            Self::Organizations => vec!["organizations"],
            Self::Connections => vec!["connections"],
            Self::Roles | Self::RolesOf(_) => return None,
            Self::MembershipsOf(_) => vec!["user_management", "organization_memberships"],
            Self::Directories => vec!["directories"],
            Self::GroupsOf(_) => vec!["directory_groups"],
            Self::UsersOf(_) => vec!["directory_users"],
        };
        path.push(id);
        Some(path)
    }

    /// Its filters.
    pub fn filters<'a>(&'a self, organization: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
        match self {
            Self::Organizations | Self::Roles | Self::RolesOf(_) => Vec::new(),
            Self::Connections | Self::Directories => {
                organization.map(|id| ("organization_id", id)).into_iter().collect()
            }
            Self::MembershipsOf(id) => vec![("organization_id", id), ("statuses", "active,inactive,pending")],
            Self::GroupsOf(id) | Self::UsersOf(id) => vec![("directory", id)],
        }
    }

    /// Whether it is a list of one organization, or of one directory, which may be gone since it was told of.
    pub fn is_of_one(&self) -> bool {
        matches!(self, Self::RolesOf(_) | Self::MembershipsOf(_) | Self::GroupsOf(_) | Self::UsersOf(_))
    }

    /// Whether it comes a page at a time. The lists of roles do not (WorkOS's OpenAPI file).
    pub fn has_pages(&self) -> bool {
        !matches!(self, Self::Roles | Self::RolesOf(_))
    }

    /// What an item says; `None` where nothing of ours follows from it.
    ///
    /// # Errors
    /// `workos_answer_malformed`
    pub fn read(&self, item: &Value) -> Result<Option<Change>> {
        let read = || -> Read<Option<Change>> {
            Ok(Some(match self {
                Self::Organizations => Change::Organization(Organization::read(item)?),
                Self::Connections => Change::Connection(Connection::read(item)?),
                Self::Roles => return Ok(Role::read(item, None)?.map(Change::Role)),
                // Those of the environment stand there too.
                Self::RolesOf(id) => {
                    let role = Role::read(item, Some(id))?;
                    return Ok(role.filter(|role| role.organization_id.is_some()).map(Change::Role));
                }
                Self::MembershipsOf(_) => Change::Membership(Membership::read(item)?),
                Self::Directories => Change::Directory(Directory::read(item)?),
                Self::GroupsOf(_) => Change::DirectoryGroup(DirectoryGroup::read(item)?),
                Self::UsersOf(_) => Change::DirectoryUser(DirectoryUser::read(item)?),
            }))
        };
        read().map_err(|why| malformed(&why))
    }

    /// The groups that a person of a directory is in, and which they are; `None` for other items, and where it does not say.
    ///
    /// # Errors
    /// `workos_answer_malformed`
    pub fn groups(&self, item: &Value) -> Result<Option<(DirectoryUser, Vec<DirectoryGroup>)>> {
        if !matches!(self, Self::UsersOf(_)) {
            return Ok(None);
        }
        let read = || {
            let groups = Object::new("directory user", item)?.list("groups", DirectoryGroup::read)?;
            groups.map(|groups| Ok((DirectoryUser::read(item)?, groups))).transpose()
        };
        read().map_err(|why| malformed(&why))
    }
}

fn malformed(why: &Unreadable) -> Error {
    Error::with_detail(ErrorCode::WorkosAnswerMalformed, format!("{why}."))
        .hint("Nothing of the page was applied, and nothing was removed. Please report it.")
}
