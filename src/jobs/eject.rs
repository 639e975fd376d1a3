//! `eject`: export and power off, nothing else.

use std::time::Instant;

use crate::config::request::EjectRequest;
use crate::event::{Event, Unplug};

use super::files::let_go;
use super::{DriveResult, Environment};

/// Exports the drive's pool where it is imported, and powers the drive off.
///
/// # Errors
/// When the drive is not connected, or a run has it.
pub fn eject(request: &EjectRequest, env: &Environment<'_>) -> DriveResult {
    let started = Instant::now();
    let (text, unplug) = let_go(&request.drive, env, true)?;
    if unplug == Unplug::Untouched {
        env.sink.event(Event::Note { text });
    }
    let summary = env.nothing_sent(request.drive.name.as_str(), started, unplug);
    env.sink.event(Event::DriveFinished(summary.clone()));
    Ok(summary)
}
