//! Whether a drive is scrubbed after a run. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::zfs::parse::Scrub;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueScrub {
    /// The last one is young enough, or nobody wants any.
    No,
    /// A new one begins.
    Begin,
    /// One that was begun goes on.
    GoOn,
}

/// By what is wanted, what the drive itself says, and what this host remembers of the last one that came to its end. A
/// date that lies ahead was written by a wrong clock, and counts for nothing.
pub fn due_scrub(
    every: Option<Duration>,
    seen: Scrub,
    remembered: Option<Timestamp>,
    now: Timestamp,
) -> DueScrub {
    let Some(every) = every else { return DueScrub::No };
    let last = match seen {
        Scrub::Running { .. } | Scrub::Paused { .. } => return DueScrub::GoOn,
        Scrub::Finished { ended, .. } => Some(ended),
        Scrub::Never | Scrub::Canceled | Scrub::Unknown => remembered,
    };
    let age = last.and_then(|last| Duration::try_from(now.duration_since(last)).ok());
    if age.is_some_and(|age| age < every) { DueScrub::No } else { DueScrub::Begin }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrub_is_due_when_the_last_one_is_too_old_and_one_that_was_begun_goes_on() {
        let day = |day: i64| Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
        let finished = |at| Scrub::Finished { ended: day(at), errors: 0, repaired: false };
        let (running, paused) = (Scrub::Running { done: 1, left: None }, Scrub::Paused { done: 1 });
        let month = Some(Duration::from_secs(30 * 86_400));
        for (every, seen, remembered, expected) in [
            (None, Scrub::Never, None, DueScrub::No),
            (None, paused, None, DueScrub::No),
            (None, finished(-900), None, DueScrub::No),
            (month, Scrub::Never, None, DueScrub::Begin),
            (month, Scrub::Never, Some(day(-1)), DueScrub::No),
            (month, Scrub::Canceled, Some(day(-29)), DueScrub::No),
            (month, Scrub::Unknown, Some(day(-30)), DueScrub::Begin),
            (month, Scrub::Canceled, None, DueScrub::Begin),
            (month, finished(-29), None, DueScrub::No),
            (month, finished(-30), None, DueScrub::Begin),
            (month, finished(-31), Some(day(-1)), DueScrub::Begin),
            (month, finished(1), None, DueScrub::Begin),
            (month, running, Some(day(-1)), DueScrub::GoOn),
            (month, paused, Some(day(-1)), DueScrub::GoOn),
        ] {
            assert_eq!(
                due_scrub(every, seen, remembered, day(0)),
                expected,
                "{every:?} {seen:?} {remembered:?}"
            );
        }
    }
}
