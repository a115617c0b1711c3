//! Tokens that somebody else signed: WorkOS AuthKit, an identity provider, another installation of this extension.
//!
//! The order is kept by the types. [`parse`] looks at the form and says which issuer and key the token names. [`Unverified::verify`] checks
//! algorithm and signature before it believes a claim, then what kind of token it is, and only then whose it is: a token of a machine or an
//! agent may be signed with the same key as a person's.

mod claims;
mod issuer;
mod jwks;
mod key;
mod kind;
mod mapping;
mod text;
mod token;

pub use claims::Claims;
pub use issuer::{Issuer, check_jwks_uri, check_name, is_below, of_workos};
pub use jwks::{MAX_BYTES as MAX_JWKS_BYTES, MAX_KEYS, read_jwks};
pub use key::{Algorithm, IssuerKey};
pub use kind::Kind;
pub use mapping::Mapping;
pub use token::{Unverified, parse};

#[cfg(test)]
mod tests;
