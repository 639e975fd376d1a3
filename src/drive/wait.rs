//! Waiting for a drive to be plugged in.

use std::io;
use std::time::{Duration, Instant};

#[cfg(feature = "udev")]
use super::database::Announcements;
use super::find::{FindError, find_pool};
use super::luks::{LuksDevice, find_luks};
#[cfg(not(feature = "udev"))]
use super::unaided::Announcements;
use super::{Disk, Member, Root};
use crate::model::{Guid, LuksUuid};
use crate::process::Cancel;

/// How often a countdown moves and a cancellation is seen.
const TICK: Duration = Duration::from_millis(200);

/// How often the devices are listed although nothing was announced: announcements are lost when many come at once.
const RELIST: Duration = Duration::from_secs(5);

/// Why no drive was found.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It was not plugged in within the time.
    #[error("no drive with {what} appeared within {} s", within.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// The time that it had.
        within: Duration,
    },
    /// The user or the system asked us to stop.
    #[error("interrupted while waiting for the drive")]
    Cancelled,
    /// The devices cannot be told.
    #[error(transparent)]
    Find(#[from] FindError),
}

impl From<io::Error> for WaitError {
    fn from(error: io::Error) -> Self {
        Self::Find(error.into())
    }
}

/// Waits until a device of the pool is attached and known to udev. `tick` is called several times a second with the
/// time that is left. A time of zero looks once.
///
/// A pool of several devices is there with its first one: whether that suffices, its import tells.
///
/// # Errors
/// When it did not appear in time, somebody asked to stop, or its devices cannot be told.
pub fn wait_for_pool(
    root: &Root,
    pool: Guid,
    within: Duration,
    cancel: &Cancel,
    tick: &mut dyn FnMut(Duration),
) -> Result<Vec<Member>, WaitError> {
    let look = || Ok(Some(find_pool(root, pool)?).filter(|members| !members.is_empty()));
    wait_for(&format!("pool {pool}"), look, within, cancel, tick)
}

/// The same for a LUKS container, open or not.
///
/// # Errors
/// As [`wait_for_pool`].
pub fn wait_for_luks(
    root: &Root,
    uuid: &LuksUuid,
    within: Duration,
    cancel: &Cancel,
    tick: &mut dyn FnMut(Duration),
) -> Result<LuksDevice, WaitError> {
    wait_for(&format!("LUKS container {uuid}"), || find_luks(root, uuid), within, cancel, tick)
}

pub(super) fn wait_for<T>(
    what: &str,
    look: impl Fn() -> Result<Option<T>, FindError>,
    within: Duration,
    cancel: &Cancel,
    tick: &mut dyn FnMut(Duration),
) -> Result<T, WaitError> {
    // Listening starts before the first look, so that nothing can appear in between unseen.
    let announcements = Announcements::listen()?;
    let start = Instant::now();
    let mut listed_at: Option<Instant> = None;
    loop {
        let is_announced = announcements.are_there();
        if is_announced || listed_at.is_none_or(|at| at.elapsed() >= RELIST) {
            listed_at = Some(Instant::now());
            if let Some(found) = look()? {
                return Ok(found);
            }
        }
        if cancel.is_requested() {
            return Err(WaitError::Cancelled);
        }
        let left = within.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(WaitError::Late { what: what.to_owned(), within });
        }
        tick(left);
        announcements.wait(left.min(TICK))?;
    }
}

/// Waits until none of these disks is attached any more: somebody unplugged it, or it was plugged in again meanwhile.
/// Returns the time that is left.
///
/// # Errors
/// When one of them stayed, or somebody asked to stop.
pub fn wait_until_gone(
    root: &Root,
    disks: &[Disk],
    pool: Guid,
    within: Duration,
    cancel: &Cancel,
) -> Result<Duration, WaitError> {
    let start = Instant::now();
    while disks.iter().any(|disk| disk.is_attached(root)) {
        if cancel.is_requested() {
            return Err(WaitError::Cancelled);
        }
        if start.elapsed() >= within {
            return Err(WaitError::Late { what: format!("pool {pool}"), within });
        }
        std::thread::sleep(TICK);
    }
    Ok(within.saturating_sub(start.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::imitation::Imitation;

    #[test]
    fn a_drive_that_does_not_come_is_given_up_in_time_with_a_countdown() {
        let mut ticks = Vec::new();
        let within = Duration::from_millis(500);
        let outcome =
            wait_for_pool(&Root::default(), Guid(1), within, &Cancel::new(), &mut |left| ticks.push(left));
        assert!(matches!(outcome, Err(WaitError::Late { .. })), "{outcome:?}");
        assert!(ticks.len() >= 2 && ticks.is_sorted_by(|a, b| a > b), "{ticks:?}");
    }

    #[test]
    fn a_disk_that_stays_is_given_up_and_one_that_was_plugged_in_again_is_another() {
        let imitation = Imitation::new();
        let disk = imitation.disk("sdb", 7, "usb1/1-4");
        let root = imitation.root();
        let wait = |cancel: &Cancel, within| {
            wait_until_gone(&root, std::slice::from_ref(&disk), Guid(1), within, cancel)
        };
        let stayed = wait(&Cancel::new(), Duration::from_millis(300));
        assert!(matches!(stayed, Err(WaitError::Late { .. })), "{stayed:?}");
        let cancel = Cancel::new();
        cancel.request(2);
        assert!(matches!(wait(&cancel, Duration::from_secs(60)), Err(WaitError::Cancelled)));
        imitation.unplug("sdb");
        imitation.disk("sdb", 8, "usb1/1-4");
        let left = wait(&Cancel::new(), Duration::from_secs(60)).unwrap();
        assert!(left > Duration::from_secs(50), "{left:?}");
    }

    #[test]
    fn waiting_ends_when_somebody_asks_to_stop() {
        let cancel = Cancel::new();
        let outcome = wait_for_pool(&Root::default(), Guid(1), Duration::from_secs(60), &cancel, &mut |_| {
            cancel.request(2)
        });
        assert!(matches!(outcome, Err(WaitError::Cancelled)), "{outcome:?}");
    }
}
