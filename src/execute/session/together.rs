//! A drive of several disks, such as a mirror: whoever plugs them in does so one after the other.

use std::time::Duration;

use crate::drive::{Member, WaitError, find_pool, together_with, wait_for_all};
use crate::event::Event;
use crate::zfs::argv::Access;

use super::open::not_found;
use super::{Host, SessionError, Wanted};

/// How long a run waits for the other disks of a drive once it has found one of them.
pub const FOR_OTHERS: Duration = Duration::from_secs(60);

/// The disks of a drive, all of them if they come in time. To look at it, those that are here suffice, if they do at all.
pub(super) fn gather(
    host: &Host<'_>,
    wanted: &Wanted<'_>,
    members: Vec<Member>,
) -> Result<Vec<Member>, SessionError> {
    let found = together_with(host.root, &members);
    if found.missing == 0 || wanted.access == Access::ReadOnly {
        return Ok(members);
    }
    let drive = wanted.drive;
    let text = format!(
        "{drive} is made of {} disks, and {} of them {} not here yet. Waiting up to {} s.",
        found.all,
        found.missing,
        if found.missing == 1 { "is" } else { "are" },
        FOR_OTHERS.as_secs()
    );
    host.sink.event(Event::Note { text });
    match wait_for_all(host.root, wanted.guid, FOR_OTHERS, host.client.cancel()) {
        Ok(members) => Ok(members),
        Err(WaitError::Late { .. }) => {
            let members =
                find_pool(host.root, wanted.guid).map_err(|error| not_found(host, wanted, error.into()))?;
            let missing = together_with(host.root, &members).missing;
            let text = format!(
                "{missing} of the {} disks of {drive} did not come. The run goes on without, if ZFS can.",
                found.all
            );
            host.sink.event(Event::Warning { text });
            Ok(members)
        }
        Err(error) => Err(not_found(host, wanted, error)),
    }
}
