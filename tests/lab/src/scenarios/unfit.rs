//! Pools that are not as they should be, and datasets that cannot be sent as they are: said with a way out that works.

use anyhow::{Context, Result};

use super::Scenario;
use super::remedies::{backed_up, complete, on_the_drive, remedy, state, unchanged};
use crate::command::Output;
use crate::drive::Drive;
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";
const STAYS: &str = "Safe to unplug t7 (exported; still powered)";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a pool that is not as it should be is left as it is, and the way out works", unfit),
        Scenario::full(
            "damaged data on a drive is told of in every run, and keeps nothing from being backed up",
            damaged,
        ),
        Scenario::full(
            "a dataset that cannot be sent as it is is told why, and the way out works",
            unsendable,
        ),
    ]
}

/// A run that must not touch the drive.
fn refused(lab: &mut Lab, drive: &Drive, words: &str) -> Result<Output> {
    let before = lab.snapshots_on(drive, "backup/eds")?;
    let refused = lab.run("zferry run --no-power-off t7")?;
    refused.exits(1)?.says(words)?.last_word(STAYS)?;
    lab.nothing_is_held("rpool")?;
    lab.drive_has(drive, "backup/eds", &before)?;
    Ok(refused)
}

fn typed(lab: &mut Lab, output: &Output, words: &str) -> Result<Output> {
    let line = remedy(output, words)?;
    let typed = lab.run(&line)?;
    typed.exits(0).with_context(|| format!("the remedy {line:?}"))?;
    Ok(typed)
}

fn unfit(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "ben")?;
    lab.snapshot(HOME, "third")?;

    on_the_drive(lab, guid, "zpool checkpoint backup")?;
    let checkpoint = refused(lab, &t7, "it has a checkpoint")?;
    typed(lab, &checkpoint, "zpool checkpoint -d")?;
    lab.backup(&t7, "")?.counts(&[("done", 3), ("snapshots", 3)])?;

    // Somebody imported it to look at it.
    lab.run(&format!("zpool import -N -o readonly=on -o cachefile=none -d /dev/disk/by-id {guid}"))?
        .exits(0)?;
    let readonly = lab.run("zferry run --no-power-off t7")?;
    readonly.exits(1)?.says("it is imported read-only")?.last_word("t7 is still imported")?;
    typed(lab, &readonly, "zpool export")?;
    lab.backup(&t7, "")?.counts(&[("done", 3), ("sent", 0)])?;

    degraded(lab, &t7, guid)
}

/// A mirror of two disks, one of which was left at home.
fn degraded(lab: &mut Lab, t7: &Drive, guid: u64) -> Result<()> {
    let second = lab.drive("second", "512M")?;
    lab.plug(&second)?;
    let (first, other) = (t7.partition(), second.device());
    let attach = format!("zpool attach -f backup {first} {other}; zpool wait -t resilver backup");
    on_the_drive(lab, guid, &attach)?;
    lab.pull(&second)?;
    lab.snapshot(HOME, "fourth")?;
    let degraded = refused(lab, t7, "its state is DEGRADED")?;
    typed(lab, &degraded, "zpool status")?.says("UNAVAIL")?;
    lab.plug(&second)?;
    lab.backup(t7, "")?.counts(&[("done", 3), ("snapshots", 3)])?;
    Ok(())
}

/// A byte of a file is not what it was, and ZFS has noticed.
fn damaged(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "ben")?;
    let partition = t7.partition();
    // The first block of the first file: behind the two labels and the boot block, 4 MiB (on-disk format, 1.2).
    lab.run(&format!(
        "set -e; block=$(zdb -e -p /dev/disk/by-id -dddddd backup/eds/ben | grep -o 'L0 0:[0-9a-f]*:20000' | head -1); \
         offset=$(echo $block | cut -d: -f2); echo damaged | \
         dd of={partition} bs=1 seek=$(( 0x400000 + 0x$offset + 100 )) conv=notrunc,fsync"
    ))?
    .exits(0)?;
    on_the_drive(lab, guid, "zpool scrub -w backup")?;
    lab.run(&format!("zfs destroy {HOME}/anna@autosnap_2026-01-01_00:00:00_daily"))?.exits(0)?;
    lab.snapshot(HOME, "third")?;
    let told = "ZFS counts 1 data error on the drive";
    lab.backup(&t7, "")?.says(told)?.counts(&[
        ("done", 3),
        ("snapshots", 3),
        ("pruned", 1),
        ("warnings", 1),
    ])?;
    let run = lab.run("zferry run --no-power-off t7")?;
    run.exits(0)?.says(told)?;
    let printed = run.stderr();
    let line = printed.split('`').find(|text| text.contains("zpool scrub")).context("no command")?;
    lab.run(line)?.exits(0)?.says("errors: ")?.says_nothing_of("No known data errors")?;

    on_the_drive(lab, guid, "zfs destroy -r backup/eds/ben; zpool scrub -w backup; zpool scrub -w backup")?;
    lab.backup(&t7, "")?.counts(&[("done", 3), ("snapshots", 2), ("warnings", 0)])?;
    complete(lab, guid, &["ben"])
}

/// One backup for each of these datasets, with what is special about it.
fn configure(lab: &mut Lab, guid: u64, backups: &[(&str, &str)]) -> Result<()> {
    let mut config = format!("[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\n\n");
    for (name, more) in backups {
        config.push_str(&format!(
            "[backups.{name}]\nsource = \"{HOME}/{name}\"\ntarget = \"eds/{name}\"\nprune = \"mirror\"\n{more}\n"
        ));
    }
    lab.write("/etc/zferry/config.toml", config)
}

fn unsendable(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    configure(lab, guid, &[("anna", ""), ("ben", ""), ("carl", "")])?;
    backed_up(lab, &t7, "ben carl")?;
    lab.run(&format!(
        "set -e; zfs create {HOME}/empty; zfs destroy -r {HOME}/ben; zfs create -V 8M {HOME}/ben; \
         zfs create -o recordsize=1M {HOME}/large; head -c 3M /dev/urandom > /home/large/file; \
         for name in anna ben carl large; do zfs snapshot {HOME}/$name@third; done"
    ))?
    .exits(0)?;
    configure(
        lab,
        guid,
        &[
            ("anna", "snapshots = { include = [\"weekly*\"] }\n"),
            ("ben", ""),
            ("carl", "send = \"plain\"\nallow-plaintext = true\n"),
            ("empty", ""),
            ("large", ""),
        ],
    )?;
    let targets = ["anna", "ben", "carl"];
    let before = state(lab, &t7, &targets, &targets)?;
    let run = lab.run("zferry run --no-power-off t7")?;
    run.exits(1)?
        .says("rpool/nixos/home/empty has no snapshot, so there is nothing to send")?
        .says("One of rpool/nixos/home/ben and backup/eds/ben is a volume and the other a filesystem")?
        .says("backup/eds/carl was received the other way (raw or plain) than `send` says now")?
        .says("rpool/nixos/home/anna has 4 snapshots, and none of them is selected")?
        .says("is left out by `include`")?
        .says("4 of 5 datasets were not backed up")?
        .last_word(STAYS)?;
    unchanged(&before, &state(lab, &t7, &targets, &targets)?)?;

    typed(lab, &run, "zfs snapshot rpool/nixos/home/empty")?;
    typed(lab, &run, "zfs rename backup/eds/ben ")?;
    configure(lab, guid, &[("anna", ""), ("ben", ""), ("carl", ""), ("empty", ""), ("large", "")])?;
    lab.backup(&t7, "")?.counts(&[("done", 5), ("failed", 0)])?;
    complete(lab, guid, &["anna", "ben", "carl", "empty", "large"])
}
