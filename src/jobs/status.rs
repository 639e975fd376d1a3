//! `status`: works while the drive is away, needs no root, changes nothing.

use crate::config::Drive;
use crate::config::request::StatusRequest;
use crate::drive::Member;
use crate::event::Event;
use crate::execute::chain;
use crate::execute::session::SessionError;
use crate::model::{Bytes, Consents, PoolName};
use crate::report::status::{Capacity, Connected, DriveStatus, LastRun, LastScrub, LastSuccess};
use crate::zfs::Client;
use crate::zfs::parse::Imported;
use crate::zfs::version::Versions;

use super::{Environment, JobError, standing};

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
    let node = members.iter().find(|m| m.pool_guid == drive.guid).map(|member| member.node.clone());
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
    Ok(DriveStatus {
        name: drive.name.to_string(),
        connected,
        // What is still to come was not remembered by this clock, and says nothing.
        last_success: remembered.last_success.and_then(|at| Some(LastSuccess { at, age: age(at)? })),
        last_run: remembered
            .last_run
            .as_ref()
            .and_then(|run| Some(LastRun { at: run.ended, age: age(run.ended)?, outcome: run.outcome })),
        waiting: seen.then(|| standing::waiting(&policies, &sources, drive.guid, copies)),
        base: standing::base(&policies, &sources, drive.guid, copies),
        capacity: here.and_then(|pool| capacity(&client, &pool.name)),
        last_scrub: remembered.last_scrub.and_then(|scrub| {
            Some(LastScrub { at: scrub.ended, age: age(scrub.ended)?, errors: scrub.errors })
        }),
    })
}

fn capacity(client: &Client<'_>, pool: &PoolName) -> Option<Capacity> {
    let all = client.pool_properties([pool]).ok()?;
    let number = |name: &str| all.get(pool)?.get(name)?.parse().ok().map(Bytes);
    Some(Capacity { used: number("allocated")?, size: number("size")? })
}
