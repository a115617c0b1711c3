//! The decision and the model of sessions, which were written apart, agree.

use super::decision::{INTERVAL, LIMITS, NOW, RETRIES, ROW, authentic};
use super::*;
use crate::session_model::World;

const ID: Uuid = Uuid::from_u128(7);

#[derive(Debug, Clone)]
enum Event {
    /// A token so many behind the newest (or ahead) is presented.
    Present(i64),
    TimePasses,
    LoseHistory(u64),
    Ban(bool),
    TimeIsOver,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => prop_oneof![4 => Just(0_i64), 4 => Just(1), 2 => 2..5_i64, 1 => -3..0_i64].prop_map(Event::Present),
        6 => Just(Event::TimePasses),
        1 => (1..4_u64).prop_map(Event::LoseHistory),
        1 => any::<bool>().prop_map(Event::Ban),
        1 => prop::bool::weighted(0.1).prop_map(|over| if over { Event::TimeIsOver } else { Event::TimePasses }),
    ]
}

/// What the caller is told.
fn named(decision: RefreshDecision) -> std::result::Result<u64, &'static str> {
    decision.issues().ok_or(match decision {
        RefreshDecision::Conflict => "conflict",
        RefreshDecision::Theft(_) => "refresh_token_already_used",
        RefreshDecision::Refused(RefreshRefusal::UserBanned) => "user_banned",
        RefreshDecision::Refused(RefreshRefusal::Expired) => "session_expired",
        _ => "something else",
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn the_model_and_the_decision_agree(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new([None]);
        world.sign_in(0, &[], ID, Uuid::from_u128(1));
        let mut row = SessionRow { counter: 0, created_at: Moment(NOW), refreshed_at: None, ..ROW };
        let mut now = NOW;
        for event in events {
            match event {
                Event::TimePasses => {
                    world.time_passes(ID);
                    now += INTERVAL + RETRIES;
                }
                Event::LoseHistory(refreshes) => {
                    world.lose_history(ID, refreshes);
                    row.counter = row.counter.saturating_sub_unsigned(refreshes).max(0);
                }
                Event::Ban(true) => {
                    world.ban(0, true);
                    row.banned_until = Some(Moment(i64::MAX));
                }
                Event::Ban(false) => {
                    world.unban(0);
                    row.banned_until = None;
                }
                Event::TimeIsOver => {
                    world.time_is_over(ID);
                    row.not_after = Some(Moment(now));
                }
                Event::Present(behind) => {
                    let presented = row.counter.saturating_sub(behind).max(0).cast_unsigned();
                    let decision = decide(&authentic(presented), &row, &LIMITS, Moment(now));
                    prop_assert_eq!(world.refresh(ID, presented), named(decision), "{:?}", row);
                    match decision {
                        RefreshDecision::Rotate { counter } | RefreshDecision::HistoryLost { counter } => {
                            row.counter = counter.cast_signed();
                            row.refreshed_at = Some(Moment(now));
                        }
                        RefreshDecision::Recover { recoveries, .. } => {
                            row.recoveries = recoveries;
                            row.recovered_counter = Some(row.counter);
                        }
                        RefreshDecision::Theft(_) => return Ok(()),
                        _ => {}
                    }
                }
            }
        }
    }
}
