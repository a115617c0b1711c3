//! `auth.role()` where nobody is signed in: never NULL, so that no guard that compares it lets a visitor through.

use workos_end_to_end::bed::{ALICE, reader};
use workos_end_to_end::case;
use workos_end_to_end::parallel::force_parallel;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_end_to_end::{Bed, set_session};

#[tokio::test]
async fn without_a_session_the_role_is_the_clients() {
    let bed = Bed::shared("visitors").await;
    let (people, backend) = (bed.role("people", "").await, bed.role("backend_role", "").await);
    bed.admin
        .batch_execute(&format!(
            "alter database {} set workos_auth.allowed_roles = '{people}, authenticated'; grant {people} to {backend};
             create function below() returns text language plpgsql security definer as 'begin return auth.role(); end';
             create function inlined() returns text language sql security definer as 'select auth.role()'",
            bed.database
        ))
        .await
        .unwrap();
    let client = bed.connect(&backend).await;
    for (before, role) in
        [("select", backend.as_str()), (&format!("set role {people}"), "anon"), ("reset role", &backend)]
    {
        client.batch_execute(before).await.unwrap();
        for call in ["auth.role()", "below()", "inlined()", "(select auth.role())", "(table (select auth.role()) t)"] {
            let call =
                if call.starts_with("(table") { "(select max(auth.role()) from generate_series(1, 3))" } else { call };
            assert_eq!(
                text(&client, &format!("select {call}")).await.unwrap().as_deref(),
                Some(role),
                "{before}: {call}"
            );
        }
        let sql = "do $$ begin raise '%', auth.role() using errcode = 'P0001'; end $$";
        assert_eq!(refused_as(client.batch_execute(sql).await, "P0001").message, role);
        assert_eq!(
            text(&client, "select auth.role() is null or auth.role() <> 'service_role'").await.unwrap().as_deref(),
            Some("t")
        );
    }
    // Within the transaction, and several in one.
    let sql = format!("begin; set local role {people}; select auth.role()");
    assert_eq!(text(&client, &sql).await.unwrap().as_deref(), Some("anon"));
    assert_eq!(text(&client, "reset role; select auth.role()").await.unwrap().as_deref(), Some(&*backend));
    client.batch_execute("commit").await.unwrap();
    // A role that is renamed is called what it is called.
    bed.admin.batch_execute(&format!("alter role {backend} rename to {backend}_renamed")).await.unwrap();
    assert_eq!(text(&client, "select auth.role()").await.unwrap().as_deref(), Some(&*format!("{backend}_renamed")));

    // With a session it is the session's, and without it again what it was.
    let alice = bed.sign_in(ALICE).await;
    let session_role = alice.claims["role"].as_str().unwrap();
    client.batch_execute(&format!("set role {people}")).await.unwrap();
    set_session(&client, &alice.access_token, false).await.unwrap();
    assert_eq!(text(&client, "select auth.role()").await.unwrap().as_deref(), Some(session_role));
    client.batch_execute("select auth.clear_session()").await.unwrap();
    assert_eq!(text(&client, "select auth.role()").await.unwrap().as_deref(), Some("anon"));
    // A bad token is an error still, not a visitor.
    client.batch_execute("set workos_auth.session_token = 'nonsense'").await.unwrap();
    refused(client.batch_execute("select auth.role()").await, "bad_jwt");
}

#[tokio::test]
async fn guards_are_closed_to_visitors() {
    let bed = Bed::shared("guards").await;
    let people = bed.role("people", "").await;
    bed.admin
        .batch_execute(&format!(
            "alter database {} set workos_auth.allowed_roles = '{people}, authenticated';
             create function credit() returns text language plpgsql security definer as $$ begin
                 if auth.role() <> 'service_role' then raise exception 'forbidden' using errcode = '42501'; end if;
                 return 'credited';
             end $$;
             create function debit() returns text language plpgsql security definer as $$ begin
                 if auth.role() not in ('service_role', 'authenticated') then raise exception 'forbidden' using errcode = '42501'; end if;
                 return 'debited';
             end $$;
             create table notices (line text); insert into notices select 'line ' || n from generate_series(1, 10000) n;
             alter table notices enable row level security;
             create policy visitors on notices for select using (auth.role() = 'anon');
             create table members (line text); insert into members values ('inside');
             alter table members enable row level security;
             create policy members on members using (auth.role() = 'authenticated');
             grant select on notices, members to public; analyze",
            bed.database
        ))
        .await
        .unwrap();
    let visitor = bed.connect(&people).await;
    for call in ["credit()", "debit()"] {
        case!(call);
        assert_eq!(refused_as(visitor.batch_execute(&format!("select {call}")).await, "42501").message, "forbidden");
    }
    assert_eq!(text(&visitor, "select count(*) from notices").await.unwrap().as_deref(), Some("10000"));
    assert_eq!(lines(&visitor, "table members").await.unwrap(), Vec::<String>::new());
    // A backend that forgot the session is no member either.
    let forgetful = bed.connect(&bed.role("app", "").await).await;
    assert_eq!(lines(&forgetful, "table members").await.unwrap(), Vec::<String>::new());
    assert_eq!(text(&forgetful, "select count(*) from notices").await.unwrap().as_deref(), Some("0"));
    // Workers of a parallel query say the same.
    force_parallel(&visitor).await;
    assert_eq!(text(&visitor, "select count(*) from notices").await.unwrap().as_deref(), Some("10000"));
    let alice = bed.sign_in(ALICE).await;
    let member = reader(&bed, &people, &alice).await;
    assert_eq!(lines(&member, "table members").await.unwrap(), ["inside"]);
    assert_eq!(text(&member, "select count(*) from notices").await.unwrap().as_deref(), Some("0"));
}
