//! A trigger of the application's that copies a new person's address, and a person whose address another customer's account holds.

use workos_end_to_end::accounts::{Accounts, OKTA};
use workos_end_to_end::sql::{refused_as, text};

const TABLE: &str = "create table public.people (id uuid primary key references auth.users, mail text not null);
    create function copy_person() returns trigger language plpgsql security definer set search_path = public as $$
    begin insert into people values (new.id, new.email); return new; end $$;
    create trigger copies_people after insert on auth.users for each row execute function copy_person()";

#[tokio::test]
async fn whoever_has_no_address_is_told_which_trigger_wants_one() {
    let at = Accounts::new("copied", &[]).await;
    at.admin(TABLE).await;
    at.signs_in("prof_1", "conn_acme", "ann@shared.example", "ann").await;
    // The same address, of another customer.
    let refusal = at.is_refused("prof_2", OKTA, "ann@shared.example", "ann", "sign_up_trigger_failed").await;
    for part in ["copies_people", "public.people.mail", "another account holds"] {
        assert!(refusal.detail.contains(part), "{refusal}");
    }
    assert!(refusal.hint.contains("auth.check()"), "{refusal}");
    assert!(!refusal.to_string().contains("ann@shared.example"), "{refusal}");
    // What auth.check() says mends it.
    let remedy = text(
        &at.bed.admin,
        "select remedy from auth.check() where object = 'copies_people ON auth.users' and finding ~ 'sign_up'",
    );
    let remedy = remedy.await.unwrap().unwrap();
    at.admin(&remedy).await;
    at.signs_in("prof_2", OKTA, "ann@shared.example", "ann").await;
    assert_eq!(at.bed.count("select count(*) from people").await, 2);
}

#[tokio::test]
async fn other_errors_of_triggers_stay_what_they_are() {
    let at = Accounts::new("others", &[]).await;
    at.admin(
        "create function refuse() returns trigger language plpgsql as $$ begin
             if new.email is null then raise exception 'no address' using errcode = 'P0042'; end if; return new; end $$;
         create trigger refuses after insert on auth.users for each row execute function refuse()",
    )
    .await;
    at.signs_in("prof_1", "conn_acme", "ann@shared.example", "ann").await;
    let refusal = refused_as(at.comes("prof_2", OKTA, "ann@shared.example", "ann").await, "P0042");
    assert!(refusal.context.contains("refuse()"), "{refusal}");
    // Somebody who has an address is not told of one that is missing.
    at.admin("drop trigger refuses on auth.users; create table public.t (a int not null);
        create or replace function refuse() returns trigger language plpgsql security definer set search_path = public as $$
        begin insert into t values (null); return new; end $$;
        create trigger refuses after insert on auth.users for each row execute function refuse()").await;
    refused_as(at.comes("prof_3", OKTA, "bea@shared.example", "bea").await, "23502");
}
