//! The pool of a new drive: made, exported, and seen to be so.

use std::path::Path;
use std::time::Instant;

use crate::config::preparing::InitRequest;
use crate::drive::PoolState;
use crate::event::Event;
use crate::model::{Guid, PoolName};
use crate::zfs::argv::{self, NewPool};
use crate::zfs::{Client, Kind, ZfsError};

use super::{ALTROOT, LABEL, PATIENCE, PAUSE, PrepareError, is_shown, note};
use crate::jobs::{Environment, JobError};

/// Makes the pool and exports it. Returns its guid.
pub(super) fn make_pool(request: &InitRequest, env: &Environment<'_>, link: &Path) -> Result<Guid, JobError> {
    let client = env.client();
    let (name, compatibility) = (&request.pool, request.compatibility.as_str());
    note(env, format!("Making the pool {name}."));
    let create = argv::create_pool(&NewPool { name, device: link, altroot: ALTROOT, compatibility });
    let made = client.run(&create);
    let guid = find(&client, name);
    if let Err(source) = made {
        // One that was given up half-way may be there all the same. What matters is told already.
        if guid.is_ok() {
            let _ = export(&client, name);
        }
        return Err(JobError::Zfs { what: "the pool cannot be made", source });
    }
    let exported = export(&client, name);
    exported.map_err(|error| PrepareError::NotExported {
        pool: name.clone(),
        why: crate::execute::chain(&error),
    })?;
    let guid = guid?;
    confirm(env, name, guid, link)?;
    Ok(guid)
}

fn find(client: &Client<'_>, name: &PoolName) -> Result<Guid, JobError> {
    let pools = client
        .pools()
        .map_err(|source| JobError::Zfs { what: "the new pool cannot be asked for its guid", source })?;
    let found = pools.iter().find(|pool| pool.name == *name && pool.altroot.as_deref() == Some(ALTROOT));
    found.map(|pool| pool.guid).ok_or_else(|| JobError::NotImported(name.to_string()))
}

pub(super) fn export(client: &Client<'_>, pool: &PoolName) -> Result<(), ZfsError> {
    let started = Instant::now();
    loop {
        match client.run(&argv::export(pool)) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == Kind::Missing => return Ok(()),
            Err(error) if error.kind() == Kind::Busy && started.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE)
            }
            Err(error) => return Err(error),
        }
    }
}

/// Gone from the list, EXPORTED on the disk, and known to udev, by which every later command finds it.
fn confirm(env: &Environment<'_>, name: &PoolName, guid: Guid, link: &Path) -> Result<(), JobError> {
    let unknown = |why: String| JobError::from(PrepareError::NotExported { pool: name.clone(), why });
    let pools = env.client().pools().map_err(|error| unknown(crate::execute::chain(&error)))?;
    if pools.iter().any(|pool| pool.guid == guid) {
        return Err(unknown("it is still imported".to_owned()));
    }
    let label = env.root.label(link, LABEL).map_err(|error| unknown(crate::execute::chain(&error)))?;
    if label.pool_guid != guid || label.state != PoolState::Exported {
        return Err(unknown(format!("its label says {:?}, of the pool {}", label.state, label.pool_guid)));
    }
    let members = || env.root.members().unwrap_or_default();
    if is_shown(env, link, || members().iter().any(|member| member.pool_guid == guid)) {
        return Ok(());
    }
    let text = format!(
        "udev does not show the new pool {name} yet. Unplug the drive and plug it in again before you use it."
    );
    env.sink.event(Event::Warning { text });
    Ok(())
}
