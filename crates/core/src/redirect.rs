//! Where a browser may be sent after a sign-in: the origin of `site_url`, and what the list of redirect URLs names.
//!
//! A URL is refused wherever the text and what a browser makes of it (WHATWG URL) could be told apart: the host
//! that is compared is then the host that is visited.

mod pattern;
mod target;
#[cfg(test)]
mod tests;

use crate::error::{Error, ErrorCode, Result};
pub use pattern::Pattern;
use target::Target;
pub(crate) use target::is_loopback;

/// The redirect rules of one database.
#[derive(Debug, Clone)]
pub struct RedirectUrls {
    site_url: Option<Target>,
    patterns: Vec<Pattern>,
}

impl RedirectUrls {
    /// `site_url` is the setting of that name (empty counts as absent), `patterns` the rows of `auth.redirect_urls`.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] if `site_url` is not a usable http or https URL;
    /// [`ErrorCode::RedirectPatternUnsafe`] for the first unsafe pattern.
    pub fn new(site_url: Option<&str>, patterns: &[String]) -> Result<Self> {
        let site_url = site_url.filter(|url| !url.is_empty()).map(site_target).transpose()?;
        let patterns = patterns.iter().map(|pattern| Pattern::parse(pattern)).collect::<Result<_>>()?;
        Ok(Self { site_url, patterns })
    }

    /// Whether a browser may be sent to `redirect_to`.
    ///
    /// # Errors
    /// [`ErrorCode::RedirectToMalformed`] if the URL cannot be judged safely; [`ErrorCode::RedirectToNotAllowed`]
    /// if it is not listed, with scheme, host and port in the detail and no more of it.
    pub fn check(&self, redirect_to: &str) -> Result<()> {
        let target = Target::to_judge(redirect_to)?;
        if self.site_url.as_ref().is_some_and(|site| site.covers(&target)) {
            Ok(())
        } else {
            self.check_target(&target)
        }
    }

    /// Whether a pattern of the list names `redirect_to`; that it is the site's own does not count.
    ///
    /// # Errors
    /// As [`RedirectUrls::check`].
    pub fn check_listed(&self, redirect_to: &str) -> Result<()> {
        self.check_target(&Target::to_judge(redirect_to)?)
    }

    fn check_target(&self, target: &Target) -> Result<()> {
        if self.patterns.iter().any(|pattern| pattern.matches(target)) {
            return Ok(());
        }
        let separator = if target.has_authority { "://" } else { ":" };
        let port = target.written_port().map(|port| format!(":{port}")).unwrap_or_default();
        let detail = format!("Not listed: {}{separator}{}{port}", target.scheme, target.host);
        Err(Error::with_detail(ErrorCode::RedirectToNotAllowed, detail))
    }
}

fn site_target(site_url: &str) -> Result<Target> {
    let unusable = |why: &str| {
        let detail = format!("The setting workos_auth.site_url cannot be used: {why}");
        Err(Error::with_detail(ErrorCode::InvalidArgument, detail))
    };
    match Target::parse(site_url) {
        Ok(target) if target.is_web() => Ok(target),
        Ok(_) => unusable("It must be http or https; list the URL of an app in auth.redirect_urls."),
        Err(why) => unusable(why),
    }
}
