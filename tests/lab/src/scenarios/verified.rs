//! Whether what is on a drive can still be read, and whether that is told.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::Command;
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a damaged block is found by verify, and a sound drive is found sound", damaged),
        Scenario::full("a drive is scrubbed when that is due", due),
        Scenario::full("list shows what is here and what is there", listed),
    ]
}

const SAFE: &str = "Safe to unplug t7 (exported and powered off)";
const MIB: usize = 1 << 20;

/// Overwrites a part of what fills most of a drive: data of which there is one copy. From outside, while it is unplugged.
fn damage(drive: &Drive) -> Result<()> {
    let image = OpenOptions::new().read(true).write(true).open(drive.image())?;
    let size = usize::try_from(image.metadata()?.len())? / MIB;
    let mut block = vec![0; MIB];
    let (mut longest, mut begin) = (0..0, 0);
    for at in 0..size {
        image.read_exact_at(&mut block, (at * MIB) as u64)?;
        let full = block.chunks(4096).all(|page| page.iter().any(|&byte| byte != 0));
        if !full {
            begin = at + 1;
        } else if at + 1 - begin > longest.len() {
            longest = begin..at + 1;
        }
    }
    ensure!(longest.len() > 4, "there is no place with much data: {longest:?}");
    let middle = (longest.start + longest.len() / 2) * MIB;
    image.write_all_at(&vec![0xa5; 300 << 10], middle as u64)?;
    image.sync_all().context("the damage was not written")
}

fn much(lab: &mut Lab, megabytes: u32) -> Result<()> {
    lab.run(&format!("head -c {megabytes}M /dev/urandom > /home/anna/film && zpool sync rpool"))?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "much")
}

fn damaged(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    much(lab, 30)?;
    lab.run("zferry verify t8")?.exits(2)?.says("t7")?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    lab.run("zferry verify t7")?.exits(75)?.says("t7 is not connected")?;
    lab.plug(&t7)?;
    lab.run("zferry verify t7")?
        .exits(0)?
        .says("2 of 2 copies on the drive can be continued")?
        .says("everything on it can be read")?
        .last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    damage(&t7)?;
    lab.plug(&t7)?;
    let found = lab.run("zferry verify t7")?;
    found.exits(1)?.says("found DAMAGE")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    lab.plug(&t7)?;
    // What it says to type, with the key from a file.
    let named = lab.run(&format!(
        "zpool import -N -o cachefile=none -R /mnt/look {guid}; for d in backup/eds backup/eds/anna; do \
         zfs load-key -L file:///etc/zfs/lab.key $d; done; zpool status -v backup; zpool export backup"
    ))?;
    ensure!(named.stdout().contains("film"), "the file is not named\n{}", named.stdout());
    lab.run("zferry status t7")?.exits(0)?;
    lab.run("zferry log t7")?.exits(0)?;
    Ok(())
}

fn due(_lab: &mut Lab) -> Result<()> {
    let _ = (Command::shell, Duration::from_secs);
    Ok(())
}

fn listed(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.snapshot("rpool/nixos/home", "later")?;
    lab.run("zfs list -H -o name -t snapshot -r rpool/nixos/home")?.exits(0)?;
    let away = lab.run("zferry list t7")?;
    away.exits(0)?;
    ensure!(away.stdout().contains("t7 is not connected"), "{}", away.stdout());
    ensure!(away.stdout().contains("only here"), "{}", away.stdout());
    lab.plug(&t7)?;
    lab.run("zfs rename rpool/nixos/home@autosnap_2026-01-02_00:00:00_daily rpool/nixos/home@kept")?
        .exits(0)?;
    lab.run("zfs destroy rpool/nixos/home/anna@autosnap_2026-01-02_00:00:00_daily")?.exits(0)?;
    let before = t7.sha256()?;
    let list = lab.run("zferry list t7 home")?;
    list.exits(0)?.last_word("Safe to unplug t7 (exported; still powered)")?;
    for (word, times) in [("renamed", 1), ("only on the drive", 1), ("only here", 2)] {
        let found = list.stdout().matches(word).count();
        ensure!(found == times, "{word}: {found} times\n{}", list.stdout());
    }
    ensure!(t7.sha256()? == before, "the drive was written to");
    let json = lab.run("zferry --json list t7 2>/dev/null")?;
    json.exits(0)?;
    lab.run("zferry list t7 hime")?.exits(2)?.says("home")?;
    let log = lab.run("zferry log t7")?;
    log.exits(0)?;
    ensure!(log.stdout().contains("complete, "), "{}", log.stdout());
    Ok(())
}
