-- People without WorkOS: administrators. The code of each function stands in src/api/people_without_workos.rs.

CREATE FUNCTION auth.create_user(
    email text,
    organization text DEFAULT NULL,
    user_id uuid DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_user_wrapper';
COMMENT ON FUNCTION auth.create_user(text, text, uuid) IS
    'makes a user whom WorkOS does not know, and returns the id. With an organization it is an invitation: the first profile of that organization with this address signs in to this account';

CREATE FUNCTION auth.create_session(
    user_id uuid,
    organization text DEFAULT NULL,
    method text DEFAULT 'custom',
    actor text DEFAULT NULL,
    reason text DEFAULT NULL,
    ttl interval DEFAULT NULL
) RETURNS auth.session
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SUPPORT auth.plan_support AS 'MODULE_PATHNAME', 'create_session_wrapper';
COMMENT ON FUNCTION auth.create_session(uuid, text, text, text, text, interval) IS
    'opens a session of somebody whom the caller vouches for. With an actor, who needs a reason: the claim act.sub, at most 60 minutes, no refresh, audited';

CREATE FUNCTION auth.import_supabase(user_row jsonb, identity_rows jsonb) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'import_supabase_wrapper';
COMMENT ON FUNCTION auth.import_supabase(jsonb, jsonb) IS
    'writes a person who was known to Supabase Auth: a row of its auth.users, and a list of the rows of its auth.identities, by to_jsonb; returns the id, which stays. WorkOS identities come along; once more does nothing. Whoever calls it vouches for the identities';

CREATE FUNCTION auth.create_visitor_token(role name DEFAULT 'anon', ttl interval DEFAULT '365 days') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_visitor_token_wrapper';
COMMENT ON FUNCTION auth.create_visitor_token(name, interval) IS
    'signs a key that a client sends as bearer token while nobody is signed in: it names a database role and nobody. It is public. It ends with its time, or when auth.retire_signing_key retires the key that signed it';

-- Not SECURITY DEFINER: it looks at the roles of its caller and takes the owner's only to write.
CREATE FUNCTION auth.as_user(user_id uuid, as_role name DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'as_user_wrapper';
COMMENT ON FUNCTION auth.as_user(uuid, name) IS
    'for tests of policies: until the end of the transaction, this user is the current person, and as_role the current role; returns the claims. as_role must be one that the caller is a member of and that row-level security binds';
