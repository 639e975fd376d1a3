//! `pause` and `resume`.

use super::failure::{self, Failure};
use super::{args, request, work};
use crate::config::Settings;
use crate::config::request::Common;
use crate::jobs::pausing::{self, PauseRequest};
use crate::process::Cancel;

/// Which drive is meant.
///
/// # Errors
/// When it is not configured.
pub fn request(typed: &args::Pause, settings: Settings, common: Common) -> Result<PauseRequest, Failure> {
    Ok(PauseRequest { common, drive: request::one(&typed.drive, &[], settings)? })
}

/// `pause`
pub fn pause(request: &PauseRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let result = pausing::pause(request, &world.environment());
    drop(world);
    result.map(|()| failure::DONE).map_err(|error| work::failure_of(error, &cancel))
}

/// `resume`
pub fn resume(request: &PauseRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let result = pausing::resume(request, &world.environment());
    drop(world);
    result.map(|()| failure::DONE).map_err(|error| work::failure_of(error, &cancel))
}
