// What WorkOS's own SDK reads of a customer, as JSON: for a test that sets the customer up in SQL.
//
// node customer.js URL API_KEY EXTERNAL_ID

import { WorkOS } from '@workos-inc/node';

const [url, key, externalId] = process.argv.slice(2);
const { hostname, port, protocol } = new URL(url);
const workos = new WorkOS(key, { apiHostname: hostname, port: Number(port), https: protocol === 'https:' });

const organization = await workos.organizations.getOrganizationByExternalId(externalId);
const contacts = await workos.organizations.listItContacts({ organizationId: organization.id });
const domain = await workos.organizationDomains.getOrganizationDomain(organization.domains.at(-1).id);
console.log(
  JSON.stringify({
    id: organization.id,
    name: organization.name,
    domains: organization.domains.map(({ domain, state }) => `${domain} ${state}`),
    contacts: contacts.data.map(({ id, email }) => `${id} ${email}`),
    domain: domain.id,
    token: domain.verificationToken,
  }),
);
