//! The work on one drive, from lock to last line: what `run` and `replicate` share.

use std::time::{Duration, Instant};

use jiff::Zoned;

use crate::alert::metrics::Metrics;
use crate::event::{Event, Fault, Sink as _, Summary, Unplug};
use crate::execute::lock::{self, Lock};
use crate::execute::session::{After, Session, Wanted};
use crate::execute::{self, Context, State, Tally};
use crate::live::record::{self, Recording};
use crate::model::{DatasetName, Guid, Inventory, Luks, Policy, PoolName};
use crate::plan::{self, Afterwards, DatasetPlan, Plan};
use crate::state::KnownCopy;
use crate::zfs::argv::{self, Access};
use crate::zfs::{Client, ZfsError};

use super::described;
use super::own::{self, OwnSnapshots};
use super::rescue::Rescue;
use super::trips::Account;
use super::{Counting, DriveResult, Environment, JobError};

/// What is to be done with one drive.
pub struct DriveRun<'a> {
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
    /// The snapshots that zferry takes itself, for all drives of the run.
    pub own: &'a OwnSnapshots,
    /// How long to wait for it.
    pub wait: Duration,
    /// How long to wait for it to come back when it was pulled out in mid-run.
    pub replug_wait: Duration,
    /// The host that the user said used it last.
    pub last_used_by: Option<&'a str>,
    /// What happens after the work.
    pub after: After,
    /// Export it also when somebody else had imported it.
    pub export_foreign: bool,
    /// The command that the user typed.
    pub retry: String,
    /// How often the drive is scrubbed at the end of a run, if ever.
    pub scrub: Option<Duration>,
    /// What the drive's rescue file system gets; nothing: it has none.
    pub rescue: Option<Rescue>,
    /// Where its numbers are left for Prometheus.
    pub metrics: Option<Metrics<'a>>,
    /// How long is looked whether the drive is gone, after a stream failed.
    pub foreboding: Duration,
}

/// Takes the drive's lock.
pub(super) fn take_lock(env: &Environment<'_>, guid: Guid) -> Result<Lock, JobError> {
    Ok(lock::take(env.locks, guid, &owner(env))?)
}

/// This process, as others are told of it.
pub(super) fn owner(env: &Environment<'_>) -> String {
    let since = (env.clock)().strftime("%Y-%m-%d %H:%M:%S UTC");
    format!("process {}, since {since}", std::process::id())
}

impl DriveRun<'_> {
    /// Does it, and tells how it ended; others may look on.
    ///
    /// # Errors
    /// When the drive could not be used at all. What goes wrong later is in the summary.
    pub fn run(&self, env: &Environment<'_>) -> DriveResult {
        let counting = Counting::new(env.sink);
        let started = Instant::now();
        counting.event(Event::DriveStarted {
            drive: self.drive.to_owned(),
            pool: self.pool.clone(),
            guid: self.guid,
        });
        let lock = self.take_lock_to_run(env)?;
        let began = (env.clock)();
        let run =
            record::Run { drive: self.drive, pool: self.pool, guid: self.guid, owner: lock.owner(), began };
        let recording = Recording::begin(&counting, env.locks, run);
        let mut account = Account { lock: Some(lock), began, ..Account::default() };
        let shown = Environment { sink: &recording, ..*env };
        let result = self.with_lock(&shown, &mut account, &counting, started);
        recording.ended((env.ending)(&result), (env.clock)());
        result
    }

    fn with_lock(
        &self,
        env: &Environment<'_>,
        account: &mut Account,
        counting: &Counting<'_>,
        started: Instant,
    ) -> DriveResult {
        let unplug = self.trips(env, account)?;
        let mut state = self.recall(env);
        state.record_fullness(account.fullness);
        let mut summary = self.summary(env, &account.tally, unplug, started.elapsed());
        (summary.warnings, summary.fault) = (counting.warnings(), account.fault);
        self.remember(env, state, &summary, account.began, std::mem::take(&mut account.copies));
        summary.warnings = counting.warnings();
        env.sink.event(Event::DriveFinished(summary.clone()));
        Ok(summary)
    }

    pub(super) fn afterwards(&self, session: &Session) -> Afterwards<'_> {
        Afterwards { retry: &self.retry, imported: session.stays_imported(self.export_foreign) }
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            drive: self.drive,
            pool: self.pool,
            guid: self.guid,
            luks: self.luks,
            access: Access::ReadWrite,
            wait: self.wait,
            last_used_by: self.last_used_by,
            lost: None,
        }
    }

    /// Observe, plan, check, execute. A dataset of which a snapshot vanished in between is planned once more.
    pub(super) fn work(
        &self,
        env: &Environment<'_>,
        session: &Session,
    ) -> Result<(Tally, Vec<KnownCopy>), JobError> {
        check_name(self.drive, self.pool, session)?;
        let client = env.client();
        let mut untaken = self.own.take(env, &self.policies, (&session.facts, &session.imported));
        let (inventory, holds_left) = self.observe_and_repair(env, session)?;
        self.own.verify(env, &self.policies, &inventory, &mut untaken);
        let context = Context {
            client,
            sink: env.sink,
            pool: session.pool.clone(),
            drive: self.guid,
            afterwards: self.afterwards(session),
            errors_before: session.errors,
            holds_left,
            foreboding: self.foreboding,
        };
        let first = checked_plan(&self.policies, &inventory, &env.now())?;
        let mut tally = execute::execute(&context, &first);
        let mut copies = copies_of(&first, &inventory, &tally);
        let vanished = datasets_in(&first, &tally, &State::Vanished);
        if !vanished.is_empty() && !env.cancel.is_requested() {
            match self.work_again(env, &context, session, &vanished) {
                Ok((second, more)) => {
                    tally.states.retain(|state| *state != State::Vanished);
                    tally.states.extend(second.states);
                    tally.sent += second.sent;
                    tally.snapshots += second.snapshots;
                    tally.pruned += second.pruned;
                    copies.extend(more);
                }
                // What was done stays done; those that vanished count as not backed up.
                Err(error) => env.sink.event(Event::Warning { text: format!("{}.", execute::chain(&error)) }),
            }
        }
        if env.cancel.lost().is_none() {
            described::record(env, &first, &tally);
            self.own.tidy(env);
        }
        own::fail(&first, &mut tally, &untaken);
        Ok((tally, copies))
    }

    /// Plans datasets of which a snapshot vanished once more.
    fn work_again(
        &self,
        env: &Environment<'_>,
        context: &Context<'_>,
        session: &Session,
        vanished: &[DatasetName],
    ) -> Result<(Tally, Vec<KnownCopy>), JobError> {
        let inventory = observe(&context.client, &self.policies, session)?;
        let mut plan = checked_plan(&self.policies, &inventory, &env.now())?;
        plan.datasets.retain(|dataset| vanished.contains(&dataset.target));
        plan.warnings.clear();
        let tally = execute::execute(context, &plan);
        let copies = copies_of(&plan, &inventory, &tally);
        Ok((tally, copies))
    }

    /// Looks at both sides, and first finishes what a run that died began: its holds, its swaps. Says too whether some
    /// of the holds may be left.
    fn observe_and_repair(
        &self,
        env: &Environment<'_>,
        session: &Session,
    ) -> Result<(Inventory, bool), JobError> {
        let client = env.client();
        let inventory = observe(&client, &self.policies, session)?;
        if plan::unrecognised(&self.policies, &inventory).is_some() {
            return Ok((inventory, true)); // the plan refuses everything
        }
        let is_dead = |drive: Guid| drive == self.guid || lock::is_free(env.locks, drive);
        let released = execute::release_stale_holds(&client, &inventory.source, &is_dead);
        let holds_left = released.is_err();
        match released {
            Ok(0) => {}
            Ok(released) => env.sink.event(Event::Note {
                text: format!(
                    "Released {} that an interrupted run had left.",
                    crate::report::text::count(released, "hold")
                ),
            }),
            Err(error) => env.sink.event(Event::Warning {
                text: format!("Holds of an interrupted run may be left: {}.", execute::chain(&error)),
            }),
        }
        let repairs = plan::repairs(&inventory.target);
        if repairs.is_empty() {
            return Ok((inventory, holds_left));
        }
        for repair in &repairs {
            env.sink.event(Event::Note { text: format!("Finishing an interrupted change: {repair}.") });
        }
        let what = "an interrupted change on the drive could not be finished";
        execute::repair(&client, &repairs).map_err(|source| JobError::Zfs { what, source })?;
        observe(&client, &self.policies, session).map(|inventory| (inventory, holds_left))
    }

    /// Releases what this run holds on its sources, once its drive is gone. `imported` are the pools that there were
    /// while it was there: the list of all pools may have to wait for the one that is gone.
    pub(super) fn release_holds(&self, env: &Environment<'_>, imported: &[PoolName]) -> Result<(), ZfsError> {
        let client = env.client();
        let sources = crate::observe::observe_sources(&client, &self.policies, imported)?;
        execute::release_stale_holds(&client, &sources, &|drive| drive == self.guid).map(drop)
    }

    /// When and by whom the drive was backed up to, on the drive itself.
    pub(super) fn record_on_drive(&self, env: &Environment<'_>, session: &Session) {
        let now = (env.clock)().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let top = DatasetName::root_of(&session.pool);
        if let Err(error) = env.client().run(&argv::set(&top, &[(argv::PROPERTY_LAST_RUN, now)])) {
            let text = format!(
                "The time of this run could not be recorded on the drive: {}.",
                execute::chain(&error)
            );
            env.sink.event(Event::Warning { text });
        }
    }

    /// The work could not be done: every backup failed for this reason.
    pub(super) fn failed(&self, env: &Environment<'_>, error: &JobError) -> Tally {
        let remedies = error.remedies();
        for policy in &self.policies {
            let (source, target) = (policy.source.clone(), policy.target.clone());
            let error = execute::chain(error);
            env.sink.event(if remedies.is_empty() {
                Event::Failed { source, target, error }
            } else {
                Event::Refused { source, target, finding: format!("{error}."), remedies: remedies.clone() }
            });
        }
        Tally { states: vec![State::Failed; self.policies.len()], ..Tally::default() }
    }

    pub(super) fn summary(
        &self,
        env: &Environment<'_>,
        tally: &Tally,
        unplug: Unplug,
        took: Duration,
    ) -> Summary {
        let done = tally.states.iter().filter(|state| **state == State::Running).count();
        Summary {
            drive: self.drive.to_owned(),
            done,
            failed: tally.states.len() - done,
            warnings: 0,
            snapshots: tally.snapshots,
            pruned: tally.pruned,
            sent: tally.sent,
            took,
            interrupted: env.cancel.is_requested(),
            unplug,
            fault: Fault::None,
        }
    }
}

/// Both sides, as they are now.
fn observe(client: &Client<'_>, policies: &[Policy], session: &Session) -> Result<Inventory, JobError> {
    crate::observe::observe(client, policies, &session.facts, &session.imported).map_err(not_listed)
}

pub(super) fn not_listed(source: crate::zfs::ZfsError) -> JobError {
    JobError::Zfs { what: "the snapshots could not be listed", source }
}

/// A plan that its checker accepts (S19).
pub(super) fn checked_plan(
    policies: &[Policy],
    inventory: &Inventory,
    now: &Zoned,
) -> Result<Plan, JobError> {
    let plan = plan::plan(policies, inventory, now);
    let violations = plan::check::check(policies, inventory, &plan, now);
    if violations.is_empty() { Ok(plan) } else { Err(JobError::Checker { violations }) }
}

/// Targets in the configuration begin with the pool's name as it was then.
pub(super) fn check_name(drive: &str, configured: &PoolName, session: &Session) -> Result<(), JobError> {
    if session.pool == *configured {
        return Ok(());
    }
    Err(JobError::OtherName {
        drive: drive.to_owned(),
        found: session.pool.to_string(),
        configured: configured.to_string(),
    })
}

/// What the drive has newest of the datasets that were done: for `status`, while the drive is away.
fn copies_of(plan: &Plan, inventory: &Inventory, tally: &Tally) -> Vec<KnownCopy> {
    let done = plan.datasets.iter().zip(&tally.states).filter(|(_, state)| **state == State::Running);
    let copy = |dataset: &DatasetPlan| {
        let sent = dataset.sends().last().and_then(|send| send.delivers.last()).map(|delivery| delivery.guid);
        let there = || Some(inventory.target.get(&dataset.target)?.history.newest()?.guid);
        Some(KnownCopy {
            dataset: inventory.source.get(&dataset.source)?.guid,
            snapshot: sent.or_else(there)?,
        })
    };
    done.filter_map(|(dataset, _)| copy(dataset)).collect()
}

fn datasets_in(plan: &Plan, tally: &Tally, state: &State) -> Vec<DatasetName> {
    let datasets = plan.datasets.iter().zip(&tally.states).filter(|(_, s)| *s == state);
    datasets.map(|(dataset, _)| dataset.target.clone()).collect()
}
