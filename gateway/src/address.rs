//! Whose request it is: the client's address behind proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Whom a request comes from, for the endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub IpAddr);

/// The client's address. `X-Forwarded-For` counts only as far as trusted proxies wrote it: from its right end, each entry was added by
/// the hop to the right of it, so the right-most untrusted one is the last that is known.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut known = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for");
    // By bytes: a client may send what is no text, and a proxy may append its own entry to that very line.
    for entry in lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b',')) {
        if !is_trusted(known, trusted) {
            break;
        }
        // What a proxy could not name, or nobody can read, ends the chain: what stands before it is anybody's word.
        let Some(address) = parse(entry) else { break };
        known = address;
    }
    known
}

/// Whether this is one of ours.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// With or without a port, an IPv6 address with or without brackets.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    bare.parse::<IpAddr>()
        .or_else(|_| entry.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

/// Whom a rate limit counts for: an IPv4 address, or the network that one IPv6 customer has.
pub fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn seen(peer: &str, lines: &[&[u8]]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8:1::/48"].map(|network| network.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_no_trusted_proxy() {
        for (peer, lines, expected) in [
            ("203.0.113.9", &[][..], "203.0.113.9"),
            // Anybody can send the header.
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // A client's own entries stand on the left.
            ("10.0.0.1", &["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["127.0.0.1", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["10.9.9.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("2001:db8:1::5", &["2001:db8:2::5"], "2001:db8:2::5"),
        ] {
            let bytes = lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>();
            assert_eq!(seen(peer, &bytes), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_chain() {
        for (lines, expected) in [
            // A line that is no text, after one that somebody wrote: nobody knows what stood there.
            (&[&b"198.51.100.1"[..], b"\xff"][..], "10.0.0.1"),
            (&[b"198.51.100.1", b"caf\xc3\xa9"], "10.0.0.1"),
            (&[b"198.51.100.1", b"\xff, 10.0.0.2"], "10.0.0.2"),
            (&[b"198.51.100.1, \xff"], "10.0.0.1"),
            (&[b"198.51.100.1, \xff, 10.0.0.2"], "10.0.0.2"),
            (&[b"198.51.100.1", b"10.0.0.2\xa0"], "10.0.0.1"),
            // It hides nobody: what a proxy appended to it is read.
            (&[b"\xff, 198.51.100.1"], "198.51.100.1"),
            (&[b"203.0.113.5", b"\xff,198.51.100.1 , 10.0.0.2"], "198.51.100.1"),
            // Siblings: what is text and no address.
            (&[b"198.51.100.1", b"_hidden"], "10.0.0.1"),
            (&[b"198.51.100.1", b"198.51.100.2:port"], "10.0.0.1"),
            (&[b"198.51.100.1", b"fe80::1%eth0"], "10.0.0.1"),
            (&[b"198.51.100.1", b"for=198.51.100.2"], "10.0.0.1"),
            (&[b"198.51.100.1", b""], "10.0.0.1"),
        ] {
            let shown = lines.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>();
            assert_eq!(seen("10.0.0.1", lines), expected, "{shown:?}");
        }
    }

    #[test]
    fn an_ipv6_customer_counts_once() {
        let counted = |text: &str| counted(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("198.51.100.1"), "198.51.100.1");
    }
}
