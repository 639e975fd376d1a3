//! Who keeps a pool busy, for the message when an export is refused.
//!
//! Nothing here touches the pool's file systems, not even by `stat`: on a drive in trouble that could hang. Links and
//! tables of `/proc` tell the same: a path, and for open files the number of the mount they are on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Root;
use super::mounts::{Mount, Namespace, list_namespaces, list_pids, namespace_of};
use crate::model::PoolName;
use crate::process::printable;

/// More uses than this by one process say nothing new.
const PER_PROCESS: usize = 3;

/// Somebody who keeps a pool from being exported. Texts are free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process; none when it is the kernel itself, for a device on top of a volume.
    pub pid: Option<u32>,
    /// The process's name.
    pub command: String,
    /// Whom it runs as: a name of `/etc/passwd`, else the number.
    pub user: Option<String>,
    /// What it uses: "working directory /mnt/x", "open file /mnt/x/y", "mount /mnt/x in another mount namespace".
    pub what: String,
}

/// Who keeps the pool busy, as far as `/proc` and `/sys` tell the caller. Processes that vanish meanwhile are left
/// out; without root's rights other users' are too.
pub fn list_holders(root: &Root, pool: &PoolName) -> Vec<Holder> {
    let scan = Scan::new(root, pool.as_str(), None);
    let processes = list_pids(root).into_iter().flat_map(|pid| scan.uses(pid));
    processes.chain(scan.volume_holders()).collect()
}

/// The same for a file system on the device with this number (`8:2`).
pub fn list_holders_of_device(root: &Root, number: &str) -> Vec<Holder> {
    // No pool has this name.
    let scan = Scan::new(root, "\0", Some(number));
    list_pids(root).into_iter().flat_map(|pid| scan.uses(pid)).collect()
}

/// What the processes are compared with.
struct Scan<'a> {
    root: &'a Root,
    pool: &'a str,
    /// A device instead of a pool.
    device: Option<&'a str>,
    namespaces: BTreeMap<String, Namespace>,
    /// The pool's volumes and their partitions by the kernel's names: `zd0`, `zd0p1`.
    volumes: BTreeSet<String>,
    /// Numbers of the pool's mounts in any namespace.
    mount_ids: BTreeSet<u64>,
    /// Groups of the pool's mounts in our own one.
    groups: BTreeSet<u64>,
}

impl<'a> Scan<'a> {
    fn new(root: &'a Root, pool: &'a str, device: Option<&'a str>) -> Self {
        let mut volumes = BTreeSet::new();
        collect_volumes(root, &Path::new("/dev/zvol").join(pool), &mut volumes);
        let namespaces = list_namespaces(root);
        let (mount_ids, groups) = (BTreeSet::new(), BTreeSet::new());
        let mut scan = Self { root, pool, device, namespaces, volumes, mount_ids, groups };
        let mounts = scan.namespaces.values().flat_map(|namespace| &namespace.mounts);
        scan.mount_ids = mounts.filter(|mount| scan.is_ours(mount)).map(|mount| mount.id).collect();
        let own = scan.namespaces.values().filter(|namespace| namespace.is_own);
        let own = own.flat_map(|namespace| &namespace.mounts).filter(|mount| scan.is_ours(mount));
        scan.groups = own.flat_map(|mount| mount.groups.iter().copied()).collect();
        scan
    }

    /// Whether a mount is of the pool: a file system of it, a snapshot, or a file system on a volume; or of the device.
    fn is_ours(&self, mount: &Mount) -> bool {
        match self.device {
            Some(number) => mount.device == number,
            None => (mount.kind == "zfs" && self.is_below(&mount.source)) || self.is_volume(&mount.source),
        }
    }

    fn is_below(&self, dataset: &str) -> bool {
        dataset
            .strip_prefix(self.pool)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@', '#']))
    }

    fn is_volume(&self, node: &str) -> bool {
        let named = || node.strip_prefix("/dev/zvol/").is_some_and(|dataset| self.is_below(dataset));
        node.strip_prefix("/dev/").is_some_and(|name| self.volumes.contains(name)) || named()
    }

    /// What one process uses, as holders that name it.
    fn uses(&self, pid: u32) -> Vec<Holder> {
        let uses = self.list_uses(pid);
        if uses.is_empty() {
            return Vec::new();
        }
        let text = |file: &str| self.root.text(format!("/proc/{pid}/{file}"));
        let command = printable(&text("comm").unwrap_or_default());
        let user = text("status").and_then(|status| user(self.root, &status));
        let holder = |what| Holder { pid: Some(pid), command: command.clone(), user: user.clone(), what };
        uses.into_iter().map(holder).collect()
    }

    fn list_uses(&self, pid: u32) -> Vec<String> {
        let mut uses = Vec::new();
        let name = namespace_of(self.root, &pid.to_string());
        if let Some(namespace) = name.and_then(|name| self.namespaces.get(&name)) {
            if !namespace.is_own && namespace.pid == pid {
                // What is unmounted here goes there too: the services of systemd have such copies of every mount.
                let follows = |mount: &Mount| mount.groups.iter().any(|group| self.groups.contains(group));
                let mounts = namespace.mounts.iter().filter(|mount| self.is_ours(mount) && !follows(mount));
                uses.extend(mounts.map(|mount| format!("mount {} in another mount namespace", mount.point)));
            }
            uses.extend(self.paths(pid, namespace));
        }
        uses.extend(self.mapped(pid));
        uses.extend(self.open_files(pid));
        uses.extend(self.transfer(pid));
        uses.truncate(PER_PROCESS);
        uses.iter().map(|what| printable(what)).collect()
    }

    /// Working and root directory, if they are on the pool.
    fn paths(&self, pid: u32, namespace: &Namespace) -> Vec<String> {
        let on_pool = |(link, what): (&str, &str)| {
            let path = self.root.link(format!("/proc/{pid}/{link}"))?.to_string_lossy().into_owned();
            let under = |mount: &&Mount| Path::new(&path).starts_with(&mount.point);
            // Of several mounts on one place the last one is seen, which is the one that `max_by_key` gives.
            let mount = namespace.mounts.iter().filter(under).max_by_key(|mount| mount.point.len())?;
            self.is_ours(mount).then(|| format!("{what} {path}"))
        };
        [("cwd", "working directory"), ("root", "root directory")].into_iter().filter_map(on_pool).collect()
    }

    /// Programs and libraries that are in memory: one of them stands for all.
    fn mapped(&self, pid: u32) -> Option<String> {
        let maps = std::fs::read(self.root.at(format!("/proc/{pid}/maps"))).ok()?;
        let mounts = self.namespaces.values().flat_map(|namespace| &namespace.mounts);
        let devices: BTreeSet<_> =
            mounts.filter(|mount| self.is_ours(mount)).map(|mount| &mount.device).collect();
        String::from_utf8_lossy(&maps).lines().find_map(|line| {
            let (device, path) = parse_mapping(line)?;
            devices.contains(&device).then(|| format!("running file {path}"))
        })
    }

    /// Open files on the pool's mounts, and open volumes.
    fn open_files(&self, pid: u32) -> Vec<String> {
        let on_pool = |descriptor: &String| {
            let path = self.root.link(format!("/proc/{pid}/fd/{descriptor}"))?.to_string_lossy().into_owned();
            if self.is_volume(&path) {
                return Some(format!("open volume {path}"));
            }
            let info = self.root.text(format!("/proc/{pid}/fdinfo/{descriptor}"))?;
            let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()?;
            self.mount_ids.contains(&id).then(|| format!("open file {path}"))
        };
        self.root.names(format!("/proc/{pid}/fd")).iter().filter_map(on_pool).collect()
    }

    /// A `zfs send` or `zfs receive` of the pool.
    fn transfer(&self, pid: u32) -> Option<String> {
        let line = self.root.text(format!("/proc/{pid}/cmdline"))?;
        let mut words = line.split('\0');
        let is_zfs = Path::new(words.next()?).file_name().is_some_and(|name| name == "zfs");
        let verb = words.next().filter(|verb| is_zfs && ["send", "receive", "recv"].contains(verb))?;
        words.find(|word| self.is_below(word)).map(|dataset| format!("zfs {verb} of {dataset}"))
    }

    /// Devices that the kernel has put on top of the pool's volumes: LVM, LUKS, RAID.
    fn volume_holders(&self) -> Vec<Holder> {
        let disks = self.root.names("/sys/block").into_iter().filter(|name| self.volumes.contains(name));
        let parts = disks.flat_map(|disk| self.root.disk_and_partitions(&disk));
        let holders = parts.flat_map(|(name, path)| {
            let above = self.root.names(path.join("holders")).into_iter();
            above.map(move |holder| format!("device {holder} on volume /dev/{name}"))
        });
        let holder = |what| Holder { pid: None, command: "kernel".to_owned(), user: None, what };
        holders.map(holder).collect()
    }
}

/// The device nodes of a pool's volumes: udev links them under `/dev/zvol` by the names of the datasets.
fn collect_volumes(root: &Root, directory: &Path, volumes: &mut BTreeSet<String>) {
    for name in root.names(directory) {
        let path = directory.join(name);
        match root.link(&path) {
            Some(target) => {
                volumes.extend(target.file_name().map(|name| name.to_string_lossy().into_owned()))
            }
            None => collect_volumes(root, &path, volumes),
        }
    }
}

/// `7f00-7f01 r-xp 00000000 00:2d 1234    /mnt/tool`: the device, as `mountinfo` writes it, and the path.
fn parse_mapping(line: &str) -> Option<(String, &str)> {
    let (device, rest) = line.splitn(4, ' ').nth(3)?.split_once(' ')?;
    let (major, minor) = device.split_once(':')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    let (_inode, path) = rest.split_once(' ')?;
    Some((format!("{}:{}", number(major)?, number(minor)?), path.trim_start()))
}

/// The name of the real user in a `status` file.
fn user(root: &Root, status: &str) -> Option<String> {
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?;
    let accounts = root.text("/etc/passwd").unwrap_or_default();
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(uid)).then(|| name.to_owned())
    };
    accounts.lines().find_map(name).or_else(|| Some(uid.to_owned()))
}

#[cfg(test)]
mod tests;
