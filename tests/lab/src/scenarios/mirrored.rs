//! Several disks at once: those of one drive, which come one after the other and leave together, and two drives.

use anyhow::{Result, ensure};

use super::Scenario;
use super::plugged::{RUN, install, until_told};
use super::session::{arrived, much};
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "a mirror of two USB disks has one run, which waits for the second and powers both off",
            mirrored,
        )
        .packaged(),
        Scenario::full(
            "two drives that are plugged in at once have one run each, also when their pools have one name",
            at_once,
        )
        .packaged(),
    ]
}

const SAFE: &str = "Safe to unplug t7 (exported and powered off)";

fn mirrored(lab: &mut Lab) -> Result<()> {
    let (first, guid) = lab.setting("512M")?;
    let second = lab.drive("t7b", "512M")?;
    attach(lab, &first, &second)?;
    lab.run("sed -i '/^pool-guid/a min-interval = \"0s\"' /etc/zferry/config.toml")?.exits(0)?;
    install(lab)?;
    much(lab)?;

    // The second one some time after the first.
    lab.plug(&second)?;
    let journal = format!("journalctl -q -o cat -u zferry@{guid}");
    lab.wait_until("it waits", RUN, &format!("{journal} | grep -F '1 of them is not here yet'"))?;
    lab.run("sleep 3; zpool list -H backup")?.exits(1)?;
    lab.plug(&first)?;
    until_told(lab, guid, 1, SAFE)?;
    for disk in [&first, &second] {
        lab.gone(disk)?;
        disk.label()?.is_exported()?;
        lab.pull(disk)?;
    }
    lab.run(&format!("systemctl show -P NRestarts zferry@{guid}; {journal} | grep -c 'is connected:'"))?
        .says("1")?;

    // Both, with everything that announces them once more while they stay connected.
    lab.run("sed -i '/^pool-guid/a power-off = false' /etc/zferry/config.toml")?.exits(0)?;
    lab.plug(&second)?;
    lab.plug(&first)?;
    let left = "Safe to unplug t7 (exported; still powered)";
    until_told(lab, guid, 1, left)?;
    lab.run(
        "for action in add change add; do udevadm trigger --action=$action; udevadm settle; done; sleep 3",
    )?
    .exits(0)?;
    until_told(lab, guid, 1, left)?;
    arrived(lab, &first)?;
    lab.pull(&first)?;
    lab.pull(&second)?;

    half(lab, &first, &second)
}

/// Only one of them: its run is as good as ZFS can make it, and says what is missing.
fn half(lab: &mut Lab, first: &Drive, second: &Drive) -> Result<()> {
    lab.run("rm /usr/lib/udev/rules.d/90-zferry.rules; udevadm control --reload")?.exits(0)?;
    lab.run("echo more > /home/more; zpool sync rpool; zfs snapshot -r rpool/nixos/home@half")?.exits(0)?;
    lab.plug(first)?;
    let run = lab.run("zferry run t7")?;
    run.says("1 of the 2 disks of t7 did not come")?;
    lab.plug(second)?;
    lab.run("zferry run t7")?.exits(0)?.last_word("Safe to unplug t7 (exported; still powered)")?;
    let status = lab.on_drive(first, "backup", "zpool status backup")?.stdout();
    ensure!(status.contains("state: ONLINE"), "{status}");
    Ok(())
}

/// Makes the pool of one disk a mirror.
fn attach(lab: &mut Lab, first: &Drive, second: &Drive) -> Result<()> {
    lab.plug(second)?;
    let (device, partition) = (second.device(), second.partition());
    lab.run(&format!(
        "set -e; sgdisk --new=1:0:0 --typecode=1:bf01 {device}; udevadm wait --settle --timeout=60 {partition}; \
         zpool import -N -o cachefile=none -d {0} backup; zpool attach backup {0} {partition}; \
         zpool wait -t resilver backup; zpool export backup; udevadm settle",
        first.partition()
    ))?
    .exits(0)?;
    lab.pull(first)?;
    lab.pull(second)
}

/// Neither their runs nor the programs of ZFS get into each other's way.
fn at_once(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let drives = [lab.drive("a", "512M")?, lab.drive("b", "512M")?];
    let mut config =
        "[backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n".to_owned();
    let mut guids = Vec::new();
    for drive in &drives {
        let guid = lab.prepare_drive(drive, "backup")?;
        lab.pull(drive)?;
        config.push_str(&format!("\n[drives.{}]\npool = \"backup\"\npool-guid = \"{guid}\"\n", drive.name()));
        guids.push(guid);
    }
    lab.write("/etc/zferry/config.toml", config)?;
    install(lab)?;
    much(lab)?;
    for drive in &drives {
        lab.plug_slow(drive)?;
    }
    for (drive, guid) in drives.iter().zip(guids) {
        until_told(lab, guid, 1, &format!("Safe to unplug {} (exported and powered off)", drive.name()))?;
        lab.gone(drive)?;
        drive.is_exported()?;
    }
    for drive in &drives {
        arrived(lab, drive)?;
        lab.pull(drive)?;
    }
    lab.run("journalctl -q -o cat -u 'zferry@*' | grep -cF 'Another drive whose pool is called “backup”, too, is backed up to.'")?
        .prints("1")?;
    Ok(())
}
