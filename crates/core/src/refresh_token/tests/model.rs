//! One session, its clients and its thieves: what the decisions add up to.

use std::collections::BTreeMap;

use super::decision::{INTERVAL, LIMITS, NOW, RETRIES, ROW, SECOND, authentic};
use super::*;

/// The row and the clock, written as the tables of the decision say.
#[derive(Debug, Clone)]
struct Server {
    row: SessionRow,
    now: i64,
    ended: bool,
}

impl Server {
    fn new() -> Self {
        let row = SessionRow { counter: 0, created_at: Moment(NOW), refreshed_at: None, not_after: None, ..ROW };
        Self { row, now: NOW, ended: false }
    }

    fn refresh(&mut self, presented: u64) -> RefreshDecision {
        if self.ended {
            return RefreshDecision::Refused(RefreshRefusal::NotFound);
        }
        let decision = decide(&authentic(presented), &self.row, &LIMITS, Moment(self.now));
        match decision {
            RefreshDecision::Rotate { counter } | RefreshDecision::HistoryLost { counter } => {
                self.row.counter = i64::try_from(counter).unwrap();
                self.row.refreshed_at = Some(Moment(self.now));
            }
            RefreshDecision::Recover { recoveries, .. } => {
                self.row.recoveries = recoveries;
                self.row.recovered_counter = Some(self.row.counter);
                self.row.recovered_at = Some(Moment(self.now));
            }
            RefreshDecision::Theft(_) => self.ended = true,
            RefreshDecision::Again { .. } | RefreshDecision::Conflict | RefreshDecision::Refused(_) => {}
        }
        decision
    }

    fn counter(&self) -> u64 {
        u64::try_from(self.row.counter).unwrap()
    }

    /// A refresh long after the last one whose answer arrives.
    fn refresh_later(&mut self, token: &mut u64) -> RefreshDecision {
        self.now += 3600 * SECOND;
        let decision = self.refresh(*token);
        *token = decision.issues().unwrap_or(*token);
        decision
    }
}

#[test]
fn many_refreshes_in_a_row_work() {
    let (mut server, mut token) = (Server::new(), 0);
    for round in 1..=127 {
        assert_eq!(server.refresh_later(&mut token), RefreshDecision::Rotate { counter: round });
    }
    // And without a pause.
    for round in 128..=255 {
        assert_eq!(server.refresh(token), RefreshDecision::Rotate { counter: round });
        token = round;
    }
}

#[test]
fn a_thief_who_takes_turns_is_out_in_the_third_round() {
    let (mut server, mut victim, mut thief) = (Server::new(), 0, 0);
    for round in 1..=3 {
        assert_eq!(server.refresh_later(&mut victim), RefreshDecision::Rotate { counter: round });
        let seen = server.refresh_later(&mut thief);
        if round < 3 {
            let recoveries = i16::try_from(round).unwrap();
            assert_eq!(seen, RefreshDecision::Recover { counter: round, recoveries });
        } else {
            assert_eq!(seen, RefreshDecision::Theft(Theft::Recoveries));
        }
    }
    assert_eq!(server.refresh_later(&mut victim), RefreshDecision::Refused(RefreshRefusal::NotFound));
}

/// The price of the interval, and its end.
#[test]
fn a_thief_within_the_interval_rides_along_until_he_is_late() {
    let (mut server, mut victim, mut thief) = (Server::new(), 0, 0);
    for counter in 1..100 {
        assert_eq!(server.refresh_later(&mut victim), RefreshDecision::Rotate { counter });
        server.now += INTERVAL - 1;
        assert_eq!(server.refresh(thief), RefreshDecision::Again { counter });
        thief = counter;
    }
    server.refresh_later(&mut victim);
    server.refresh_later(&mut victim);
    assert_eq!(server.refresh_later(&mut thief), RefreshDecision::Theft(Theft::Stale));
}

#[test]
fn two_lost_answers_in_a_row_are_forgiven_for_ever() {
    let (mut server, mut token) = (Server::new(), 0);
    for _ in 0..100 {
        for recoveries in [1, 2] {
            let lost = token;
            server.refresh_later(&mut token);
            token = lost;
            // The answer to the recovery is lost as well, several times.
            for attempt in 0..5 {
                let counter = server.counter();
                let wanted = if attempt == 0 {
                    RefreshDecision::Recover { counter, recoveries }
                } else {
                    RefreshDecision::Again { counter }
                };
                assert_eq!(server.refresh_later(&mut token), wanted);
                token = if attempt < 4 { lost } else { token };
            }
        }
        let counter = server.counter() + 1;
        assert_eq!(server.refresh_later(&mut token), RefreshDecision::Rotate { counter });
    }
}

/// Not by drawing lots but by following every state a session can be in: how many honest sessions end as theft within
/// a thousand refreshes, if one answer in a hundred is lost and the client comes back later.
#[test]
fn lost_answers_sign_few_honest_people_out() {
    const LOST: f64 = 0.01;
    // Recoveries, the counter they were counted up to, and whether the client has missed the last rotation.
    let mut states = BTreeMap::from([((0, None, false), 1.0)]);
    let mut ended = 0.0;
    for _ in 0..1000 {
        let mut next = BTreeMap::new();
        for ((recoveries, recovered_counter, missed), probability) in states {
            let mut server = Server::new();
            server.row = SessionRow { counter: 10, recoveries, recovered_counter, ..ROW };
            if let RefreshDecision::Theft(_) = server.refresh(if missed { 9 } else { 10 }) {
                ended += probability;
                continue;
            }
            // Only what the next decision can see, so that the states stay few.
            let shift = server.row.counter - 10;
            let counted = server.row.recovered_counter.map(|at| at - shift).filter(|at| *at >= 9);
            let recoveries = if counted.is_some() { server.row.recoveries } else { 0 };
            *next.entry((recoveries, counted, true)).or_insert(0.0) += probability * LOST;
            *next.entry((recoveries, counted, false)).or_insert(0.0) += probability * (1.0 - LOST);
        }
        assert!(next.len() <= 16, "{next:?}");
        states = next;
    }
    let alive: f64 = states.values().sum();
    assert!((alive + ended - 1.0).abs() < 1e-9);
    // Three lost in a row, a thousand times: one session in a thousand.
    assert!(ended > 0.0005 && ended < 0.0025, "{ended}");
}

/// A pause between two refreshes, of any size.
fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![0..2 * INTERVAL, 0..90 * 86_400 * SECOND]
}

/// A pause after which nothing is within the interval.
fn long_pause() -> impl Strategy<Value = i64> {
    INTERVAL + RETRIES..90 * 86_400 * SECOND
}

/// A row as no honest history leaves it, edges first.
fn any_row() -> impl Strategy<Value = SessionRow> {
    let flags = (prop::bool::weighted(0.05), prop::bool::weighted(0.05));
    let times = (edge(), prop::option::of(edge()), prop::option::of(edge()), prop::option::of(edge()));
    (edge(), prop::option::of(edge()), any::<i16>(), prop::option::of(edge()), times, flags).prop_map(
        |(counter, recovered_counter, recoveries, banned_until, times, (deleted, superseded))| SessionRow {
            counter,
            created_at: Moment(times.0),
            refreshed_at: times.1.map(Moment),
            recoveries,
            recovered_counter,
            recovered_at: times.2.map(Moment),
            not_after: times.3.map(Moment),
            banned_until: banned_until.map(Moment),
            deleted,
            superseded,
        },
    )
}

fn edge() -> impl Strategy<Value = i64> {
    prop_oneof![
        prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 2, 6, 7, 8, NOW, i64::MAX - 1, i64::MAX]),
        any::<i64>(),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_secs(10)),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_nanos),
        any::<u64>().prop_map(Duration::from_secs),
    ]
}

/// A session as an honest history leaves it, with the token its client holds.
fn history() -> impl Strategy<Value = (Server, u64)> {
    prop::collection::vec((long_pause(), prop::bool::weighted(0.2)), 0..20).prop_map(|refreshes| {
        let (mut server, mut token) = (Server::new(), 0);
        let mut lost_in_a_row = 0;
        for (pause, lost) in refreshes {
            server.now += pause;
            let decision = server.refresh(token);
            let lost = lost && (lost_in_a_row < 2 || decision.issues() == Some(token));
            match decision {
                RefreshDecision::Rotate { .. } if lost => lost_in_a_row += 1,
                RefreshDecision::Rotate { .. } => lost_in_a_row = 0,
                _ => {}
            }
            token = if lost { token } else { decision.issues().unwrap() };
        }
        (server, token)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Tabs that find the same token about to expire, at once or one after the other, their answers in any order.
    #[test]
    fn tabs_within_the_interval_all_get_the_same_session(
        rounds in prop::collection::vec((pause(), prop::collection::vec(0..INTERVAL, 1..20), any::<prop::sample::Index>()), 1..20),
    ) {
        let (mut server, mut shared) = (Server::new(), 0);
        for (pause, mut arrivals, last_answer) in rounds {
            server.now += pause;
            let start = server.now;
            arrivals.sort_unstable();
            let mut answers = Vec::new();
            for arrival in &arrivals {
                // The first comes at once: the interval begins with it.
                server.now = start + arrival - arrivals[0];
                answers.push(server.refresh(shared).issues());
            }
            prop_assert!(answers.iter().all(|answer| *answer == Some(shared + 1)), "{answers:?}");
            shared = last_answer.get(&answers).unwrap();
        }
        prop_assert_eq!(server.row.recovered_counter, None);
    }

    /// Tabs that refresh whenever they like, from one store, with requests that are under way for less than the
    /// interval: at worst one is told to look into the store again.
    #[test]
    fn tabs_that_share_a_store_are_never_signed_out(
        events in prop::collection::vec((0..2 * INTERVAL, 0..5_usize, prop::bool::ANY), 1..60),
    ) {
        let (mut server, mut store) = (Server::new(), 0);
        let mut under_way: [Option<(u64, i64)>; 5] = [None; 5];
        for (pause, tab, sends) in events {
            server.now += pause;
            // A tab reads the store and sends; or what it sent arrives. What is overdue never does.
            match under_way[tab].take().filter(|(_, sent)| server.now - sent < INTERVAL) {
                None if sends => under_way[tab] = Some((store, server.now)),
                None => {}
                Some((token, _)) => match server.refresh(token) {
                    RefreshDecision::Rotate { counter } | RefreshDecision::Again { counter } => store = counter,
                    decision => {
                        prop_assert_eq!(decision, RefreshDecision::Conflict);
                        prop_assert!(server.refresh(store).issues().is_some());
                        store = server.counter();
                    }
                },
            }
            prop_assert!(!server.ended);
        }
        prop_assert_eq!(server.row.recovered_counter, None);
    }

    /// Lost answers and crashes, never three rotations in a row: `history` panics where a session is signed out.
    #[test]
    fn an_honest_client_goes_on((mut server, mut token) in history(), pause in long_pause()) {
        server.now += pause;
        let first = server.refresh(token);
        prop_assert!(first.issues().is_some(), "{first:?}");
        token = first.issues().unwrap();
        let counter = server.counter() + 1;
        prop_assert_eq!(server.refresh_later(&mut token), RefreshDecision::Rotate { counter });
    }

    /// A thief with the client's token, or the one before it. In a round each refreshes at least once, in any order.
    #[test]
    fn a_thief_in_step_is_found_within_three_rounds(
        (mut server, mut victim) in history(),
        stolen_before in prop::bool::ANY,
        rounds in prop::array::uniform3((prop::collection::vec((prop::bool::ANY, long_pause()), 0..4), prop::bool::ANY)),
    ) {
        let mut thief = if stolen_before { victim.saturating_sub(1) } else { victim };
        for (extra, order) in rounds {
            let must = [(order, INTERVAL + RETRIES), (!order, INTERVAL + RETRIES)];
            for (is_thief, pause) in must.into_iter().chain(extra) {
                server.now += pause;
                let token = if is_thief { &mut thief } else { &mut victim };
                *token = server.refresh(*token).issues().unwrap_or(*token);
            }
        }
        prop_assert!(server.ended, "{server:?}");
        prop_assert_eq!(server.refresh_later(&mut victim), RefreshDecision::Refused(RefreshRefusal::NotFound));
    }

    /// Not now, and not whatever happens to the row afterwards.
    #[test]
    fn an_ancient_token_never_yields_the_current_one(
        (mut server, mut token) in history(),
        age in 2..u64::MAX,
        turns in prop::collection::vec((pause(), prop::bool::ANY), 1..20),
    ) {
        while server.counter() < 2 {
            server.refresh_later(&mut token);
        }
        let ancient = server.counter().saturating_sub(age);
        for (pause, refreshes) in turns {
            server.now += pause;
            if refreshes {
                token = server.refresh(token).issues().unwrap_or(token);
            }
            let decision = server.refresh(ancient);
            prop_assert_eq!(decision.issues(), None);
        }
    }

    /// Neither does a row that no history leaves.
    #[test]
    fn no_row_yields_a_token_to_one_two_behind(row in any_row(), age in 2..u64::MAX, interval in duration(), now in edge()) {
        let Some(presented) = u64::try_from(row.counter).ok().and_then(|counter| counter.checked_sub(age)) else {
            return Ok(());
        };
        let limits = RefreshLimits { reuse_interval: interval, ..LIMITS };
        prop_assert_eq!(decide(&authentic(presented), &row, &limits, Moment(now)).issues(), None);
    }

    /// A restored row: its client goes on as if nothing had been, and so do its tabs.
    #[test]
    fn a_counter_ahead_is_accepted_once_and_goes_on((mut server, _) in history(), ahead in 1..1000_u64, pause in pause(), tabs in 1..20) {
        let token = server.counter() + ahead;
        server.now += pause;
        prop_assert_eq!(server.refresh(token), RefreshDecision::HistoryLost { counter: token + 1 });
        for _ in 1..tabs {
            prop_assert_eq!(server.refresh(token), RefreshDecision::Again { counter: token + 1 });
        }
        let mut late = token;
        let mut restored = server.clone();
        prop_assert_eq!(restored.refresh_later(&mut late), RefreshDecision::Recover { counter: token + 1, recoveries: 1 });
        let mut newest = token + 1;
        prop_assert_eq!(server.refresh_later(&mut newest), RefreshDecision::Rotate { counter: token + 2 });
        prop_assert_eq!(server.refresh(token), RefreshDecision::Conflict);
        server.now += INTERVAL + RETRIES;
        prop_assert_eq!(server.refresh(token), RefreshDecision::Theft(Theft::Stale));
    }

    /// An ancient token that is first after a restore is believed; the person's own ends that.
    #[test]
    fn detection_goes_on_after_lost_history(newest in 10..100_u64, ancient_age in 1..9_u64, restored in 0..100_u64) {
        let ancient = newest - ancient_age;
        let mut server = Server::new();
        server.row.counter = i64::try_from(restored % ancient).unwrap();
        let (mut person, mut thief) = (newest, ancient);
        prop_assert_eq!(server.refresh_later(&mut thief), RefreshDecision::HistoryLost { counter: ancient + 1 });
        for _ in 0..4 {
            prop_assert!(server.counter() >= ancient);
            server.refresh_later(&mut person);
            server.refresh_later(&mut thief);
        }
        prop_assert!(server.ended);
    }

    #[test]
    fn there_is_always_a_decision_and_it_fits_the_column(
        row in any_row(),
        presented in prop_oneof![any::<u64>(), edge().prop_map(i64::cast_unsigned)],
        interval in duration(),
        idle in prop::option::of(duration()),
        now in edge(),
    ) {
        let limits = RefreshLimits { reuse_interval: interval, idle_timeout: idle };
        let decision = decide(&authentic(presented), &row, &limits, Moment(now));
        if let Some(counter) = decision.issues() {
            let counter = i64::try_from(counter).unwrap();
            // Never back, and by one at most from what the row or the token says.
            prop_assert!(counter >= row.counter);
            prop_assert!(counter == row.counter || u64::try_from(counter).unwrap() == presented + 1);
        }
        if let RefreshDecision::Recover { recoveries, .. } = decision {
            prop_assert!((1..=2).contains(&recoveries));
        }
        prop_assert_eq!(decide(&authentic(presented), &row, &limits, Moment(now)), decision);
    }
}
