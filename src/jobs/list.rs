//! `list`: what is here and what is there, by guid. A drive that is connected is imported read-only for it; of one that is
//! away, what this host remembers is shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::Drive;
use crate::config::request::ListRequest;
use crate::event::{Event, Summary};
use crate::execute::session::{After, Session, SessionError};
use crate::model::{Consents, Inventory, Policy, PoolName, Side};
use crate::plan::{Afterwards, Pair, pairs};
use crate::report::list::Listed;
use crate::report::summary::truth;
use crate::zfs::argv::Access;

use super::connected::wanted;
use super::drive_run::{check_name, not_listed, take_lock};
use super::{Environment, JobError};

/// What is known of each drive, and how looking at it ended, if it was looked at.
pub fn list(
    request: &ListRequest,
    env: &Environment<'_>,
) -> Vec<Result<(Listed, Option<Summary>), JobError>> {
    let mut all = Vec::new();
    for drive in &request.drives {
        if env.cancel.is_requested() {
            all.push(Err(JobError::Interrupted));
            break;
        }
        all.push(match connected(request, drive, env) {
            Err(JobError::Session(SessionError::Absent { .. })) => {
                remembered(drive, env).map(|listed| (listed, None))
            }
            other => other.map(|(listed, summary)| (listed, Some(summary))),
        });
    }
    all
}

fn connected(
    request: &ListRequest,
    drive: &Drive,
    env: &Environment<'_>,
) -> Result<(Listed, Summary), JobError> {
    let started = Instant::now();
    let _lock = take_lock(env, drive.guid)?;
    let name = drive.name.as_str();
    let wanted = wanted(drive, Access::ReadOnly, Duration::ZERO);
    let mut session = Session::open(&env.host(), &wanted)?;
    let guarded = session.guard(&env.host());
    let env = &Environment { cancel: &guarded, ..*env };
    let retry = format!("{} list {name}", request.common.command);
    let afterwards = Afterwards { retry: &retry, imported: session.stays_imported(false) };
    let policies = drive.policies(&Consents::default());
    let seen = session
        .examine(&env.host(), Access::ReadOnly, &afterwards)
        .map_err(JobError::from)
        .and_then(|()| check_name(name, &drive.pool, &session))
        .and_then(|()| look(env, &policies, &session));
    let unplug = session.close(&env.host(), After::Export, false);
    let summary = env.nothing_sent(name, started, unplug);
    env.sink.event(Event::Note { text: truth(name, &summary.unplug).text });
    Ok((Listed { drive: name.to_owned(), connected: true, pairs: seen? }, summary))
}

fn look(env: &Environment<'_>, policies: &[Policy], session: &Session) -> Result<Vec<Pair>, JobError> {
    let seen = crate::observe::observe(&env.client(), policies, &session.facts, &session.imported);
    Ok(pairs(policies, &seen.map_err(not_listed)?))
}

/// The sources as they are, beside the newest snapshot that the drive is known to have.
fn remembered(drive: &Drive, env: &Environment<'_>) -> Result<Listed, JobError> {
    let client = env.client();
    let policies = drive.policies(&Consents::default());
    let imported = client.pools().map_err(not_listed)?;
    let imported: Vec<PoolName> = imported.into_iter().map(|pool| pool.name).collect();
    let source = crate::observe::observe_sources(&client, &policies, &imported).map_err(not_listed)?;
    let loaded = env.store.load(drive.name.as_str(), drive.guid);
    if let Some(warning) = loaded.warning {
        env.sink.event(Event::Warning { text: format!("{}.", crate::execute::chain(&warning)) });
    }
    let guids: BTreeMap<_, _> =
        source.datasets.values().map(|dataset| (dataset.name.clone(), dataset.guid)).collect();
    let inventory = Inventory { source, target: Side::default(), pools: BTreeMap::new(), elsewhere: None };
    let mut pairs = pairs(&policies, &inventory);
    for pair in &mut pairs {
        let dataset = pair.source.as_ref().and_then(|name| guids.get(name));
        let newest = loaded.state.copies.iter().find(|copy| Some(&copy.dataset) == dataset);
        for row in pair.rows.iter_mut().filter(|row| newest.is_some_and(|copy| copy.snapshot == row.guid)) {
            row.there = row.here.clone();
        }
    }
    Ok(Listed { drive: drive.name.to_string(), connected: false, pairs })
}
