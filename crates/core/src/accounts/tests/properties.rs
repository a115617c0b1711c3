//! What no profile, however hostile, may bring about. The worlds are small, so that coincidences are common.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const EMAILS: &[&str] = &["ann@acme.com", "ANN@acme.com", "bob@acme.com", "zoë@acme.com", "", "ann"];

/// An organization and one of its connections.
fn place() -> impl Strategy<Value = (Option<&'static str>, &'static str)> {
    select(vec![
        (ACME, "conn_okta"),
        (ACME, "conn_entra"),
        (OTHER, "conn_other"),
        (OTHER, "conn_second"),
        (None, "conn_google"),
        (None, "conn_github"),
    ])
}

fn idp_id() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, Some("1"), Some("2")])
}

fn email() -> impl Strategy<Value = &'static str> {
    select(EMAILS)
}

fn identities(user_id: u128) -> impl Strategy<Value = Vec<KnownIdentity>> {
    let one = (place(), idp_id(), email()).prop_map(move |((organization, connection), idp_id, email)| {
        let identity = identity(user_id, organization, connection, "", email);
        KnownIdentity { idp_id: idp_id.map(str::to_owned), ..identity }
    });
    prop::collection::vec(one, 0..4)
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = |number: u128| {
        let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1), any::<bool>());
        let memberships = prop::sample::subsequence(vec!["org_acme", "org_other"], 0..=2);
        (prop::option::of(email()), flags, memberships, identities(number)).prop_map(
            move |(email, (banned, deleted, invited), memberships, identities)| Candidate {
                banned,
                deleted,
                invited,
                memberships: memberships.into_iter().map(str::to_owned).collect(),
                ..user(number, email, identities)
            },
        )
    };
    (one(1), one(2), one(3), 0..4usize).prop_map(|(a, b, c, count)| {
        let mut all = vec![a, b, c];
        all.truncate(count);
        // Unique, as the table's index has it.
        for at in 1..all.len() {
            let email = all[at].email.as_deref().map(fold_email);
            if all[..at].iter().any(|user| user.email.as_deref().map(fold_email) == email) {
                all[at].email = None;
            }
        }
        all
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (select(Linking::ALL), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(linking, allow_signup, trust_email_domains, email_domain_is_organizations)| Policy {
            linking,
            allow_signup,
            trust_email_domains,
            email_domain_is_organizations,
        },
    )
}

fn incoming() -> impl Strategy<Value = Incoming<'static>> {
    (place(), idp_id(), email()).prop_map(|((organization_id, connection_id), idp_id, email)| Incoming {
        provider_id: "prof_new",
        organization_id,
        connection_id,
        idp_id,
        email,
    })
}

fn find(candidates: &[Candidate], user: Uuid) -> &Candidate {
    candidates.iter().find(|candidate| candidate.user_id == user).unwrap()
}

fn says(identity: &KnownIdentity, email: &str) -> bool {
    identity.email.eq_ignore_ascii_case(email)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn an_unknown_profile_never_gets_what_is_not_its_own(
        incoming in incoming(), candidates in candidates(), policy in policy(), stranger: bool,
    ) {
        let held_by = |user: &&Candidate| user.email.as_deref().is_some_and(|e| e.eq_ignore_ascii_case(incoming.email));
        let holder = candidates.iter().find(held_by).map(|user| user.user_id).or(stranger.then(|| id(9)));
        let here = |identity: &KnownIdentity| identity.organization_id.as_deref() == incoming.organization_id;
        let may_set = |user: Option<Uuid>| {
            (holder.is_none() || holder == user) && (policy.trust_email_domains || incoming.organization_id.is_none())
        };
        match decide(&incoming, None, &candidates, holder, &policy) {
            Ok(AccountDecision::SignIn { .. }) => prop_assert!(false, "an unknown profile signed in"),
            Ok(AccountDecision::Join { user_id, email }) => {
                let user = find(&candidates, user_id);
                prop_assert!(!user.banned && !user.deleted);
                prop_assert!(policy.linking != Linking::None);
                prop_assert!(incoming.email == "ann@acme.com" || incoming.email.is_ascii() && incoming.email.contains('@'));
                prop_assert!(incoming.organization_id.is_some());
                let wider = policy.linking == Linking::Email && policy.email_domain_is_organizations;
                prop_assert!(user.identities.iter().all(|i| here(i) || wider && i.organization_id.is_none()));
                let only_here = user.memberships.iter().all(|id| Some(id.as_str()) == incoming.organization_id);
                let invited = user.identities.is_empty() && user.invited && !user.memberships.is_empty() && only_here;
                prop_assert!(user.identities.iter().any(here) || only_here && (wider || invited));
                prop_assert!(user.identities.iter().all(|i| i.connection_id.as_deref() != Some(incoming.connection_id)));
                prop_assert!(held_by(&user) || user.identities.iter().any(|i| says(i, incoming.email)));
                prop_assert!(email == EmailChange::Keep || may_set(Some(user_id)) && user.email.is_none());
            }
            Ok(AccountDecision::Create { email, succeeded }) => {
                prop_assert!(policy.allow_signup);
                prop_assert!(email.is_none() || may_set(succeeded));
                prop_assert!(email.is_none_or(|email| email == incoming.email.to_ascii_lowercase() && email.contains('@')));
                if let Some(user) = succeeded.map(|user| find(&candidates, user)) {
                    prop_assert!(!user.banned);
                    prop_assert!(incoming.organization_id.is_some());
                    let same = |i: &&KnownIdentity| i.connection_id.as_deref() == Some(incoming.connection_id);
                    prop_assert!(user.identities.iter().any(|i| here(i) && same(&i)));
                    prop_assert!(user.identities.iter().filter(same).all(|i| i.idp_id.as_deref() != incoming.idp_id));
                    prop_assert!(held_by(&user) || user.identities.iter().all(here));
                }
            }
            Err(error) => prop_assert!(matches!(
                error.code(),
                ErrorCode::MultipleAccounts | ErrorCode::UserBanned | ErrorCode::UserDeleted | ErrorCode::SignupDisabled
            )),
        }
    }

    #[test]
    fn accounts_of_other_organizations_change_nothing(
        incoming in incoming(), candidates in candidates(), policy in policy(),
    ) {
        let elsewhere = |user: &Candidate| {
            let other = |i: &KnownIdentity| {
                i.organization_id.is_some() && i.organization_id.as_deref() != incoming.organization_id
            };
            let member = |id: &String| Some(id.as_str()) != incoming.organization_id;
            match user.identities.is_empty() {
                true => !user.memberships.is_empty() && user.memberships.iter().all(member),
                false => user.identities.iter().all(other),
            }
        };
        let without: Vec<Candidate> = candidates.iter().filter(|user| !elsewhere(user)).cloned().collect();
        prop_assert_eq!(
            decide(&incoming, None, &candidates, Some(id(9)), &policy),
            decide(&incoming, None, &without, Some(id(9)), &policy)
        );
    }

    #[test]
    fn a_known_profile_gets_its_own_account_or_nothing(
        incoming in incoming(), candidates in candidates(), policy in policy(), stranger: bool,
    ) {
        for user in &candidates {
            for identity in &user.identities {
                let incoming = Incoming { provider_id: &identity.provider_id, ..incoming };
                let holder = stranger.then(|| id(9));
                let same = identity.organization_id.as_deref() == incoming.organization_id;
                match decide(&incoming, Some((identity, user)), &candidates, holder, &policy) {
                    Ok(AccountDecision::SignIn { user_id, email }) => {
                        prop_assert!(same && !user.banned && !user.deleted && user_id == user.user_id);
                        let trusted = policy.trust_email_domains || incoming.organization_id.is_none();
                        prop_assert!(!matches!(email, EmailChange::Set(_)) || holder.is_none() && trusted);
                        let own = user.email.as_deref().is_none_or(|email| says(identity, email));
                        prop_assert!(email == EmailChange::Keep || own);
                    }
                    Ok(other) => prop_assert!(false, "{other:?}"),
                    Err(error) => {
                        let due = match error.code() {
                            ErrorCode::IdentityOrganizationChanged => !same,
                            ErrorCode::UserBanned => user.banned,
                            ErrorCode::UserDeleted => user.deleted,
                            _ => false,
                        };
                        prop_assert!(due, "{error:?}");
                    }
                }
            }
        }
    }
}
