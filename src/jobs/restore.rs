//! `restore --into`: a copy on the drive becomes a dataset of this computer again. The drive is only read. With its whole
//! history, as it lies there, normal runs go on from it: the restored dataset says which copy it is from.

mod way;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::Backup;
use crate::config::request::{Form, RestoreRequest};
use crate::event::{Event, Summary};
use crate::execute::files::{Ask, Keyring};
use crate::execute::session::{After, Session};
use crate::execute::{self, Context, FOREBODING, State, Tally};
use crate::model::{
    Consents, Dataset, DatasetKind, DatasetName, Inventory, Policy, PoolFacts, Prune, SendMode,
};
use crate::plan::described::GivenBack;
use crate::plan::{self, Afterwards, Plan};
use crate::process::quoted;
use crate::report::text::count;
use crate::zfs::argv::{self, Access};
use crate::zfs::{Client, ZfsError};

use super::connected::{patience, wanted};
use super::described;
use super::drive_run::{check_name, checked_plan, not_listed, take_lock};
use super::files::unload;
use super::{DriveResult, Environment, JobError};

/// Restores, and leaves the drive as it was.
///
/// # Errors
/// When the drive cannot be used, or something else is where the copy is to go.
pub fn restore(request: &RestoreRequest, env: &Environment<'_>, ask: &mut dyn Ask) -> DriveResult {
    restore_within(request, env, FOREBODING, ask)
}

/// The same, with this patience for a drive that may be gone.
pub(super) fn restore_within(
    request: &RestoreRequest,
    env: &Environment<'_>,
    foreboding: Duration,
    ask: &mut dyn Ask,
) -> DriveResult {
    let started = Instant::now();
    let drive = &request.drive;
    let _lock = take_lock(env, drive.guid)?;
    let host = env.host();
    let wanted = wanted(drive, Access::ReadOnly, patience(request.wait, env));
    let session = Session::open(&host, &wanted)?;
    let guarded = session.guard(&host);
    let env = &Environment { cancel: &guarded, ..*env };
    let mut keys = Keyring::new(ask);
    let restored = check_name(wanted.drive, &drive.pool, &session)
        .and_then(|()| way::unlock_copies(request, env, &session, &mut keys))
        .and_then(|()| work(request, env, &session, foreboding));
    // What is exported forgets them by itself.
    if session.stays_imported(false) {
        unload(env, &keys);
    }
    let unplug = session.close(&env.host(), After::Export, false);
    let tally = restored.as_ref().ok();
    let done = tally.map_or(0, |tally| tally.states.iter().filter(|state| **state == State::Running).count());
    let summary = Summary {
        done,
        failed: tally.map_or(1, |tally| tally.states.len() - done),
        snapshots: tally.map_or(0, |tally| tally.snapshots),
        sent: tally.map(|tally| tally.sent).unwrap_or_default(),
        ..env.nothing_sent(wanted.drive, started, unplug)
    };
    env.sink.event(Event::Note { text: crate::report::summary::truth(wanted.drive, &summary.unplug).text });
    restored.map(|_| summary)
}

fn work(
    request: &RestoreRequest,
    env: &Environment<'_>,
    session: &Session,
    foreboding: Duration,
) -> Result<Tally, JobError> {
    let client = env.client();
    let facts = receiving_pool(&client, &request.into)?;
    let policies = [policy(request, &facts)];
    let seen = crate::observe::observe(&client, &policies, &facts, &session.imported);
    let mut inventory = seen.map_err(not_listed)?;
    let way = way::settle(request, env, &policies[0], &mut inventory)?;
    plan::find_obstacle(&policies[0], &inventory)?;
    let plan = plan::restoring(checked_plan(&policies, &inventory, &env.now())?, &inventory)?;
    let context = Context {
        client,
        sink: env.sink,
        pool: facts.name.clone(),
        drive: facts.guid,
        afterwards: Afterwards { retry: &request.retry, imported: true },
        errors_before: 0,
        holds_left: false,
        foreboding,
    };
    let tally = execute::execute(&context, &plan);
    let finished = plan.datasets.iter().zip(&tally.states).filter(|(_, state)| **state == State::Running);
    let restored: Vec<DatasetName> = finished.map(|(dataset, _)| dataset.target.clone()).collect();
    make_usable(&client, &plan, &inventory, &restored)
        .map_err(|source| JobError::Zfs { what: "what was restored is still read-only", source })?;
    let sent = plan.datasets.iter().filter(|dataset| dataset.verdict != plan::Verdict::Parent);
    let pairs: Vec<_> = sent.map(|dataset| (&dataset.source, &dataset.target)).collect();
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, into)| restored.contains(into)).collect();
    let back = described::give_back(env, &pairs).map_err(|source| JobError::Zfs {
        what: "the properties of what was restored cannot be read",
        source,
    })?;
    if restored.len() == plan.datasets.len() {
        let mut text = account(request, &inventory, &plan, &tally, &back);
        text.push_str(&way::remark(request, &way));
        env.sink.event(Event::Note { text });
        if way.choice.is_none() {
            way::warn_of_large_blocks(env, &policies[0], session)?;
        }
    }
    Ok(tally)
}

/// The pool that receives: it is imported, and is not the drive's.
fn receiving_pool(client: &Client<'_>, into: &DatasetName) -> Result<PoolFacts, JobError> {
    let pool = into.pool();
    let imported = client.pools().map_err(not_listed)?;
    let Some(found) = imported.into_iter().find(|imported| imported.name == pool) else {
        return Err(JobError::NotImported(pool.to_string()));
    };
    let properties = client.pool_properties([&pool]).map_err(not_listed)?;
    Ok(PoolFacts::read(pool.clone(), found.guid, properties.get(&pool).into_iter().flatten()))
}

/// A backup the other way round: everything that the copy has, as it lies there.
fn policy(request: &RestoreRequest, receiving: &PoolFacts) -> Policy {
    let (name, copy) = (request.backup.name.clone(), request.backup.target.clone());
    let way_back = Backup {
        recursive: request.backup.recursive,
        // What was let onto the drive unencrypted comes back so.
        allow_plaintext: true,
        send: if request.form == Form::Raw { SendMode::Raw } else { SendMode::Plain },
        ..Backup::new(name, copy, request.into.clone(), Prune::Never)
    };
    way_back.policy(receiving.guid, &Consents::default())
}

/// What a copy on a drive is and a dataset in use is not: read-only; a volume without a device.
fn make_usable(
    client: &Client<'_>,
    plan: &Plan,
    inventory: &Inventory,
    restored: &[DatasetName],
) -> Result<(), ZfsError> {
    let of_kind = |wanted: DatasetKind| {
        let sent = plan.datasets.iter().filter(|dataset| dataset.verdict != plan::Verdict::Parent);
        let sent = sent.filter(|dataset| restored.contains(&dataset.target));
        let kind = move |name: &DatasetName| inventory.source.get(name).map(|there| there.kind);
        sent.filter(move |dataset| kind(&dataset.source) == Some(wanted))
            .map(|dataset| dataset.target.clone())
            .collect::<Vec<_>>()
    };
    let (filesystems, volumes) = (of_kind(DatasetKind::Filesystem), of_kind(DatasetKind::Volume));
    for (property, datasets) in [("readonly", &filesystems), ("readonly", &volumes), ("volmode", &volumes)] {
        if !datasets.is_empty() {
            client.run(&argv::inherit(property, datasets))?;
        }
    }
    Ok(())
}

/// What there is now.
fn account(
    request: &RestoreRequest,
    inventory: &Inventory,
    plan: &Plan,
    tally: &Tally,
    back: &BTreeMap<DatasetName, GivenBack>,
) -> String {
    let sent = plan.datasets.iter().filter(|dataset| dataset.verdict != plan::Verdict::Parent);
    let there: Vec<_> = sent.filter_map(|d| Some((&d.target, inventory.source.get(&d.source)?))).collect();
    let mut text = format!(
        "Restored {} into {}: {}, {}.",
        request.backup.target,
        request.into,
        count(there.len(), "dataset"),
        count(tally.snapshots, "snapshot"),
    );
    text.push_str("\nNothing is mounted yet. When you want to use it:");
    for command in commands(request, &there, back) {
        text.push_str("\n  ");
        text.push_str(&command);
    }
    text
}

/// The commands that bring it to where it was, for a person to type.
fn commands(
    request: &RestoreRequest,
    there: &[(&DatasetName, &Dataset)],
    back: &BTreeMap<DatasetName, GivenBack>,
) -> Vec<String> {
    let mut commands = Vec::new();
    let locked = |(_, dataset): &(&DatasetName, &Dataset)| dataset.encryption.is_some();
    if request.form == Form::Raw && there.iter().any(locked) {
        commands.push(format!("zfs load-key -r {}", quoted(request.into.as_str())));
    }
    for (name, GivenBack { by_hand, .. }) in back {
        let pairs: Vec<_> = by_hand.iter().map(|(key, value)| quoted(&format!("{key}={value}"))).collect();
        if !pairs.is_empty() {
            commands.push(format!("zfs set {} {}", pairs.join(" "), quoted(name.as_str())));
        }
    }
    // Copies do not mount by themselves. What did not on the source either has that back.
    let has_its_own = |name: &DatasetName| {
        back.get(name).is_some_and(|b| b.set.contains_key("canmount") || b.by_hand.contains_key("canmount"))
    };
    let mounted =
        there.iter().filter(|(name, dataset)| dataset.kind == DatasetKind::Filesystem && !has_its_own(name));
    let names: Vec<_> = mounted.map(|(name, _)| quoted(name.as_str())).collect();
    if !names.is_empty() {
        commands.push(format!("zfs set canmount=on {}", names.join(" ")));
    }
    if there.iter().any(|(_, dataset)| dataset.kind == DatasetKind::Filesystem) {
        commands.push("zfs mount -a".to_owned());
    }
    commands
}
