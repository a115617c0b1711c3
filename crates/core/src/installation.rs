//! Where an installation lives, and whether a database is it or a copy of it.
//!
//! A copy has the keys of what it was copied from: what it signed would be good there. So it signs nothing until somebody says which of
//! the two it is. Nothing in a copied table can tell it apart; where it lies can.

use std::fmt;

use uuid::Uuid;

/// A database of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// the cluster's system identifier; pg_upgrade and initdb make another one, a standby and a base backup keep it
    pub system: u64,
    /// the database's OID; pg_upgrade keeps it
    pub database: u32,
}

/// Whether a database is the installation whose tables it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Home,
    /// It is, in another cluster than it was: its row is to say so.
    Moved,
    /// It is a copy of what lives, or lived, in the database of this OID.
    CopyOf(u32),
}

/// Decides it. `home` is what the installation's row says, `taken_over` what the cluster says of this installation, if it was ever taken
/// over ([`Homes`]); `exists` whether this cluster has a database of that OID.
pub fn standing(
    here: Place,
    home: Option<Place>,
    taken_over: Option<Place>,
    exists: impl FnOnce(u32) -> bool,
) -> Standing {
    // Said in this cluster, or in the one before it, which pg_upgrade made this one of. Else it came with a dump of another cluster's roles.
    let taken_over =
        taken_over.filter(|by| by.system == here.system || home.is_some_and(|home| home.system == by.system));
    match (home, taken_over) {
        (_, Some(by)) if by.database != here.database => Standing::CopyOf(by.database),
        (Some(home), _) if home == here => Standing::Home,
        (Some(home), _) if home.system == here.system => Standing::CopyOf(home.database),
        // pg_upgrade, of a cluster in which this one was a copy already. (What a dump brings is told by the trigger of the table.)
        (Some(home), _) if home.database != here.database && exists(home.database) => Standing::CopyOf(home.database),
        _ => Standing::Moved,
    }
}

/// What the row of an installation says once it is written into a database: where it comes from another cluster, that it lives here.
pub fn home_of_new_row(here: Place, home: Option<Place>) -> Place {
    home.filter(|home| home.system == here.system).unwrap_or(here)
}

/// Which installations of a cluster were taken over, and where they live since. As text: `id@system/database`, separated by commas.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Homes(Vec<(Uuid, Place)>);

impl Homes {
    /// Reads the text. What is none of ours is left out.
    pub fn parse(text: &str) -> Self {
        let entry = |entry: &str| {
            let (id, place) = entry.trim().split_once('@')?;
            let (system, database) = place.split_once('/')?;
            Some((id.parse().ok()?, Place { system: system.parse().ok()?, database: database.parse().ok()? }))
        };
        Self(text.split(',').filter_map(entry).collect())
    }

    /// Where an installation lives since it was taken over.
    pub fn of(&self, id: Uuid) -> Option<Place> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, place)| *place)
    }

    /// It was taken over.
    pub fn set(&mut self, id: Uuid, place: Place) {
        self.0.retain(|(known, _)| *known != id);
        self.0.push((id, place));
    }
}

impl fmt::Display for Homes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (id, place)) in self.0.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{id}@{}/{}", place.system, place.database)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::Standing::{CopyOf, Home, Moved};
    use super::*;

    fn at(system: u64, database: u32) -> Place {
        Place { system, database }
    }

    #[test]
    fn where_a_row_came_from_says_whether_a_database_is_a_copy() {
        // Cluster 1 has the databases 10 (the original), 11 and 12; cluster 2 was made of cluster 1 by pg_upgrade, or is another one.
        let databases = |oid| (10..=12).contains(&oid);
        type Case = (&'static str, Place, Option<Place>, Option<Place>, Standing);
        let cases: &[Case] = &[
            ("where it was set up, a standby, a base backup", at(1, 10), Some(at(1, 10)), None, Home),
            ("CREATE DATABASE … TEMPLATE, a dump loaded beside it", at(1, 11), Some(at(1, 10)), None, CopyOf(10)),
            ("the same, and the original is gone", at(1, 11), Some(at(1, 9)), None, CopyOf(9)),
            ("pg_upgrade", at(2, 10), Some(at(1, 10)), None, Moved),
            ("pg_upgrade of a copy", at(2, 11), Some(at(1, 10)), None, CopyOf(10)),
            ("a restore that left the trigger out", at(2, 11), Some(at(1, 99)), None, Moved),
            ("rows that were written without a home", at(2, 11), None, None, Moved),
            ("it took over", at(1, 11), Some(at(1, 11)), Some(at(1, 11)), Home),
            ("it was taken over", at(1, 10), Some(at(1, 10)), Some(at(1, 11)), CopyOf(11)),
            ("a third, copied before", at(1, 12), Some(at(1, 10)), Some(at(1, 11)), CopyOf(11)),
            ("a third, copied after", at(1, 12), Some(at(1, 11)), Some(at(1, 11)), CopyOf(11)),
            ("pg_upgrade of what took over", at(2, 11), Some(at(1, 11)), Some(at(1, 11)), Moved),
            ("and after its first token", at(2, 11), Some(at(2, 11)), Some(at(1, 11)), Home),
            ("pg_upgrade of what was taken over", at(2, 10), Some(at(1, 10)), Some(at(1, 11)), CopyOf(11)),
            ("taken over after pg_upgrade", at(2, 10), Some(at(1, 10)), Some(at(2, 11)), CopyOf(11)),
            ("restored with the roles of another cluster", at(2, 10), Some(at(2, 10)), Some(at(1, 11)), Home),
            ("restored beside what took over", at(2, 12), Some(at(2, 12)), Some(at(2, 11)), CopyOf(11)),
        ];
        for (what, here, home, taken_over, expected) in cases {
            assert_eq!(standing(*here, *home, *taken_over, databases), *expected, "{what}");
        }
    }

    #[test]
    fn a_row_that_comes_from_another_cluster_lives_where_it_is_written() {
        let here = at(2, 11);
        assert_eq!(home_of_new_row(here, Some(at(1, 10))), here);
        assert_eq!(home_of_new_row(here, None), here);
        assert_eq!(home_of_new_row(here, Some(at(2, 10))), at(2, 10));
    }

    #[test]
    fn homes_are_read_as_they_were_written() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut homes = Homes::default();
        assert_eq!(homes.to_string(), "");
        homes.set(a, at(u64::MAX, 16384));
        homes.set(b, at(7, u32::MAX));
        homes.set(a, at(8, 1));
        let text = homes.to_string();
        assert!(text.bytes().all(|b| b.is_ascii_hexdigit() || b"-@/,".contains(&b)), "{text}");
        let read = Homes::parse(&text);
        assert_eq!(read, homes);
        assert_eq!(
            (read.of(a), read.of(b), read.of(Uuid::from_u128(3))),
            (Some(at(8, 1)), Some(at(7, u32::MAX)), None)
        );
        for nonsense in ["", "x", ",,", "1@2/3", "@/", "00000000-0000-0000-0000-000000000001@-1/2"] {
            assert_eq!(Homes::parse(nonsense), Homes::default(), "{nonsense}");
        }
    }
}
