//! `zfs diff -FH`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::{Unreadable, unreadable};
use crate::model::{Change, FileKind, How};

/// Output of [`crate::zfs::argv::diff`], in its order; with the paths as the system has them.
///
/// # Errors
/// When a line is not such a line.
pub fn changes(output: &[u8]) -> Result<Vec<Change>, Unreadable> {
    if !output.is_ascii() {
        return Err(unreadable(0, "it is not ASCII"));
    }
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not ASCII"))?;
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(unreadable(0, "it ends in the middle of a line"));
    }
    let lines = text.split_terminator('\n').enumerate();
    lines
        .map(|(index, line)| {
            change(line).ok_or_else(|| unreadable(index + 1, format!("“{}”", line.escape_debug())))
        })
        .collect()
}

fn change(line: &str) -> Option<Change> {
    let columns: Vec<&str> = line.split('\t').collect();
    let (how, kind, path, to, links) = match columns.as_slice() {
        ["+", kind, path] => (How::Added, kind, path, None, 0),
        ["-", kind, path] => (How::Removed, kind, path, None, 0),
        ["M", kind, path] => (How::Modified, kind, path, None, 0),
        ["M", kind, path, links] => (How::Modified, kind, path, None, more_links(links)?),
        ["R", kind, path, to] => (How::Renamed, kind, path, Some(unescape(to)?), 0),
        _ => return None,
    };
    let kind = match *kind {
        "F" => FileKind::File,
        "/" => FileKind::Directory,
        "@" => FileKind::Link,
        "B" | "C" | ">" | "|" | "P" | "=" | "?" => FileKind::Other,
        _ => return None,
    };
    Some(Change { path: unescape(path)?, how, kind, to, links })
}

/// `(+1)`
fn more_links(text: &str) -> Option<i64> {
    text.strip_prefix('(')?.strip_suffix(')')?.parse().ok()
}

/// Everything but visible ASCII characters, and `\` itself, is written as `\` with four octal digits.
fn unescape(text: &str) -> Option<PathBuf> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
        bytes.extend(part.as_bytes().get(4..)?);
    }
    (!bytes.is_empty() && !bytes.contains(&0)).then(|| OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn each_line_is_a_change_and_any_name_comes_back_as_it_is() {
        let text = "M\t/\t/home/anna/\n\
                    +\tF\t/home/anna/a\\0040b\\0012c\\0134d\n\
                    -\t@\t/home/anna/\\0377\\0376\n\
                    M\tF\t/home/anna/letter\t(+1)\n\
                    M\tF\t/home/anna/other\t(-12)\n\
                    R\tF\t/home/anna/old\t/home/anna/n\\0303\\0274\n\
                    +\t|\t/home/anna/pipe\n";
        let read = changes(text.as_bytes()).unwrap();
        let shown: Vec<_> = read
            .iter()
            .map(|c| {
                let path = c.path.as_os_str().as_bytes().escape_ascii().to_string();
                let to = c.to.as_ref().map(|to| to.display().to_string()).unwrap_or_default();
                format!("{:?} {:?} {path} {to} {}", c.how, c.kind, c.links)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "Modified Directory /home/anna/  0",
                r"Added File /home/anna/a b\nc\\d  0",
                r"Removed Link /home/anna/\xff\xfe  0",
                "Modified File /home/anna/letter  1",
                "Modified File /home/anna/other  -12",
                "Renamed File /home/anna/old /home/anna/nü 0",
                "Added Other /home/anna/pipe  0",
            ]
        );
        assert_eq!(changes(b"").unwrap(), []);
    }

    #[test]
    fn what_is_no_such_line_is_an_error() {
        for bad in [
            "M\tF\t/a",
            "M\tF\n",
            "\n",
            "X\tF\t/a\n",
            "M\tX\t/a\n",
            "M\tF\t\n",
            "M\tF\t/a\t+1\n",
            "R\tF\t/a\n",
            "R\tF\t/a\t/b\t/c\n",
            "+\tF\t/a\\004\n",
            "+\tF\t/a\\0400\\\n",
            "+\tF\t/a\\0800\n",
            "+\tF\t/a\\0777\n",
            "+\tF\t/a\\0000\n",
            "+\tF\t/ä\n",
        ] {
            assert!(changes(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
