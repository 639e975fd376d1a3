//! What lies around a backup, collected for [`crate::plan::doctor::around`].

use std::collections::BTreeSet;

use crate::config::request::DoctorRequest;
use crate::config::{Drive, PowerOff};
use crate::drive::{Boot, ask_for_udisks, own_mappings};
use crate::execute::rescue::{self, outdated};
use crate::execute::session::Session;
use crate::execute::{chain, lock};
use crate::model::{DatasetName, Guid, Policy, Side};
use crate::plan::doctor::Finding;
use crate::plan::doctor::around::{AtStart, of_holds, of_init, of_power, of_rescue, of_start};
use crate::plan::doctor::delegated::hints_of_delegations;
use crate::plan::doctor::plug_in::{Installed, PlugIn, command, hint_of_plug_in, hint_of_udisks, of_plug_in};
use crate::plan::rescue::{CONFIG, config};
use crate::zfs::parse::Imported;

use super::super::drive_run::{not_listed, owner};
use super::super::init::{ALTROOT, LOCK};
use super::super::rescue::mount_point;
use super::super::{Environment, JobError};

/// What this computer imports when it starts. Pools that are imported now are told of by their `cachefile`.
pub(super) fn at_start(
    request: &DoctorRequest,
    env: &Environment<'_>,
    policies: &[Policy],
    imported: &[Imported],
) -> Vec<Finding> {
    let boot = Boot::read(env.root);
    let is_imported = |guid: Guid| imported.iter().any(|pool| pool.guid == guid);
    let listed = |drive: &Drive| {
        let (_, name) = boot.listed.iter().find(|(guid, _)| *guid == drive.guid && !is_imported(*guid))?;
        Some((drive.name.to_string(), name.clone()))
    };
    let mut sources = policies.iter().map(|policy| policy.source.pool());
    of_start(&AtStart {
        listed: request.drives.iter().filter_map(listed).collect(),
        scans: boot.scans,
        here: sources.find(|pool| imported.iter().any(|imported| imported.name == *pool)),
    })
}

/// What an `init` left that was cut off. One that is at it holds its lock.
pub(super) fn left_by_init(
    request: &DoctorRequest,
    env: &Environment<'_>,
    imported: &[Imported],
) -> Option<Finding> {
    let _lock = lock::take(env.locks, LOCK, &owner(env)).ok()?;
    let pools = imported.iter().filter(|pool| pool.altroot.as_deref() == Some(ALTROOT));
    let pools: Vec<_> = pools.map(|pool| pool.name.clone()).collect();
    let open = own_mappings(env.root).into_iter().map(|(uuid, _)| uuid);
    let open: Vec<_> = open.filter(|uuid| !request.containers.contains(uuid)).collect();
    of_init(&pools, &open)
}

/// Whether a drive that is plugged in starts a run, and can be powered off after it: what is wrong, and what could be
/// better.
pub(super) fn plug_in(request: &DoctorRequest, env: &Environment<'_>) -> (Vec<Finding>, Vec<Finding>) {
    let (mut found, mut hints) = (Vec::new(), Vec::new());
    if env.root.is_run_by_systemd() {
        let read = |(path, text)| Installed { path, text };
        let unit = env.root.unit("zferry@.service").map(read);
        let installed = PlugIn {
            rule: env.root.udev_rule("90-zferry.rules").map(read),
            lacks_program: unit.as_ref().is_some_and(|unit| !env.root.has_program(command(&unit.text).0)),
            unit,
        };
        found.extend(of_plug_in(&installed));
        hints.extend(hint_of_plug_in(&installed));
    }
    if request.drives.iter().any(|drive| drive.power_off == PowerOff::Yes) {
        hints.extend(ask_for_udisks(env.runner, env.cancel).err().map(|why| hint_of_udisks(&why)));
    }
    (found, hints)
}

/// What runs left held on the sources.
pub(super) fn holds(
    env: &Environment<'_>,
    policies: &[Policy],
    sources: &Side,
    known: &BTreeSet<Guid>,
) -> Result<Vec<Finding>, JobError> {
    let tops: BTreeSet<&DatasetName> =
        policies.iter().map(|policy| &policy.source).filter(|top| sources.get(top).is_some()).collect();
    if tops.is_empty() {
        return Ok(Vec::new());
    }
    let client = env.client();
    let held = client.held(tops).map_err(not_listed)?;
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = held.iter().map(ToString::to_string).collect();
    Ok(of_holds(&client.holds(&names).map_err(not_listed)?, known))
}

/// Who else may do something to the sources. What ZFS does not tell of that is no fault of a backup.
pub(super) fn delegations(env: &Environment<'_>, policies: &[Policy], sources: &Side) -> Vec<Finding> {
    let tops: BTreeSet<&DatasetName> =
        policies.iter().map(|policy| &policy.source).filter(|top| sources.get(top).is_some()).collect();
    let asked = tops.into_iter().map(|top| env.client().delegations(top));
    let told = asked.filter_map(|told| told.inspect_err(|error| log::info!("{}", chain(error))).ok());
    hints_of_delegations(&told.flatten().collect::<Vec<_>>())
}

/// What there is beside the pool of a connected drive.
pub(super) fn beside(
    request: &DoctorRequest,
    drive: &Drive,
    env: &Environment<'_>,
    session: &Session,
) -> Vec<Finding> {
    let (name, disks) = (drive.name.as_str(), session.disks());
    let mut found = Vec::new();
    if drive.power_off == PowerOff::Yes {
        let told: Vec<_> = disks.iter().map(|disk| (disk.to_string(), disk.usb_device.is_some())).collect();
        found.extend(of_power(name, &told));
    }
    if let Some(written) = &drive.rescue {
        let expected = [
            ("README.txt", None),
            ("datasets.txt", None),
            (CONFIG, Some(config(name, &request.common.host, written))),
        ];
        let at = mount_point(env.locks, drive.guid);
        let looked = rescue::find(&env.host(), &disks)
            .and_then(|partition| outdated(&env.host(), &partition, &at, expected.into()));
        found.extend(of_rescue(name, &looked.map_err(|error| chain(&error))));
    }
    found
}
