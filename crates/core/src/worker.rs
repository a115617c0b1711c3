//! When the background worker does what: which task is due, and how long one that fails is left alone.
//!
//! Times are those since the worker began, of a clock that nobody sets.

use std::time::Duration;

/// How long a task is left alone that has failed once. It doubles with each further failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause. A task that comes more often is left alone for as long as it takes from one run to the next, or for the first pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often a task that goes well is written down.
const WRITTEN_DOWN: Duration = Duration::from_secs(10);

/// How often a task is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one run to the next.
    pub every: Duration,
    /// From one run to the next, where somebody wishes it sooner; `None` where nobody may.
    pub at_a_wish: Option<Duration>,
}

/// How a run of a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All is done.
    Done,
    /// There is more to do at once.
    Unfinished,
    /// It failed.
    Failed,
}

/// Where one task stands.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    next: Duration,
    began: Option<Duration>,
    failures: u32,
    written_down: Option<(Duration, End)>,
}

impl Turn {
    /// A task that has not been run: it is due now.
    pub const FIRST: Self = Self { next: Duration::ZERO, began: None, failures: 0, written_down: None };

    /// When it is due.
    pub fn next(&self) -> Duration {
        self.next
    }

    /// How often it has failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It is run.
    pub fn begin(&mut self, now: Duration) {
        self.began = Some(now);
    }

    /// It was run. Whether that is to be written down: each failure and what comes after one, and of what goes well as much as anybody reads, and the end of what took several runs.
    pub fn end(&mut self, now: Duration, end: End, pace: Pace) -> bool {
        let had_failed = self.failures > 0;
        self.failures = match end {
            End::Failed => self.failures.saturating_add(1),
            End::Unfinished => self.failures,
            End::Done => 0,
        };
        self.next = match end {
            End::Unfinished => now,
            End::Done => now + pace.every,
            End::Failed => now + pause(self.failures).min(pace.every.max(FIRST_PAUSE)),
        };
        let is_known =
            self.written_down.is_some_and(|(at, as_what)| as_what == end && now.saturating_sub(at) < WRITTEN_DOWN);
        let is_written_down = match end {
            End::Failed => true,
            End::Unfinished => !had_failed && !is_known,
            End::Done => had_failed || !is_known,
        };
        if is_written_down {
            self.written_down = Some((now, end));
        }
        is_written_down
    }

    /// Somebody wishes it sooner. What fails is left alone as long as it would be.
    pub fn wish(&mut self, pace: Pace) {
        if let (Some(pause), 0) = (pace.at_a_wish, self.failures) {
            self.next = self.next.min(self.began.map_or(Duration::ZERO, |began| began + pause));
        }
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// Which task comes next: the one that has been due for the longest time, or is due first.
pub fn next<'a>(turns: impl IntoIterator<Item = &'a Turn>) -> Option<(usize, Duration)> {
    turns.into_iter().map(|turn| turn.next).enumerate().min_by_key(|(_, next)| *next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOURLY: Pace = Pace { every: Duration::from_secs(3600), at_a_wish: Some(Duration::from_secs(30)) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_went_well_comes_again_after_its_time() {
        let mut turn = Turn::FIRST;
        assert_eq!(turn.next(), Duration::ZERO);
        turn.begin(at(7));
        assert!(turn.end(at(8), End::Done, HOURLY));
        assert_eq!(turn.next(), at(3608));
    }

    #[test]
    fn what_is_unfinished_comes_again_at_once_and_behind_what_waits() {
        let (mut clean, mut beat) = (Turn::FIRST, Turn::FIRST);
        beat.next = at(9);
        clean.end(at(10), End::Unfinished, HOURLY);
        assert_eq!(next([&clean, &beat]), Some((1, at(9))));
        beat.end(at(10), End::Done, Pace { every: SECOND, at_a_wish: None });
        assert_eq!(next([&clean, &beat]), Some((0, at(10))));
        assert_eq!(next([]), None);
    }

    #[test]
    fn what_fails_is_left_alone_for_longer_and_longer() {
        let mut turn = Turn::FIRST;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            turn.end(at(100), End::Failed, HOURLY);
            pauses.push(turn.next().as_secs() - 100);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        turn.failures = u32::MAX;
        turn.end(at(100), End::Failed, HOURLY);
        assert_eq!((turn.failures(), turn.next()), (u32::MAX, at(400)));
        turn.end(at(100), End::Done, HOURLY);
        assert_eq!(turn.failures(), 0);
        turn.end(at(100), End::Failed, HOURLY);
        assert_eq!(turn.next(), at(105));
    }

    #[test]
    fn a_part_that_went_well_forgets_no_failure() {
        let mut turn = Turn::FIRST;
        for pause in [5, 10, 20, 40] {
            assert!(!turn.end(at(100), End::Unfinished, HOURLY) || turn.failures() == 0);
            assert_eq!(turn.next(), at(100));
            assert!(turn.end(at(100), End::Failed, HOURLY));
            assert_eq!(turn.next(), at(100 + pause));
        }
        assert_eq!(turn.failures(), 4);
        assert!(turn.end(at(200), End::Done, HOURLY));
        assert_eq!(turn.failures(), 0);
    }

    #[test]
    fn what_comes_often_is_not_left_alone_for_long() {
        let mut turn = Turn::FIRST;
        for _ in 0..9 {
            turn.end(at(100), End::Failed, Pace { every: SECOND, at_a_wish: None });
            assert_eq!(turn.next(), at(105));
        }
    }

    #[test]
    fn a_wish_is_heard_and_not_too_often() {
        let mut turn = Turn::FIRST;
        turn.wish(HOURLY);
        assert_eq!(turn.next(), Duration::ZERO);
        turn.begin(at(10));
        turn.end(at(12), End::Done, HOURLY);
        turn.wish(HOURLY);
        assert_eq!(turn.next(), at(40));
        turn.wish(Pace { at_a_wish: None, ..HOURLY });
        assert_eq!(turn.next(), at(40));
        // Nobody shortens a pause.
        turn.begin(at(40));
        for _ in 0..7 {
            turn.end(at(41), End::Failed, HOURLY);
        }
        turn.wish(HOURLY);
        assert_eq!(turn.next(), at(341));
    }

    #[test]
    fn what_goes_well_is_written_down_now_and_then_and_failures_always() {
        let pace = Pace { every: SECOND, at_a_wish: None };
        let mut turn = Turn::FIRST;
        let mut written = |second, end| turn.end(at(second), end, pace);
        assert!(written(0, End::Done));
        assert!(!written(1, End::Done));
        assert!(written(2, End::Unfinished));
        assert!(!written(3, End::Unfinished));
        assert!(written(4, End::Done));
        assert!(!written(13, End::Done));
        assert!(written(14, End::Done));
        assert!(written(15, End::Failed));
        assert!(written(16, End::Failed));
        assert!(written(17, End::Done));
        assert!(!written(18, End::Done));
    }
}
