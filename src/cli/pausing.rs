//! `pause` and `resume`.

use super::failure::{self, Failure};
use super::{args, request, work};
use crate::config::Settings;
use crate::config::request::Common;
use crate::jobs::JobError;
use crate::jobs::pausing::{self, PauseRequest};
use crate::process::Cancel;

/// Which drives are meant.
///
/// # Errors
/// When one is not configured.
pub fn request(typed: &args::Pause, settings: Settings, common: Common) -> Result<PauseRequest, Failure> {
    let (drives, _) = request::select(&typed.drives, &[], settings)?;
    Ok(PauseRequest { common, drives })
}

/// `pause`
pub fn pause(request: &PauseRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let results = pausing::pause(request, &world.environment());
    drop(world);
    all_of(results, &cancel)
}

/// `resume`
pub fn resume(request: &PauseRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let results = pausing::resume(request, &world.environment());
    drop(world);
    all_of(results, &cancel)
}

fn all_of(results: Vec<Result<(), JobError>>, cancel: &Cancel) -> Result<u8, Failure> {
    let failures = results.into_iter().filter_map(Result::err).map(|error| work::failure_of(error, cancel));
    work::gravest(failure::DONE, failures.collect())
}
