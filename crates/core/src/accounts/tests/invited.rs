//! Row 9: invitations to an account that waits.

use super::*;

#[test]
fn row_9_whoever_was_invited_joins_the_account_that_waits() {
    let ann = invited(1, &["org_acme"]);
    for policy in [POLICY, EMAIL_MODE, Policy { linking: Linking::Email, ..POLICY }] {
        assert_eq!(unknown(&ANN, slice::from_ref(&ann), &policy), joins(1));
        // That is what an invitation is for.
        assert_eq!(unknown(&ANN, slice::from_ref(&ann), &Policy { allow_signup: false, ..policy }), joins(1));
        assert_eq!(code(unknown(&ANN, &[banned(ann.clone())], &policy)), ErrorCode::UserBanned);
        assert_eq!(code(unknown(&ANN, &[deleted(ann.clone())], &policy)), ErrorCode::UserDeleted);
        assert_eq!(code(unknown(&ANN, &[ann.clone(), okta(2)], &policy)), ErrorCode::MultipleAccounts);
        assert_eq!(code(unknown(&ANN, &[ann.clone(), predecessor(2)], &policy)), ErrorCode::MultipleAccounts);
        // Two customers' person: neither of their identity providers may enter it by itself.
        let both = invited(1, &["org_acme", "org_other"]);
        assert_eq!(code(unknown(&ANN, &[both], &policy)), ErrorCode::MultipleAccounts);
    }
    assert_eq!(unknown(&ANN, slice::from_ref(&ann), &NEVER), creates(None, None));
    assert_eq!(code(unknown(&ANN, &[banned(ann)], &NEVER)), ErrorCode::UserBanned);
}

#[test]
fn row_9_an_invitation_is_one_organizations_and_for_one_address() {
    for policy in [POLICY, EMAIL_MODE, NEVER] {
        let elsewhere = invited(1, &["org_other"]);
        for other in [elsewhere.clone(), banned(elsewhere.clone()), deleted(elsewhere)] {
            assert_eq!(unknown(&ANN, &[other], &policy), creates(None, None));
        }
        // Google's word is no organization's, whoever is banned there.
        assert_eq!(unknown(&GOOGLE, &[banned(invited(1, &["org_acme"]))], &policy), creates(None, None));
        let renamed = Candidate { email: Some("a.lee@acme.com".into()), ..invited(1, &["org_acme"]) };
        assert_eq!(unknown(&ANN, &[renamed], &policy), creates(Some("ann@acme.com"), None));
        let zoe = Candidate { email: Some("zoë@acme.com".into()), ..invited(1, &["org_acme"]) };
        assert_eq!(unknown(&Incoming { email: "zoë@acme.com", ..ANN }, &[zoe], &policy), creates(None, None));
    }
}

#[test]
fn row_9_an_invitation_is_accepted_once() {
    // An administrator has removed the identity of a member, perhaps since the address is another person's now.
    let accepted = Candidate { invited: false, ..invited(1, &["org_acme"]) };
    assert_eq!(unknown(&ANN, slice::from_ref(&accepted), &POLICY), creates(None, None));
    // Where the address alone is believed, it is believed here too; but no other organization's member is.
    assert_eq!(unknown(&ANN, &[accepted], &EMAIL_MODE), joins(1));
    let elsewhere = Candidate { invited: false, ..invited(1, &["org_other"]) };
    assert_eq!(unknown(&ANN, &[elsewhere], &EMAIL_MODE), creates(None, None));
    let google = identity(2, None, "conn_google", "google-1", "ann@acme.com");
    let member = Candidate { memberships: vec!["org_other".into()], ..user(2, Some("ann@acme.com"), vec![google]) };
    assert_eq!(unknown(&ANN, &[member], &EMAIL_MODE), creates(None, None));
}
