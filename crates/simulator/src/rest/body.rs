//! JSON bodies of requests.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::changes::organizations::MetadataPatch;
use crate::parameters;
use crate::refusal::Refusal;

/// The members of a JSON object. One that is null counts as absent where nothing else is said.
#[derive(Debug)]
pub(crate) struct JsonBody(Map<String, Value>);

impl JsonBody {
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        parameters::decode_json(content_type, body).map(Self).ok_or(Refusal::Unreadable)
    }

    /// A member that is not null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        self.get(name).map(|value| text(name, value)).transpose()
    }

    /// A string that must be there, and not be empty.
    pub fn required(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::invalid(name, "required"))
    }

    /// A string, null, or nothing.
    pub fn nullable(&self, name: &str) -> Result<Option<Option<String>>, Refusal> {
        if self.0.contains_key(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.get(name).map(|value| value.as_bool().ok_or_else(|| Refusal::invalid(name, "must_be_boolean"))).transpose()
    }

    /// A list of strings.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let list = self.list(name)?;
        list.map(|list| list.iter().map(|value| text(name, value)).collect()).transpose()
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<Option<&Vec<Value>>, Refusal> {
        self.get(name).map(|value| value.as_array().ok_or_else(|| Refusal::invalid(name, "must_be_list"))).transpose()
    }

    /// An object of strings and nulls, null, or nothing.
    pub fn metadata(&self) -> Result<Option<Option<MetadataPatch>>, Refusal> {
        let invalid = || Refusal::bad_request("invalid_metadata", "Metadata is an object of strings.");
        let pair = |(key, value): (&String, &Value)| match value {
            Value::Null => Ok((key.clone(), None)),
            Value::String(text) => Ok((key.clone(), Some(text.clone()))),
            _ => Err(invalid()),
        };
        match self.0.get("metadata") {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::Object(pairs)) => {
                pairs.iter().map(pair).collect::<Result<_, _>>().map(|pairs| Some(Some(pairs)))
            }
            Some(_) => Err(invalid()),
        }
    }
}

fn text(name: &str, value: &Value) -> Result<String, Refusal> {
    value.as_str().map(str::to_owned).ok_or_else(|| Refusal::invalid(name, "must_be_string"))
}
