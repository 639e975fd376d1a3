//! What `zferry stream verify` prints. Pure.

use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};

use super::{Line, Tone};
use crate::jobs::stream::{Checked, Closely, Found, NotSound};
use crate::model::Bytes;
use crate::process::printable;
use crate::stream::{Begin, Content, KINDS, Kind};

/// What is missing, and what to do about those that are damaged.
pub fn ending(all: &[Checked], lacks: &[String]) -> Vec<Line> {
    let lacks = lacks.iter().map(|text| Line::new(Tone::Danger, &format!("MISSING  {text}")));
    lacks.chain(hint(all)).collect()
}

fn hint(all: &[Checked]) -> Option<Line> {
    let is_damaged = all.iter().any(|one| one.found.as_ref().is_err_and(NotSound::is_damage));
    let text = "`zfs receive` takes nothing of a damaged stream, also not what is before the damage. Look for another copy of \
                the file, or save it anew.";
    is_damaged.then(|| Line::new(Tone::Plain, text))
}

/// A file.
pub fn line(one: &Checked, closely: Closely) -> Line {
    let file = shown(&one.file);
    let well = if closely == Closely::Whole { "whole   " } else { "there   " };
    match &one.found {
        Ok(found) => Line::new(Tone::Plain, &format!("{well} {file}: {}", sentence(found))),
        Err(error) if !error.is_damage() => {
            Line::new(Tone::Danger, &format!("not read {file}: {}", words(error)))
        }
        Err(error) => Line::new(Tone::Danger, &format!("DAMAGED  {file}: {}", words(error))),
    }
}

/// What is in it.
fn sentence(found: &Found) -> String {
    let Found { first, last, whole, .. } = found;
    let what = match whole.content {
        Content::Single | Content::Package(1) => first.name.clone(),
        Content::Package(streams) => format!("{streams} streams, from {} to {}", first.name, last.name),
    };
    let kind = if first.is_volume { ", a volume" } else { "" };
    let rest = if first.is_rest() { ", the rest of a stream that was interrupted" } else { "" };
    let needs = match first.from {
        Some(from) => format!("needs the snapshot with the guid {from}"),
        None => "full".to_owned(),
    };
    let raw = if first.is_raw() { "raw" } else { "not encrypted" };
    format!("{what}{kind}, {needs}{rest}, {raw}, {}", Bytes(whole.bytes))
}

/// What is wrong, from the outside to the cause.
fn words(error: &NotSound) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    printable(&text)
}

/// The same for programs.
pub fn json(all: &[Checked], closely: Closely, lacks: &[String]) -> String {
    let files: Vec<Value> = all.iter().map(file).collect();
    let is_quick = closely == Closely::Quick;
    format!("{}\n", json!({ "v": 1, "quick": is_quick, "files": files, "missing": lacks }))
}

fn file(one: &Checked) -> Value {
    let file = shown(&one.file);
    match &one.found {
        Ok(Found { first, last, whole, .. }) => {
            let streams = match whole.content {
                Content::Single => 1,
                Content::Package(streams) => streams,
            };
            let count = |(kind, count): (&Kind, u64)| (kind.name().to_owned(), Value::from(count));
            let records: serde_json::Map<_, _> = KINDS.iter().zip(whole.records).map(count).collect();
            json!({
                "file": file, "whole": true, "bytes": whole.bytes, "streams": streams,
                "first": begin(first), "last": begin(last), "records": records,
            })
        }
        Err(error) => {
            let (offset, record) = match error {
                NotSound::Damaged(error) => (Some(error.offset), Some(error.record)),
                _ => (None, None),
            };
            json!({ "file": file, "whole": false, "error": words(error), "offset": offset, "record": record })
        }
    }
}

fn begin(begin: &Begin) -> Value {
    json!({
        "name": begin.name, "guid": begin.to, "from": begin.from, "created": begin.created,
        "raw": begin.is_raw(), "volume": begin.is_volume, "rest": begin.is_rest(),
    })
}

fn shown(file: &Path) -> String {
    printable(&file.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::model::Guid;
    use crate::stream::{Damage, Order, StreamError, Whole};

    fn text(all: &[Checked]) -> Vec<String> {
        let lines = all.iter().map(|one| line(one, Closely::Whole));
        lines.chain(ending(all, &[])).map(|line| line.text).collect()
    }

    fn checked(file: &str, found: Result<Found, NotSound>) -> Checked {
        Checked { file: file.into(), found }
    }

    fn found(names: [&str; 2], from: Option<u64>, content: Content) -> Found {
        let begin = |name: &str| Begin::imitated(name, from.map(Guid), Guid(12));
        let whole = Whole { content, bytes: 3 << 20, records: [1; 11], order: Order::Little };
        Found { first: begin(names[0]), last: begin(names[1]), has_other: false, whole }
    }

    #[test]
    fn each_file_has_a_line_that_says_what_is_in_it_or_what_is_wrong() {
        let damage = Damage::CutOff { missing: 212 };
        let cut = StreamError { offset: 700, record: 3, kind: Some(Kind::Write), damage };
        let all = [
            checked("a.zfs", Ok(found(["p/d@a", "p/d@a"], None, Content::Single))),
            checked("b.zfs", Ok(found(["p/d@b", "p/d@c"], Some(11), Content::Package(2)))),
            checked("gone", Err(NotSound::Closed(io::Error::from(io::ErrorKind::NotFound)))),
            checked("\u{1b}[31mred", Err(NotSound::Damaged(cut))),
        ];
        let told = text(&all);
        assert_eq!(told[0], "whole    a.zfs: p/d@a, full, not encrypted, 3.00 MiB");
        assert_eq!(
            told[1],
            "whole    b.zfs: 2 streams, from p/d@b to p/d@c, needs the snapshot with the guid 11, not encrypted, 3.00 MiB"
        );
        assert_eq!(told[2], "not read gone: it cannot be opened: entity not found");
        assert!(told[3].ends_with(
            "red: record 3 (WRITE), at byte 700: it was cut off here, in the middle of a record: at least 212 bytes are missing"
        ));
        assert!(told[3].starts_with("DAMAGED") && !told[3].contains('\u{1b}'));
        assert!(told[4].starts_with("`zfs receive` takes nothing of a damaged stream"));
        assert_eq!(text(&all[..3]).len(), 3);

        let json: Value = serde_json::from_str(&json(&all, Closely::Whole, &[])).unwrap();
        assert_eq!(json["files"][0]["records"]["WRITE_EMBEDDED"], 1);
        assert_eq!(json["files"][1]["streams"], 2);
        assert_eq!(json["files"][2]["whole"], false);
        assert_eq!(json["files"][3]["offset"], 700);
    }
}
