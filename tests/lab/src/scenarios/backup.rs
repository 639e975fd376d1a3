//! The good days: first backup, increments, nothing to do.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![Scenario::core(
        "a first backup of a tree arrives whole, and the drive may be unplugged",
        first_backup,
    )]
}

/// The configuration of most scenarios: one drive, one backup of `rpool/nixos/home`.
pub fn configure(lab: &mut Lab, drive: &Drive, pool: &str, guid: u64, more: &str) -> Result<()> {
    let name = drive.name();
    lab.write(
        "/etc/zferry/config.toml",
        format!(
            "[drives.{name}]\npool = \"{pool}\"\npool-guid = \"{guid}\"\nbackups = [\"home\"]\n\n\
             [backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n{more}"
        ),
    )
}

fn first_backup(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run(
        "set -e; zfs create 'rpool/nixos/home/with space'; zfs create rpool/nixos/home/mail; \
         head -c 1M /dev/urandom > '/home/with space/a file'; \
         zfs create -V 16M rpool/nixos/home/disk; udevadm settle; \
         head -c 4M /dev/urandom | dd of=/dev/zvol/rpool/nixos/home/disk bs=1M conv=fsync; \
         zfs snapshot -r rpool/nixos/home@autosnap_2026-01-03_00:00:00_daily",
    )?
    .exits(0)?;
    let t7 = lab.drive("t7", "1G")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    configure(lab, &t7, "backup", guid, "")?;

    lab.run("zferry run t7")?.exits(0)?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    ensure!(guid > 0, "no guid");
    Ok(())
}
