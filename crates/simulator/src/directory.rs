//! The people and connections as they stand now: the seed, and what was added at run time.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::seed::{Client, Connection, ConnectionState, ConnectionStatus, Organization, Profile, Seed, SeedError};

const BUILT_IN: &str = include_str!("../seed.yaml");
/// What WorkOS's answers give as `created_at`; nothing in the simulator has a history.
const CREATED_AT: &str = "2026-01-01T00:00:00.000Z";

/// Every table by id, in seed order.
#[derive(Debug)]
pub(crate) struct Directory {
    pub clients: IndexMap<String, Client>,
    pub organizations: IndexMap<String, Organization>,
    pub connections: IndexMap<String, Connection>,
    pub profiles: IndexMap<String, Profile>,
}

impl Directory {
    pub fn new(seed: Seed) -> Result<Self, SeedError> {
        seed.check()?;
        let mut directory = Self {
            clients: seed.clients.into_iter().map(|client| (client.client_id.clone(), client)).collect(),
            organizations: IndexMap::new(),
            connections: IndexMap::new(),
            profiles: IndexMap::new(),
        };
        for organization in seed.organizations {
            directory.put_organization(organization);
        }
        for connection in seed.connections {
            directory.put_connection(connection)?;
        }
        for profile in seed.profiles {
            directory.put_profile(profile)?;
        }
        Ok(directory)
    }

    pub fn put_organization(&mut self, organization: Organization) {
        self.organizations.insert(organization.id.clone(), organization);
    }

    pub fn put_connection(&mut self, connection: Connection) -> Result<(), SeedError> {
        if let Some(organization) = &connection.organization
            && !self.organizations.contains_key(organization)
        {
            return Err(SeedError::Dangling { from: connection.id, to: organization.clone() });
        }
        self.connections.insert(connection.id.clone(), connection);
        Ok(())
    }

    pub fn put_profile(&mut self, profile: Profile) -> Result<(), SeedError> {
        if !self.connections.contains_key(&profile.connection) {
            return Err(SeedError::Dangling { from: profile.id, to: profile.connection });
        }
        self.profiles.insert(profile.id.clone(), profile);
        Ok(())
    }

    pub fn organization_of(&self, connection: &Connection) -> Option<&Organization> {
        self.organizations.get(connection.organization.as_deref()?)
    }

    /// The people of a connection, in seed order.
    pub fn people<'a>(&'a self, connection: &'a Connection) -> impl Iterator<Item = &'a Profile> {
        self.profiles.values().filter(move |profile| profile.connection == connection.id)
    }
}

impl Seed {
    /// Reads a seed file and checks that its ids are unique and its references lead somewhere.
    pub fn from_yaml(yaml: &str) -> Result<Self, SeedError> {
        let seed: Self = serde_saphyr::from_str(yaml)?;
        Directory::new(seed.clone())?;
        Ok(seed)
    }

    /// The seed that is used when none is given.
    pub fn built_in() -> Result<Self, SeedError> {
        Self::from_yaml(BUILT_IN)
    }
}

impl Connection {
    pub(crate) fn is_active(&self) -> bool {
        self.state == ConnectionState::Active && self.status == ConnectionStatus::Linked
    }
}

/// The Profile object of WorkOS's OpenAPI description.
pub(crate) fn profile_json(profile: &Profile, connection: &Connection) -> Value {
    let roles = profile.roles.clone().or_else(|| profile.role.clone().map(|role| vec![role]));
    json!({
        "object": "profile",
        "id": profile.id,
        "organization_id": connection.organization,
        "connection_id": connection.id,
        "connection_type": connection.connection_type,
        "idp_id": profile.idp_id,
        "email": profile.email,
        "first_name": profile.first_name,
        "last_name": profile.last_name,
        "name": profile.name(),
        "role": profile.role.as_ref().map(|slug| json!({ "slug": slug })),
        "roles": roles.map(|slugs| slugs.iter().map(|slug| json!({ "slug": slug })).collect::<Vec<_>>()),
        "groups": profile.groups,
        "custom_attributes": profile.custom_attributes,
        // Always empty since 2026-04-15, as WorkOS's documentation says.
        "raw_attributes": Map::new(),
    })
}

/// The Connection object of WorkOS's OpenAPI description.
pub(crate) fn connection_json(connection: &Connection, organization: Option<&Organization>) -> Value {
    let domains = organization.map(|organization| organization.domains.as_slice()).unwrap_or_default();
    json!({
        "object": "connection",
        "id": connection.id,
        "organization_id": connection.organization,
        "connection_type": connection.connection_type,
        "name": connection.name,
        "state": connection.state,
        "status": connection.status,
        "domains": domains
            .iter()
            .map(|domain| json!({ "object": "connection_domain", "id": format!("conn_domain_{domain}"), "domain": domain }))
            .collect::<Vec<_>>(),
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
    })
}

/// The Organization object of WorkOS's OpenAPI description.
pub(crate) fn organization_json(organization: &Organization) -> Value {
    json!({
        "object": "organization",
        "id": organization.id,
        "name": organization.name,
        "allow_profiles_outside_organization": false,
        "domains": organization
            .domains
            .iter()
            .map(|domain| json!({
                "object": "organization_domain",
                "id": format!("org_domain_{domain}"),
                "organization_id": organization.id,
                "domain": domain,
                "state": "verified",
                "verification_strategy": "manual",
                "created_at": CREATED_AT,
                "updated_at": CREATED_AT,
            }))
            .collect::<Vec<_>>(),
        "external_id": null,
        "metadata": {},
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_built_in_seed_is_sound() {
        let seed = Seed::built_in().unwrap();
        assert_eq!(seed.profiles[0].id, "prof_alice");
    }

    #[test]
    fn a_seed_that_makes_no_sense_is_refused() {
        let client = "clients: [{client_id: c, api_key: k, redirect_uris: [URI]}]";
        for uri in [
            "/callback",
            "https://*.example.com/",
            "https://example.com:*/cb",
            "https://a/#f",
            "http://localhost:*/*",
            "http://localhost.evil.com:*/cb",
        ] {
            let error = Seed::from_yaml(&client.replace("URI", &format!("'{uri}'"))).unwrap_err();
            assert!(matches!(error, SeedError::RedirectUri(_)), "{uri}: {error}");
        }
        assert!(matches!(Seed::from_yaml("clients: []"), Err(SeedError::NoClient)));
        assert!(matches!(Seed::from_yaml("clients: {"), Err(SeedError::Syntax(_))));
        let twice = "clients: [{client_id: x, api_key: k, redirect_uris: []}]\norganizations: [{id: x, name: X}]";
        assert!(matches!(Seed::from_yaml(twice), Err(SeedError::Duplicate(_))));
        let dangling = "clients: [{client_id: x, api_key: k, redirect_uris: []}]\nprofiles: [{id: p, connection: no, email: e, idp_id: i}]";
        assert!(matches!(Seed::from_yaml(dangling), Err(SeedError::Dangling { .. })));
        let unknown = "clients: [{client_id: x, api_key: k, redirect_uris: [], colour: red}]";
        assert!(matches!(Seed::from_yaml(unknown), Err(SeedError::Syntax(_))));
    }
}
