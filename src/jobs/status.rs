//! `status`: works while the drive is away, needs no root, changes nothing.

use std::collections::BTreeSet;

use crate::config::Drive;
use crate::config::request::StatusRequest;
use crate::drive::list_members;
use crate::model::{Bytes, Dataset, Guid, Policy, PoolName, Side};
use crate::plan::{Ours, Standing};
use crate::report::status::{BaseState, Capacity, Connected, DriveStatus, LastSuccess, Waiting};
use crate::zfs::Client;
use crate::zfs::parse::Imported;

use super::{Environment, JobError};

/// What is known of each drive.
///
/// # Errors
/// When ZFS cannot be asked.
pub fn status(request: &StatusRequest, env: &Environment<'_>) -> Result<Vec<DriveStatus>, JobError> {
    let unknown = |source| JobError::Zfs { what: "the imported pools cannot be listed", source };
    let imported = env.client().pools().map_err(unknown)?;
    request.drives.iter().map(|drive| one(drive, &imported, env)).collect()
}

fn one(drive: &Drive, imported: &[Imported], env: &Environment<'_>) -> Result<DriveStatus, JobError> {
    let client = env.client();
    let here = imported.iter().find(|pool| pool.guid == drive.guid);
    let member = list_members().unwrap_or_default().into_iter().find(|m| m.pool_guid == drive.guid);
    let connected = match member {
        Some(member) => Connected::Yes { node: member.node, imported: here.is_some() },
        None => Connected::No,
    };
    let remembered = env.store.load(drive.name.as_str(), drive.guid).state;
    let now = (env.clock)();
    let age = |at: jiff::Timestamp| now.duration_since(at).unsigned_abs();
    let policies = drive.policies(&crate::model::Consents::default());
    let pools: Vec<PoolName> = imported.iter().map(|pool| pool.name.clone()).collect();
    let sources = crate::observe::observe_sources(&client, &policies, &pools)
        .map_err(|source| JobError::Zfs { what: "the snapshots could not be listed", source })?;
    let (waiting, base) = compare(&policies, &sources, drive.guid);
    Ok(DriveStatus {
        name: drive.name.to_string(),
        connected,
        last_success: remembered.last_success.map(|at| LastSuccess { at, age: age(at) }),
        last_outcome: remembered.last_run.map(|run| run.outcome),
        waiting,
        base,
        capacity: here.and_then(|pool| capacity(&client, &pool.name)),
    })
}

/// What the drive does not have yet, by the bookmarks that say what it was last seen to have.
fn compare(policies: &[Policy], sources: &Side, drive: Guid) -> (Option<Waiting>, BaseState) {
    let mut waiting = Waiting { snapshots: 0, datasets: 0 };
    let (mut based, mut baseless) = (false, Vec::new());
    for (policy, dataset) in selected(policies, sources) {
        let seen = dataset.history.bookmarks().iter().filter(|bookmark| {
            Ours::read(bookmark).is_some_and(|o| o.drive == drive && o.standing == Standing::Verified)
        });
        let base = seen.map(|bookmark| bookmark.txg).max();
        let snapshots = dataset.history.snapshots().iter().filter(|s| policy.snapshots.wants(&s.name));
        let newer = snapshots.filter(|s| base.is_none_or(|base| s.txg > base)).count();
        waiting.snapshots += newer;
        waiting.datasets += usize::from(newer > 0);
        match base {
            Some(_) => based = true,
            None if newer > 0 => baseless.push(dataset.name.to_string()),
            None => {}
        }
    }
    if !based {
        return (Some(waiting), BaseState::Unknown);
    }
    // Every drive's bookmark outlives the snapshot; what has none was never sent to this drive.
    (Some(waiting), BaseState::Safe)
}

fn selected<'a>(
    policies: &'a [Policy],
    sources: &'a Side,
) -> impl Iterator<Item = (&'a Policy, &'a Dataset)> {
    let mut seen = BTreeSet::new();
    policies
        .iter()
        .flat_map(move |policy| {
            let wanted = move |dataset: &&Dataset| match dataset.name.below(&policy.source) {
                Some("") => !policy.skip_parent,
                Some(relative) => policy.recursive && policy.datasets.wants(relative),
                None => false,
            };
            sources.datasets.values().filter(wanted).map(move |dataset| (policy, dataset))
        })
        .filter(move |(policy, dataset)| seen.insert((policy.name.clone(), dataset.name.clone())))
}

fn capacity(client: &Client<'_>, pool: &PoolName) -> Option<Capacity> {
    let all = client.pool_properties([pool]).ok()?;
    let number = |name: &str| all.get(pool)?.get(name)?.parse().ok().map(Bytes);
    Some(Capacity { used: number("allocated")?, size: number("size")? })
}
