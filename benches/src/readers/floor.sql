-- What the readers stand beside. MODULE is the compiled floor.c.
create function bench_c_uuid() returns uuid language c stable parallel safe as 'MODULE', 'empty_uuid';
create function bench_c_text() returns text language c stable parallel safe as 'MODULE', 'empty_text';
create function bench_c_boolean() returns boolean language c stable parallel safe as 'MODULE', 'empty_boolean';
create function bench_c_set_session(access_token text) returns jsonb language c volatile as 'MODULE', 'empty_jsonb';
-- With claims to send: those that the connection was told before.
create function bench_c_keep_claims(claims jsonb) returns void language c volatile as 'MODULE', 'keep_jsonb';
create function bench_c_send_claims(access_token text) returns jsonb language c volatile as 'MODULE', 'kept_jsonb';
-- The same behind a check of the token's signature by AWS-LC, with the key that the connection was told before.
create function bench_c_keep_key(point bytea) returns void language c volatile as 'MODULE', 'keep_key';
create function bench_c_check_signature(access_token text) returns jsonb language c volatile as 'MODULE', 'check_signature';

-- As Supabase defines auth.uid(): SQL, and not marked PARALLEL SAFE.
create function bench_sql_uid() returns uuid language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$$;
-- The same as people write it by hand.
create function bench_plpgsql_uid() returns uuid language plpgsql stable as $$
begin
    return current_setting('request.jwt.claims', true)::jsonb ->> 'sub';
end $$;

-- Requests without a protocol, each a transaction of its own, and what that itself costs. Procedures, since a query has one identity
-- and a procedure's queries have one each. Many requests in one transaction would leave their sessions in memory until its end.
create procedure bench_requests(access_tokens text[]) language plpgsql as $$
declare
    access_token text;
begin
    foreach access_token in array access_tokens loop
        perform auth.set_session(access_token);
        perform auth.uid();
        commit;
    end loop;
end $$;
create procedure bench_no_requests(access_tokens text[]) language plpgsql as $$
declare
    access_token text;
begin
    foreach access_token in array access_tokens loop
        perform bench_c_set_session(access_token);
        perform bench_c_uuid();
        commit;
    end loop;
end $$;
create procedure bench_signature_checks(access_tokens text[]) language plpgsql as $$
declare
    access_token text;
begin
    foreach access_token in array access_tokens loop
        perform bench_c_check_signature(access_token);
        perform bench_c_uuid();
        commit;
    end loop;
end $$;

-- Somebody who writes, as far as snapshots can tell.
create procedure bench_commits() language plpgsql as $$
begin
    loop
        perform txid_current();
        commit;
    end loop;
end $$;
