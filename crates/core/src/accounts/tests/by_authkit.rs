//! The second table: people of AuthKit.

use std::slice;

use super::*;
use crate::accounts::AUTHKIT;
use crate::accounts::by_authkit::Person;

/// Ann in Acme, whose address WorkOS has verified.
const AUTHKIT_ANN: Person<'static> = Person { id: "user_ann", organization_id: ACME, email: Some("ann@acme.com") };
const EVERYWHERE: [Option<&str>; 3] = [None, ACME, OTHER];
const POLICIES: [Policy; 4] =
    [POLICY, EMAIL_MODE, NEVER, Policy { trust_email_domains: false, linking: Linking::Organization, ..POLICY }];

/// Ann as a member of Acme, whose connection knows her.
fn okta(number: u128) -> Candidate {
    Candidate { memberships: vec!["org_acme".into()], ..super::okta(number) }
}

/// An account of somebody of AuthKit.
fn of_authkit(number: u128) -> Candidate {
    let identity = KnownIdentity {
        provider: AUTHKIT.into(),
        provider_id: "user_ann".into(),
        connection_id: None,
        idp_id: None,
        ..identity(number, None, "", "", "ann@acme.com")
    };
    user(number, Some("ann@acme.com"), vec![identity])
}

/// The same, which Acme's own connection leads into as well.
fn of_both(number: u128) -> Candidate {
    let mut user = of_authkit(number);
    user.identities.push(identity(number, ACME, "conn_okta", "okta-1", "ann@acme.com"));
    user
}

fn unknown(person: &Person<'_>, candidates: &[Candidate], policy: &Policy) -> Result<AccountDecision> {
    let holder = candidates.iter().find(|user| user.email.as_deref() == person.email);
    person.decide(None, candidates, holder.map(|user| user.user_id), policy, false)
}

fn known(person: &Person<'_>, user: &Candidate, across: bool) -> Result<AccountDecision> {
    person.decide(Some((&user.identities[0], user)), &[], Some(user.user_id), &POLICY, across)
}

#[test]
fn row_a1_a_known_person_signs_in_wherever() {
    for organization_id in EVERYWHERE {
        let person = Person { organization_id, ..AUTHKIT_ANN };
        assert_eq!(known(&person, &of_authkit(1), false), signs_in(1, EmailChange::Keep));
        let closed = Policy { allow_signup: false, ..NEVER };
        let user = of_authkit(1);
        let decided = person.decide(Some((&user.identities[0], &user)), &[], None, &closed, false);
        assert_eq!(decided, signs_in(1, EmailChange::Keep));
    }
    // The address follows WorkOS's, and no address that is not verified takes one away.
    let renamed = Person { email: Some("ann.lee@acme.com"), ..AUTHKIT_ANN };
    let user = of_authkit(1);
    let decide =
        |person: Person<'_>, holder| person.decide(Some((&user.identities[0], &user)), &[], holder, &POLICY, false);
    assert_eq!(decide(renamed, None), signs_in(1, set("ann.lee@acme.com")));
    assert_eq!(decide(renamed, Some(id(9))), signs_in(1, EmailChange::Release));
    assert_eq!(decide(Person { email: None, ..AUTHKIT_ANN }, None), signs_in(1, EmailChange::Keep));
}

#[test]
fn row_a2_a_customers_connection_reaches_no_other_customer() {
    assert_eq!(known(&AUTHKIT_ANN, &of_both(1), false), signs_in(1, EmailChange::Keep));
    for organization_id in [None, OTHER] {
        let elsewhere = Person { organization_id, ..AUTHKIT_ANN };
        let error = known(&elsewhere, &of_both(1), false).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CrossOrganizationLinkDisabled);
        assert!(error.detail().unwrap().contains("org_acme"), "{error:?}");
        assert_eq!(known(&elsewhere, &of_both(1), true), signs_in(1, EmailChange::Keep));
    }
}

#[test]
fn row_a3_nobody_who_is_banned_or_deleted() {
    for organization_id in EVERYWHERE {
        let person = Person { organization_id, ..AUTHKIT_ANN };
        assert_eq!(code(known(&person, &banned(of_authkit(1)), false)), ErrorCode::UserBanned);
        assert_eq!(code(known(&person, &deleted(of_authkit(1)), false)), ErrorCode::UserDeleted);
    }
}

#[test]
fn rows_a4_and_a5_nobody_joins_without_a_verified_address_and_an_organization() {
    let others = || [okta(1), invited(1, &["org_acme"]), of_authkit(1)];
    for policy in POLICIES {
        let unverified = Person { email: None, ..AUTHKIT_ANN };
        assert_eq!(unknown(&unverified, &[], &policy), creates(None, None));
        let nowhere = Person { organization_id: None, ..AUTHKIT_ANN };
        assert_eq!(unknown(&nowhere, &[], &policy), creates(Some("ann@acme.com"), None));
        for other in others() {
            assert_eq!(unknown(&unverified, slice::from_ref(&other), &policy), creates(None, None));
            assert_eq!(unknown(&nowhere, &[other], &policy), creates(None, None));
        }
        let closed = Policy { allow_signup: false, ..policy };
        assert_eq!(code(unknown(&nowhere, &[], &closed)), ErrorCode::SignupDisabled);
    }
}

#[test]
fn row_a6_a_verified_address_joins_the_one_account_of_its_organization() {
    for user in [okta(1), invited(1, &["org_acme"])] {
        for policy in [POLICY, EMAIL_MODE] {
            assert_eq!(unknown(&AUTHKIT_ANN, slice::from_ref(&user), &policy), joins(1));
        }
        assert_eq!(unknown(&AUTHKIT_ANN, &[user], &NEVER), creates(None, None));
    }
    assert_eq!(code(unknown(&AUTHKIT_ANN, &[deleted(okta(1))], &POLICY)), ErrorCode::UserDeleted);
}

#[test]
fn row_a7_never_one_of_another_organization() {
    let others = user(1, Some("ann@acme.com"), vec![identity(1, OTHER, "conn_other", "other-1", "ann@acme.com")]);
    for policy in POLICIES {
        for candidate in [others.clone(), banned(others.clone()), invited(1, &["org_other"])] {
            assert_eq!(unknown(&AUTHKIT_ANN, &[candidate], &policy), creates(None, None));
        }
    }
}

#[test]
fn row_a8_what_cannot_be_decided_is_refused() {
    assert_eq!(code(unknown(&AUTHKIT_ANN, &[okta(1), okta(2)], &POLICY)), ErrorCode::MultipleAccounts);
    let member_elsewhere = Candidate { memberships: vec!["org_acme".into(), "org_other".into()], ..okta(1) };
    let mut known_elsewhere = okta(1);
    known_elsewhere.identities.push(identity(1, OTHER, "conn_other", "other-1", "ann@acme.com"));
    for user in [member_elsewhere, known_elsewhere] {
        assert_eq!(code(unknown(&AUTHKIT_ANN, &[user], &POLICY)), ErrorCode::MultipleAccounts);
    }
}

#[test]
fn row_a9_nobody_comes_past_a_ban() {
    for policy in POLICIES {
        for user in [okta(1), of_authkit(1), of_both(1)] {
            assert_eq!(code(unknown(&AUTHKIT_ANN, &[banned(user)], &policy)), ErrorCode::UserBanned);
        }
        for organization_id in EVERYWHERE {
            let person = Person { organization_id, ..AUTHKIT_ANN };
            assert_eq!(code(unknown(&person, &[banned(of_authkit(1))], &policy)), ErrorCode::UserBanned);
        }
    }
}

#[test]
fn row_a10_another_person_of_authkit_is_another() {
    for policy in POLICIES {
        for user in [of_authkit(1), of_both(1), super::okta(1)] {
            assert_eq!(unknown(&AUTHKIT_ANN, &[user], &policy), creates(None, None));
        }
        let left = banned(super::okta(1));
        assert_eq!(code(unknown(&AUTHKIT_ANN, &[left], &policy)), ErrorCode::UserBanned);
    }
}
