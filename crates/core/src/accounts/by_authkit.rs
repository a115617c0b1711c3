//! Whose account somebody of AuthKit is: the second table.
//!
//! A `user_…` is one person in all organizations of the application, so that the identity has none and the session has one. Of the
//! address WorkOS says whether it has verified it. An account that a customer's own connection leads into stays that customer's: its
//! identity provider can sign in as whoever has an identity there, and `auth.uid()` would be the same elsewhere.
//!
//! | | person | decision |
//! |---|---|---|
//! | A1 | known `user_…`, in whichever organization, or in none | signs in |
//! | A2 | known, the account has an identity of single sign-on in another organization than the session's | refused, `cross_organization_link_disabled`, unless `workos_auth.link_across_organizations` |
//! | A3 | known, banned or deleted | refused, `user_banned`, `user_deleted` |
//! | A4 | new `user_…`, address not verified | new user without an address; never joined |
//! | A5 | new `user_…`, no organization | new user; never joined |
//! | A6 | new `user_…`, verified address; one account of this address whose identities and memberships are all in the session's organization, or that was invited there | joins |
//! | A7 | same address, account in another organization | new user, whose `users.email` stays NULL |
//! | A8 | several such accounts, or one that is elsewhere too | refused, `multiple_accounts` |
//! | A9 | an account of this address in reach of A6, or of another `user_…`, is banned | refused, `user_banned`; never a second user |
//! | A10 | same address, account of another `user_…`, or one whose single sign-on is the organization's and which is no member there any more | new user: an address is one person's at WorkOS, and may be a successor's |

use uuid::Uuid;

use super::{AUTHKIT, AccountDecision, Candidate, EmailChange, Incoming, KnownIdentity, Policy, concerns};
use crate::error::{Error, ErrorCode, Result};

/// The person as AuthKit names them.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// `user_…`
    pub id: &'a str,
    /// The organization of the session.
    pub organization_id: Option<&'a str>,
    /// An address that WorkOS has verified, in lower case.
    pub email: Option<&'a str>,
}

impl<'a> Person<'a> {
    /// The person as a profile of single sign-on would be, of the session's organization and of no connection that anybody has.
    fn profile(&self) -> Incoming<'a> {
        Incoming {
            provider_id: self.id,
            organization_id: self.organization_id,
            connection_id: AUTHKIT,
            idp_id: None,
            email: self.email.unwrap_or_default(),
        }
    }

    /// Whether the decision needs a user of the address.
    pub fn concerns(&self, user: &Candidate, policy: &Policy) -> bool {
        is_of_authkit(user) || concerns(&self.profile(), user, policy)
    }

    /// Decides whose account it is. `known` is the identity of the `user_…` with its user; the others are as for
    /// [`decide`](super::decide). `across` is `workos_auth.link_across_organizations`.
    ///
    /// # Errors
    /// `user_banned`, `user_deleted`, `multiple_accounts`, `signup_disabled`, `cross_organization_link_disabled`.
    pub fn decide(
        &self,
        known: Option<(&KnownIdentity, &Candidate)>,
        candidates: &[Candidate],
        email_holder: Option<Uuid>,
        policy: &Policy,
        across: bool,
    ) -> Result<AccountDecision> {
        // Its word on the address is WorkOS's, not a customer's.
        let policy = Policy { trust_email_domains: true, ..*policy };
        match known {
            Some((identity, user)) => self.sign_in(identity, user, email_holder, &policy, across),
            None => self.join_or_create(candidates, email_holder, &policy),
        }
    }

    /// Rows A1 to A3.
    fn sign_in(
        &self,
        identity: &KnownIdentity,
        user: &Candidate,
        email_holder: Option<Uuid>,
        policy: &Policy,
        across: bool,
    ) -> Result<AccountDecision> {
        let incoming = Incoming { organization_id: identity.organization_id.as_deref(), ..self.profile() };
        let decided = super::decide(&incoming, Some((identity, user)), &[], email_holder, policy)?;
        let is_anothers = |identity: &&KnownIdentity| {
            identity.organization_id.is_some() && identity.organization_id.as_deref() != self.organization_id
        };
        if let Some(other) = user.identities.iter().find(is_anothers).filter(|_| !across) {
            let detail = format!(
                "The identity {} leads into the account from the organization {}. workos_auth.link_across_organizations is off.",
                other.id,
                other.organization_id.as_deref().unwrap_or_default()
            );
            return Err(Error::with_detail(ErrorCode::CrossOrganizationLinkDisabled, detail).hint(
                "Unlink that identity if the person needs it no more. If the account may be of both, a superuser sets \
                 workos_auth.link_across_organizations = on.",
            ));
        }
        Ok(match decided {
            // An address that is not verified takes none away.
            AccountDecision::SignIn { user_id, .. } if self.email.is_none() => {
                AccountDecision::SignIn { user_id, email: EmailChange::Keep }
            }
            decided => decided,
        })
    }

    /// Rows A4 to A10.
    fn join_or_create(
        &self,
        candidates: &[Candidate],
        email_holder: Option<Uuid>,
        policy: &Policy,
    ) -> Result<AccountDecision> {
        let (others, candidates): (Vec<Candidate>, Vec<Candidate>) =
            candidates.iter().cloned().partition(|user| is_of_authkit(user) || self.has_left(user));
        if self.email.is_some() && others.iter().any(|user| user.banned) {
            return Err(ErrorCode::UserBanned.into());
        }
        let decided = super::decide(&self.profile(), None, &candidates, email_holder, policy)?;
        if let AccountDecision::Join { user_id, .. } = &decided {
            let joined = candidates.iter().find(|user| user.user_id == *user_id);
            let is_here = |id: &String| Some(id.as_str()) == self.organization_id;
            if !joined.is_some_and(|user| user.memberships.iter().all(is_here)) {
                return Err(Error::with_detail(
                    ErrorCode::MultipleAccounts,
                    "One account has this address, but it also belongs to another organization.",
                ));
            }
        }
        Ok(decided)
    }

    /// Whether the session's organization has the user no more, whom its single sign-on brought.
    fn has_left(&self, user: &Candidate) -> bool {
        self.organization_id.is_some_and(|here| {
            user.identities.iter().any(|identity| identity.organization_id.as_deref() == Some(here))
                && !user.memberships.iter().any(|id| id == here)
        })
    }
}

fn is_of_authkit(user: &Candidate) -> bool {
    user.identities.iter().any(|identity| identity.provider == AUTHKIT)
}
