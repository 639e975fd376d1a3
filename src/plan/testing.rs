//! For tests of the planner: a host and a drive in a few lines, and a kernel that carries plans out.
//!
//! A [`World`] is the truth; [`World::look`] shows as much of it as a run would see, with details only where the planner
//! asked for them. [`kernel`] changes the truth as ZFS would, or refuses as ZFS would; it was written from the facts,
//! not from the planner.

pub mod kernel;
pub mod losses;
pub mod tokens;

use std::collections::{BTreeMap, HashMap};

use crate::model::{
    Bookmark, Bytes, Consents, Dataset, DatasetFilter, DatasetKind, DatasetName, Encryption, Guid, History,
    HistoryMode, Inventory, IvsetGuid, KeyStatus, Mount, Policy, PoolFacts, Prune, ResumeState, SendMode,
    Side, SnapName, Snapshot, SnapshotDetail, SnapshotFilter, Txg, WantedKey, glob_set,
};

use super::{Afterwards, DatasetPlan, Plan, Question, Refusal, Verdict, check, doubts, plan, questions};

/// The drive of all tests.
pub const DRIVE: Guid = Guid(7);
/// Another one.
pub const OTHER_DRIVE: Guid = Guid(8);
/// After a run that exported its pool.
pub const EXPORTED: Afterwards<'_> = Afterwards { retry: "zferry run t7", imported: false };

/// The beginning of 1970, where nobody changes clocks.
pub fn epoch() -> jiff::Zoned {
    jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC)
}

/// Parses a name of any kind.
pub fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// The dataset guid of a source: made of its name, so that fixtures need no order.
pub fn guid_of(dataset: &str) -> Guid {
    Guid(dataset.bytes().fold(1 << 40, |hash: u64, byte| (hash * 31 + u64::from(byte)) % (1 << 50)))
}

/// Encrypted, raw, mirror, everything selected: `tank/data` to `backup/eds`.
pub fn policy() -> Policy {
    Policy {
        name: "eds".to_owned(),
        drive: DRIVE,
        source: name("tank/data"),
        target: name("backup/eds"),
        recursive: true,
        skip_parent: false,
        datasets: DatasetFilter::default(),
        snapshots: SnapshotFilter::default(),
        send: SendMode::Raw,
        allow_plaintext: false,
        history: HistoryMode::All,
        prune: Prune::Mirror,
        protect: glob_set(&[]).unwrap(),
        prune_limit: 60,
        properties: Vec::new(),
        grace: std::time::Duration::ZERO,
        own: None,
        max_age: None,
        consents: Consents::default(),
    }
}

/// A snapshot filter that leaves these patterns out.
pub fn without(patterns: &[&str]) -> SnapshotFilter {
    let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
    SnapshotFilter::new(None, &patterns).unwrap()
}

/// `"@a,1 @b,2 #c,3"`: names and guids, oldest first; the txg is the place, or that of the snapshot with the guid.
/// `#V` and `#P` are this drive's verified and pending bookmark.
pub fn history(text: &str, first_txg: u64) -> History {
    let (mut snapshots, mut bookmarks): (Vec<Snapshot>, Vec<Bookmark>) = (Vec::new(), Vec::new());
    for (place, entry) in text.split_whitespace().enumerate() {
        let (called, number) = entry.split_once(',').unwrap();
        let guid = Guid(number.parse().unwrap());
        let txg = Txg(first_txg + 10 * place as u64);
        match (&called[..1], &called[1..]) {
            ("@", called) => snapshots.push(Snapshot { name: name(called), guid, txg }),
            (_, called) => {
                let called = match called {
                    "V" => format!("zferry_{DRIVE}_{guid}"),
                    "P" => format!("zferry-pending_{DRIVE}_{guid}"),
                    other => other.to_owned(),
                };
                bookmarks.push(Bookmark { name: name(&called), guid, txg });
            }
        }
    }
    for bookmark in &mut bookmarks {
        let made_from = snapshots.iter().find(|snapshot| snapshot.guid == bookmark.guid);
        bookmark.txg = made_from.map_or(bookmark.txg, |snapshot| snapshot.txg);
    }
    History::new(snapshots, bookmarks).unwrap()
}

/// As every snapshot is unless said otherwise: 10 bytes since the one before, IV set by guid, made before 1970 and an
/// hour after the one with the guid before.
pub fn detail(guid: Guid) -> SnapshotDetail {
    let ivset = Some(IvsetGuid(guid.0 + (1 << 32)));
    let made = i64::try_from(guid.0 % 50).unwrap() * 3600 - (1 << 30);
    SnapshotDetail {
        ivset,
        used: Bytes(5),
        written: Bytes(10),
        referenced: Bytes(100),
        creation: jiff::Timestamp::from_second(made).ok(),
        ..SnapshotDetail::default()
    }
}

/// An encrypted filesystem.
pub fn dataset(called: &str, history: History) -> Dataset {
    let guids = history.snapshots().iter().map(|s| s.guid).chain(history.bookmarks().iter().map(|b| b.guid));
    Dataset {
        name: name(called),
        kind: DatasetKind::Filesystem,
        guid: guid_of(called),
        encryption: Some(encryption(called)),
        written: Bytes(0),
        used: Bytes(1000),
        used_by_children: Bytes(0),
        quota: Bytes(0),
        refquota: Bytes(0),
        available: Bytes(1 << 30),
        resume: ResumeState::Clean,
        origin: None,
        redacted: false,
        mount: Mount::Unmounted,
        container: false,
        needs: Vec::new(),
        retired: false,
        source: None,
        mirror: None,
        thinned: None,
        rewritten: None,
        placeholder: false,
        details: guids.map(|guid| (guid, detail(guid))).collect(),
        history,
    }
}

/// All datasets have one master key here; each is its own root, as raw receives make it.
pub fn encryption(root: &str) -> Encryption {
    let wanted = WantedKey::Passphrase;
    Encryption {
        root: name(root),
        keyguid: Some(Guid(99)),
        key: KeyStatus::Unavailable,
        wanted,
        salt: Some(1),
    }
}

/// Both pools as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    pub source: Side,
    pub target: Side,
    pub now: jiff::Timestamp,
    pub zone: jiff::tz::TimeZone,
}

impl World {
    /// Two pools with nothing in them.
    pub fn new() -> Self {
        let (source, target) = (Side::default(), Side::default());
        let mut world =
            Self { source, target, now: jiff::Timestamp::UNIX_EPOCH, zone: jiff::tz::TimeZone::UTC };
        for (side, pool) in [(&mut world.source, "tank"), (&mut world.target, "backup")] {
            let top = Dataset { encryption: None, ..dataset(pool, History::default()) };
            side.datasets.insert(name(pool), top);
        }
        world
    }

    /// Adds a dataset to the host.
    pub fn source(mut self, called: &str, text: &str) -> Self {
        self.source.datasets.insert(name(called), dataset(called, history(text, 100)));
        self
    }

    /// Adds a copy to the drive, as it is after a first run that shows what it would prune, of either kind.
    pub fn target(mut self, called: &str, text: &str) -> Self {
        let recorded = called.strip_prefix("backup/eds").map(|rest| guid_of(&format!("tank/data{rest}")));
        let copy = dataset(called, history(text, 5000));
        let copy = Dataset { source: recorded, mirror: recorded, thinned: recorded, ..copy };
        self.target.datasets.insert(name(called), copy);
        self
    }

    /// Adds a placeholder to the drive.
    pub fn placeholder(self, called: &str) -> Self {
        self.target(called, "").edit_target(called, |there| {
            (there.placeholder, there.container) = (true, true);
            (there.encryption, there.source) = (None, None);
            (there.mirror, there.thinned) = (None, None);
        })
    }

    /// Changes a dataset of the host.
    pub fn edit_source(mut self, called: &str, change: impl FnOnce(&mut Dataset)) -> Self {
        change(self.source.datasets.get_mut(&name::<DatasetName>(called)).unwrap());
        self
    }

    /// Changes a dataset of the drive.
    pub fn edit_target(mut self, called: &str, change: impl FnOnce(&mut Dataset)) -> Self {
        change(self.target.datasets.get_mut(&name::<DatasetName>(called)).unwrap());
        self
    }

    /// What a run sees: details only where the planner asked.
    pub fn look(&self, policies: &[Policy]) -> Inventory {
        let bare = |side: &Side| {
            let strip = |dataset: &Dataset| Dataset { details: HashMap::new(), ..dataset.clone() };
            Side { datasets: side.datasets.iter().map(|(name, d)| (name.clone(), strip(d))).collect() }
        };
        let (source, target) = (bare(&self.source), bare(&self.target));
        let mut seen = Inventory { source, target: listed(target), pools: pools(), elsewhere: None };
        let mut asked = questions(policies, &seen);
        while answer(&mut seen.source, &self.source, &asked.source) {
            asked = questions(policies, &seen);
        }
        answer(&mut seen.target, &self.target, &asked.target);
        for doubt in doubts(policies, &seen) {
            answer(&mut seen.target, &self.target, &doubt.history);
        }
        if !asked.elsewhere.is_empty() {
            let all = self.source.datasets.values().flat_map(|dataset| dataset.history.snapshots());
            seen.elsewhere = Some(all.map(|snapshot| snapshot.guid).collect());
        }
        seen
    }

    /// Plans a run; the checker must find nothing.
    pub fn plan(&self, policies: &[Policy]) -> Plan {
        let seen = self.look(policies);
        let now = self.now.to_zoned(self.zone.clone());
        let plan = plan(policies, &seen, &now);
        let violations = check::check(policies, &seen, &plan, &now);
        assert!(violations.is_empty(), "{violations:#?}\n{}", show(&plan));
        plan
    }

    /// Plans a run of one backup of one dataset.
    pub fn only(&self, policy: &Policy) -> DatasetPlan {
        let mut plan = self.plan(std::slice::from_ref(policy));
        assert_eq!(plan.datasets.len(), 1, "{}", show(&plan));
        plan.datasets.remove(0)
    }

    /// Plans and carries out.
    pub fn run(&mut self, policies: &[Policy]) -> Plan {
        let plan = self.plan(policies);
        kernel::carry_out(self, &plan).unwrap_or_else(|why| panic!("{why}\n{}", show(&plan)));
        plan
    }

    /// Names and guids of a copy's snapshots, in the notation of [`history`].
    pub fn on_drive(&self, called: &str) -> String {
        let there = self.target.get(&name(called)).map(|d| d.history.snapshots()).unwrap_or_default();
        there.iter().map(|s| format!("@{},{}", s.name, s.guid)).collect::<Vec<_>>().join(" ")
    }

    /// The bookmarks of a source, in the notation of [`history`].
    pub fn bookmarks(&self, called: &str) -> String {
        let there = self.source.get(&name(called)).map(|d| d.history.bookmarks()).unwrap_or_default();
        there.iter().map(|b| short(b.name.as_str(), b.guid)).collect::<Vec<_>>().join(" ")
    }
}

/// User properties as `zfs list` shows them, inherited ones too, and then as `observe` takes them.
fn listed(mut drive: Side) -> Side {
    let names: Vec<DatasetName> = drive.datasets.keys().cloned().collect();
    for called in names {
        let Some(above) = called.parent().and_then(|parent| drive.get(&parent)).cloned() else { continue };
        if let Some(dataset) = drive.datasets.get_mut(&called) {
            dataset.source = dataset.source.or(above.source);
            dataset.mirror = dataset.mirror.or(above.mirror);
            dataset.thinned = dataset.thinned.or(above.thinned);
            dataset.rewritten = dataset.rewritten.or(above.rewritten);
            dataset.placeholder |= above.placeholder;
        }
    }
    drive.forget_inherited();
    drive
}

fn short(called: &str, guid: Guid) -> String {
    if called == format!("zferry_{DRIVE}_{guid}") {
        format!("#V,{guid}")
    } else if called == format!("zferry-pending_{DRIVE}_{guid}") {
        format!("#P,{guid}")
    } else {
        format!("#{called},{guid}")
    }
}

fn pools() -> BTreeMap<crate::model::PoolName, PoolFacts> {
    let features = BTreeMap::from([("encryption".to_owned(), "active".to_owned())]);
    let facts = |pool: &str, guid| PoolFacts { name: name(pool), guid, features: features.clone() };
    [("tank", Guid(1)), ("backup", DRIVE)].into_iter().map(|(p, g)| (name(p), facts(p, g))).collect()
}

/// Whatever is asked about must exist under that name with that guid.
fn answer(seen: &mut Side, truth: &Side, asked: &[Question]) -> bool {
    let mut more = false;
    for question in asked {
        let dataset = truth.get(&question.dataset).unwrap();
        let short = question.name.strip_prefix(question.dataset.as_str()).unwrap();
        let called: SnapName = name(&short[1..]);
        let found = match &short[..1] {
            "@" => dataset.history.snapshot(question.guid).is_some_and(|s| s.name == called),
            _ => dataset.history.bookmarks().iter().any(|b| b.guid == question.guid && b.name == called),
        };
        assert!(found, "asked about {}, which is not there", question.name);
        let detail = dataset.details.get(&question.guid).cloned();
        if let (Some(dataset), Some(detail)) = (seen.datasets.get_mut(&question.dataset), detail) {
            more |= dataset.learn(question.guid, short, detail);
        }
    }
    more
}

/// A plan as text, for failures and for comparing in tables.
pub fn show(plan: &Plan) -> String {
    plan.datasets.iter().map(show_dataset).collect::<Vec<_>>().join("\n")
}

/// One dataset of it: what is refused or held back, and the steps.
pub fn show_dataset(dataset: &DatasetPlan) -> String {
    let steps: Vec<_> = dataset.steps.iter().map(|step| format!("  {:?}: {step}", step.phase())).collect();
    format!(
        "{} {:?} held back: {:?}\n{}",
        dataset.target,
        dataset.verdict,
        dataset.held_back,
        steps.join("\n")
    )
}

/// Only the streams: `"full 1; 1-I-3; #3-i-5; rest of 2"`, by guid.
pub fn streams(dataset: &DatasetPlan) -> String {
    use super::SendKind;
    let text = |send: &super::SendStep| {
        let to = send.delivers.last().unwrap().guid;
        let aside = send.rename_to.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
        let stream = match &send.kind {
            SendKind::Full => format!("full {to}"),
            SendKind::Increment(crate::model::Base::Snapshot(base)) => format!("{}-i-{to}", base.guid),
            SendKind::Increment(crate::model::Base::Bookmark(base)) => format!("#{}-i-{to}", base.guid),
            SendKind::Range(_, base) => format!("{base}-I-{to}"),
            SendKind::Resume(_) => format!("rest of {to}"),
        };
        format!("{stream}{aside}")
    };
    dataset.sends().map(text).collect::<Vec<_>>().join("; ")
}

/// The names that are pruned.
pub fn prunes(dataset: &DatasetPlan) -> String {
    dataset.prunes().map(|o| o.snapshot.snap.to_string()).collect::<Vec<_>>().join(" ")
}

/// The reason, when it was refused.
pub fn refusal(dataset: &DatasetPlan) -> Option<&Refusal> {
    if let Verdict::Refused(refusal) = &dataset.verdict { Some(refusal) } else { None }
}
