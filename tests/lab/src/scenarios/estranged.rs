//! What is refused because of what was done to the sources: renamed, promoted, created anew, rolled back, gone.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::remedies::{backed_up, complete, remedy, state, unchanged};
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";
const MIB: u64 = 1 << 20;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a source that is not what it was is refused, and each remedy works", estranged),
        Scenario::full("a source that is gone or renamed as a whole leaves its copy as it is", renamed),
    ]
}

fn estranged(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "ben carl dora emil")?;
    lab.run(&format!("echo lost >> /home/emil/file; zfs snapshot {HOME}/emil@third"))?.exits(0)?;
    lab.backup(&t7, "")?;
    lab.run(&format!(
        "set -e; zfs clone {HOME}/anna@second {HOME}/anna2; zfs promote {HOME}/anna2; \
         zfs rename {HOME}/ben {HOME}/benno; \
         zfs destroy -r {HOME}/carl; zfs create {HOME}/carl; echo new > /home/carl/file; \
         zfs destroy -r {HOME}/dora; zfs rollback -r {HOME}/emil@second"
    ))?
    .exits(0)?;
    lab.snapshot(HOME, "third")?;

    let sources = ["anna", "benno", "carl", "emil"];
    let targets = ["anna", "ben", "carl", "dora", "emil"];
    let before = state(lab, &t7, &sources, &targets)?;
    let refused = lab.run("zferry run --no-power-off t7")?;
    refused
        .exits(1)?
        .says("rpool/nixos/home/anna and backup/eds/anna have no snapshot in common")?
        .says("rpool/nixos/home/anna is a clone of rpool/nixos/home/anna2@second")?
        .says("A copy of rpool/nixos/home/benno is on this drive already, as backup/eds/ben")?
        .says("backup/eds/carl is encrypted with another master key")?
        .says("The source of backup/eds/dora is gone. The copy is left as it is.")?
        .says("1 snapshot newer than the newest common one (backup/eds/emil@second): @third")?
        .says("4 of 6 datasets were not backed up")?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    t7.is_exported()?;
    unchanged(&before, &state(lab, &t7, &sources, &targets)?)?;
    complete(lab, guid, &["anna2"])?;

    for words in ["zfs promote", "zfs rename backup/eds/ben backup/eds/benno", "zfs rename backup/eds/carl "]
    {
        let line = remedy(&refused, words)?;
        lab.run(&line)?.exits(0).with_context(|| format!("the remedy {line:?}"))?;
    }
    let line = remedy(&refused, "--rollback-target=backup/eds/emil")?;
    lab.run(&line)?.exits(0)?.says("which destroys @third there")?;
    lab.gone(&t7)?;
    lab.plug(&t7)?;
    let last = lab.zferry("run --no-power-off t7")?;
    // Nobody but carl was sent in full, and what anna2 lost to anna stays on the drive.
    last.counts(&[("failed", 0), ("sent", 0)])?;
    complete(lab, guid, &["anna", "benno", "carl", "emil"])?;
    let old = "zfs list -H -o name -t snapshot -r backup/eds/carl_old backup/eds/dora";
    let old = lab.on_drive(&t7, "backup", old)?;
    ensure!(old.stdout().lines().count() == 2, "an old copy is gone: {}", old.stdout());
    Ok(())
}

fn renamed(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "ben")?;
    lab.run(&format!("zfs rename {HOME} rpool/nixos/people"))?.exits(0)?;
    let copy = lab.snapshots_on(&t7, "backup/eds")?;
    let refused = lab.run("zferry run --no-power-off t7")?;
    refused.exits(1)?.says("rpool/nixos/home was renamed to rpool/nixos/people")?;
    lab.drive_has(&t7, "backup/eds", &copy)?;
    lab.run(&remedy(&refused, "zfs rename rpool/nixos/people")?)?.exits(0)?;
    lab.run("head -c 256K /dev/urandom > /home/ben/song")?.exits(0)?;
    lab.snapshot(HOME, "third")?;
    lab.backup(&t7, "")?.sent_between(MIB / 4, MIB)?;
    complete(lab, guid, &["anna", "ben"])?;

    redacted(lab, guid)
}

/// What both sides had newest is gone from the source, and its only bookmark stands for less than it.
fn redacted(lab: &mut Lab, guid: u64) -> Result<()> {
    lab.run(&format!(
        "set -e; zfs clone -o mountpoint=/part {HOME}/ben@third rpool/part; rm /part/song; \
         zfs snapshot rpool/part@part; zfs redact {HOME}/ben@third part rpool/part@part; zfs destroy -r rpool/part; \
         zfs destroy {HOME}/ben#zferry_{guid}_$(zfs get -Hp -o value guid {HOME}/ben@third); \
         zfs snapshot {HOME}/ben@fourth; zfs destroy {HOME}/ben@third; zfs list -H -t bookmark {HOME}/ben"
    ))?
    .exits(0)?;
    let refused = lab.run("zferry run --no-power-off t7")?;
    refused.exits(1)?.says("1 snapshot newer than the newest common one (backup/eds/ben@second): @third")?;
    let run = lab.run(&remedy(&refused, "--rollback-target=backup/eds/ben")?)?;
    run.exits(0)?.says("which destroys @third there")?;
    Ok(())
}
