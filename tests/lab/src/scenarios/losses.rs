//! A source that loses what it had, or of which everything is replaced: the drive keeps it until somebody says otherwise.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::lab::{Lab, Told};

const HOME: &str = "rpool/nixos/home";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "when a source loses nearly all its snapshots, or all its files are encrypted, the drive keeps what it had",
            lost_and_encrypted,
        ),
        Scenario::full("what vanished from the source stays on the drive until its grace ends", grace),
    ]
}

/// What a run tells about one dataset, and what it pruned.
fn warned(told: &Told, pruned: u64, warnings: u64) -> Result<()> {
    told.counts(&[("failed", 0), ("pruned", pruned), ("warnings", warnings)])?;
    Ok(())
}

fn lost_and_encrypted(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run(&format!(
        "set -e; zfs destroy -r {HOME}/anna; head -c 70M /dev/urandom > /home/film; zpool sync rpool; \
         for n in {{10..29}}; do zfs snapshot {HOME}@hourly-$n; done"
    ))?
    .exits(0)?;
    lab.backup(&t7, "")?;
    let all = lab.snapshots_below(HOME)?;

    // 20 of 22 are gone.
    lab.run(&format!("for n in {{10..28}}; do zfs destroy {HOME}@hourly-$n; done; zfs destroy {HOME}@autosnap_2026-01-01_00:00:00_daily"))?
        .exits(0)?;
    lab.run("zferry plan t7")?.exits(0)?.says("20 snapshots that the source no longer has were kept")?;
    let told = lab.backup(&t7, "")?;
    warned(&told, 0, 1)?;
    told.says("20 snapshots that the source no longer has were kept, since that is more than 60 % of its 22 snapshots")?
        .says("would free at least")?
        .says("zferry run t7 --accept-source-loss=backup/eds")?;
    ensure!(lab.snapshots_on(&t7, "backup/eds")? == all, "something is gone from the drive");
    warned(&lab.backup(&t7, "--accept-source-loss=backup/eds")?, 20, 0)?;
    warned(&lab.backup(&t7, "")?, 0, 0)?;

    // Everything is encrypted by somebody, who then waits for the old snapshots to go.
    lab.run(&format!(
        "set -e; head -c 70M /dev/urandom > /home/film.locked; rm /home/film; zpool sync rpool; \
         zfs snapshot {HOME}@hourly-30; zfs destroy {HOME}@autosnap_2026-01-02_00:00:00_daily"
    ))?
    .exits(0)?;
    let told = lab.backup(&t7, "")?;
    warned(&told, 0, 1)?;
    told.says("were replaced or deleted since @hourly-29")?.says("--accept-source-loss=backup/eds")?;
    // A day later nothing looks unusual any more, and it is remembered on the drive.
    lab.run(&format!("zfs destroy {HOME}@hourly-29; zfs snapshot {HOME}@hourly-31; rm -r /var/lib/zferry"))?
        .exits(0)?;
    let told = lab.backup(&t7, "")?;
    warned(&told, 0, 1)?;
    told.says("most of what the source had was replaced or deleted since @hourly-29")?
        .says("2 snapshots that the source no longer has were kept")?;
    let there = lab.snapshots_on(&t7, "backup/eds")?;
    ensure!(there.iter().any(|(name, ..)| name == "@hourly-29"), "the last good one is gone: {there:?}");

    warned(&lab.backup(&t7, "--accept-source-loss=backup/eds")?, 2, 0)?;
    lab.run(&format!("zfs destroy {HOME}@hourly-30; zfs snapshot {HOME}@hourly-32"))?.exits(0)?;
    warned(&lab.backup(&t7, "")?, 1, 0)
}

fn grace(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.configure_drive("t7", guid, "grace = \"30d\"\n")?;
    lab.run(&format!("zfs destroy -r {HOME}/anna"))?.exits(0)?;
    lab.snapshot(HOME, "newest")?;
    lab.backup(&t7, "")?;
    let all = lab.snapshots_below(HOME)?;
    lab.run(&format!("zfs destroy {HOME}@autosnap_2026-01-01_00:00:00_daily"))?.exits(0)?;

    let kept = "1 snapshot that the source no longer has stays until its grace ends, on";
    let told = lab.backup(&t7, "")?;
    warned(&told, 0, 0)?;
    told.says(kept)?;
    lab.run("zferry plan t7")?.exits(0)?.says(kept)?;

    // The host forgets, and 20 days pass; then somebody writes nonsense on the drive.
    later(lab, 20)?;
    warned(&lab.backup(&t7, "")?, 0, 0)?;
    let snapshot = "backup/eds@autosnap_2026-01-01_00:00:00_daily";
    mark(lab, &t7, &format!("zfs set org.zferry:missing=99999999999999999999 {snapshot}"))?;
    warned(&lab.backup(&t7, "")?, 0, 0)?;
    later(lab, 20)?;
    warned(&lab.backup(&t7, "")?, 0, 0)?;
    ensure!(lab.snapshots_on(&t7, "backup/eds")? == all, "it did not stay");

    later(lab, 11)?;
    warned(&lab.backup(&t7, "")?, 1, 0)?;
    warned(&lab.backup(&t7, "")?, 0, 0)
}

fn later(lab: &mut Lab, days: u32) -> Result<()> {
    lab.run(&format!("rm -r /var/lib/zferry; date -s '+{days} days'"))?.exits(0)?;
    Ok(())
}

/// A line of shell while the drive is imported to be written to.
fn mark(lab: &mut Lab, drive: &Drive, line: &str) -> Result<()> {
    lab.run(&format!(
        "set -e; zpool import -N -R /run/lab/change -o cachefile=none -d {} backup; {line}; zpool export backup",
        drive.partition()
    ))?
    .exits(0)?;
    Ok(())
}
