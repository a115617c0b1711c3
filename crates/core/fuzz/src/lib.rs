//! What the fuzz targets have in common. The core's own tests compile `properties` too and replay the corpus.

use workos_auth_core::{error, json, token};

pub mod properties;
