//! A scrub, from where it is to its end or to a pause. Whoever pauses it from outside stops it here.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::event::{Event, ImportHow};
use crate::execute::chain;
use crate::execute::session::Session;
use crate::model::Bytes;
use crate::process::printable;
use crate::report::text::{count, duration};
use crate::state::ScrubRecord;
use crate::zfs::argv;
use crate::zfs::parse::{Scrub, Status};

use super::{Environment, JobError};

/// Between the first looks; then it is doubled, up to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(2);
const SLOWEST: Duration = Duration::from_secs(2);
/// Between two looks for Ctrl-C and for the drive.
const BREATH: Duration = Duration::from_millis(200);

/// How it ended.
#[derive(Debug)]
pub(super) enum Came {
    /// All of the drive was read.
    Finished(Found),
    /// It waits for the next time.
    Paused,
}

/// What a scrub found.
#[derive(Debug)]
pub(super) struct Found {
    pub record: ScrubRecord,
    /// Something was wrong and could be mended.
    repaired: bool,
    /// What ZFS counts of damaged data: `2 data errors`.
    damage: Option<String>,
    /// Which, as far as ZFS tells.
    named: Vec<String>,
    took: Duration,
}

impl Found {
    /// Whether something is lost.
    pub fn is_damage(&self) -> bool {
        self.record.errors > 0 || self.damage.is_some()
    }

    /// Tells what was found, and what can be done.
    pub fn tell(&self, env: &Environment<'_>, drive: &str, pool: &str) {
        let took = duration(self.took);
        if !self.is_damage() {
            let text = if self.repaired {
                format!(
                    "The scrub of {drive} ended after {took}: something was damaged, and was mended. A drive that does this again should be replaced: `zpool status -v {pool}` has its error counters while it is imported."
                )
            } else {
                format!(
                    "The scrub of {drive} ended after {took}: everything on it can be read and is as it was written."
                )
            };
            env.sink.event(if self.repaired { Event::Warning { text } } else { Event::Note { text } });
            return;
        }
        let mut text = format!(
            "The scrub of {drive} ended after {took} and found DAMAGE: {}.",
            count(usize::try_from(self.record.errors).unwrap_or(usize::MAX), "error")
        );
        if self.named.is_empty() {
            text.push_str(&format!(
                "\nZFS names the files only while the keys are loaded: `zpool import -N -o cachefile=none -R /mnt/look {pool}`, `zfs load-key -r {pool}`, `zpool status -v {pool}`, `zpool export {pool}`."
            ));
        } else {
            text.push_str("\nIt is in:");
            for one in self.named.iter().take(SHOWN) {
                text.push_str(&format!("\n  {}", printable(one)));
            }
            if self.named.len() > SHOWN {
                text.push_str(&format!(
                    "\n  and {} more: `zpool status -v {pool}`",
                    self.named.len() - SHOWN
                ));
            }
        }
        text.push_str("\nWhat is damaged cannot be restored from this drive; everything else can. Make sure that the original is sound, and think of replacing the drive.");
        env.sink.event(Event::Warning { text });
    }
}

/// So many damaged files fit a screen.
const SHOWN: usize = 20;

/// Begins a scrub or goes on with one, and follows it.
///
/// # Errors
/// When ZFS refuses, cannot be asked, or the scrub ends in another way.
pub(super) fn scrub(env: &Environment<'_>, session: &Session) -> Result<Came, JobError> {
    let what = "the drive was not scrubbed to the end";
    let failed = |source| JobError::Zfs { what, source };
    let started = Instant::now();
    let (client, pool) = (env.client(), &session.pool);
    let before = client.status(pool).map_err(failed)?.scrub;
    // One that somebody else began on a pool of theirs is watched, and not paused.
    let theirs = matches!(before, Scrub::Running { .. }) && session.how == ImportHow::Foreign;
    if !matches!(before, Scrub::Running { .. }) {
        client.run(&argv::scrub(pool)).map_err(failed)?;
    }
    let properties = client.pool_properties([pool]).map_err(failed)?;
    let allocated = properties.get(pool).and_then(|all| all.get("allocated")?.parse().ok());
    let total = Bytes(allocated.unwrap_or(10_000));
    let mut pause = FIRST;
    loop {
        rest(env, pause);
        pause = (pause * 2).min(SLOWEST);
        if env.cancel.is_requested() && env.cancel.lost().is_none() {
            if !theirs && let Err(error) = client.run(&argv::pause_scrub(pool)) {
                let text = format!(
                    "The scrub could not be paused, and goes on when {} is imported again: {}.",
                    session.drive,
                    chain(&error)
                );
                env.sink.event(Event::Warning { text });
            }
            return Ok(Came::Paused);
        }
        let status = client.status(pool).map_err(failed)?;
        match status.scrub {
            Scrub::Running { done, left } => env.sink.event(Event::ScrubProgress {
                pool: pool.clone(),
                done,
                total,
                left: left.map(|left| left.as_secs()),
            }),
            Scrub::Paused { .. } => return Ok(Came::Paused),
            Scrub::Finished { ended, errors, repaired } if status.scrub != before => {
                return Ok(Came::Finished(found(env, session, status, (ended, errors, repaired), started)));
            }
            Scrub::Finished { .. } | Scrub::Never | Scrub::Canceled | Scrub::Unknown => {
                return Err(JobError::ScrubEnded { drive: session.drive.clone() });
            }
        }
    }
}

fn found(
    env: &Environment<'_>,
    session: &Session,
    status: Status,
    (ended, errors, repaired): (Timestamp, u64, bool),
    started: Instant,
) -> Found {
    let client = env.client();
    let named = if status.damage.is_some() { client.damage(&session.pool) } else { Ok(Vec::new()) };
    Found {
        record: ScrubRecord { ended, errors },
        repaired,
        damage: status.damage,
        named: named.unwrap_or_default(),
        took: started.elapsed(),
    }
}

/// Waits, but not when there is nothing to wait for.
fn rest(env: &Environment<'_>, pause: Duration) {
    let until = Instant::now() + pause;
    while !env.cancel.is_requested() && env.cancel.lost().is_none() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(BREATH));
    }
}
