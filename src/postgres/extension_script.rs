//! What runs in the script of CREATE EXTENSION or ALTER EXTENSION UPDATE and does not belong to the extension.

unsafe extern "C" {
    /// Whether a script runs (`commands/extension.h`). What a GRANT gives meanwhile goes into `pg_init_privs`, as a part of the extension, and
    /// pg_dump leaves it out.
    static mut creating_extension: bool;
}

/// Runs `f` as if no script ran: what it grants is the user's, and a dump carries it.
pub fn outside_script<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: a global of the backend, which has one thread.
    let _back = WhatItWas(unsafe { (&raw mut creating_extension).replace(false) });
    f()
}

/// Says again what was said before, after an error too: a script may go on after one that it caught.
struct WhatItWas(bool);

impl Drop for WhatItWas {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { creating_extension = self.0 };
    }
}
