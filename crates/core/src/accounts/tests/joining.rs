//! Identities that an administrator moves, and accounts that become one.

use crate::accounts::identities::Unlinking;
use crate::accounts::joining::{merge, relocate};

use super::*;

const AWAY: &str = "org_other";

fn refused<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

fn moving(email: EmailChange, leaves: Option<&str>) -> Result<Option<Unlinking>> {
    Ok(Some(Unlinking { email, leaves: leaves.map(str::to_owned) }))
}

fn at(organization: Option<&str>, number: u128, email: &str) -> KnownIdentity {
    identity(number, organization, "conn_x", "x", email)
}

#[test]
fn the_only_identity_takes_the_account_along() {
    let account = user(1, Some("ann@acme.com"), vec![at(ACME, 1, "ANN@acme.com")]);
    let only = account.identities[0].id;
    for across in [false, true] {
        assert_eq!(relocate(&account, only, AWAY, across), moving(EmailChange::Release, ACME), "{across}");
    }
    // The membership that it leaves does not hold it back; another one does.
    let member = Candidate { memberships: vec!["org_acme".into()], ..account.clone() };
    assert_eq!(relocate(&member, only, AWAY, false), moving(EmailChange::Release, ACME));
    let elsewhere = Candidate { memberships: vec!["org_acme".into(), "org_third".into()], ..account.clone() };
    assert_eq!(refused(relocate(&elsewhere, only, AWAY, false)), ErrorCode::CrossOrganizationLinkDisabled);
    assert_eq!(relocate(&elsewhere, only, AWAY, true), moving(EmailChange::Release, ACME));
    // Of no organization before.
    let google = user(1, Some("other@acme.com"), vec![at(None, 1, "ann@gmail.com")]);
    assert_eq!(relocate(&google, google.identities[0].id, "org_acme", false), moving(EmailChange::Keep, None));
}

#[test]
fn an_account_of_two_organizations_needs_the_setting() {
    let account = user(1, Some("ann@acme.com"), vec![at(ACME, 1, "ann@acme.com"), at(ACME, 2, "ann@acme.com")]);
    let first = account.identities[0].id;
    assert_eq!(refused(relocate(&account, first, AWAY, false)), ErrorCode::CrossOrganizationLinkDisabled);
    // The other one still vouches for the address and leads to the organization.
    assert_eq!(relocate(&account, first, AWAY, true), moving(EmailChange::Keep, None));
    // Something of the account is there already.
    let there = user(1, None, vec![at(ACME, 1, "a@acme.com"), at(OTHER, 2, "a@acme.com")]);
    assert_eq!(relocate(&there, there.identities[0].id, AWAY, false), moving(EmailChange::Keep, ACME));
}

#[test]
fn what_is_there_already_and_what_is_nowhere() {
    let account = user(1, None, vec![at(ACME, 1, "ann@acme.com")]);
    assert_eq!(relocate(&account, account.identities[0].id, "org_acme", false), Ok(None));
    assert_eq!(refused(relocate(&account, id(99), AWAY, true)), ErrorCode::IdentityNotFound);
}

#[test]
fn accounts_of_one_organization_become_one() {
    let (from, into) = (user(2, None, vec![at(ACME, 2, "a@acme.com")]), user(1, None, vec![at(ACME, 1, "a@acme.com")]));
    assert_eq!(merge(&from, &into, false), Ok(()));
    // One that nothing ties to an organization crosses none, whichever it is.
    let nobody = user(3, None, vec![]);
    assert_eq!((merge(&nobody, &into, false), merge(&into, &nobody, false)), (Ok(()), Ok(())));
    assert_eq!(merge(&banned(from.clone()), &into, false), Ok(()));
    let deleted = deleted(from.clone());
    for (from, into, which) in [(&deleted, &into, "from_user"), (&into, &deleted, "into_user")] {
        let error = merge(from, into, true).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UserDeleted);
        assert!(error.detail().unwrap().contains(which), "{which}: {error:?}");
    }
}

#[test]
fn accounts_of_two_organizations_become_one_with_the_setting_alone() {
    let acme = user(1, None, vec![at(ACME, 1, "a@acme.com")]);
    let other = user(2, None, vec![at(OTHER, 2, "a@acme.com")]);
    let google = user(3, None, vec![at(None, 3, "a@acme.com")]);
    let member = Candidate { memberships: vec![AWAY.into()], ..user(4, None, vec![]) };
    let both = Candidate { memberships: vec![AWAY.into()], ..acme.clone() };
    for (from, into) in
        [(&other, &acme), (&acme, &other), (&google, &acme), (&acme, &google), (&member, &acme), (&both, &acme)]
    {
        assert_eq!(refused(merge(from, into, false)), ErrorCode::CrossOrganizationLinkDisabled, "{from:?} {into:?}");
        assert_eq!(merge(from, into, true), Ok(()), "{from:?} {into:?}");
    }
    // Whoever is of both already takes in either.
    let wide = user(5, None, vec![at(ACME, 1, "a@acme.com"), at(OTHER, 2, "a@acme.com")]);
    assert_eq!((merge(&acme, &wide, false), merge(&other, &wide, false)), (Ok(()), Ok(())));
}
