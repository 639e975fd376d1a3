//! What `zpool status` says of scrubs (text: JSON came with ZFS 2.3). It tells and decides nothing that could do harm: what
//! is not understood is [`Scrub::Unknown`], which a run passes over and `verify` does not take for an end.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The last scrub of a pool, or the one under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrub {
    /// ZFS knows of none.
    Never,
    /// It goes on.
    Running {
        /// Hundredths of a percent that are done.
        done: u32,
        /// The time that is left, as ZFS estimates it.
        left: Option<Duration>,
    },
    /// It waits to be continued.
    Paused {
        /// Hundredths of a percent that are done.
        done: u32,
    },
    /// It came to its end.
    Finished {
        /// When.
        ended: Timestamp,
        /// Blocks that could not be mended.
        errors: u64,
        /// Whether something was mended.
        repaired: bool,
    },
    /// Somebody ended it.
    Canceled,
    /// Something else is told, such as a resilver that goes on.
    Unknown,
}

/// Reads the lines behind `scan:`.
pub(super) fn scrub(text: &str) -> Scrub {
    let mut lines = text.lines().skip_while(|line| !line.trim_start().starts_with("scan:"));
    let Some(first) = lines.next().and_then(|line| line.trim_start().strip_prefix("scan:")) else {
        return Scrub::Never;
    };
    let first = first.trim();
    let more = || lines.clone().take_while(|line| line.starts_with('\t'));
    let done = || more().find_map(percent);
    // ZFS keeps one of them only: behind a resilver that is over, as after a drive was pulled out and came back, nothing is
    // known of scrubs any more.
    let read = if first == "none requested" || first.starts_with("resilvered ") {
        Some(Scrub::Never)
    } else if first.starts_with("scrub in progress since") {
        Some(Scrub::Running { done: done().unwrap_or_default(), left: more().find_map(time_left) })
    } else if first.starts_with("scrub paused since") {
        Some(Scrub::Paused { done: done().unwrap_or_default() })
    } else if first.starts_with("scrub canceled on") {
        Some(Scrub::Canceled)
    } else {
        finished(first)
    };
    read.unwrap_or(Scrub::Unknown)
}

/// `scrub repaired 0B in 00:00:01 with 0 errors on Sun Nov 22 21:48:45 2026`
fn finished(line: &str) -> Option<Scrub> {
    let (repaired, rest) = line.strip_prefix("scrub repaired ")?.split_once(" in ")?;
    let (_, rest) = rest.split_once(" with ")?;
    let (errors, ended) = rest.split_once(" errors on ")?;
    let repaired = !matches!(repaired.trim_end_matches('B'), "0");
    Some(Scrub::Finished { ended: date(ended)?, errors: errors.parse().ok()?, repaired })
}

/// As `ctime` writes it, in UTC: zferry asks for that.
fn date(text: &str) -> Option<Timestamp> {
    let words: Vec<_> = text.split_whitespace().skip(1).collect();
    let date = DateTime::strptime("%b %d %H:%M:%S %Y", words.join(" ")).ok()?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// `25.07% done` in hundredths.
fn percent(line: &str) -> Option<u32> {
    let (before, _) = line.split_once("% done")?;
    let number = before.rsplit([' ', '\t']).next()?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let part = format!("{part:0<2}");
    let hundredths =
        whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(part.get(..2)?.parse().ok()?)?;
    Some(hundredths.min(10_000))
}

/// `, 00:51:21 to go`, or `, 1 days 02:03:04 to go`.
fn time_left(line: &str) -> Option<Duration> {
    let time = line.split_once(" to go")?.0.rsplit(", ").next()?;
    let (days, clock) = match time.split_once(" days ") {
        Some((days, clock)) => (days.trim().parse::<u64>().ok()?, clock),
        None => (0, time),
    };
    let mut seconds = days.checked_mul(86_400)?;
    for (part, unit) in clock.splitn(3, ':').zip([3600, 60, 1]) {
        seconds = seconds.checked_add(part.trim().parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_versions_of_zfs_print_is_understood() {
        let hour = |h: u64, m: u64, s: u64| Some(Duration::from_secs(h * 3600 + m * 60 + s));
        let finished =
            |errors, repaired| Scrub::Finished { ended: at("2026-11-22T21:48:45Z"), errors, repaired };
        for (printed, expected) in [
            ("", Scrub::Never),
            ("  scan: none requested\n", Scrub::Never),
            (
                "  scan: scrub repaired 0B in 00:00:01 with 0 errors on Sun Nov 22 21:48:45 2026\n",
                finished(0, false),
            ),
            (
                "  scan: scrub repaired 128K in 1 days 02:03:04 with 3 errors on Sun Nov 22 21:48:45 2026\n",
                finished(3, true),
            ),
            (
                "  scan: scrub repaired 0B in 0h0m with 0 errors on Sun Nov  2 01:02:03 2025\n",
                Scrub::Finished { ended: at("2025-11-02T01:02:03Z"), errors: 0, repaired: false },
            ),
            (
                // 2.4
                "  scan: scrub in progress since Sun Nov 22 21:48:45 2026\n\t100G / 200G scanned at 100M/s, 50.0G / 200G issued at 50M/s\n\t0B repaired, 25.07% done, 00:51:21 to go\nconfig:\n",
                Scrub::Running { done: 2507, left: hour(0, 51, 21) },
            ),
            (
                // 2.1
                "  scan: scrub in progress since Sun Nov 22 21:48:45 2026\n\t1.2G scanned at 1G/s, 100M issued at 3M/s, 1.5G total\n\t0B repaired, 6.51% done, 1 days 00:00:09 to go\n",
                Scrub::Running { done: 651, left: hour(24, 0, 9) },
            ),
            (
                "  scan: scrub in progress since Sun Nov 22 21:48:45 2026\n\t0B / 2G scanned, 0B / 2G issued\n\t0B repaired, 0.00% done, no estimated completion time\n",
                Scrub::Running { done: 0, left: None },
            ),
            (
                "  scan: scrub paused since Sun Nov 22 21:48:45 2026\n\tscrub started on Sun Nov 22 21:40:00 2026\n\t1G / 2G scanned, 1G / 2G issued\n\t0B repaired, 50.00% done\n",
                Scrub::Paused { done: 5000 },
            ),
            ("  scan: scrub canceled on Sun Nov 22 21:48:45 2026\n", Scrub::Canceled),
            ("  scan: resilvered 1.2M in 00:00:01 with 0 errors on Sun Nov 22 21:48:45 2026\n", Scrub::Never),
            ("  scan: resilver in progress since Sun Nov 22 21:48:45 2026\n", Scrub::Unknown),
            (
                "  scan: scrub repaired 0B in 00:00:01 with 0 errors on Sun Nov 99 21:48:45 2026\n",
                Scrub::Unknown,
            ),
            ("  scan: scrub repaired 0B in 00:00:01 with", Scrub::Unknown),
        ] {
            assert_eq!(scrub(printed), expected, "{printed}");
        }
    }
}
