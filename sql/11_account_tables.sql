-- People, the organizations they belong to, and their sessions. Names follow Supabase Auth where the thing is the same.

CREATE TABLE auth.users (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    aud text NOT NULL DEFAULT 'authenticated',
    role text NOT NULL DEFAULT 'authenticated',
    email text,
    email_confirmed_at timestamptz,
    invited_at timestamptz,
    phone text UNIQUE,
    phone_confirmed_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb NOT NULL DEFAULT '{}',
    raw_user_meta_data jsonb NOT NULL DEFAULT '{}',
    is_sso_user boolean NOT NULL DEFAULT false,
    is_anonymous boolean NOT NULL DEFAULT false,
    banned_until timestamptz,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
    -- Below this line nothing of ours reads or writes. The columns are here, since SQL that was written for Supabase Auth names them. NULL
    -- takes no place in a row.
    instance_id uuid,
    encrypted_password varchar(255),
    confirmation_token varchar(255),
    confirmation_sent_at timestamptz,
    recovery_token varchar(255),
    recovery_sent_at timestamptz,
    email_change_token_new varchar(255),
    email_change varchar(255),
    email_change_sent_at timestamptz,
    is_super_admin boolean,
    phone_change text,
    phone_change_token varchar(255),
    phone_change_sent_at timestamptz,
    email_change_token_current varchar(255),
    email_change_confirm_status smallint,
    reauthentication_token varchar(255),
    reauthentication_sent_at timestamptz
);
CREATE UNIQUE INDEX users_email_key ON auth.users (pg_catalog.lower(email COLLATE "C"));
COMMENT ON TABLE auth.users IS 'people; application tables may reference id';
COMMENT ON COLUMN auth.users.id IS 'the person; what auth.uid() returns';
COMMENT ON COLUMN auth.users.aud IS 'kept as Supabase Auth has it; the aud of tokens is workos_auth.audience';
COMMENT ON COLUMN auth.users.phone IS 'a phone number that auth.import_supabase brought along; no sign-in writes it';
COMMENT ON COLUMN auth.users.phone_confirmed_at IS 'when Supabase Auth had confirmed the phone number';
COMMENT ON COLUMN auth.users.last_sign_in_at IS 'when the last session was opened';
COMMENT ON COLUMN auth.users.raw_app_meta_data IS 'the app_metadata of tokens; the person cannot change it';
COMMENT ON COLUMN auth.users.is_sso_user IS 'whether a sign-in through an organization made the account';
COMMENT ON COLUMN auth.users.is_anonymous IS 'whether Supabase Auth had made the account for an anonymous visitor; only auth.import_supabase writes it';
COMMENT ON COLUMN auth.users.deleted_at IS 'since when the person may not sign in any more; written by auth.import_supabase or by hand';
COMMENT ON COLUMN auth.users.created_at IS 'when the account was made';
COMMENT ON COLUMN auth.users.updated_at IS 'when the row was last changed by the extension';
COMMENT ON COLUMN auth.users.role IS 'the database role of the person''s sessions; never taken from WorkOS';
COMMENT ON COLUMN auth.users.email IS 'unique; NULL where another account holds the address or WorkOS does not vouch for its domain: auth.identities.email then keeps it';
COMMENT ON COLUMN auth.users.email_confirmed_at IS 'when a sign-in brought the address along, or confirmed the one that auth.create_user wrote';
COMMENT ON COLUMN auth.users.invited_at IS 'when auth.create_user made the account for somebody of an organization; until email_confirmed_at is set, that organization''s profile of this address joins it';
COMMENT ON COLUMN auth.users.raw_user_meta_data IS 'what a person may change about themselves; never decide rights by it';
COMMENT ON COLUMN auth.users.confirmed_at IS 'the earlier of email_confirmed_at and phone_confirmed_at, as in Supabase Auth';
DO $unused$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'instance_id', 'encrypted_password', 'confirmation_token', 'confirmation_sent_at', 'recovery_token', 'recovery_sent_at',
        'email_change_token_new', 'email_change', 'email_change_sent_at', 'is_super_admin', 'phone_change', 'phone_change_token',
        'phone_change_sent_at', 'email_change_token_current', 'email_change_confirm_status', 'reauthentication_token',
        'reauthentication_sent_at'
    ] LOOP
        EXECUTE pg_catalog.format(
            $comment$COMMENT ON COLUMN auth.users.%I IS 'unused; here since SQL that was written for Supabase Auth names it'$comment$, name);
    END LOOP;
END
$unused$;
COMMENT ON COLUMN auth.users.banned_until IS 'no sign-in before this time';
COMMENT ON INDEX auth.users_email_key IS 'one account an address; folds ASCII case only';

CREATE TABLE auth.organizations (
    id text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    issuer text,
    require_sso boolean NOT NULL DEFAULT false,
    feed text,
    contested_by text,
    name text,
    external_id text,
    metadata jsonb NOT NULL DEFAULT '{}',
    deleted_at timestamptz,
    workos_updated_at timestamptz,
    seen_at timestamptz
);
COMMENT ON TABLE auth.organizations IS 'WorkOS organizations that somebody has signed in from, that auth.workos_create_organization made, or that WorkOS''s events tell of';
COMMENT ON COLUMN auth.organizations.name IS 'what people call it, as WorkOS tells it';
COMMENT ON COLUMN auth.organizations.external_id IS 'the application''s own id of it, as WorkOS tells it';
COMMENT ON COLUMN auth.organizations.metadata IS 'what the application wrote down of it at WorkOS';
COMMENT ON COLUMN auth.organizations.deleted_at IS 'since when WorkOS has it no more: nobody signs in through it';
COMMENT ON COLUMN auth.organizations.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';
COMMENT ON COLUMN auth.organizations.seen_at IS 'when WorkOS last told of it, by this database''s clock; NULL where it never has';
COMMENT ON COLUMN auth.organizations.created_at IS 'when it became known here';
COMMENT ON COLUMN auth.organizations.issuer IS 'the trusted issuer whose organization it is, and who alone speaks for it; NULL: WorkOS. auth.set_organization_issuer changes it';
COMMENT ON COLUMN auth.organizations.require_sso IS 'whether its sessions begin by sign-ins with WorkOS''s single sign-on alone; auth.require_sso changes it';
COMMENT ON COLUMN auth.organizations.feed IS 'the name of the subscription that has brought the row into a verifier, and stays with it when that one is copied anew; NULL at the issuer, and where it was written in this database';
COMMENT ON COLUMN auth.organizations.contested_by IS 'the name of another subscription that has brought the same organization, whose issuer is not believed about it';
COMMENT ON COLUMN auth.organizations.id IS 'WorkOS''s own id, org_…';

CREATE TABLE auth.organization_domains (
    organization_id text NOT NULL REFERENCES auth.organizations (id) ON DELETE CASCADE,
    domain text NOT NULL CHECK (domain = pg_catalog.lower(domain COLLATE "C") AND domain <> ''),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    workos_id text,
    state text,
    workos_updated_at timestamptz,
    PRIMARY KEY (organization_id, domain)
);
CREATE INDEX organization_domains_domain_idx ON auth.organization_domains (domain);
COMMENT ON INDEX auth.organization_domains_domain_idx IS 'for the organization of an address';
COMMENT ON COLUMN auth.organization_domains.domain IS 'what stands behind the @ of an address, in lower case (ASCII letters)';
COMMENT ON TABLE auth.organization_domains IS 'e-mail domains an organization vouches for; needed by auth.organization_for_email and by workos_auth.account_linking = email';
COMMENT ON COLUMN auth.organization_domains.organization_id IS 'the organization that vouches for addresses of the domain';
COMMENT ON COLUMN auth.organization_domains.created_at IS 'when the domain was added';
COMMENT ON COLUMN auth.organization_domains.workos_id IS 'WorkOS''s id of it, org_domain_…; NULL for one that an administrator wrote here, which WorkOS''s events leave as it is';
COMMENT ON COLUMN auth.organization_domains.state IS 'verified, legacy_verified, pending, failed or another word of WorkOS''s: one of the first two counts, as does NULL, an administrator''s word';
COMMENT ON COLUMN auth.organization_domains.workos_updated_at IS 'when it last changed at WorkOS; what was told of an earlier time is not taken';

CREATE TABLE auth.organization_memberships (
    organization_id text NOT NULL REFERENCES auth.organizations (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    role text,
    roles text[] NOT NULL DEFAULT '{}',
    groups text[] NOT NULL DEFAULT '{}',
    permissions text[] NOT NULL DEFAULT '{}',
    custom_attributes jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_memberships_user_id_idx ON auth.organization_memberships (user_id);
COMMENT ON TABLE auth.organization_memberships IS 'who belongs to which organization, with what WorkOS says of them there; written at every sign-in';
COMMENT ON COLUMN auth.organization_memberships.organization_id IS 'the organization';
COMMENT ON COLUMN auth.organization_memberships.user_id IS 'the member';
COMMENT ON COLUMN auth.organization_memberships.role IS 'the WorkOS role; the claim org_role';
COMMENT ON COLUMN auth.organization_memberships.roles IS 'all WorkOS roles; the claim org_roles';
COMMENT ON COLUMN auth.organization_memberships.groups IS 'the identity provider''s groups; the claim groups';
COMMENT ON COLUMN auth.organization_memberships.permissions IS 'the WorkOS permissions; the claim permissions';
COMMENT ON COLUMN auth.organization_memberships.custom_attributes IS 'the custom attributes of the WorkOS profile';
COMMENT ON COLUMN auth.organization_memberships.created_at IS 'when the person became a member';
COMMENT ON COLUMN auth.organization_memberships.updated_at IS 'when a sign-in last changed the row';
COMMENT ON INDEX auth.organization_memberships_user_id_idx IS 'for the foreign key';

CREATE TABLE auth.identities (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    provider text NOT NULL,
    provider_id text NOT NULL,
    organization_id text REFERENCES auth.organizations (id),
    connection_id text,
    connection_type text,
    idp_id text,
    email text GENERATED ALWAYS AS (pg_catalog.lower((identity_data OPERATOR(pg_catalog.->>) 'email') COLLATE "C")) STORED,
    identity_data jsonb NOT NULL,
    last_sign_in_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    UNIQUE (provider, provider_id)
);
CREATE INDEX identities_user_id_idx ON auth.identities (user_id);
CREATE INDEX identities_organization_id_idx ON auth.identities (organization_id);
CREATE INDEX identities_idp_id_idx ON auth.identities (idp_id);
CREATE INDEX identities_email_idx ON auth.identities (pg_catalog.lower(email COLLATE "C"));
COMMENT ON TABLE auth.identities IS 'the profiles at WorkOS that lead into an account';
COMMENT ON COLUMN auth.identities.id IS 'the identity_id of auth.unlink_identity and auth.move_identity';
COMMENT ON COLUMN auth.identities.user_id IS 'the account that it leads into';
COMMENT ON COLUMN auth.identities.provider IS 'workos; what auth.import_supabase brought along keeps its own';
COMMENT ON COLUMN auth.identities.organization_id IS 'the WorkOS organization that vouches for it; NULL for a public identity provider such as Google';
COMMENT ON COLUMN auth.identities.connection_id IS 'the WorkOS connection that the person last came through';
COMMENT ON COLUMN auth.identities.connection_type IS 'WorkOS''s name for the kind of connection, such as OktaSAML';
COMMENT ON COLUMN auth.identities.identity_data IS 'what the identity provider says of the person';
COMMENT ON COLUMN auth.identities.last_sign_in_at IS 'when somebody last signed in with it';
COMMENT ON COLUMN auth.identities.created_at IS 'when it first signed in, or was linked';
COMMENT ON COLUMN auth.identities.updated_at IS 'when a sign-in last changed the row';
COMMENT ON COLUMN auth.identities.provider_id IS 'the id of the WorkOS profile, prof_…';
COMMENT ON COLUMN auth.identities.idp_id IS 'the person''s id at the identity provider: the join key to Directory Sync';
COMMENT ON COLUMN auth.identities.email IS 'the address in identity_data: as the identity provider says it, ASCII-lower-case';
COMMENT ON INDEX auth.identities_user_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.identities_organization_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.identities_idp_id_idx IS 'for the person of a directory user';
COMMENT ON INDEX auth.identities_email_idx IS 'for the candidates of account linking';

-- A reader looks at id and claims_version alone, so that a database which only verifies can live on a replica of this table.
CREATE TABLE auth.sessions (
    id uuid PRIMARY KEY,
    user_id uuid REFERENCES auth.users (id) ON DELETE CASCADE,
    claims_version bigint NOT NULL DEFAULT 0,
    identity_id uuid REFERENCES auth.identities (id) ON DELETE CASCADE,
    organization_id text REFERENCES auth.organizations (id) ON DELETE CASCADE,
    connection_id text,
    email text,
    aal text NOT NULL DEFAULT 'aal1',
    amr jsonb NOT NULL DEFAULT '[]',
    refresh_token_key_id bigint REFERENCES auth.data_keys (id),
    refresh_token_salt bytea,
    refresh_token_counter bigint NOT NULL DEFAULT 0,
    recoveries smallint NOT NULL DEFAULT 0,
    recovered_counter bigint,
    recovered_at timestamptz,
    actor text,
    ip inet,
    user_agent text,
    not_after timestamptz,
    refreshed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    subscription oid,
    authkit_session_id text
) WITH (fillfactor = 85);
CREATE INDEX sessions_user_id_idx ON auth.sessions (user_id);
CREATE INDEX sessions_identity_id_idx ON auth.sessions (identity_id);
CREATE INDEX sessions_organization_id_idx ON auth.sessions (organization_id);
CREATE INDEX sessions_not_after_idx ON auth.sessions (not_after);
CREATE INDEX sessions_refresh_token_key_id_idx ON auth.sessions (refresh_token_key_id);
CREATE INDEX sessions_authkit_session_id_idx ON auth.sessions (authkit_session_id) WHERE authkit_session_id IS NOT NULL;
COMMENT ON TABLE auth.sessions IS 'live sessions; an access token is good only while the row of its session_id is here';
COMMENT ON COLUMN auth.sessions.id IS 'the session; what auth.session_id() returns';
COMMENT ON COLUMN auth.sessions.user_id IS 'whose session it is';
COMMENT ON COLUMN auth.sessions.identity_id IS 'the identity that signed in; NULL for a session of auth.create_session';
COMMENT ON COLUMN auth.sessions.organization_id IS 'the WorkOS organization that the session is in; what auth.organization_id() returns';
COMMENT ON COLUMN auth.sessions.connection_id IS 'the WorkOS connection that the person came through; what auth.connection_id() returns';
COMMENT ON COLUMN auth.sessions.aal IS 'the claim aal, always aal1';
COMMENT ON COLUMN auth.sessions.amr IS 'the claim amr: by what method the person signed in, and when';
COMMENT ON COLUMN auth.sessions.refresh_token_key_id IS 'the data key that its refresh tokens are made with';
COMMENT ON COLUMN auth.sessions.authkit_session_id IS 'the session of AuthKit that it began with, or goes on with, session_…; NULL for every other sign-in';
COMMENT ON COLUMN auth.sessions.ip IS 'the address that the backend passed at the sign-in or the last refresh';
COMMENT ON COLUMN auth.sessions.user_agent IS 'the User-Agent that the backend passed at the sign-in or the last refresh';
COMMENT ON COLUMN auth.sessions.created_at IS 'when the person signed in';
COMMENT ON COLUMN auth.sessions.updated_at IS 'when the extension last changed the row';
COMMENT ON COLUMN auth.sessions.subscription IS 'which subscription has brought the row into a verifier; NULL at the issuer';
COMMENT ON COLUMN auth.sessions.claims_version IS 'rises when the person''s rights change; an older token is then stale';
COMMENT ON COLUMN auth.sessions.email IS 'the address of the identity that signed in';
COMMENT ON COLUMN auth.sessions.refresh_token_salt IS 'NULL for a session that cannot be refreshed';
COMMENT ON COLUMN auth.sessions.refresh_token_counter IS 'how many times it was refreshed; of the newest refresh token';
COMMENT ON COLUMN auth.sessions.recoveries IS 'how many times in a row the token before the newest one was presented late, up to recovered_counter; either an answer was lost, or there is a thief';
COMMENT ON COLUMN auth.sessions.recovered_counter IS 'the counter that the last of them was counted for';
COMMENT ON COLUMN auth.sessions.recovered_at IS 'when that was';
COMMENT ON COLUMN auth.sessions.actor IS 'who acts as this person; the claim act.sub';
COMMENT ON COLUMN auth.sessions.not_after IS 'when it ends, used or not';
COMMENT ON COLUMN auth.sessions.refreshed_at IS 'when the refresh token was last replaced';
COMMENT ON INDEX auth.sessions_user_id_idx IS 'for the foreign key and for sign-out everywhere';
COMMENT ON INDEX auth.sessions_identity_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.sessions_organization_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.sessions_not_after_idx IS 'for the clean-up of what has ended; no refresh changes the column';
COMMENT ON INDEX auth.sessions_refresh_token_key_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.sessions_authkit_session_id_idx IS 'for the end of a session of AuthKit, which names it';

CREATE TABLE auth.flow_states (
    id uuid PRIMARY KEY,
    mode text NOT NULL DEFAULT 'direct' CHECK (mode IN ('direct', 'brokered')),
    state_hash bytea NOT NULL UNIQUE,
    code_challenge text,
    upstream_verifier bytea NOT NULL,
    data_key_id bigint NOT NULL REFERENCES auth.data_keys (id),
    client_id text NOT NULL,
    api_url text NOT NULL,
    organization text,
    connection text,
    provider text,
    redirect_to text,
    link_user_id uuid REFERENCES auth.users (id) ON DELETE CASCADE,
    link_session_id uuid,
    code_hash bytea UNIQUE,
    profile bytea,
    exchange_id uuid UNIQUE,
    exchange_code bytea,
    exchange_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at timestamptz NOT NULL,
    pending_token bytea,
    pending_organizations text[],
    CONSTRAINT flow_states_pending_check CHECK ((pending_token IS NULL) = (pending_organizations IS NULL)
        AND (pending_token IS NULL OR provider = 'authkit' AND mode = 'direct' AND exchange_id IS NULL)),
    CHECK (CASE provider WHEN 'authkit' THEN connection IS NULL ELSE (organization IS NULL AND connection IS NULL) <> (provider IS NULL) END),
    CHECK ((link_user_id IS NULL) = (link_session_id IS NULL)),
    CHECK (link_user_id IS NULL OR code_challenge IS NOT NULL),
    CHECK ((exchange_id IS NULL) = (exchange_code IS NULL) AND (exchange_id IS NULL) = (exchange_until IS NULL)),
    CHECK (CASE
        WHEN mode = 'brokered' AND exchange_id IS NULL THEN code_hash IS NOT NULL AND profile IS NOT NULL AND code_challenge IS NOT NULL
        ELSE code_hash IS NULL AND profile IS NULL END)
);
CREATE INDEX flow_states_code_challenge_idx ON auth.flow_states (code_challenge);
CREATE INDEX flow_states_expires_at_idx ON auth.flow_states (expires_at);
CREATE INDEX flow_states_data_key_id_idx ON auth.flow_states (data_key_id);
CREATE INDEX flow_states_link_user_id_idx ON auth.flow_states (link_user_id);
COMMENT ON TABLE auth.flow_states IS 'sign-ins under way: born with the authorize URL, consumed once by auth.exchange_code';
COMMENT ON COLUMN auth.flow_states.id IS 'the flow_id of the audit log and of the gateway''s log';
COMMENT ON COLUMN auth.flow_states.data_key_id IS 'the data key that seals what the row keeps sealed';
COMMENT ON COLUMN auth.flow_states.api_url IS 'what the provider was when the sign-in began, as client_id';
COMMENT ON COLUMN auth.flow_states.organization IS 'the organization that was asked for';
COMMENT ON COLUMN auth.flow_states.connection IS 'the connection that was asked for';
COMMENT ON COLUMN auth.flow_states.provider IS 'the public identity provider that was asked for, such as GoogleOAuth; authkit for AuthKit, which an organization may stand beside';
COMMENT ON COLUMN auth.flow_states.redirect_to IS 'where the application wants the browser afterwards';
COMMENT ON COLUMN auth.flow_states.created_at IS 'when the sign-in began';
COMMENT ON COLUMN auth.flow_states.expires_at IS 'when it can no longer be finished';
COMMENT ON COLUMN auth.flow_states.state_hash IS 'SHA-256 of the state; the state itself is only with the caller';
COMMENT ON COLUMN auth.flow_states.code_challenge IS 'of the caller''s verifier, by S256; one that came as plain is hashed before it is stored';
COMMENT ON COLUMN auth.flow_states.upstream_verifier IS 'the PKCE verifier toward WorkOS, sealed';
COMMENT ON COLUMN auth.flow_states.mode IS 'direct until auth.handle_callback takes the sign-in; then brokered: WorkOS''s code is refused, and our own is asked for';
COMMENT ON COLUMN auth.flow_states.code_hash IS 'SHA-256 of the code that auth.handle_callback issued; the code itself is only with the browser';
COMMENT ON COLUMN auth.flow_states.profile IS 'what WorkOS answered, its token too, sealed: no account is written before the verifier has been shown';
COMMENT ON COLUMN auth.flow_states.exchange_id IS 'names the request that a broker asks WorkOS, until it brings the answer; NULL where none does';
COMMENT ON COLUMN auth.flow_states.exchange_code IS 'the code of that request, sealed: no error about the answer may show it';
COMMENT ON COLUMN auth.flow_states.exchange_until IS 'when the answer comes too late; until then nobody else exchanges the code';
COMMENT ON COLUMN auth.flow_states.pending_token IS 'what AuthKit takes with the answer which organization the sign-in is for, sealed; auth.select_organization answers';
COMMENT ON COLUMN auth.flow_states.pending_organizations IS 'the organizations that AuthKit has named to pick from; NULL where it has not asked';
COMMENT ON COLUMN auth.flow_states.client_id IS 'what the provider was when the sign-in began: an exchange under another is refused';
COMMENT ON COLUMN auth.flow_states.link_user_id IS 'whose account the profile is to be linked to (auth.link_identity); NULL for a sign-in';
COMMENT ON COLUMN auth.flow_states.link_session_id IS 'the session that started the link, which must still live when it is finished; no foreign key, so that its end is told';
COMMENT ON INDEX auth.flow_states_code_challenge_idx IS 'for the exchange of a code of WorkOS''s; a link that is clicked twice begins two sign-ins of one challenge';
COMMENT ON INDEX auth.flow_states_expires_at_idx IS 'for the clean-up of what expired';
COMMENT ON INDEX auth.flow_states_data_key_id_idx IS 'for the foreign key';
COMMENT ON INDEX auth.flow_states_link_user_id_idx IS 'for the foreign key';

-- No foreign key to auth.sessions: it would keep TRUNCATE from that table, and stop a verifier's subscription at one. A trigger does its work.
CREATE TABLE auth.authkit_tokens (
    session_id uuid PRIMARY KEY,
    refresh_token bytea NOT NULL,
    data_key_id bigint NOT NULL REFERENCES auth.data_keys (id),
    client_id text NOT NULL,
    api_url text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX authkit_tokens_data_key_id_idx ON auth.authkit_tokens (data_key_id);
COMMENT ON TABLE auth.authkit_tokens IS 'what the sessions of AuthKit are refreshed with at WorkOS, by auth.switch_organization; a row goes with its session. Nobody may read it';
COMMENT ON COLUMN auth.authkit_tokens.session_id IS 'the row of auth.sessions that began with AuthKit';
COMMENT ON COLUMN auth.authkit_tokens.refresh_token IS 'WorkOS''s refresh token, sealed; WorkOS takes each once, and gives the next';
COMMENT ON COLUMN auth.authkit_tokens.data_key_id IS 'the data key that seals it';
COMMENT ON COLUMN auth.authkit_tokens.client_id IS 'what the provider was when WorkOS gave the token, as api_url: it is shown to no other';
COMMENT ON COLUMN auth.authkit_tokens.api_url IS 'what the provider was when WorkOS gave the token';
COMMENT ON COLUMN auth.authkit_tokens.updated_at IS 'when the token was last replaced';
COMMENT ON INDEX auth.authkit_tokens_data_key_id_idx IS 'for the foreign key';

CREATE TABLE auth.audit_log_entries (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    action text NOT NULL,
    actor name NOT NULL DEFAULT SESSION_USER,
    user_id uuid,
    session_id uuid,
    organization_id text,
    connection_id text,
    ip inet,
    user_agent text,
    payload jsonb NOT NULL DEFAULT '{}',
    actor_id uuid,
    actor_act text,
    email text
);
CREATE INDEX audit_log_entries_created_at_idx ON auth.audit_log_entries (created_at);
CREATE INDEX audit_log_entries_email_released_idx ON auth.audit_log_entries (created_at) WHERE action = 'email_released';
CREATE INDEX audit_log_entries_user_id_idx ON auth.audit_log_entries (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_log_entries_email_idx ON auth.audit_log_entries (email, created_at) WHERE email IS NOT NULL;
CREATE INDEX audit_log_entries_nobody_idx ON auth.audit_log_entries (created_at) WHERE user_id IS NULL;
COMMENT ON TABLE auth.audit_log_entries IS 'what happened to accounts and to the configuration, by whom; no foreign keys, so that it outlives what it tells of';
COMMENT ON COLUMN auth.audit_log_entries.id IS 'the entry';
COMMENT ON COLUMN auth.audit_log_entries.created_at IS 'when it happened';
COMMENT ON COLUMN auth.audit_log_entries.action IS 'what happened, such as login or user_banned';
COMMENT ON COLUMN auth.audit_log_entries.session_id IS 'the session that it is about';
COMMENT ON COLUMN auth.audit_log_entries.organization_id IS 'the organization that it is about';
COMMENT ON COLUMN auth.audit_log_entries.connection_id IS 'the connection that it is about';
COMMENT ON COLUMN auth.audit_log_entries.ip IS 'the client''s address, where the caller passed one';
COMMENT ON COLUMN auth.audit_log_entries.user_agent IS 'the client''s User-Agent, where the caller passed one';
COMMENT ON COLUMN auth.audit_log_entries.actor IS 'the database user of the connection';
COMMENT ON COLUMN auth.audit_log_entries.actor_id IS 'the person whose session was current: the claim sub';
COMMENT ON COLUMN auth.audit_log_entries.actor_act IS 'who acted as that person: the claim act.sub';
COMMENT ON COLUMN auth.audit_log_entries.user_id IS 'whom it is about, as are the columns that follow';
COMMENT ON COLUMN auth.audit_log_entries.email IS 'of login_refused: the address that WorkOS named, ASCII-lower-case';
COMMENT ON COLUMN auth.audit_log_entries.payload IS 'the particulars; never a secret';
COMMENT ON INDEX auth.audit_log_entries_created_at_idx IS 'for retention and for reading the newest';
COMMENT ON INDEX auth.audit_log_entries_email_released_idx IS 'for auth.check(): connections that give people another id at each sign-in';
COMMENT ON INDEX auth.audit_log_entries_user_id_idx IS 'for reading what happened to a person, the newest first';
COMMENT ON INDEX auth.audit_log_entries_email_idx IS 'for reading why somebody could not sign in; no index on an expression, which row-level security would keep administrators from using';
COMMENT ON INDEX auth.audit_log_entries_nobody_idx IS 'for reading what is about no person, such as the configuration, the newest first';
