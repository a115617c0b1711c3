//! Name look-up without a thread, by the system's own name servers and `/etc/hosts`.
//!
//! reqwest's resolver of the same kind falls back to a public name service where the system names none: a database
//! server must not tell strangers whom it talks to.

use std::cell::RefCell;
use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Asks the name servers of `/etc/resolv.conf`, read at the first look-up, and no others.
pub struct SystemResolver;

thread_local! {
    static RESOLVER: RefCell<Option<TokioResolver>> = const { RefCell::new(None) };
}

fn resolver() -> Result<TokioResolver, Box<dyn std::error::Error + Send + Sync>> {
    RESOLVER.with_borrow_mut(|known| match known {
        Some(resolver) => Ok(resolver.clone()),
        None => {
            let builder = TokioResolver::builder_tokio()
                .map_err(|error| format!("the system's name servers cannot be read from /etc/resolv.conf: {error}"))?;
            let resolver = builder.build()?;
            *known = Some(resolver.clone());
            Ok(resolver)
        }
    })
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = resolver();
        Box::pin(async move {
            let found = resolver?.lookup_ip(name.as_str()).await?;
            let addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
