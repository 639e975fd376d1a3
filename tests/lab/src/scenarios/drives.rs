//! More than one drive.

use anyhow::{Result, ensure};

use super::Scenario;
use super::remedies::remedy;
use crate::drive::Drive;
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";
const MIB: u64 = 1 << 20;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("two drives with pools of one name alternate and never need a full send", alternate),
        Scenario::full("two computers share a drive, each with copies of its own", share),
    ]
}

fn alternate(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run("head -c 8M /dev/urandom > /home/anna/film")?.exits(0)?;
    let (a, b) = (lab.drive("a", "512M")?, lab.drive("b", "512M")?);
    let of_a = lab.prepare_drive(&a, "backup")?;
    lab.pull(&a)?;
    let of_b = lab.prepare_drive(&b, "backup")?;
    lab.pull(&b)?;
    lab.write(
        "/etc/zferry/config.toml",
        format!(
            "[drives.a]\npool = \"backup\"\npool-guid = \"{of_a}\"\n\n[drives.b]\npool = \"backup\"\n\
             pool-guid = \"{of_b}\"\n\n[backups.home]\nsource = \"{HOME}\"\ntarget = \"eds\"\n\
             prune = \"mirror\"\n"
        ),
    )?;
    for round in 1..=6 {
        let drive = if round % 2 == 1 { &a } else { &b };
        next_day(lab, round)?;
        lab.plug(drive)?;
        let told = lab.zferry(&format!("run {}", drive.name()))?;
        told.ends_with(&format!("Safe to unplug {} (exported and powered off).", drive.name()))?;
        let least = if round <= 2 { 8 * MIB } else { MIB / 4 };
        told.sent_between(least, least + 4 * MIB)?.counts(&[("done", 2), ("failed", 0), ("warnings", 0)])?;
        lab.gone(drive)?;
        few_bookmarks(lab, [of_a, of_b])?;
    }
    both_at_once(lab, &a, &b)?;
    few_bookmarks(lab, [of_a, of_b])
}

/// Something new; and the source keeps nothing of the day before.
fn next_day(lab: &mut Lab, day: u32) -> Result<()> {
    lab.run(&format!(
        "set -e; head -c 256K /dev/urandom > /home/anna/day-{day}; \
         zfs list -H -r -t snapshot -o name {HOME} | xargs -r -n 1 zfs destroy; \
         zfs snapshot -r {HOME}@autosnap_2026-02-0{day}_00:00:00_daily"
    ))?
    .exits(0)?;
    Ok(())
}

fn both_at_once(lab: &mut Lab, a: &Drive, b: &Drive) -> Result<()> {
    next_day(lab, 7)?;
    lab.plug(a)?;
    lab.plug(b)?;
    let output = lab.run("zferry run")?;
    output.exits(0)?;
    for drive in [a, b] {
        let name = drive.name();
        output.says(&format!("Safe to unplug {name} (exported and powered off)."))?;
        lab.gone(drive)?;
        drive.is_exported()?;
    }
    let now = lab.snapshots_below(HOME)?;
    for drive in [a, b] {
        lab.plug(drive)?;
        lab.drive_has(drive, "backup/eds", &now)?;
        lab.pull(drive)?;
    }
    Ok(())
}

/// Two computers have datasets of the same names, and take turns with one drive.
fn share(lab: &mut Lab) -> Result<()> {
    let (drive, guid) = lab.setting("768M")?;
    let config = format!(
        "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\n\n\
         [backups.home]\nsource = \"{HOME}\"\ntarget = \"{{host}}/eds\"\nprune = \"mirror\"\n"
    );
    let first = lab.run("hostname")?.stdout().trim().to_owned();
    // The first one had the drive to itself until now, and its copy moves where the words that are printed put it.
    back_up(lab, &drive, [1, 32])?;
    lab.write("/etc/zferry/config.toml", config.clone())?;
    lab.plug(&drive)?;
    let refused = lab.run("zferry run t7")?;
    refused.exits(1)?.says("what is done about backup/eds takes it along")?;
    lab.gone(&drive)?;
    lab.plug(&drive)?;
    lab.run(&remedy(&refused, "continues it there")?)?.exits(0)?;
    next_day(lab, 1)?;
    back_up(lab, &drive, [0, 3])?;
    let here = lab.snapshots_below(HOME)?;
    let there = lab.elsewhere("nas", |nas| {
        // A computer of its own: those of the lab begin as copies of one.
        nas.encrypted_source("rpool")?;
        nas.run(&format!(
            "set -e; zfs destroy -r {HOME}; zfs create -o mountpoint=/home {HOME}; zfs create {HOME}/anna; \
             head -c 2M /dev/urandom > /home/anna/film; zfs snapshot -r {HOME}@first"
        ))?
        .exits(0)?;
        // What is the other one's is in the way, and stays as it is.
        nas.write("/etc/zferry/config.toml", config.replace("{host}", &first))?;
        nas.plug(&drive)?;
        nas.run("zferry run t7")?.exits(1)?.says(&format!("backup/{first}/eds"))?;
        nas.pull(&drive)?;
        nas.write("/etc/zferry/config.toml", config)?;
        next_day(nas, 1)?;
        back_up(nas, &drive, [0, 32])?;
        next_day(nas, 2)?;
        back_up(nas, &drive, [0, 3])?;
        let there = nas.snapshots_below(HOME)?;
        nas.plug(&drive)?;
        nas.drive_has(&drive, "backup/nas/eds", &there)?;
        nas.drive_has(&drive, &format!("backup/{first}/eds"), &here)?;
        nas.pull(&drive)?;
        Ok(there)
    })?;
    next_day(lab, 3)?;
    back_up(lab, &drive, [0, 3])?;
    let here = lab.snapshots_below(HOME)?;
    lab.plug(&drive)?;
    lab.drive_has(&drive, &format!("backup/{first}/eds"), &here)?;
    lab.drive_has(&drive, "backup/nas/eds", &there)?;
    lab.pull(&drive)
}

/// A run that goes well, and sends between so many and so many MiB.
fn back_up(lab: &mut Lab, drive: &Drive, mebibytes: [u64; 2]) -> Result<()> {
    lab.plug(drive)?;
    let told = lab.zferry("run t7")?;
    told.ends_with("Safe to unplug t7 (exported and powered off).")?;
    told.sent_between(mebibytes[0] * MIB, mebibytes[1] * MIB)?;
    lab.gone(drive)?;
    lab.pull(drive)
}

fn few_bookmarks(lab: &mut Lab, drives: [u64; 2]) -> Result<()> {
    for dataset in [HOME, "rpool/nixos/home/anna"] {
        let bookmarks = lab.bookmarks(dataset)?;
        for drive in drives {
            let count = bookmarks.iter().filter(|b| b.name.starts_with(&format!("zferry_{drive}_"))).count();
            ensure!(count <= 2, "{dataset} has {count} bookmarks of one drive: {bookmarks:?}");
        }
        ensure!(bookmarks.len() <= 4, "{dataset} has bookmarks too many: {bookmarks:?}");
    }
    Ok(())
}
