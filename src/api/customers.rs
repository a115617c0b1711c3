//! Customers: what administrators call to set them up at WorkOS. Declared in `sql/24_customers.sql`.

use pgrx::prelude::*;

use crate::admin::customers;
use crate::error::or_raise;
use crate::postgres::record::Record;

/// The elements of an array.
fn elements(array: Option<&Vec<Option<String>>>) -> Option<Vec<Option<&str>>> {
    array.map(|array| array.iter().map(Option::as_deref).collect())
}

#[pg_extern(sql = false)]
fn workos_create_organization(
    name: Option<&str>,
    external_id: Option<&str>,
    domains: Option<Vec<Option<String>>>,
) -> String {
    or_raise(customers::create_organization(name, external_id, elements(domains.as_ref()).as_deref()))
}

#[pg_extern(sql = false)]
fn workos_add_domain(organization: Option<&str>, domain: Option<&str>) -> Record {
    let (domain, name) = or_raise(customers::add_domain(organization, domain));
    let record = domain.record();
    Record::default().with(domain.id).with(domain.state).with(name).with(record)
}

#[pg_extern(sql = false)]
fn workos_invite_it_contact(
    organization: Option<&str>,
    email: Option<&str>,
    intents: Option<Vec<Option<String>>>,
) -> String {
    or_raise(customers::invite_it_contact(organization, email, elements(intents.as_ref()).as_deref()))
}

#[pg_extern(sql = false)]
fn workos_portal_link(
    organization: Option<&str>,
    intent: Option<&str>,
    return_url: Option<&str>,
    success_url: Option<&str>,
) -> String {
    or_raise(customers::portal_link(organization, intent, return_url, success_url)).expose().to_owned()
}
