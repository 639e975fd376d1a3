//! `--from`: the name of a snapshot, a day, or a moment, as people write them. What can be understood in two ways, or in
//! none, is refused with what was understood.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::AmbiguousOffset;
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::model::SnapName;

/// A snapshot of one dataset, and when it was made by the clock of the host that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// The part after the `@`.
    pub name: SnapName,
    /// When.
    pub at: Timestamp,
}

/// What was written behind `--from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: whichever is newest and has what is looked for.
    Newest,
    /// This.
    AsOf(String),
}

/// Why no snapshot is meant, or it is not certain which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It is neither a name nor a time.
    #[error("“{0}” is no snapshot of {1}, and no day or time")]
    NotUnderstood(String, String),
    /// There is no such day or time.
    #[error("“{0}” is no day or time that there is: {1}")]
    Impossible(String, String),
    /// The clocks were put forward over it.
    #[error("{0} did not exist here: the clocks were put forward over it")]
    Skipped(DateTime),
    /// The clocks were put back over it.
    #[error("{0} was twice here: the clocks were put back over it")]
    Twice(DateTime),
    /// It has not come yet.
    #[error("{0} lies ahead")]
    Ahead(String),
    /// Nobody made a snapshot then.
    #[error("there is no snapshot of {0}{1}")]
    NoneThen(String, String),
    /// It has none at all.
    #[error("{0} has no snapshots")]
    NoneAtAll(String),
}

/// A time that was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    /// The last snapshot of this day.
    Day(Date),
    /// The last snapshot until then.
    Until(Timestamp),
}

impl Wanted {
    /// The snapshots that may be meant, as indices, the one to be tried first in front. `now` has the zone in which people
    /// here write times.
    ///
    /// # Errors
    /// When none is meant, or it is not certain which.
    pub fn choose(&self, dataset: &str, snapshots: &[Dated], now: &Zoned) -> Result<Vec<usize>, Unclear> {
        if snapshots.is_empty() {
            return Err(Unclear::NoneAtAll(dataset.to_owned()));
        }
        let Self::AsOf(text) = self else { return Ok((0..snapshots.len()).rev().collect()) };
        let text = text.trim();
        let name = text.strip_prefix('@').unwrap_or(text);
        if let Some(named) = snapshots.iter().position(|snapshot| snapshot.name.as_str() == name) {
            return Ok(vec![named]);
        }
        let meant = understand(text, now)?
            .ok_or_else(|| Unclear::NotUnderstood(text.to_owned(), dataset.to_owned()))?;
        let zone = now.time_zone();
        let day_of = |snapshot: &Dated| snapshot.at.to_zoned(zone.clone()).date();
        let fits = |snapshot: &Dated| match meant {
            Meant::Day(day) => day_of(snapshot) == day,
            Meant::Until(moment) => snapshot.at <= moment,
        };
        let ahead = match meant {
            Meant::Day(day) => day > now.date(),
            Meant::Until(moment) => moment > now.timestamp(),
        };
        if ahead {
            return Err(Unclear::Ahead(meant.shown(now)));
        }
        // Of two that were made in one second the later one in the history counts.
        let among = snapshots.iter().enumerate().filter(|(_, snapshot)| fits(snapshot));
        match among.max_by_key(|(index, snapshot)| (snapshot.at, *index)) {
            Some((index, _)) => Ok(vec![index]),
            None => Err(Unclear::NoneThen(meant.shown(now), around(meant, snapshots, now))),
        }
    }
}

impl Meant {
    fn shown(self, now: &Zoned) -> String {
        match self {
            Self::Day(day) => day.to_string(),
            Self::Until(moment) => shown(moment, now),
        }
    }
}

/// A time as people here write it, to the second.
fn shown(at: Timestamp, now: &Zoned) -> String {
    at.to_zoned(now.time_zone().clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// "; before it: … ; after it: …"
fn around(meant: Meant, snapshots: &[Dated], now: &Zoned) -> String {
    let zone = now.time_zone();
    let is_before = |snapshot: &&Dated| match meant {
        Meant::Day(day) => snapshot.at.to_zoned(zone.clone()).date() < day,
        Meant::Until(moment) => snapshot.at <= moment,
    };
    let named = |snapshot: &Dated| format!("{} ({})", snapshot.name, shown(snapshot.at, now));
    let before = snapshots.iter().filter(is_before).max_by_key(|snapshot| snapshot.at);
    let after = snapshots.iter().filter(|snapshot| !is_before(snapshot)).min_by_key(|snapshot| snapshot.at);
    let before = before.map(|snapshot| format!("; the last one before is {}", named(snapshot)));
    let after = after.map(|snapshot| format!("; the first one after is {}", named(snapshot)));
    before.unwrap_or_default() + &after.unwrap_or_default()
}

/// `2026-01-02`, `today`, `yesterday`, each also with a time behind it; a time with its offset from UTC.
fn understand(text: &str, now: &Zoned) -> Result<Option<Meant>, Unclear> {
    let impossible = |error: jiff::Error| Unclear::Impossible(text.to_owned(), error.to_string());
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (day, Some(time.trim())),
        None => (text, None),
    };
    let day = match day {
        "today" => now.date(),
        "yesterday" => now.date().checked_sub(1.day()).map_err(impossible)?,
        day if looks_like(day, "0000-00-00") => day.parse().map_err(impossible)?,
        _ => return Ok(None),
    };
    let Some(time) = time else { return Ok(Some(Meant::Day(day))) };
    if time.ends_with('Z') || time.contains(['+', '-']) {
        let moment = format!("{day}T{time}").parse().map_err(impossible)?;
        return Ok(Some(Meant::Until(moment)));
    }
    let time = match time {
        time if looks_like(time, "0:00") => format!("0{time}"),
        time if looks_like(time, "00:00") || looks_like(time, "00:00:00") => time.to_owned(),
        _ => return Ok(None),
    };
    let time: Time = time.parse().map_err(impossible)?;
    let there = day.to_datetime(time);
    let here = now.time_zone().to_ambiguous_zoned(there);
    match here.offset() {
        AmbiguousOffset::Gap { .. } => Err(Unclear::Skipped(there)),
        AmbiguousOffset::Fold { .. } => Err(Unclear::Twice(there)),
        AmbiguousOffset::Unambiguous { .. } => {
            here.unambiguous().map(|zoned| Some(Meant::Until(zoned.timestamp()))).map_err(impossible)
        }
    }
}

/// Whether a text has digits where the pattern has `0`, and is the same elsewhere.
fn looks_like(text: &str, pattern: &str) -> bool {
    let same = |(c, p): (char, char)| if p == '0' { c.is_ascii_digit() } else { c == p };
    text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOTS: [(&str, &str); 6] = [
        ("first", "2026-03-27T12:00:00+01:00"),
        ("night", "2026-03-28T23:30:00+01:00"),
        ("morning", "2026-03-29T08:00:00+02:00"),
        ("evening", "2026-03-29T20:00:00+02:00"),
        ("2026-03-20", "2026-03-31T09:00:00+02:00"),
        ("same-second", "2026-03-31T09:00:00+02:00"),
    ];

    fn snapshots() -> Vec<Dated> {
        let dated = |(name, at): (&str, &str)| Dated { name: name.parse().unwrap(), at: at.parse().unwrap() };
        SNAPSHOTS.map(dated).to_vec()
    }

    /// In Berlin, where the clocks were put forward on 29 March 2026, on the last day of that month.
    fn chosen(text: &str) -> Result<String, Unclear> {
        let now: Zoned = "2026-03-31T12:00:00[Europe/Berlin]".parse().unwrap();
        let snapshots = snapshots();
        let indices = Wanted::AsOf(text.to_owned()).choose("backup/eds", &snapshots, &now)?;
        assert_eq!(indices.len(), 1);
        Ok(snapshots[indices[0]].name.to_string())
    }

    #[test]
    fn a_name_is_that_snapshot_a_day_its_last_one_and_a_time_the_last_one_until_then() {
        for (text, expected) in [
            ("night", "night"),
            ("@night", "night"),
            ("2026-03-20", "2026-03-20"), // a name goes before what it looks like
            ("2026-03-29", "evening"),
            ("2026-03-28", "night"),
            ("2026-03-29 20:00", "evening"),
            ("2026-03-29 19:59:59", "morning"),
            ("2026-03-29T8:00", "morning"),
            ("2026-03-29T18:00:00Z", "evening"),
            ("2026-03-29T17:59:59Z", "morning"),
            ("2026-03-29T20:00+02:00", "evening"),
            ("2026-03-30", "?"),
            ("yesterday 12:00", "evening"),
            ("today", "same-second"),
            (" today 9:00 ", "same-second"),
            ("today 8:59", "evening"),
        ] {
            match chosen(text) {
                Ok(name) => assert_eq!(name, expected, "{text}"),
                Err(Unclear::NoneThen(..)) => assert_eq!(expected, "?", "{text}"),
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_ambiguous_or_impossible_is_refused_with_what_was_understood() {
        for (text, expected) in [
            ("2026-02-30", "“2026-02-30” is no day or time that there is"),
            ("2026-03-28 25:00", "is no day or time that there is"),
            ("2026-03-29 02:30", "2026-03-29T02:30:00 did not exist here"),
            ("2025-10-26 02:30", "2025-10-26T02:30:00 was twice here"),
            ("2026-04-01", "2026-04-01 lies ahead"),
            ("today 13:00", "2026-03-31 13:00:00 lies ahead"),
            ("02/03/2026", "“02/03/2026” is no snapshot of backup/eds, and no day or time"),
            ("14:00", "“14:00” is no snapshot"),
            ("last week", "“last week” is no snapshot"),
            ("", "“” is no snapshot"),
            (
                "yesterday",
                "there is no snapshot of 2026-03-30; the last one before is evening (2026-03-29 20:00:00); the first one after is 2026-03-20 (2026-03-31 09:00:00)",
            ),
            ("2026-03-01 12:00", "there is no snapshot of 2026-03-01 12:00:00; the first one after is first"),
        ] {
            let error = chosen(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let none = Wanted::Newest.choose("backup/eds", &[], &Zoned::default()).unwrap_err();
        assert_eq!(none, Unclear::NoneAtAll("backup/eds".to_owned()));
    }

    #[test]
    fn without_a_time_the_newest_is_tried_first() {
        let all = Wanted::Newest.choose("backup/eds", &snapshots(), &Zoned::default()).unwrap();
        assert_eq!(all, [5, 4, 3, 2, 1, 0]);
    }
}
