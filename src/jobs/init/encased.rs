//! A drive whose pool lies in a LUKS container: for copies that are sent decrypted.

use std::path::{Path, PathBuf};

use crate::config::preparing::InitRequest;
use crate::drive::find_luks;
use crate::event::Event;
use crate::execute::files::Secret;
use crate::execute::luks;
use crate::model::{Guid, LuksUuid};

use super::pool::make_pool;
use super::{is_shown, note, settle};
use crate::jobs::{Environment, JobError};

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
