//! The bad days of a session: interruptions, a busy drive, a power-off that does not work.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::drive::label::State;
use crate::lab::{CTRL_C, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a pool that the user imported is used and left imported", imported),
        Scenario::core("a drive that a process keeps busy is not called safe, and eject finishes", busy)
            .also_on_the_oldest(),
        Scenario::core(
            "a drive that cannot be powered off is told so, and is exported all the same",
            power_off,
        ),
        Scenario::core("an interrupted send is resumed by the next run", interrupted),
        Scenario::core("a run that was killed in mid-send is finished by the next one", killed)
            .also_on_the_oldest(),
    ]
}

fn imported(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    let import = format!("zpool import -N -o cachefile=none -R /run/lab/mine -d /dev/disk/by-id {guid}");
    lab.run(&import)?.exits(0)?;
    let run = lab.run("zferry run t7")?;
    run.exits(0)?
        .says("“backup” was imported before this run")?
        .says_nothing_of("Safe to unplug")?
        .last_word("t7 is still imported, as it was before; do NOT unplug it before `zferry eject t7`.")?;
    lab.run("zpool list -H -o name,altroot backup")?.prints("backup\t/run/lab/mine")?;
    lab.same_snapshots("rpool/nixos/home", "backup/eds")?;
    lab.run("zferry plan t7")?.exits(0)?.says("t7 is still imported")?.says_nothing_of("Safe")?;

    let run = lab.run("zferry run t7 --eject")?;
    run.exits(0)?
        .says_nothing_of("still imported")?
        .last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    // Another pool of that name: the drive's cannot be imported beside it.
    lab.plug(&t7)?;
    let before = t7.sha256()?;
    lab.run("truncate -s 128M /root/pool && zpool create -m none backup /root/pool")?.exits(0)?;
    let refused = lab.run("zferry run t7")?;
    refused.exits(1)?.says("a pool named backup is imported already")?.says(&guid.to_string())?;
    lab.run("zferry run t7 --eject")?.exits(1)?;
    lab.run("zpool list -H -o health backup")?.prints("ONLINE")?;
    ensure!(t7.sha256()? == before, "the drive was written to");
    Ok(())
}

/// More data than a send, a receive and the kernel hold between source and drive.
pub(super) fn much(lab: &mut Lab) -> Result<()> {
    lab.run("head -c 80M /dev/urandom > /home/anna/film && zpool sync rpool")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "much")
}

fn busy(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run(&format!(
        "set -e; zpool import -N -R /run/lab/mine -o cachefile=none -d /dev/disk/by-id {guid}; \
         zfs create -o canmount=noauto -o mountpoint=/plain backup/plain; zpool export backup; udevadm settle"
    ))?
    .exits(0)?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 9)?;
    // A shell that stands in it, and a service with mounts of its own, which were there when it began.
    lab.run(&format!(
        "set -e; zfs mount backup/plain; cd /run/zferry/{guid}/plain; \
         setsid sleep 1001 >/dev/null 2>&1 </dev/null & cd /; \
         setsid unshare --mount sleep 1002 >/dev/null 2>&1 </dev/null & sleep 1"
    ))?
    .exits(0)?;
    let shell = lab.run("pgrep -xf 'sleep 1001'")?.number()?;
    let service = lab.run("pgrep -xf 'sleep 1002'")?.number()?;
    let run = lab.finish(run)?;
    run.exits(1)?
        .says(&format!("process {shell}"))?
        .says(&format!("process {service}"))?
        .says_nothing_of("Safe to unplug")?
        .last_word("Do NOT unplug t7: ")?;
    lab.same_snapshots("rpool/nixos/home/anna", "backup/eds/anna")?;

    lab.run(&format!("kill {shell}"))?.exits(0)?;
    let still = lab.run("zferry eject t7")?;
    still.exits(1)?.says(&format!("process {service}"))?.last_word("Do NOT unplug t7: ")?;
    lab.run(&format!("kill {service}"))?.exits(0)?;
    let done = lab.run("zferry eject t7")?;
    done.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    t7.is_exported()
}

fn power_off(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    // udisks refuses.
    lab.run(
        "mv /usr/bin/udisksctl /root/; printf '#!/bin/sh\\necho \"Error powering off drive: no\" >&2; exit 1\\n' \
         > /usr/bin/udisksctl; chmod +x /usr/bin/udisksctl",
    )?
    .exits(0)?;
    let run = lab.run("zferry run t7")?;
    run.exits(0)?
        .says("Warning: t7 could not be powered off")?
        .says("Error powering off drive: no")?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    t7.is_exported()?;
    // There is none: the kernel is asked.
    lab.run("rm /usr/bin/udisksctl")?.exits(0)?;
    lab.run("zferry eject t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    lab.plug(&t7)?;
    lab.run("mv /root/udisksctl /usr/bin/; systemctl mask --runtime --now udisks2")?.exits(0)?;
    lab.run("zferry eject t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    lab.run("systemctl unmask --runtime udisks2")?.exits(0)?;
    beside_another(lab)
}

/// Another file system of the same drive is in use: the pool is exported, and unplugging would still do harm.
fn beside_another(lab: &mut Lab) -> Result<()> {
    let wd = lab.drive("wd", "512M")?;
    lab.plug(&wd)?;
    let (device, partition) = (wd.device(), wd.partition());
    let guid = lab
        .run(&format!(
            "set -e; sgdisk --new=1:0:+384M --new=2:0:0 {device} >&2; udevadm wait --settle {partition}; \
             mkfs.ext4 -q {device}-part2; mkdir -p /mnt/other; mount {device}-part2 /mnt/other; \
             zpool create -m none backup {partition}; zpool get -Hp -o value guid backup; \
             zpool export backup; udevadm settle"
        ))?
        .exits(0)?
        .number()?;
    lab.configure_drive("wd", guid, "")?;
    let run = lab.run("zferry run wd")?;
    run.exits(0)?
        .says("is mounted on /mnt/other")?
        .says_nothing_of("Safe to unplug")?
        .last_word("Do NOT unplug wd")?;
    wd.is_exported()?;
    lab.run("touch /mnt/other/alive && umount /mnt/other")?.exits(0)?;
    lab.run("zferry eject wd")?.exits(0)?.last_word("Safe to unplug wd (exported and powered off)")?;
    lab.gone(&wd)
}

fn interrupted(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let mut run = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut run, "t7 is connected")?;
    // A second run does not disturb the first.
    let second = lab.run("zferry run t7")?;
    second
        .exits(75)?
        .says("another zferry is busy with this drive")?
        .says(&format!("process {}", run.pid))?;
    lab.run("zferry eject t7")?.exits(75)?.says(&format!("process {}", run.pid))?;
    lab.run("zferry status t7")?.exits(0)?;

    lab.until_written("backup", 9)?;
    lab.type_into(&run, CTRL_C)?;
    let stopped = lab.finish(run)?;
    stopped
        .exits(130)?
        .says("Interrupted; the next run goes on from here.")?
        .last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    lab.plug(&t7)?;
    let run = lab.run("zferry -v run t7")?;
    run.exits(0)?.says("zfs send -t")?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    arrived(lab, &t7)
}

fn killed(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 9)?;
    lab.run(&format!("kill -KILL {}", run.pid))?.exits(0)?;
    lab.finish(run)?;
    ensure!(t7.label()?.state()? == State::Active, "a killed run has exported the drive");
    lab.run("zpool list -H -o name backup")?.prints("backup")?;

    let run = lab.run("zferry -v run t7")?;
    run.exits(0)?
        .says("was left imported by an earlier run that was cut off; this run exports it")?
        .says("zfs send -t")?
        .last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    arrived(lab, &t7)
}

/// Everything is on the drive, and nothing is held any more.
pub(super) fn arrived(lab: &mut Lab, drive: &Drive) -> Result<()> {
    drive.is_exported()?;
    lab.run("zfs list -H -t snapshot -o userrefs -r rpool/nixos/home | sort -u")?
        .prints("0")
        .context("holds are left")?;
    lab.plug(drive)?;
    let guid = drive.label()?.pool_guid()?;
    lab.look_into(guid)?;
    for dataset in ["", "/anna"] {
        lab.same_snapshots(&format!("rpool/nixos/home{dataset}"), &format!("backup/eds{dataset}"))?;
    }
    lab.run("zfs get -H -o value receive_resume_token backup/eds/anna; zpool export backup")?
        .exits(0)?
        .prints("-")?;
    Ok(())
}
