//! `adopt`: a pool that was made by hand or by another tool becomes a drive. It is only read.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::config::edit::{NewDrive, Proposal};
use crate::config::preparing::AdoptRequest;
use crate::drive::{closed_luks, is_removable, luks_below, resolve};
use crate::event::{Event, ImportHow, Unplug};
use crate::execute::session::{After, Session, SessionError, Wanted, altroot};
use crate::model::{DatasetName, Guid, Luks, PoolName};
use crate::plan::Afterwards;
use crate::plan::adopt::{Adoption, Seen, examine, refuse};
use crate::zfs::argv::{Access, Reach};

use super::drive_run::{not_listed, take_lock};
use super::init::{PrepareError, note, write_down};
use super::{Environment, JobError};

/// Looks through the pool, writes it down, and exports it if it was not imported before.
///
/// # Errors
/// When it cannot be found or imported, or is no drive.
pub fn adopt(request: &AdoptRequest, env: &Environment<'_>) -> Result<(), JobError> {
    let (pool, guid) = find(request, env)?;
    let _lock = take_lock(env, guid)?;
    let host = env.host();
    // Whoever adopts it has opened it.
    let members = env.root.members().unwrap_or_default();
    let mut devices = members.iter().filter(|member| member.pool_guid == guid);
    let luks = devices.find_map(|member| luks_below(env.root, &member.node));
    let luks = luks.map(|uuid| Luks { uuid, key_file: None });
    let wanted = Wanted {
        drive: request.drive.as_str(),
        pool: &pool,
        guid,
        luks: luks.as_ref(),
        access: Access::ReadOnly,
        wait: Duration::ZERO,
        last_used_by: request.last_used_by.as_deref(),
        lost: None,
    };
    let session = Session::open(&host, &wanted)?;
    let guarded = session.guard(&host);
    let env = &Environment { cancel: &guarded, ..*env };
    let found = look(request, env, &session);
    let unplug = session.close(&env.host(), After::Export, false);
    // Whoever stopped it does not want it written down.
    let found = if env.cancel.is_requested() { Err(JobError::Interrupted) } else { found };
    let found =
        found.inspect_err(|_| note(env, crate::report::summary::truth(wanted.drive, &unplug).text))?;
    let luks = luks.as_ref().map(|luks| luks.uuid.clone());
    let (name, pool) = (request.drive.clone(), session.pool.clone());
    let drive = NewDrive { name, pool, guid, luks, rescue: false };
    let proposals = proposals(request, &found);
    write_down(env, &request.place, &drive, &proposals)?;
    tell(request, env, &found, &proposals);
    note(env, crate::report::summary::truth(wanted.drive, &unplug).text);
    match unplug {
        Unplug::Unsafe { why } | Unplug::Gone { why, .. } => {
            Err(PrepareError::NotExported { pool: session.pool.clone(), why }.into())
        }
        _ => Ok(()),
    }
}

/// By name, by guid, or by a device that it is on.
fn find(request: &AdoptRequest, env: &Environment<'_>) -> Result<(PoolName, Guid), JobError> {
    let typed = request.pool.as_str();
    let imported = env.client().pools().map_err(SessionError::Tools)?;
    let members = env.root.members().unwrap_or_else(|error| {
        let text = format!("Which drives are connected is not known: udev does not answer ({error}).");
        env.sink.event(Event::Warning { text });
        Vec::new()
    });
    let mut found: BTreeSet<(String, Guid)> = BTreeSet::new();
    if typed.starts_with('/') {
        let node = resolve(env.root, Path::new(typed)).map_err(PrepareError::from)?;
        let on_it = members.iter().filter(|member| member.node == node || member.disk.node == node);
        found.extend(on_it.map(|member| (member.pool_name.clone(), member.pool_guid)));
        let closed = closed_luks(env.root, &node).pop().filter(|_| found.is_empty());
        if let Some(container) = closed {
            return Err(PrepareError::ClosedLuks(container).into());
        }
    } else {
        let is_meant = |name: &str, guid: Guid| name == typed || guid.to_string() == typed;
        let connected = members.iter().filter(|member| is_meant(&member.pool_name, member.pool_guid));
        found.extend(connected.map(|member| (member.pool_name.clone(), member.pool_guid)));
        let there = imported.iter().filter(|pool| is_meant(pool.name.as_str(), pool.guid));
        found.extend(there.map(|pool| (pool.name.to_string(), pool.guid)));
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.dedup_by_key(|(_, guid)| *guid);
    match found.as_slice() {
        [] => Err(JobError::NoPool(typed.to_owned())),
        [(name, guid)] => {
            let name = name.parse().map_err(|_| JobError::NoPool(crate::process::printable(name)))?;
            Ok((name, *guid))
        }
        several => Err(PrepareError::Several {
            typed: typed.to_owned(),
            guids: several.iter().map(|(_, guid)| guid.to_string()).collect::<Vec<_>>().join(", "),
        }
        .into()),
    }
}

fn look(request: &AdoptRequest, env: &Environment<'_>, session: &Session) -> Result<Adoption, JobError> {
    let client = env.client();
    let pool = &session.pool;
    let datasets = client.datasets([pool]).map_err(not_listed)?;
    let properties = client.mounting(pool).map_err(not_listed)?;
    let there = client.guids([pool]).map_err(not_listed)?;
    let others = session.imported.iter().filter(|other| *other != pool);
    let tops: Vec<DatasetName> = others.filter_map(|other| other.as_str().parse().ok()).collect();
    let here = if tops.is_empty() {
        Vec::new()
    } else {
        client.snapshots("snapshot,bookmark", Reach::Below, &tops).map_err(not_listed)?
    };
    let configured = request.place.backups.iter().filter_map(|backup| {
        Some((backup.source.parse().ok()?, format!("{pool}/{}", backup.target).parse().ok()?))
    });
    let configured: Vec<(DatasetName, DatasetName)> = configured.collect();
    let root = if session.how == ImportHow::Foreign {
        let imported = client.pools().map_err(not_listed)?;
        imported
            .into_iter()
            .find(|imported| imported.guid == session.guid)
            .and_then(|pool| pool.altroot)
            .unwrap_or_default()
    } else {
        altroot(session.guid).display().to_string()
    };
    let internal = internal(request, env, session);
    let seen = Seen {
        pool,
        internal: &internal,
        altroot: &root,
        datasets: &datasets,
        properties: &properties,
        there: &there,
        here: &here,
        configured: &configured,
    };
    refuse(request.drive.as_str(), session.guid, &request.place.drives, &seen).map_err(PrepareError::from)?;
    let afterwards = Afterwards { retry: &request.common.command, imported: session.stays_imported(false) };
    Ok(examine(&seen, &afterwards))
}

/// The disks of the pool that nobody takes away. A disk that is not known may be one of them.
fn internal(request: &AdoptRequest, env: &Environment<'_>, session: &Session) -> Vec<String> {
    if request.internal {
        return Vec::new();
    }
    let disks = session.disks();
    if disks.is_empty() {
        return vec!["udev does not tell which".to_owned()];
    }
    disks.iter().filter(|disk| !is_removable(env.root, disk)).map(ToString::to_string).collect()
}

/// Backups that would go on with what was found, as far as none does.
fn proposals(request: &AdoptRequest, found: &Adoption) -> Vec<Proposal> {
    let is_configured =
        |source: &DatasetName| request.place.backups.iter().any(|backup| backup.source == source.as_str());
    let tops = found.tops.iter().filter(|(source, _)| !is_configured(source));
    let proposal = |(source, copy): &(DatasetName, DatasetName)| {
        let (_, target) = copy.as_str().split_once('/')?;
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
        let name: String = source.leaf().chars().map(plain).collect();
        Some(Proposal { name, source: source.to_string(), target: target.to_owned() })
    };
    tops.filter_map(proposal).collect()
}

/// What was found, and what to do about it.
fn tell(request: &AdoptRequest, env: &Environment<'_>, found: &Adoption, proposals: &[Proposal]) {
    let of = |copy: &DatasetName| found.copies.iter().find(|copied| copied.copy == *copy);
    for (source, copy) in &found.tops {
        let base = of(copy).and_then(|copied| copied.base.as_deref()).unwrap_or_default();
        note(
            env,
            format!(
                "{copy} is the copy of {source}: both have “{base}”, and the next run goes on from there."
            ),
        );
    }
    if found.copies.is_empty() {
        note(env, format!("There are no snapshots on {} yet.", request.drive));
    }
    for (what, command) in &found.findings {
        env.sink.event(Event::Warning { text: format!("{what}.\n  try: {command}") });
    }
    let Proposal { name, source, target } = match proposals {
        [first, ..] if request.place.text.is_some() => first.clone(),
        _ => {
            let (command, drive) = (&request.common.command, &request.drive);
            note(
                env,
                format!("Next, see what would be done:\n  {command} config check\n  {command} plan {drive}"),
            );
            return;
        }
    };
    let path = request.place.path.display();
    note(
        env,
        format!(
            "Nothing backs {source} up yet. To go on with its copy, add to {path}:\n\n[backups.{name}]\nsource = \"{source}\"\ntarget = \"{target}\"\nprune = \"never\""
        ),
    );
}
