//! What is to be done again once in so much time. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// When it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It is.
    Now,
    /// So much later.
    In(Duration),
}

/// How long ago that was; nothing of a date that lies ahead, which some clock got wrong.
pub fn age(at: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(now.duration_since(at)).ok()
}

/// When something is due that was done `last`; nothing where nobody wants it again.
pub fn when(every: Option<Duration>, last: Option<Timestamp>, now: Timestamp) -> Option<When> {
    let every = every?;
    let left = last.and_then(|at| age(at, now)).and_then(|age| every.checked_sub(age));
    Some(left.filter(|left| !left.is_zero()).map_or(When::Now, When::In))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn what_was_never_done_or_long_ago_is_due() {
        let ten = Some(Duration::from_secs(10));
        for (every, last, expected) in [
            (None, None, None),
            (None, Some(-50), None),
            (ten, None, Some(When::Now)),
            (ten, Some(-11), Some(When::Now)),
            (ten, Some(-10), Some(When::Now)),
            (ten, Some(-9), Some(When::In(Duration::from_secs(1)))),
            (ten, Some(0), Some(When::In(Duration::from_secs(10)))),
            // A clock that was wrong then, or is now: once too often does no harm.
            (ten, Some(1), Some(When::Now)),
        ] {
            assert_eq!(when(every, last.map(at), at(0)), expected, "{every:?} {last:?}");
        }
    }
}
