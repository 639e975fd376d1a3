//! Whether a drive was not backed up to for too long, and whether somebody is to be told of it now. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::recurring::age;

/// So long after an alert the next one is due. Less than a day: a daily timer does not come to the minute.
const AGAIN: Duration = Duration::from_secs(20 * 3600);

/// What is known of a drive. Dates that lie ahead were given by some wrong clock, and say nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// When the last complete run ended.
    pub last_success: Option<Timestamp>,
    /// When the newest snapshot was made that it is known to have.
    pub newest_copy: Option<Timestamp>,
    /// When it was first looked after it.
    pub watched_since: Option<Timestamp>,
    /// When somebody was last told.
    pub last_alert: Option<Timestamp>,
}

/// How long ago what was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A complete run.
    Success(Duration),
    /// No run is remembered. The newest snapshot that the drive is known to have was made then.
    Copy(Duration),
    /// Nothing is known of it at all, since so long.
    Unknown(Duration),
}

impl Since {
    /// How long.
    pub fn age(self) -> Duration {
        match self {
            Self::Success(age) | Self::Copy(age) | Self::Unknown(age) => age,
        }
    }
}

/// What is to be said of a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// What it was judged by.
    pub since: Since,
    /// Whether that is too long ago.
    pub overdue: bool,
    /// Whether somebody is to be told of it now.
    pub alert: bool,
}

/// Judges a drive that may be away for `warn_after`.
pub fn judge(warn_after: Duration, known: &Known, now: Timestamp) -> Judgement {
    let ago = |at: Option<Timestamp>| at.and_then(|at| age(at, now));
    let since = ago(known.last_success)
        .map(Since::Success)
        .or_else(|| ago(known.newest_copy).map(Since::Copy))
        .unwrap_or_else(|| Since::Unknown(ago(known.watched_since).unwrap_or_default()));
    let overdue = since.age() > warn_after;
    let alert = overdue && ago(known.last_alert).is_none_or(|ago| ago >= AGAIN);
    Judgement { since, overdue, alert }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * DAY).unwrap()
    }

    fn days(days: i64) -> Duration {
        Duration::from_secs((days * DAY).unsigned_abs())
    }

    #[test]
    fn the_best_that_is_known_decides_and_what_lies_ahead_is_not_known() {
        for (success, copy, watched, since, overdue) in [
            (Some(-3), None, None, Since::Success(days(3)), false),
            (Some(-14), Some(-50), Some(-50), Since::Success(days(14)), false),
            (Some(-15), Some(-1), None, Since::Success(days(15)), true),
            (None, Some(-15), Some(-1), Since::Copy(days(15)), true),
            (None, Some(-2), Some(-50), Since::Copy(days(2)), false),
            (None, None, Some(-15), Since::Unknown(days(15)), true),
            (None, None, Some(-1), Since::Unknown(days(1)), false),
            (None, None, None, Since::Unknown(days(0)), false),
            (Some(1), None, Some(-15), Since::Unknown(days(15)), true),
            (Some(1), Some(1), Some(1), Since::Unknown(days(0)), false),
        ] {
            let known = Known {
                last_success: success.map(at),
                newest_copy: copy.map(at),
                watched_since: watched.map(at),
                last_alert: None,
            };
            let judgement = judge(days(14), &known, at(0));
            assert_eq!(judgement, Judgement { since, overdue, alert: overdue }, "{known:?}");
        }
    }

    #[test]
    fn somebody_is_told_once_a_day() {
        for (last_alert, alert) in [(None, true), (Some(0), false), (Some(-1), true), (Some(1), true)] {
            let known =
                Known { last_success: Some(at(-20)), last_alert: last_alert.map(at), ..Known::default() };
            assert_eq!(judge(days(14), &known, at(0)).alert, alert, "{last_alert:?}");
        }
        let known = Known { last_success: Some(at(-3)), last_alert: None, ..Known::default() };
        assert!(!judge(days(14), &known, at(0)).alert);
    }
}
