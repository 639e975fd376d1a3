//! What udev's rule has asked for: whether a pool that has appeared is one of the drives, and a run of it if so.

use super::failure::{self, Failure};
use super::work::{self, World};
use super::{Call, Root, interruptible};
use crate::config::request::{Export, RunRequest, Selection, Wait};
use crate::jobs;
use crate::model::{Consents, Guid};

/// Most pools that appear are nobody's drive: nothing is said of them, also before there is a configuration.
pub(super) fn run(pool: Guid, call: &Call<'_>) -> Result<u8, Failure> {
    if !call.path.exists() {
        return Ok(failure::DONE);
    }
    let (settings, common) = call.configured(Root::Needed)?;
    let Some(drive) = settings.drives.into_iter().find(|drive| drive.guid == pool) else {
        log::info!("the pool {pool} is none of the drives in {}", call.path.display());
        return Ok(failure::DONE);
    };
    call.caller.require_root()?;
    let request = RunRequest {
        common,
        drives: vec![drive],
        selection: Selection::Named,
        wait: Wait::Unsaid,
        export: Export::Ours,
        last_used_by: None,
        consents: Consents::default(),
    };
    let cancel = interruptible()?;
    let world = World::new(&request.common, cancel.clone());
    let results = jobs::triggered::run(&request, &world.environment());
    drop(world);
    results
        .map_err(|error| work::failure_of(error, &cancel))
        .and_then(|results| work::worst(results, &cancel))
}
