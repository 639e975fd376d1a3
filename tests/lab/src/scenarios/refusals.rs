//! Drives that must not be used, or not yet.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::drive::label::State;
use crate::lab::{CTRL_C, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("of two drives whose pools have one name the right one is used", one_name),
        Scenario::core("an absent drive is not now, and a person may plug it in", absent),
        Scenario::core("a drive that another host used last is taken over only by that host's name", foreign),
        Scenario::core("a dataset that is refused or fails keeps no other from being backed up", one_fails),
    ]
}

fn one_name(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    let other = lab.drive("other", "512M")?;
    lab.run("udevadm settle")?.exits(0)?;
    let other_guid = lab.prepare_drive(&other, "backup")?;
    let before = other.sha256()?;

    lab.run("zferry run t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    ensure!(other.sha256()? == before, "the other drive was written to");

    // Only the other one is there.
    let alone = lab.run("zferry run t7")?;
    alone.exits(75)?.says("t7 is not connected")?.says(&other_guid.to_string())?.says("LABOTHER")?;
    ensure!(other.sha256()? == before, "the other drive was written to");

    // The same pool on two disks: neither may be used.
    lab.pull(&t7)?;
    let copy = lab.copy_drive(&t7, "copy")?;
    lab.plug(&t7)?;
    lab.plug(&copy)?;
    let sums = (t7.sha256()?, copy.sha256()?);
    lab.run("zferry run t7")?.exits(1)?.says("LABT7")?.says("LABCOPY")?.says("copies of each other")?;
    lab.not_imported("backup")?;
    ensure!((t7.sha256()?, copy.sha256()?) == sums, "one of the copies was written to");
    Ok(())
}

fn absent(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.pull(&t7)?;
    lab.wait_until("udev knows that t7 is gone", Duration::from_secs(30), "! test -e /dev/disk/by-id/usb*")?;

    let alone = lab.run("zferry run t7")?;
    alone.exits(75)?.says("t7 is not connected")?.says("plug it in")?;
    ensure!(alone.took < Duration::from_secs(15), "it waited {:?} without a terminal", alone.took);
    lab.run("zferry plan t7")?.exits(75)?.says("t7 is not connected")?;
    lab.run("zferry eject t7")?.exits(75)?.says("t7 is not connected")?;
    lab.run("zferry run")?.exits(75)?;
    lab.run("zferry run --wait=2s t7")?.exits(75)?.says("Plug in t7; waiting up to 2 s.")?;

    let mut waiting = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut waiting, "Plug in t7")?;
    lab.type_into(&waiting, CTRL_C)?;
    let stopped = lab.finish(waiting)?;
    stopped.exits(130)?.says_nothing_of("unplug")?;

    let mut waiting = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut waiting, "Plug in t7")?;
    lab.plug(&t7)?;
    let run = lab.finish(waiting)?;
    run.exits(0)?.says("t7 is connected")?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    t7.is_exported()
}

fn foreign(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    // Another computer has the drive. It is pulled out there without an export.
    lab.run(&format!(
        "set -e; cat /sys/module/spl/parameters/spl_hostid > /run/lab/hostid; \
         echo 3735928559 > /sys/module/spl/parameters/spl_hostid; hostname elsewhere; \
         zpool import -N -R /run/lab/there -o cachefile=none -d /dev/disk/by-id {guid}; zpool sync backup"
    ))?
    .exits(0)?;
    let visitor = lab.copy_drive(&t7, "visitor")?;
    lab.run(
        "set -e; zpool export backup; hostname $(cat /etc/hostname); \
         cat /run/lab/hostid > /sys/module/spl/parameters/spl_hostid",
    )?
    .exits(0)?;
    lab.pull(&t7)?;
    ensure!(visitor.label()?.state()? == State::Active, "the drive was not left imported");
    lab.plug(&visitor)?;
    let before = visitor.sha256()?;

    let refused = lab.run("zferry run t7")?;
    refused.exits(1)?.says("last used by elsewhere (hostid deadbeef)")?.says("--last-used-by=elsewhere")?;
    lab.not_imported("backup")?;
    let wrong = lab.run("zferry run t7 --last-used-by=nearby")?;
    wrong.exits(1)?.says("last used by elsewhere")?.says("not by nearby")?;
    lab.not_imported("backup")?;
    lab.run("zferry plan t7")?.exits(1)?.says("last used by elsewhere")?;
    ensure!(visitor.sha256()? == before, "a refused drive was written to");

    let run = lab.run("zferry run t7 --last-used-by=elsewhere")?;
    run.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&visitor)?;
    visitor.is_exported()?;
    // It is this computer's now, and the consent is no longer needed.
    lab.plug(&visitor)?;
    lab.run("zferry run t7 --last-used-by=elsewhere")?.exits(0)?;
    Ok(())
}

fn one_fails(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run("zfs create rpool/nixos/home/carl; zfs snapshot rpool/nixos/home/carl@first")?.exits(0)?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.plug(&t7)?;
    // One dataset of the drive gets a snapshot of somebody else's, another one has no room for more.
    lab.run(&format!(
        "set -e; zpool import -N -R /run/lab/look -o cachefile=none -d /dev/disk/by-id {guid}; \
         zfs snapshot backup/eds/anna@mine; zfs set quota=1M backup/eds/carl; \
         zpool export backup; udevadm settle; head -c 8M /dev/urandom > /home/carl/film"
    ))?
    .exits(0)?;
    lab.snapshot("rpool/nixos/home", "second")?;

    let run = lab.run("zferry run t7")?;
    run.exits(1)?
        .says("1 snapshot newer than the newest common one")?
        .says("@mine")?
        .says("zfs rename backup/eds/anna backup/eds/anna_old")?
        .says("2 of 3 datasets were not backed up")?
        .last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    lab.plug(&t7)?;
    lab.look_into(guid)?;
    lab.same_snapshots("rpool/nixos/home", "backup/eds")?;
    let anna = lab.guids("backup/eds/anna")?;
    ensure!(anna.last().is_some_and(|last| last.name == "mine"), "the snapshot of somebody else is gone");
    lab.run(
        "zpool export backup; zfs set quota=none rpool/nixos/home; zfs holds -rH rpool/nixos/home@second",
    )?
    .exits(0)?
    .prints("")?;
    Ok(())
}
