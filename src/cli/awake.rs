//! While a drive is written to, the computer neither sleeps nor shuts down without asking, also when its lid is closed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::event::{Event, ImportHow, Sink};
use crate::process::{Invocation, Kept, System, Tool};

/// Tells events on, and asks logind from a drive's import on until its last event. The request is a program that holds
/// it: it ends with us, however we end.
pub(super) struct Awake<S> {
    inner: S,
    system: System,
    held: Mutex<Option<Kept>>,
}

impl<S> Awake<S> {
    pub(super) fn new(inner: S, system: System) -> Self {
        Self { inner, system, held: Mutex::new(None) }
    }

    fn hold(&self, kept: Option<Kept>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

impl<S: Sink> Sink for Awake<S> {
    fn event(&self, event: Event) {
        match &event {
            Event::Imported { pool, how } if *how != ImportHow::ReadOnly => {
                let command = command(&format!("zferry works on the ZFS pool {pool}"));
                // Where there is no logind, nothing sleeps by itself either.
                self.hold(self.system.keep(&command).map_err(|error| log::debug!("{error}")).ok());
            }
            Event::DriveFinished(_) => self.hold(None),
            _ => {}
        }
        self.inner.event(event);
    }
}

/// `cat` ends when its input does.
fn command(why: &str) -> Invocation {
    let why = format!("--why={why}");
    let args = ["--what=sleep:shutdown:handle-lid-switch", "--mode=block", "--who=zferry", &why, "cat"];
    Invocation::new(Tool::SystemdInhibit, args, Duration::MAX)
}
