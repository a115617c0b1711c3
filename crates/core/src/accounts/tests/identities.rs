//! Linking and unlinking by the person themselves.

use crate::accounts::identities::{Unlinking, link, unlink};

use super::*;

/// Ann's account asks for the profile, which nobody has.
fn links(incoming: &Incoming<'_>, user: &Candidate, across: bool) -> Result<EmailChange> {
    link(incoming, None, user, &[], None, &POLICY, across)
}

fn refused<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

/// Ann with Acme's Okta and an account at Google.
fn both() -> Candidate {
    let okta = identity(1, ACME, "conn_okta", "okta-1", "ann@acme.com");
    user(1, Some("ann@acme.com"), vec![okta, identity(1, None, "conn_google", "google-1", "ann@gmail.com")])
}

fn unlinking(email: EmailChange, leaves: Option<&str>) -> Result<Unlinking> {
    Ok(Unlinking { email, leaves: leaves.map(str::to_owned) })
}

#[test]
fn a_profile_of_the_own_organization_is_linked() {
    assert_eq!(links(&ANN, &okta(1), false), Ok(EmailChange::Keep));
    // The address need not be the same, and does not change.
    assert_eq!(links(&Incoming { email: "other@acme.com", ..ANN }, &okta(1), false), Ok(EmailChange::Keep));
    // Of no organization and of none: nobody's address is believed, so that is one place.
    let github = user(2, None, vec![identity(2, None, "conn_github", "github-1", "ann@home.example")]);
    assert_eq!(links(&GOOGLE, &github, false), Ok(set("ann@acme.com")));
}

#[test]
fn another_organization_needs_the_setting() {
    let google = user(1, None, vec![identity(1, None, "conn_google", "google-1", "ann@gmail.com")]);
    let other = user(1, None, vec![identity(1, OTHER, "conn_other", "other-1", "ann@gmail.com")]);
    let made = Candidate { memberships: vec!["org_other".into()], ..user(1, None, vec![]) };
    for (incoming, account) in [(&ANN, &google), (&ANN, &other), (&ANN, &made), (&GOOGLE, &okta(1)), (&GOOGLE, &made)] {
        assert_eq!(refused(links(incoming, account, false)), ErrorCode::CrossOrganizationLinkDisabled, "{incoming:?}");
        assert!(links(incoming, account, true).is_ok());
    }
    assert!(links(&ANN, &both(), false).is_ok() && links(&GOOGLE, &both(), false).is_ok());
    // An account that nothing ties to an organization crosses none.
    assert!(links(&ANN, &user(1, None, vec![]), false).is_ok());
    assert!(links(&ANN, &invited(1, &["org_other", "org_acme"]), false).is_ok());
}

#[test]
fn a_profile_that_is_linked_already_is_refused() {
    for (owner, word) in [(1, "this user"), (2, "another user")] {
        let error = link(&ANN, Some(id(owner)), &okta(1), &[], None, &POLICY, true).unwrap_err();
        assert_eq!(error.code(), ErrorCode::IdentityAlreadyExists);
        assert!(error.detail().unwrap().contains(word));
    }
}

#[test]
fn a_ban_is_not_gone_around() {
    assert_eq!(refused(links(&ANN, &banned(okta(1)), true)), ErrorCode::UserBanned);
    assert_eq!(refused(links(&ANN, &deleted(okta(1)), true)), ErrorCode::UserDeleted);
    let bea = user(2, None, vec![identity(2, ACME, "conn_okta", "okta-2", "bea@acme.com")]);
    let linked = |others: &[Candidate]| link(&ANN, None, &bea, others, None, &POLICY, true);
    assert_eq!(refused(linked(&[banned(okta(1))])), ErrorCode::UserBanned);
    assert!(linked(&[okta(1)]).is_ok());
    // Another organization's ban is not this one's.
    let elsewhere = user(3, None, vec![identity(3, OTHER, "conn_other", "other-1", "ann@acme.com")]);
    assert!(linked(&[banned(elsewhere)]).is_ok());
}

#[test]
fn an_address_is_taken_on_only_where_there_is_none() {
    let without = Candidate { email: None, ..okta(1) };
    assert_eq!(links(&ANN, &without, false), Ok(set("ann@acme.com")));
    let held = link(&ANN, None, &without, &[], Some(id(9)), &POLICY, false);
    assert_eq!(held, Ok(EmailChange::Keep));
    let untrusted = Policy { trust_email_domains: false, ..POLICY };
    assert_eq!(link(&ANN, None, &without, &[], None, &untrusted, false), Ok(EmailChange::Keep));
}

#[test]
fn an_identity_is_unlinked_and_its_address_is_given_up() {
    let (user, [okta, google]) = (both(), [both().identities[0].id, both().identities[1].id]);
    assert_eq!(unlink(&user, google), unlinking(EmailChange::Keep, None));
    // That of the other identity is not taken on, however good it is.
    assert_eq!(unlink(&user, okta), unlinking(EmailChange::Release, ACME));
    let user = Candidate { email: Some("ann@gmail.com".into()), ..user };
    assert_eq!(unlink(&user, google), unlinking(EmailChange::Release, None));
}

/// One that was stored before there were rules never becomes the account's.
#[test]
fn what_is_no_address_takes_the_place_of_none() {
    for stored in ["mallory@acme.com@evil.example", "<ann@acme.com>", "ann@acme.com ", "ann@acme.com\u{200b}", "ann"] {
        let okta = identity(1, ACME, "conn_okta", "okta-1", "ann@acme.com");
        let old = identity(1, None, "conn_google", "google-1", stored);
        let gone = okta.id;
        let user = user(1, Some("ann@acme.com"), vec![okta, old]);
        assert_eq!(unlink(&user, gone), unlinking(EmailChange::Release, ACME), "{stored:?}");
    }
}

#[test]
fn an_address_that_stands_elsewhere_too_is_kept() {
    let mut user = both();
    let gone = user.identities[0].id;
    user.email = Some("ann@home.example".into());
    assert_eq!(unlink(&user, gone), unlinking(EmailChange::Keep, ACME));
    user.email = None;
    assert_eq!(unlink(&user, gone), unlinking(EmailChange::Keep, ACME));
    user.email = Some("ANN@acme.com".into());
    user.identities[1].email = "Ann@acme.com".into();
    assert_eq!(unlink(&user, gone), unlinking(EmailChange::Keep, ACME));
}

#[test]
fn an_organization_is_left_with_the_last_identity_of_it() {
    let mut user = both();
    let gone = user.identities[0].id;
    user.identities.push(identity(1, ACME, "conn_entra_again", "entra-1", "a.lee@acme.com"));
    assert_eq!(unlink(&user, gone).unwrap().leaves, None);
}

#[test]
fn the_last_identity_and_somebody_elses_stay() {
    let only = okta(1);
    assert_eq!(refused(unlink(&only, only.identities[0].id)), ErrorCode::SingleIdentityNotDeletable);
    assert_eq!(refused(unlink(&only, id(7))), ErrorCode::IdentityNotFound);
    assert_eq!(refused(unlink(&both(), id(7))), ErrorCode::IdentityNotFound);
    assert_eq!(refused(unlink(&user(1, None, vec![]), id(7))), ErrorCode::IdentityNotFound);
}
