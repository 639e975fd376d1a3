//! What `zferry diff` prints. Pure.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::jobs::diff::Compared;
use crate::model::{Bytes, Change, FileKind, How};
use crate::process::printable;

/// A line for each change. Directories in which something changed are left out: what changed there is told.
pub fn text(drive: &str, all: &[Compared]) -> String {
    let mut text = String::new();
    for one in all {
        let newest = if one.ends.is_base { format!(" (what {drive} has newest)") } else { String::new() };
        let until = one.ends.to.as_ref().map_or("now".to_owned(), |to| format!("@{to}"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}, from @{}{newest} until {until}:", one.dataset, one.ends.from);
        for (change, length) in told(one) {
            let _ = writeln!(text, "  {}", line(change, *length));
        }
        if told(one).next().is_none() {
            let _ = writeln!(text, "  nothing changed");
        }
    }
    let _ = writeln!(text, "{}", summary(all));
    printable(&text)
}

fn told(one: &Compared) -> impl Iterator<Item = &(Change, Option<Bytes>)> {
    one.changes
        .iter()
        .filter(|(change, _)| !(change.kind == FileKind::Directory && change.how == How::Modified))
}

fn line(change: &Change, length: Option<Bytes>) -> String {
    let length = length.map_or(String::new(), |length| length.to_string());
    let slash = if change.kind == FileKind::Directory { "/" } else { "" };
    let to = change.to.as_ref().map_or(String::new(), |to| format!(" -> {}{slash}", shown(to)));
    let links = match change.links {
        0 => String::new(),
        more => format!("   ({more:+} {})", if more.abs() == 1 { "name" } else { "names" }),
    };
    format!("{:<8}  {length:>10}  {}{slash}{to}{links}", word(change.how), shown(&change.path))
}

fn word(how: How) -> &'static str {
    match how {
        How::Added => "added",
        How::Removed => "removed",
        How::Modified => "modified",
        How::Renamed => "renamed",
    }
}

/// A path on one line, whatever is in it.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

fn summary(all: &[Compared]) -> String {
    let of = |how: How| {
        let those = all.iter().flat_map(told).filter(move |(change, _)| change.how == how);
        let (count, bytes) = those.fold((0_usize, Bytes(0)), |(count, bytes), (_, length)| {
            (count + 1, bytes + length.unwrap_or_default())
        });
        match (count, bytes) {
            (0, _) => None,
            (count, Bytes(0)) => Some(format!("{count} {}", word(how))),
            (count, bytes) => Some(format!("{count} {} ({bytes})", word(how))),
        }
    };
    let parts: Vec<_> =
        [How::Added, How::Modified, How::Removed, How::Renamed].into_iter().filter_map(of).collect();
    if parts.is_empty() { "Nothing changed.".to_owned() } else { format!("{}.", parts.join(", ")) }
}

/// The same for machines, directories too.
pub fn json(drive: &str, backup: &str, all: &[Compared]) -> String {
    let datasets: Vec<_> = all
        .iter()
        .map(|one| {
            let changes: Vec<_> =
                one.changes.iter().map(|(change, length)| of_change(change, *length)).collect();
            json!({
                "dataset": one.dataset.as_str(),
                "from": one.ends.from.as_str(),
                "to": one.ends.to.as_ref().map(|to| to.as_str()),
                "changes": changes,
            })
        })
        .collect();
    format!("{}\n", json!({ "v": 1, "drive": drive, "backup": backup, "datasets": datasets }))
}

fn of_change(change: &Change, length: Option<Bytes>) -> Value {
    let kind = match change.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Link => "link",
        FileKind::Other => "other",
    };
    let mut object = json!({
        "change": word(change.how),
        "kind": kind,
        "path": change.path.to_string_lossy(),
        "to": change.to.as_ref().map(|to| to.to_string_lossy()),
        "bytes": length.map(|length| length.0),
        "links": change.links,
    });
    // What is no text cannot be told as such.
    for (name, path) in [("path_hex", Some(&change.path)), ("to_hex", change.to.as_ref())] {
        if let Some(path) = path.filter(|path| path.to_str().is_none()) {
            let bytes = path.as_os_str().as_bytes();
            object[name] = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::plan::diff::Ends;

    fn change(how: How, kind: FileKind, path: &[u8]) -> Change {
        Change { path: OsStr::from_bytes(path).into(), how, kind, to: None, links: 0 }
    }

    fn compared() -> Vec<Compared> {
        let name = |name: &str| name.parse().unwrap();
        let file = |how, path| change(how, FileKind::File, path);
        let all = vec![
            (change(How::Modified, FileKind::Directory, b"anna"), None),
            (file(How::Added, b"anna/tax 2026.pdf"), Some(Bytes(3 << 20))),
            (file(How::Added, b"anna/two\nlines \xff"), Some(Bytes(5))),
            (Change { links: 1, ..file(How::Modified, b"anna/letter") }, Some(Bytes(2048))),
            (file(How::Removed, b"anna/old"), None),
            (change(How::Removed, FileKind::Directory, b"anna/empty"), None),
            (Change { to: Some("anna/new".into()), ..file(How::Renamed, b"anna/was") }, Some(Bytes(1))),
        ];
        let ends = Ends { from: name("day1"), is_base: true, to: None };
        let other = Ends { from: name("day1"), is_base: false, to: Some(name("day2")) };
        vec![
            Compared { dataset: name_of("rpool/home/anna"), ends, changes: all },
            Compared { dataset: name_of("rpool/home/bob"), ends: other, changes: Vec::new() },
        ]
    }

    fn name_of(text: &str) -> crate::model::DatasetName {
        text.parse().unwrap()
    }

    #[test]
    fn each_change_is_a_line_and_each_name_stays_on_it() {
        insta::assert_snapshot!(text("t7", &compared()), @r"
        rpool/home/anna, from @day1 (what t7 has newest) until now:
          added       3.00 MiB  anna/tax 2026.pdf
          added            5 B  anna/two\nlines \xff
          modified    2.00 KiB  anna/letter   (+1 name)
          removed               anna/old
          removed               anna/empty/
          renamed          1 B  anna/was -> anna/new
        rpool/home/bob, from @day1 until @day2:
          nothing changed
        2 added (3.00 MiB), 1 modified (2.00 KiB), 2 removed, 1 renamed (1 B).
        ");
        assert_eq!(summary(&compared()[1..]), "Nothing changed.");
    }

    #[test]
    fn a_name_that_is_no_text_is_told_in_bytes_too() {
        let object: Value = serde_json::from_str(&json("t7", "home", &compared())).unwrap();
        let changes = &object["datasets"][0]["changes"];
        assert_eq!(changes[2]["path_hex"], "616e6e612f74776f0a6c696e657320ff");
        assert_eq!((&changes[1]["path_hex"], &changes[1]["bytes"]), (&Value::Null, &(3 << 20).into()));
        assert_eq!((&changes[6]["to"], &changes[0]["kind"]), (&"anna/new".into(), &"directory".into()));
        assert_eq!(object["datasets"][1]["to"], "day2");
    }
}
