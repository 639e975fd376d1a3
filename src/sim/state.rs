//! What there is: pools, datasets, snapshots, bookmarks, holds, keys, partial receives.

use std::collections::{BTreeMap, BTreeSet};

/// Everything on one computer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// By name.
    pub pools: BTreeMap<String, Pool>,
    /// Filesystems and volumes, by full name.
    pub datasets: BTreeMap<String, Dataset>,
    /// For guids, IV sets and contents that nobody else has.
    pub last: u64,
}

/// A pool. Its datasets can only be seen while it is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub guid: u64,
    pub txg: u64,
    pub imported: Option<Import>,
    /// Read, write and checksum errors.
    pub errors: u64,
    /// What is left.
    pub available: u64,
    /// On the drive that can be unplugged; all others stay.
    pub on_usb: bool,
    /// Its last scrub.
    pub scrub: Scrub,
    /// What a scrub finds: blocks that are damaged.
    pub damaged: u64,
}

/// A scrub. One that runs comes further each time that somebody looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scrub {
    #[default]
    Never,
    Running(u8),
    Paused(u8),
    Finished {
        txg: u64,
        errors: u64,
    },
}

/// How a pool was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    pub altroot: Option<String>,
    pub readonly: bool,
}

/// A filesystem or volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    pub guid: u64,
    pub volume: bool,
    pub key: Option<Key>,
    /// Set on it, user properties too.
    pub properties: BTreeMap<String, String>,
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// By the part after `#`.
    pub bookmarks: BTreeMap<String, Bookmark>,
    /// Changed since the newest snapshot.
    pub written: u64,
    /// What an interrupted receive left.
    pub partial: Option<Partial>,
}

/// How a dataset is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub root: String,
    pub guid: u64,
    pub loaded: bool,
    pub salt: u64,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub name: String,
    pub guid: u64,
    pub txg: u64,
    pub creation: i64,
    pub ivset: Option<u64>,
    /// Stands for its data: two with one content have the same files.
    pub content: u64,
    pub written: u64,
    pub referenced: u64,
    pub holds: BTreeSet<String>,
    pub properties: BTreeMap<String, String>,
}

/// A bookmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    pub guid: u64,
    pub txg: u64,
    pub creation: i64,
    pub ivset: Option<u64>,
    pub content: u64,
}

/// An unfinished receive: `DATASET/%recv`, or the dataset itself when it was its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    pub from: Option<u64>,
    pub to: u64,
    pub raw: bool,
}

/// The pool that a name is in.
pub fn pool_of(name: &str) -> &str {
    name.split(['/', '@', '#']).next().unwrap_or_default()
}

/// What is above a dataset.
pub fn parent_of(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(parent, _)| parent)
}

impl State {
    /// Adds an imported pool with an unencrypted dataset at its top.
    pub fn add_pool(&mut self, name: &str, guid: u64, altroot: Option<&str>) {
        let imported = Some(Import { altroot: altroot.map(str::to_owned), readonly: false });
        let pool = Pool {
            guid,
            txg: 100,
            imported,
            errors: 0,
            available: 1 << 30,
            on_usb: false,
            scrub: Scrub::Never,
            damaged: 0,
        };
        self.pools.insert(name.to_owned(), pool);
        self.add_dataset(name, None);
    }

    /// Adds an exported pool on the drive that can be unplugged.
    pub fn add_drive(&mut self, name: &str, guid: u64) {
        self.add_pool(name, guid, None);
        let pool = self.pools.get_mut(name).unwrap();
        (pool.imported, pool.on_usb) = (None, true);
    }

    /// Adds an empty filesystem; encrypted with a key of its own when it has a key's guid.
    pub fn add_dataset(&mut self, name: &str, key: Option<u64>) {
        let key = key.map(|guid| Key { root: name.to_owned(), guid, loaded: true, salt: 5 });
        let guid = self.new_number();
        self.datasets.insert(name.to_owned(), Dataset { guid, key, ..Dataset::default() });
    }

    /// Somebody writes so much to a dataset, and takes a snapshot.
    pub fn take_snapshot(&mut self, dataset: &str, name: &str, bytes: u64) {
        let (guid, content, ivset) = (self.new_number(), self.new_number(), self.new_number());
        let txg = self.next_txg(pool_of(dataset));
        let there = self.datasets.get_mut(dataset).unwrap();
        let referenced = there.snapshots.last().map_or(0, |newest| newest.referenced) + bytes;
        there.snapshots.push(Snapshot {
            name: name.to_owned(),
            guid,
            txg,
            creation: 1_700_000_000 + i64::try_from(txg).unwrap(),
            ivset: there.key.is_some().then_some(ivset),
            content,
            written: bytes,
            referenced,
            holds: BTreeSet::new(),
            properties: BTreeMap::new(),
        });
        there.written = 0;
    }

    /// Somebody destroys a snapshot that nothing keeps.
    pub fn destroy_snapshot(&mut self, dataset: &str, name: &str) {
        let there = self.datasets.get_mut(dataset).unwrap();
        there.snapshots.retain(|snapshot| snapshot.name != name || !snapshot.holds.is_empty());
    }

    /// A number that nothing had yet.
    pub fn new_number(&mut self) -> u64 {
        self.last += 1;
        1000 + self.last
    }

    /// The transaction group of a change.
    pub fn next_txg(&mut self, pool: &str) -> u64 {
        let pool = self.pools.get_mut(pool).unwrap();
        pool.txg += 1;
        pool.txg
    }

    /// Whether commands can see what is in a pool.
    pub fn is_imported(&self, pool: &str) -> bool {
        self.pools.get(pool).is_some_and(|pool| pool.imported.is_some())
    }

    /// A dataset of an imported pool.
    pub fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.datasets.get(name).filter(|_| self.is_imported(pool_of(name)))
    }

    /// A dataset that a command is to change.
    pub fn writable(&mut self, name: &str) -> Result<&mut Dataset, String> {
        let pool = self.pools.get(pool_of(name)).and_then(|pool| pool.imported.as_ref());
        let missing = || format!("cannot open '{name}': dataset does not exist");
        if pool.ok_or_else(missing)?.readonly {
            return Err(format!("cannot open '{name}': pool is read-only"));
        }
        self.datasets.get_mut(name).ok_or_else(missing)
    }

    /// The names of a dataset and everything below it.
    pub fn tree(&self, top: &str) -> Vec<String> {
        let below = format!("{top}/");
        let inside = |name: &&String| *name == top || name.starts_with(&below);
        self.datasets.keys().filter(inside).cloned().collect()
    }

    /// How many clones a snapshot has: an unfinished increment is one.
    pub fn clones(&self, dataset: &str, snapshot: &Snapshot) -> usize {
        let origin = format!("{dataset}@{}", snapshot.name);
        let cloned = |other: &&Dataset| other.properties.get("origin") == Some(&origin);
        let partial = self.datasets[dataset].partial.as_ref().and_then(|partial| partial.from);
        self.datasets.values().filter(cloned).count() + usize::from(partial == Some(snapshot.guid))
    }
}

impl Dataset {
    /// The snapshot of this name.
    pub fn named(&self, name: &str) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }

    /// The snapshot with this guid.
    pub fn snapshot(&self, guid: u64) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.guid == guid)
    }

    /// Whether its first receive is unfinished.
    pub fn is_inconsistent(&self) -> bool {
        self.partial.is_some() && self.snapshots.is_empty()
    }
}
