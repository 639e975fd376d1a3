//! The first backup: what arrives, what is left behind on both sides, and that it can be read again.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "a first backup of a tree arrives whole, may be unplugged, and can be read again",
            first_backup,
        )
        .also_on_the_oldest(),
    ]
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

const DATASETS: [&str; 5] = [
    "rpool/nixos/home",
    "rpool/nixos/home/anna",
    "rpool/nixos/home/disk",
    "rpool/nixos/home/mail",
    "rpool/nixos/home/with space",
];

/// Writes down every mount and volume of the pool `backup`, as long as it runs.
const WATCHER: &str = "while sleep 0.3; do mounts=$(</proc/mounts); \
    case $mounts in *$'\\n'backup*) echo mounted;; esac; \
    test -e /dev/zvol/backup && echo volume; done";

fn first_backup(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run(
        "set -e; zfs create 'rpool/nixos/home/with space'; zfs create rpool/nixos/home/mail; \
         head -c 1M /dev/urandom > '/home/with space/a file'; echo yours > /home/mail/1; \
         zfs create -V 16M rpool/nixos/home/disk; udevadm settle; \
         head -c 4M /dev/urandom | dd of=/dev/zvol/rpool/nixos/home/disk bs=1M conv=fsync; \
         zfs snapshot -r rpool/nixos/home@autosnap_2026-01-03_00:00:00_daily",
    )?
    .exits(0)?;
    let t7 = lab.drive("t7", "1G")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    configure(lab, &t7, "backup", guid, "")?;
    let sources = lab.snapshots_below("rpool/nixos/home")?;
    ensure!(sources.len() == 2 * 2 + 5, "another number of snapshots: {sources:?}");

    let watcher = lab.run_in_background(WATCHER)?;
    let told = lab.zferry("run t7")?;
    lab.signal(&watcher, rustix::process::Signal::TERM)?;
    lab.finish(watcher)?.prints("")?;

    told.ends_with("Safe to unplug t7 (exported and powered off).")?;
    told.counts(&[("done", 5), ("failed", 0), ("warnings", 0), ("snapshots", 9), ("pruned", 0)])?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    lab.nothing_is_held("rpool")?;
    lab.one_bookmark_each(guid, &DATASETS)?;

    lab.plug(&t7)?;
    lab.drive_has(&t7, "backup/eds", &sources)?;
    is_set_up_as_a_copy(lab, &t7)?;
    comes_back(lab, &t7)
}

/// Encrypted and locked, never written to, never mounted by itself.
fn is_set_up_as_a_copy(lab: &mut Lab, drive: &Drive) -> Result<()> {
    let all = "encryption,keystatus,readonly,canmount,volmode,mounted";
    let get = format!("zfs get -Hp -r -t filesystem,volume -o name,property,value,source {all} backup/eds");
    let rows = lab.on_drive(drive, "backup", &get)?.rows();
    for dataset in DATASETS.map(|name| name.replacen("rpool/nixos/home", "backup/eds", 1)) {
        let is = |property: &str, value: &str, source: &str| {
            let expected = [&dataset, property, value, source];
            let found = rows.iter().find(|row| row[0] == dataset && row[1] == property);
            ensure!(found.is_some_and(|row| *row == expected), "{expected:?} is {found:?}");
            Ok(())
        };
        is("encryption", "aes-256-gcm", "-")?;
        is("keystatus", "unavailable", "-")?;
        is("readonly", "on", "local")?;
        if dataset.ends_with("disk") {
            is("volmode", "none", "local")?;
        } else {
            is("canmount", "noauto", "local")?;
            is("mounted", "no", "-")?;
        }
    }
    Ok(())
}

/// Sent back raw under another name and unlocked there, it is what it was.
fn comes_back(lab: &mut Lab, drive: &Drive) -> Result<()> {
    let send = "set -e; zfs list -H -r -o name -t filesystem,volume backup/eds | while read -r dataset; do \
        zfs send -w \"$dataset@autosnap_2026-01-03_00:00:00_daily\" | \
        zfs receive -u \"rpool/back${dataset#backup/eds}\"; done";
    lab.on_drive(drive, "backup", send)?;
    lab.run(&format!(
        "set -e; zfs set mountpoint=/back rpool/back; \
         zfs list -H -r -o name rpool/back | xargs -d '\\n' -n 1 zfs load-key -L file://{}; zfs mount -a; \
         udevadm wait --settle --timeout=60 /dev/zvol/rpool/back/disk",
        crate::lab::KEY
    ))?
    .exits(0)?;
    let mut hashes = Vec::new();
    for top in ["/home", "/back"] {
        hashes.push(lab.run(&format!("cd {top} && find . -type f -exec sha256sum {{}} + | sort"))?.stdout());
    }
    ensure!(hashes[0].lines().count() == 4, "other files than expected: {}", hashes[0]);
    ensure!(hashes[0] == hashes[1], "the files differ: {hashes:?}");
    lab.run("cmp /dev/zvol/rpool/nixos/home/disk /dev/zvol/rpool/back/disk")?.exits(0)?;
    Ok(())
}
