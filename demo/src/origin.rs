//! Where the demo comes from: a checkout, where `make demo` runs it, or a package, where it is `workos-auth-demo`.

use std::env;
use std::path::PathBuf;

/// The page of `examples/browser`. `make demo` and `.cargo/config.toml` say where it is; a package has none.
pub fn page_dir() -> Option<PathBuf> {
    env::var_os("WORKOS_DEMO_PAGE").map(PathBuf::from)
}

/// What runs the demo.
pub fn command() -> &'static str {
    if page_dir().is_some() { "make demo" } else { "workos-auth-demo" }
}
