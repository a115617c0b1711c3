//! Whose account is it: which user a WorkOS profile signs in as.
//!
//! The rule above all others: one customer's identity provider never asserts its way into another customer's account.
//! An e-mail address is a claim of the organization that sent it, so it is only ever compared within that
//! organization. WorkOS says the same: authorize on the organization, never on the domain of an address.
//!
//! | | profile | decision |
//! |---|---|---|
//! | 1 | known profile id, same organization | signs in |
//! | 2 | known profile id, other organization | refused, `identity_organization_changed` |
//! | 3 | new profile id, same connection, same e-mail, other idp_id | another person: new user; the old one's e-mail is released, sessions end |
//! | 4 | new profile id, other connection, same organization and e-mail | joins the one candidate whose identities are all in this organization, none on this connection |
//! | 5 | same e-mail, other organization | new user |
//! | 6 | no organization | never joined by e-mail |
//! | 7 | several candidates | refused, `multiple_accounts` |
//! | 8 | candidate banned | refused, `user_banned`; never a second user |
//! | 9 | new profile id; a user of that e-mail who was invited to this organization, belongs to no other and has never had an identity | joins, if exactly one |
//! | 10 | token of a trusted issuer | known issuer and subject sign in, else a new user: see [`by_token`] |
//! | 11 | user whom nothing but tokens of trusted issuers has made known | never a candidate, but for a ban |
//!
//! What somebody does to the identities of their own account stands in [`identities`], whom a token names in [`by_token`], whom AuthKit names, whose people
//! span organizations, in [`by_authkit`], and what an administrator does to accounts in [`joining`].
//!
//! Where the table is silent, what cannot be decided is refused: a refusal can be mended, a wrong join cannot.

use uuid::Uuid;

use crate::email::domain;
use crate::error::{Error, ErrorCode, Result};

/// `workos_auth.account_linking`: when a profile that is not known yet may join an account that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linking {
    /// Within its organization, by the table of this module.
    Organization,
    /// As [`Linking::Organization`], and where the address's domain is one of the organization's own, also an account
    /// of no organization at all. Never one that has an identity of another organization.
    Email,
    /// Never.
    None,
}

impl Linking {
    /// The setting's values.
    pub const ALL: &'static [Linking] = &[Linking::Organization, Linking::Email, Linking::None];

    /// The setting's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Linking::Organization => "organization",
            Linking::Email => "email",
            Linking::None => "none",
        }
    }

    /// The mode of that name.
    ///
    /// # Errors
    /// `validation_failed` if there is none.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|linking| linking.as_str() == name)
            .ok_or_else(|| Error::invalid("account_linking", "It is organization, email or none."))
    }
}

/// The profile that WorkOS vouches for now.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// WorkOS's profile id.
    pub provider_id: &'a str,
    /// Its organization, absent for GoogleOAuth and the like.
    pub organization_id: Option<&'a str>,
    /// Its connection.
    pub connection_id: &'a str,
    /// The identity provider's own id of the person.
    pub idp_id: Option<&'a str>,
    /// Its address, as the identity provider writes it.
    pub email: &'a str,
}

/// `identities.provider` of WorkOS's profiles.
pub const WORKOS: &str = "workos";

/// `identities.provider` of AuthKit's people.
pub const AUTHKIT: &str = "authkit";

/// A row of `auth.identities`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIdentity {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// [`WORKOS`], [`AUTHKIT`], or the issuer of the tokens that name the person.
    pub provider: String,
    /// WorkOS's profile id, or the issuer's or AuthKit's id of the person.
    pub provider_id: String,
    /// Its organization.
    pub organization_id: Option<String>,
    /// Its connection.
    pub connection_id: Option<String>,
    /// The identity provider's own id of the person.
    pub idp_id: Option<String>,
    /// Its address when it last signed in.
    pub email: String,
}

impl KnownIdentity {
    /// Whether a trusted issuer vouches for it: issuers are URIs, also those that are not trusted any more.
    pub fn is_of_issuer(&self) -> bool {
        self.provider.contains(':')
    }
}

/// A user who may be meant, with all of their identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The user's id.
    pub user_id: Uuid,
    /// `users.email`.
    pub email: Option<String>,
    /// Whether a ban is in force.
    pub banned: bool,
    /// Whether the account is marked as deleted.
    pub deleted: bool,
    /// Whether an administrator made the account for somebody who has not signed in since.
    pub invited: bool,
    /// All of the organizations that the user belongs to.
    pub memberships: Vec<String>,
    /// All of the user's identities, not only those that match.
    pub identities: Vec<KnownIdentity>,
}

impl Candidate {
    /// Row 11: whose address is the word of issuers alone.
    fn is_known_by_tokens_alone(&self) -> bool {
        !self.identities.is_empty() && self.identities.iter().all(KnownIdentity::is_of_issuer)
    }
}

/// The settings, and the one fact about the organization, that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// `workos_auth.account_linking`.
    pub linking: Linking,
    /// `workos_auth.allow_signup`.
    pub allow_signup: bool,
    /// `workos_auth.trust_email_domains`: WorkOS lets an organization vouch for its own domains only.
    pub trust_email_domains: bool,
    /// Whether the domain of the address stands in `organization_domains` for the profile's organization.
    pub email_domain_is_organizations: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountDecision {
    /// The known identity signs in as its user; the identity's own columns are updated.
    SignIn {
        /// The user.
        user_id: Uuid,
        /// What becomes of `users.email`.
        email: EmailChange,
    },
    /// The profile becomes a further identity of a user; audited.
    Join {
        /// The user.
        user_id: Uuid,
        /// What becomes of `users.email`.
        email: EmailChange,
    },
    /// The profile becomes the first identity of a new user.
    Create {
        /// `users.email` of the new user, in lower case; `None` leaves it NULL.
        email: Option<String>,
        /// Who had the address before: first their `users.email` becomes NULL and their sessions end.
        succeeded: Option<Uuid>,
    },
}

/// What becomes of `users.email`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailChange {
    /// It stays.
    Keep,
    /// It becomes this, in lower case; nobody else holds it.
    Set(String),
    /// It becomes NULL: the identity that it came from no longer says it.
    Release,
}

/// Decides whose account a profile belongs to.
///
/// `known` is the identity of this profile id with its user; `candidates`, oldest first and each once, are the users
/// whose address, or whose identity's, is the profile's; `email_holder` is the user whose `users.email` it is. They
/// are read under a lock that holds off a second sign-in of the same address. Candidates who do not match are passed over,
/// so a query that finds too many does no harm.
///
/// # Errors
/// `identity_organization_changed`, `multiple_accounts`, `user_banned`, `user_deleted`, `signup_disabled`; and
/// `unexpected_failure` if `known` is not the profile's.
pub fn decide(
    incoming: &Incoming<'_>,
    known: Option<(&KnownIdentity, &Candidate)>,
    candidates: &[Candidate],
    email_holder: Option<Uuid>,
    policy: &Policy,
) -> Result<AccountDecision> {
    let profile = ComparedProfile { incoming, policy, email: fold_email(incoming.email), holder: email_holder };
    match known {
        Some((identity, user)) => profile.sign_in(identity, user),
        None => profile.join_or_create(candidates),
    }
}

/// Whether a user of the profile's address could be meant by it: others are passed over by [`decide`], and need not be locked for it.
pub fn concerns(incoming: &Incoming<'_>, user: &Candidate, policy: &Policy) -> bool {
    ComparedProfile { incoming, policy, email: fold_email(incoming.email), holder: None }.concerns(user)
}

/// The address as it is compared and stored: ASCII letters in lower case, all else untouched (Unicode folding would
/// make different mailboxes one).
pub fn fold_email(email: &str) -> String {
    email.to_ascii_lowercase()
}

/// The profile with what every question about it needs.
struct ComparedProfile<'a> {
    incoming: &'a Incoming<'a>,
    policy: &'a Policy,
    email: String,
    holder: Option<Uuid>,
}

/// How a candidate stands to a profile of the same organization.
#[derive(PartialEq, Eq)]
enum Relation {
    /// Row 3: the identity provider itself tells them apart.
    Predecessor,
    /// Row 4.
    Joinable,
    /// Neither can be said.
    Doubtful,
}

impl ComparedProfile<'_> {
    /// Rows 1 and 2.
    fn sign_in(&self, identity: &KnownIdentity, user: &Candidate) -> Result<AccountDecision> {
        if identity.provider_id != self.incoming.provider_id || identity.user_id != user.user_id {
            return Err(Error::with_detail(
                ErrorCode::Unexpected,
                "The known identity is another profile's or user's.",
            ));
        }
        // Both absent is the same here: a profile id is unique, and nobody's address is being believed.
        if identity.organization_id.as_deref() != self.incoming.organization_id {
            return Err(self.organization_changed(identity));
        }
        refuse_banned_or_deleted(user)?;
        Ok(AccountDecision::SignIn { user_id: user.user_id, email: self.email_change(user, Some(identity)) })
    }

    /// Row 2, with what an administrator needs to mend it.
    fn organization_changed(&self, identity: &KnownIdentity) -> Error {
        let named = |organization: Option<&str>| match organization {
            Some(id) => format!("the organization {id}"),
            None => "no organization".to_owned(),
        };
        let detail = format!(
            "The identity {} is of {}, and its profile comes from {}.",
            identity.id,
            named(identity.organization_id.as_deref()),
            named(self.incoming.organization_id)
        );
        let error = Error::with_detail(ErrorCode::IdentityOrganizationChanged, detail);
        match self.incoming.organization_id {
            Some(_) => error,
            None => error.hint("The connection has lost its organization. Give it one again in the WorkOS dashboard."),
        }
    }

    /// Rows 3 to 8.
    fn join_or_create(&self, candidates: &[Candidate]) -> Result<AccountDecision> {
        let candidates: Vec<&Candidate> = candidates.iter().filter(|user| self.concerns(user)).collect();
        // Row 8 stands before row 3 and in every mode: an identity provider that sends a new idp_id at each sign-in
        // would otherwise lift every ban. The price: a banned predecessor's account has to be removed first.
        if candidates.iter().any(|user| user.banned) {
            return Err(ErrorCode::UserBanned.into());
        }
        // Row 6. A public provider's word is nobody's domain, so it neither joins nor succeeds anyone.
        if self.incoming.organization_id.is_none() {
            return self.create(None);
        }
        let related = |wanted: Relation| candidates.iter().copied().filter(move |user| self.relation(user) == wanted);
        let predecessors: Vec<&Candidate> = related(Relation::Predecessor).collect();
        if predecessors.len() == candidates.len() || !self.may_join() {
            return self.create(self.succeeded(&predecessors));
        }
        match (candidates.as_slice(), related(Relation::Joinable).next()) {
            ([only], Some(_)) => {
                refuse_banned_or_deleted(only)?;
                Ok(AccountDecision::Join { user_id: only.user_id, email: self.email_change(only, None) })
            }
            ([_], None) => Err(Error::with_detail(
                ErrorCode::MultipleAccounts,
                "One account has this address, but it also belongs elsewhere, or has an identity of this connection \
                 that may be the same person's.",
            )),
            (several, _) => Err(Error::with_detail(
                ErrorCode::MultipleAccounts,
                format!("{} accounts of this organization have this address.", several.len()),
            )),
        }
    }

    /// Non-ASCII addresses never link: too many of them look alike.
    fn may_join(&self) -> bool {
        self.policy.linking != Linking::None && self.email.is_ascii()
    }

    /// Whether the profile's own organization (row 5: no other) knows the user by this address.
    fn concerns(&self, user: &Candidate) -> bool {
        if domain(&self.email).is_none() || (user.is_known_by_tokens_alone() && !user.banned) {
            return false;
        }
        let holds = self.is_email(user.email.as_deref());
        let all_here = user.identities.iter().all(|identity| self.is_here(identity));
        // `users.email` of somebody who is elsewhere too may be the word of another organization. Somebody without
        // any identity is of the organizations that an administrator put them into, if any.
        let is_nobodys = self.incoming.organization_id.is_none() && user.memberships.is_empty();
        let held_here = holds && all_here && (!user.identities.is_empty() || is_nobodys);
        let known_here =
            user.identities.iter().any(|identity| self.is_here(identity) && self.is_email(Some(&identity.email)));
        let known_nowhere = self.takes_in_the_unorganized()
            && user.identities.iter().all(|identity| identity.organization_id.is_none())
            && self.belongs_to_no_other(user)
            && (holds || user.identities.iter().any(|identity| self.is_email(Some(&identity.email))));
        held_here || known_here || known_nowhere || (holds && self.invites(user))
    }

    /// Row 9: an administrator has said that whoever has this address here is this user. It is said once: of somebody who has
    /// signed in since, the identity provider must say it.
    fn invites(&self, user: &Candidate) -> bool {
        let here = self.incoming.organization_id;
        user.invited && user.identities.is_empty() && user.memberships.iter().any(|id| Some(id.as_str()) == here)
    }

    fn belongs_to_no_other(&self, user: &Candidate) -> bool {
        user.memberships.iter().all(|id| Some(id.as_str()) == self.incoming.organization_id)
    }

    /// Mode `email`: the organization owns the domain, so an account of that address without an organization is its
    /// own person's. Where it does not, the mode is no wider than `organization`.
    fn takes_in_the_unorganized(&self) -> bool {
        self.policy.linking == Linking::Email
            && self.policy.email_domain_is_organizations
            && self.incoming.organization_id.is_some()
            && self.email.is_ascii()
    }

    fn relation(&self, user: &Candidate) -> Relation {
        let on_this_connection: Vec<&KnownIdentity> = user
            .identities
            .iter()
            .filter(|identity| identity.connection_id.as_deref() == Some(self.incoming.connection_id))
            .collect();
        let told_apart = |identity: &&KnownIdentity| matches!((identity.idp_id.as_deref(), self.incoming.idp_id), (Some(old), Some(new)) if old != new);
        let reachable = |identity: &KnownIdentity| {
            self.is_here(identity) || (self.takes_in_the_unorganized() && identity.organization_id.is_none())
        };
        if on_this_connection.is_empty() {
            // Without an identity, what speaks for the user is what an administrator said of them.
            let is_ours = !user.identities.is_empty() || self.belongs_to_no_other(user);
            if is_ours && user.identities.iter().all(reachable) { Relation::Joinable } else { Relation::Doubtful }
        } else if on_this_connection.iter().all(told_apart) {
            Relation::Predecessor
        } else {
            // The same idp_id under a new profile id: the same person, whose profile was made anew, or a successor
            // whose name is the address itself.
            Relation::Doubtful
        }
    }

    /// Of those who had the address, the one who holds it now, else the last. Somebody who is elsewhere too is touched
    /// only where this organization's word on the address is trusted: no customer ends the sessions of another's.
    fn succeeded(&self, predecessors: &[&Candidate]) -> Option<Uuid> {
        let holder = predecessors.iter().find(|user| Some(user.user_id) == self.holder);
        let user = holder.or(predecessors.last())?;
        let all_here = user.identities.iter().all(|identity| self.is_here(identity));
        let yields = self.policy.trust_email_domains && self.is_email(user.email.as_deref());
        (all_here || yields).then(|| user.user_id)
    }

    fn create(&self, succeeded: Option<Uuid>) -> Result<AccountDecision> {
        if !self.policy.allow_signup {
            return Err(ErrorCode::SignupDisabled.into());
        }
        let email = self.may_be_set_for(succeeded).then(|| self.email.clone());
        Ok(AccountDecision::Create { email, succeeded })
    }

    /// The e-mail rule: `users.email` is set only if nobody else holds the address and whoever sent it is trusted
    /// with it.
    fn may_be_set_for(&self, user: Option<Uuid>) -> bool {
        let free = self.holder.is_none() || self.holder == user;
        let trusted = self.incoming.organization_id.is_none() || self.policy.trust_email_domains;
        free && trusted && domain(&self.email).is_some()
    }

    /// `users.email` follows the identity that it came from, unless another organization vouches for it too:
    /// otherwise it would change back and forth between linked identities, and one organization could rename what
    /// another vouches for.
    fn email_change(&self, user: &Candidate, identity: Option<&KnownIdentity>) -> EmailChange {
        let set_or = |otherwise: EmailChange| {
            if self.may_be_set_for(Some(user.user_id)) { EmailChange::Set(self.email.clone()) } else { otherwise }
        };
        let Some(current) = user.email.as_deref().map(fold_email) else {
            return set_or(EmailChange::Keep);
        };
        let says_it = |identity: &KnownIdentity| fold_email(&identity.email) == current;
        let said_elsewhere = user.identities.iter().any(|other| !self.is_here(other) && says_it(other));
        if current == self.email || said_elsewhere || !identity.is_some_and(says_it) {
            return EmailChange::Keep;
        }
        set_or(EmailChange::Release)
    }

    fn is_here(&self, identity: &KnownIdentity) -> bool {
        identity.organization_id.as_deref() == self.incoming.organization_id
    }

    fn is_email(&self, email: Option<&str>) -> bool {
        email.is_some_and(|email| fold_email(email) == self.email)
    }
}

fn refuse_banned_or_deleted(user: &Candidate) -> Result<()> {
    if user.banned {
        Err(ErrorCode::UserBanned.into())
    } else if user.deleted {
        Err(ErrorCode::UserDeleted.into())
    } else {
        Ok(())
    }
}

pub mod by_authkit;
pub mod by_token;
pub mod identities;
pub mod joining;

#[cfg(test)]
mod tests;
