-- Operating: administrators. The code of each function stands in src/api/operating.rs.

CREATE FUNCTION auth.find_user(
    email text,
    organization text DEFAULT NULL,
    OUT user_id uuid,
    OUT email text,
    OUT organization_ids text[],
    OUT identity_ids uuid[],
    OUT identity_emails text[],
    OUT banned_until timestamptz,
    OUT deleted_at timestamptz,
    OUT last_sign_in_at timestamptz,
    OUT created_at timestamptz
) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'find_user_wrapper';
COMMENT ON FUNCTION auth.find_user(text, text) IS
    'users whose address this is, in auth.users or in one of their identities, the oldest first; with an organization, its members alone';

CREATE FUNCTION auth.ban_user(user_id uuid, until timestamptz DEFAULT 'infinity') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ban_user_wrapper';
COMMENT ON FUNCTION auth.ban_user(uuid, timestamptz) IS
    'refuses a user''s sign-ins until then and ends their sessions from the next statement on; says how many users: 1, or 0 where there is none';

CREATE FUNCTION auth.unban_user(user_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'unban_user_wrapper';
COMMENT ON FUNCTION auth.unban_user(uuid) IS
    'lifts a ban; the user signs in again. Says how many users: 1, or 0 where none is banned';

CREATE FUNCTION auth.revoke_sessions(user_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_sessions_wrapper';
COMMENT ON FUNCTION auth.revoke_sessions(uuid) IS
    'ends a user''s sessions from the next statement on and says how many; the user may sign in again';

CREATE FUNCTION auth.revoke_session(session_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_session_wrapper';
COMMENT ON FUNCTION auth.revoke_session(uuid) IS
    'ends one session from the next statement on, such as that of a lost device; the user''s others go on. Says how many: 1, or 0 where there is none';

CREATE FUNCTION auth.revoke_session(issuer text, sid text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_issuer_session_wrapper';
COMMENT ON FUNCTION auth.revoke_session(text, text) IS
    'ends one session of a trusted issuer from the next statement on, by the issuer''s id of it: the claim sid. Says how many: 1, or 0 where it has ended already';

CREATE FUNCTION auth.revoke_organization(organization text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revoke_organization_wrapper';
COMMENT ON FUNCTION auth.revoke_organization(text) IS
    'ends the sessions of a WorkOS organization from the next statement on and says how many; its people may sign in again, unless their connection is switched off at WorkOS';

CREATE FUNCTION auth.require_sso(organization text, required boolean DEFAULT true) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'require_sso_wrapper';
COMMENT ON FUNCTION auth.require_sso(text, boolean) IS
    'says whether the sessions of a WorkOS organization begin by sign-ins with WorkOS''s single sign-on alone, and ends those there that began otherwise. Sessions with an actor, of auth.create_session, go on. Says how many organizations: 1, or 0 where there is none';

CREATE FUNCTION auth.delete_user(user_id uuid) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_user_wrapper';
COMMENT ON FUNCTION auth.delete_user(uuid) IS
    'deletes a user with identities, memberships and sessions; what becomes of other rows that reference auth.users is their foreign key''s own word. Says how many users: 1, or 0 where there is none';

CREATE FUNCTION auth.remove_member(user_id uuid, organization text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'remove_member_wrapper';
COMMENT ON FUNCTION auth.remove_member(uuid, text) IS
    'takes a user out of a WorkOS organization and ends their sessions there from the next statement on; they stay in every other. A sign-in through the organization makes them a member again, until WorkOS no longer lets them in. Says how many memberships: 1, or 0 where there is none';

CREATE FUNCTION auth.move_identity(identity_id uuid, organization text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'move_identity_wrapper';
COMMENT ON FUNCTION auth.move_identity(uuid, text) IS
    'says that an identity is of another WorkOS organization, and leaves it to the same account; ends the sessions that it opened, and the membership and the sessions of an organization that no other identity leads to. Refused where the account would be of several organizations, unless workos_auth.link_across_organizations is on';

CREATE FUNCTION auth.merge_users(from_user uuid, into_user uuid) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'merge_users_wrapper';
COMMENT ON FUNCTION auth.merge_users(uuid, uuid) IS
    'makes two accounts one: identities and memberships of from_user become those of into_user, a ban of either is one of both; from_user is deleted with their sessions. Refused while rows of other tables reference from_user: move them first';

CREATE FUNCTION auth.remove_orphans() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'remove_orphans_wrapper';
COMMENT ON FUNCTION auth.remove_orphans() IS
    'removes sessions and memberships of users who are not in auth.users, which a restore of one table without the other leaves, and says how many';

CREATE FUNCTION auth.cleanup(batch integer DEFAULT 1000) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET jit = off
    AS 'MODULE_PATHNAME', 'cleanup_wrapper';
COMMENT ON FUNCTION auth.cleanup(integer) IS
    'removes expired sign-ins, sessions that have ended or were idle too long, and audit entries older than workos_auth.audit_retention; at most batch rows of each, waiting for nobody; says how many in all. Idle sessions are looked for in batch pages of the table, other ones each time';
