-- What the three examples share: the roles, a table with its policies, and what the backend may do.
-- Run once as a superuser, after CREATE EXTENSION workos_auth: psql -v ON_ERROR_STOP=1 -f examples/schema.sql

-- Everybody who has signed in; row-level security decides what this role sees.
create role authenticated nologin;
-- The backend. NOINHERIT: it has the rights of authenticated only where it says SET LOCAL ROLE, so that a query which
-- forgot to put a session on fails instead of showing everything. Give it a password or another way in.
create role app login noinherit;
grant authenticated to app;
select auth.grant_sign_in('app');

-- A browser drops a cookie of more than 4 kB without a word. A sign-in with a larger token fails and says why.
alter database :"DBNAME" set workos_auth.max_token_size = '4000B';

-- Where the browser may be sent after a sign-in. In production: https://app.example.com/**
insert into auth.redirect_urls (pattern) values ('http://127.0.0.1:*/**');

create table todos (
    id bigint generated always as identity primary key,
    -- A backend cannot write somebody else's name here by mistake: it writes none.
    user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
    organization_id text not null default auth.organization_id(),
    title text not null check (title <> '')
);
create index on todos (user_id);
alter table todos enable row level security;
alter table todos force row level security;

create policy read_own on todos for select to authenticated
    using (user_id = auth.uid() and organization_id = auth.organization_id());
create policy write_own on todos for insert to authenticated
    with check (user_id = auth.uid() and organization_id = auth.organization_id());

grant select on todos to authenticated;
grant insert (title) on todos to authenticated;
