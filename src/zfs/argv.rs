//! Argument vectors for `zfs` and `zpool`. Pure.
//!
//! What never appears here is in design/safety.md, S2: no `receive -F/-d/-e`, no `send -R`, no forced import or
//! export, no `destroy -r/-R/-f/-d`, no `%` ranges. A test looks through everything that this file can build, and fails
//! for a function that it does not know.

mod diff;
mod opened;
mod pools;
mod streams;

use std::time::Duration;

use crate::model::{
    BookmarkName, DatasetKind, DatasetName, Guid, PoolName, SendMode, SnapName, SnapshotName,
};
use crate::process::{Invocation, Tool};

pub use diff::diff;
pub use opened::{list_dated, list_delegations, list_held, load_key, try_key, unload_key};
pub use pools::{
    Access, ForeignHost, NewPool, clear, create_pool, damage, export, get_mounting, get_pools, import,
    list_devices, list_pools, pause_scrub, scrub, status, version,
};
pub use streams::{Making, PROPERTY_RESTORING, estimate, list_received, receive_file};

/// For a request that costs the kernel little. A hung pool shows as this deadline.
const SHORT: Duration = Duration::from_secs(120);
/// For listings, which grow with the number of snapshots (facts: zfs.md 1.4), and for transactions of many members.
const LONG: Duration = Duration::from_secs(30 * 60);

/// Columns of [`list_datasets`], in order. User properties come last: the drive's are not ours to trust.
pub const DATASET_COLUMNS: [&str; 29] = [
    "name",
    "type",
    "guid",
    "encryptionroot",
    "keyguid",
    "keystatus",
    "written",
    "used",
    "available",
    "inconsistent",
    "origin",
    "redacted",
    "mounted",
    "canmount",
    "compression",
    "recordsize",
    "dnodesize",
    "receive_resume_token",
    "keylocation",
    "keyformat",
    "pbkdf2salt",
    "quota",
    "refquota",
    "usedbychildren",
    PROPERTY_SOURCE,
    PROPERTY_MIRROR,
    PROPERTY_PLACEHOLDER,
    PROPERTY_RETIRED,
    PROPERTY_REWRITTEN,
];

/// On a target: the guid of the source dataset.
pub const PROPERTY_SOURCE: &str = "org.zferry:source";
/// On a target: the source guid for which a mirror run was completed.
pub const PROPERTY_MIRROR: &str = "org.zferry:mirror";
/// Before the guid in [`PROPERTY_MIRROR`]: the last run there pruned by the rules of `keep`.
pub const THINNED: &str = "keep:";
/// On a target: an empty dataset that only carries its children.
pub const PROPERTY_PLACEHOLDER: &str = "org.zferry:placeholder";
/// On a target: an old copy that was put aside by the user. A new copy may be begun beside it. What is below it
/// inherits this.
pub const PROPERTY_RETIRED: &str = "org.zferry:retired";
/// On a target: the guid of the snapshot after which most of the source was replaced, until somebody says that this was
/// meant.
pub const PROPERTY_REWRITTEN: &str = "org.zferry:rewritten";
/// On a snapshot of a target: since when (in seconds since 1970) the source was seen to lack it.
pub const PROPERTY_MISSING: &str = "org.zferry:missing";
/// On a snapshot that zferry took on a source: its name. One that was renamed since is not zferry's any more.
pub const PROPERTY_OWN: &str = "org.zferry:snapshot";
/// On a target: what is set on its source, for when it is restored; see [`crate::plan::described`].
pub const PROPERTY_SETTINGS: &str = "org.zferry:properties";
/// On a drive's pool: when it was last backed up to, and by which host.
pub const PROPERTY_LAST_RUN: &str = "org.zferry:last-run";

/// What [`list_details`] asks about each snapshot.
pub const DETAIL_PROPERTIES: [&str; 9] = [
    "ivsetguid",
    "userrefs",
    "numclones",
    "used",
    "written",
    "referenced",
    "creation",
    "redact_snaps",
    PROPERTY_MISSING,
];

fn zfs<I: Into<String>>(args: impl IntoIterator<Item = I>, deadline: Duration) -> Invocation {
    Invocation::new(Tool::Zfs, args, deadline)
}

fn zpool<I: Into<String>>(args: impl IntoIterator<Item = I>, deadline: Duration) -> Invocation {
    Invocation::new(Tool::Zpool, args, deadline)
}

fn with<T: ToString>(mut invocation: Invocation, more: impl IntoIterator<Item = T>) -> Invocation {
    invocation.args.extend(more.into_iter().map(|argument| argument.to_string()));
    invocation
}

/// All filesystems and volumes of whole pools.
pub fn list_datasets<'a>(pools: impl IntoIterator<Item = &'a PoolName>) -> Invocation {
    let columns = DATASET_COLUMNS.join(",");
    with(zfs(["list", "-Hp", "-r", "-t", "filesystem,volume", "-o", &columns], LONG), pools)
}

/// How far a listing goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The datasets themselves.
    Itself,
    /// And everything below.
    Below,
}

/// Snapshots, and bookmarks too where `types` says so. Only columns that ZFS reads without opening each snapshot
/// (facts: zfs.md 1.2).
pub fn list_snapshots<'a>(
    types: &str,
    reach: Reach,
    tops: impl IntoIterator<Item = &'a DatasetName>,
) -> Invocation {
    let reach: &[&str] = if reach == Reach::Below { &["-r"] } else { &["-d", "1"] };
    let list = zfs(["list", "-Hp", "-t", types, "-o", "name,guid,createtxg"], LONG);
    with(with(list, reach), tops)
}

/// What the plan needs to know about some snapshots and bookmarks.
pub fn list_details(names: &[String]) -> Invocation {
    let properties = DETAIL_PROPERTIES.join(",");
    with(zfs(["get", "-Hp", "-o", "name,property,value,source", &properties], LONG), names)
}

/// How much was written to a snapshot's dataset since an older snapshot or bookmark of it (`@name` or `#name`).
pub fn get_written_since(base: &str, snapshot: &SnapshotName) -> Invocation {
    let property = format!("written{base}");
    with(zfs(["get", "-Hp", "-o", "value", &property], SHORT), [snapshot])
}

/// What these datasets could still take.
pub fn get_available<'a>(datasets: impl IntoIterator<Item = &'a DatasetName>) -> Invocation {
    let columns = "name,available";
    with(zfs(["list", "-Hp", "-d", "0", "-t", "filesystem,volume", "-o", columns], SHORT), datasets)
}

/// What destroyed snapshots still take, since ZFS frees it in the background.
pub fn get_freeing(pool: &PoolName) -> Invocation {
    with(zpool(["get", "-Hp", "-o", "value", "freeing"], SHORT), [pool])
}

/// Waits until what was freed can be used: ZFS keeps it for two more transaction groups, and this command waits for as
/// many (`txg_wait_synced` in txg.c: `TXG_DEFER_SIZE`).
pub fn sync(pool: &PoolName) -> Invocation {
    with(zpool(["sync"], LONG), [pool])
}

/// After the sends: the newest snapshot of each head, and whether the head is unmodified.
pub fn list_heads<'a>(targets: impl IntoIterator<Item = &'a DatasetName>) -> Invocation {
    let columns = "name,prevsnap,written,receive_resume_token";
    with(zfs(["list", "-Hp", "-d", "0", "-t", "filesystem,volume", "-o", columns], LONG), targets)
}

/// Guid and IV set of snapshots that are named.
pub fn list_named_snapshots<'a>(names: impl IntoIterator<Item = &'a SnapshotName>) -> Invocation {
    with(zfs(["list", "-Hp", "-t", "snapshot", "-o", "name,guid,ivsetguid"], LONG), names)
}

/// The same of snapshots that are named.
pub fn list_taken<'a>(names: impl IntoIterator<Item = &'a SnapshotName>) -> Invocation {
    with(zfs(["list", "-Hp", "-t", "snapshot", "-o", "name,guid,createtxg"], LONG), names)
}

/// The guids of all snapshots of whole pools.
pub fn list_guids<'a>(pools: impl IntoIterator<Item = &'a PoolName>) -> Invocation {
    with(zfs(["list", "-Hp", "-r", "-t", "snapshot", "-o", "name,guid,createtxg"], LONG), pools)
}

/// How often each of these snapshots is held.
pub fn list_counts(names: &[String]) -> Invocation {
    with(zfs(["list", "-Hp", "-t", "snapshot", "-o", "name,userrefs"], SHORT), names)
}

/// Holds on snapshots that are named. Without `-p`, which ZFS 2.1 does not know here: nobody asks when they were made.
pub fn list_holds(names: &[String]) -> Invocation {
    with(zfs(["holds", "-H"], SHORT), names)
}

/// Where an increment starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Nowhere: the whole snapshot.
    Nothing,
    /// `-i`: one increment, from a snapshot or bookmark, written with its `@` or `#`.
    Increment(String),
    /// `-I`: every snapshot in between travels too.
    Range(SnapName),
}

/// `zfs send` of one snapshot or range. Never `-p`, `-R` or `-h` (facts: zfs.md decisions 3 and 8).
pub fn send(mode: SendMode, from: &From, to: &SnapshotName) -> Invocation {
    let flags: &[&str] = match mode {
        SendMode::Raw => &["-w"],
        // Without `-e`: an encrypted dataset refuses a stream that may have embedded blocks ("incompatible embedded data stream
        // feature", measured with ZFS 2.4.4). Without it they travel as other blocks do.
        SendMode::Plain => &["-L", "-c"],
    };
    let send = with(zfs(["send"], LONG), flags);
    let send = match from {
        From::Nothing => send,
        From::Increment(base) => with(send, ["-i".to_owned(), format!("{}{base}", to.dataset)]),
        From::Range(base) => with(send, ["-I".to_owned(), format!("{}@{base}", to.dataset)]),
    };
    with(send, [to])
}

/// `zfs send` of the rest of an interrupted stream. The token was validated before (S11).
pub fn send_resume(token: &str) -> Invocation {
    zfs(["send", "-t", token], LONG)
}

/// How a dataset comes to be on the drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Filesystem or volume.
    pub kind: DatasetKind,
    /// The parent there is encrypted and this dataset is not.
    pub unencrypted_below_encrypted: bool,
    /// The source dataset's guid, recorded on it.
    pub source: Guid,
    /// From the configuration, for the top dataset.
    pub properties: Vec<(String, String)>,
}

/// `zfs receive`: resumable, never mounting. `creation` at a dataset's first receive only.
pub fn receive(
    dataset: &DatasetName,
    rename_to: Option<&SnapName>,
    creation: Option<&Creation>,
) -> Invocation {
    let mut receive = zfs(["receive", "-s", "-u"], LONG);
    for option in creation.map(Creation::options).unwrap_or_default() {
        receive = with(receive, ["-o", &option]);
    }
    match rename_to {
        Some(snap) => with(receive, [format!("{dataset}@{snap}")]),
        None => with(receive, [dataset]),
    }
}

impl Creation {
    /// S9: nothing from the drive is ever mounted by itself or written to. `canmount` on a volume is refused by ZFS.
    fn options(&self) -> Vec<String> {
        let mut options = vec!["readonly=on".to_owned()];
        options.push(match self.kind {
            DatasetKind::Filesystem => "canmount=noauto".to_owned(),
            DatasetKind::Volume => "volmode=none".to_owned(),
        });
        if self.unencrypted_below_encrypted {
            options.push("encryption=off".to_owned());
        }
        options.push(format!("{PROPERTY_SOURCE}={}", self.source));
        options.extend(self.properties.iter().map(|(name, value)| format!("{name}={value}")));
        options
    }
}

/// Drops what an interrupted receive left. Head and snapshots are not affected (facts: zfs.md 3.1).
pub fn drop_partial(dataset: &DatasetName) -> Invocation {
    with(zfs(["receive", "-A"], SHORT), [dataset])
}

/// Discards what a head has that its newest snapshot has not, under `--rollback-target`: the other exception of S2.
/// Without `-r`, ZFS refuses when that is not its newest one.
pub fn rollback(to: &SnapshotName) -> Invocation {
    with(zfs(["rollback"], LONG), [to])
}

/// An empty dataset for children to stand under.
pub fn create_placeholder(dataset: &DatasetName, parent_encrypted: bool) -> Invocation {
    let mark = format!("{PROPERTY_PLACEHOLDER}=on");
    let mut create = zfs(["create", "-o", "canmount=off", "-o", "mountpoint=none", "-o", &mark], SHORT);
    if parent_encrypted {
        create = with(create, ["-o", "encryption=off"]);
    }
    with(create, [dataset])
}

/// Takes back what was set on these datasets: they get the value of what is above them, or the default. Never mounts.
pub fn inherit<'a>(property: &str, datasets: impl IntoIterator<Item = &'a DatasetName>) -> Invocation {
    with(zfs(["inherit", property], SHORT), datasets)
}

/// Destroys an empty dataset: without `-r` ZFS refuses one that has snapshots or children.
pub fn destroy_empty(dataset: &DatasetName) -> Invocation {
    with(zfs(["destroy"], SHORT), [dataset])
}

/// Renames a filesystem or volume. Never mounts (`-u` for filesystems that have a mountpoint).
pub fn rename_dataset(from: &DatasetName, to: &DatasetName, kind: DatasetKind) -> Invocation {
    let flags: &[&str] = if kind == DatasetKind::Filesystem { &["rename", "-u"] } else { &["rename"] };
    with(zfs(flags.iter().copied(), SHORT), [from, to])
}

/// Takes a snapshot of all of these datasets of one pool at one moment, or of none.
pub fn take_snapshot<'a>(name: &SnapName, datasets: impl IntoIterator<Item = &'a DatasetName>) -> Invocation {
    let mark = format!("{PROPERTY_OWN}={name}");
    let snapshots = datasets.into_iter().map(|dataset| format!("{dataset}@{name}"));
    with(zfs(["snapshot", "-o", &mark], LONG), snapshots)
}

/// Which of these snapshots say that zferry took them.
pub fn get_own(names: &[String]) -> Invocation {
    with(zfs(["get", "-Hp", "-o", "name,value,source", PROPERTY_OWN], LONG), names)
}

/// What is set on these datasets themselves.
pub fn get_local<'a>(datasets: impl IntoIterator<Item = &'a DatasetName>) -> Invocation {
    let columns = ["get", "-Hp", "-s", "local,received", "-o", "name,property,value", "all"];
    with(zfs(columns, LONG), datasets)
}

/// Renames a snapshot within its dataset.
pub fn rename_snapshot(from: &SnapshotName, to: &SnapName) -> Invocation {
    with(zfs(["rename"], SHORT), [from.to_string(), format!("{}@{to}", from.dataset)])
}

/// Makes a bookmark from another one, whose snapshot is gone.
pub fn copy_bookmark(from: &str, bookmark: &BookmarkName) -> Invocation {
    with(zfs(["bookmark", from], SHORT), [bookmark])
}

/// Removes one of our bookmarks.
pub fn destroy_bookmark(bookmark: &BookmarkName) -> Invocation {
    with(zfs(["destroy"], SHORT), [bookmark])
}

/// Holds snapshots, one by one: one that is not there keeps no other from being held (tests/contract, 4.2).
pub fn hold<'a>(tag: &str, snapshots: impl IntoIterator<Item = &'a SnapshotName>) -> Invocation {
    with(zfs(["hold", tag], LONG), snapshots)
}

/// Releases holds, one by one as well.
pub fn release<'a>(tag: &str, snapshots: impl IntoIterator<Item = &'a SnapshotName>) -> Invocation {
    with(zfs(["release", tag], LONG), snapshots)
}

/// Sets properties of one dataset without mounting anything by it (these names are never `mountpoint`).
pub fn set(dataset: &DatasetName, properties: &[(&str, String)]) -> Invocation {
    let pairs = properties.iter().map(|(name, value)| format!("{name}={value}"));
    with(with(zfs(["set"], SHORT), pairs), [dataset])
}

/// A channel program on one pool: the script on standard input, its arguments behind.
pub fn program(pool: &PoolName, script: &str, arguments: impl IntoIterator<Item = String>) -> Invocation {
    let mut program = with(zfs(["program", "-j"], LONG), [pool.as_str(), "-"]);
    program.args.extend(arguments);
    program.stdin = script.as_bytes().to_vec();
    program
}

#[cfg(test)]
mod tests;
