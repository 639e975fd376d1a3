//! zferry beside the tools that people have: sanoid, syncoid, and what they type instead.

use anyhow::{Result, ensure};

use super::Scenario;
use super::backup::configure;
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";
const MIB: u64 = 1 << 20;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a drive that syncoid made is continued without a full send", continues_syncoid),
        Scenario::full("the drive mirrors what sanoid takes and prunes", mirrors_sanoid),
        Scenario::full("replicate does what the alias with syncoid did", replicates),
    ]
}

/// The drive of the article: made with syncoid, and configured by hand afterwards.
fn continues_syncoid(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run("head -c 8M /dev/urandom > /home/film")?.exits(0)?;
    lab.snapshot(HOME, "autosnap_2026-01-03_00:00:00_daily")?;
    let t7 = lab.drive("t7", "1G")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    lab.run(&format!(
        "set -e; zpool import -N -R /run/lab/altroot -d {} backup; \
         syncoid --sendoptions=w --compress=none --no-sync-snap --no-rollback {HOME} backup/eds; \
         zfs set readonly=on snapdir=visible mountpoint=/mnt/backup_pool/eds backup/eds; \
         zfs list -r -t all backup; zpool export backup",
        t7.partition()
    ))?
    .exits(0)?;
    configure(lab, &t7, "backup", guid, "recursive = false\n")?;
    let made = lab.snapshots_on(&t7, "backup/eds")?;
    ensure!(made.len() == 3, "syncoid sent something else: {made:?}");

    lab.run(&format!(
        "set -e; head -c 512K /dev/urandom > /home/song; \
         zfs snapshot {HOME}@autosnap_2026-01-04_00:00:00_daily; \
         zfs destroy {HOME}@autosnap_2026-01-01_00:00:00_daily"
    ))?
    .exits(0)?;
    lab.run("zferry plan t7")?.exits(0)?.says("autosnap_2026-01-01_00:00:00_daily")?;
    let told = lab.backup(&t7, "")?;
    told.sent_between(MIB / 2, MIB)?.counts(&[
        ("done", 1),
        ("snapshots", 1),
        ("pruned", 0),
        ("warnings", 1),
    ])?;
    told.says("the first run that mirrors this source there prunes nothing")?
        .says("@autosnap_2026-01-01_00:00:00_daily")?;
    let mut both = made.clone();
    both.extend(alone(lab)?);
    lab.drive_has(&t7, "backup/eds", &both)?;

    let told = lab.backup(&t7, "")?;
    told.counts(&[("done", 1), ("sent", 0), ("pruned", 1), ("warnings", 0)])?;
    let now = alone(lab)?;
    lab.drive_has(&t7, "backup/eds", &now)?;
    lab.one_bookmark_each(guid, &[HOME])?;
    // What the user set is as it was.
    let get = "zfs get -H -o property,value,source readonly,snapdir,mountpoint backup/eds";
    lab.on_drive(&t7, "backup", get)?.prints(
        "readonly\ton\tlocal\nsnapdir\tvisible\tlocal\nmountpoint\t/run/lab/altroot/mnt/backup_pool/eds\tlocal",
    )?;
    lab.nothing_is_held("rpool")
}

/// The snapshots of the source without those of the datasets below it.
fn alone(lab: &mut Lab) -> Result<crate::lab::Copied> {
    Ok(lab.snapshots_below(HOME)?.into_iter().filter(|(name, ..)| name.starts_with('@')).collect())
}

const SANOID: &str = "\
[rpool/nixos/home]
use_template = lab
recursive = yes
[template_lab]
frequently = 0
hourly = 3
daily = 2
weekly = 0
monthly = 0
yearly = 0
autosnap = yes
autoprune = yes
";

fn mirrors_sanoid(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.write("/etc/sanoid/sanoid.conf", SANOID)?;
    let t7 = lab.drive("t7", "1G")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    configure(lab, &t7, "backup", guid, "prune-limit = \"100%\"\n")?;
    let mut seen = crate::lab::Copied::new();
    for (round, hours) in [1, 2, 5, 26].into_iter().enumerate() {
        for hour in 0..hours.min(3) {
            let step = if hour == 0 { hours - hours.min(3) + 1 } else { 1 };
            lab.run(&format!(
                "set -e; date -s '+{step} hours'; echo {round}.{hour} > /home/anna/letter; \
                 sanoid --take-snapshots --quiet"
            ))?
            .exits(0)?;
        }
        lab.run("sanoid --prune-snapshots --force-update --verbose")?.exits(0)?;
        let now = lab.snapshots_below(HOME)?;
        lab.backup(&t7, "")?.counts(&[("done", 2), ("warnings", 0)])?;
        lab.drive_has(&t7, "backup/eds", &now)?;
        lab.one_bookmark_each(guid, &[HOME, "rpool/nixos/home/anna"])?;
        seen.extend(now);
    }
    let last = lab.snapshots_below(HOME)?;
    ensure!(seen.len() > last.len() + 6, "sanoid pruned next to nothing: {} of {}", last.len(), seen.len());
    Ok(())
}

fn replicates(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let t7 = lab.drive("t7", "1G")?;
    lab.prepare_drive(&t7, "backup")?;
    lab.run("! test -e /etc/zferry/config.toml")?.exits(0)?;
    let replicate = format!("replicate --recursive --prune mirror --power-off {HOME} backup/eds");

    let before = t7.sha256()?;
    lab.run(&format!("zferry {replicate} -n"))?.exits(0)?.says("4 snapshots")?;
    t7.is_exported()?;
    ensure!(t7.sha256()? == before, "looking at what would be done has changed the drive");

    let told = lab.zferry(&replicate)?;
    told.counts(&[("done", 2), ("snapshots", 4), ("failed", 0)])?;
    told.ends_with("Safe to unplug backup (exported and powered off).")?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    lab.run(&format!(
        "echo new > /home/anna/letter; zfs destroy -r {HOME}@autosnap_2026-01-01_00:00:00_daily"
    ))?
    .exits(0)?;
    lab.snapshot(HOME, "autosnap_2026-01-03_00:00:00_daily")?;
    lab.plug(&t7)?;
    let told = lab.zferry(&replicate)?;
    told.counts(&[("done", 2), ("snapshots", 2), ("pruned", 2), ("warnings", 0)])?;
    told.sent_between(1, MIB)?.ends_with("Safe to unplug backup (exported and powered off).")?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    lab.plug(&t7)?;
    let now = lab.snapshots_below(HOME)?;
    lab.drive_has(&t7, "backup/eds", &now)
}
