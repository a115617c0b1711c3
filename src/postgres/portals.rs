//! Portals: the cursors of this transaction and what the client's messages run.
//!
//! Any function may FETCH from a portal whose name it knows, and PL/pgSQL also closes it, and opens another of that name: whoever began
//! it then runs the other. Postgres refuses CLOSE in a security-restricted operation, and nothing else of it.

use std::cell::Cell;
use std::ffi::CStr;
use std::{iter, ptr};

use pgrx::prelude::*;

/// Runs `f`, in which no portal that there is can be run or closed. Those that it leaves behind are dropped.
pub fn hiding_portals<T>(f: impl FnOnce() -> T) -> T {
    /// Portals with their own status.
    struct Back(Vec<(pg_sys::Portal, pg_sys::PortalStatus::Type)>);

    impl Drop for Back {
        fn drop(&mut self) {
            for &(portal, status) in &self.0 {
                // SAFETY: a portal that is taken for active is not dropped.
                unsafe { (*portal).status = status };
            }
        }
    }

    // SAFETY: portals that are there; none of them is dropped as long as it is taken for active.
    unsafe {
        let there = portals();
        let hidden = there.iter().filter(|portal| !is_running(**portal)).map(|&portal| (portal, (*portal).status));
        let back = Back(hidden.collect());
        for &(portal, _) in &back.0 {
            (*portal).status = pg_sys::PortalStatus::PORTAL_ACTIVE;
        }
        let value = f();
        drop(back);
        for portal in portals() {
            if !there.contains(&portal) && !is_running(portal) {
                // Of a loop that is over.
                if (*portal).portalPinned {
                    pg_sys::UnpinPortal(portal);
                }
                pg_sys::PortalDrop(portal, false);
            }
        }
        value
    }
}

/// # Safety
/// `portal` is one.
unsafe fn is_running(portal: pg_sys::Portal) -> bool {
    // SAFETY: the caller's word.
    unsafe { (*portal).status == pg_sys::PortalStatus::PORTAL_ACTIVE }
}

/// Those that there are. Postgres keeps them by name, and the memory of each in one context.
fn portals() -> Vec<pg_sys::Portal> {
    // SAFETY: reads the tree of memory contexts.
    unsafe { children(context_of_portals()).filter_map(|context| portal_of(context)).collect() }
}

/// The portal that a memory context was made for, if it was made for one.
///
/// # Safety
/// `context` is one.
pub unsafe fn portal_of(context: pg_sys::MemoryContext) -> Option<pg_sys::Portal> {
    // SAFETY: a context has a name, and an identifier or NULL: a portal's own name, or another where that is empty (`CreatePortal`).
    unsafe {
        if CStr::from_ptr((*context).name) != c"PortalContext" || (*context).ident.is_null() {
            return None;
        }
        let named = [(*context).ident, c"".as_ptr()].into_iter().map(|name| pg_sys::GetPortalByName(name));
        let mut portals = named.filter(|portal| portal.as_ref().is_some_and(|portal| portal.portalContext == context));
        portals.next()
    }
}

/// `TopPortalContext`, which Postgres makes once, when a backend starts.
fn context_of_portals() -> pg_sys::MemoryContext {
    thread_local! {
        static KNOWN: Cell<pg_sys::MemoryContext> = const { Cell::new(ptr::null_mut()) };
    }
    if KNOWN.get().is_null() {
        // SAFETY: reads the tree of memory contexts.
        let found = unsafe {
            children(pg_sys::TopMemoryContext).find(|context| CStr::from_ptr((**context).name) == c"TopPortalContext")
        };
        KNOWN.set(found.unwrap_or(ptr::null_mut()));
    }
    KNOWN.get()
}

/// # Safety
/// `context` is one, or NULL.
unsafe fn children(context: pg_sys::MemoryContext) -> impl Iterator<Item = pg_sys::MemoryContext> {
    let known = |context: pg_sys::MemoryContext| (!context.is_null()).then(|| context);
    // SAFETY: the caller's word.
    unsafe {
        let first = context.as_ref().and_then(|context| known(context.firstchild));
        iter::successors(first, move |child| known((**child).nextchild))
    }
}
