//! Histories at random: what may have happened to a source, its copy and our bookmarks before a run.

use proptest::prelude::*;

use crate::model::{
    Bookmark, Bytes, Dataset, DatasetName, Guid, History, HistoryMode, Keep, Policy, Prune, Snapshot, Txg,
    glob_set,
};
use crate::plan::testing::{DRIVE, OTHER_DRIVE, World, guid_of, name, policy, without};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "skip_a", "skip_b", "keep_a", "keep_b"];

/// What became of one snapshot.
#[derive(Debug, Clone)]
pub struct Fate {
    called: usize,
    sent: bool,
    destroyed: bool,
    renamed: Option<usize>,
    /// Bits: verified by us, pending by us, the other drive's, somebody else's.
    bookmarks: u8,
    held: bool,
}

/// What happened to one dataset.
#[derive(Debug, Clone)]
pub struct Past {
    snapshots: Vec<Fate>,
    /// The target got snapshots up to this one.
    reached: usize,
    /// Whether the base is surely known to the source.
    anchored: bool,
    encrypted: bool,
    container: bool,
    /// The head of the copy was written to.
    written: bool,
    /// 0: the copy says nothing of itself, 1: where it comes from, else: also that it was mirrored.
    recorded: u8,
}

/// A tree of datasets and what is wanted of it.
#[derive(Debug, Clone)]
pub struct Story {
    tree: [Option<Past>; 4],
    skip: bool,
    newest: bool,
    never: bool,
    keep: bool,
    protect: bool,
    plaintext: bool,
    skip_parent: bool,
    limit: u8,
    consent: bool,
    rollback: bool,
}

const TREE: [&str; 4] = ["", "/a", "/a/x", "/b"];

fn fate() -> impl Strategy<Value = Fate> {
    let bookmarks = prop_oneof![3 => Just(0), 1 => 0..16_u8];
    (
        0..NAMES.len(),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.3),
        prop::option::weighted(0.15, 0..NAMES.len()),
        bookmarks,
        prop::bool::weighted(0.05),
    )
        .prop_map(|(called, sent, destroyed, renamed, bookmarks, held)| Fate {
            called,
            sent,
            destroyed,
            renamed,
            bookmarks,
            held,
        })
}

pub fn past(length: usize) -> impl Strategy<Value = Past> {
    (
        prop::collection::vec(fate(), 0..length),
        0..length,
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.8),
        any::<bool>(),
        prop::bool::weighted(0.1),
        0..5_u8,
    )
        .prop_map(|(snapshots, reached, anchored, encrypted, container, written, recorded)| Past {
            snapshots,
            reached,
            anchored,
            encrypted,
            container,
            written,
            recorded,
        })
}

pub fn story(length: usize) -> impl Strategy<Value = Story> {
    let other = || prop::option::weighted(0.4, past(length));
    (
        (past(length), other(), other(), other()),
        any::<(bool, bool, bool)>(),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.3)),
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.15),
        prop_oneof![Just(60_u8), Just(10)],
        (prop::bool::weighted(0.1), prop::bool::weighted(0.3)),
    )
        .prop_map(
            |(
                (top, a, x, b),
                (skip, newest, protect),
                (never, keep),
                plaintext,
                skip_parent,
                limit,
                consents,
            )| {
                let (consent, rollback) = consents;
                let x = x.filter(|_| a.is_some());
                Story {
                    tree: [Some(top), a, x, b],
                    skip,
                    newest,
                    never,
                    keep,
                    protect,
                    plaintext,
                    skip_parent,
                    limit,
                    consent,
                    rollback,
                }
            },
        )
}

impl Story {
    /// The same after somebody edited the configuration.
    pub fn selecting(&self, skip: bool, newest: bool) -> Self {
        Self { skip, newest, ..self.clone() }
    }

    pub fn policies(&self) -> Vec<Policy> {
        let mut policy = policy();
        if self.skip {
            policy.snapshots = without(&["skip_*"]);
        }
        if self.newest {
            policy.history = HistoryMode::Newest;
        }
        if self.keep {
            policy.prune = Prune::Keep(Keep { last: 2, ..Keep::default() });
        }
        if self.never {
            policy.prune = Prune::Never;
        }
        if self.protect {
            policy.protect = glob_set(&["keep_*".to_owned()]).unwrap();
        }
        if self.consent {
            policy.consents.source_loss = vec![name("backup/eds"), name("backup/eds/a")];
        }
        if self.rollback {
            policy.consents.rollback = vec![name("backup/eds"), name("backup/eds/a")];
        }
        policy.allow_plaintext = self.plaintext;
        policy.skip_parent = self.skip_parent;
        policy.prune_limit = self.limit;
        vec![policy]
    }

    /// The same on a drive with so little room.
    pub fn world_with(&self, available: u64) -> World {
        let mut world = self.world();
        world.target.datasets.values_mut().for_each(|there| there.available = Bytes(available));
        world
    }

    pub fn world(&self) -> World {
        let mut world = World::new();
        for (place, past) in self.tree.iter().enumerate() {
            if let Some(past) = past {
                past.add(&mut world, TREE[place], 1000 * place as u64);
            }
        }
        let there: Vec<DatasetName> = world.target.datasets.keys().cloned().collect();
        for parent in there.iter().filter_map(DatasetName::parent).filter(|parent| parent.depth() > 1) {
            if world.target.get(&parent).is_none() {
                world = world.placeholder(parent.as_str());
            }
        }
        world
    }
}

impl Past {
    fn add(&self, world: &mut World, below: &str, offset: u64) {
        let (mut here, mut there): (Vec<Snapshot>, Vec<Snapshot>) = (Vec::new(), Vec::new());
        let mut bookmarks = Vec::new();
        for (place, fate) in self.snapshots.iter().enumerate() {
            let (guid, txg) = (Guid(offset + place as u64 + 1), Txg(100 + 10 * place as u64));
            let snapshot = Snapshot { name: name(NAMES[fate.called]), guid, txg };
            // A name is used again only after its old snapshot was destroyed.
            here.retain(|other| other.name != snapshot.name);
            here.push(snapshot.clone());
            let sent = place < self.reached && fate.sent;
            if sent {
                let taken = there.iter().any(|other| other.name == snapshot.name);
                let aside = format!("{}_{}", snapshot.name, guid.short());
                let called = if taken { name(&aside) } else { snapshot.name };
                there.push(Snapshot { name: called, guid, txg: Txg(5000 + place as u64) });
            }
            bookmarks.extend(marks(fate.bookmarks, sent, guid, txg));
        }
        for (place, fate) in self.snapshots.iter().enumerate() {
            let guid = Guid(offset + place as u64 + 1);
            if fate.destroyed {
                here.retain(|snapshot| snapshot.guid != guid);
            }
            let new = fate.renamed.map(|new| name(NAMES[new]));
            let new = new.filter(|new| here.iter().all(|other| other.name != *new));
            if let (Some(new), Some(snapshot)) = (new, here.iter_mut().find(|s| s.guid == guid)) {
                snapshot.name = new;
            }
        }
        if let Some(base) = there.last().filter(|_| self.anchored) {
            let txg = Txg(100 + 10 * (base.guid.0 - offset - 1));
            let known = bookmarks.iter().any(|b: &Bookmark| b.guid == base.guid);
            if !known && here.iter().all(|snapshot| snapshot.guid != base.guid) {
                bookmarks.extend(marks(1, true, base.guid, txg));
            }
        }
        self.insert(world, below, History::new(here, bookmarks).unwrap(), there);
    }

    fn insert(&self, world: &mut World, below: &str, here: History, there: Vec<Snapshot>) {
        let (source, target) = (format!("tank/data{below}"), format!("backup/eds{below}"));
        let mut dataset = crate::plan::testing::dataset(&source, here);
        dataset.container = self.container;
        if !self.encrypted {
            dataset.encryption = None;
        }
        world.source.datasets.insert(name(&source), dataset);
        if there.is_empty() {
            return;
        }
        let held: Vec<Guid> = there.iter().map(|s| s.guid).filter(|guid| self.is_held(*guid)).collect();
        let mut copy = crate::plan::testing::dataset(&target, History::new(there, vec![]).unwrap());
        if !self.encrypted {
            copy.encryption = None;
        }
        let recorded = Some(guid_of(&source));
        let copy = Dataset {
            source: recorded.filter(|_| self.recorded > 0),
            mirror: recorded.filter(|_| self.recorded > 1),
            thinned: recorded.filter(|_| self.recorded > 1),
            written: Bytes(if self.written { 9 } else { 0 }),
            ..copy
        };
        world.target.datasets.insert(name(&target), copy);
        for guid in held {
            let copy = world.target.datasets.get_mut(&name::<DatasetName>(&target)).unwrap();
            copy.details.get_mut(&guid).unwrap().holds = 1;
        }
    }

    fn is_held(&self, guid: Guid) -> bool {
        let place = usize::try_from(guid.0 % 1000).unwrap() - 1;
        self.snapshots[place].held
    }
}

/// The bookmarks that somebody made of a snapshot. That the drive was seen to have it is only said of what it has.
fn marks(bits: u8, sent: bool, guid: Guid, txg: Txg) -> Vec<Bookmark> {
    let all = [
        (1, sent, format!("zferry_{DRIVE}_{guid}")),
        (2, true, format!("zferry-pending_{DRIVE}_{guid}")),
        (4, true, format!("zferry_{OTHER_DRIVE}_{guid}")),
        (8, true, format!("syncoid_{guid}")),
    ];
    let made = all.into_iter().filter(|(bit, possible, _)| bits & bit != 0 && *possible);
    made.map(|(_, _, called)| Bookmark { name: name(&called), guid, txg }).collect()
}
