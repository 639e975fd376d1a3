//! The table of `zferry status`. Pure: what is unknown is said to be unknown, never assumed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::columns::{fit, width};
use super::text::{count, percent, roughly};
use super::{Line, Tone};
use crate::model::Bytes;
use crate::state::Outcome;

/// The version of the JSON object.
const VERSION: u32 = 1;

/// What is known of one drive. `None` is "unknown".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriveStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it is connected.
    pub connected: Connected,
    /// The last run that was complete.
    pub last_success: Option<LastSuccess>,
    /// The last run, however it ended.
    pub last_run: Option<LastRun>,
    /// What waits to be sent.
    pub waiting: Option<Waiting>,
    /// Whether the next run can be incremental.
    pub base: BaseState,
    /// How full its pool is.
    pub capacity: Option<Capacity>,
    /// The last `verify` that came to its end.
    pub last_scrub: Option<LastScrub>,
}

/// The last scrub that this computer knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LastScrub {
    /// When it ended.
    pub at: Timestamp,
    /// How long ago that is.
    #[serde(serialize_with = "as_seconds")]
    pub age: Duration,
    /// What could not be mended.
    pub errors: u64,
}

/// Whether a drive is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Connected {
    /// Not to be seen.
    No,
    /// Connected.
    Yes {
        /// Its device node, if udev knows it.
        node: Option<PathBuf>,
        /// Whether its pool is imported.
        imported: bool,
    },
}

/// The last run that was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LastSuccess {
    /// When it ended.
    pub at: Timestamp,
    /// How long ago that is.
    #[serde(serialize_with = "as_seconds")]
    pub age: Duration,
}

/// The last run, however it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LastRun {
    /// When it ended.
    pub at: Timestamp,
    /// How long ago that is.
    #[serde(serialize_with = "as_seconds")]
    pub age: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// What waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Snapshots.
    pub snapshots: usize,
    /// Datasets that they belong to.
    pub datasets: usize,
}

/// Whether both sides will still share a snapshot or bookmark when the drive comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum BaseState {
    /// A bookmark protects it.
    Safe,
    /// It may be lost.
    Danger {
        /// Why, and what to do.
        why: String,
    },
    /// Not to be known at present.
    Unknown,
}

/// How full a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capacity {
    /// Bytes in use.
    pub used: Bytes,
    /// Bytes in all.
    pub size: Bytes,
}

const UNKNOWN: &str = "unknown";
const GAP: &str = "  ";
/// Headings, and the most that a column may take. With the gaps: 80 columns.
const HEADINGS: [(&str, usize); 6] =
    [("DRIVE", 12), ("CONNECTED", 14), ("LAST SUCCESS", 12), ("TO SEND", 16), ("BASE", 9), ("USED", 7)];

/// The table for people, then a line for whatever needs their attention.
pub fn table(drives: &[DriveStatus]) -> Vec<Line> {
    if drives.is_empty() {
        return vec![Line::new(Tone::Plain, "No drive is configured; docs/configuration.md shows how.")];
    }
    let headings = HEADINGS.map(|(heading, _)| heading.to_owned());
    let rows: Vec<_> = std::iter::once(headings).chain(drives.iter().map(cells)).collect();
    let mut widths = HEADINGS.map(|(_, most)| most);
    for (column, most) in widths.iter_mut().enumerate() {
        *most = rows.iter().map(|row| width(&row[column])).max().unwrap_or_default().min(*most);
    }
    let line = |row: &[String; 6]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| fit(cell, width)).collect();
        Line::new(Tone::Plain, cells.join(GAP).trim_end())
    };
    rows.iter().map(line).chain(drives.iter().flat_map(notes)).collect()
}

/// The object for machines: `{"v":1,"drives":[…]}`.
///
/// # Errors
///
/// A device node that is not UTF-8.
pub fn json(drives: &[DriveStatus]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Object<'a> {
        v: u32,
        drives: &'a [DriveStatus],
    }
    serde_json::to_string(&Object { v: VERSION, drives })
}

fn cells(drive: &DriveStatus) -> [String; 6] {
    let unknown = || UNKNOWN.to_owned();
    [
        drive.name.clone(),
        connected(&drive.connected),
        drive.last_success.map_or_else(unknown, |last| format!("{} ago", roughly(last.age))),
        drive.waiting.map_or_else(unknown, waiting),
        match drive.base {
            BaseState::Safe => "safe".to_owned(),
            BaseState::Danger { .. } => "in danger".to_owned(),
            BaseState::Unknown => unknown(),
        },
        drive
            .capacity
            .and_then(|Capacity { used, size }| percent(used, size))
            .map_or_else(unknown, |percent| format!("{percent} %")),
    ]
}

fn connected(connected: &Connected) -> String {
    let (word, node) = match connected {
        Connected::No => return "no".to_owned(),
        Connected::Yes { node, imported: true } => ("imported", node),
        Connected::Yes { node, imported: false } => ("yes", node),
    };
    let name = node.as_deref().and_then(Path::file_name);
    let with_node = name.map(|name| format!("{word}, {}", Path::new(name).display()));
    // A long name of a node would push out the word that matters.
    with_node.filter(|cell| width(cell) <= HEADINGS[1].1).unwrap_or_else(|| word.to_owned())
}

fn waiting(Waiting { snapshots, datasets }: Waiting) -> String {
    match snapshots {
        0 => "nothing".to_owned(),
        _ => {
            let long = format!("{snapshots} in {}", count(datasets, "dataset"));
            if width(&long) <= HEADINGS[3].1 { long } else { count(snapshots, "snapshot") }
        }
    }
}

fn notes(drive: &DriveStatus) -> Vec<Line> {
    let name = &drive.name;
    let how = |outcome| match outcome {
        Outcome::Complete => None,
        Outcome::Partial => Some("was not complete; the next one says again why"),
        Outcome::Failed => Some("failed; the next one says again why"),
        Outcome::Interrupted => Some("was interrupted; the next one goes on from there"),
        Outcome::Unknown => Some("ended in a way that this version does not know"),
    };
    let last_run = drive.last_run.and_then(|run| Some((roughly(run.age), how(run.outcome)?)));
    let line = |(age, how)| Line::new(Tone::Warning, &format!("{name}: the last run, {age} ago, {how}."));
    let mut notes: Vec<_> = last_run.map(line).into_iter().collect();
    notes.extend(drive.last_scrub.map(|scrub| {
        let (tone, found) = match scrub.errors {
            0 => (Tone::Plain, "it found nothing wrong"),
            _ => (Tone::Danger, "it found damage; `zferry verify` tells again where"),
        };
        Line::new(tone, &format!("{name}: the last scrub, {} ago: {found}.", roughly(scrub.age)))
    }));
    if let BaseState::Danger { why } = &drive.base {
        notes.extend(Line::paragraph(Tone::Danger, &format!("{name}: the base is in danger: {why}")));
    }
    notes
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_run(outcome: Outcome) -> Option<LastRun> {
        let age = Duration::from_secs(3 * 86_400);
        Some(LastRun { at: "2026-11-18T20:14:00Z".parse().unwrap(), age, outcome })
    }

    fn known() -> DriveStatus {
        DriveStatus {
            name: "t7".to_owned(),
            connected: Connected::Yes { node: Some("/dev/sda1".into()), imported: false },
            last_success: Some(LastSuccess {
                at: "2026-11-18T20:14:00Z".parse().unwrap(),
                age: Duration::from_secs(3 * 86_400),
            }),
            last_run: last_run(Outcome::Complete),
            waiting: Some(Waiting { snapshots: 12, datasets: 5 }),
            base: BaseState::Safe,
            capacity: Some(Capacity { used: Bytes(61), size: Bytes(100) }),
            last_scrub: Some(LastScrub {
                at: "2026-11-18T20:14:00Z".parse().unwrap(),
                age: Duration::from_secs(3 * 86_400),
                errors: 0,
            }),
        }
    }

    fn unknown() -> DriveStatus {
        DriveStatus {
            name: "offsite".to_owned(),
            connected: Connected::No,
            last_success: None,
            last_run: None,
            waiting: None,
            base: BaseState::Unknown,
            capacity: None,
            last_scrub: None,
        }
    }

    fn troubled() -> DriveStatus {
        DriveStatus {
            name: "the-very-old-one".to_owned(),
            connected: Connected::Yes { node: Some("/dev/nvme0n1p1".into()), imported: true },
            last_run: last_run(Outcome::Interrupted),
            waiting: Some(Waiting { snapshots: 1234, datasets: 1000 }),
            base: BaseState::Danger { why: "the bookmark is gone.".to_owned() },
            last_scrub: known().last_scrub.map(|scrub| LastScrub { errors: 2, ..scrub }),
            ..known()
        }
    }

    fn text(drives: &[DriveStatus]) -> String {
        table(drives).iter().map(|line| format!("{}\n", line.text)).collect()
    }

    #[test]
    fn the_table_says_what_is_known_and_that_the_rest_is_unknown() {
        insta::assert_snapshot!(text(&[known(), unknown(), troubled()]), @r"
        DRIVE         CONNECTED  LAST SUCCESS  TO SEND           BASE       USED
        t7            yes, sda1  3 d ago       12 in 5 datasets  safe       61 %
        offsite       no         unknown       unknown           unknown    unknown
        ..ry-old-one  imported   3 d ago       1234 snapshots    in danger  61 %
        t7: the last scrub, 3 d ago: it found nothing wrong.
        the-very-old-one: the last run, 3 d ago, was interrupted; the next one goes on from there.
        the-very-old-one: the last scrub, 3 d ago: it found damage; `zferry verify` tells again where.
        the-very-old-one: the base is in danger: the bookmark is gone.
        ");
    }

    #[test]
    fn no_row_of_the_table_is_wider_than_80_columns() {
        let wide =
            DriveStatus { waiting: Some(Waiting { snapshots: usize::MAX, datasets: 1 }), ..troubled() };
        for line in &table(&[known(), wide])[..3] {
            assert!(line.text.len() <= 80, "{}", line.text);
        }
    }

    #[test]
    fn without_drives_the_next_step_is_told() {
        assert_eq!(text(&[]), "No drive is configured; docs/configuration.md shows how.\n");
    }

    #[test]
    fn machines_get_null_for_what_is_unknown() {
        let object: serde_json::Value = serde_json::from_str(&json(&[known(), unknown()]).unwrap()).unwrap();
        assert_eq!(object["v"], 1);
        assert_eq!(object["drives"][0]["last_success"]["age"], 259_200);
        assert_eq!(object["drives"][0]["connected"]["node"], "/dev/sda1");
        assert_eq!(object["drives"][1]["waiting"], serde_json::Value::Null);
        assert_eq!(object["drives"][1]["base"]["state"], "unknown");
    }
}
