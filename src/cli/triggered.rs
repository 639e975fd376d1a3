//! What udev's rule has asked for: whether what has appeared is one of the drives, and a run of it if so.

use super::failure::{self, Failure};
use super::work::{self, World};
use super::{Call, Root, interruptible};
use crate::alert::alarm::{Alarm, Subject};
use crate::alert::told::{About, Moment};
use crate::config::request::{Export, RunRequest, Selection, Wait};
use crate::config::{self, Despite};
use crate::jobs;
use crate::live::record::Run;
use crate::live::{Ending, public};
use crate::model::{Appeared, Consents};
use crate::process::Cancel;

/// Nobody looks at the terminal of a run that udev has started: the desktop, and who is to be told of the drive, are told
/// that its configuration is wrong, as far as that can still be read.
fn tell(appeared: &Appeared, call: &Call<'_>, failure: &Failure) {
    let world = World::new(&call.common(Vec::new()), Cancel::new());
    let env = world.environment();
    let now = (env.clock)();
    let (name, pool, guid, alerts) = match config::despite_problems(&call.path, appeared) {
        Despite::Drive { name, pool, guid, alerts } => (name, pool, guid, alerts),
        Despite::Nobodys => return,
        Despite::Unknown => {
            let message =
                format!("A drive was plugged in, and no run of it can start: {}", failure.sentence());
            return public::unclear(env.locks, message, now);
        }
    };
    let message = format!("{name} was plugged in, and no run of it can start: {}", failure.sentence());
    let run = Run { drive: name.as_str(), pool: &pool, guid, owner: "", began: now };
    let hints = vec![
        "`zferry config check` names each mistake, and `sudo zferry run` starts the run then.".to_owned(),
    ];
    let ending = Ending { code: failure.code(), error: vec![message.clone()], hints };
    jobs::triggered::left(env.locks, &run, &ending);
    if let Some(alerts) = alerts {
        let about = About::Drive { pool, guid };
        let subject = Subject { name: name.as_str(), about, host: &call.host, alerts: &alerts };
        Alarm::of_drive(subject, env.sink).raise(Moment::Failure, &message);
    }
}

/// Most pools that appear are nobody's drive: nothing is said of them, also before there is a configuration.
pub(super) fn run(appeared: &Appeared, call: &Call<'_>) -> Result<u8, Failure> {
    if !call.path.exists() {
        return Ok(failure::DONE);
    }
    // One without a drive is fine: files are saved by it.
    let configured = call.configured_at_all(Root::Needed);
    if let Err(failure) = &configured
        && call.caller.is_root
    {
        tell(appeared, call, failure);
    }
    let (settings, common) = configured?;
    let Some(drive) = settings.drives.into_iter().find(|drive| drive.is(appeared)) else {
        log::info!("{appeared} is none of the drives in {}", call.path.display());
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
