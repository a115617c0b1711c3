//! A database that is shaped like one of Supabase's: its schema `auth`, as far as people and their identities go, and a small application.

use tokio_postgres::Client;

/// `auth.users` and `auth.identities` with the columns that Supabase Auth gives them, and the functions that policies call.
pub const SCHEMA: &str = "
    create schema auth; create schema extensions; create extension \"uuid-ossp\" with schema extensions;
    create table auth.users (
        instance_id uuid, id uuid primary key, aud varchar(255), role varchar(255), email varchar(255), encrypted_password varchar(255),
        email_confirmed_at timestamptz, invited_at timestamptz, confirmation_token varchar(255), confirmation_sent_at timestamptz,
        recovery_token varchar(255), recovery_sent_at timestamptz, email_change_token_new varchar(255), email_change varchar(255),
        email_change_sent_at timestamptz, last_sign_in_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean,
        created_at timestamptz, updated_at timestamptz, phone text unique default null, phone_confirmed_at timestamptz, phone_change text default '',
        phone_change_token varchar(255) default '', phone_change_sent_at timestamptz,
        confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
        email_change_token_current varchar(255) default '', email_change_confirm_status smallint default 0, banned_until timestamptz,
        reauthentication_token varchar(255) default '', reauthentication_sent_at timestamptz, is_sso_user boolean not null default false,
        deleted_at timestamptz, is_anonymous boolean not null default false);
    create unique index users_email_partial_key on auth.users (email) where is_sso_user = false;
    create table auth.identities (
        provider_id text not null, user_id uuid not null references auth.users on delete cascade, identity_data jsonb not null, provider text not null,
        last_sign_in_at timestamptz, created_at timestamptz, updated_at timestamptz,
        email text generated always as (lower(identity_data ->> 'email')) stored, id uuid primary key default gen_random_uuid(),
        unique (provider_id, provider));
    create function auth.uid() returns uuid language sql stable as
        $$ select nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::uuid $$;
    create function auth.role() returns text language sql stable as
        $$ select nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'role', '') $$;
    create function auth.jwt() returns jsonb language sql stable as $$ select current_setting('request.jwt.claims', true)::jsonb $$;";

/// Somebody, by the last part of their id, with an address that is confirmed and with identities: provider, profile and organization.
pub async fn person(client: &Client, number: u32, email: &str, identities: &[(&str, &str, &str)]) -> String {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let user = "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
            created_at, updated_at, confirmation_token, recovery_token)
        values ('00000000-0000-0000-0000-000000000000', $1::text::uuid, 'authenticated', 'authenticated', $2, '$2a$10$secret', '2025-01-02 03:04:05.678+00',
            '{\"provider\": \"workos\", \"providers\": [\"workos\"]}', jsonb_build_object('full_name', 'Number ' || $3::int4), '2025-01-01', '2025-01-02', '', '')";
    client.execute(user, &[&id, &email, &i32::try_from(number).unwrap()]).await.unwrap();
    for (provider, profile, organization) in identities {
        let connection = organization.replace("org_", "conn_");
        let identity = "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
            values ($1, $2::text::uuid, jsonb_build_object('sub', $1::text, 'email', $3::text, 'email_verified', true)
                || case when $4 = 'workos' then jsonb_build_object('custom_claims', jsonb_build_object('organization_id', $5::text, 'connection_id', $6::text))
                   else '{}' end, $4, '2025-01-01', '2025-01-02')";
        client.execute(identity, &[profile, &id, &email, provider, organization, &connection]).await.unwrap();
    }
    id
}

/// What an application has: a table of people with a trigger that fills it, a table under row-level security, and a view.
pub const APPLICATION: &str = "
    do $$ begin create role anon nologin; exception when duplicate_object or unique_violation then null; end $$;
    do $$ begin create role authenticated nologin; exception when duplicate_object or unique_violation then null; end $$;
    do $$ begin create role service_role nologin bypassrls; exception when duplicate_object or unique_violation then null; end $$;
    create table public.profiles (id uuid primary key references auth.users (id) on delete cascade, full_name text, mail text);
    alter table public.profiles enable row level security;
    create policy own_profile on public.profiles for select to authenticated using (id = auth.uid());
    create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
    begin insert into public.profiles values (new.id, new.raw_user_meta_data ->> 'full_name', new.email); return new; end $$;
    create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
    create schema app;
    create type app.status as enum ('open', 'done');
    create table app.todos (id uuid primary key default extensions.uuid_generate_v4(), owner uuid not null references auth.users (id), task text, status app.status default 'open');
    alter table app.todos enable row level security;
    create policy own on app.todos to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
    create view public.open_todos with (security_invoker = on) as select id, task from app.todos where status = 'open';
    grant usage on schema public, app to anon, authenticated, service_role;
    grant select on public.profiles, public.open_todos to authenticated; grant all on app.todos to authenticated;";
