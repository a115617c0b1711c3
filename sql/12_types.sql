-- Types, which an update script does not make anew as it does functions and views.

CREATE TYPE auth.session AS (
    access_token text,
    refresh_token text,
    expires_at timestamptz,
    session_id uuid,
    user_id uuid,
    email text,
    organization_id text,
    is_new_user boolean,
    redirect_to text,
    provider_token text,
    claims jsonb
);
COMMENT ON TYPE auth.session IS 'what a sign-in returns; new columns only at the end';
COMMENT ON COLUMN auth.session.access_token IS 'the signed token that says whose session it is';
COMMENT ON COLUMN auth.session.refresh_token IS 'what gets the next access token; NULL where the session cannot be refreshed';
COMMENT ON COLUMN auth.session.expires_at IS 'when the access token expires';
COMMENT ON COLUMN auth.session.session_id IS 'the session';
COMMENT ON COLUMN auth.session.user_id IS 'the person';
COMMENT ON COLUMN auth.session.email IS 'the address of the identity that signed in';
COMMENT ON COLUMN auth.session.organization_id IS 'the WorkOS organization that the session was opened in';
COMMENT ON COLUMN auth.session.is_new_user IS 'whether this sign-in made the account';
COMMENT ON COLUMN auth.session.redirect_to IS 'where the application wanted the browser afterwards';
COMMENT ON COLUMN auth.session.provider_token IS 'the access token of the identity provider, where WorkOS passes one on';
COMMENT ON COLUMN auth.session.claims IS 'the claims of the access token';
