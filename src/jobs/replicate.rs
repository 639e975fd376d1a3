//! `replicate`: the same engine without a configuration, for one source and target.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::request::ReplicateRequest;
use crate::execute::session::SessionError;
use crate::model::{Guid, Policy};

use super::drive_run::DriveRun;
use super::own::OwnSnapshots;
use super::plan::PlanOfDrive;
use super::run::after;
use super::{DriveResult, Environment, JobError};

/// Replicates, importing the target's pool where it is not imported.
///
/// # Errors
/// When the pool cannot be told by its name, or the drive cannot be used.
pub fn replicate(request: &ReplicateRequest, env: &Environment<'_>) -> DriveResult {
    let guid = pool_guid(request, env)?;
    let own = OwnSnapshots::new(policies(request, guid));
    let run = DriveRun {
        drive: request.pool.as_str(),
        pool: &request.pool,
        guid,
        luks: None,
        policies: policies(request, guid),
        own: &own,
        wait: Duration::ZERO,
        replug_wait: crate::config::REPLUG_WAIT,
        last_used_by: request.last_used_by.as_deref(),
        after: after(request.power_off),
        export_foreign: false,
        retry: request.retry.clone(),
        scrub: None,
        rescue: None,
        metrics: None,
        foreboding: crate::execute::FOREBODING,
    };
    run.run(env)
}

/// `replicate -n`: what it would do.
///
/// # Errors
/// As [`replicate`].
pub fn plan<'a>(request: &'a ReplicateRequest, env: &Environment<'_>) -> Result<PlanOfDrive<'a>, JobError> {
    let guid = pool_guid(request, env)?;
    Ok(PlanOfDrive {
        drive: request.pool.as_str(),
        pool: &request.pool,
        guid,
        luks: None,
        policies: policies(request, guid),
        wait: Duration::ZERO,
        retry: request.retry.clone(),
    })
}

fn policies(request: &ReplicateRequest, guid: Guid) -> Vec<Policy> {
    vec![request.backup.policy(guid, &request.consents)]
}

/// The pool's guid: as given, or the only one that has the name. Two drives may have pools of one name.
fn pool_guid(request: &ReplicateRequest, env: &Environment<'_>) -> Result<Guid, JobError> {
    if let Some(guid) = request.guid {
        return Ok(guid);
    }
    let imported = env.client().pools().map_err(SessionError::Tools)?;
    let imported = imported.into_iter().filter(|pool| pool.name == request.pool).map(|pool| pool.guid);
    let connected = env.root.members().unwrap_or_default().into_iter();
    let connected = connected.filter(|m| m.pool_name == request.pool.as_str()).map(|member| member.pool_guid);
    let all: BTreeSet<Guid> = imported.chain(connected).collect();
    match all.iter().collect::<Vec<_>>().as_slice() {
        [] => Err(JobError::NoPool(request.pool.to_string())),
        [guid] => Ok(**guid),
        several => Err(JobError::Ambiguous {
            pool: request.pool.to_string(),
            guids: several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }),
    }
}
