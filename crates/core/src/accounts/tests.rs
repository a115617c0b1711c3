#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::slice;

use super::*;

mod by_authkit;
mod by_token;
mod identities;
mod invited;
mod joining;
mod properties;

const ACME: Option<&str> = Some("org_acme");
const OTHER: Option<&str> = Some("org_other");
const POLICY: Policy = Policy {
    linking: Linking::Organization,
    allow_signup: true,
    trust_email_domains: true,
    email_domain_is_organizations: false,
};
const EMAIL_MODE: Policy = Policy { linking: Linking::Email, email_domain_is_organizations: true, ..POLICY };
const NEVER: Policy = Policy { linking: Linking::None, ..POLICY };

/// Ann of Acme, at a connection she has not used before.
const ANN: Incoming<'static> = Incoming {
    provider_id: "prof_new",
    organization_id: ACME,
    connection_id: "conn_entra",
    idp_id: Some("entra-1"),
    email: "Ann@Acme.com",
};
/// Ann with a public provider.
const GOOGLE: Incoming<'static> =
    Incoming { organization_id: None, connection_id: "conn_google", idp_id: Some("google-1"), ..ANN };

fn id(user: u128) -> Uuid {
    Uuid::from_u128(user)
}

fn identity(user: u128, organization: Option<&str>, connection: &str, idp_id: &str, email: &str) -> KnownIdentity {
    KnownIdentity {
        id: Uuid::from_u128(user * 100 + connection.len() as u128),
        user_id: id(user),
        provider: WORKOS.to_owned(),
        provider_id: format!("prof_{user}_{connection}"),
        organization_id: organization.map(str::to_owned),
        connection_id: Some(connection.to_owned()),
        idp_id: Some(idp_id.to_owned()),
        email: email.to_owned(),
    }
}

fn user(user: u128, email: Option<&str>, identities: Vec<KnownIdentity>) -> Candidate {
    Candidate {
        user_id: id(user),
        email: email.map(str::to_owned),
        banned: false,
        deleted: false,
        invited: false,
        memberships: Vec::new(),
        identities,
    }
}

/// Ann as an administrator made her for these organizations.
fn invited(number: u128, organizations: &[&str]) -> Candidate {
    let memberships = organizations.iter().copied().map(str::to_owned).collect();
    Candidate { invited: true, memberships, ..user(number, Some("ann@acme.com"), vec![]) }
}

/// Ann as Acme's former connection knows her.
fn okta(number: u128) -> Candidate {
    user(number, Some("ann@acme.com"), vec![identity(number, ACME, "conn_okta", "okta-1", "ann@acme.com")])
}

/// Somebody who had Ann's address on her own connection.
fn predecessor(number: u128) -> Candidate {
    user(number, Some("ann@acme.com"), vec![identity(number, ACME, "conn_entra", "entra-0", "ann@acme.com")])
}

fn banned(user: Candidate) -> Candidate {
    Candidate { banned: true, ..user }
}

fn deleted(user: Candidate) -> Candidate {
    Candidate { deleted: true, ..user }
}

/// The decision about an unknown profile; who holds the address follows from the candidates.
fn unknown(incoming: &Incoming<'_>, candidates: &[Candidate], policy: &Policy) -> Result<AccountDecision> {
    let email = fold_email(incoming.email);
    let holder = candidates.iter().find(|user| user.email.as_deref().map(fold_email).as_ref() == Some(&email));
    decide(incoming, None, candidates, holder.map(|user| user.user_id), policy)
}

fn known(incoming: &Incoming<'_>, user: &Candidate, holder: Option<u128>, policy: &Policy) -> Result<AccountDecision> {
    let identity = user.identities[0].clone();
    let incoming = Incoming { provider_id: &identity.provider_id, ..*incoming };
    decide(&incoming, Some((&identity, user)), &[], holder.map(id), policy)
}

fn signs_in(user: u128, email: EmailChange) -> Result<AccountDecision> {
    Ok(AccountDecision::SignIn { user_id: id(user), email })
}

fn joins(user: u128) -> Result<AccountDecision> {
    Ok(AccountDecision::Join { user_id: id(user), email: EmailChange::Keep })
}

fn creates(email: Option<&str>, succeeded: Option<u128>) -> Result<AccountDecision> {
    Ok(AccountDecision::Create { email: email.map(str::to_owned), succeeded: succeeded.map(id) })
}

fn code(result: Result<AccountDecision>) -> ErrorCode {
    result.unwrap_err().code()
}

fn set(email: &str) -> EmailChange {
    EmailChange::Set(email.into())
}

#[test]
fn row_1_a_known_profile_signs_in() {
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        assert_eq!(known(&ANN, &okta(1), Some(1), &policy), signs_in(1, EmailChange::Keep));
        let google = user(2, None, vec![identity(2, None, "conn_google", "google-1", "ann@acme.com")]);
        assert_eq!(known(&GOOGLE, &google, None, &policy), signs_in(2, set("ann@acme.com")));
        let closed = Policy { allow_signup: false, ..policy };
        assert_eq!(known(&ANN, &okta(1), Some(1), &closed), signs_in(1, EmailChange::Keep));
        assert_eq!(code(known(&ANN, &banned(okta(1)), Some(1), &policy)), ErrorCode::UserBanned);
        assert_eq!(code(known(&ANN, &deleted(okta(1)), Some(1), &policy)), ErrorCode::UserDeleted);
    }
}

#[test]
fn row_1_the_address_follows_by_the_e_mail_rule() {
    let renamed = Incoming { email: "Ann.Lee@acme.com", ..ANN };
    let untrusted = Policy { trust_email_domains: false, ..POLICY };
    let ann = okta(1);
    assert_eq!(known(&renamed, &ann, None, &POLICY), signs_in(1, set("ann.lee@acme.com")));
    assert_eq!(known(&renamed, &ann, Some(9), &POLICY), signs_in(1, EmailChange::Release));
    assert_eq!(known(&renamed, &ann, None, &untrusted), signs_in(1, EmailChange::Release));
    let without = Candidate { email: None, ..okta(1) };
    assert_eq!(known(&renamed, &without, None, &POLICY), signs_in(1, set("ann.lee@acme.com")));
    assert_eq!(known(&renamed, &without, Some(9), &POLICY), signs_in(1, EmailChange::Keep));
    assert_eq!(known(&renamed, &without, None, &untrusted), signs_in(1, EmailChange::Keep));
    // An address that is none is never set.
    for email in ["", "@", "ann", "ann@", "@acme.com"] {
        let broken = Incoming { email, ..ANN };
        assert_eq!(known(&broken, &without, None, &POLICY), signs_in(1, EmailChange::Keep), "{email}");
    }
}

#[test]
fn row_1_an_address_from_elsewhere_stays() {
    let renamed = Incoming { email: "ann.lee@acme.com", ..ANN };
    let by_hand = Candidate { email: Some("ann@home.example".into()), ..okta(1) };
    assert_eq!(known(&renamed, &by_hand, None, &POLICY), signs_in(1, EmailChange::Keep));
    let mut linked = okta(1);
    linked.identities.push(identity(1, OTHER, "conn_other", "other-1", "ANN@acme.com"));
    assert_eq!(known(&renamed, &linked, None, &POLICY), signs_in(1, EmailChange::Keep));
}

#[test]
fn row_2_another_organization_is_refused() {
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        for organization_id in [OTHER, None] {
            let moved = Incoming { organization_id, ..ANN };
            let error = known(&moved, &okta(1), Some(1), &policy).unwrap_err();
            assert_eq!(error.code(), ErrorCode::IdentityOrganizationChanged);
            // It names what the call that mends it takes, and advises to remove nothing.
            let (detail, hint) = (error.detail().unwrap(), error.hint_text().unwrap());
            assert!(detail.contains(&okta(1).identities[0].id.to_string()) && detail.contains("org_acme"), "{detail}");
            assert_eq!(hint.contains("auth.move_identity"), organization_id.is_some(), "{hint}");
            assert!(!hint.contains("delet") && !hint.contains("remov"), "{hint}");
        }
        let google = user(2, None, vec![identity(2, None, "conn_google", "google-1", "ann@acme.com")]);
        assert_eq!(code(known(&ANN, &google, None, &policy)), ErrorCode::IdentityOrganizationChanged);
    }
}

#[test]
fn a_known_identity_of_somebody_else_is_our_own_mistake() {
    let (ann, identity) = (okta(1), &okta(1).identities[0]);
    assert_eq!(code(decide(&ANN, Some((identity, &ann)), &[], None, &POLICY)), ErrorCode::Unexpected);
    let same = Incoming { provider_id: &identity.provider_id, ..ANN };
    assert_eq!(code(decide(&same, Some((identity, &okta(2))), &[], None, &POLICY)), ErrorCode::Unexpected);
}

#[test]
fn row_3_a_successor_is_another_person() {
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        assert_eq!(unknown(&ANN, &[predecessor(1)], &policy), creates(Some("ann@acme.com"), Some(1)));
        assert_eq!(unknown(&ANN, &[deleted(predecessor(1))], &policy), creates(Some("ann@acme.com"), Some(1)));
        let untrusted = Policy { trust_email_domains: false, ..policy };
        assert_eq!(unknown(&ANN, &[predecessor(1)], &untrusted), creates(None, Some(1)));
        let closed = Policy { allow_signup: false, ..policy };
        assert_eq!(code(unknown(&ANN, &[predecessor(1)], &closed)), ErrorCode::SignupDisabled);
        // The ban stays whatever idp_id is sent.
        assert_eq!(code(unknown(&ANN, &[banned(predecessor(1))], &policy)), ErrorCode::UserBanned);
    }
}

#[test]
fn row_3_of_several_predecessors_the_holder_is_succeeded() {
    let former = Candidate { email: None, ..predecessor(1) };
    let between = Candidate { email: None, ..predecessor(3) };
    let three = [former.clone(), predecessor(2), between.clone()];
    assert_eq!(unknown(&ANN, &three, &POLICY), creates(Some("ann@acme.com"), Some(2)));
    assert_eq!(unknown(&ANN, &[former, between], &POLICY), creates(Some("ann@acme.com"), Some(3)));
}

#[test]
fn row_3_an_account_of_two_organizations_yields_only_a_trusted_address() {
    let mut linked = predecessor(1);
    linked.identities.push(identity(1, OTHER, "conn_other", "other-1", "ann@other.example"));
    assert_eq!(unknown(&ANN, slice::from_ref(&linked), &POLICY), creates(Some("ann@acme.com"), Some(1)));
    let untrusted = Policy { trust_email_domains: false, ..POLICY };
    assert_eq!(unknown(&ANN, slice::from_ref(&linked), &untrusted), creates(None, None));
    linked.email = Some("ann@other.example".into());
    assert_eq!(unknown(&ANN, &[linked], &POLICY), creates(Some("ann@acme.com"), None));
}

#[test]
fn row_3_needs_two_idp_ids_that_differ() {
    let mut same = predecessor(1);
    same.identities[0].idp_id = Some("entra-1".into());
    let mut unnamed = predecessor(1);
    unnamed.identities[0].idp_id = None;
    for doubtful in [same, unnamed] {
        assert_eq!(code(unknown(&ANN, slice::from_ref(&doubtful), &POLICY)), ErrorCode::MultipleAccounts);
        // Where nothing ever joins there is nothing to doubt; the address stays where it is.
        assert_eq!(unknown(&ANN, &[doubtful], &NEVER), creates(None, None));
    }
    let nameless = Incoming { idp_id: None, ..ANN };
    assert_eq!(code(unknown(&nameless, &[predecessor(1)], &POLICY)), ErrorCode::MultipleAccounts);
}

#[test]
fn row_4_the_same_person_at_a_new_connection_joins() {
    for policy in [POLICY, EMAIL_MODE, Policy { linking: Linking::Email, ..POLICY }] {
        assert_eq!(unknown(&ANN, &[okta(1)], &policy), joins(1));
        assert_eq!(unknown(&ANN, &[okta(1)], &Policy { allow_signup: false, ..policy }), joins(1));
        assert_eq!(code(unknown(&ANN, &[banned(okta(1))], &policy)), ErrorCode::UserBanned);
        assert_eq!(code(unknown(&ANN, &[deleted(okta(1))], &policy)), ErrorCode::UserDeleted);
    }
    assert_eq!(unknown(&ANN, &[okta(1)], &NEVER), creates(None, None));
    assert_eq!(code(unknown(&ANN, &[banned(okta(1))], &NEVER)), ErrorCode::UserBanned);
    let without = Candidate { email: None, ..okta(1) };
    let wanted = AccountDecision::Join { user_id: id(1), email: set("ann@acme.com") };
    assert_eq!(unknown(&ANN, &[without], &POLICY), Ok(wanted));
}

#[test]
fn row_4_an_identity_elsewhere_or_on_this_connection_is_a_doubt() {
    for (organization, connection) in [(OTHER, "conn_other"), (None, "conn_google"), (ACME, "conn_entra")] {
        let mut linked = okta(1);
        linked.identities.push(identity(1, organization, connection, "entra-1", "ann@acme.com"));
        assert_eq!(code(unknown(&ANN, slice::from_ref(&linked), &POLICY)), ErrorCode::MultipleAccounts, "{connection}");
        linked.identities.swap(0, 1);
        assert_eq!(code(unknown(&ANN, &[linked], &POLICY)), ErrorCode::MultipleAccounts, "{connection}");
    }
}

#[test]
fn row_5_the_same_address_elsewhere_is_a_new_user() {
    let elsewhere = user(1, Some("ann@acme.com"), vec![identity(1, OTHER, "conn_okta", "okta-1", "ann@acme.com")]);
    let google = user(2, Some("ann@acme.com"), vec![identity(2, None, "conn_google", "google-1", "ann@acme.com")]);
    let by_hand = user(3, Some("ann@acme.com"), vec![]);
    for policy in [POLICY, NEVER, Policy { linking: Linking::Email, ..POLICY }] {
        for other in [&elsewhere, &google, &by_hand] {
            // The address is held, so the new user's is NULL; what became of the other account is not told.
            for other in [other.clone(), banned(other.clone()), deleted(other.clone())] {
                assert_eq!(unknown(&ANN, &[other], &policy), creates(None, None));
            }
        }
    }
    assert_eq!(unknown(&ANN, &[banned(elsewhere.clone())], &EMAIL_MODE), creates(None, None));
    // The same connection id says nothing about another organization's account.
    let odd = user(4, None, vec![identity(4, OTHER, "conn_entra", "entra-0", "ann@acme.com")]);
    assert_eq!(unknown(&ANN, &[odd], &POLICY), creates(Some("ann@acme.com"), None));
    // Nor does an address that another organization gave to somebody who is here too.
    let mut both = elsewhere;
    both.identities.push(identity(1, ACME, "conn_okta", "okta-7", "a.lee@acme.com"));
    assert_eq!(unknown(&ANN, &[both], &POLICY), creates(None, None));
}

#[test]
fn row_6_no_organization_never_joins() {
    let public = user(1, Some("ann@acme.com"), vec![identity(1, None, "conn_github", "github-1", "ann@acme.com")]);
    let successor = user(2, None, vec![identity(2, None, "conn_google", "google-0", "ann@acme.com")]);
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        for other in [&public, &successor, &okta(3), &user(4, Some("ann@acme.com"), vec![])] {
            let wanted = other.email.is_none().then(|| "ann@acme.com");
            assert_eq!(unknown(&GOOGLE, slice::from_ref(other), &policy), creates(wanted, None));
        }
        assert_eq!(unknown(&GOOGLE, &[public.clone(), successor.clone()], &policy), creates(None, None));
        // A ban is kept all the same; one that an organization's account has is not Google's matter.
        assert_eq!(code(unknown(&GOOGLE, &[banned(public.clone())], &policy)), ErrorCode::UserBanned);
        assert_eq!(unknown(&GOOGLE, &[banned(okta(3))], &policy), creates(None, None));
    }
    // The rule of trusted domains is about organizations.
    let untrusted = Policy { trust_email_domains: false, ..POLICY };
    assert_eq!(unknown(&GOOGLE, &[], &untrusted), creates(Some("ann@acme.com"), None));
}

#[test]
fn row_7_several_candidates_are_refused() {
    for policy in [POLICY, EMAIL_MODE] {
        assert_eq!(code(unknown(&ANN, &[okta(1), okta(2)], &policy)), ErrorCode::MultipleAccounts);
        assert_eq!(code(unknown(&ANN, &[okta(1), predecessor(2)], &policy)), ErrorCode::MultipleAccounts);
        assert_eq!(code(unknown(&ANN, &[deleted(okta(1)), okta(2)], &policy)), ErrorCode::MultipleAccounts);
    }
    assert_eq!(unknown(&ANN, &[okta(1), okta(2)], &NEVER), creates(None, None));
}

#[test]
fn row_8_a_ban_is_refused_before_anything_else() {
    for policy in [POLICY, EMAIL_MODE, NEVER, Policy { allow_signup: false, ..POLICY }] {
        for candidates in [
            vec![banned(okta(1))],
            vec![okta(1), banned(okta(2))],
            vec![banned(deleted(okta(1)))],
            vec![predecessor(1), banned(predecessor(2))],
        ] {
            assert_eq!(code(unknown(&ANN, &candidates, &policy)), ErrorCode::UserBanned);
        }
    }
}

#[test]
fn mode_email_takes_in_accounts_without_organization() {
    let google = user(1, Some("ann@acme.com"), vec![identity(1, None, "conn_google", "google-1", "ann@acme.com")]);
    let by_hand = user(2, Some("ANN@acme.com"), vec![]);
    assert_eq!(unknown(&ANN, slice::from_ref(&google), &EMAIL_MODE), joins(1));
    assert_eq!(unknown(&ANN, slice::from_ref(&by_hand), &EMAIL_MODE), joins(2));
    assert_eq!(code(unknown(&ANN, &[banned(google.clone())], &EMAIL_MODE)), ErrorCode::UserBanned);
    assert_eq!(code(unknown(&ANN, &[google.clone(), by_hand], &EMAIL_MODE)), ErrorCode::MultipleAccounts);
    assert_eq!(code(unknown(&ANN, &[google.clone(), okta(3)], &EMAIL_MODE)), ErrorCode::MultipleAccounts);
    // Somebody of this organization and of none is its own person still.
    let mut both = okta(4);
    both.identities.extend(google.identities.clone());
    assert_eq!(unknown(&ANN, &[both], &EMAIL_MODE), joins(4));
    // Another organization's person is not.
    let mut others = google;
    others.identities.push(identity(1, OTHER, "conn_other", "other-1", "ann@acme.com"));
    assert_eq!(unknown(&ANN, &[others], &EMAIL_MODE), creates(None, None));
}

#[test]
fn addresses_compare_in_ascii_only() {
    let turkish = Incoming { email: "\u{212a}im@acme.com", ..ANN };
    let kim = user(1, Some("kim@acme.com"), vec![identity(1, ACME, "conn_okta", "okta-1", "kim@acme.com")]);
    assert_eq!(unknown(&turkish, &[kim], &POLICY), creates(Some("\u{212a}im@acme.com"), None));
    // The very same address does not link either, but a ban is kept.
    let zoe = Incoming { email: "Zoë@acme.com", ..ANN };
    let same = user(1, Some("zoë@acme.com"), vec![identity(1, ACME, "conn_okta", "okta-1", "zoë@acme.com")]);
    assert_eq!(unknown(&zoe, slice::from_ref(&same), &POLICY), creates(None, None));
    assert_eq!(unknown(&zoe, slice::from_ref(&same), &EMAIL_MODE), creates(None, None));
    assert_eq!(code(unknown(&zoe, &[banned(same)], &POLICY)), ErrorCode::UserBanned);
    // Nor does what is no address at all.
    for email in ["", "ann", "@acme.com", "ann@"] {
        let nobody = user(1, Some(email), vec![identity(1, ACME, "conn_okta", "okta-1", email)]);
        assert_eq!(unknown(&Incoming { email, ..ANN }, &[nobody], &POLICY), creates(None, None), "{email}");
    }
}

#[test]
fn nobody_known_is_a_new_user() {
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        assert_eq!(unknown(&ANN, &[], &policy), creates(Some("ann@acme.com"), None));
        assert_eq!(decide(&ANN, None, &[], Some(id(9)), &policy), creates(None, None));
        let closed = Policy { allow_signup: false, ..policy };
        assert_eq!(code(unknown(&ANN, &[], &closed)), ErrorCode::SignupDisabled);
        // A candidate that the query should not have found is passed over.
        let stranger = user(1, None, vec![identity(1, ACME, "conn_okta", "okta-1", "bob@acme.com")]);
        assert_eq!(unknown(&ANN, &[stranger], &policy), creates(Some("ann@acme.com"), None));
    }
}

#[test]
fn folding() {
    assert_eq!(fold_email("ÄNN@Acme.COM"), "Änn@acme.com");
}

#[test]
fn modes_have_names() {
    for linking in Linking::ALL {
        assert_eq!(Linking::parse(linking.as_str()).unwrap(), *linking);
    }
    assert_eq!(Linking::parse("Email").unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(Linking::parse("").unwrap_err().code(), ErrorCode::InvalidArgument);
}
