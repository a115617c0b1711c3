//! The people and connections as they stand now: the seed, and what was added at run time.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::objects::it_contact::ItContact;
use crate::objects::organization::{DomainObject, DomainState, OrganizationObject, VerificationStrategy};
use crate::seed::{Client, Connection, ConnectionState, ConnectionStatus, Organization, Profile, Seed, SeedError};

const BUILT_IN: &str = include_str!("../seed.yaml");

/// Every table by id, in seed order.
#[derive(Debug)]
pub(crate) struct Registry {
    pub clients: IndexMap<String, Client>,
    pub organizations: IndexMap<String, OrganizationObject>,
    pub connections: IndexMap<String, Connection>,
    pub profiles: IndexMap<String, Profile>,
    pub it_contacts: IndexMap<String, ItContact>,
}

impl Registry {
    pub fn new(seed: Seed) -> Result<Self, SeedError> {
        seed.check()?;
        let mut registry = Self {
            clients: seed.clients.into_iter().map(|client| (client.client_id.clone(), client)).collect(),
            organizations: IndexMap::new(),
            connections: IndexMap::new(),
            profiles: IndexMap::new(),
            it_contacts: IndexMap::new(),
        };
        for organization in seed.organizations {
            registry.put_organization(organization, Timestamp::SEEDED);
        }
        for connection in seed.connections {
            registry.put_connection(connection)?;
        }
        for profile in seed.profiles {
            registry.put_profile(profile)?;
        }
        Ok(registry)
    }

    pub fn put_organization(&mut self, organization: Organization, now: Timestamp) {
        let Organization { id, name, domains } = organization;
        let before = self.organizations.get(&id);
        let created_at = before.map_or(now, |before| before.created_at);
        let verified = |domain: String| DomainObject {
            id: format!("org_domain_{domain}"),
            organization_id: id.clone(),
            domain,
            state: DomainState::Verified,
            verification_strategy: VerificationStrategy::Manual,
            verification_token: None,
            created_at,
            updated_at: now,
        };
        let organization = OrganizationObject {
            id: id.clone(),
            name,
            domains: domains.into_iter().map(verified).collect(),
            metadata: BTreeMap::new(),
            external_id: before.and_then(|before| before.external_id.clone()),
            stripe_customer_id: None,
            allow_profiles_outside_organization: false,
            created_at,
            updated_at: now,
        };
        self.organizations.insert(id, organization);
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

    pub fn organization_of(&self, connection: &Connection) -> Option<&OrganizationObject> {
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
        Registry::new(seed.clone())?;
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
pub(crate) fn connection_json(connection: &Connection, organization: Option<&OrganizationObject>) -> Value {
    json!({
        "object": "connection",
        "id": connection.id,
        "organization_id": connection.organization,
        "connection_type": connection.connection_type,
        "name": connection.name,
        "state": connection.state,
        "status": connection.status,
        "domains": organization
            .map(|organization| organization.domains_of("connection_domain", "conn_domain_"))
            .unwrap_or_default(),
        "created_at": Timestamp::SEEDED,
        "updated_at": Timestamp::SEEDED,
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
