//! Links to the Admin Portal.

use serde::Serialize;

/// What a link opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PortalLink {
    pub organization: String,
    pub intent: Option<String>,
    pub return_url: Option<String>,
    pub success_url: Option<String>,
}
