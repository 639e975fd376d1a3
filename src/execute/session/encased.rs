//! A pool that lies in a LUKS container: the way to its devices.

use std::time::{Duration, Instant};

use super::open::{Wanted, not_found};
use super::{Host, SessionError};
use crate::drive::{LuksDevice, Member, luks_mappings, members_in_luks, wait_for_luks};
use crate::execute::luks::{self, LuksError};
use crate::model::Luks;

/// For udev to look into a container that was opened.
const SEEN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the drive's container, and waits until udev has seen the pool in it.
pub(super) fn enter(
    host: &Host<'_>,
    wanted: &Wanted<'_>,
    luks: &Luks,
    device: &LuksDevice,
) -> Result<Vec<Member>, SessionError> {
    let drive = || wanted.drive.to_owned();
    luks::open(host, wanted.drive, luks, device)?;
    let started = Instant::now();
    loop {
        let members = members_in_luks(host.root, &luks.uuid, wanted.guid)
            .map_err(|source| SessionError::Find { drive: drive(), source })?;
        if !members.is_empty() {
            return Ok(members);
        }
        if host.client.cancel().is_requested() {
            return Err(SessionError::Interrupted { drive: drive() });
        }
        if started.elapsed() > SEEN {
            return Err(LuksError::NoPool { drive: drive(), pool: wanted.guid }.into());
        }
        std::thread::sleep(PAUSE);
    }
}

/// A drive whose pool is not imported, to be let go. A container that is closed stays so: then the device of the container
/// stands for that of the pool. Says whether that is so.
pub(super) fn find(
    host: &Host<'_>,
    wanted: &Wanted<'_>,
    luks: &Luks,
) -> Result<(Vec<Member>, bool), SessionError> {
    let cancel = host.client.cancel();
    let device = wait_for_luks(host.root, &luks.uuid, Duration::ZERO, cancel, &mut |_| ());
    let device = device.map_err(|error| not_found(host, wanted, error))?;
    let mappings = luks_mappings(host.root, &luks.uuid, Some(&device));
    if mappings.iter().any(|mapping| mapping.is_alive) {
        return Ok((enter(host, wanted, luks, &device)?, false));
    }
    let LuksDevice { node, disk } = device;
    let (pool_guid, pool_name) = (wanted.guid, wanted.pool.to_string());
    let stable = node.clone();
    Ok((vec![Member { node, stable, pool_guid, pool_name, vdev_guid: None, disk }], true))
}
