//! The table of `zferry status`. Pure: what is unknown is said to be unknown, never assumed.

mod outlook;

pub use outlook::{Due, due};

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
    /// The last scrub that came to its end.
    pub last_scrub: Option<LastScrub>,
    /// When a run will scrub the drive; nothing where none ever will, or where that is not known.
    pub next_scrub: Option<Due>,
    /// When a person last proved that the passphrase opens everything on it.
    pub last_rehearsal: Option<LastSuccess>,
    /// When that is to be done again; nothing where nobody wants to be reminded.
    pub next_rehearsal: Option<Due>,
    /// Whether `zferry pause` keeps runs from starting.
    pub paused: Option<Pause>,
}

/// Somebody typed `zferry pause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// When; nothing where that is not known.
    pub since: Option<LastSuccess>,
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

/// The last time that something went well.
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
    /// About how much, where that could be asked.
    pub bytes: Option<Bytes>,
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
    /// How long ago that was; zero while the pool is imported.
    #[serde(serialize_with = "as_seconds")]
    pub age: Duration,
    /// The time until it is full, if it goes on as in the last runs; nothing where these do not show it.
    #[serde(serialize_with = "as_seconds_if_known")]
    pub full_in: Option<Duration>,
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
            .and_then(|Capacity { used, size, .. }| percent(used, size))
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

fn waiting(Waiting { snapshots, datasets, bytes }: Waiting) -> String {
    match (snapshots, bytes) {
        (0, _) => "nothing".to_owned(),
        (_, Some(bytes)) => format!("{snapshots}, {bytes}"),
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
    let mut notes: Vec<_> = drive.paused.map(|paused| outlook::paused(name, paused)).into_iter().collect();
    notes.extend(last_run.map(line));
    notes.extend(outlook::scrub(drive));
    notes.extend(outlook::rehearsal(drive));
    notes.extend(outlook::full(drive));
    if let BaseState::Danger { why } = &drive.base {
        notes.extend(Line::paragraph(Tone::Danger, &format!("{name}: the base is in danger: {why}")));
    }
    notes
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

fn as_seconds_if_known<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs()).serialize(serializer)
}

#[cfg(test)]
mod tests;
