//! What is remembered of a drive between runs, and where its numbers are left.

use jiff::Timestamp;

use crate::alert::metrics::Metrics;
use crate::config::Drive;
use crate::event::{Event, Summary};
use crate::execute;
use crate::state::{DriveState, KnownCopy, RunRecord, StateWarning};

use super::Environment;
use super::drive_run::DriveRun;

impl DriveRun<'_> {
    /// What the host knows of earlier runs: a cache, whose loss costs nothing but the answer to "when was it last?".
    pub(super) fn recall(&self, env: &Environment<'_>) -> DriveState {
        let loaded = env.store.load(self.drive, self.guid);
        warn_of(env, loaded.warning.as_ref());
        loaded.state
    }

    pub(super) fn remember(
        &self,
        env: &Environment<'_>,
        mut state: DriveState,
        summary: &Summary,
        began: Timestamp,
        copies: Vec<KnownCopy>,
    ) {
        state.record_copies(copies);
        state.record(RunRecord::new(summary, began, (env.clock)()));
        self.save(env, &state);
    }

    /// A run ended before there was anything to sum up: neither `status` nor who reads the numbers may take the one
    /// before it for the last.
    pub(super) fn remember_failure(&self, env: &Environment<'_>, began: Timestamp) {
        let mut state = self.recall(env);
        state.record(RunRecord::failed(self.policies.len(), began, (env.clock)()));
        self.save(env, &state);
    }

    pub(super) fn save(&self, env: &Environment<'_>, state: &DriveState) {
        save(env, state, self.metrics);
    }
}

/// Remembers a drive's state, and leaves its numbers where they are wanted.
pub(super) fn save(env: &Environment<'_>, state: &DriveState, metrics: Option<Metrics<'_>>) {
    warn_of(env, env.store.save(state).err().as_ref());
    if let Some(error) = metrics.and_then(|metrics| metrics.write(state).err()) {
        env.sink.event(Event::Warning { text: format!("{}.", execute::chain(&error)) });
    }
}

/// Where a drive's numbers are wanted.
pub(super) fn metrics(drive: &Drive) -> Option<Metrics<'_>> {
    let directory = drive.alerts.metrics.as_deref()?;
    Some(Metrics { directory, pool: &drive.pool, warn_after: drive.warn_after })
}

/// What kept something from being remembered is told, and keeps nothing else.
pub(super) fn warn_of(env: &Environment<'_>, warning: Option<&StateWarning>) {
    if let Some(warning) = warning {
        env.sink.event(Event::Warning { text: format!("{}.", execute::chain(warning)) });
    }
}
