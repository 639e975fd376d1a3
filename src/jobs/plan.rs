//! `plan`: each step with its reason and size. Imports read-only, changes nothing, exports again (S20).

use std::time::{Duration, Instant};

use crate::config::request::PlanRequest;
use crate::event::{Event, Summary};
use crate::execute::session::{After, Session, Wanted};
use crate::model::{Guid, Luks, Policy, PoolName};
use crate::plan::{Afterwards, Plan};
use crate::zfs::argv::Access;

use super::connected::{patience, select};
use super::drive_run::{check_name, checked_plan, not_listed, take_lock};
use super::{Environment, JobError};

/// What was planned for one drive.
#[derive(Debug)]
pub struct Planned {
    /// The drive's name.
    pub drive: String,
    /// The plan.
    pub plan: Plan,
    /// How looking at the drive ended.
    pub summary: Summary,
}

/// One drive to plan for.
pub struct PlanOfDrive<'a> {
    /// Its name in the configuration.
    pub drive: &'a str,
    /// Its pool's name there.
    pub pool: &'a PoolName,
    /// Its pool's guid.
    pub guid: Guid,
    /// The LUKS container that it lies in.
    pub luks: Option<&'a Luks>,
    /// Its backups.
    pub policies: Vec<Policy>,
    /// How long to wait for it.
    pub wait: Duration,
    /// The command that would do it.
    pub retry: String,
}

/// Gets a drive's name, its plan, and what there is when a person types what the plan says.
pub type Show<'a> = dyn FnMut(&str, &Afterwards<'_>, &Plan) + 'a;

/// Plans for each drive that is meant. `show` gets each plan before the drive's last line is told.
///
/// # Errors
/// When none of the drives is connected.
pub fn plan(
    request: &PlanRequest,
    env: &Environment<'_>,
    show: &mut Show<'_>,
) -> Result<Vec<Result<Planned, JobError>>, JobError> {
    let drives = select(&request.drives, request.selection, request.wait, env)?;
    let one = |drive: &&crate::config::Drive| {
        let wanted = PlanOfDrive {
            drive: drive.name.as_str(),
            pool: &drive.pool,
            guid: drive.guid,
            luks: drive.luks.as_ref(),
            policies: drive.policies(&request.consents),
            wait: patience(request.wait, env),
            retry: format!("{} run {}", request.common.command, drive.name),
        };
        wanted.plan(env, show)
    };
    Ok(drives.iter().map(one).collect())
}

impl PlanOfDrive<'_> {
    /// Plans, and leaves the drive as it was.
    ///
    /// # Errors
    /// When the drive cannot be looked at.
    pub fn plan(&self, env: &Environment<'_>, show: &mut Show<'_>) -> Result<Planned, JobError> {
        let started = Instant::now();
        let _lock = take_lock(env, self.guid)?;
        let host = env.host();
        let wanted = Wanted {
            drive: self.drive,
            pool: self.pool,
            guid: self.guid,
            luks: self.luks,
            access: Access::ReadOnly,
            wait: self.wait,
            last_used_by: None,
            lost: None,
        };
        let mut session = Session::open(&host, &wanted)?;
        env.advise(&session.versions, &self.policies);
        let guarded = session.guard(&host);
        let env = &Environment { cancel: &guarded, ..*env };
        let host = env.host();
        let imported = session.stays_imported(false);
        let afterwards = Afterwards { retry: &self.retry, imported };
        let examined = session.examine(&host, Access::ReadOnly, &afterwards);
        let planned = examined
            .map_err(JobError::from)
            .and_then(|()| check_name(self.drive, self.pool, &session))
            .and_then(|()| self.look(env, &session));
        if let Ok(plan) = &planned {
            show(self.drive, &afterwards, plan);
        }
        let unplug = session.close(&host, After::Export, false);
        let refused = planned.as_ref().map_or(1, |plan| plan.refused().count());
        let summary = Summary {
            done: planned.as_ref().map_or(0, |plan| plan.datasets.len() - refused),
            failed: refused,
            ..env.nothing_sent(self.drive, started, unplug)
        };
        env.sink.event(Event::Note { text: crate::report::summary::truth(self.drive, &summary.unplug).text });
        Ok(Planned { drive: self.drive.to_owned(), plan: planned?, summary })
    }

    /// Observes and plans, as a run would after it finished what an interrupted one left.
    pub(super) fn look(&self, env: &Environment<'_>, session: &Session) -> Result<Plan, JobError> {
        let (client, facts) = (env.client(), &session.facts);
        let seen = crate::observe::foresee(&client, &self.policies, facts, &session.imported);
        let (inventory, repairs) = seen.map_err(not_listed)?;
        let mut plan = checked_plan(&self.policies, &inventory, &env.now())?;
        let first =
            repairs.iter().map(|repair| format!("First an interrupted change is finished: {repair}."));
        let own = super::own::foretell(&self.policies, &inventory);
        plan.warnings.splice(0..0, first.chain(own));
        super::own::foresee(&self.policies, &mut plan);
        Ok(plan)
    }
}
