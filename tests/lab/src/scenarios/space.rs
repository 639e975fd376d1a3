//! A drive without room: what goes first, what is said, and what becomes of what does not fit.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::Output;
use crate::drive::Drive;
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";
const ANNA: &str = "rpool/nixos/home/anna";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a full drive loses only what may go, and says what is missing otherwise", full),
        Scenario::full(
            "a quota on the drive is named, and the command that raises it works as printed",
            quota,
        ),
        Scenario::full(
            "a drive that fills up in mid-receive keeps what is complete and drops what cannot be",
            in_mid_receive,
        ),
    ]
}

/// A line of shell while the drive's pool is imported to be written to.
fn change(lab: &mut Lab, guid: u64, line: &str) -> Result<()> {
    lab.run(&format!(
        "set -e; zpool import -N -R /run/lab/change -o cachefile=none -d /dev/disk/by-id {guid}; {line}; \
         for try in {{1..15}}; do zpool export backup && exit 0; sleep 1; done; exit 98"
    ))?
    .exits(0)?;
    Ok(())
}

/// Leaves so many MiB on the drive, by reserving the rest: writing would take long here.
fn leave(lab: &mut Lab, guid: u64, mebibytes: u64) -> Result<()> {
    change(
        lab,
        guid,
        &format!(
            "zfs list backup/other || zfs create backup/other; zfs set reservation=none backup/other; \
             zpool sync backup; zfs set reservation=$(( $(zfs get -Hpo value available backup) - {mebibytes} * 1048576 )) backup/other"
        ),
    )
}

/// A backup to a drive that stays in, which may fail.
fn run(lab: &mut Lab, drive: &Drive, code: i32) -> Result<Output> {
    let run = lab.run("zferry run --no-power-off t7")?;
    run.exits(code)?.last_word("Safe to unplug t7 (exported; still powered)")?;
    drive.is_exported()?;
    Ok(run)
}

fn write(lab: &mut Lab, mebibytes: u32, file: &str, snapshot: &str) -> Result<()> {
    lab.run(&format!("head -c {mebibytes}M /dev/urandom > {file} && zpool sync rpool"))?.exits(0)?;
    lab.snapshot(HOME, snapshot)
}

fn full(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    write(lab, 30, "/home/anna/film", "old")?;
    run(lab, &t7, 0)?;
    lab.run("rm /home/anna/film; zpool sync rpool")?.exits(0)?;
    lab.snapshot(HOME, "between")?;
    run(lab, &t7, 0)?;

    // The old film may go, and there is room for the new one only then.
    leave(lab, guid, 20)?;
    lab.run(&format!("zfs destroy -r {HOME}@old"))?.exits(0)?;
    write(lab, 30, "/home/anna/song", "new")?;
    lab.run("zferry plan t7")?.exits(0)?.says("make room before anything is sent")?;
    let made_room = run(lab, &t7, 0)?;
    made_room.says("Space is short on the drive")?.says("Pruned 1 snapshot of “backup/eds/anna”: old.")?;
    let all = lab.snapshots_below(HOME)?;
    lab.drive_has(&t7, "backup/eds", &all)?;

    // Nothing may go any more. A small dataset still travels.
    write(lab, 70, "/home/anna/concert", "large")?;
    lab.run("echo news > /home/letter")?.exits(0)?;
    lab.snapshot(HOME, "newer")?;
    let before = lab.snapshots_on(&t7, "backup/eds/anna")?;
    let refused = run(lab, &t7, 1)?;
    refused
        .says("“rpool/nixos/home/anna” was left alone")?
        .says("are available on the drive")?
        .says("make room on the drive")?
        .says("1 of 2 datasets was not backed up")?;
    ensure!(lab.snapshots_on(&t7, "backup/eds/anna")? == before, "a refused dataset was changed");
    change(lab, guid, "zfs list -H -t snapshot -o name backup/eds@newer")?;
    lab.nothing_is_held("rpool")?;

    change(lab, guid, "zfs destroy backup/other")?;
    run(lab, &t7, 0)?;
    let all = lab.snapshots_below(HOME)?;
    lab.drive_has(&t7, "backup/eds", &all)
}

fn quota(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    run(lab, &t7, 0)?;
    write(lab, 30, "/home/anna/film", "film")?;
    change(lab, guid, "zfs set quota=10M backup/eds")?;
    let refused = run(lab, &t7, 1)?;
    refused.says("below backup/eds on the drive, whose quota is 10.0 MiB.")?;
    let printed = refused.stderr();
    let remedy = printed.lines().find(|line| line.contains("zfs set quota=")).context("no remedy")?;
    let remedy = remedy.split("   (").next().unwrap_or_default().trim();
    lab.run(remedy)?.exits(0)?;
    run(lab, &t7, 0)?;
    lab.one_bookmark_each(guid, &[HOME, ANNA])
}

/// After the plan was made and before the first byte arrives, all but 60 MiB of what there was.
const SOMEBODY_ELSE_TAKES_IT: &str = "if [ \"$1\" = receive ] && mkdir /run/lab/once 2>/dev/null; then\n\
        $real set reservation=$(( $(cat /run/lab/available) - 60 * 1048576 )) backup/other\n\
    fi\n\
    exec $real \"$@\"";

fn in_mid_receive(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    run(lab, &t7, 0)?;
    write(lab, 90, "/home/anna/film", "film")?;
    let complete = lab.snapshots_on(&t7, "backup/eds/anna")?;
    change(lab, guid, "zfs create backup/other; zfs get -Hpo value available backup > /run/lab/available")?;
    lab.in_place_of("zfs", SOMEBODY_ELSE_TAKES_IT)?;
    let failed = lab.run("zferry run --no-power-off t7")?;
    lab.real_again("zfs")?;
    failed
        .exits(1)?
        .says("the drive is full, or a quota on it was reached, in mid-send")?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    t7.is_exported()?;
    lab.plug(&t7)?;
    ensure!(lab.snapshots_on(&t7, "backup/eds/anna")? == complete, "what was complete was changed");
    let token = "zfs get -Hpo value receive_resume_token backup/eds/anna";
    ensure!(lab.on_drive(&t7, "backup", token)?.stdout().starts_with("1-"), "nothing was kept");

    // What is missing does not fit: it only keeps the others from being backed up.
    lab.run("echo news > /home/letter")?.exits(0)?;
    lab.snapshot(HOME, "newer")?;
    run(lab, &t7, 1)?
        .says("drop the interrupted receive of backup/eds/anna")?
        .says("“rpool/nixos/home/anna” was left alone")?
        .says("1 of 2 datasets was not backed up")?;
    ensure!(lab.on_drive(&t7, "backup", token)?.stdout().trim() == "-", "it was not dropped");
    lab.wait_until("the drive is there", Duration::from_secs(10), "udevadm settle")?;

    change(lab, guid, "zfs destroy backup/other")?;
    run(lab, &t7, 0)?;
    let all = lab.snapshots_below(HOME)?;
    lab.drive_has(&t7, "backup/eds", &all)?;
    lab.nothing_is_held("rpool")
}
