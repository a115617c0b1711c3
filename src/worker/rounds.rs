//! One task after the other, each when it is due. A failure ends its transaction and never the worker.

use std::time::{Duration, Instant};

use workos_auth_core::Result;
use workos_auth_core::worker::{End, Turn, next};

use super::tasks::{Run, TASKS, Task};
use crate::error::log_line;
use crate::postgres::background::{self, Failure, transaction};
use crate::postgres::{clock, roles, wishes};
use crate::store::worker_status::{self, Entry};
use crate::store::{scan, watched};

/// How long a database is left alone that has no extension.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Works until the process ends, which Postgres sees to at every wait.
pub fn work(place: usize) {
    let began = Instant::now();
    let mut turns = [Turn::FIRST; TASKS.len()];
    let mut is_told = false;
    loop {
        // First of all, since it changes what is next.
        if wishes::is_wished(place) {
            turns.iter_mut().zip(TASKS).for_each(|(turn, task)| turn.wish(task.pace));
        }
        let Some((at, due)) = next(&turns) else { return };
        let left = due.saturating_sub(began.elapsed());
        if !left.is_zero() {
            background::wait(left);
            continue;
        }
        if !is_there() {
            if !is_told {
                is_told = true;
                log_line(
                    "the background worker has nothing to do",
                    "The database has no extension workos_auth, or an older one. The worker goes on looking.",
                );
            }
            background::wait(LOOK_AGAIN);
            continue;
        }
        is_told = false;
        if let (Some(turn), Some(task)) = (turns.get_mut(at), TASKS.get(at)) {
            if task.pace.at_a_wish.is_some() {
                wishes::hear(place);
            }
            run(task, turn, began);
        }
    }
}

fn is_there() -> bool {
    transaction(|| Ok(scan::can_have_a_worker())).unwrap_or(false)
}

fn run(task: &Task, turn: &mut Turn, began: Instant) {
    let name = task.name.to_str().unwrap_or_default();
    let started_at = clock::timestamp_now();
    background::show(Some(task.name));
    turn.begin(began.elapsed());
    let watched_before = watched();
    let outcome = transaction(|| as_owner(task.run));
    let (count, end, failure) = match outcome {
        Ok(Run { count, failed: Some(error), .. }) => (count, End::Failed, Some(Failure::from(&error))),
        Ok(Run { count, is_unfinished: true, .. }) => (count, End::Unfinished, None),
        Ok(Run { count, .. }) => (count, End::Done, None),
        Err(failure) => (0, End::Failed, Some(failure)),
    };
    // What others may have raised is for the log alone.
    let is_shown = |failure: &Failure| failure.is_ours || watched() == watched_before;
    let error = failure.as_ref().map(|failure| match is_shown(failure) {
        true => format!("{}: {}", failure.sqlstate, failure.message),
        false => format!("{}: the server's log says why", failure.sqlstate),
    });
    if let Some(failure) = &failure {
        tell(name, failure);
    }
    if turn.end(began.elapsed(), end, task.pace) {
        let written = transaction(|| {
            let next_in = turn.next().saturating_sub(began.elapsed());
            let (started_at, error, failures) = (started_at?, error.as_deref(), turn.failures());
            as_owner(|| worker_status::write(&Entry { task: name, started_at, count, error, failures, next_in }))
        });
        if let Err(failure) = written {
            tell("worker_status", &failure);
        }
    }
    background::show(None);
}

/// Runs `f` without the rights that the process began with. For good: what runs at the commit has no more rights either.
fn as_owner<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    roles::become_owner();
    f()
}

fn tell(what: &str, failure: &Failure) {
    log_line("a task of the background worker failed", &format!("{what}: {}: {}", failure.sqlstate, failure.message));
}
