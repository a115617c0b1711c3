-- Run by the image workos-auth-postgres at the first start of compose.yaml, after examples/schema.sql: how the services get in, and the
-- stand-in for WorkOS.
alter role app password 'example';
create role gateway login password 'example';
select auth.grant_sign_in('gateway');

alter database postgres set workos_auth.site_url = 'http://127.0.0.1:3000';
alter database postgres set workos_auth.issuer = 'http://127.0.0.1:9999/auth/v1';
select auth.configure_workos(client_id => 'client_demo', client_secret => 'sk_test_demo',
    redirect_uri => 'http://127.0.0.1:9999/auth/v1/callback', api_url => 'http://127.0.0.1:4100');
