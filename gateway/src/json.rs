//! JSON that comes in: bodies of requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use tokio::time::timeout;

use crate::config::Config;
use crate::error::{ApiError, Result};
use crate::places::Seat;

/// Reads a JSON object. The content type is not looked at, as Supabase Auth does not.
///
/// # Errors
/// Those of [`read_body`], 400 `bad_json`.
pub async fn read<T: DeserializeOwned>(request: Request, config: &Config) -> Result<T> {
    let bytes = read_body(request, config).await?;
    parse(&bytes)
}

/// Reads JSON.
///
/// # Errors
/// 400 `bad_json`.
#[allow(clippy::disallowed_methods, reason = "behind a look at the names, which is what they lack")]
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice::<Plain>(bytes).and_then(|Plain| serde_json::from_slice(bytes)).map_err(|error| {
        // serde's own words could show what was sent.
        let (line, column) = (error.line(), error.column());
        ApiError::bad_json(format!("Could not parse request body as JSON: line {line}, column {column}"))
    })
}

/// JSON in which no member has a name that `serde_json` keeps for itself: it would take the member apart where it is read as a `Value`.
struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> std::result::Result<Plain, A::Error> {
        while access.next_element::<Plain>()?.is_some() {}
        Ok(Plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Plain, A::Error> {
        while access.next_key::<PlainName>()?.is_some() {
            access.next_value::<Plain>()?;
        }
        Ok(Plain)
    }
}

/// The name of a member, or `serde_json`'s sign that the "object" is a number. As in `workos_auth_core::json`, a name is something, and
/// the sign a string, whatever it is asked for.
struct PlainName;

impl<'de> Deserialize<'de> for PlainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = PlainName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_some<D: Deserializer<'de>>(self, name: D) -> std::result::Result<PlainName, D::Error> {
                match String::deserialize(name)?.starts_with("$serde_json::private::") {
                    true => Err(D::Error::custom("a name that is kept")),
                    false => Ok(PlainName),
                }
            }

            fn visit_str<E>(self, _: &str) -> std::result::Result<PlainName, E> {
                Ok(PlainName)
            }
        }
        deserializer.deserialize_option(Name)
    }
}

/// Reads a body: no more of it, and for no longer, than is configured.
///
/// # Errors
/// 413 `request_entity_too_large`; 408 `request_timeout`, however steadily the client sends; 400 where it broke off.
pub async fn read_body(request: Request, config: &Config) -> Result<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let given_up = |_| ApiError::bad_json("The connection was given up for another one");
    let seat = parts.extensions.get::<Arc<Seat>>();
    seat.map_or(Ok(()), |seat| seat.wants_body()).map_err(given_up)?;
    let read = timeout(config.body_timeout, read_all(body, config.max_body)).await.map_err(|_| {
        let message = "The request body took too long to arrive";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    })??;
    seat.map_or(Ok(()), |seat| seat.has_body()).map_err(given_up)?;
    Ok(read)
}

async fn read_all(mut body: Body, limit: usize) -> Result<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::bad_json("The request body could not be read"))?;
        let Some(data) = frame.data_ref() else { continue };
        if read.len().saturating_add(data.len()) > limit {
            drain(body).await;
            return Err(too_large(limit));
        }
        read.extend_from_slice(data);
    }
    Ok(read)
}

/// How much of a body is read that nobody wants, and for how long.
const DRAIN_AT_MOST: usize = 8 * 1024 * 1024;
const DRAIN_FOR: Duration = Duration::from_secs(2);

/// Reads on what is too much, so that the answer arrives: who still sends when the connection closes may never see it.
pub async fn drain(mut body: Body) {
    let read = async {
        let mut left = DRAIN_AT_MOST;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whoever takes longer is answered all the same.
    let _ = timeout(DRAIN_FOR, read).await;
}

/// 413 `request_entity_too_large`
pub fn too_large(limit: usize) -> ApiError {
    let message = format!("Request body is larger than {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request_entity_too_large", message)
}

/// Refuses what Postgres's text cannot hold.
///
/// # Errors
/// 400 `validation_failed`, naming `what`.
pub fn without_nul<'a>(what: &str, text: &'a str) -> Result<&'a str> {
    if text.contains('\0') {
        return Err(ApiError::validation(format!("{what} contains a NUL character")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Map, Value};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Update {
        data: Map<String, Value>,
    }

    #[test]
    fn no_member_of_a_body_is_taken_apart() {
        let read = parse::<Update>(br#"{"data":{"a":[1.50,{"$serde_json":"x"}]}}"#).unwrap();
        assert_eq!(Value::Object(read.data).to_string(), r#"{"a":[1.50,{"$serde_json":"x"}]}"#);
        for name in ["$serde_json::private::Number", "\\u0024serde_json::private::RawValue"] {
            for body in [
                format!(r#"{{"data":{{"a":{{"{name}":"[1"}}}}}}"#),
                format!(r#"{{"data":{{"{name}":"1"}}}}"#),
                format!(r#"{{"data":{{}},"more":[{{"{name}":"1"}}]}}"#),
            ] {
                assert!(parse::<Update>(body.as_bytes()).is_err(), "{body}");
            }
        }
    }
}
