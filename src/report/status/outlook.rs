//! What of a drive lies ahead: the next scrub, and when it is full.

use std::time::Duration;

use serde::Serialize;

use super::super::text::roughly;
use super::super::{Line, Tone};
use super::{DriveStatus, Pause};
use crate::plan::recurring::When;

/// When something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Due {
    /// It is.
    Now,
    /// Later.
    In {
        /// So much.
        seconds: u64,
    },
}

impl From<When> for Due {
    fn from(when: When) -> Self {
        match when {
            When::Now => Self::Now,
            When::In(left) => Self::In { seconds: left.as_secs() },
        }
    }
}

/// A drive that is full sooner than that is told of in another colour.
const SOON: Duration = Duration::from_secs(60 * 86_400);

/// That nothing happens until somebody says so.
pub fn paused(drive: &str, paused: Pause) -> Line {
    let since = paused.since.map_or(String::new(), |since| format!(", since {} ago", roughly(since.age)));
    let text = format!("{drive} is paused{since}: no run of it starts before `zferry resume {drive}`.");
    Line::new(Tone::Warning, &text)
}

/// The last scrub, and the next one.
pub fn scrub(drive: &DriveStatus) -> Option<Line> {
    let next = match drive.next_scrub {
        None => String::new(),
        Some(Due::Now) => " One is due, and the next run does it.".to_owned(),
        Some(Due::In { seconds }) => {
            format!(" The next is due in {}.", roughly(Duration::from_secs(seconds)))
        }
    };
    let (tone, last) = match drive.last_scrub {
        None if next.is_empty() => return None,
        None => (Tone::Plain, "no scrub is known of.".to_owned()),
        Some(scrub) => {
            let (tone, found) = match scrub.errors {
                0 => (Tone::Plain, "it found nothing wrong"),
                _ => (Tone::Danger, "it found damage; `zferry verify` tells again where"),
            };
            (tone, format!("the last scrub, {} ago: {found}.", roughly(scrub.age)))
        }
    };
    Some(Line::new(tone, &format!("{}: {last}{next}", drive.name)))
}

/// The last rehearsal, and the next one.
pub fn rehearsal(drive: &DriveStatus) -> Option<Line> {
    let name = &drive.name;
    let last = drive.last_rehearsal.map(|last| roughly(last.age));
    Some(match (drive.next_rehearsal?, last) {
        (Due::Now, last) => Line::new(Tone::Warning, &due(name, last.as_deref(), "zferry")),
        (Due::In { seconds }, last) => {
            let left = roughly(Duration::from_secs(seconds));
            let last = last.unwrap_or_default();
            let text = format!(
                "{name}: the passphrase was last rehearsed {last} ago: it opens everything. The next time is due in {left}."
            );
            Line::new(Tone::Plain, &text)
        }
    })
}

/// That somebody should prove it once more.
pub fn due(drive: &str, last: Option<&str>, command: &str) -> String {
    let known = match last {
        None => "nobody is known to have proved that the passphrase opens it".to_owned(),
        Some(last) => format!("that the passphrase opens it was last proved {last} ago"),
    };
    format!("{drive}: {known}. `{command} rehearse {drive}` does that.")
}

/// When it is full.
pub fn full(drive: &DriveStatus) -> Option<Line> {
    let left = drive.capacity?.full_in?;
    let tone = if left < SOON { Tone::Warning } else { Tone::Plain };
    let text = format!("{}: if it goes on as in the last runs, it is full {}.", drive.name, time_until(left));
    Some(Line::new(tone, &text))
}

/// A guess: one unit.
fn time_until(left: Duration) -> String {
    match left.as_secs() / 86_400 {
        0..2 => "now or tomorrow".to_owned(),
        days @ 2..21 => format!("in about {days} days"),
        days @ 21..90 => format!("in about {} weeks", days / 7),
        days => format!("in about {} months", days * 12 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_has_one_unit() {
        let told = |days: u64| time_until(Duration::from_secs(days * 86_400 + 4000));
        assert_eq!(
            [0, 2, 20, 21, 89].map(told).join(", "),
            "now or tomorrow, in about 2 days, in about 20 days, in about 3 weeks, in about 12 weeks"
        );
        assert_eq!(
            [90, 125, 365, 800].map(told).join(", "),
            "in about 2 months, in about 4 months, in about 12 months, in about 26 months"
        );
    }
}
