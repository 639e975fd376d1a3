//! What is told of a run, and whether at all. Pure.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::event::{Event, Fault, Summary, Unplug};
use crate::model::{DatasetName, Guid, PoolName};
use crate::report::summary;
use crate::report::{Loudness, text};
use crate::state::Outcome;

/// The most of a message and a log that is sent anywhere, in bytes.
pub const MOST: usize = 10_000;

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A run has found the drive.
    Start,
    /// It was complete.
    Success,
    /// It was not; or it goes on only when the drive comes back.
    Failure,
    /// Somebody stopped it.
    Stopped,
    /// The drive was not backed up to for too long.
    Overdue,
}

impl Moment {
    /// The word for it in addresses and for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Stopped => "stopped",
            Self::Overdue => "overdue",
        }
    }

    /// What a run is called that ended with this exit code and without a summary. Nothing for "not now": a drive that is
    /// away, or that another run has, is no failure.
    pub fn of_code(code: u8) -> Option<Self> {
        match code {
            75 => None,
            129.. => Some(Self::Stopped),
            _ => Some(Self::Failure),
        }
    }

    /// What a run that ended so is called. A run that somebody stopped has not failed, unless its drive is not safe.
    pub fn of(summary: &Summary) -> Self {
        match Outcome::of(summary) {
            Outcome::Interrupted if matches!(summary.unplug, Unplug::Unsafe { .. } | Unplug::Gone { .. }) => {
                Self::Failure
            }
            Outcome::Interrupted => Self::Stopped,
            Outcome::Complete if summary.fault == Fault::None => Self::Success,
            _ => Self::Failure,
        }
    }
}

/// What has a name in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A drive.
    Drive {
        /// Its pool.
        pool: PoolName,
        /// Its pool's guid.
        guid: Guid,
    },
    /// Something that is saved to files.
    Stream {
        /// The dataset.
        source: DatasetName,
        /// Where the files are.
        directory: PathBuf,
    },
}

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it is about.
    pub moment: Moment,
    /// The drive's or the stream's name in the configuration.
    pub name: String,
    /// Which of both.
    pub about: About,
    /// This machine's name.
    pub host: String,
    /// In one line.
    pub message: String,
    /// The last lines of what people were told.
    pub log: String,
    /// Which run; none when it is about none.
    pub run: Option<Uuid>,
    /// How long the run took so far.
    pub took: Duration,
    /// Whether nothing comes after it.
    pub last: bool,
}

impl Told {
    /// Message and log, for who has room for both.
    pub fn body(&self) -> String {
        let message = cut(&self.message, MOST / 2);
        let room = MOST.saturating_sub(message.len() + 3);
        let log = last_lines(&self.log, room);
        if log.is_empty() { format!("{message}\n") } else { format!("{message}\n\n{log}\n") }
    }
}

/// The last lines of a drive as one.
pub fn ended(summary: &Summary) -> String {
    sentence(summary::lines(summary, Loudness::Normal).into_iter().map(|line| line.text))
}

/// What people are told of these events, as one line.
pub fn happened(events: &[&Event]) -> String {
    sentence(events.iter().flat_map(|event| text::lines(event, Loudness::Normal)).map(|line| line.text))
}

fn sentence(lines: impl Iterator<Item = String>) -> String {
    let with_stop = |line: String| {
        let line = line.trim().to_owned();
        if line.ends_with(['.', ':', '!', '?']) { line } else { format!("{line}.") }
    };
    lines.map(with_stop).collect::<Vec<_>>().join(" ")
}

/// Whole lines from the end, as many as fit.
fn last_lines(text: &str, most: usize) -> &str {
    let text = text.trim_end();
    if text.len() <= most {
        return text;
    }
    let start = text.len() - most;
    match text.as_bytes()[start - 1..].iter().position(|byte| *byte == b'\n') {
        Some(newline) => &text[start + newline..],
        None => "",
    }
}

/// Its beginning, of at most so many bytes.
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::event::Then;
    use crate::model::Bytes;

    pub fn told(moment: Moment) -> Told {
        Told {
            moment,
            name: "t7".to_owned(),
            about: About::Drive { pool: "backup".parse().unwrap(), guid: Guid(7) },
            host: "laptop".to_owned(),
            message: "t7: all is well & “good”.".to_owned(),
            log: "one\ntwo\n".to_owned(),
            run: Some(Uuid::from_u128(5)),
            took: Duration::from_secs(72),
            last: moment != Moment::Start,
        }
    }

    fn summary(failed: usize, interrupted: bool, unplug: Unplug, fault: Fault) -> Summary {
        Summary {
            drive: "t7".to_owned(),
            done: 2,
            failed,
            warnings: 0,
            snapshots: 0,
            pruned: 0,
            sent: Bytes(0),
            took: Duration::from_secs(72),
            interrupted,
            unplug,
            fault,
        }
    }

    #[test]
    fn a_run_that_was_stopped_has_not_failed_unless_its_drive_is_not_safe() {
        let safe = || Unplug::Safe { powered_off: true };
        let gone = || Unplug::Gone { why: String::new(), then: Then::PlugIn };
        let left = || Unplug::LeftImported { first: String::new() };
        let held = || Unplug::Unsafe { why: String::new() };
        for (failed, interrupted, unplug, fault, moment) in [
            (0, false, safe(), Fault::None, Moment::Success),
            (0, false, left(), Fault::None, Moment::Success),
            (0, false, safe(), Fault::Damage, Moment::Failure),
            (1, false, safe(), Fault::None, Moment::Failure),
            (0, false, held(), Fault::None, Moment::Failure),
            (0, false, gone(), Fault::None, Moment::Failure),
            (0, false, Unplug::Untouched, Fault::None, Moment::Failure),
            (1, true, safe(), Fault::None, Moment::Stopped),
            (0, true, left(), Fault::None, Moment::Stopped),
            (1, true, held(), Fault::None, Moment::Failure),
            (1, true, gone(), Fault::None, Moment::Failure),
        ] {
            let summary = summary(failed, interrupted, unplug, fault);
            assert_eq!(Moment::of(&summary), moment, "{summary:?}");
        }
    }

    #[test]
    fn what_is_not_now_is_no_failure() {
        for (code, moment) in [
            (1, Some(Moment::Failure)),
            (69, Some(Moment::Failure)),
            (70, Some(Moment::Failure)),
            (75, None),
            (78, Some(Moment::Failure)),
            (130, Some(Moment::Stopped)),
            (143, Some(Moment::Stopped)),
        ] {
            assert_eq!(Moment::of_code(code), moment, "{code}");
        }
    }

    #[test]
    fn the_end_of_a_run_is_one_line() {
        let text = ended(&summary(1, false, Unplug::Safe { powered_off: true }, Fault::None));
        assert_eq!(
            text,
            "t7: 2 datasets backed up, nothing new to send, 1 min 12 s. 1 of 3 datasets was not backed up; see above. Safe to unplug t7 (exported and powered off)."
        );
    }

    #[test]
    fn a_body_has_the_message_and_the_last_lines_and_is_never_too_long() {
        let short = told(Moment::Success);
        assert_eq!(short.body(), "t7: all is well & “good”.\n\none\ntwo\n");
        let lines: String = (0..3000).map(|line| format!("“{line}”\n")).collect();
        let long = Told { log: lines, ..short.clone() }.body();
        assert!(long.len() <= MOST && long.len() > MOST - 20, "{}", long.len());
        assert!(long.ends_with("“2999”\n") && long.contains("\n\n“2"), "{}", &long[..80]);
        let message = "ü".repeat(MOST);
        let log = "x".repeat(2 * MOST);
        let cut = Told { message, log, ..short }.body();
        assert!(cut.len() <= MOST && cut.starts_with("üü"), "{}", cut.len());
    }
}
