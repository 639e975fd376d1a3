//! What `open` and `restore --versions` print. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::jobs::files::{Opened, Version};
use crate::process::printable;

/// Where the files are, and how it ends.
pub fn opened(opened: &Opened, command: &str) -> String {
    let Opened { drive, already, places } = opened;
    let open = if *already { "is open already" } else { "is open" };
    let mut text =
        format!("{drive} {open}, read-only. Files as they were last backed up, and earlier states:\n");
    for place in places {
        let directory = place.directory.display().to_string();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {directory}\n  {directory}/.zfs/snapshot");
    }
    let _ = writeln!(text, "Do NOT unplug {drive} before `{command} close {drive}`.");
    printable(&text)
}

/// The same for machines.
pub fn opened_json(opened: &Opened) -> String {
    let place = |place: &crate::jobs::files::OpenedPlace| {
        json!({
            "dataset": place.dataset.as_str(),
            "files": place.directory.display().to_string(),
            "snapshots": place.directory.join(".zfs/snapshot").display().to_string(),
        })
    };
    let places: Vec<_> = opened.places.iter().map(place).collect();
    format!("{}\n", json!({ "v": 1, "drive": opened.drive, "already": opened.already, "open": places }))
}

/// A line for each state, newest first.
pub fn versions(versions: &[Version], zone: &TimeZone) -> String {
    let mut text = String::new();
    let mut before = None;
    for version in versions {
        if before != Some(&version.path) {
            let _ = writeln!(text, "{}", version.path.display());
            before = Some(&version.path);
        }
        let length = version.length.map_or("directory".to_owned(), |length| length.to_string());
        let (first, last) = (&version.first.0.snap, &version.last.0.snap);
        let within = if first == last { format!("@{first}") } else { format!("@{first} to @{last}") };
        let _ = writeln!(text, "  {}  {length:>9}  {within}", shown(version.modified, zone));
    }
    printable(&text)
}

fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The same for machines.
pub fn versions_json(versions: &[Version]) -> String {
    let object = |version: &Version| {
        json!({
            "path": version.path.display().to_string(),
            "modified": version.modified.to_string(),
            "bytes": version.length.map(|length| length.0),
            "dataset": version.first.0.dataset.as_str(),
            "first": { "snapshot": version.first.0.snap.as_str(), "made": version.first.1.to_string() },
            "last": { "snapshot": version.last.0.snap.as_str(), "made": version.last.1.to_string() },
        })
    };
    let all: Vec<_> = versions.iter().map(object).collect();
    format!("{}\n", json!({ "v": 1, "versions": all }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::files::OpenedPlace;
    use crate::model::Bytes;

    #[test]
    fn it_is_said_where_the_files_are_and_what_to_type_before_the_drive_is_unplugged() {
        let place = |dataset: &str, directory: &str| OpenedPlace {
            dataset: dataset.parse().unwrap(),
            directory: directory.into(),
        };
        let mut what = Opened {
            drive: "t7".to_owned(),
            already: false,
            places: vec![
                place("backup/eds", "/run/zferry/open/t7/home"),
                place("backup/eds/anna", "/run/zferry/open/t7/home/anna"),
            ],
        };
        assert_eq!(
            opened(&what, "zferry --config my.toml"),
            "t7 is open, read-only. Files as they were last backed up, and earlier states:\n  \
             /run/zferry/open/t7/home\n  /run/zferry/open/t7/home/.zfs/snapshot\n  \
             /run/zferry/open/t7/home/anna\n  /run/zferry/open/t7/home/anna/.zfs/snapshot\n\
             Do NOT unplug t7 before `zferry --config my.toml close t7`.\n"
        );
        what.already = true;
        assert!(opened(&what, "zferry").starts_with("t7 is open already, read-only."));
        assert!(opened_json(&what).contains(r#""files":"/run/zferry/open/t7/home""#));
    }

    #[test]
    fn each_state_has_a_line_with_the_snapshots_that_have_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let version = |length, first: &str, last: &str| Version {
            path: "tax.pdf".into(),
            modified: at(0),
            length,
            first: (format!("backup/eds@{first}").parse().unwrap(), at(10)),
            last: (format!("backup/eds@{last}").parse().unwrap(), at(20)),
        };
        let all = [version(Some(Bytes(2048)), "b", "c"), version(None, "a", "a")];
        assert_eq!(
            versions(&all, &TimeZone::UTC),
            "tax.pdf\n  1970-01-01 00:00:00   2.00 KiB  @b to @c\n  1970-01-01 00:00:00  directory  @a\n"
        );
        assert!(versions_json(&all).contains(r#""bytes":2048"#));
    }
}
