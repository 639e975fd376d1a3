//! `status`: works while the drive is away, needs no root, changes nothing.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Drive;
use crate::config::request::StatusRequest;
use crate::drive::Member;
use crate::event::Event;
use crate::execute::chain;
use crate::execute::session::SessionError;
use crate::model::{Bytes, Consents, Fullness, PoolName, SnapshotDetail};
use crate::plan::recurring::when;
use crate::plan::scrub;
use crate::plan::trend::full_in;
use crate::report::status::{
    Capacity, Connected, DriveStatus, Due, LastRun, LastScrub, LastSuccess, Waiting,
};
use crate::zfs::Client;
use crate::zfs::parse::Imported;
use crate::zfs::version::Versions;

use super::standing::ToMeasure;
use super::{Environment, JobError, connected, standing};

/// What is known of each drive.
///
/// # Errors
/// When ZFS cannot be asked.
pub fn status(request: &StatusRequest, env: &Environment<'_>) -> Result<Vec<DriveStatus>, JobError> {
    let imported = env.client().pools().map_err(SessionError::Tools)?;
    let versions = Versions { module: env.root.zfs_module(), tools: None };
    let policies: Vec<_> =
        request.drives.iter().flat_map(|drive| drive.policies(&Consents::default())).collect();
    env.advise(&versions, &policies);
    let members = env.root.members().unwrap_or_else(|error| {
        let text = format!("Which drives are connected is not known: udev does not answer ({error}).");
        env.sink.event(Event::Warning { text });
        Vec::new()
    });
    request.drives.iter().map(|drive| one(drive, &imported, &members, env)).collect()
}

fn one(
    drive: &Drive,
    imported: &[Imported],
    members: &[Member],
    env: &Environment<'_>,
) -> Result<DriveStatus, JobError> {
    let client = env.client();
    let here = imported.iter().find(|pool| pool.guid == drive.guid);
    let node = connected::device(drive, members, env.root);
    let connected = match (node, here) {
        (None, None) => Connected::No,
        (node, here) => Connected::Yes { node, imported: here.is_some() },
    };
    let remembered = env.store.load(drive.name.as_str(), drive.guid);
    if let Some(warning) = remembered.warning {
        env.sink.event(Event::Warning { text: format!("{}.", chain(&warning)) });
    }
    let remembered = remembered.state;
    let now = (env.clock)();
    let age = |at: jiff::Timestamp| std::time::Duration::try_from(now.duration_since(at)).ok();
    let policies = drive.policies(&Consents::default());
    let pools: Vec<PoolName> = imported.iter().map(|pool| pool.name.clone()).collect();
    let sources =
        crate::observe::observe_sources(&client, &policies, &pools).map_err(super::drive_run::not_listed)?;
    // A pool that is not imported shows nothing, and that is not "nothing waits".
    let seen = policies.iter().all(|policy| pools.contains(&policy.source.pool()));
    let copies = &remembered.copies;
    let waiting = seen.then(|| {
        let waiting = standing::waiting(&policies, &sources, drive.guid, copies);
        let sizes = standing::to_measure(&policies, &sources, drive.guid, copies);
        Waiting { bytes: measured(&client, &sizes), ..waiting }
    });
    let scrub_seen = here.and_then(|pool| Some(client.status(&pool.name).ok()?.scrub));
    let last_scrub = standing::last_scrub(remembered.last_scrub, scrub_seen);
    Ok(DriveStatus {
        name: drive.name.to_string(),
        connected,
        // What is still to come was not remembered by this clock, and says nothing.
        last_success: remembered.last_success.and_then(|at| Some(LastSuccess { at, age: age(at)? })),
        last_run: remembered
            .last_run
            .as_ref()
            .and_then(|run| Some(LastRun { at: run.ended, age: age(run.ended)?, outcome: run.outcome })),
        waiting,
        base: standing::base(&policies, &sources, drive.guid, copies),
        capacity: capacity(here.and_then(|pool| fullness(env, &pool.name, now)), remembered.fullness, now),
        last_scrub: last_scrub.and_then(|scrub| {
            Some(LastScrub { at: scrub.ended, age: age(scrub.ended)?, errors: scrub.errors })
        }),
        next_scrub: scrub::next(drive.scrub, scrub_seen, remembered.last_scrub.map(|s| s.ended), now)
            .map(Due::from),
        last_rehearsal: remembered.last_rehearsal.and_then(|at| Some(LastSuccess { at, age: age(at)? })),
        next_rehearsal: when(drive.rehearse, remembered.last_rehearsal, now).map(Due::from),
    })
}

/// What is seen now counts, or else what was seen at the end of the last run.
fn capacity(seen: Option<Fullness>, mut before: Vec<Fullness>, now: Timestamp) -> Option<Capacity> {
    before.extend(seen);
    let last = seen.or_else(|| before.last().copied())?;
    let age = Duration::try_from(now.duration_since(last.at)).ok()?;
    Some(Capacity { used: last.used, size: last.size, age, full_in: full_in(&before, now) })
}

/// How full a pool is that is imported. Worth no more than a line in the log where it cannot be asked.
pub(super) fn fullness(env: &Environment<'_>, pool: &PoolName, at: Timestamp) -> Option<Fullness> {
    let all = match env.client().pool_properties([pool]) {
        Ok(all) => all,
        Err(error) => {
            log::warn!("how full {pool} is could not be asked: {}", chain(&error));
            return None;
        }
    };
    let number = |name: &str| all.get(pool)?.get(name)?.parse().ok().map(Bytes);
    Some(Fullness { at, used: number("allocated")?, size: number("size")? })
}

/// So many snapshots are asked for their size; of more it takes too long for a glance.
const MEASURED: usize = 5000;

/// How much that is; nothing where ZFS does not say, as of one that was destroyed meanwhile.
fn measured(client: &Client<'_>, sizes: &ToMeasure) -> Option<Bytes> {
    let of = |names: &[String], size: fn(&SnapshotDetail) -> Bytes| -> Option<Bytes> {
        if names.is_empty() {
            return Some(Bytes(0));
        }
        let details = client.details(names).ok()?;
        names.iter().map(|name| details.get(name).map(size)).sum()
    };
    if sizes.written.len() + sizes.referenced.len() > MEASURED {
        return None;
    }
    Some(of(&sizes.written, |detail| detail.written)? + of(&sizes.referenced, |detail| detail.referenced)?)
}
