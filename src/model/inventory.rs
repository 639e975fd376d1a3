//! What is: both pools as the listings showed them at one moment. The world may have moved since; whoever acts on
//! this checks guids again.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::{Bytes, DatasetName, Guid, History, IvsetGuid, PoolName, SnapshotName};

/// Filesystem or volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetKind {
    /// A filesystem.
    Filesystem,
    /// A volume (zvol).
    Volume,
}

/// Whether the key of an encryption root is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// Loaded: the data could be read on this machine now.
    Available,
    /// Not loaded: only raw operations are possible.
    Unavailable,
}

/// What has to be given to an encryption root to open it. Of a dataset that inherits its key this says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedKey {
    /// A passphrase, typed by a person (or fetched from a server).
    Passphrase,
    /// What is in a file of this machine, by its URI. Untrusted on a drive.
    File(String),
    /// Bytes that nobody remembers, `raw` or `hex`.
    Bytes,
}

impl WantedKey {
    /// From `keylocation` and `keyformat`.
    pub fn read(location: &str, format: &str) -> Self {
        match (location, format) {
            (file, _) if file.starts_with("file:") => Self::File(file.to_owned()),
            (_, "raw" | "hex") => Self::Bytes,
            _ => Self::Passphrase,
        }
    }
}

/// What raw sends need to know about an encrypted dataset (facts: zfs.md 2.2, 2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The dataset that holds the wrapping key.
    pub root: DatasetName,
    /// The hidden `keyguid`: which master key encrypts the data. Survives `change-key`.
    pub keyguid: Option<Guid>,
    /// Whether the key is loaded.
    pub key: KeyStatus,
    /// What opens it.
    pub wanted: WantedKey,
    /// The hidden `pbkdf2salt`, another one after every change of a passphrase. The encryption root's counts. None: not
    /// opened by a passphrase.
    pub salt: Option<u64>,
}

/// Whether the dataset is mounted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mount {
    /// Mounted somewhere.
    Mounted,
    /// Not mounted, or a volume.
    Unmounted,
}

/// What an interrupted receive left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeState {
    /// Nothing.
    Clean,
    /// A resume token. It comes from the removable pool: untrusted (S11).
    Token(String),
    /// A dataset whose first receive never finished and that has no token.
    Inconsistent,
}

/// What is asked only about the snapshots that matter, since it costs a kernel look-up each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotDetail {
    /// Must be equal on both sides for a raw increment.
    pub ivset: Option<IvsetGuid>,
    /// Number of holds.
    pub holds: u64,
    /// Number of clones, the hidden partial receive among them.
    pub clones: u64,
    /// Space that nothing else refers to: destroying it frees at least this.
    pub used: Bytes,
    /// Space written between the snapshot before it and this one: destroying it frees at most this, if all before it
    /// is gone or stays.
    pub written: Bytes,
    /// Space that it refers to: what a full send of it carries.
    pub referenced: Bytes,
    /// When it was made, by the clock of the host that made it.
    pub creation: Option<Timestamp>,
    /// A bookmark that `zfs redact` made: it stands for less than its snapshot.
    pub redaction: bool,
    /// `org.zferry:missing`, set on this very snapshot of a drive: since when the source was seen to lack it.
    pub missing: Option<Missing>,
    /// Space written since the base of the run: asked only when much of the source seems to have been replaced.
    pub since_base: Option<Bytes>,
}

/// What a snapshot on the drive says of being gone from the source. The drive is untrusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Seen missing first at this time.
    Since(Timestamp),
    /// Something that no zferry wrote.
    Unreadable,
}

/// One filesystem or volume with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Full name.
    pub name: DatasetName,
    /// Filesystem or volume.
    pub kind: DatasetKind,
    /// Stable over renames; not carried by a receive.
    pub guid: Guid,
    /// None: not encrypted.
    pub encryption: Option<Encryption>,
    /// Changed since its newest snapshot; anything but 0 on a target refuses increments.
    pub written: Bytes,
    /// Space that it and everything below it takes.
    pub used: Bytes,
    /// Of that, what everything below it takes; the hidden partial receive of an increment too.
    pub used_by_children: Bytes,
    /// Space that it could still take.
    pub available: Bytes,
    /// The most that it and everything below it may take; 0: no limit.
    pub quota: Bytes,
    /// The most that it alone may refer to; 0: no limit.
    pub refquota: Bytes,
    /// Left by an interrupted receive.
    pub resume: ResumeState,
    /// The snapshot that it is a clone of.
    pub origin: Option<SnapshotName>,
    /// Made by a redacted send or receive: refused.
    pub redacted: bool,
    /// Whether it is mounted now.
    pub mount: Mount,
    /// `canmount=off`: a container, nobody expects data of its own in it.
    pub container: bool,
    /// Features that a pool must have to receive a raw stream of it.
    pub needs: Vec<&'static str>,
    /// `org.zferry:source`, on a target: the guid of the source dataset that it is the copy of; on a dataset that was
    /// restored from a drive: the guid of the one there.
    pub source: Option<Guid>,
    /// `org.zferry:mirror` on a target: the source guid for which a mirror run was completed once (S21).
    pub mirror: Option<Guid>,
    /// The same property with `keep:` before the guid: the last run there pruned by the rules of `keep`, or showed what
    /// they would prune. Never both.
    pub thinned: Option<Guid>,
    /// `org.zferry:rewritten` on a target: most of the source was replaced after the snapshot with this guid, and nobody
    /// said yet that this was meant (S21).
    pub rewritten: Option<Guid>,
    /// `org.zferry:placeholder` on a target: made by us, empty, for children to stand under.
    pub placeholder: bool,
    /// `org.zferry:retired` on a target: put aside by the user, not to be continued.
    pub retired: bool,
    /// Snapshots and bookmarks.
    pub history: History,
    /// Filled for the snapshots and bookmarks that a plan depends on, by guid.
    pub details: HashMap<Guid, SnapshotDetail>,
}

impl Dataset {
    /// Whether it was restored from this dataset of a drive, by zferry, which compared guids and IV sets then: it takes
    /// the place of the source that this was the copy of (S21).
    pub fn was_restored_from(&self, copy: &Self) -> bool {
        self.source == Some(copy.guid)
    }

    /// What was asked about the snapshot or bookmark with this guid; all unknown when it was not.
    pub fn detail(&self, guid: Guid) -> SnapshotDetail {
        self.details.get(&guid).cloned().unwrap_or_default()
    }

    /// Takes in what was asked about one of its snapshots or bookmarks, which is named as `@snapshot` or `#bookmark`.
    /// A redaction bookmark is no base for a whole copy, and is forgotten: then there may be more to ask, and this is
    /// true.
    pub fn learn(&mut self, guid: Guid, name: &str, detail: SnapshotDetail) -> bool {
        match name.strip_prefix('#') {
            Some(bookmark) if detail.redaction => {
                self.history.forget_bookmark(bookmark);
                true
            }
            _ => {
                self.details.insert(guid, detail);
                false
            }
        }
    }

    /// Space that an interrupted receive takes on this side, by the kernel's accounting: the dataset itself when its
    /// first receive never finished, else the hidden child that is in no listing (facts: zfs.md 3.1).
    pub fn partial_space(&self, side: &Side) -> Bytes {
        match (&self.resume, self.history.newest()) {
            (ResumeState::Clean, _) => Bytes(0),
            (_, None) => self.used.saturating_sub(self.used_by_children),
            (_, Some(_)) => {
                let listed = side.children(&self.name).map(|child| child.used).sum();
                self.used_by_children.saturating_sub(listed)
            }
        }
    }
}

/// One pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFacts {
    /// Name at this moment.
    pub name: PoolName,
    /// Identity.
    pub guid: Guid,
    /// Features by name: `disabled`, `enabled` or `active`.
    pub features: BTreeMap<String, String>,
}

impl PoolFacts {
    /// From all properties of a pool, as `zpool get` has them.
    pub fn read<'p>(
        name: PoolName,
        guid: Guid,
        properties: impl IntoIterator<Item = (&'p String, &'p String)>,
    ) -> Self {
        let feature = |(key, value): (&String, &String)| {
            key.strip_prefix("feature@").map(|feature| (feature.to_owned(), value.clone()))
        };
        Self { name, guid, features: properties.into_iter().filter_map(feature).collect() }
    }

    /// Whether streams that need the feature can be received.
    pub fn supports(&self, feature: &str) -> bool {
        self.features.get(feature).is_some_and(|state| state == "enabled" || state == "active")
    }
}

/// The datasets of one side, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// Every dataset that was listed.
    pub datasets: BTreeMap<DatasetName, Dataset>,
}

impl Side {
    /// The dataset with this name.
    pub fn get(&self, name: &DatasetName) -> Option<&Dataset> {
        self.datasets.get(name)
    }

    /// The dataset itself, if it is there, and all below it, parents first.
    pub fn tree<'a>(&'a self, top: &'a DatasetName) -> impl Iterator<Item = &'a Dataset> {
        let mut all: Vec<_> = self.datasets.values().filter(|d| d.name.below(top).is_some()).collect();
        all.sort_by_key(|dataset| dataset.name.depth());
        all.into_iter()
    }

    /// User properties are inherited. What a dataset says of its origin counts only where the one above says
    /// something else: a source's guid is never shared.
    pub fn forget_inherited(&mut self) {
        let above = |dataset: &Dataset| dataset.name.parent().and_then(|parent| self.get(&parent));
        let inherits = |dataset: &Dataset| {
            let same =
                |of: fn(&Dataset) -> Option<Guid>| above(dataset).is_some_and(|a| of(a) == of(dataset));
            [same(|d| d.source), same(|d| d.mirror), same(|d| d.thinned), same(|d| d.rewritten)]
        };
        let inherited: Vec<_> = self.datasets.values().map(inherits).collect();
        for (dataset, [source, mirror, thinned, rewritten]) in self.datasets.values_mut().zip(inherited) {
            dataset.source = dataset.source.filter(|_| !source);
            dataset.mirror = dataset.mirror.filter(|_| !mirror);
            dataset.thinned = dataset.thinned.filter(|_| !thinned);
            dataset.rewritten = dataset.rewritten.filter(|_| !rewritten);
        }
    }

    /// The datasets directly below.
    pub fn children<'a>(&'a self, parent: &'a DatasetName) -> impl Iterator<Item = &'a Dataset> {
        self.datasets.values().filter(move |d| d.name.parent().as_ref() == Some(parent))
    }
}

/// Both sides at one moment.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The datasets below the sources of the backups, from one or more pools.
    pub source: Side,
    /// All datasets of the drive's pool.
    pub target: Side,
    /// The source pools and the drive's pool, by name.
    pub pools: BTreeMap<PoolName, PoolFacts>,
    /// Guids of all snapshots of the source pools, asked only when a dataset's identity is in doubt (S21).
    pub elsewhere: Option<HashSet<Guid>>,
}
