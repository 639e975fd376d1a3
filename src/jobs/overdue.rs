//! `check`: which drives were not backed up to for too long. As root, it has others told.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::alert::alarm::Alarm;
use crate::alert::told::Moment;
use crate::config::Drive;
use crate::config::request::StatusRequest;
use crate::execute::chain;
use crate::live::public::{self, Overdue};
use crate::model::{Consents, PoolName};
use crate::plan::overdue::{Judgement, Known, Since, judge};
use crate::plan::{Ours, Standing};
use crate::report::text::roughly;
use crate::state::Watched;
use crate::zfs::ZfsError;

use super::remembered::warn_of;
use super::{Environment, run};

/// What was found of one drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its name in the configuration.
    pub drive: String,
    /// Whether it was not backed up to for too long.
    pub overdue: bool,
    /// In words.
    pub text: String,
}

/// Whether the caller may tell others, and remember that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alerting {
    /// Root.
    Yes,
    /// Anybody else only looks.
    No,
}

/// Looks at each drive that may be away for so long and no longer.
pub fn check(request: &StatusRequest, alerting: Alerting, env: &Environment<'_>) -> Vec<Checked> {
    let watched = request.drives.iter().filter_map(|drive| Some((drive, drive.warn_after?)));
    watched.map(|(drive, warn_after)| one(drive, warn_after, &request.common.host, alerting, env)).collect()
}

fn one(
    drive: &Drive,
    warn_after: Duration,
    host: &str,
    alerting: Alerting,
    env: &Environment<'_>,
) -> Checked {
    let loaded = env.store.load(drive.name.as_str(), drive.guid);
    warn_of(env, loaded.warning.as_ref());
    let now = (env.clock)();
    let known = env.store.watched(drive.guid).filter(|watched| watched.since <= now);
    let watched = known.unwrap_or(Watched { since: now, last_alert: None });
    let last_success = loaded.state.last_success;
    let newest_copy = match last_success {
        Some(_) => None,
        None => newest_copy(drive, env).unwrap_or_else(|error| {
            log::info!("what {} has is not known: {}", drive.name, chain(&error));
            None
        }),
    };
    let known = Known {
        last_success,
        newest_copy,
        watched_since: Some(watched.since),
        last_alert: watched.last_alert,
    };
    let judgement = judge(warn_after, &known, now);
    let text = told(drive.name.as_str(), judgement, warn_after);
    if alerting == Alerting::Yes {
        // First told, then remembered: one that is cut off in between tells twice, and not never.
        let last_alert = if judgement.alert {
            Alarm::of_drive(run::subject(drive, host), env.sink).raise(Moment::Overdue, &text);
            Some(now)
        } else {
            watched.last_alert
        };
        let at = last_alert.unwrap_or(now);
        let overdue = Overdue { drive: drive.name.to_string(), guid: drive.guid, at, message: text.clone() };
        public::overdue(env.locks, drive.guid, judgement.overdue.then_some(overdue));
        let remembered = env.store.remember_watched(drive.guid, &Watched { last_alert, ..watched });
        warn_of(env, remembered.as_ref().err());
    }
    Checked { drive: drive.name.to_string(), overdue: judgement.overdue, text }
}

/// When the newest snapshot was made that the drive is known to have: the source's bookmarks say so, also on a computer
/// that remembers no run.
fn newest_copy(drive: &Drive, env: &Environment<'_>) -> Result<Option<Timestamp>, ZfsError> {
    let client = env.client();
    let policies = drive.policies(&Consents::default());
    let pools: Vec<PoolName> = client.pools()?.into_iter().map(|pool| pool.name).collect();
    let sources = crate::observe::observe_sources(&client, &policies, &pools)?;
    let mut names = Vec::new();
    for dataset in sources.datasets.values() {
        let ours = dataset.history.bookmarks().iter().filter(|bookmark| {
            Ours::read(bookmark).is_some_and(|o| o.drive == drive.guid && o.standing == Standing::Verified)
        });
        names.extend(ours.map(|bookmark| format!("{}#{}", dataset.name, bookmark.name)));
    }
    if names.is_empty() {
        return Ok(None);
    }
    Ok(client.details(&names)?.values().filter_map(|detail| detail.creation).max())
}

fn told(drive: &str, judgement: Judgement, warn_after: Duration) -> String {
    let limit = roughly(warn_after);
    let what = match judgement.since {
        Since::Success(age) => format!("{drive}: the last complete run was {} ago", roughly(age)),
        Since::Copy(age) => format!(
            "{drive}: this computer remembers no complete run; the newest snapshot that {drive} is known to have is {} old",
            roughly(age)
        ),
        Since::Unknown(age) if age.is_zero() => {
            format!("{drive}: this computer knows of no backup to it, and counts from now on")
        }
        Since::Unknown(age) => format!(
            "{drive}: this computer knows of no backup to it, and looks after it for {}",
            roughly(age)
        ),
    };
    if judgement.overdue {
        format!("{what}, and warn-after is {limit}. Plug it in, and `zferry run {drive}`.")
    } else {
        format!("{what} (warn-after: {limit}).")
    }
}
