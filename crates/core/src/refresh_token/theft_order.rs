//! What whoever ends a stolen session is told, where there is room for a short text only.

use std::str::FromStr;

use uuid::Uuid;

use super::decision::Theft;

/// Which session to end, and what to write into the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TheftOrder<'a> {
    /// The session.
    pub session: Uuid,
    /// The OID of the database role whose connection the token came over.
    pub actor: u32,
    /// What gave the thief away.
    pub theft: Theft,
    /// The counter of the token that did.
    pub presented: u64,
    /// The client's address, as `inet` prints it; empty if it is not known.
    pub ip: &'a str,
    /// The client's User-Agent header; empty if it is not known.
    pub user_agent: &'a str,
}

impl<'a> TheftOrder<'a> {
    /// As a text of at most `length` bytes. What does not fit is cut off: the end of the User-Agent header.
    pub fn to_text(&self, length: usize) -> String {
        let Self { session, actor, theft, presented, ip, user_agent } = self;
        let mut text = format!("{} {actor} {} {presented} {ip} {user_agent}", session.simple(), theft.as_str());
        while text.len() > length {
            text.pop();
        }
        text
    }

    /// The other way round; `None` for what [`TheftOrder::to_text`] does not write.
    pub fn from_text(text: &'a str) -> Option<Self> {
        let mut words = text.splitn(6, ' ');
        let mut next = || words.next();
        Some(Self {
            session: Uuid::from_str(next()?).ok()?,
            actor: next()?.parse().ok()?,
            theft: Theft::parse(next()?)?,
            presented: next()?.parse().ok()?,
            ip: next()?,
            user_agent: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ORDER: TheftOrder<'_> = TheftOrder {
        session: Uuid::from_u128(7),
        actor: 10,
        theft: Theft::Stale,
        presented: u64::MAX,
        ip: "",
        user_agent: "Mozilla/5.0 (X11)",
    };

    #[test]
    fn an_order_is_read_as_it_was_written() {
        for order in [ORDER, TheftOrder { theft: Theft::Recoveries, ip: "::1", user_agent: "", ..ORDER }] {
            assert_eq!(TheftOrder::from_text(&order.to_text(127)).unwrap(), order);
        }
    }

    #[test]
    fn of_the_longest_order_only_the_user_agent_is_cut_off() {
        let user_agent = "ü".repeat(1000);
        for (ip, left) in [("203.0.113.7", true), ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", false)] {
            let order = TheftOrder { actor: u32::MAX, theft: Theft::Recoveries, ip, user_agent: &user_agent, ..ORDER };
            let text = order.to_text(127);
            assert!(text.len() <= 127);
            let read = TheftOrder::from_text(&text).unwrap();
            assert!(user_agent.starts_with(read.user_agent) && read.user_agent.is_empty() != left, "{text}");
            assert_eq!(TheftOrder { user_agent: &user_agent, ..read }, order);
        }
    }

    #[test]
    fn nonsense_is_no_order() {
        for text in ["", "7", "x 1 stale 1  ", "00000000000000000000000000000007 10 other 1  "] {
            assert_eq!(TheftOrder::from_text(text), None, "{text}");
        }
    }
}
