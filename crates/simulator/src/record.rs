//! What was asked of the simulator, for tests to look at.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use crate::parameters::{self, Pairs};

/// A request as it came. Everything is kept, secrets too: the simulator has none of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedRequest {
    /// What the answer carries as `X-Request-ID`.
    pub request_id: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// `/sso/token`, …
    pub path: String,
    /// The query's parameters, decoded, in their order.
    pub query: Pairs,
    /// All headers, names in lower case.
    pub headers: Pairs,
    /// The header Content-Type.
    pub content_type: Option<String>,
    /// The body's fields, decoded, in their order; empty where the body is neither form nor JSON object of strings.
    pub fields: Pairs,
    /// The body, where it is JSON.
    pub json: Option<Value>,
}

impl RecordedRequest {
    /// The first value of a query parameter, if it has one.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameters::get(&self.query, name)
    }

    /// The first value of a body field, if it has one.
    pub fn field(&self, name: &str) -> Option<&str> {
        parameters::get(&self.fields, name)
    }

    /// The first value of a header, if it has one; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        parameters::get(&self.headers, name)
    }
}

/// The last requests, oldest first.
#[derive(Debug)]
pub(crate) struct Requests {
    capacity: usize,
    kept: VecDeque<RecordedRequest>,
    forgotten: u64,
}

impl Requests {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, kept: VecDeque::new(), forgotten: 0 }
    }

    pub fn push(&mut self, request: RecordedRequest) {
        self.kept.push_back(request);
        if self.kept.len() > self.capacity {
            self.kept.pop_front();
            self.forgotten += 1;
        }
    }

    pub fn list(&self) -> Vec<RecordedRequest> {
        self.kept.iter().cloned().collect()
    }

    /// How many there were beyond the capacity.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.forgotten = 0;
    }
}
