//! From import to export, and once more whenever the drive was pulled out in mid-run and came back (S13): the second
//! trip plans anew, and so resumes what the first one left.

use crate::event::{Event, Fault, ImportHow, Then, Unplug};
use std::time::Duration;

use jiff::Timestamp;

use crate::drive::{Disk, wait_until_gone};
use crate::execute::lock::{self, Lock};
use crate::execute::session::{Lost, Session, SessionError, Wanted};
use crate::execute::{State, Tally};
use crate::model::{Fullness, PoolName};
use crate::process::RunError;
use crate::state::KnownCopy;
use crate::zfs::ZfsError;
use crate::zfs::argv::Access;

use super::drive_run::DriveRun;
use super::{Environment, JobError};

/// So often one run goes on with a drive that came back: a plug that slips more often is no way to make a backup.
const MOST: usize = 20;
/// So often it is gone on with after errors of a drive that is there: once as it is, for errors come and go; and once
/// after it was unplugged and plugged in again.
const MOST_FAILURES: usize = 2;
/// What a drive gets before it is said that it fails, or is tried again.
const BREATH: Duration = Duration::from_secs(4);
/// How often is looked whether another drive's run has ended.
const TURN: Duration = Duration::from_millis(500);

/// What all trips of a run came to.
#[derive(Debug, Default)]
pub struct Account {
    /// What the last trip says of each dataset; what was sent and pruned, of all of them.
    pub tally: Tally,
    /// What the drive is known to have.
    pub copies: Vec<KnownCopy>,
    /// Whose fault it was that nothing could be done.
    pub fault: Fault,
    /// How full the drive was when its datasets were done.
    pub fullness: Option<Fullness>,
    /// When the run began.
    pub began: Timestamp,
    /// The drive's, until the run is over.
    pub lock: Option<Lock>,
    /// The pools that were imported in the last trip, the sources' among them.
    pub imported: Vec<PoolName>,
}

impl Account {
    fn add(&mut self, tally: Tally, copies: Vec<KnownCopy>) {
        self.tally.states = tally.states;
        self.tally.sent += tally.sent;
        self.tally.snapshots += tally.snapshots;
        self.tally.pruned += tally.pruned;
        self.copies.extend(copies);
    }
}

/// How one trip ended.
enum Trip {
    /// As it should, or not; at any rate with the drive where it was.
    Closed(Unplug),
    /// The drive was pulled out.
    Lost {
        why: String,
        /// The disks that it was on, where they are known.
        disks: Vec<Disk>,
        /// Whether this run may bring the pool back: not when somebody else had imported it (S7).
        ours: bool,
        /// The pool, when this run had it and had not begun to export it.
        pool: Option<PoolName>,
    },
}

impl DriveRun<'_> {
    /// Goes on until the drive was let go, or is gone for good.
    ///
    /// # Errors
    /// When the drive could not be used in the first place.
    pub(super) fn trips(&self, env: &Environment<'_>, account: &mut Account) -> Result<Unplug, JobError> {
        let mut wanted = self.wanted();
        let mut last = self.trip(env, &wanted, account)?;
        (wanted.wait, wanted.last_used_by) = (self.replug_wait, None);
        let (mut trips, mut failures) = (1, 0);
        loop {
            let (why, disks, ours, pool) = match last {
                Trip::Closed(unplug) => return Ok(unplug),
                Trip::Lost { why, disks, ours, pool } => (why, disks, ours, pool),
            };
            let attached = self.stays(env, &disks);
            let event = Event::Lost { drive: self.drive.to_owned(), why: why.clone(), attached };
            env.sink.event(event);
            failures += usize::from(attached);
            let too_often = trips > MOST || failures > MOST_FAILURES;
            // What the kernel's mapper made of a LUKS container that was pulled out never comes back, and the suspended pool
            // knows no other device.
            let for_good = self.luks.is_some() && (!attached || failures > 1);
            let then = match (for_good, attached) {
                (true, _) => Then::Restart,
                (false, true) => Then::Replug,
                (false, false) => Then::PlugIn,
            };
            if !ours || for_good || too_often || self.replug_wait.is_zero() || env.cancel.is_requested() {
                return Ok(self.give_up(env, account, why, then));
            }
            trips += 1;
            wanted.lost = Some(Lost { disks, anew: attached && failures > 1, pool });
            last = match self.trip(env, &wanted, account) {
                Ok(trip) => trip,
                Err(error) => {
                    env.sink.event(Event::Warning { text: after_loss(&error) });
                    let then = match error {
                        JobError::Session(SessionError::Changed { .. }) => Then::UnplugAndRestart,
                        JobError::Session(SessionError::Stuck { .. }) => Then::Restart,
                        // An export that the drive was pulled out of keeps all of ZFS's tools waiting. Nothing more is
                        // asked of them: the next run releases what is held.
                        JobError::Session(SessionError::Tools(ZfsError::Run(RunError::Deadline {
                            ..
                        }))) => {
                            return Ok(Unplug::Gone { why, then: Then::Restart });
                        }
                        _ => Then::PlugIn,
                    };
                    return Ok(self.give_up(env, account, why, then));
                }
            };
        }
    }

    /// Whether a drive that was lost is connected all the same. One that was pulled out can answer with errors for a
    /// moment before it is gone; and errors that come and go get time to go.
    fn stays(&self, env: &Environment<'_>, disks: &[Disk]) -> bool {
        !disks.is_empty() && wait_until_gone(env.root, disks, self.guid, BREATH, env.cancel).is_err()
    }

    /// The drive is gone, and is not waited for any longer.
    fn give_up(&self, env: &Environment<'_>, account: &Account, why: String, then: Then) -> Unplug {
        // The source must not be kept from pruning for as long as the drive stays away.
        if let Err(error) = self.release_holds(env, &account.imported) {
            let text = format!("Holds on the source may be left: {}.", crate::execute::chain(&error));
            env.sink.event(Event::Warning { text });
        }
        if matches!(then, Then::PlugIn | Then::Replug) {
            let text = format!(
                "The kernel keeps “{}” suspended until {} is plugged in {}and run again, or this computer is restarted. If another computer writes to the drive before that, it must be the restart.",
                self.pool,
                self.drive,
                if then == Then::Replug { "anew " } else { "" }
            );
            env.sink.event(Event::Warning { text });
        }
        Unplug::Gone { why, then }
    }

    /// Opens the drive. While another drive whose pool has the same name is backed up to, it waits its turn: both may
    /// have been plugged in at once.
    fn open(&self, env: &Environment<'_>, wanted: &Wanted<'_>) -> Result<Session, SessionError> {
        let mut told = false;
        loop {
            let opened = Session::open(&env.host(), wanted);
            let Err(SessionError::NameTaken { name, imported, .. }) = &opened else { return opened };
            if !lock::taken(env.locks, *imported).is_some_and(|busy| busy.is_run()) {
                return opened;
            }
            if !std::mem::replace(&mut told, true) {
                let text = format!(
                    "Another drive whose pool is called “{name}”, too, is backed up to. {} is next.",
                    self.drive
                );
                env.sink.event(Event::Note { text });
            }
            while !lock::is_free(env.locks, *imported) {
                if env.cancel.is_requested() {
                    return Err(SessionError::Interrupted { drive: self.drive.to_owned() });
                }
                std::thread::sleep(TURN);
            }
        }
    }

    /// One trip. What it came to goes into the account.
    fn trip(
        &self,
        env: &Environment<'_>,
        wanted: &Wanted<'_>,
        account: &mut Account,
    ) -> Result<Trip, JobError> {
        let mut session = match (self.open(env, wanted), &wanted.lost) {
            (Ok(session), _) => session,
            (Err(SessionError::Lost { why, .. }), _) => {
                return Ok(Trip::Lost { why, disks: Vec::new(), ours: true, pool: None });
            }
            (Err(SessionError::Failing { what: why, .. }), Some(Lost { disks, pool, .. })) => {
                return Ok(Trip::Lost { why, disks: disks.clone(), ours: true, pool: pool.clone() });
            }
            (Err(error), _) => return Err(error.into()),
        };
        account.imported.clone_from(&session.imported);
        if wanted.lost.is_none() {
            env.advise(&session.versions, &self.policies);
        }
        let guarded = session.guard(&env.host());
        let env = &Environment { cancel: &guarded, ..*env };
        let examined = session.examine(&env.host(), Access::ReadWrite, &self.afterwards(&session));
        let work = examined.map_err(JobError::from).and_then(|()| self.work(env, &session));
        let ours = session.how != ImportHow::Foreign;
        match work {
            Ok((tally, copies)) => account.add(tally, copies),
            Err(_) if guarded.lost().is_some() => {
                // What an earlier trip had done counts no more before it was looked at again.
                let known = account.tally.states.len().max(self.policies.len());
                account.tally.states = vec![State::Lost; known];
            }
            Err(error) => {
                account.fault = error.fault();
                account.add(self.failed(env, &error), Vec::new());
            }
        }
        // A drive of which everything was refused may be another one, and is not written to (S6).
        let recognised = account.tally.states.contains(&State::Running);
        let is_there = || guarded.lost().is_none();
        if recognised && is_there() {
            self.record_on_drive(env, &session);
        }
        if is_there() {
            session.tell_damage(&env.host(), &self.afterwards(&session));
            if recognised {
                account.fullness = super::status::fullness(env, &session.pool, (env.clock)());
                self.scrub_if_due(env, &session, account);
            }
        }
        if recognised && is_there() {
            self.keep_rescue_current(env, &session);
        }
        let pool = guarded.lost().filter(|_| ours).map(|_| session.pool.clone());
        Ok(match session.close(&env.host(), self.after(env), self.export_foreign) {
            Unplug::Gone { why, .. } => Trip::Lost { why, disks: session.disks(), ours, pool },
            unplug => Trip::Closed(unplug),
        })
    }
}

/// What the last line does not say by itself.
fn after_loss(error: &JobError) -> String {
    let told = crate::execute::chain(error);
    match error {
        JobError::Session(SessionError::Unfit { remedy, .. }) => format!("{told}. Try: {remedy}"),
        _ => format!("{told}."),
    }
}
