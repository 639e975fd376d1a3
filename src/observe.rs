//! Listings to [`Inventory`]. Reads only.
//!
//! Each pool is listed once: its datasets with their properties (cheap), its snapshots by name, guid and txg only
//! (the one listing that ZFS answers without opening every snapshot: facts zfs.md 1.2, 1.4). What else a plan needs
//! is asked by name, for the few snapshots that matter. Both pools are listed at the same time.

use std::collections::{BTreeSet, HashMap};

use crate::model::{
    Bookmark, Bytes, Dataset, DatasetName, History, Inventory, Policy, PoolFacts, PoolName, SavePolicy, Side,
    Snapshot, SnapshotDetail,
};
use crate::plan::{Question, Questions, Repair, doubts, foresee_repairs, questions, repairs};
use crate::process::RunError;
use crate::zfs::argv::Reach;
use crate::zfs::parse::Listed;
use crate::zfs::{Client, Kind, ZfsError};

/// Snapshots come and go while we look. This often we look again when one vanished between two questions.
const ATTEMPTS: usize = 3;

/// Looks at the sources of these backups and at the drive's pool. `imported` are all pools that are imported now.
///
/// # Errors
/// When a listing failed or cannot be read. A source that does not exist is no error: the plan refuses it.
pub fn observe(
    client: &Client<'_>,
    policies: &[Policy],
    drive: &PoolFacts,
    imported: &[PoolName],
) -> Result<Inventory, ZfsError> {
    patiently(|| look(client, policies, drive, imported, |_| Vec::new())).map(|(inventory, _)| inventory)
}

/// The same for those who may change nothing: with the drive as a run makes it first when it finds an interrupted
/// change there, and what it does for that.
///
/// # Errors
/// As [`observe`].
pub fn foresee(
    client: &Client<'_>,
    policies: &[Policy],
    drive: &PoolFacts,
    imported: &[PoolName],
) -> Result<(Inventory, Vec<Repair>), ZfsError> {
    patiently(|| look(client, policies, drive, imported, repairs))
}

/// Looks again when something vanished between two questions.
fn patiently<T>(mut look: impl FnMut() -> Result<T, ZfsError>) -> Result<T, ZfsError> {
    let mut attempt = 1;
    loop {
        match look() {
            Err(error) if error.kind() == Kind::Missing && attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

fn look(
    client: &Client<'_>,
    policies: &[Policy],
    drive: &PoolFacts,
    imported: &[PoolName],
    repairs: fn(&Side) -> Vec<Repair>,
) -> Result<(Inventory, Vec<Repair>), ZfsError> {
    let sources = source_pools(policies, imported);
    let (source, target) = std::thread::scope(|scope| {
        let source = scope.spawn(|| list_sources(client, policies, &sources));
        let target = list_drive(client, &drive.name);
        (join(source.join()), target)
    });
    let pools = [(drive.name.clone(), drive.clone())].into();
    let mut inventory = Inventory { source: source?, target: target?, pools, elsewhere: None };
    let repairs = repairs(&inventory.target);
    let moved = foresee_repairs(&mut inventory.target, &repairs);
    // A bookmark that is none to build on changes what there is to ask; each time there is one less.
    loop {
        let mut asked = questions(policies, &inventory);
        for question in &mut asked.target {
            if let Some(now) = moved.get(&question.dataset) {
                question.name = question.name.replacen(question.dataset.as_str(), now.as_str(), 1);
            }
        }
        if !answer(client, &mut inventory, &asked)? {
            break;
        }
    }
    settle_doubts(client, policies, &mut inventory)?;
    Ok((inventory, repairs))
}

/// A thread that panicked gave no answer.
fn join<T>(result: std::thread::Result<Result<T, ZfsError>>) -> Result<T, ZfsError> {
    let stream = |_| {
        let source = std::io::Error::other("a listing thread ended early");
        ZfsError::Run(RunError::Stream { command: "zfs list".to_owned(), source })
    };
    result.map_err(stream)?
}

/// The whole drive, bookmarks left out.
///
/// # Errors
/// When a listing failed or cannot be read.
pub fn list_drive(client: &Client<'_>, drive: &PoolName) -> Result<Side, ZfsError> {
    let top = DatasetName::root_of(drive);
    let datasets = client.datasets([drive])?;
    let listed = client.snapshots("snapshot", Reach::Below, [&top])?;
    let mut drive = side(datasets, listed)?;
    drive.forget_inherited();
    Ok(drive)
}

/// Looks at the sources only: for what can be said while the drive is away.
///
/// # Errors
/// When a listing failed or cannot be read.
pub fn observe_sources(
    client: &Client<'_>,
    policies: &[Policy],
    imported: &[PoolName],
) -> Result<Side, ZfsError> {
    list_sources(client, policies, &source_pools(policies, imported))
}

/// Looks at what is saved to files: all datasets of its pool, and the histories of those that are meant.
///
/// # Errors
/// When a listing failed or cannot be read.
pub fn observe_saved(client: &Client<'_>, policy: &SavePolicy) -> Result<Side, ZfsError> {
    patiently(|| {
        let datasets = client.datasets([&policy.source.pool()])?;
        if !datasets.iter().any(|dataset| dataset.name == policy.source) {
            return Ok(Side::default());
        }
        let reach = if policy.recursive { Reach::Below } else { Reach::Itself };
        side(datasets, client.snapshots("snapshot,bookmark", reach, [&policy.source])?)
    })
}

/// The pools of the sources, as far as they are imported.
fn source_pools(policies: &[Policy], imported: &[PoolName]) -> BTreeSet<PoolName> {
    policies.iter().map(|policy| policy.source.pool()).filter(|pool| imported.contains(pool)).collect()
}

/// All datasets of the source pools (cheap, and a renamed one is found by guid), and the histories below the sources.
fn list_sources(
    client: &Client<'_>,
    policies: &[Policy],
    pools: &BTreeSet<PoolName>,
) -> Result<Side, ZfsError> {
    if pools.is_empty() {
        return Ok(Side::default());
    }
    let datasets = client.datasets(pools)?;
    let there = |name: &&DatasetName| datasets.iter().any(|dataset| dataset.name == **name);
    let tops = |recursive: bool| -> BTreeSet<&DatasetName> {
        policies.iter().filter(|p| p.recursive == recursive).map(|p| &p.source).filter(there).collect()
    };
    let below = outermost(&tops(true));
    let covered = |name: &&&DatasetName| !below.iter().any(|top| name.below(top).is_some());
    let alone: Vec<_> = tops(false).into_iter().filter(|name| covered(&name)).collect();
    let mut listed = Vec::new();
    for (reach, tops) in [(Reach::Below, &below), (Reach::Itself, &alone)] {
        if !tops.is_empty() {
            listed.extend(client.snapshots("snapshot,bookmark", reach, tops.iter().copied())?);
        }
    }
    side(datasets, listed)
}

/// Without those that are below another one: nothing is listed twice.
fn outermost<'a>(names: &BTreeSet<&'a DatasetName>) -> Vec<&'a DatasetName> {
    let inside =
        |name: &DatasetName| names.iter().any(|top| name.below(top).is_some_and(|rest| !rest.is_empty()));
    names.iter().copied().filter(|name| !inside(name)).collect()
}

/// Puts snapshots and bookmarks to their datasets.
fn side(datasets: Vec<Dataset>, listed: Vec<Listed>) -> Result<Side, ZfsError> {
    let mut histories: HashMap<DatasetName, (Vec<Snapshot>, Vec<Bookmark>)> = HashMap::new();
    for entry in listed {
        match entry {
            Listed::Snapshot(name, guid, txg) => {
                histories.entry(name.dataset).or_default().0.push(Snapshot { name: name.snap, guid, txg });
            }
            Listed::Bookmark(name, guid, txg) => {
                histories.entry(name.dataset).or_default().1.push(Bookmark { name: name.name, guid, txg });
            }
        }
    }
    let mut side = Side::default();
    for mut dataset in datasets {
        let (snapshots, bookmarks) = histories.remove(&dataset.name).unwrap_or_default();
        dataset.history = History::new(snapshots, bookmarks).map_err(|error| ZfsError::Unreadable {
            command: format!("zfs list -t snapshot {}", dataset.name),
            line: 0,
            what: error.to_string(),
        })?;
        side.datasets.insert(dataset.name.clone(), dataset);
    }
    Ok(side)
}

/// Asks what the plan wants to know, and puts the answers where they belong. Says whether there may be more to ask.
fn answer(client: &Client<'_>, inventory: &mut Inventory, asked: &Questions) -> Result<bool, ZfsError> {
    let names = |asked: &[Question]| asked.iter().map(|question| question.name.clone()).collect::<Vec<_>>();
    let (source, target) = std::thread::scope(|scope| {
        let source = scope.spawn(|| client.details(&names(&asked.source)));
        let target = client.details(&names(&asked.target));
        (join(source.join()), target)
    });
    let more = place(&mut inventory.source, &asked.source, &source?);
    place(&mut inventory.target, &asked.target, &target?);
    if !asked.elsewhere.is_empty() {
        let listed = client.guids(&asked.elsewhere)?;
        let guid = |entry: &Listed| match entry {
            Listed::Snapshot(_, guid, _) | Listed::Bookmark(_, guid, _) => *guid,
        };
        inventory.elsewhere = Some(listed.iter().map(guid).collect());
    }
    Ok(more)
}

/// Looks closer at sources of which much seems to have been replaced. Rare, so that each costs two commands.
fn settle_doubts(
    client: &Client<'_>,
    policies: &[Policy],
    inventory: &mut Inventory,
) -> Result<(), ZfsError> {
    for doubt in doubts(policies, inventory) {
        let names: Vec<_> = doubt.history.iter().map(|question| question.name.clone()).collect();
        place(&mut inventory.target, &doubt.history, &client.details(&names)?);
        let Ok(newest) = doubt.newest.name.parse() else { continue };
        // Old bookmarks do not know what was written since; what is known without it is on the safe side.
        let written = client.written_since(&doubt.base, &newest);
        let source = inventory.source.datasets.get_mut(&doubt.newest.dataset);
        match (written, source.and_then(|source| source.details.get_mut(&doubt.newest.guid))) {
            (Ok(written), Some(detail)) if written > Bytes(0) => detail.since_base = Some(written),
            (Err(error), _) => log::debug!("{error}"),
            _ => {}
        }
    }
    Ok(())
}

fn place(side: &mut Side, asked: &[Question], details: &HashMap<String, SnapshotDetail>) -> bool {
    let mut more = false;
    for question in asked {
        let dataset = side.datasets.get_mut(&question.dataset);
        if let Some((dataset, detail)) = dataset.zip(details.get(&question.name)) {
            let short = question.name.strip_prefix(dataset.name.as_str()).unwrap_or_default().to_owned();
            more |= dataset.learn(question.guid, &short, detail.clone());
        }
    }
    more
}
