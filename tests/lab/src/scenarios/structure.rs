//! Trees and names: parents that are not sent, volumes, names that are used again.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a parent that is not sent gives way to its first snapshot", placeholder),
        Scenario::core("a snapshot whose name is used again arrives beside the first", name_reuse),
    ]
}

fn placeholder(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run(
        "set -e; zfs create -o mountpoint=/tree rpool/tree; zfs create rpool/tree/a; zfs create rpool/tree/a/b; \
         zfs create -V 8M rpool/tree/disk; udevadm settle; echo hello > /tree/a/b/file; \
         head -c 1M /dev/urandom | dd of=/dev/zvol/rpool/tree/disk conv=fsync status=none; \
         zfs snapshot rpool/tree/a/b@one; zfs snapshot rpool/tree/disk@one; \
         zfs create -o encryption=off -o mountpoint=/open rpool/open; \
         zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///etc/zfs/lab.key \
             -o pbkdf2iters=100000 rpool/open/secret; \
         echo secret > /open/secret/file; zfs snapshot -r rpool/open@one",
    )?
    .exits(0)?;
    lab.write(
        "/etc/zferry/config.toml",
        format!(
            "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\n\n\
             [backups.tree]\nsource = \"rpool/tree\"\ntarget = \"laptop/eds\"\nprune = \"never\"\n\n\
             [backups.open]\nsource = \"rpool/open\"\ntarget = \"laptop/open\"\nprune = \"never\"\n"
        ),
    )?;

    let first = lab.run("zferry run t7")?;
    first
        .exits(1)?
        .says("“rpool/open” was left alone")?
        .says("allow-plaintext")?
        .last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.plug(&t7)?;
    lab.look_into(guid)?;
    lab.same_snapshots("rpool/open/secret", "backup/laptop/open/secret")?;
    lab.same_snapshots("rpool/tree/a/b", "backup/laptop/eds/a/b")?;
    lab.same_snapshots("rpool/tree/disk", "backup/laptop/eds/disk")?;
    lab.run(
        "zfs list -H -t snapshot -o name -r backup | grep -c laptop/open@; zfs mount | grep backup; \
             zfs get -rHp -o name,value encryption,keystatus,canmount backup >&2; zpool export backup",
    )?
    .prints("0")
    .context("something unencrypted arrived")?;

    lab.run("echo more > /tree/a/b/file; zfs snapshot -r rpool/tree@two")?.exits(0)?;
    let second = lab.run("zferry -v run t7 --backup tree")?;
    second.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    ensure!(
        second.stderr().contains("rpool/tree/a/b@one") && second.stderr().contains("rpool/tree/disk@one"),
        "the children were not sent as increments:\n{}",
        second.stderr()
    );
    let third = lab_again(lab, &t7)?;
    third.exits(0)?.says("Nothing to send; 4 datasets are up to date")?;
    lab.plug(&t7)?;
    lab.look_into(guid)?;
    for dataset in ["", "/a", "/a/b", "/disk"] {
        lab.same_snapshots(&format!("rpool/tree{dataset}"), &format!("backup/laptop/eds{dataset}"))?;
    }
    // Nothing is left of the exchange.
    let names =
        "zfs list -H -o name -t filesystem,volume -r backup | sort | tr '\\n' ' '; zpool export backup";
    lab.run(names)?.prints(
        "backup backup/laptop backup/laptop/eds backup/laptop/eds/a backup/laptop/eds/a/b \
         backup/laptop/eds/disk backup/laptop/open backup/laptop/open/secret",
    )?;
    Ok(())
}

fn lab_again(lab: &mut Lab, drive: &crate::drive::Drive) -> Result<crate::command::Output> {
    lab.plug(drive)?;
    lab.run("zferry run t7 --backup tree")
}

fn name_reuse(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.snapshot("rpool/nixos/home", "backup")?;
    lab.run("zferry run t7")?.exits(0)?;
    // The next night.
    lab.run("zfs destroy -r rpool/nixos/home@backup; echo night >> /home/anna/letter")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "backup")?;
    let new = lab.guids("rpool/nixos/home/anna")?.pop().context("no snapshot")?;
    lab.configure_drive("t7", guid, "protect = [\"backup\"]\n")?;
    lab.plug(&t7)?;
    let run = lab.run("zferry run t7")?;
    run.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.plug(&t7)?;
    lab.look_into(guid)?;
    let there = lab.guids("backup/eds/anna")?;
    lab.run("zpool export backup")?.exits(0)?;
    let named = |name: &str| there.iter().filter(|identity| identity.name == name).count();
    ensure!(named("backup") == 1, "the first one is gone: {there:#?}");
    let arrived = there.last().context("nothing there")?;
    ensure!(
        arrived.guid == new.guid && arrived.name.starts_with("backup_"),
        "{new:?} is not there: {there:#?}"
    );

    // Once the first one may go, the second gets its name.
    lab.configure_drive("t7", guid, "")?;
    for _ in 0..2 {
        lab.run("zferry run t7")?.exits(0)?;
        lab.plug(&t7)?;
    }
    lab.look_into(guid)?;
    lab.same_snapshots("rpool/nixos/home/anna", "backup/eds/anna")?;
    lab.same_snapshots("rpool/nixos/home", "backup/eds")?;
    lab.run("zpool export backup")?.exits(0)?;
    Ok(())
}
