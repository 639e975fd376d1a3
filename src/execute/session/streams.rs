//! A pool that was imported before may still have a receive on it: that of a run that was killed, which has to write
//! what had arrived before it can be resumed, or one of somebody else's.

use std::time::{Duration, Instant};

use crate::drive::{is_dying, list_receivers};
use crate::event::{Event, ImportHow};

use super::{Host, Session, SessionError};

/// For the receive of a run that died: its input has ended, the rest takes as long as the drive does.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
const PAUSE: Duration = Duration::from_millis(250);

impl Session {
    /// Waits until nobody receives into the pool any more. Somebody else's receive is not waited for.
    pub(super) fn await_receivers(&self, host: &Host<'_>) -> Result<(), SessionError> {
        let patience = match self.how {
            ImportHow::Fresh | ImportHow::ReadOnly | ImportHow::Recovered => return Ok(()),
            ImportHow::Adopted => PATIENCE,
            ImportHow::Foreign => Duration::ZERO,
        };
        let started = Instant::now();
        let unfit = |finding, remedy| SessionError::Unfit { pool: self.pool.clone(), finding, remedy };
        let mut told = false;
        while let Some(receiver) = list_receivers(host.root, &self.pool).into_iter().next() {
            if let Some(why) = host.client.cancel().lost() {
                return Err(unfit(why, "plug it in again".to_owned()));
            }
            if host.client.cancel().is_requested() {
                return Err(SessionError::Interrupted { drive: self.drive.clone() });
            }
            let pid = receiver.pid.unwrap_or_default();
            if started.elapsed() >= patience {
                let finding = format!("process {pid} {}", receiver.what);
                let remedy = if is_dying(host.root, pid) {
                    "restart this computer: it was killed, and the kernel does not let it go"
                } else {
                    "run again when it has ended"
                };
                return Err(unfit(finding, remedy.to_owned()));
            }
            if !told {
                told = true;
                let text = format!(
                    "Waiting for the earlier run's `zfs receive` (process {pid}) to write what had arrived."
                );
                host.sink.event(Event::Note { text });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}
