//! What the guests are made of, as data: another release is another [`Recipe`].

use std::path::Path;

use anyhow::{Context, Result};

use crate::paths::Fingerprint;

/// The script that runs inside of the new root file system.
pub const CUSTOMIZE: &str = include_str!("../../guest/customize.sh");
/// The initramfs' only program.
pub const INIT: &str = include_str!("../../guest/init");

/// Raised when the builder changes in a way that the recipe does not show.
const BUILDER: &str = "1";

/// Files that are laid over the guest: path, content, permissions.
pub const FILES: &[(&str, &str, u32)] = &[
    ("etc/hostname", include_str!("../../guest/files/etc/hostname"), 0o644),
    ("etc/hosts", include_str!("../../guest/files/etc/hosts"), 0o644),
    ("etc/fstab", include_str!("../../guest/files/etc/fstab"), 0o644),
    ("etc/modprobe.d/lab.conf", include_str!("../../guest/files/etc/modprobe.d/lab.conf"), 0o644),
    ("etc/modules-load.d/lab.conf", include_str!("../../guest/files/etc/modules-load.d/lab.conf"), 0o644),
    (
        "etc/systemd/journald.conf.d/lab.conf",
        include_str!("../../guest/files/etc/systemd/journald.conf.d/lab.conf"),
        0o644,
    ),
    (
        "etc/systemd/system/serial-getty@ttyS0.service.d/lab.conf",
        include_str!("../../guest/files/etc/systemd/system/serial-getty@ttyS0.service.d/lab.conf"),
        0o644,
    ),
    (
        "etc/systemd/system/zferry-lab-agent.service",
        include_str!("../../guest/files/etc/systemd/system/zferry-lab-agent.service"),
        0o644,
    ),
    ("usr/local/sbin/lab-agent", include_str!("../../guest/files/usr/local/sbin/lab-agent"), 0o755),
];

/// One release of Debian with one release of ZFS.
#[derive(Debug)]
pub struct Recipe {
    /// Its name in commands and in the cache.
    pub name: &'static str,
    /// Debian's code name.
    pub codename: &'static str,
    /// The suite that ZFS comes from; the release itself, or its backports.
    pub zfs_from: &'static str,
    /// Installed and kept.
    pub packages: &'static [&'static str],
    /// Installed to build the kernel modules, removed after that.
    pub build_packages: &'static [&'static str],
    /// Units that only slow the boot, or do things at times of their own.
    pub masked: &'static [&'static str],
    /// Modules of the initramfs.
    pub initramfs: &'static [&'static str],
    /// The size of the root disk, which is sparse.
    pub size: &'static str,
}

/// The system, ZFS, and what prepares drives.
const BASE: [&str; 20] = [
    "systemd",
    "systemd-sysv",
    "udev",
    "kmod",
    "dbus",
    "polkitd",
    "libpam-systemd",
    "udisks2",
    // Not the cloud kernel: that one has no USB.
    "linux-image-amd64",
    "zfsutils-linux",
    "zfs-zed",
    // With syncoid, and what it pipes through when it can.
    "sanoid",
    "mbuffer",
    "pv",
    "lzop",
    // For preparing drives.
    "fdisk",
    "gdisk",
    "dosfstools",
    "e2fsprogs",
    // For drives whose pool lies in a LUKS container; without what the package cryptsetup adds to the boot.
    "cryptsetup-bin",
];

/// For reading the metrics as Prometheus gets them.
const METRICS: [&str; 1] = ["prometheus-node-exporter"];

/// For looking into a guest, and for the initramfs.
const LOOKING: [&str; 8] =
    ["procps", "psmisc", "strace", "less", "iproute2", "busybox-static", "cpio", "xz-utils"];

/// A desktop of somebody who is logged in, as small as it gets: a screen in memory, a daemon that shows notifications, a
/// terminal. About 250 MB, most of it what Xvfb could draw in three dimensions with.
const DESKTOP: [&str; 4] = ["dbus-user-session", "dunst", "xvfb", "xterm"];

/// What carries files away, and what a person logs in with.
const CARRYING: [&str; 2] = ["restic", "login"];

/// Timers of the system that do things at times of their own.
const TIMERS: [&str; 9] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "logrotate.timer",
    "man-db.timer",
];

/// A scenario starts it itself.
const EXPORTER: [&str; 1] = ["prometheus-node-exporter.service"];

/// What else only slows the boot.
const SLOW: [&str; 5] = [
    // Scenarios say themselves when snapshots are made.
    "sanoid.timer",
    "systemd-networkd.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
];

/// Debian 13 with the newest packaged ZFS.
pub const TRIXIE: Recipe = Recipe {
    name: "debian13",
    codename: "trixie",
    zfs_from: "trixie-backports",
    packages: &joined::<35>(&[&BASE, &METRICS, &LOOKING, &DESKTOP, &CARRYING]),
    build_packages: &["linux-headers-amd64", "zfs-dkms", "dkms", "gcc", "make", "libc6-dev"],
    masked: &joined::<15>(&[&TIMERS, &EXPORTER, &SLOW]),
    initramfs: &["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"],
    size: "3G",
};

/// Debian 12 with its own ZFS 2.1: the oldest that is supported. Metrics and a desktop would show nothing new there.
pub const BOOKWORM: Recipe = Recipe {
    name: "debian12",
    codename: "bookworm",
    zfs_from: "bookworm",
    packages: &joined::<28>(&[&BASE, &LOOKING]),
    masked: &joined::<14>(&[&TIMERS, &SLOW]),
    ..TRIXIE
};

/// Debian 12 with the ZFS 2.3.2 of its backports. After a pull in the receive of an increment it goes on, ten times of ten;
/// in a first receive eight of ten, and otherwise it panics, as later ones do (2.3.9 and 2.4.4 were tried). The older one of
/// the release does not go on. No scenario is run on it unless `--on` says so.
pub const BACKPORTS: Recipe =
    Recipe { name: "debian12-backports", zfs_from: "bookworm-backports", ..BOOKWORM };

/// The lists as one. They are joined while this is compiled: a wrong length does not compile.
const fn joined<const ALL: usize>(lists: &[&[&'static str]]) -> [&'static str; ALL] {
    let mut all = [""; ALL];
    let (mut list, mut at) = (0, 0);
    while list < lists.len() {
        let mut place = 0;
        while place < lists[list].len() {
            all[at] = lists[list][place];
            at += 1;
            place += 1;
        }
        list += 1;
    }
    assert!(at == ALL, "the length is not that of all lists");
    all
}

/// Those that scenarios are run on; the first is the one that everything is tried on.
pub const ALL: &[&Recipe] = &[&TRIXIE, &BOOKWORM];
/// Those that `--on` knows.
pub const NAMED: &[&Recipe] = &[&TRIXIE, &BOOKWORM, &BACKPORTS];

/// The system of this name.
pub fn named(name: &str) -> Result<&'static Recipe> {
    let known = || NAMED.iter().map(|recipe| recipe.name).collect::<Vec<_>>().join(", ");
    let found = NAMED.iter().copied().find(|recipe| recipe.name == name);
    found.with_context(|| format!("there is no system {name}; there are: {}", known()))
}

impl Recipe {
    /// Changes whenever the image has to be built again.
    pub fn fingerprint(&self) -> String {
        let mut sum = Fingerprint::default().and(BUILDER).and(format!("{self:?}")).and(CUSTOMIZE).and(INIT);
        for (path, content, mode) in FILES {
            sum = sum.and(path).and(content).and(mode.to_string());
        }
        sum.to_string()
    }

    /// Prefers ZFS, and nothing else, from its suite.
    pub fn apt_preferences(&self) -> String {
        format!("Package: src:zfs-linux\nPin: release n={}\nPin-Priority: 990\n", self.zfs_from)
    }

    /// The lines of the guest's sources.list.
    pub fn sources(&self, mirrors: &Mirrors) -> Vec<String> {
        let code = self.codename;
        let main = &mirrors.main;
        let mut sources: Vec<String> = [code.to_owned(), format!("{code}-updates")]
            .iter()
            .map(|suite| format!("deb {main} {suite} main contrib"))
            .collect();
        sources.push(format!("deb {} {code}-security main contrib", mirrors.security));
        if self.zfs_from != code {
            sources.push(format!("deb {main} {} main contrib", self.zfs_from));
        }
        sources
    }
}

/// Where packages come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Mirrors {
    /// The archive.
    pub main: String,
    /// The archive of security updates.
    pub security: String,
}

impl Mirrors {
    /// Those that the host's apt uses: it reaches them.
    pub fn of_this_host() -> Result<Self> {
        let mut texts = Vec::new();
        let directory = std::fs::read_dir("/etc/apt/sources.list.d");
        let listed = directory.into_iter().flatten().flatten().map(|entry| entry.path());
        let mut paths: Vec<_> = listed.collect();
        paths.sort();
        paths.insert(0, Path::new("/etc/apt/sources.list").to_owned());
        for path in paths {
            texts.extend(std::fs::read_to_string(path));
        }
        Self::found_in(&texts.join("\n")).context("apt on this host has no Debian archive among its sources")
    }

    /// Takes the first archive that ends like Debian's do, in either of apt's formats.
    fn found_in(sources: &str) -> Option<Self> {
        let first = |ending: &str| {
            sources
                .lines()
                .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
                .flat_map(str::split_whitespace)
                .map(|word| word.trim_end_matches('/'))
                .find(|word| word.contains("://") && word.ends_with(ending))
                .map(str::to_owned)
        };
        let main = first("/debian")?;
        let security = first("/debian-security").unwrap_or_else(|| format!("{main}-security"));
        Some(Self { main, security })
    }
}

#[cfg(test)]
mod tests {
    use super::{BOOKWORM, Mirrors, TRIXIE};

    #[test]
    fn the_hosts_own_mirror_is_used_in_both_formats() {
        let old =
            "# deb http://no/debian x\ndeb [signed-by=/k] https://mirror.example/debian/ bookworm main\n";
        assert_eq!(Mirrors::found_in(old).unwrap().main, "https://mirror.example/debian");
        let new = "Types: deb\nURIs: http://m.example/debian-security\n\nURIs: http://m.example/debian\n";
        let found = Mirrors::found_in(new).unwrap();
        assert_eq!(found.main, "http://m.example/debian");
        assert_eq!(found.security, "http://m.example/debian-security");
    }

    #[test]
    fn a_host_without_debians_archive_has_no_mirror_and_security_stands_beside_it() {
        assert_eq!(Mirrors::found_in("deb http://archive.example/ubuntu noble main\n"), None);
        let found = Mirrors::found_in("deb http://m.example/debian x main\n").unwrap();
        assert_eq!(found.security, "http://m.example/debian-security");
    }

    #[test]
    fn backports_are_a_source_only_where_zfs_comes_from_there() {
        let sources = TRIXIE.sources(&Mirrors::found_in("URIs: http://m.example/debian").unwrap());
        assert_eq!(sources.len(), 4);
        assert!(sources[3].contains(" trixie-backports main contrib"));
        let sources = BOOKWORM.sources(&Mirrors::found_in("URIs: http://m.example/debian").unwrap());
        assert!(sources.iter().all(|line| line.contains(" bookworm")), "{sources:?}");
        assert_eq!(sources.len(), 3);
    }
}
