//! The lab itself, without zferry: what the other scenarios take for granted.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::drive::label::State;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("the lab boots and shows a plugged-in drive", shows_a_drive),
        // Every run of the core does it too, and these seconds are needed.
        Scenario::full("the lab powers a drive off and plugs it in again", powers_off),
        Scenario::core("the lab's encrypted source outlives a power cut", outlives_a_cut),
    ]
}

fn shows_a_drive(lab: &mut Lab) -> Result<()> {
    let t7 = lab.drive("t7", "2G")?;
    let guid = lab.prepare_drive(&t7, "backup")?;

    // udev has told everything that finding the drive needs.
    let udev = lab.run(&format!("udevadm info --query=property {}", t7.partition()))?;
    udev.exits(0)?
        .says("ID_FS_TYPE=zfs_member")?
        .says("ID_FS_LABEL=backup")?
        .says(&format!("ID_FS_UUID={guid}"))?
        .says(&t7.serial())?
        .says("ID_BUS=usb")?;

    // And outside of the guest the label says the same.
    let label = t7.label()?;
    ensure!(label.name()? == "backup" && label.pool_guid()? == guid, "another pool: {label:?}");
    t7.is_exported()
}

fn powers_off(lab: &mut Lab) -> Result<()> {
    let t7 = lab.drive("t7", "512M")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    let import = format!("zpool import -N -o cachefile=none -d /dev/disk/by-id {guid}");
    lab.run(&import)?.exits(0)?;
    lab.run("zpool sync backup")?.exits(0)?;
    ensure!(t7.label()?.state()? == State::Active, "an imported pool counts as exported");
    lab.run("zpool export backup")?.exits(0)?;

    let drive = "busctl --json=short call org.freedesktop.UDisks2 /org/freedesktop/UDisks2 \
                 org.freedesktop.DBus.ObjectManager GetManagedObjects | \
                 grep -o '\"CanPowerOff\":{\"type\":\"b\",\"data\":true}'";
    lab.run(drive)?.exits(0)?;
    let off = format!("udisksctl power-off --no-user-interaction --block-device {}", t7.device());
    lab.run(&off)?.exits(0)?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    let before = t7.sha256()?;
    lab.plug(&t7)?;
    lab.run("zpool import -d /dev/disk/by-id")?.exits(0)?.says("pool: backup")?.says("state: ONLINE")?;
    ensure!(t7.sha256()? == before, "looking at the drive has changed it");
    lab.run(&import)?.exits(0)?;
    lab.run("zpool list -H -o name,health backup")?.prints("backup\tONLINE")?;
    lab.run("zpool export backup")?.exits(0)?;
    Ok(())
}

fn outlives_a_cut(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let before = lab.guids("rpool/nixos/home")?;
    ensure!(before.len() == 2, "{} snapshots instead of two", before.len());
    lab.run("zpool sync rpool")?.exits(0)?;

    lab.cut()?;

    lab.unlock_source("rpool")?;
    ensure!(lab.guids("rpool/nixos/home")? == before, "the snapshots changed");
    lab.run("cat /home/anna/letter")?.prints("hello\nmore")?;
    // The clock of a guest that was saved, restored, cut and booted is right.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let guest = lab.run("date +%s")?.number()?;
    ensure!(guest.abs_diff(now) < 30, "the guest's clock is off by {} s", guest.abs_diff(now));
    Ok(())
}
