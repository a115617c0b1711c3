//! What `params` may hold where AuthKit is asked (`GET /user_management/authorize` of WorkOS's reference): `screen_hint`, `max_age` and
//! `invitation_token` are read there, and what would say whom to sign in is not the caller's to say twice.

use crate::error::{Error, ErrorCode, Result};

/// What AuthKit calls the organization and the connection.
const RESERVED: [&str; 2] = ["organization_id", "connection_id"];
/// Which of its pages AuthKit shows first.
const SCREENS: [&str; 2] = ["sign-up", "sign-in"];
/// Parameters of one value.
const SINGLE: [&str; 3] = ["screen_hint", "max_age", "invitation_token"];
/// The longest `max_age`, in digits: three hundred years.
const LONGEST_AGE: usize = 10;

/// Refuses what AuthKit would pass over in silence, or take for something else.
pub(super) fn check(pairs: &[(String, String)]) -> Result<()> {
    for (name, value) in pairs {
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(Error::with_detail(ErrorCode::ReservedParameter, format!("The parameter is {name}.")));
        }
        if SINGLE.contains(&name.as_str()) && pairs.iter().filter(|(other, _)| other == name).count() > 1 {
            return Err(unusable(&format!("The parameter {name} has several values.")));
        }
        match name.as_str() {
            "screen_hint" if !SCREENS.contains(&value.as_str()) => {
                return Err(unusable("The parameter screen_hint is sign-up or sign-in."));
            }
            "max_age" if !is_seconds(value) => {
                return Err(unusable("The parameter max_age is a whole number of seconds; 0 asks for a new sign-in."));
            }
            "invitation_token" if value.is_empty() => return Err(unusable("The parameter invitation_token is empty.")),
            _ => {}
        }
    }
    Ok(())
}

fn unusable(why: &str) -> Error {
    Error::with_detail(ErrorCode::ParameterInvalid, why)
}

fn is_seconds(text: &str) -> bool {
    (1..=LONGEST_AGE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}
