//! Events to sentences. Pure; used by bars and lines alike.
//!
//! Drives are called as the user called them, without quotes; names of ZFS stand in “ ”; commands in ` `.

use std::time::Duration;

use super::line::{Line, Tone};
use super::output::Loudness;
use super::summary;
use crate::event::{Event, ImportHow};
use crate::model::{Bytes, DatasetName};

/// So many names of destroyed snapshots fit a sentence; the JSON events and `zpool history` have them all.
const NAMES_SHOWN: usize = 4;

/// What people are told about `event`; nothing for progress, which is drawn or counted by others.
pub fn lines(event: &Event, loudness: Loudness) -> Vec<Line> {
    match event {
        Event::DriveFinished(summary) => summary::lines(summary, loudness),
        event if loudness == Loudness::Normal || is_trouble(event) => sentences(event),
        _ => Vec::new(),
    }
}

/// What is told even to those who asked for quiet.
fn is_trouble(event: &Event) -> bool {
    matches!(
        event,
        Event::Warning { .. }
            | Event::Refused { .. }
            | Event::Failed { .. }
            | Event::Lost { .. }
            | Event::NotExported { .. }
            | Event::NotSaved { .. }
    )
}

fn sentences(event: &Event) -> Vec<Line> {
    match event {
        Event::SendProgress { .. }
        | Event::Copying { .. }
        | Event::OnFile { .. }
        | Event::ScrubProgress { .. }
        | Event::DriveFinished(_) => Vec::new(),
        Event::Refused { source, target, finding, remedies } => refused(source, target, finding, remedies),
        Event::NotSaved { dataset, why, remedies } => {
            with_remedies(&format!("“{dataset}” was not saved: {}", why.trim_end()), remedies)
        }
        Event::Failed { source, target, error } => Line::paragraph(
            Tone::Danger,
            &format!("“{source}” was not backed up to “{target}”: {}", error.trim_end()),
        ),
        Event::Lost { drive, why, attached } => {
            let what = if *attached { "answers with errors" } else { "is gone" };
            Line::paragraph(Tone::Danger, &format!("{drive} {what}: {why}. What had arrived on it is kept."))
        }
        Event::NotExported { pool, why } => {
            Line::paragraph(Tone::Danger, &format!("“{pool}” could not be exported: {}", why.trim_end()))
        }
        Event::Warning { text } => Line::paragraph(Tone::Warning, &format!("Warning: {text}")),
        event => Line::paragraph(Tone::Plain, &sentence(event)),
    }
}

/// The sentence of an event that goes as it should.
fn sentence(event: &Event) -> String {
    match event {
        Event::DriveStarted { drive, pool, guid } => format!("{drive}: pool “{pool}”, guid {guid}."),
        Event::Waiting { drive, seconds: Some(seconds) } => {
            format!("Plug in {drive}; waiting up to {}.", duration(Duration::from_secs(*seconds)))
        }
        Event::Waiting { drive, seconds: None } => format!("Plug in {drive}; waiting until it is there."),
        Event::WaitingForReplug { drive, seconds } => format!(
            "Unplug {drive} and plug it in again, with another cable or at another port; waiting up to {}.",
            duration(Duration::from_secs(*seconds))
        ),
        Event::Found { drive, description, devices } => {
            let devices: Vec<_> = devices.iter().map(|path| path.display().to_string()).collect();
            format!("{drive} is connected: {description} ({}).", devices.join(", "))
        }
        Event::Imported { pool, how } => imported(pool.as_str(), *how),
        Event::Planned { datasets: 0, up_to_date, .. } => {
            format!("Nothing to send{}.", also_up_to_date(*up_to_date))
        }
        Event::Planned { datasets, up_to_date, snapshots, estimate } => format!(
            "To send: {} with {}{}{}.",
            count(*datasets, "dataset"),
            count(*snapshots, "snapshot"),
            about(*estimate),
            also_up_to_date(*up_to_date),
        ),
        Event::SendStarted { source, target, what, estimate } => {
            let what = what.trim_end_matches('.');
            format!("Sending “{source}” to “{target}”: {what}{}.", about(*estimate))
        }
        Event::SendFinished { target, sent, took } => {
            format!("Sent {sent} to “{target}” in {}.", duration(*took))
        }
        Event::Verified { target, snapshots } => {
            format!("Verified “{target}”: {} arrived.", count(*snapshots, "snapshot"))
        }
        Event::Pruned { target, snapshots } => {
            format!("Pruned {} of “{target}”: {}.", count(snapshots.len(), "snapshot"), names(snapshots))
        }
        Event::Done { target, what } => format!("“{target}”: {what}"),
        Event::StreamStarted { stream, source, directory } => {
            format!("{stream}: saving {source} to files in {}.", directory.display())
        }
        Event::Note { text } => text.clone(),
        Event::Exported { pool } => format!("Exported “{pool}”."),
        Event::PoweredOff { drive } => format!("Powered off {drive}."),
        // Told in other ways, above.
        Event::SendProgress { .. }
        | Event::Copying { .. }
        | Event::OnFile { .. }
        | Event::ScrubProgress { .. }
        | Event::Refused { .. }
        | Event::Failed { .. }
        | Event::Lost { .. }
        | Event::Warning { .. }
        | Event::NotExported { .. }
        | Event::NotSaved { .. }
        | Event::DriveFinished(_) => String::new(),
    }
}

fn imported(pool: &str, how: ImportHow) -> String {
    match how {
        ImportHow::Fresh => format!("Imported “{pool}”."),
        ImportHow::ReadOnly => format!("Imported “{pool}” read-only."),
        ImportHow::Adopted => {
            format!("“{pool}” was left imported by an earlier run that was cut off; this run exports it.")
        }
        ImportHow::Recovered => {
            format!("The drive is as this computer left it: “{pool}” goes on where it was.")
        }
        ImportHow::Foreign => {
            format!("“{pool}” was imported before this run; it is used as it is.")
        }
    }
}

fn refused(source: &DatasetName, target: &DatasetName, finding: &str, remedies: &[String]) -> Vec<Line> {
    let head = format!("“{source}” was left alone, “{target}” is as it was: {}", finding.trim_end());
    with_remedies(&head, remedies)
}

fn with_remedies(head: &str, remedies: &[String]) -> Vec<Line> {
    let mut lines = Line::paragraph(Tone::Danger, head);
    for remedy in remedies {
        let remedy = Line::paragraph(Tone::Detail, remedy);
        lines.extend(remedy.into_iter().map(|line| Line { text: format!("    {}", line.text), ..line }));
    }
    lines
}

/// Progress of one stream as a sentence, for where no bar can be drawn.
pub fn progress(target: &DatasetName, sent: Bytes, estimate: Bytes) -> Line {
    let text = match percent(sent, estimate) {
        Some(percent) => format!("Sending to “{target}”: {sent} of about {estimate} ({percent} %)."),
        None => format!("Sending to “{target}”: {sent}."),
    };
    Line::new(Tone::Plain, &text)
}

/// The same of a file that is copied, or checked.
pub fn reading(verb: &str, what: &str, done: Bytes, of: Bytes) -> Line {
    let percent = percent(done, of).map_or(String::new(), |percent| format!(" ({percent} %)"));
    Line::new(Tone::Plain, &format!("{verb} {what}: {done} of {of}{percent}."))
}

/// Progress of a scrub as a sentence.
pub fn scrubbed(pool: &str, hundredths: u32, left: Option<u64>) -> Line {
    let left = left.map(|seconds| format!(", {} left", duration(Duration::from_secs(seconds))));
    let text = format!("Scrubbing “{pool}”: {} %{}.", hundredths / 100, left.unwrap_or_default());
    Line::new(Tone::Plain, &text)
}

/// How much was done. An estimate that was too low is passed: then 100 % would be a lie, and so would 120 %.
pub(super) fn percent(sent: Bytes, estimate: Bytes) -> Option<u64> {
    if estimate.0 == 0 || sent > estimate {
        return None;
    }
    u64::try_from(u128::from(sent.0) * 100 / u128::from(estimate.0)).ok()
}

/// "1 snapshot", "12 snapshots".
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// ", about 312 MiB", and nothing where snapshots hold no changes that ZFS accounts for.
fn about(estimate: Bytes) -> String {
    if estimate.0 == 0 { String::new() } else { format!(", about {estimate}") }
}

/// "; 8 datasets are up to date", and nothing of none.
fn also_up_to_date(datasets: usize) -> String {
    match datasets {
        0 => String::new(),
        1 => "; 1 dataset is up to date".to_owned(),
        _ => format!("; {} are up to date", count(datasets, "dataset")),
    }
}

/// A length of time as people say it: "0.4 s", "12 s", "1 min 12 s", "2 h 5 min", "3 d 4 h".
pub fn duration(duration: Duration) -> String {
    let pair = |big: u64, big_unit, small: u64, small_unit| match small {
        0 => format!("{big} {big_unit}"),
        _ => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match duration.as_secs() {
        0 if duration.as_millis() < 950 => format!("0.{} s", ((duration.as_millis() + 50) / 100).max(1)),
        0 => "1 s".to_owned(),
        s @ 1..60 => format!("{s} s"),
        s @ 60..3600 => pair(s / 60, "min", s % 60, "s"),
        s @ 3600..86_400 => pair(s / 3600, "h", s % 3600 / 60, "min"),
        s => pair(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

/// A length of time that is a guess, or long ago: one unit, six columns at most.
pub fn roughly(duration: Duration) -> String {
    match duration.as_secs() {
        s @ 0..100 => format!("{s} s"),
        s @ 100..6000 => format!("{} min", s / 60),
        s @ 6000..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", (s / 86_400).min(9999)),
    }
}

fn names(names: &[String]) -> String {
    match names.len().checked_sub(NAMES_SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMES_SHOWN].join(", ")),
    }
}

#[cfg(test)]
mod tests;
