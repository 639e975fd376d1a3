//! The last lines of a drive. The very last one is the truth about unplugging it.

use super::line::{Line, Tone};
use super::output::Loudness;
use super::text::{count, duration};
use crate::event::{Summary, Then, Unplug};

/// The last lines: what was done, what was not, and — always last — whether the drive may be unplugged.
pub fn lines(summary: &Summary, loudness: Loudness) -> Vec<Line> {
    let mut lines = Vec::new();
    if loudness == Loudness::Normal {
        lines.push(Line::new(Tone::Plain, &account(summary)));
    }
    if summary.failed > 0 {
        let all = summary.done.saturating_add(summary.failed);
        let verb = if summary.failed == 1 { "was" } else { "were" };
        // Those that were not reached before an interruption have no line above.
        let why = if summary.interrupted { "" } else { "; see above" };
        let text = format!("{} of {} {verb} not backed up{why}.", summary.failed, count(all, "dataset"));
        lines.push(Line::new(Tone::Danger, &text));
    }
    if summary.interrupted {
        lines.push(Line::new(Tone::Warning, "Interrupted; the next run goes on from here."));
    }
    lines.push(truth(&summary.drive, &summary.unplug));
    lines
}

fn account(summary: &Summary) -> String {
    let Summary { drive, done, warnings, snapshots, pruned, sent, took, .. } = summary;
    let mut parts = vec![match done {
        0 => "no dataset backed up".to_owned(),
        done => format!("{} backed up", count(*done, "dataset")),
    }];
    if *snapshots > 0 {
        parts.push(count(*snapshots, "snapshot"));
    }
    // An interrupted stream brought bytes and no snapshot yet: they are kept, so they are told.
    if *snapshots > 0 || sent.0 > 0 {
        parts.push(format!("{sent} sent"));
    } else if *done > 0 {
        parts.push("nothing new to send".to_owned());
    }
    if *pruned > 0 {
        parts.push(format!("{pruned} pruned"));
    }
    if *warnings > 0 {
        parts.push(count(*warnings, "warning"));
    }
    parts.push(duration(*took));
    format!("{drive}: {}", parts.join(", "))
}

/// Whether `drive` may be unplugged. Always one line: nothing may come after it.
pub fn truth(drive: &str, unplug: &Unplug) -> Line {
    let (tone, text) = match unplug {
        Unplug::Safe { powered_off: true } => {
            (Tone::Safe, format!("Safe to unplug {drive} (exported and powered off)."))
        }
        Unplug::Safe { powered_off: false } => {
            (Tone::Safe, format!("Safe to unplug {drive} (exported; still powered)."))
        }
        Unplug::Unsafe { why } => {
            let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
            let end = if why.ends_with(['.', '`']) { "" } else { "." };
            (Tone::Danger, format!("Do NOT unplug {drive}: {why}{end}"))
        }
        Unplug::OthersInUse { what } => {
            (Tone::Warning, format!("Do NOT unplug {drive} yet: its pool is exported, but {what}."))
        }
        Unplug::LeftImported { first } => (
            Tone::Warning,
            format!("{drive} is still imported, as it was before; do NOT unplug it before `{first}`."),
        ),
        Unplug::Gone { then: Then::PlugIn, .. } => (
            Tone::Danger,
            format!(
                "{drive} was unplugged before it was exported. What had arrived is kept: plug it in and run again."
            ),
        ),
        Unplug::Gone { then: Then::Replug, .. } => (
            Tone::Danger,
            format!(
                "{drive} answers with errors. What had arrived is kept: unplug it, plug it in again and run again."
            ),
        ),
        Unplug::Gone { then: Then::Restart, .. } => (
            Tone::Danger,
            format!("Restart this computer, then run again. What had arrived on {drive} is kept."),
        ),
        Unplug::Gone { then: Then::RestartReader, .. } => (
            Tone::Danger,
            format!(
                "{drive} was unplugged while it was read. Nothing on it was changed: restart this computer, then type the same again."
            ),
        ),
        Unplug::Gone { then: Then::UnplugAndRestart, .. } => (
            Tone::Danger,
            format!("Unplug {drive} and restart this computer; plug it in again only after that."),
        ),
        Unplug::Untouched => (Tone::Plain, format!("{drive} was not touched.")),
    };
    Line::new(tone, &text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Bytes;

    fn summary(done: usize, failed: usize, snapshots: usize, unplug: Unplug) -> Summary {
        Summary {
            fault: crate::event::Fault::None,
            drive: "t7".to_owned(),
            done,
            failed,
            warnings: 0,
            snapshots,
            pruned: 0,
            sent: Bytes(0),
            took: Duration::from_secs(72),
            interrupted: false,
            unplug,
        }
    }

    fn texts(summary: &Summary, loudness: Loudness) -> Vec<String> {
        lines(summary, loudness).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn the_last_line_is_the_truth_about_the_drive() {
        let why = || "“backup” is busy:\n  rsync (1234)".to_owned();
        let table = [
            (Unplug::Safe { powered_off: true }, Tone::Safe, "Safe to unplug t7 (exported and powered off)."),
            (Unplug::Safe { powered_off: false }, Tone::Safe, "Safe to unplug t7 (exported; still powered)."),
            (
                Unplug::Unsafe { why: why() },
                Tone::Danger,
                "Do NOT unplug t7: “backup” is busy: rsync (1234).",
            ),
            (
                Unplug::OthersInUse { what: "/dev/sda2 is mounted on /mnt".to_owned() },
                Tone::Warning,
                "Do NOT unplug t7 yet: its pool is exported, but /dev/sda2 is mounted on /mnt.",
            ),
            (
                Unplug::LeftImported { first: "zferry eject t7".to_owned() },
                Tone::Warning,
                "t7 is still imported, as it was before; do NOT unplug it before `zferry eject t7`.",
            ),
            (
                Unplug::Gone { why: why(), then: Then::PlugIn },
                Tone::Danger,
                "t7 was unplugged before it was exported. What had arrived is kept: plug it in and run again.",
            ),
            (
                Unplug::Gone { why: why(), then: Then::Replug },
                Tone::Danger,
                "t7 answers with errors. What had arrived is kept: unplug it, plug it in again and run again.",
            ),
            (
                Unplug::Gone { why: why(), then: Then::Restart },
                Tone::Danger,
                "Restart this computer, then run again. What had arrived on t7 is kept.",
            ),
            (
                Unplug::Gone { why: why(), then: Then::RestartReader },
                Tone::Danger,
                "t7 was unplugged while it was read. Nothing on it was changed: restart this computer, then type the same again.",
            ),
            (
                Unplug::Gone { why: why(), then: Then::UnplugAndRestart },
                Tone::Danger,
                "Unplug t7 and restart this computer; plug it in again only after that.",
            ),
            (Unplug::Untouched, Tone::Plain, "t7 was not touched."),
        ];
        for (unplug, tone, text) in table {
            for (failed, interrupted, loudness) in
                [(0, false, Loudness::Normal), (2, true, Loudness::Normal), (2, true, Loudness::Quiet)]
            {
                let summary = Summary { interrupted, ..summary(5, failed, 0, unplug.clone()) };
                let last = lines(&summary, loudness).pop().unwrap();
                assert_eq!(last, Line::new(tone, text));
            }
        }
    }

    #[test]
    fn safe_to_unplug_is_said_of_a_safe_drive_only() {
        for unplug in [
            Unplug::Unsafe { why: "Safe to unplug t7".to_owned() },
            Unplug::OthersInUse { what: "Safe to unplug t7".to_owned() },
            Unplug::LeftImported { first: "Safe to unplug t7".to_owned() },
            Unplug::Gone { why: "Safe to unplug t7".to_owned(), then: Then::Restart },
            Unplug::Untouched,
        ] {
            assert!(!truth("t7", &unplug).text.starts_with("Safe to unplug"), "{unplug:?}");
        }
    }

    #[test]
    fn what_was_done_is_counted_in_one_line() {
        let safe = || Unplug::Safe { powered_off: true };
        let full = Summary { sent: Bytes(312 << 20), pruned: 4, ..summary(5, 0, 12, safe()) };
        let table = [
            (full, "t7: 5 datasets backed up, 12 snapshots, 312 MiB sent, 4 pruned, 1 min 12 s"),
            (summary(1, 0, 0, safe()), "t7: 1 dataset backed up, nothing new to send, 1 min 12 s"),
            (
                Summary { sent: Bytes(1 << 20), warnings: 1, ..summary(0, 0, 0, safe()) },
                "t7: no dataset backed up, 1.00 MiB sent, 1 warning, 1 min 12 s",
            ),
            (summary(0, 0, 0, Unplug::Untouched), "t7: no dataset backed up, 1 min 12 s"),
        ];
        for (summary, first) in table {
            assert_eq!(texts(&summary, Loudness::Normal)[0], first);
            assert_eq!(texts(&summary, Loudness::Quiet).len(), 1, "quiet keeps the last line only");
        }
    }

    #[test]
    fn what_was_not_done_is_said_before_the_last_line() {
        let safe = Unplug::Safe { powered_off: true };
        let both = Summary { interrupted: true, ..summary(5, 2, 0, safe.clone()) };
        assert_eq!(
            texts(&both, Loudness::Normal)[1..3],
            ["2 of 7 datasets were not backed up.", "Interrupted; the next run goes on from here."]
        );
        assert_eq!(
            texts(&summary(0, 1, 0, safe), Loudness::Quiet)[0],
            "1 of 1 dataset was not backed up; see above."
        );
    }
}
