//! A scrub at the end of a run, when one is due. By then the backup is complete and remembered: whatever becomes of the
//! scrub takes nothing of that back.

use std::time::Duration;

use crate::event::{Event, Fault, Unplug};
use crate::execute::chain;
use crate::execute::session::Session;
use crate::plan::scrub::{Due, due};
use crate::report::text::roughly;

use super::drive_run::DriveRun;
use super::scrubbing::{Came, scrub};
use super::trips::Account;
use super::{Environment, JobError};

impl DriveRun<'_> {
    /// Scrubs when that is due. Ctrl-C pauses the scrub and is done with that: the run ends as it would have.
    pub(super) fn scrub_if_due(&self, env: &Environment<'_>, session: &Session, account: &mut Account) {
        if env.cancel.is_requested() || env.cancel.lost().is_some() {
            return;
        }
        let Some(why) = self.is_due(env, session) else { return };
        self.remember_before_scrub(env, account);
        if let Some(lock) = &account.lock
            && let Err(error) = lock.scrubs()
        {
            // Then `eject` says that the run is busy.
            log::warn!("the lock cannot be written to: {error}");
        }
        env.sink.event(Event::Note { text: self.begins(why, account) });
        match scrub(env, session) {
            Ok(Came::Finished(found)) => {
                found.tell(env, self.drive, session.pool.as_str());
                let mut state = self.recall(env);
                state.last_scrub = Some(found.record);
                self.save(env, &state);
                if found.is_damage() {
                    account.fault = Fault::Damage;
                }
            }
            Ok(Came::Paused) => {
                env.cancel.settle();
                let text = format!(
                    "The scrub of {} is paused, and the next run goes on with it. The backup is not touched by that.",
                    self.drive
                );
                env.sink.event(Event::Note { text });
            }
            // That the drive is gone is told by who closes the session.
            Err(_) if env.cancel.lost().is_some() => {}
            Err(error) => {
                let text = format!("{} was not scrubbed: {}.", self.drive, chain(&error));
                env.sink.event(Event::Warning { text });
            }
        }
    }

    fn is_due(&self, env: &Environment<'_>, session: &Session) -> Option<Due> {
        self.scrub?;
        let seen = match env.client().status(&session.pool) {
            Ok(status) => status.scrub,
            Err(source) => {
                let what = "whether a scrub is due could not be asked";
                let text = format!("{}.", chain(&JobError::Zfs { what, source }));
                env.sink.event(Event::Warning { text });
                return None;
            }
        };
        let remembered = self.recall(env).last_scrub.map(|scrub| scrub.ended);
        due(self.scrub, seen, remembered, (env.clock)())
    }

    /// Should this computer lose its power meanwhile: the backup was made. What the run came to in the end replaces it.
    fn remember_before_scrub(&self, env: &Environment<'_>, account: &Account) {
        let unplug = Unplug::LeftImported { first: format!("zferry eject {}", self.drive) };
        let summary = self.summary(env, &account.tally, unplug, Duration::ZERO);
        self.remember(env, self.recall(env), &summary, account.began, account.copies.clone());
    }

    fn begins(&self, why: Due, account: &Account) -> String {
        let complete = account.tally.states.iter().all(|state| *state == crate::execute::State::Running);
        let backup = if complete { "Backup complete." } else { "What could be backed up is backed up." };
        let why = match why {
            Due::Unfinished => "goes on with the scrub that was not finished".to_owned(),
            Due::Old(age) => format!("was scrubbed {} ago, and is scrubbed now", roughly(age)),
            Due::Never => "is scrubbed, for the first time that is known of".to_owned(),
        };
        format!(
            "{backup} {0} {why}. Ctrl-C or `zferry eject {0}` stops that safely, and it goes on next time.",
            self.drive
        )
    }
}
