//! Row 10: whose account a token of a trusted issuer is about.
//!
//! The issuer vouches for people as a public identity provider does: for nobody's organization but the one that the token names, and for no
//! address of another account. So nobody joins an account that is there.

use uuid::Uuid;

use super::{AccountDecision, Candidate, EmailChange, Incoming, KnownIdentity, Policy, concerns};
use crate::error::{ErrorCode, Result};

/// What the token says of the person.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `sub`
    pub subject: &'a str,
    /// The organization that it is for
    pub organization_id: Option<&'a str>,
    /// A verified address, in lower case
    pub email: Option<&'a str>,
}

impl<'a> Person<'a> {
    /// As which profiles of WorkOS the person could come as well: of no organization, and of the token's. None without an address.
    pub fn profiles(&self) -> impl Iterator<Item = Incoming<'a>> + use<'a> {
        let organizations = [Some(None), self.organization_id.map(Some)];
        let Self { issuer, subject, email, .. } = *self;
        let profile = move |organization_id| {
            email.map(|email| Incoming {
                provider_id: subject,
                organization_id,
                connection_id: issuer,
                idp_id: None,
                email,
            })
        };
        organizations.into_iter().flatten().filter_map(profile)
    }

    /// Decides whose account it is. `known` is the identity of issuer and subject with its user; the others are as for
    /// [`decide`](super::decide), of the [`profiles`](Self::profiles).
    ///
    /// # Errors
    /// `user_banned`, also for a banned user whom one of the profiles could mean; `user_deleted`, `signup_disabled`.
    pub fn decide(
        &self,
        known: Option<(&KnownIdentity, &Candidate)>,
        candidates: &[Candidate],
        email_holder: Option<Uuid>,
        policy: &Policy,
    ) -> Result<AccountDecision> {
        let is_banned = |user: &Candidate| user.banned && self.profiles().any(|meant| concerns(&meant, user, policy));
        if known.is_none() && candidates.iter().any(is_banned) {
            return Err(ErrorCode::UserBanned.into());
        }
        // Of its people's addresses, an organization's word counts as far as workos_auth.trust_email_domains says.
        let is_trusted = self.organization_id.is_none() || policy.trust_email_domains;
        let email = self.email.filter(|_| is_trusted);
        let incoming = Incoming {
            provider_id: self.subject,
            // An administrator may have said more of the identity.
            organization_id: known.and_then(|(identity, _)| identity.organization_id.as_deref()),
            connection_id: self.issuer,
            idp_id: None,
            email: email.unwrap_or_default(),
        };
        Ok(match super::decide(&incoming, known, &[], email_holder, policy)? {
            // A token that says no address takes none away.
            AccountDecision::SignIn { user_id, .. } if email.is_none() => {
                AccountDecision::SignIn { user_id, email: EmailChange::Keep }
            }
            decided => decided,
        })
    }
}
