//! Keys: trees in which some is encrypted and some is not, drives with a key of their own, changed passphrases.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::lab::{KEY, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("mixed trees on an encrypted drive pool stay what they are", mixed),
        Scenario::full(
            "a new passphrase travels with the next snapshot, and until then that is told",
            changed,
        ),
    ]
}

/// What is found on the drive's image only where it is not encrypted. Short enough to lie in one block.
const OPEN: &str = "zferry-lab-this-is-open";
const SECRET: &str = "zferry-lab-this-is-secret";

/// Encrypted, below it not encrypted, below that encrypted with a key of its own.
fn tree(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run(&format!(
        "set -e; zfs create -o mountpoint=/tree -o compression=off rpool/tree; \
         zfs create -o encryption=off rpool/tree/open; \
         zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file://{KEY} \
             -o pbkdf2iters=100000 rpool/tree/open/own; zfs set keylocation=prompt rpool/tree/open/own; \
         zfs create -o encryption=off rpool/tree/open/own/leaf; \
         for place in /tree /tree/open/own; do yes {SECRET} | head -c 100K > $place/file; done; \
         for place in /tree/open /tree/open/own/leaf; do yes {OPEN} | head -c 100K > $place/file; done; \
         zfs create -o encryption=off -o mountpoint=/plain -o compression=off rpool/plain; \
         zfs create -o encryption=off -o mountpoint=/third rpool/third; \
         yes {OPEN} | head -c 100K > /plain/file; echo third > /third/file; \
         for top in tree plain third; do zfs snapshot -r rpool/$top@one; done"
    ))?
    .exits(0)?;
    Ok(())
}

/// A drive whose pool is encrypted with a key that nobody loads. Returns the pool's guid.
fn encrypted_drive(lab: &mut Lab, drive: &Drive) -> Result<u64> {
    lab.prepare_drive(drive, "backup")?;
    // With a copy that somebody received decrypted, while the key was there.
    lab.run(&format!(
        "set -e; zpool create -f -o ashift=12 -O mountpoint=none -O compression=off -O encryption=on \
             -O keyformat=passphrase -O keylocation=file://{KEY} -O pbkdf2iters=100000 backup {}; \
         zfs send rpool/third@one | zfs receive -u backup/third; \
         zpool get -Hp -o value guid backup > /run/lab/guid; \
         zpool export backup; udevadm settle; cat /run/lab/guid",
        drive.partition()
    ))?
    .exits(0)?
    .number()
}

fn mixed(lab: &mut Lab) -> Result<()> {
    tree(lab)?;
    let t7 = lab.drive("t7", "512M")?;
    let guid = encrypted_drive(lab, &t7)?;
    let third = "[backups.third]\nsource = \"rpool/third\"\ntarget = \"third\"\nprune = \"never\"\n\
        allow-plaintext = true\n";
    let config = format!(
        "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\npower-off = false\n\n\
         [backups.tree]\nsource = \"rpool/tree\"\ntarget = \"laptop/tree\"\nprune = \"never\"\n\
         allow-plaintext = true\n\n\
         [backups.plain]\nsource = \"rpool/plain\"\ntarget = \"plain\"\nprune = \"never\"\n\
         allow-plaintext = true\n\n"
    );
    lab.write("/etc/zferry/config.toml", format!("{config}{third}"))?;

    // The copy under the drive's own key is told as what it is, and keeps nothing else from being done.
    let run = lab.run("zferry run t7")?;
    run.exits(1)?
        .says("backup/third is encrypted with the drive's own key, that of backup")?
        .says("1 of 6 datasets was not backed up")?
        .says("backup/plain will not be encrypted on the drive, although backup above is")?
        .says_nothing_of("backup/laptop/tree/open will")?
        .says_nothing_of("backup/laptop/tree/open/own/leaf will")?
        .last_word("Safe to unplug t7")?;
    t7.is_exported()?;
    lab.write("/etc/zferry/config.toml", &config)?;
    as_at_the_source(lab, &t7)?;

    // Increments of all kinds, without a key of the drive's.
    lab.run("set -e; for place in /tree /tree/open /tree/open/own /tree/open/own/leaf /plain; do echo more > $place/more; done")?
        .exits(0)?;
    lab.run("for top in tree plain; do zfs snapshot -r rpool/$top@two; done")?.exits(0)?;
    let told = lab.backup(&t7, "")?;
    told.counts(&[("done", 5), ("snapshots", 5), ("warnings", 0)])?.sent_between(1, 1 << 20)?;
    as_at_the_source(lab, &t7)?;
    lab.backup(&t7, "")?.counts(&[("done", 5), ("sent", 0), ("warnings", 0)])?;

    // Decrypted on purpose, below the drive's encryption: said, and done without it.
    lab.write(
        "/etc/zferry/config.toml",
        format!(
            "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\npower-off = false\n\n\
             [backups.home]\nsource = \"rpool/nixos/home/anna\"\ntarget = \"bare\"\nprune = \"never\"\n\
             send = \"plain\"\nallow-plaintext = true\n"
        ),
    )?;
    let told = lab.backup(&t7, "")?;
    told.says("backup/bare will not be encrypted on the drive, although backup above is")?;
    told.counts(&[("done", 1), ("snapshots", 2), ("warnings", 1)])?;
    lab.on_drive(&t7, "backup", "zfs get -H -o value encryption backup/bare")?.prints("off")?;
    Ok(())
}

/// Every snapshot is there, each dataset is as encrypted as its source, and what is secret cannot be read on the drive.
fn as_at_the_source(lab: &mut Lab, drive: &Drive) -> Result<()> {
    for (here, there) in [("rpool/tree", "backup/laptop/tree"), ("rpool/plain", "backup/plain")] {
        let expected = lab.snapshots_below(here)?;
        lab.drive_has(drive, there, &expected)?;
    }
    let expected = [
        ("backup", "aes-256-gcm", "backup"),
        ("backup/laptop", "off", "-"),
        ("backup/laptop/tree", "aes-256-gcm", "backup/laptop/tree"),
        ("backup/laptop/tree/open", "off", "-"),
        ("backup/laptop/tree/open/own", "aes-256-gcm", "backup/laptop/tree/open/own"),
        ("backup/laptop/tree/open/own/leaf", "off", "-"),
        ("backup/plain", "off", "-"),
    ];
    let list = "zfs list -Hp -r -o name,encryption,encryptionroot,keystatus backup";
    let rows = lab.on_drive(drive, "backup", list)?.rows();
    for (name, encryption, root) in expected {
        let status = if encryption == "off" { "-" } else { "unavailable" };
        let expected = [name, encryption, root, status];
        let found = rows.iter().find(|row| row[0] == name);
        ensure!(found.is_some_and(|row| *row == expected), "{expected:?} is {found:?}");
    }
    ensure!(drive.holds(OPEN)?, "what is open is not on the drive");
    ensure!(!drive.holds(SECRET)?, "what is secret can be read on the drive");
    Ok(())
}

/// Which of the two keys opens a dataset of the drive: "old" or "new".
fn opens_with(lab: &mut Lab, drive: &Drive, dataset: &str) -> Result<String> {
    let load = |key: &str| format!("zfs load-key -n -L file://{key} {dataset} >&2");
    let line = format!("{} && echo old; {} && echo new; true", load(KEY), load(NEW_KEY));
    Ok(lab.on_drive(drive, "backup", &line)?.stdout().trim().to_owned())
}

const NEW_KEY: &str = "/etc/zfs/new.key";

fn changed(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.backup(&t7, "")?.counts(&[("done", 2), ("warnings", 0)])?;
    lab.backup(&t7, "")?.counts(&[("done", 2), ("warnings", 0)])?;

    lab.write(NEW_KEY, "staple battery horse correct")?;
    lab.run(&format!(
        "zfs change-key -o keyformat=passphrase -o keylocation=file://{NEW_KEY} -o pbkdf2iters=100000 rpool"
    ))?
    .exits(0)?;
    let told = lab.backup(&t7, "")?;
    told.counts(&[("done", 2), ("sent", 0), ("warnings", 2)])?;
    told.says(&format!("nothing but the key of rpool (file://{NEW_KEY}). If it is lost"))?
        .says("On the drive backup/eds, backup/eds/anna does not open with the key that its source has now")?
        .says("Take a snapshot of rpool/nixos/home, rpool/nixos/home/anna and run again")?;
    lab.run("zferry plan t7")?.exits(0)?.says("does not open with the key that its source has now")?;
    ensure!(opens_with(lab, &t7, "backup/eds/anna")? == "old", "the new key came by itself");

    lab.run("zfs set keylocation=prompt rpool; zfs snapshot rpool/nixos/home/anna@brings-it")?.exits(0)?;
    let told = lab.backup(&t7, "")?;
    told.counts(&[("done", 2), ("snapshots", 1), ("warnings", 1)])?;
    told.says("On the drive backup/eds does not open with")?.says_nothing_of("If it is lost")?;
    let found = (opens_with(lab, &t7, "backup/eds")?, opens_with(lab, &t7, "backup/eds/anna")?);
    ensure!(found == ("old".to_owned(), "new".to_owned()), "{found:?}");

    lab.snapshot("rpool/nixos/home", "brings-the-rest")?;
    lab.backup(&t7, "")?.counts(&[("done", 2), ("snapshots", 2), ("warnings", 0)])?;
    lab.backup(&t7, "")?.counts(&[("done", 2), ("sent", 0), ("warnings", 0)])?;
    let found = (opens_with(lab, &t7, "backup/eds")?, opens_with(lab, &t7, "backup/eds/anna")?);
    ensure!(found == ("new".to_owned(), "new".to_owned()), "{found:?}");
    Ok(())
}
