//! Rows 10 and 11: tokens of trusted issuers, and who is known by nothing else.

use super::*;
use crate::accounts::by_token::Person;

const ISSUER: &str = "https://id.acme.com";
/// Ann, for no organization.
const TOKENS_ANN: Person<'static> =
    Person { issuer: ISSUER, subject: "ann", organization_id: None, email: Some("ann@acme.com") };
const UNTRUSTING: Policy = Policy { trust_email_domains: false, ..POLICY };

/// Ann as tokens have made her known.
fn by_token(number: u128) -> Candidate {
    let identity = KnownIdentity {
        provider: ISSUER.into(),
        provider_id: "ann".into(),
        connection_id: None,
        idp_id: None,
        ..identity(number, None, "", "", "ann@acme.com")
    };
    user(number, Some("ann@acme.com"), vec![identity])
}

fn unknown(person: &Person<'_>, candidates: &[Candidate], policy: &Policy) -> Result<AccountDecision> {
    let holder = candidates.iter().find(|user| user.email.as_deref() == person.email);
    person.decide(None, candidates, holder.map(|user| user.user_id), policy)
}

fn known(person: &Person<'_>, user: &Candidate, holder: Option<u128>, policy: &Policy) -> Result<AccountDecision> {
    person.decide(Some((&user.identities[0], user)), &[], holder.map(id), policy)
}

#[test]
fn row_10_a_known_subject_signs_in() {
    for policy in [POLICY, EMAIL_MODE, NEVER, Policy { allow_signup: false, ..POLICY }] {
        assert_eq!(known(&TOKENS_ANN, &by_token(1), Some(1), &policy), signs_in(1, EmailChange::Keep));
        assert_eq!(code(known(&TOKENS_ANN, &banned(by_token(1)), Some(1), &policy)), ErrorCode::UserBanned);
        assert_eq!(code(known(&TOKENS_ANN, &deleted(by_token(1)), Some(1), &policy)), ErrorCode::UserDeleted);
    }
    // Also where an administrator has moved the identity.
    let mut moved = by_token(1);
    moved.identities[0].organization_id = ACME.map(str::to_owned);
    assert_eq!(known(&TOKENS_ANN, &moved, Some(1), &POLICY), signs_in(1, EmailChange::Keep));
}

#[test]
fn row_10_the_address_follows_where_the_token_may_say_it() {
    let renamed = Person { email: Some("ann.lee@acme.com"), ..TOKENS_ANN };
    assert_eq!(known(&renamed, &by_token(1), None, &POLICY), signs_in(1, set("ann.lee@acme.com")));
    assert_eq!(known(&renamed, &by_token(1), Some(9), &POLICY), signs_in(1, EmailChange::Release));
    // No address takes none away, and neither does one that does not count.
    let silent = Person { email: None, ..TOKENS_ANN };
    assert_eq!(known(&silent, &by_token(1), None, &POLICY), signs_in(1, EmailChange::Keep));
    let of_acme = Person { organization_id: ACME, ..renamed };
    assert_eq!(known(&of_acme, &by_token(1), None, &UNTRUSTING), signs_in(1, EmailChange::Keep));
    assert_eq!(known(&of_acme, &by_token(1), None, &POLICY), signs_in(1, set("ann.lee@acme.com")));
}

#[test]
fn row_10_whoever_is_not_known_joins_nobody() {
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        for organization_id in [None, ACME] {
            let person = Person { organization_id, ..TOKENS_ANN };
            assert_eq!(unknown(&person, &[], &policy), creates(Some("ann@acme.com"), None));
            for other in [okta(1), predecessor(1), by_token(1), invited(1, &["org_acme"])] {
                assert_eq!(unknown(&person, &[other], &policy), creates(None, None));
            }
            let closed = Policy { allow_signup: false, ..policy };
            assert_eq!(code(unknown(&person, &[], &closed)), ErrorCode::SignupDisabled);
        }
    }
    assert_eq!(unknown(&Person { organization_id: ACME, ..TOKENS_ANN }, &[], &UNTRUSTING), creates(None, None));
    assert_eq!(unknown(&Person { email: None, ..TOKENS_ANN }, &[], &POLICY), creates(None, None));
}

#[test]
fn row_10_nobody_comes_past_a_ban() {
    let google = user(1, Some("ann@acme.com"), vec![identity(1, None, "conn_google", "google-1", "ann@acme.com")]);
    for policy in [POLICY, EMAIL_MODE, NEVER, UNTRUSTING] {
        for organization_id in [None, ACME, OTHER] {
            let person = Person { organization_id, ..TOKENS_ANN };
            // Of no organization: by whichever the token says.
            assert_eq!(code(unknown(&person, &[banned(google.clone())], &policy)), ErrorCode::UserBanned);
            assert_eq!(code(unknown(&person, &[banned(by_token(1))], &policy)), ErrorCode::UserBanned);
            // Of an organization: there alone.
            let acmes = unknown(&person, &[banned(okta(1))], &policy);
            assert_eq!(acmes.is_err_and(|error| error.code() == ErrorCode::UserBanned), organization_id == ACME);
        }
    }
    // Without an address nobody is meant.
    assert_eq!(unknown(&Person { email: None, ..TOKENS_ANN }, &[banned(google)], &POLICY), creates(None, None));
}

#[test]
fn row_11_the_word_of_an_issuer_leads_no_profile_into_an_account() {
    let google_ann = Incoming { email: "ann@acme.com", ..GOOGLE };
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        for incoming in [&ANN, &google_ann] {
            assert_eq!(super::unknown(incoming, &[by_token(1)], &policy), creates(None, None));
        }
        assert_eq!(code(super::unknown(&google_ann, &[banned(by_token(1))], &policy)), ErrorCode::UserBanned);
    }
    // Nor does it stand in the way of one who is meant.
    assert_eq!(super::unknown(&ANN, &[by_token(1), okta(2)], &POLICY), joins(2));
}
