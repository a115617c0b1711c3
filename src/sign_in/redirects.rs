//! Where browsers may be sent.

use std::cell::RefCell;
use std::rc::Rc;

use workos_auth_core::Result;
use workos_auth_core::redirect::RedirectUrls;

use crate::settings;
use crate::store::scan;

/// What the rules were made of, and the rules: a pattern is a regular expression, which takes longer to compile than to ask.
struct Known {
    site_url: Option<String>,
    patterns: Vec<String>,
    rules: Rc<RedirectUrls>,
}

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// The rules of `site_url` and `auth.redirect_urls` as they stand now.
///
/// # Errors
/// As [`RedirectUrls::new`].
pub fn redirect_urls() -> Result<Rc<RedirectUrls>> {
    let (site_url, patterns) = (settings::site_url(), scan::redirect_patterns());
    KNOWN.with_borrow_mut(|known| match known {
        Some(known) if known.site_url == site_url && known.patterns == patterns => Ok(Rc::clone(&known.rules)),
        _ => {
            let rules = Rc::new(RedirectUrls::new(site_url.as_deref(), &patterns)?);
            *known = Some(Known { site_url, patterns, rules: Rc::clone(&rules) });
            Ok(rules)
        }
    })
}
