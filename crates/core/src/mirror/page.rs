//! A page of `GET /events`.

use serde_json::Value;

use super::event::{Event, malformed};
use super::reading::{Object, Unreadable};
use crate::error::Result;

/// The most events of a page; WorkOS gives 100 at most.
const MOST: usize = 1000;

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// oldest first
    pub events: Vec<Event>,
    /// what the next page is to be asked with; `None` where there is none yet
    pub after: Option<String>,
}

impl Page {
    /// Reads `{"data": […], "list_metadata": {"after": …}}`.
    ///
    /// # Errors
    /// `event_malformed`
    pub fn read(value: Value) -> Result<Self> {
        let why = |why: Unreadable| malformed("The page", &why.to_string());
        let after = {
            let page = Object::new("page", &value).map_err(why)?;
            let metadata = page.object("list_metadata", "list_metadata").map_err(why)?;
            metadata.optional_id("after", "event_").map_err(why)?
        };
        let Value::Object(mut members) = value else { return Err(malformed("The page", "it is not an object")) };
        match members.remove("data") {
            Some(Value::Array(items)) if items.len() <= MOST => {
                Ok(Self { events: items.into_iter().map(Event::read).collect::<Result<_>>()?, after })
            }
            Some(Value::Array(_)) => Err(malformed("The page", &format!("it has more than {MOST} events"))),
            _ => Err(malformed("The page", "data is not a list")),
        }
    }

    /// Where the cursor stands once the page is applied: at the end of the list WorkOS says no `after`, and the last event's own id is kept.
    pub fn end(&self) -> Option<&str> {
        self.after.as_deref().or_else(|| self.events.last().map(|event| event.id.as_str()))
    }
}
