//! `auth.check()` of triggers on `auth.users` that copy an address into a column which must have one.

use workos_end_to_end::case;
use workos_end_to_end::check::{Patient, check};

use super::CLUSTER;

const FINDING: &str = "cannot sign up (sign_up_trigger_failed)";

fn function(body: &str, settings: &str) -> String {
    format!(
        "create function copy_person() returns trigger language plpgsql security definer {settings} as $$ begin {body}; return new; end $$;
         create trigger copy_person after insert on auth.users for each row execute function copy_person();"
    )
}

#[tokio::test]
async fn a_copied_address_needs_a_column_that_takes_null() {
    let patient = Patient::new(&CLUSTER, "check_sign_up").await;
    patient
        .run("create schema app; create table public.people (id uuid, mail text not null, note text); create table app.people (mail text not null)")
        .await;
    for (body, settings, table, column) in [
        ("insert into people (id, mail) values (new.id, new.email)", "set search_path = public", "people", "mail"),
        ("insert into people (id, mail) values (new.id, new.email)", "", "people", "mail"),
        ("insert into public.people values (new.id, lower(new.email))", "set search_path = ''", "people", "mail"),
        ("INSERT INTO people (mail) SELECT NEW.email", "set search_path = app, public", "app.people", "mail"),
    ] {
        case!(body);
        patient.run(&function(body, settings)).await;
        let findings = check(&patient.bed.admin).await;
        let found: Vec<_> = findings.iter().filter(|row| row.finding.contains(FINDING)).collect();
        let [found] = &found[..] else { panic!("{findings:#?}") };
        assert_eq!((found.severity.as_str(), found.object.as_str()), ("warning", "copy_person ON auth.users"));
        assert!(found.finding.contains(&format!("{table}.{column}")), "{found:?}");
        patient.remedy(found).await;
        assert!(check(&patient.bed.admin).await.iter().all(|row| !row.finding.contains(FINDING)));
        patient
            .run("drop trigger copy_person on auth.users; drop function copy_person; alter table people alter mail set not null; alter table app.people alter mail set not null")
            .await;
    }
    for harmless in [
        "insert into people (id, mail) values (new.id, coalesce(new.email, ''))",
        "insert into people (id, mail, note) values (new.id, 'x', new.email)",
        "insert into nowhere (mail) values (new.email)",
        "insert into people (id, mail) values (new.id, 'x')",
        "perform 1",
    ] {
        case!(harmless);
        patient.run(&function(harmless, "")).await;
        assert!(check(&patient.bed.admin).await.iter().all(|row| !row.finding.contains(FINDING)));
        patient.run("drop trigger copy_person on auth.users; drop function copy_person").await;
    }
}
