//! Sign in with WorkOS from SQL.
use pgrx::prelude::*;
::pgrx::pg_module_magic!(name, version);
