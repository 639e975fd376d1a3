//! `doctor`: everything that could make the next run fail. Changes nothing (S20).

mod around;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::config::Drive;
use crate::config::request::DoctorRequest;
use crate::drive::hostid;
use crate::event::{Event, Sink, Unplug};
use crate::execute::chain;
use crate::execute::session::{After, Session, SessionError};
use crate::model::{Consents, Guid, Policy, PoolName, SendMode, Side};
use crate::plan::Afterwards;
use crate::plan::doctor::{Finding, HostFacts, of_host, of_plan, of_sources};
use crate::process::Tool;
use crate::report::doctor::Checkup;
use crate::report::status::BaseState;
use crate::state::Loaded;
use crate::zfs::argv::Access;
use crate::zfs::parse::Imported;

use super::connected::{device, wanted};
use super::drive_run::{check_name, not_listed, take_lock};
use super::plan::PlanOfDrive;
use super::{Environment, JobError, standing};

/// Looks at this computer, at the sources, and at the drives that are connected.
///
/// # Errors
/// When ZFS cannot be asked.
pub fn doctor(request: &DoctorRequest, env: &Environment<'_>) -> Result<Checkup, JobError> {
    let client = env.client();
    let all = client.pools().map_err(SessionError::Tools)?;
    let imported: BTreeSet<PoolName> = all.iter().map(|pool| pool.name.clone()).collect();
    let policies: Vec<Policy> =
        request.drives.iter().flat_map(|drive| drive.policies(&Consents::default())).collect();
    let remembered: Vec<Loaded> =
        request.drives.iter().map(|drive| env.store.load(drive.name.as_str(), drive.guid)).collect();
    let facts = host_facts(request, env, &policies, (&all, &remembered))?;
    let mut findings = of_host(&facts, (env.clock)());
    let pools: Vec<PoolName> = imported.iter().cloned().collect();
    let sources = crate::observe::observe_sources(&client, &policies, &pools).map_err(not_listed)?;
    findings.extend(around::at_start(request, env, &policies, &all));
    let known: BTreeSet<Guid> = request.known.iter().copied().collect();
    findings.extend(of_sources(&policies, &sources, &imported, &known));
    findings.extend(around::holds(env, &policies, &sources, &known)?);
    findings.extend(around::left_by_init(request, env, &all));
    let (found, mut hints) = around::plug_in(request, env);
    findings.extend(found);
    hints.extend(around::delegations(env, &policies, &sources));
    let members = env.root.members().unwrap_or_default();
    let mut away = Vec::new();
    for (drive, remembered) in request.drives.iter().zip(&remembered) {
        findings.extend(of_state(drive, remembered, &sources));
        if device(drive, &members, env.root).is_none() {
            away.push(drive.name.to_string());
            continue;
        }
        findings.extend(of_drive(request, drive, env));
    }
    // What ZFS itself is told of by each drive is said once.
    let mut told = BTreeSet::new();
    findings.retain(|finding| told.insert(finding.what.clone()));
    Ok(Checkup { findings, hints, away })
}

fn host_facts(
    request: &DoctorRequest,
    env: &Environment<'_>,
    policies: &[Policy],
    (imported, remembered): (&[Imported], &[Loaded]),
) -> Result<HostFacts, JobError> {
    let client = env.client();
    // One that zferry imports has none.
    let in_cache = |pool: &PoolName| {
        let all = client.pool_properties([pool]).ok()?;
        (all.get(pool)?.get("cachefile")? == "-").then_some(())
    };
    let cached = |drive: &Drive| {
        let pool = &imported.iter().find(|pool| pool.guid == drive.guid)?.name;
        in_cache(pool).map(|()| (drive.name.to_string(), pool.clone()))
    };
    let last_run = |(drive, loaded): (&Drive, &Loaded)| {
        Some((drive.name.to_string(), loaded.state.last_run.as_ref()?.ended))
    };
    Ok(HostFacts {
        versions: client.check_tool(Tool::Zfs).map_err(SessionError::Tools)?,
        plain: policies.iter().any(|policy| policy.send == SendMode::Plain),
        has_hostid: hostid(env.root).is_some(),
        auto_imported: request.drives.iter().filter_map(cached).collect(),
        last_runs: request.drives.iter().zip(remembered).filter_map(last_run).collect(),
    })
}

/// What is remembered of a drive, and whether it can be continued.
fn of_state(drive: &Drive, loaded: &Loaded, sources: &Side) -> Vec<Finding> {
    let finding =
        |what: String, remedies: Vec<String>| Finding { about: drive.name.to_string(), what, remedies };
    let mut found: Vec<_> =
        loaded.warning.iter().map(|warning| finding(format!("{}.", chain(warning)), Vec::new())).collect();
    let policies = drive.policies(&Consents::default());
    if let BaseState::Danger { why } = standing::base(&policies, sources, drive.guid, &loaded.state.copies) {
        let what = format!("The next increment is in danger: {why}");
        found.push(finding(what, vec![format!("zferry run {}", drive.name)]));
    }
    found
}

/// What a look at a connected drive brings: as `plan` takes it, and what its pool says of itself.
fn of_drive(request: &DoctorRequest, drive: &Drive, env: &Environment<'_>) -> Vec<Finding> {
    let collected = Collected::default();
    let env = &Environment { sink: &collected, ..*env };
    let about =
        |what: String, remedies: Vec<String>| Finding { about: drive.name.to_string(), what, remedies };
    let result = look(request, drive, env);
    let mut found: Vec<_> = collected.warnings().into_iter().map(|text| about(text, Vec::new())).collect();
    match result {
        Ok(findings) => found.extend(findings),
        Err(error) => found.push(about(format!("{}.", chain(&error)), error.remedies())),
    }
    found
}

fn look(request: &DoctorRequest, drive: &Drive, env: &Environment<'_>) -> Result<Vec<Finding>, JobError> {
    let _lock = take_lock(env, drive.guid)?;
    let host = env.host();
    let name = drive.name.as_str();
    let wanted = wanted(drive, Access::ReadOnly, Duration::ZERO);
    let retry = format!("{} run {name}", request.common.command);
    let mut session = Session::open(&host, &wanted)?;
    let guarded = session.guard(&host);
    let env = &Environment { cancel: &guarded, ..*env };
    let host = env.host();
    let afterwards = Afterwards { retry: &retry, imported: session.stays_imported(false) };
    let looked = session
        .examine(&host, Access::ReadOnly, &afterwards)
        .map_err(JobError::from)
        .and_then(|()| check_name(name, &drive.pool, &session))
        .and_then(|()| {
            let planned = PlanOfDrive {
                drive: name,
                pool: &drive.pool,
                guid: drive.guid,
                luks: drive.luks.as_ref(),
                policies: drive.policies(&Consents::default()),
                wait: Duration::ZERO,
                retry: retry.clone(),
            };
            let plan = planned.look(env, &session)?;
            let mut found = of_plan(name, &plan, &afterwards);
            found.extend(around::beside(request, drive, env, &session));
            Ok(found)
        });
    session.tell_damage(&host, &afterwards);
    let unplug = session.close(&host, After::Export, false);
    let mut found = looked?;
    // What else uses the drive did so before, as a container that somebody has open.
    if matches!(unplug, Unplug::Unsafe { .. } | Unplug::Gone { .. }) {
        let what = crate::report::summary::truth(name, &unplug).text;
        found.push(Finding { about: name.to_owned(), what, remedies: Vec::new() });
    }
    Ok(found)
}

/// Keeps the warnings of a look.
#[derive(Default)]
struct Collected(Mutex<Vec<String>>);

impl Collected {
    fn warnings(self) -> Vec<String> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Collected {
    fn event(&self, event: Event) {
        if let Event::Warning { text } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
}
