//! Mounts as the kernel lists them in `mountinfo`, for every mount namespace.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Root;
use crate::model::PoolName;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Unique among all mounts of all namespaces.
    pub(super) id: u64,
    /// Major and minor number of the device, as `st_dev` has them: "8:1"; "0:45" for ZFS.
    pub(super) device: String,
    /// Where it is mounted, as seen by the process whose file this was.
    pub(super) point: String,
    /// `zfs`, `ext4` …
    pub(super) kind: String,
    /// The dataset or device.
    pub(super) source: String,
    /// Numbers of the groups that it shares its mounts with, or gets them from: what is unmounted there is unmounted here.
    pub(super) groups: Vec<u64>,
}

/// The mounts that some processes share.
#[derive(Debug)]
pub(super) struct Namespace {
    /// A process in it: the one with the lowest number.
    pub(super) pid: u32,
    /// Whether it is ours.
    pub(super) is_own: bool,
    /// Its mounts, oldest first.
    pub(super) mounts: Vec<Mount>,
}

/// Parses a `mountinfo` file (proc_pid_mountinfo(5)). Bytes that are not UTF-8 are replaced.
///
/// # Errors
/// `InvalidData` when a line has another form.
pub(super) fn parse_mounts(bytes: &[u8]) -> io::Result<Vec<Mount>> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(|line| parse_mount(line).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, line.to_owned())))
        .collect()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw`: any number of optional fields before the dash.
fn parse_mount(line: &str) -> Option<Mount> {
    let (place, content) = line.split_once(" - ")?;
    let mut place = place.split(' ');
    let id = place.next()?.parse().ok()?;
    let (_parent, device, _root, point) = (place.next()?, place.next()?, place.next()?, place.next()?);
    let (_options, optional) = (place.next()?, place);
    let group = |field: &str| {
        let number = field.strip_prefix("shared:").or_else(|| field.strip_prefix("master:"))?;
        number.parse().ok()
    };
    let mut content = content.split(' ');
    let (kind, source) = (content.next()?, content.next()?);
    Some(Mount {
        id,
        device: device.to_owned(),
        point: unescape(point),
        kind: kind.to_owned(),
        source: unescape(source),
        groups: optional.filter_map(group).collect(),
    })
}

/// Blanks, tabs, line breaks and backslashes are written as three octal digits. Anything else stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// The mounts of our own namespace.
///
/// # Errors
/// When they cannot be read or understood: then nobody may conclude that nothing is mounted.
pub(super) fn own_mounts(root: &Root) -> io::Result<Vec<Mount>> {
    parse_mounts(&std::fs::read(root.at("/proc/self/mountinfo"))?)
}

/// A file system of a pool, or a snapshot of one, that is mounted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The dataset or snapshot.
    pub source: String,
    /// Where.
    pub point: PathBuf,
}

/// What of a pool is mounted in our own namespace, oldest first.
///
/// # Errors
/// When the mounts cannot be read or understood.
pub fn mounts_of(root: &Root, pool: &PoolName) -> io::Result<Vec<Mounted>> {
    let is_of = |mount: &Mount| {
        let rest = mount.source.strip_prefix(pool.as_str());
        mount.kind == "zfs" && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
    };
    let mounts = own_mounts(root)?.into_iter().filter(is_of);
    Ok(mounts.map(|mount| Mounted { source: mount.source, point: mount.point.into() }).collect())
}

/// Every mount namespace that a process lives in, by the kernel's name for it; ours first in time, so that its
/// mounts are seen from our root. Processes that vanish or hide are left out.
pub(super) fn list_namespaces(root: &Root) -> BTreeMap<String, Namespace> {
    let mut namespaces = BTreeMap::new();
    if let (Some(name), Ok(mounts)) = (namespace_of(root, "self"), own_mounts(root)) {
        namespaces.insert(name, Namespace { pid: std::process::id(), is_own: true, mounts });
    }
    for pid in list_pids(root) {
        let Some(name) = namespace_of(root, &pid.to_string()) else { continue };
        if namespaces.contains_key(&name) {
            continue;
        }
        let read = std::fs::read(root.at(format!("/proc/{pid}/mountinfo")));
        if let Ok(mounts) = read.and_then(|bytes| parse_mounts(&bytes)) {
            namespaces.insert(name, Namespace { pid, is_own: false, mounts });
        }
    }
    namespaces
}

/// The name of a process's mount namespace: `mnt:[4026531841]`.
pub(super) fn namespace_of(root: &Root, process: &str) -> Option<String> {
    let link = root.link(Path::new("/proc").join(process).join("ns/mnt"))?;
    link.into_os_string().into_string().ok()
}

/// All processes, lowest number first.
pub(super) fn list_pids(root: &Root) -> Vec<u32> {
    let mut pids: Vec<u32> = root.names("/proc").iter().filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(id: u64, device: &str, point: &str, kind: &str, source: &str, groups: &[u64]) -> Mount {
        let groups = groups.to_vec();
        let [device, point, kind, source] = [device, point, kind, source].map(str::to_owned);
        Mount { id, device, point, kind, source, groups }
    }

    #[test]
    fn a_mountinfo_line_is_read_with_any_number_of_optional_fields_and_octal_escapes() {
        for (line, expected) in [
            (
                "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
                mount(36, "98:0", "/mnt2", "ext3", "/dev/root", &[1]),
            ),
            ("22 1 0:21 / /proc rw - proc proc rw", mount(22, "0:21", "/proc", "proc", "proc", &[])),
            (
                r"90 1 0:45 / /mnt/a\040b\134c rw shared:1 master:2 - zfs tank/my\040data rw,xattr",
                mount(90, "0:45", r"/mnt/a b\c", "zfs", "tank/my data", &[1, 2]),
            ),
        ] {
            assert_eq!(parse_mounts(line.as_bytes()).unwrap(), [expected], "{line}");
        }
    }

    #[test]
    fn a_line_of_another_form_is_an_error() {
        for line in
            ["", "x 1 0:1 / / rw - zfs a rw", "1 2 3", "36 35 98:0 / /mnt rw - ext3", "36 35 98:0 / /mnt rw"]
        {
            let text = format!("22 1 0:21 / /proc rw - proc proc rw\n{line}\n");
            assert!(parse_mounts(text.as_bytes()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn only_octal_escapes_are_undone() {
        for (escaped, plain) in [
            ("a", "a"),
            (r"\040", " "),
            (r"a\011b\012", "a\tb\n"),
            (r"\04", r"\04"),
            (r"\9", r"\9"),
            (r"\é\", r"\é\"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }
}
