//! The table of `zferry list`. Pure.

use serde::Serialize;

use super::columns::{fit, width};
use super::text::count;
use super::{Line, Tone};
use crate::plan::{Pair, Row};

/// The version of the JSON object.
const VERSION: u32 = 1;
/// The most that a name takes in the table.
const WIDEST: usize = 60;

/// What is known of one drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the configuration.
    pub drive: String,
    /// Whether it was looked at. If not, its newest snapshots are what this host remembers, and nothing else is known.
    pub connected: bool,
    /// Its copies beside their sources.
    pub pairs: Vec<Pair>,
}

/// Where a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Place {
    Both,
    Renamed,
    OnlyHere,
    OnlyThere,
    Unknown,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Both => "",
            Self::Renamed => "renamed",
            Self::OnlyHere => "only here",
            Self::OnlyThere => "only on the drive",
            Self::Unknown => "not known",
        }
    }
}

impl Listed {
    /// Where each snapshot of a pair is. Of a drive that is away only what is newer than the last one is certain.
    fn places(&self, pair: &Pair) -> Vec<Place> {
        let known = pair.rows.iter().rposition(|row| row.there.is_some());
        let place = |(at, row): (usize, &Row)| match (&row.here, &row.there) {
            (Some(here), Some(there)) if here == there => Place::Both,
            (Some(_), Some(_)) => Place::Renamed,
            (None, _) => Place::OnlyThere,
            (Some(_), None) if self.connected || known.is_some_and(|known| at > known) => Place::OnlyHere,
            (Some(_), None) => Place::Unknown,
        };
        pair.rows.iter().enumerate().map(place).collect()
    }
}

/// For people.
pub fn table(drives: &[Listed]) -> Vec<Line> {
    let mut lines = Vec::new();
    for drive in drives {
        if !drive.connected {
            let text = format!(
                "{} is not connected: what it had newest when it was last backed up to is all that is known.",
                drive.drive
            );
            lines.push(Line::new(Tone::Warning, &text));
        }
        if drive.pairs.is_empty() {
            let text = format!("{}: no snapshot is here, and none is known to be on the drive.", drive.drive);
            lines.push(Line::new(Tone::Plain, &text));
        }
        drive.pairs.iter().for_each(|pair| lines.extend(of_pair(drive, pair)));
    }
    lines
}

fn of_pair(drive: &Listed, pair: &Pair) -> Vec<Line> {
    let places = drive.places(pair);
    let name = |name: Option<&str>| name.unwrap_or("-").to_owned();
    let here = pair.source.as_ref().map_or("no source", |source| source.as_str());
    let there = match &pair.target {
        Some(target) => target.as_str(),
        None if drive.connected => "no copy",
        None => drive.drive.as_str(),
    };
    let both = places.iter().filter(|place| matches!(place, Place::Both | Place::Renamed)).count();
    let head = format!("{here} -> {there}: {}, {both} on both sides", count(places.len(), "snapshot"));
    let rows: Vec<(String, String, &str)> = pair
        .rows
        .iter()
        .zip(&places)
        .map(|(row, place)| {
            let there = row.there.as_ref().map(|name| name.as_str());
            (
                name(row.here.as_ref().map(|name| name.as_str())),
                name(there.or((*place == Place::Unknown).then_some("?"))),
                place.word(),
            )
        })
        .collect();
    let widest = |cells: &dyn Fn(&(String, String, &str)) -> usize, least: usize| {
        rows.iter().map(cells).max().unwrap_or_default().clamp(least, WIDEST)
    };
    let (one, two) = (widest(&|row| width(&row.0), 4), widest(&|row| width(&row.1), 12));
    let line = |here: &str, there: &str, word: &str| {
        let text = format!("  {}  {}  {word}", fit(here, one), fit(there, two));
        Line::new(Tone::Plain, text.trim_end())
    };
    let mut lines = vec![Line::new(Tone::Plain, &head), line("HERE", "ON THE DRIVE", "")];
    lines.extend(rows.iter().map(|(here, there, word)| line(here, there, word)));
    lines
}

/// For machines: `{"v":1,"drives":[…]}`.
///
/// # Errors
/// None that is known of.
pub fn json(drives: &[Listed]) -> serde_json::Result<String> {
    let drives: Vec<_> = drives
        .iter()
        .map(|drive| {
            let copies: Vec<_> = drive.pairs.iter().map(|pair| of_copy(drive, pair)).collect();
            serde_json::json!({ "name": drive.drive, "connected": drive.connected, "copies": copies })
        })
        .collect();
    serde_json::to_string(&serde_json::json!({ "v": VERSION, "drives": drives }))
}

fn of_copy(drive: &Listed, pair: &Pair) -> serde_json::Value {
    let text = |name: &Option<crate::model::SnapName>| name.as_ref().map(ToString::to_string);
    let rows = pair.rows.iter().zip(drive.places(pair));
    let snapshots: Vec<_> = rows
        .map(|(row, place)| {
            serde_json::json!({
                "guid": row.guid.to_string(), "here": text(&row.here), "there": text(&row.there), "place": place,
            })
        })
        .collect();
    serde_json::json!({
        "backup": pair.backup,
        "source": pair.source.as_ref().map(ToString::to_string),
        "target": pair.target.as_ref().map(ToString::to_string),
        "snapshots": snapshots,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Guid;

    fn listed(connected: bool, rows: &[(Option<&str>, Option<&str>)]) -> Listed {
        let name = |name: &Option<&str>| name.map(|name| name.parse().unwrap());
        let row = |(here, there): &(Option<&str>, Option<&str>)| Row {
            guid: Guid(7),
            here: name(here),
            there: name(there),
        };
        let pair = Pair {
            backup: "home".to_owned(),
            source: Some("rpool/home".parse().unwrap()),
            target: connected.then(|| "backup/eds".parse().unwrap()),
            rows: rows.iter().map(row).collect(),
        };
        Listed { drive: "t7".to_owned(), connected, pairs: vec![pair] }
    }

    fn text(listed: Listed) -> String {
        table(&[listed]).iter().map(|line| format!("{}\n", line.text)).collect()
    }

    #[test]
    fn both_sides_stand_side_by_side() {
        let rows = [
            (None, Some("old")),
            (Some("new-name"), Some("old-name")),
            (Some("b"), Some("b")),
            (Some("c"), None),
        ];
        insta::assert_snapshot!(text(listed(true, &rows)), @r"
        rpool/home -> backup/eds: 4 snapshots, 2 on both sides
          HERE      ON THE DRIVE
          -         old           only on the drive
          new-name  old-name      renamed
          b         b
          c         -             only here
        ");
        let object: serde_json::Value = serde_json::from_str(&json(&[listed(true, &rows)]).unwrap()).unwrap();
        let snapshots = &object["drives"][0]["copies"][0]["snapshots"];
        assert_eq!(
            (&snapshots[0]["place"], &snapshots[0]["here"]),
            (&"only-there".into(), &serde_json::Value::Null)
        );
        assert_eq!((&snapshots[3]["place"], &snapshots[3]["guid"]), (&"only-here".into(), &"7".into()));
    }

    #[test]
    fn of_a_drive_that_is_away_only_what_is_certain_is_said() {
        let rows = [(Some("a"), None), (Some("b"), Some("b")), (Some("c"), None)];
        insta::assert_snapshot!(text(listed(false, &rows)), @r"
        t7 is not connected: what it had newest when it was last backed up to is all that is known.
        rpool/home -> t7: 3 snapshots, 1 on both sides
          HERE  ON THE DRIVE
          a     ?             not known
          b     b
          c     -             only here
        ");
    }
}
