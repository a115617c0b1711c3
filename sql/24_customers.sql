-- Customers: administrators set them up at WorkOS. The code of each function stands in src/api/customers.rs.

CREATE FUNCTION auth.workos_create_organization(
    name text, external_id text DEFAULT NULL, domains text[] DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_create_organization_wrapper';
COMMENT ON FUNCTION auth.workos_create_organization(text, text, text[]) IS
    'makes an organization at WorkOS and in auth.organizations, and returns its id, org_…; its domains are to be verified. With an external_id it looks first: the same call again, also after a rollback, returns the same id. One that is there already stays as it is: where its name is another, or a domain is missing, a WARNING says so';

CREATE FUNCTION auth.workos_add_domain(
    organization text,
    domain text,
    OUT domain_id text,
    OUT state text,
    OUT txt_name text,
    OUT txt_value text
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_add_domain_wrapper';
COMMENT ON FUNCTION auth.workos_add_domain(text, text) IS
    'adds a domain to an organization of WorkOS and returns the TXT record that proves to WorkOS whose the domain is. The state is pending until WorkOS has found the record, then verified; failed where it gave up after 30 days. Of a domain that is there already it says the same; where that has failed, WorkOS looks again';

CREATE FUNCTION auth.workos_invite_it_contact(organization text, email text, intents text[]) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_invite_it_contact_wrapper';
COMMENT ON FUNCTION auth.workos_invite_it_contact(text, text, text[]) IS
    'has WorkOS send somebody at a customer a link by which they set up what intents says: sso, dsync, log_streams, domain_verification or bring_your_own_key. Returns WorkOS''s id of the contact. A rollback does not call the message back';

CREATE FUNCTION auth.workos_portal_link(
    organization text, intent text, return_url text DEFAULT NULL, success_url text DEFAULT NULL
) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'workos_portal_link_wrapper';
COMMENT ON FUNCTION auth.workos_portal_link(text, text, text, text) IS
    'makes a link into WorkOS''s Admin Portal, for one click of a customer''s administrator; it ends after five minutes, and must not be sent by e-mail. The intent is sso, dsync, audit_logs, log_streams, domain_verification, certificate_renewal or bring_your_own_key. return_url and success_url are https';
