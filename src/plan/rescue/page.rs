//! The texts themselves. A line that is indented by four blanks is a command, to be typed as it stands: a test in the lab
//! takes them from the page and runs them. Whatever has to be filled in stands within a sentence.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Copy, Facts, Key, Program};
use crate::model::{DatasetKind, DatasetName};
use crate::process::{printable, quoted};

fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// One word of a command. A drive may have names that nobody gave it.
fn word(text: &str) -> String {
    quoted(&printable(text))
}

/// A name as it stands in a sentence.
fn plain(name: &DatasetName) -> String {
    printable(name.as_str())
}

/// What nobody has to understand who reads only this page.
pub(super) fn readme(facts: &Facts<'_>, copies: &[Copy<'_>]) -> String {
    let mut page = head(facts);
    page.push_str(&install());
    page.push_str(&import(facts));
    let copied: Vec<_> = copies.iter().filter(|copy| copy.has_snapshots()).collect();
    if copied.is_empty() {
        let _ = writeln!(
            page,
            "There was no backup on it yet when this was written.\n\n    zpool export {}\n{}",
            facts.pool,
            close(facts)
        );
        return page + &contents(facts);
    }
    page.push_str(&keys(copies));
    page.push_str(&mounts(facts, &copied));
    page.push_str(&copying(facts, &copied));
    page.push_str(&sending_back(facts, copies));
    page.push_str(&ending(facts));
    page.push_str(&list(facts, &copied));
    page + &contents(facts)
}

fn head(facts: &Facts<'_>) -> String {
    let Facts { drive, pool, guid, host, version, now, luks, .. } = facts;
    let (host, now) = (printable(host), date(*now));
    let opens = match luks {
        Some(_) => {
            "It lies in a LUKS container, which\nopens with the passphrase that was chosen for this drive."
                .to_owned()
        }
        None => format!("What was encrypted on {host}\nis so here, and opens with the same passphrase."),
    };
    let about = if facts.printed {
        format!(
            "This is about the drive {drive}, as zferry {version} on {host} saw it at\n\
             {now}. It has a ZFS pool called {pool} (guid {guid}) with the backups.\n"
        )
    } else {
        format!(
            "This is the drive {drive}. It was last written by zferry {version} on {host},\n\
             at {now}. It has two partitions: a small one with this page, and a ZFS pool\n\
             called {pool} (guid {guid}) with the backups. "
        )
    };
    format!(
        "RESTORE WITHOUT THE COMPUTER THAT MADE THIS\n\
         ===========================================\n\n\
         {about}{opens}\n\n\
         You need a computer with Linux and ZFS, the drive, and the passphrase. No other\n\
         program is needed. A line that is indented is a command: type it as it stands,\n\
         as root (`sudo -i`). Nothing here writes to the backups.\n\n"
    )
}

fn install() -> String {
    "1. ZFS\n\n\
     If `zfs version` prints two versions of 2.1 or newer, it is there. Otherwise:\n\n\
     - Ubuntu: `apt install zfsutils-linux`\n\
     - Debian: add `contrib` to the archive's components in /etc/apt, then\n  \
       `apt update` and `apt install linux-headers-amd64 zfs-dkms zfsutils-linux`\n\
     - NixOS: `boot.supportedFilesystems = [ \"zfs\" ];` and `networking.hostId =\n  \
       \"8425e349\";` (any eight hexadecimal digits), then `nixos-rebuild boot` and\n  \
       restart\n\n"
        .to_owned()
}

fn import(facts: &Facts<'_>) -> String {
    let Facts { drive, guid, pool, luks, .. } = facts;
    let open = luks.map(|uuid| {
        format!(
            "The pool is behind the LUKS container: `cryptsetup` opens it (the package of that\n\
             name), and asks for the passphrase of this drive. A desktop may have opened it\n\
             already, under a name of its own; then leave out this command.\n\n    \
                 cryptsetup open {} {}\n\n",
            uuid.link().display(),
            container(drive),
        )
    });
    let open = open.unwrap_or_default();
    format!(
        "2. Import the pool, only to read\n\n{open}    \
             modprobe zfs\n    \
             zpool import -N -o readonly=on -o cachefile=none -R /mnt/{drive} -d /dev/disk/by-id {guid}\n\n\
         - “was previously in use from another system”: it was not exported the last\n  \
           time. If no other computer has it now, put `-f` before the `-N`.\n\
         - “a pool with that name already exists”: put `-t` before the `-N`, `other`\n  \
           at the end, and read `other` wherever the pool's name `{pool}` stands below.\n\
         - “no such pool available”: `zpool import` alone lists what is found.\n\n"
    )
}

/// What the open container is called on the page: nothing that a run of zferry would take for its own.
fn container(drive: &str) -> String {
    format!("luks-{drive}")
}

fn keys(copies: &[Copy<'_>]) -> String {
    let mut text = "3. Open what is encrypted\n\n".to_owned();
    let opens = |root: &Copy<'_>| {
        let is_under = |copy: &Copy<'_>| matches!(&copy.key, Key::Of(other) if *other == root.dataset.name);
        root.has_snapshots() || copies.iter().any(|copy| copy.has_snapshots() && is_under(copy))
    };
    let is_root = |copy: &&Copy<'_>| !matches!(copy.key, Key::None | Key::Of(_)) && opens(copy);
    let roots: Vec<_> = copies.iter().filter(is_root).collect();
    if roots.is_empty() {
        return text + "Nothing is.\n\n";
    }
    text.push_str("Each asks for its passphrase, which may be the same for all. None is on this drive.\n\n");
    let mut remarks = String::new();
    for copy in roots {
        let name = &copy.dataset.name;
        let _ = writeln!(text, "    zfs load-key -L prompt {}", word(name.as_str()));
        match &copy.key {
            Key::File(file) => {
                let _ = writeln!(
                    remarks,
                    "{} was opened by the file {}. With a copy of it:\n`zfs load-key -L file:///PATH/OF/THE/COPY {}`.\n",
                    plain(name),
                    printable(file),
                    word(name.as_str())
                );
            }
            Key::Bytes => {
                let _ = writeln!(
                    remarks,
                    "{} is opened by a key in a file, not by a passphrase. It is not on this\ndrive. With a copy of it: `zfs load-key -L file:///PATH/OF/THE/COPY {}`.\n",
                    plain(name),
                    word(name.as_str())
                );
            }
            Key::None | Key::Of(_) | Key::Passphrase => {}
        }
    }
    text + "\n" + &remarks
}

/// Where it is mounted. No dataset has a `+` in its name, so that no two get the same place; and none is mounted within
/// another one, which is read-only.
fn place(facts: &Facts<'_>, copy: &Copy<'_>) -> String {
    let below =
        if copy.below.is_empty() { facts.pool.as_str().to_owned() } else { copy.below.replace('/', "+") };
    format!("/mnt/{}/{below}", facts.drive)
}

fn mounts(facts: &Facts<'_>, copied: &[&Copy<'_>]) -> String {
    let mut text = "4. Look at the files\n\n".to_owned();
    let with_files: Vec<_> = copied.iter().filter(|copy| copy.has_files()).collect();
    for copy in &with_files {
        let (at, name) = (word(&place(facts, copy)), word(copy.dataset.name.as_str()));
        let _ = writeln!(text, "    mkdir -p {at}");
        let _ = writeln!(text, "    mount -t zfs -o ro,nosuid,nodev,zfsutil {name} {at}");
    }
    text.push_str(
        "\nThe directories have the newest state. Every earlier one is below, by the name of\nits snapshot:\n\n",
    );
    for copy in &with_files {
        let _ = writeln!(text, "    ls {}", word(&format!("{}/.zfs/snapshot", place(facts, copy))));
    }
    text + "\n"
}

fn copying(facts: &Facts<'_>, copied: &[&Copy<'_>]) -> String {
    let mut text = "5. Copy them\n\nAny directory with enough room will do, with files as well as with all of it. Of an\nearlier state: `/.zfs/snapshot/NAME` behind the directory's name.\n\n    TO=/root/restored\n    mkdir -p \"$TO\"\n".to_owned();
    for copy in copied.iter().filter(|copy| copy.has_files()) {
        let _ = writeln!(text, "    cp -a -x {} \"$TO\"/", word(&place(facts, copy)));
    }
    text + "\n"
}

/// Whole datasets with their history, so that the drive's backups can be continued from them.
fn sending_back(facts: &Facts<'_>, copies: &[Copy<'_>]) -> String {
    let mut text = "6. Or send the datasets back into a pool\n\n\
         With all snapshots, encrypted as they are; no key is needed for this. The last\n\
         command of each tells zferry what it was made of, so that the next backup to\n\
         this drive sends only what is new. POOL is a pool of this computer; nothing in\n\
         it may have these names yet.\n\n    POOL=rpool\n"
        .to_owned();
    let below_the_pool = copies.iter().filter(|copy| !copy.below.is_empty());
    for copy in below_the_pool {
        let (name, into) = (&copy.dataset.name, format!("\"$POOL\"/{}", word(copy.below)));
        let mut snapshots = copy.dataset.history.snapshots().iter();
        let Some(first) = snapshots.next() else {
            if copy.dataset.kind == DatasetKind::Filesystem {
                let _ = writeln!(text, "    zfs create -o canmount=off -o mountpoint=none {into}");
            }
            continue;
        };
        let of = |snapshot: &str| word(&format!("{name}@{snapshot}"));
        let _ = writeln!(text, "    zfs send -w {} | zfs receive -u {into}", of(first.name.as_str()));
        if let Some(last) = snapshots.next_back() {
            let base = word(&format!("@{}", first.name));
            let last = of(last.name.as_str());
            let _ = writeln!(text, "    zfs send -w -I {base} {last} | zfs receive -u {into}");
        }
        let guid = copy.dataset.guid;
        let _ = writeln!(text, "    zfs set org.zferry:source={guid} {into}");
    }
    let _ = writeln!(
        text,
        "\nThen give each its key (`zfs load-key`) and its place, such as\n`zfs set mountpoint=/home`. What was set on the sources is written down on the copies:\n`zfs get -r -s local org.zferry:properties {}`.\n",
        facts.pool
    );
    text
}

fn close(facts: &Facts<'_>) -> String {
    let name = container(facts.drive);
    facts.luks.map(|_| format!("    cryptsetup close {name}\n")).unwrap_or_default()
}

fn ending(facts: &Facts<'_>) -> String {
    let (pool, close) = (facts.pool, close(facts));
    let then = if facts.printed {
        "Then unplug the drive."
    } else {
        "Then unmount the small partition with this page (`umount`, or in the file\nmanager), and unplug the drive."
    };
    format!(
        "7. When you are done\n\nLeave the directories, and\n\n    \
         zpool export {pool}\n{close}\n\
         {then}\n\n"
    )
}

/// What there is, with when.
fn list(facts: &Facts<'_>, copied: &[&Copy<'_>]) -> String {
    let mut text = format!("8. What is on it\n\nAs it was at {}:\n\n", date(facts.now));
    for copy in copied {
        let of = copy.source.as_ref().map(|source| format!(", the copy of {}", plain(source)));
        let kind =
            if copy.dataset.kind == DatasetKind::Volume { ", a volume (a disk, not files)" } else { "" };
        let newest = copy.dataset.history.newest().map(|newest| newest.name.to_string()).unwrap_or_default();
        let at = copy.newest.map(|at| format!(" of {}", date(at))).unwrap_or_default();
        let _ = writeln!(
            text,
            "- {}{}{kind}: {} snapshots, the newest{at} ({})",
            plain(&copy.dataset.name),
            of.unwrap_or_default(),
            copy.dataset.history.snapshots().len(),
            printable(&newest),
        );
    }
    text + "\n"
}

fn contents(facts: &Facts<'_>) -> String {
    if facts.printed {
        return String::new();
    }
    let mut text = "The other files here\n\n\
         - config.toml: the configuration of zferry for this drive\n\
         - datasets.txt: all datasets, and what opens them\n"
        .to_owned();
    let needs = match facts.program {
        Program::Static => "It needs\n  no library: every Linux of this kind of processor starts it.",
        Program::Shared => {
            "It needs\n  Linux with a C library and libudev about as new as those of the computer\n  that it is from, and does not start on every other one."
        }
        Program::LeftOut(why) => {
            let _ = writeln!(text, "\nThe program zferry is not here: {why}.");
            return text;
        }
    };
    let (architecture, version) = (std::env::consts::ARCH, facts.version);
    let _ = writeln!(
        text,
        "- zferry: the program that wrote this ({architecture}, version {version}). {needs} Copied to\n  /usr/local/bin and made executable, with config.toml in /etc/zferry, it does\n  the same: `zferry open`, `zferry restore`. Nothing above needs it."
    );
    text
}

/// One line for each, with tabs between the fields.
pub(super) fn datasets(facts: &Facts<'_>, copies: &[Copy<'_>]) -> String {
    let Facts { pool, guid, .. } = facts;
    let mut text = format!(
        "# pool {pool}, guid {guid}, at {}. Where a key is said to lie is a hint; no key is on this drive.\n\
         # dataset\tkind\tguid\tencryption root\tkey\tcopy of\tnewest snapshot\tmade\n",
        date(facts.now)
    );
    for copy in copies {
        let dataset = copy.dataset;
        let kind = if dataset.kind == DatasetKind::Volume { "volume" } else { "filesystem" };
        let (root, key) = match &copy.key {
            Key::None => ("-".to_owned(), "-".to_owned()),
            Key::Of(root) => (plain(root), "of the encryption root".to_owned()),
            Key::Passphrase => (plain(&dataset.name), "passphrase".to_owned()),
            Key::File(file) => (plain(&dataset.name), printable(file).replace(['\t', '\n'], " ")),
            Key::Bytes => (plain(&dataset.name), "key file".to_owned()),
        };
        let source = copy.source.as_ref().map_or("-".to_owned(), plain);
        let newest = dataset.history.newest().map_or("-".to_owned(), |newest| newest.name.to_string());
        let made = copy.newest.map_or("-".to_owned(), date);
        let _ = writeln!(
            text,
            "{}\t{kind}\t{}\t{root}\t{key}\t{source}\t{newest}\t{made}",
            plain(&dataset.name),
            dataset.guid
        );
    }
    text
}

/// The configuration as it is written there: of this drive, by this host.
pub fn config(drive: &str, host: &str, config: &str) -> String {
    format!(
        "# What zferry on {} was configured to do with the drive {drive}, without secrets.\n\n{config}",
        printable(host)
    )
}
