//! Whether a drive is to be scrubbed now. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::recurring::{When, age, when};
use crate::zfs::parse::Scrub;

/// Why a scrub begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// One was begun, and did not come to its end.
    Unfinished,
    /// The last one ended so long ago.
    Old(Duration),
    /// Nobody knows of one.
    Never,
}

/// Whether a drive that is to be scrubbed once in so much time is scrubbed at the end of a run. What the pool itself says
/// counts, and what this host remembers; of a date that lies ahead nothing is concluded.
pub fn due(
    every: Option<Duration>,
    seen: Scrub,
    remembered: Option<Timestamp>,
    now: Timestamp,
) -> Option<Due> {
    let every = every?;
    let ended = match seen {
        Scrub::Running { .. } | Scrub::Paused { .. } => return Some(Due::Unfinished),
        // A resilver: nothing can be scrubbed meanwhile.
        Scrub::Unknown => return None,
        Scrub::Finished { ended, .. } => Some(ended),
        Scrub::Never | Scrub::Canceled => None,
    };
    match [ended, remembered].into_iter().flatten().filter_map(|at| age(at, now)).min() {
        Some(age) if age >= every => Some(Due::Old(age)),
        Some(_) => None,
        None => Some(Due::Never),
    }
}

/// When a run will scrub the drive, as far as is known; nothing where none ever will. `seen` is what its pool says, while
/// that is imported.
pub fn next(
    every: Option<Duration>,
    seen: Option<Scrub>,
    remembered: Option<Timestamp>,
    now: Timestamp,
) -> Option<When> {
    let seen = seen.unwrap_or(Scrub::Never);
    if due(every, seen, remembered, now).is_some() {
        return Some(When::Now);
    }
    let ended = if let Scrub::Finished { ended, .. } = seen { Some(ended) } else { None };
    let known = [ended, remembered].into_iter().flatten().filter(|at| age(*at, now).is_some());
    when(every, Some(known.max()?), now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 24 * 3600).unwrap()
    }

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * DAY)
    }

    #[test]
    fn a_drive_is_scrubbed_when_the_last_scrub_that_is_known_is_old() {
        let finished = |day| Scrub::Finished { ended: at(day), errors: 0, repaired: false };
        let running = Scrub::Running { done: 5, left: None };
        let month = Some(days(30));
        for (every, seen, remembered, expected) in [
            (None, Scrub::Never, None, None),
            (None, Scrub::Paused { done: 5 }, None, None),
            (month, Scrub::Never, None, Some(Due::Never)),
            (month, Scrub::Canceled, None, Some(Due::Never)),
            (month, Scrub::Unknown, None, None),
            (month, Scrub::Paused { done: 5 }, Some(-1), Some(Due::Unfinished)),
            (month, running, Some(-1), Some(Due::Unfinished)),
            (month, finished(-29), None, None),
            (month, finished(-30), None, Some(Due::Old(days(30)))),
            (month, finished(-40), Some(-10), None),
            (month, finished(-10), Some(-40), None),
            (month, finished(-40), Some(-50), Some(Due::Old(days(40)))),
            (month, Scrub::Canceled, Some(-31), Some(Due::Old(days(31)))),
            (month, Scrub::Never, Some(-1), None),
            // A clock that was wrong then, or is now.
            (month, finished(1), None, Some(Due::Never)),
            (month, finished(1), Some(-31), Some(Due::Old(days(31)))),
            (month, finished(1), Some(-3), None),
            (Some(Duration::ZERO), finished(0), None, Some(Due::Old(Duration::ZERO))),
        ] {
            let remembered = remembered.map(at);
            assert_eq!(due(every, seen, remembered, at(0)), expected, "{every:?} {seen:?} {remembered:?}");
            let next = next(every, Some(seen), remembered, at(0));
            assert_eq!(next == Some(When::Now), expected.is_some(), "{every:?} {seen:?} {remembered:?}");
        }
    }

    #[test]
    fn when_the_next_one_is_due_is_known_from_the_pool_or_from_memory() {
        let finished = |day| Some(Scrub::Finished { ended: at(day), errors: 0, repaired: false });
        let month = Some(days(30));
        let later = |left| Some(When::In(days(left)));
        for (every, seen, remembered, expected) in [
            (None, finished(-3), Some(-3), None),
            (month, None, Some(-3), later(27)),
            (month, None, Some(-31), Some(When::Now)),
            (month, None, None, Some(When::Now)),
            (month, finished(-40), Some(-3), later(27)),
            (month, finished(-3), Some(-40), later(27)),
            (month, finished(9), Some(-3), later(27)),
            (month, Some(Scrub::Paused { done: 1 }), Some(-3), Some(When::Now)),
            (month, Some(Scrub::Unknown), None, None),
        ] {
            assert_eq!(next(every, seen, remembered.map(at), at(0)), expected, "{seen:?} {remembered:?}");
        }
    }

    proptest! {
        #[test]
        fn one_that_is_due_stays_due_until_it_is_done(ended in -1000_i64..0, every in 1_u64..500, later in 0_i64..500) {
            let seen = Scrub::Finished { ended: at(ended), errors: 0, repaired: false };
            let due_at = |day| due(Some(days(every)), seen, None, at(day));
            prop_assert!(due_at(0).is_none() || due_at(later).is_some());
            let done = Scrub::Finished { ended: at(later), errors: 0, repaired: false };
            prop_assert!(due(Some(days(every)), done, Some(at(ended)), at(later)).is_none());
        }
    }
}
