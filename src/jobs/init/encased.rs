//! A drive whose pool lies in a LUKS container: for copies that are sent decrypted.

use std::path::{Path, PathBuf};

use crate::config::preparing::InitRequest;
use crate::drive::{find_luks, lies_on, own_mappings};
use crate::event::Event;
use crate::execute::files::Secret;
use crate::execute::luks;
use crate::model::{Guid, LuksUuid};

use super::pool::make_pool;
use super::{is_shown, note, settle};
use crate::jobs::{Environment, JobError};
use crate::zfs::parse::Imported;

/// Makes the container and the pool in it, and closes both.
pub(super) fn make_in_luks(
    request: &InitRequest,
    env: &Environment<'_>,
    link: &Path,
    secret: &Secret,
) -> Result<(Guid, LuksUuid), JobError> {
    let drive = request.drive.as_str();
    note(env, "Making the LUKS container.".to_owned());
    let host = env.host();
    let uuid = luks::make(&host, link, secret)?;
    settle(env);
    let inside = PathBuf::from("/dev/mapper").join(uuid.mapping());
    let made = make_pool(request, env, &inside);
    if let Some(stays) = luks::close(&host, drive, &uuid, false) {
        env.sink.event(Event::Warning { text: format!("Do NOT unplug {drive} yet: {stays}.") });
    }
    let guid = made?;
    if !is_shown(env, link, || find_luks(env.root, &uuid).is_ok_and(|found| found.is_some())) {
        let text = format!(
            "udev does not show the LUKS container of {drive} yet. Unplug the drive and plug it in again before you use it."
        );
        env.sink.event(Event::Warning { text });
    }
    Ok((guid, uuid))
}

/// The containers on this disk that zferry has opened, with the nodes of what is in them.
pub(super) fn left_open(env: &Environment<'_>, disk: &Path) -> Vec<(LuksUuid, PathBuf)> {
    own_mappings(env.root).into_iter().filter(|(_, mapped)| lies_on(env.root, mapped, disk)).collect()
}

/// Closes what an `init` opened that is dead; not what a drive of the configuration may have open just now.
pub(super) fn close_left(
    request: &InitRequest,
    env: &Environment<'_>,
    containers: &[(LuksUuid, PathBuf)],
    pools: &[(Imported, Vec<PathBuf>)],
) {
    let members = env.root.members().unwrap_or_default();
    let is_drive = |guid: Guid| request.place.drives.iter().any(|(_, known)| *known == Some(guid));
    let is_used = |mapped: &PathBuf| {
        pools.iter().any(|(_, nodes)| nodes.contains(mapped))
            || members.iter().any(|member| member.node == *mapped && is_drive(member.pool_guid))
    };
    for (uuid, _) in containers.iter().filter(|(_, mapped)| !is_used(mapped)) {
        note(env, format!("An earlier `init` was cut off: closing the LUKS container {uuid} that it left."));
        // One that stays open keeps the disk in use, which is told with what can be done.
        let _ = luks::close(&env.host(), request.drive.as_str(), uuid, false);
        settle(env);
    }
}
