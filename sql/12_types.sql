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
