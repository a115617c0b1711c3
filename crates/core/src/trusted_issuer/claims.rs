//! What a verified token of an issuer says, in the words of our readers.

use uuid::Uuid;

use super::issuer::Issuer;
use super::kind::Kind;
use super::mapping::Path;
use super::text::is_visible;
use crate::accounts::fold_email;
use crate::error::{Error, ErrorCode, Result};
use crate::jsonb::{self, Members, Node};
use crate::token::reading::{act_sub, as_date, as_text, as_texts, as_uuid, bad, object, required, text_or_none, typed};
use crate::token::rules::LEEWAY;
use crate::{email, workos_id};

/// The longest `sub` and `sid`, in bytes (OpenID Connect Core 1.0, section 2: 255).
const MAX_ID: usize = 255;

/// What a verified token says. There is no way to one but [`super::Unverified::verify`].
#[derive(Debug, Clone)]
pub struct Claims {
    /// `iss`
    pub issuer: String,
    /// `sub`: the issuer's id of the person.
    pub subject: String,
    /// The issuer's id of the session, where the token is of one.
    pub sid: Option<String>,
    /// When the person signed in, in seconds since the epoch, where the token says so.
    pub auth_time: Option<i64>,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
    /// When it was made, in seconds since the epoch.
    pub iat: i64,
    /// The organization of the session.
    pub organization: Option<String>,
    /// The person's roles there.
    pub roles: Vec<String>,
    /// The person's groups.
    pub groups: Vec<String>,
    /// The person's permissions.
    pub permissions: Vec<String>,
    /// What the person may use.
    pub features: Vec<String>,
    /// The person's address, in lower case, where the issuer says that it is verified.
    pub email: Option<String>,
    /// The person's name, for people to read.
    pub name: Option<String>,
    /// `act.sub`: who acts as the person.
    pub actor: Option<String>,
    /// The payload as it was signed: a JSON object.
    pub json: String,
    /// The same as Postgres's `jsonb`, as [`crate::token::Claims::jsonb`].
    pub jsonb: Option<Vec<u8>>,
    nbf: Option<i64>,
}

impl Claims {
    /// Since when the person has been signed in: what was ended later was ended before. A token that does not say it began with itself.
    pub fn began(&self) -> i64 {
        self.auth_time.unwrap_or(self.iat)
    }

    /// The session's id where it is a uuid.
    pub fn session_id(&self) -> Option<Uuid> {
        self.sid.as_deref().filter(|sid| sid.len() == 36).and_then(|sid| Uuid::try_parse(sid).ok())
    }

    /// Compares the times once more.
    ///
    /// # Errors
    /// `bad_jwt_expired` (`exp` must lie ahead, or no more than `expired_for` back), `bad_jwt_not_yet_valid` (`nbf`, `iat` and `auth_time`
    /// may lie up to 5 s ahead).
    pub fn recheck(&self, now: i64, expired_for: i64) -> Result<()> {
        let latest = now.saturating_add(LEEWAY);
        // A sign-in in the future would be after everything that ends it.
        if self.exp.saturating_add(expired_for) <= now {
            Err(ErrorCode::BadJwtExpired.into())
        } else if [Some(self.iat), self.nbf, self.auth_time].into_iter().flatten().any(|time| time > latest) {
            Err(ErrorCode::BadJwtNotYetValid.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn read(issuer: &Issuer, json: String) -> Result<Self> {
        let claims = object(&json, "payload")?;
        // Before anything asks whose it is.
        issuer.kind.check(&claims)?;
        check_client(issuer, &claims)?;
        let get = |name: &str| claims.get(name);
        let mapping = &issuer.mapping;
        let sid = match issuer.kind {
            Kind::WorkosAuth => get("session_id").and_then(as_uuid).map(|id| id.to_string()),
            _ => text_or_none(get("sid"), "sid")?,
        };
        let roles = list(mapping.roles.as_ref(), &claims)?;
        let roles = match roles.is_empty() {
            true => one(mapping.role.as_ref(), &claims)?.into_iter().collect(),
            false => roles,
        };
        Ok(Self {
            issuer: issuer.name.clone(),
            subject: id(required(get("sub").map(as_text), "sub")?, "sub")?,
            sid: sid.map(|sid| id(sid, "sid")).transpose()?,
            auth_time: typed(get("auth_time").map(as_date), "auth_time")?,
            exp: required(get("exp").map(as_date), "exp")?,
            iat: required(get("iat").map(as_date), "iat")?,
            nbf: typed(get("nbf").map(as_date), "nbf")?,
            organization: organization(mapping.organization.as_ref(), &claims)?,
            roles,
            groups: list(mapping.groups.as_ref(), &claims)?,
            permissions: permissions(mapping.permissions.as_ref(), &claims)?,
            features: list(mapping.features.as_ref(), &claims)?,
            email: verified_email(issuer, &claims)?,
            name: get("name").and_then(as_text).filter(|name| !name.trim().is_empty()),
            actor: act_sub(&claims),
            jsonb: jsonb::encode(&claims, json.len()),
            json,
        })
    }
}

/// Refuses a token that was made for another application.
fn check_client(issuer: &Issuer, claims: &Members<'_>) -> Result<()> {
    let aud = claims.get("aud").map(|aud| as_text(aud).map(|aud| vec![aud]).or_else(|| as_texts(aud)));
    let aud = typed(aud, "aud")?.unwrap_or_default();
    let refused = |detail: &str| {
        let hint = "Compare the token with auth.trusted_issuers.";
        Err(Error::with_detail(ErrorCode::BadJwtAudience, detail).hint(hint))
    };
    if let Some(audience) = &issuer.audience
        && !aud.contains(audience)
    {
        return refused("Its aud does not hold the audience of its issuer.");
    }
    if let Some(client_id) = &issuer.client_id {
        let named = [text_or_none(claims.get("client_id"), "client_id")?, text_or_none(claims.get("azp"), "azp")?];
        let mut named = named.into_iter().flatten().peekable();
        let is_for_it = match named.peek() {
            Some(_) => named.all(|named| named == *client_id),
            // An ID token for one client names it there alone.
            None => aud == [client_id.as_str()],
        };
        if !is_for_it {
            return refused("Its client_id, azp or aud names another client than that of its issuer.");
        }
    }
    Ok(())
}

fn id(text: String, name: &str) -> Result<String> {
    match is_visible(&text) && text.len() <= MAX_ID {
        true => Ok(text),
        false => Err(bad(format!("The claim {name} is not 1 to {MAX_ID} visible ASCII characters."))),
    }
}

fn claim<'a, 'b>(path: Option<&Path>, claims: &'b Members<'a>) -> Option<(&'b Node<'a>, String)> {
    let path = path?;
    let node = path.find(claims).filter(|node| !matches!(node, Node::Null))?;
    Some((node, path.name()))
}

fn one(path: Option<&Path>, claims: &Members<'_>) -> Result<Option<String>> {
    let Some((node, name)) = claim(path, claims) else { return Ok(None) };
    text_or_none(Some(node), &name)
}

/// A list, or one text that stands for a list of one.
fn list(path: Option<&Path>, claims: &Members<'_>) -> Result<Vec<String>> {
    let Some((node, name)) = claim(path, claims) else { return Ok(Vec::new()) };
    let texts = as_text(node).map(|text| vec![text]).or_else(|| as_texts(node));
    Ok(required(Some(texts), &name)?.into_iter().filter(|text| !text.is_empty()).collect())
}

/// The same, where one text is several with spaces between them (RFC 6749, section 3.3).
fn permissions(path: Option<&Path>, claims: &Members<'_>) -> Result<Vec<String>> {
    match claim(path, claims) {
        Some((Node::Text(text), _)) => Ok(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()),
        _ => list(path, claims),
    }
}

fn organization(path: Option<&Path>, claims: &Members<'_>) -> Result<Option<String>> {
    let organization = one(path, claims)?;
    if let Some(organization) = &organization {
        workos_id::check(organization).map_err(|why| bad(format!("The organization of the token {why}.")))?;
    }
    Ok(organization)
}

/// An address that nobody has verified is anybody's, and is nobody's here.
fn verified_email(issuer: &Issuer, claims: &Members<'_>) -> Result<Option<String>> {
    let is_verified = matches!(claims.get("email_verified"), Some(Node::Bool(true)));
    let address = match is_verified {
        true => one(issuer.mapping.email.as_ref(), claims)?,
        false => None,
    };
    Ok(address.map(|address| fold_email(&address)).filter(|address| email::parse(address).is_ok()))
}
