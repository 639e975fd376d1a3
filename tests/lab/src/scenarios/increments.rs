//! The second backup and all after it: what travels, what goes, and what is left alone.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::backup::configure;
use crate::drive::Drive;
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";
const ANNA: &str = "rpool/nixos/home/anna";
const MIB: u64 = 1 << 20;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("only what is new travels, and what is gone from the source is pruned", what_is_new)
            .also_on_the_oldest(),
        Scenario::core(
            "a bookmark carries the next increment, and nothing depends on what the host remembers",
            bookmark_carries,
        ),
        Scenario::core("deselecting and excluding delete nothing on the drive", deselecting),
    ]
}

/// A source with this many MiB in it, and a drive that has all of it.
fn backed_up(lab: &mut Lab, mebibytes: u64, more: &str) -> Result<(Drive, u64)> {
    let t7 = lab.drive("t7", "1G")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    configure(lab, &t7, "backup", guid, more)?;
    lab.run(&format!("head -c {mebibytes}M /dev/urandom > /home/anna/film"))?.exits(0)?;
    lab.snapshot(HOME, "autosnap_2026-01-03_00:00:00_daily")?;
    lab.backup(&t7, "")?.sent_between(mebibytes * MIB, (mebibytes + 12) * MIB)?;
    Ok((t7, guid))
}

fn what_is_new(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let (t7, guid) = backed_up(lab, 24, "")?;

    lab.run("head -c 3M /dev/urandom > /home/anna/song")?.exits(0)?;
    lab.snapshot(HOME, "autosnap_2026-01-04_00:00:00_daily")?;
    let told = lab.backup(&t7, "")?;
    told.sent_between(3 * MIB, 4 * MIB)?.counts(&[("done", 2), ("snapshots", 2), ("pruned", 0)])?;
    let first = lab.snapshots_below(HOME)?;
    lab.drive_has(&t7, "backup/eds", &first)?;

    // Nothing is new; one snapshot is renamed, one destroyed.
    lab.run(&format!(
        "set -e; zfs rename {ANNA}@autosnap_2026-01-02_00:00:00_daily {ANNA}@precious; \
         zfs destroy -r {HOME}@autosnap_2026-01-01_00:00:00_daily"
    ))?
    .exits(0)?;
    let told = lab.backup(&t7, "")?;
    told.counts(&[("done", 2), ("sent", 0), ("snapshots", 0), ("pruned", 2), ("warnings", 0)])?;
    told.says("nothing new to send")?.says("2 pruned")?;
    let gone = |name: &str| name.ends_with("@autosnap_2026-01-01_00:00:00_daily");
    let left = first.into_iter().filter(|(name, ..)| !gone(name)).collect();
    lab.drive_has(&t7, "backup/eds", &left)?;

    let told = lab.backup(&t7, "")?;
    told.counts(&[("done", 2), ("sent", 0), ("pruned", 0), ("warnings", 0)])?;
    lab.one_bookmark_each(guid, &[HOME, ANNA])?;
    lab.nothing_is_held("rpool")
}

/// The source keeps nothing that the drive has, the host forgets everything, twice.
fn bookmark_carries(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run(&format!(
        "for n in {{10..20}}; do zfs snapshot {ANNA}@autosnap_2026-01-02_$n:00:00_hourly; done"
    ))?
    .exits(0)?;
    let (t7, guid) = backed_up(lab, 8, "")?;
    let old = lab.snapshots_below(HOME)?;
    ensure!(old.len() == 3 + 14, "another number of snapshots: {old:?}");

    let forget = "set -e; test -s /var/lib/zferry/t7.json; rm -r /var/lib/zferry";
    lab.run(&format!(
        "{forget}; zfs list -H -r -t snapshot -o name {HOME} | xargs -n 1 zfs destroy; \
         head -c 512K /dev/urandom > /home/anna/song"
    ))?
    .exits(0)?;
    lab.snapshot(HOME, "autosnap_2026-02-01_00:00:00_daily")?;
    let told = lab.backup(&t7, "")?;
    // Of home's three snapshots all are gone, which nobody is asked about; of anna's fourteen too, and that is.
    told.sent_between(MIB / 2, MIB)?;
    told.counts(&[("done", 2), ("snapshots", 2), ("pruned", 3), ("warnings", 1)])?;
    told.says("backup/eds/anna: 14 snapshots that the source no longer has were kept")?;
    told.says("zferry run t7 --accept-source-loss=backup/eds/anna")?;
    let new = lab.snapshots_below(HOME)?;
    let kept = old.iter().filter(|(name, ..)| name.starts_with("/anna@")).chain(&new).cloned().collect();
    lab.drive_has(&t7, "backup/eds", &kept)?;
    lab.one_bookmark_each(guid, &[HOME, ANNA])?;

    // As careful without its memory, until it is told.
    lab.run(forget)?.exits(0)?;
    lab.backup(&t7, "")?.counts(&[("sent", 0), ("pruned", 0), ("warnings", 1)])?;
    lab.run(forget)?.exits(0)?;
    let told = lab.backup(&t7, "--accept-source-loss=backup/eds/anna")?;
    told.counts(&[("sent", 0), ("pruned", 14), ("warnings", 0)])?;
    lab.drive_has(&t7, "backup/eds", &new)
}

fn deselecting(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.snapshot(HOME, "by-hand")?;
    let (t7, guid) = backed_up(lab, 8, "")?;
    let all = lab.snapshots_below(HOME)?;

    // Fewer names are selected, also of those that the source has no more.
    configure(lab, &t7, "backup", guid, "snapshots = { include = [\"*_daily\"] }\n")?;
    lab.run(&format!("zfs destroy -r {HOME}@by-hand"))?.exits(0)?;
    lab.snapshot(HOME, "also-by-hand")?;
    lab.backup(&t7, "")?.counts(&[("done", 2), ("sent", 0), ("pruned", 0), ("warnings", 0)])?;
    lab.drive_has(&t7, "backup/eds", &all)?;

    // A dataset is left out; meanwhile the source loses what its copy builds on.
    configure(lab, &t7, "backup", guid, "exclude = [\"anna\"]\n")?;
    lab.run(&format!(
        "set -e; zfs list -H -d 1 -t snapshot -o name {ANNA} | xargs -n 1 zfs destroy; \
         head -c 512K /dev/urandom > /home/anna/song"
    ))?
    .exits(0)?;
    lab.snapshot(HOME, "autosnap_2026-01-04_00:00:00_daily")?;
    let told = lab.backup(&t7, "")?;
    told.counts(&[("done", 1), ("snapshots", 2), ("pruned", 1)])?.sent_between(1, MIB)?;
    let there = lab.snapshots_on(&t7, "backup/eds")?;
    let of_anna = |name: &str| name.starts_with("/anna@");
    let before: Vec<_> = all.iter().filter(|(name, ..)| of_anna(name)).collect();
    let after: Vec<_> = there.iter().filter(|(name, ..)| of_anna(name)).collect();
    ensure!(before == after, "the copy of anna was not left alone: {after:?}");

    // It is wanted again, and goes on from where it was.
    configure(lab, &t7, "backup", guid, "prune-limit = \"100%\"\n")?;
    let told = lab.backup(&t7, "")?;
    told.sent_between(MIB / 2, MIB)?.counts(&[("done", 2), ("snapshots", 1), ("failed", 0)])?;
    let newest = lab.guids(ANNA)?.pop().context("no snapshot")?;
    let there = lab.snapshots_on(&t7, "backup/eds/anna")?;
    ensure!(there.iter().any(|(_, guid, _)| *guid == newest.guid), "{newest:?} did not arrive: {there:?}");
    Ok(())
}
