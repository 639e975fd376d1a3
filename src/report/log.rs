//! The table of `zferry log`. Pure.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::text::{count, duration};
use super::{Line, Tone};
use crate::state::{Outcome, RunRecord};

/// The version of the JSON object.
const VERSION: u32 = 1;

/// What is remembered of one drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriveLog {
    /// Its name in the configuration.
    pub name: String,
    /// Its last runs, oldest first.
    pub runs: Vec<RunRecord>,
}

/// For people: a line for each run, the newest last.
pub fn table(drives: &[DriveLog], zone: &TimeZone) -> Vec<Line> {
    let mut lines = Vec::new();
    for drive in drives {
        if drive.runs.is_empty() {
            let text = format!("{}: this computer remembers no run.", drive.name);
            lines.push(Line::new(Tone::Plain, &text));
        }
        lines.extend(drive.runs.iter().map(|run| line(&drive.name, run, zone)));
    }
    lines
}

fn line(drive: &str, run: &RunRecord, zone: &TimeZone) -> Line {
    let (tone, how) = match run.outcome {
        Outcome::Complete => (Tone::Plain, "complete"),
        Outcome::Partial => (Tone::Warning, "not complete"),
        Outcome::Failed => (Tone::Danger, "failed"),
        Outcome::Interrupted => (Tone::Warning, "interrupted"),
        Outcome::Unknown => (Tone::Warning, "ended in a way that this version does not know"),
    };
    let when = run.started.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let took = std::time::Duration::try_from(run.ended.duration_since(run.started)).unwrap_or_default();
    let mut parts = vec![how.to_owned()];
    if run.snapshots > 0 || run.sent.0 > 0 {
        parts.push(format!("{}, {} sent", count(run.snapshots, "snapshot"), run.sent));
    } else {
        parts.push("nothing sent".to_owned());
    }
    if run.pruned > 0 {
        parts.push(format!("{} pruned", run.pruned));
    }
    if run.failed > 0 {
        parts.push(format!("{} failed", count(run.failed, "dataset")));
    }
    if run.warnings > 0 {
        parts.push(count(run.warnings, "warning"));
    }
    Line::new(tone, &format!("{when}  {drive}  {}  ({})", parts.join(", "), duration(took)))
}

/// For machines: `{"v":1,"drives":[{"name":…,"runs":[…]}]}`, times in UTC.
///
/// # Errors
/// None that is known of.
pub fn json(drives: &[DriveLog]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Object<'a> {
        v: u32,
        drives: &'a [DriveLog],
    }
    serde_json::to_string(&Object { v: VERSION, drives })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Bytes;

    #[test]
    fn each_run_has_a_line() {
        let run = |outcome, snapshots, sent, failed| RunRecord {
            started: "2026-11-18T20:14:00Z".parse().unwrap(),
            ended: "2026-11-18T20:15:12Z".parse().unwrap(),
            outcome,
            sent: Bytes(sent),
            snapshots,
            pruned: snapshots / 3,
            failed,
            warnings: failed,
        };
        let runs = vec![
            run(Outcome::Complete, 12, 312 << 20, 0),
            run(Outcome::Complete, 0, 0, 0),
            run(Outcome::Partial, 1, 1 << 20, 2),
            run(Outcome::Interrupted, 0, 1 << 20, 0),
        ];
        let drives =
            [DriveLog { name: "t7".to_owned(), runs }, DriveLog { name: "off".to_owned(), runs: Vec::new() }];
        let text: String =
            table(&drives, &TimeZone::UTC).iter().map(|line| format!("{}\n", line.text)).collect();
        insta::assert_snapshot!(text, @r"
        2026-11-18 20:14  t7  complete, 12 snapshots, 312 MiB sent, 4 pruned  (1 min 12 s)
        2026-11-18 20:14  t7  complete, nothing sent  (1 min 12 s)
        2026-11-18 20:14  t7  not complete, 1 snapshot, 1.00 MiB sent, 2 datasets failed, 2 warnings  (1 min 12 s)
        2026-11-18 20:14  t7  interrupted, 0 snapshots, 1.00 MiB sent  (1 min 12 s)
        off: this computer remembers no run.
        ");
        let object: serde_json::Value = serde_json::from_str(&json(&drives).unwrap()).unwrap();
        assert_eq!(object["drives"][0]["runs"][2]["outcome"], "partial");
    }
}
