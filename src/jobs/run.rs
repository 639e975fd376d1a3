//! `run`: the whole job, drive after drive.

use crate::alert::alarm::{Alarm, Subject};
use crate::alert::told::{About, Moment};
use crate::config::request::{Export, RunRequest};
use crate::config::{Drive, PowerOff};
use crate::execute::chain;
use crate::execute::session::After;

use super::connected::{patience, select};
use super::drive_run::DriveRun;
use super::files;
use super::own::OwnSnapshots;
use super::remembered::metrics;
use super::rescue::Rescue;
use super::{DriveResult, Environment, JobError};

/// Backs up to each drive that is meant. One that fails does not keep the next from its turn.
///
/// # Errors
/// When none of the drives is connected.
pub fn run(request: &RunRequest, env: &Environment<'_>) -> Result<Vec<DriveResult>, JobError> {
    let drives = select(&request.drives, request.selection, request.wait, env)?;
    let mut results = Vec::new();
    let own = OwnSnapshots::new(drives.iter().flat_map(|drive| drive.policies(&request.consents)).collect());
    for drive in drives {
        if env.cancel.is_requested() {
            break;
        }
        let run = DriveRun {
            drive: drive.name.as_str(),
            pool: &drive.pool,
            guid: drive.guid,
            luks: drive.luks.as_ref(),
            policies: drive.policies(&request.consents),
            own: &own,
            wait: patience(request.wait, env),
            replug_wait: drive.replug_wait,
            last_used_by: request.last_used_by.as_deref(),
            after: after(drive.power_off),
            export_foreign: request.export == Export::Always,
            retry: format!("{} run {}", request.common.command, drive.name),
            scrub: drive.scrub,
            rescue: drive.rescue.clone().map(|config| Rescue::new(config, &request.common.host)),
            metrics: metrics(drive),
            foreboding: crate::execute::FOREBODING,
        };
        files::remind(drive, &request.common.command, env);
        let alarm = Alarm::of_run(subject(drive, &request.common.host), env.sink);
        let began = (env.clock)();
        let result = run.run(&Environment { sink: &alarm, ..*env }).map_err(|error| match error {
            JobError::Lock(busy) if busy.is_run() => {
                JobError::Running { drive: drive.name.to_string(), guid: drive.guid, busy }
            }
            other => other,
        });
        if let Err(error) = &result {
            let (message, code) = (told(drive, error), (env.ending)(&result).code);
            if Moment::of_code(code) == Some(Moment::Failure) {
                run.remember_failure(env, began);
            }
            alarm.ended_early(code, &message);
        }
        results.push(result);
    }
    Ok(results)
}

/// Whom an alert about this drive is about, and who gets it.
pub(super) fn subject<'a>(drive: &'a Drive, host: &'a str) -> Subject<'a> {
    let about = About::Drive { pool: drive.pool.clone(), guid: drive.guid };
    Subject { name: drive.name.as_str(), about, host, alerts: &drive.alerts }
}

/// What others are told of a run that had no last event.
fn told(drive: &Drive, error: &JobError) -> String {
    let tried = error.remedies().into_iter().map(|remedy| format!(" Try: {remedy}")).collect::<String>();
    format!("{}: {}.{tried}", drive.name, chain(error))
}

/// What happens after the work, as the configuration says.
pub fn after(power_off: PowerOff) -> After {
    match power_off {
        PowerOff::Yes => After::PowerOff,
        PowerOff::No => After::Export,
    }
}
