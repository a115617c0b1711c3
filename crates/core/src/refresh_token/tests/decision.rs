//! The tables of the decision, a case a row, and their edges.

use super::*;

pub(super) const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
pub(super) const NOW: i64 = 700_000_000 * SECOND;
pub(super) const INTERVAL: i64 = 10 * SECOND;
/// For so long after the interval, a token that was replaced twice is no theft yet.
pub(super) const RETRIES: i64 = 30_000_000;
pub(super) const LIMITS: RefreshLimits = RefreshLimits { reuse_interval: Duration::from_secs(10), idle_timeout: None };
const IDLE: RefreshLimits = RefreshLimits { idle_timeout: Some(Duration::from_secs(86_400)), ..LIMITS };
/// A session that was refreshed seven times, the last time an hour ago.
pub(super) const ROW: SessionRow = SessionRow {
    counter: 7,
    created_at: Moment(NOW - 2 * DAY),
    refreshed_at: Some(Moment(NOW - 3600 * SECOND)),
    recoveries: 0,
    recovered_counter: None,
    recovered_at: None,
    not_after: Some(Moment(NOW + 5 * DAY)),
    banned_until: None,
    deleted: false,
    superseded: false,
};

pub(super) fn authentic(counter: u64) -> Authentic {
    Authentic(Parts { counter, ..PARTS })
}

fn decided(counter: u64, row: &SessionRow) -> RefreshDecision {
    decide(&authentic(counter), row, &LIMITS, Moment(NOW))
}

fn rotated(ago: i64) -> SessionRow {
    SessionRow { refreshed_at: Some(Moment(NOW - ago)), ..ROW }
}

fn recovered(recoveries: i16, at: i64) -> SessionRow {
    SessionRow { recoveries, recovered_counter: Some(at), ..ROW }
}

#[test]
fn the_table_of_counters() {
    let recover = |recoveries| RefreshDecision::Recover { counter: 7, recoveries };
    for (presented, row, wanted, why) in [
        (7, ROW, RefreshDecision::Rotate { counter: 8 }, "equal"),
        (7, rotated(0), RefreshDecision::Rotate { counter: 8 }, "equal, at once after a rotation"),
        (6, rotated(0), RefreshDecision::Again { counter: 7 }, "one behind, at the moment of the rotation"),
        (6, rotated(INTERVAL - 1), RefreshDecision::Again { counter: 7 }, "one behind, at the interval's last moment"),
        (6, rotated(INTERVAL), recover(1), "one behind, at the interval's end"),
        (6, ROW, recover(1), "one behind, the first"),
        (6, recovered(1, 6), recover(2), "one behind, the second in a row"),
        (6, recovered(2, 6), RefreshDecision::Theft(Theft::Recoveries), "one behind, the third in a row"),
        (6, recovered(1, 5), recover(1), "a counter without a recovery between"),
        (6, recovered(2, 5), recover(1), "the same after two"),
        (6, recovered(1, 7), RefreshDecision::Again { counter: 7 }, "counted for this counter already"),
        (6, recovered(2, 7), RefreshDecision::Again { counter: 7 }, "the second counted for this counter already"),
        (7, recovered(2, 7), RefreshDecision::Rotate { counter: 8 }, "equal, whatever was counted"),
        (7, recovered(2, 6), RefreshDecision::Rotate { counter: 8 }, "equal, whatever was counted"),
        (5, rotated(0), RefreshDecision::Conflict, "two behind, within"),
        (0, rotated(INTERVAL - 1), RefreshDecision::Conflict, "ancient, within"),
        (5, rotated(INTERVAL), RefreshDecision::Conflict, "two behind, where its client tries again"),
        (0, rotated(INTERVAL + RETRIES - 1), RefreshDecision::Conflict, "ancient, where its client tries again"),
        (5, rotated(INTERVAL + RETRIES), RefreshDecision::Theft(Theft::Stale), "two behind, later"),
        (0, ROW, RefreshDecision::Theft(Theft::Stale), "ancient, later"),
        (5, recovered(1, 7), RefreshDecision::Theft(Theft::Stale), "two behind, recovered between"),
        (8, ROW, RefreshDecision::HistoryLost { counter: 9 }, "one ahead"),
        (8, rotated(0), RefreshDecision::HistoryLost { counter: 9 }, "one ahead, within"),
        (900, recovered(2, 7), RefreshDecision::HistoryLost { counter: 901 }, "far ahead"),
    ] {
        assert_eq!(decided(presented, &row), wanted, "{presented}: {why}");
    }
}

#[test]
fn a_new_session() {
    let new = SessionRow { counter: 0, refreshed_at: None, created_at: Moment(NOW), ..ROW };
    assert_eq!(decided(0, &new), RefreshDecision::Rotate { counter: 1 });
    assert_eq!(decided(1, &new), RefreshDecision::HistoryLost { counter: 2 });
    // A row that somebody wrote: never rotated, and yet counted.
    let odd = SessionRow { counter: 7, ..new };
    assert_eq!(decided(6, &odd), RefreshDecision::Recover { counter: 7, recoveries: 1 });
    assert_eq!(decided(5, &odd), RefreshDecision::Theft(Theft::Stale));
}

#[test]
fn the_table_of_limits() {
    let ban = |until: i64| SessionRow { banned_until: Some(Moment(until)), ..ROW };
    let end = |not_after: i64| SessionRow { not_after: Some(Moment(not_after)), ..ROW };
    let deleted = SessionRow { deleted: true, ..ROW };
    let superseded = SessionRow { superseded: true, ..ROW };
    // Every token of the session gets the same answer: an end is no theft, and starts no worker.
    for presented in [0, 5, 6, 7, 8, u64::MAX] {
        for (row, wanted) in [
            (deleted, RefreshRefusal::UserDeleted),
            (ban(NOW + 1), RefreshRefusal::UserBanned),
            (ban(i64::MAX), RefreshRefusal::UserBanned),
            (end(NOW), RefreshRefusal::Expired),
            (end(NOW - 1), RefreshRefusal::Expired),
            (end(i64::MIN), RefreshRefusal::Expired),
            (superseded, RefreshRefusal::Superseded),
            // The order of the table.
            (SessionRow { banned_until: Some(Moment(NOW + 1)), ..deleted }, RefreshRefusal::UserDeleted),
            (SessionRow { not_after: Some(Moment(NOW)), ..ban(NOW + 1) }, RefreshRefusal::UserBanned),
            (SessionRow { superseded: true, ..end(NOW) }, RefreshRefusal::Expired),
        ] {
            assert_eq!(decided(presented, &row), RefreshDecision::Refused(wanted), "{presented}: {row:?}");
        }
    }
    let none = SessionRow { not_after: None, ..ROW };
    for row in [ban(NOW), ban(NOW - 1), ban(i64::MIN), end(NOW + 1), end(i64::MAX), none] {
        assert_eq!(decided(7, &row), RefreshDecision::Rotate { counter: 8 }, "{row:?}");
    }
}

#[test]
fn idle_is_counted_from_the_last_sign_of_life() {
    let idle = |created: i64, refreshed: Option<i64>, recovered: Option<i64>, limits: &RefreshLimits| {
        let at = |ago: i64| Moment(NOW - ago);
        let row = SessionRow {
            created_at: at(created),
            refreshed_at: refreshed.map(at),
            recovered_at: recovered.map(at),
            not_after: None,
            ..ROW
        };
        decide(&authentic(7), &row, limits, Moment(NOW)) == RefreshDecision::Refused(RefreshRefusal::Idle)
    };
    assert!(idle(DAY, None, None, &IDLE));
    assert!(!idle(DAY - 1, None, None, &IDLE));
    assert!(idle(9 * DAY, Some(DAY), None, &IDLE));
    assert!(!idle(9 * DAY, Some(DAY - 1), None, &IDLE));
    assert!(!idle(9 * DAY, Some(DAY), Some(DAY - 1), &IDLE));
    assert!(idle(9 * DAY, Some(2 * DAY), Some(DAY), &IDLE));
    assert!(!idle(9 * DAY, Some(DAY - 1), Some(5 * DAY), &IDLE));
    // A clock that went back makes nobody idle.
    assert!(!idle(-3 * DAY, None, None, &IDLE));
    assert!(!idle(9000 * DAY, Some(9000 * DAY), None, &LIMITS));
    // After the end of the session, which says more, and before a newer one.
    let row = SessionRow { refreshed_at: Some(Moment(NOW - DAY)), superseded: true, ..ROW };
    assert_eq!(decide(&authentic(7), &row, &IDLE, Moment(NOW)), RefreshDecision::Refused(RefreshRefusal::Idle));
    let row = SessionRow { not_after: Some(Moment(NOW)), ..row };
    assert_eq!(decide(&authentic(7), &row, &IDLE, Moment(NOW)), RefreshDecision::Refused(RefreshRefusal::Expired));
}

#[test]
fn a_clock_that_went_back() {
    // By less than the interval: as if the rotation had been a moment ago.
    for back in [1, INTERVAL - 1] {
        assert_eq!(decided(7, &rotated(-back)), RefreshDecision::Rotate { counter: 8 });
        assert_eq!(decided(6, &rotated(-back)), RefreshDecision::Again { counter: 7 });
        assert_eq!(decided(5, &rotated(-back)), RefreshDecision::Conflict);
    }
    // By more: as if it had been long ago, or a rotation in the year 9999 would let a thief stay until then.
    for back in [INTERVAL, 365 * DAY, i64::MAX - NOW] {
        assert_eq!(decided(7, &rotated(-back)), RefreshDecision::Rotate { counter: 8 });
        assert_eq!(decided(6, &rotated(-back)), RefreshDecision::Recover { counter: 7, recoveries: 1 });
        assert_eq!(
            decided(5, &rotated(-(back.saturating_add(RETRIES).min(i64::MAX - NOW)))),
            RefreshDecision::Theft(Theft::Stale)
        );
    }
    // The infinities are long ago, too.
    for refreshed_at in [Some(Moment(i64::MIN)), Some(Moment(i64::MAX))] {
        let row = SessionRow { refreshed_at, ..ROW };
        assert_eq!(decided(6, &row), RefreshDecision::Recover { counter: 7, recoveries: 1 });
        assert_eq!(decided(5, &row), RefreshDecision::Theft(Theft::Stale));
    }
}

#[test]
fn an_interval_of_zero_is_off_and_an_endless_one_covers_everything() {
    let with = |reuse_interval: Duration, presented: u64, row: &SessionRow| {
        decide(&authentic(presented), row, &RefreshLimits { reuse_interval, ..LIMITS }, Moment(NOW))
    };
    assert_eq!(with(Duration::ZERO, 6, &rotated(0)), RefreshDecision::Recover { counter: 7, recoveries: 1 });
    assert_eq!(with(Duration::ZERO, 5, &rotated(0)), RefreshDecision::Theft(Theft::Stale));
    assert_eq!(with(Duration::MAX, 6, &rotated(NOW)), RefreshDecision::Again { counter: 7 });
    assert_eq!(with(Duration::MAX, 5, &rotated(NOW)), RefreshDecision::Conflict);
}

#[test]
fn the_end_of_the_column() {
    let at = |counter: i64| SessionRow { counter, ..ROW };
    let max = u64::try_from(i64::MAX).unwrap();
    let exhausted = RefreshDecision::Refused(RefreshRefusal::Exhausted);
    assert_eq!(decided(max - 1, &at(i64::MAX - 1)), RefreshDecision::Rotate { counter: max });
    assert_eq!(decided(max - 1, &at(7)), RefreshDecision::HistoryLost { counter: max });
    assert_eq!(decided(max, &at(i64::MAX)), exhausted);
    assert_eq!(decided(max, &at(7)), exhausted);
    assert_eq!(decided(max + 1, &at(i64::MAX)), exhausted);
    assert_eq!(decided(u64::MAX, &at(7)), exhausted);
    // Behind it, everything is as ever.
    assert_eq!(decided(max - 1, &at(i64::MAX)), RefreshDecision::Recover { counter: max, recoveries: 1 });
    assert_eq!(decided(max - 2, &at(i64::MAX)), RefreshDecision::Theft(Theft::Stale));
}

#[test]
fn a_row_that_somebody_spoilt() {
    for counter in [-1, i64::MIN] {
        let row = SessionRow { counter, ..ROW };
        assert_eq!(decided(0, &row), RefreshDecision::HistoryLost { counter: 1 });
        assert_eq!(decided(u64::MAX, &row), RefreshDecision::Refused(RefreshRefusal::Exhausted));
    }
    let recover = |recoveries| RefreshDecision::Recover { counter: 7, recoveries };
    assert_eq!(decided(6, &recovered(i16::MIN, 6)), recover(1));
    assert_eq!(decided(6, &recovered(i16::MAX, 6)), RefreshDecision::Theft(Theft::Recoveries));
    // A recovery that was counted for a counter that has not come yet says nothing.
    assert_eq!(decided(6, &recovered(2, 8)), recover(1));
    assert_eq!(decided(6, &recovered(2, i64::MAX)), recover(1));
    assert_eq!(decided(6, &recovered(2, i64::MIN)), recover(1));
}

#[test]
fn what_a_decision_asks_for() {
    for (decision, issues, writes) in [
        (RefreshDecision::Rotate { counter: 8 }, Some(8), true),
        (RefreshDecision::Again { counter: 7 }, Some(7), false),
        (RefreshDecision::Recover { counter: 7, recoveries: 1 }, Some(7), true),
        (RefreshDecision::HistoryLost { counter: 9 }, Some(9), true),
        (RefreshDecision::Conflict, None, false),
        (RefreshDecision::Theft(Theft::Stale), None, false),
        (RefreshDecision::Refused(RefreshRefusal::Idle), None, false),
    ] {
        assert_eq!((decision.issues(), decision.writes()), (issues, writes), "{decision:?}");
    }
}
