//! A drive and what happened to it, to title and text. Pure.
//!
//! The texts of the status are foreign: dataset names, what tools printed, a name from a file. Nothing of them is markup,
//! moves anything or fills the screen.

use super::memory::Said;
use super::{About, Lasts, Note, Offer, Urgency};
use crate::config::DriveName;
use crate::event::Unplug;
use crate::live::public::{DriveNow, Overdue, Problem, State};
use crate::process::printable;
use crate::report::summary::truth;

/// Characters of a title at most.
const TITLE: usize = 80;
/// Characters of a text at most: daemons show a few lines.
const BODY: usize = 600;
/// Characters of one sentence of it.
const SENTENCE: usize = 280;

/// What is shown of a run.
pub fn of_run(drive: &DriveNow, said: Said) -> Note {
    let name = drive.drive.as_str();
    match said {
        Said::Begun => Note {
            offer: offer(name, Offer::Run),
            ..note(
                drive,
                Urgency::Normal,
                Lasts::AsUsual,
                &format!("Backing up to {name}"),
                &["Do not unplug it yet."],
            )
        },
        Said::Lost | Said::Awaited => Note {
            offer: offer(name, Offer::Run),
            ..note(
                drive,
                Urgency::Critical,
                Lasts::UntilDismissed,
                &format!("Trouble with {name} in the middle of its backup"),
                &[drive.wanted.as_deref().unwrap_or_default(), drive.lost.as_deref().unwrap_or_default()],
            )
        },
        Said::Vanished => note(
            drive,
            Urgency::Critical,
            Lasts::UntilDismissed,
            &format!("The backup to {name} was cut off"),
            &[
                "Its run is gone and has not said how it ended. What had arrived is kept.",
                &format!(
                    "Do NOT unplug {name} before `sudo zferry run {name}`, which goes on, or `sudo zferry eject {name}`."
                ),
            ],
        ),
        Said::Ended => ended(drive),
    }
}

/// How it ended, and always whether the drive may be unplugged.
fn ended(drive: &DriveNow) -> Note {
    let name = drive.drive.as_str();
    let account = drive.account.as_deref().unwrap_or_default();
    match (drive.state, &drive.unplug) {
        (State::Succeeded, Some(Unplug::Safe { powered_off })) => {
            let powered = if *powered_off { "" } else { "It is exported, and still powered." };
            let title = format!("Safe to unplug {name}");
            note(drive, Urgency::Normal, Lasts::UntilDismissed, &title, &[account, powered])
        }
        // It was left as it is, and nothing happened.
        (State::Succeeded, Some(Unplug::Untouched)) => {
            let title = format!("No backup to {name} now");
            note(drive, Urgency::Normal, Lasts::AsUsual, &title, &[&drive.message])
        }
        (State::Succeeded, _) => {
            let title = format!("Backed up; do not unplug {name} yet");
            let body = [account, &unplugging(drive)];
            note(drive, Urgency::Critical, Lasts::UntilDismissed, &title, &body)
        }
        (State::Interrupted, _) => {
            let urgency = if is_safe(drive) { Urgency::Normal } else { Urgency::Critical };
            let body = ["The next run goes on from there.", &unplugging(drive)];
            note(drive, urgency, Lasts::UntilDismissed, &format!("The backup to {name} was stopped"), &body)
        }
        (State::NotNow, _) => {
            let body = [drive.message.as_str(), &unplugging(drive)];
            note(drive, Urgency::Normal, Lasts::UntilDismissed, &format!("No backup to {name} now"), &body)
        }
        (State::Failed | State::Running, _) => failed(drive, account),
    }
}

fn failed(drive: &DriveNow, account: &str) -> Note {
    let name = drive.drive.as_str();
    let unplugging = unplugging(drive);
    let mut body: Vec<&str> = Vec::new();
    if drive.message != unplugging {
        body.push(&drive.message);
    }
    body.push(&unplugging);
    body.extend(drive.problems.first().map(String::as_str));
    if drive.problems.len() < 2 {
        body.extend(drive.hints.first().map(String::as_str));
    }
    body.push(account);
    let rest = match drive.problems.len() {
        0 | 1 => String::new(),
        _ => format!("There is more: `zferry log {name}`."),
    };
    body.push(&rest);
    note(drive, Urgency::Critical, Lasts::UntilDismissed, &format!("The backup to {name} failed"), &body)
}

/// Whether the drive may be unplugged, in the words of the run's last line. A run that has not got so far has not said it.
fn unplugging(drive: &DriveNow) -> String {
    match &drive.unplug {
        Some(unplug) => truth(&drive.drive, unplug).text,
        None if drive.found => {
            format!("Before you unplug {name}: `sudo zferry eject {name}`.", name = drive.drive)
        }
        None => String::new(),
    }
}

fn is_safe(drive: &DriveNow) -> bool {
    matches!(drive.unplug, Some(Unplug::Safe { .. } | Unplug::Untouched))
}

/// What is shown of a drive that was not backed up to for too long.
pub fn of_overdue(overdue: &Overdue) -> Note {
    Note {
        about: About::Drive(overdue.guid),
        urgency: Urgency::Normal,
        lasts: Lasts::UntilDismissed,
        title: title(&format!("Time to back up to {}", overdue.drive)),
        body: body(&[&overdue.message]),
        offer: offer(&overdue.drive, Offer::Log),
    }
}

/// What is shown when no run can be started.
pub fn of_problem(problem: &Problem) -> Note {
    Note {
        about: About::Runs,
        urgency: Urgency::Critical,
        lasts: Lasts::UntilDismissed,
        title: title("zferry cannot start a backup"),
        body: body(&[&problem.message, "`zferry config check` tells what is wrong."]),
        offer: None,
    }
}

fn note(drive: &DriveNow, urgency: Urgency, lasts: Lasts, head: &str, sentences: &[&str]) -> Note {
    Note {
        about: About::Drive(drive.guid),
        urgency,
        lasts,
        title: title(head),
        body: body(sentences),
        offer: offer(&drive.drive, Offer::Log),
    }
}

/// Only for what is a drive's name: it becomes an argument.
fn offer(drive: &str, offer: impl FnOnce(String) -> Offer) -> Option<Offer> {
    let name: Option<DriveName> = drive.parse().ok();
    name.map(|name| offer(name.to_string()))
}

fn title(text: &str) -> String {
    shortened(&one_line(text), TITLE)
}

/// One sentence a line; those that are empty are left out.
fn body(sentences: &[&str]) -> String {
    let lines: Vec<String> = sentences
        .iter()
        .map(|text| shortened(&one_line(text), SENTENCE))
        .filter(|line| !line.is_empty())
        .collect();
    shortened(&lines.join("\n"), BODY)
}

fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// A text for a daemon that takes it for markup.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
