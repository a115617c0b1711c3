use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000;
const LAG: Duration = Duration::from_secs(30);

fn link(sent_at: i64) -> Link {
    Link { feed: Feed::Whole, heartbeat: Some(Heartbeat { sent_at, is_whole: true }) }
}

#[test]
fn what_no_recent_heartbeat_vouches_for_is_refused() {
    let now = 1_000 * SECOND;
    let whole = Heartbeat { sent_at: now, is_whole: true };
    type Case = (&'static str, Link, bool);
    let cases: &[Case] = &[
        ("fresh", link(now), true),
        ("as old as it may be", link(now - 30 * SECOND), true),
        ("older", link(now - 30 * SECOND - 1), false),
        ("a little in the future", link(now + 30 * SECOND), true),
        ("far in the future", link(now + 30 * SECOND + 1), false),
        ("the end of time", link(i64::MAX), false),
        ("its beginning", link(i64::MIN), false),
        ("not fed", Link { feed: Feed::Absent, heartbeat: Some(whole) }, false),
        ("fed and no verifier", Link { feed: Feed::Uncalled, heartbeat: Some(whole) }, false),
        ("fed in part", Link { feed: Feed::Partial, heartbeat: Some(whole) }, false),
        ("no heartbeat", Link { feed: Feed::Whole, heartbeat: None }, false),
        ("one is missing", Link { feed: Feed::Whole, heartbeat: Some(Heartbeat { is_whole: false, ..whole }) }, false),
    ];
    for (what, link, is_fresh) in cases {
        let answer = require_fresh(*link, now, LAG);
        assert_eq!(answer.is_ok(), *is_fresh, "{what}");
        if let Err(error) = answer {
            assert_eq!(error.code(), ErrorCode::VerifierStale, "{what}");
            assert!(error.detail().is_some_and(|detail| detail.ends_with('.')), "{what}");
        }
    }
}

#[test]
fn a_missing_session_is_on_its_way_or_has_ended() {
    let beat = 1_000;
    type Case = (&'static str, i64, bool, Option<i64>, bool);
    let cases: &[Case] = &[
        ("signed after the heartbeat", 1_001, false, None, false),
        ("a little before it", 990, false, None, false),
        ("long before it", 989, false, None, true),
        ("it was here and is gone", 1_001, true, None, true),
        ("all there was has arrived since", 1_011, false, Some(1_001), true),
        ("signed after that", 1_012, false, Some(1_001), false),
        ("the beginning of time", i64::MIN, false, None, true),
    ];
    for (what, issued_at, was_here, known_since, ended) in cases {
        assert_eq!(has_ended(*issued_at, beat, *was_here, *known_since), *ended, "{what}");
    }
}

/// What the issuer commits, in the order of its log.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// a session, by a token that was signed so many seconds before
    SignedIn(i64),
    /// the oldest session that is left ends
    Ended,
    /// a heartbeat
    Beat,
}

proptest! {
    /// A verifier that has replayed the log up to some point: who was signed out in that part is out, and who signed in is in, whether their
    /// session has arrived or not.
    #[test]
    fn any_part_of_the_log_opens_no_door_and_shuts_none(
        changes in prop::collection::vec(
            (0_i64..4, prop_oneof![(0_i64..9).prop_map(Change::SignedIn), Just(Change::Ended), Just(Change::Beat)]), 1..60),
        replayed in 0_usize..60,
    ) {
        let (mut now, mut beat) = (1_000_i64, 1_000_i64);
        // Of each session when its token was signed, whether it has arrived, and whether its end has.
        let mut sessions: Vec<(i64, bool, bool)> = Vec::new();
        let mut alive: Vec<usize> = Vec::new();
        for (i, (seconds, change)) in changes.iter().enumerate() {
            now += seconds;
            let arrives = i < replayed;
            match change {
                Change::SignedIn(before) => {
                    alive.push(sessions.len());
                    sessions.push((now - before, arrives, false));
                }
                Change::Ended if !alive.is_empty() => {
                    let ended = alive.remove(0);
                    sessions[ended].2 |= arrives;
                }
                Change::Ended => {}
                Change::Beat => beat = if arrives { now } else { beat },
            }
        }
        for (id, (issued_at, has_arrived, end_has_arrived)) in sessions.iter().enumerate() {
            let is_there = *has_arrived && !end_has_arrived;
            let is_accepted = is_there || !has_ended(*issued_at, beat, *end_has_arrived, None);
            if *end_has_arrived {
                prop_assert!(!is_accepted, "session {id} has ended");
            } else if alive.contains(&id) {
                prop_assert!(is_accepted, "session {id} lives");
            }
        }
    }
}
