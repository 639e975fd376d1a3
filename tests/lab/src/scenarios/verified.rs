//! Whether what is on a drive can still be read, and whether that is told.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::lab::{CTRL_C, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a damaged block is found by verify, and a sound drive is found sound", damaged),
        Scenario::full("a scrub that is interrupted goes on with the next verify", interrupted),
        Scenario::full("list shows what is here and what is there", listed),
    ]
}

pub(super) const SAFE: &str = "Safe to unplug t7 (exported and powered off)";
const MIB: usize = 1 << 20;

/// Overwrites a part of what fills most of a drive: data of which there is one copy. From outside, while it is unplugged.
pub(super) fn damage(drive: &Drive) -> Result<()> {
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

pub(super) fn much(lab: &mut Lab, megabytes: u32) -> Result<()> {
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
    let status = lab.run("zferry status t7")?;
    ensure!(status.exits(0)?.stdout().contains("it found damage"), "{}", status.stdout());
    Ok(())
}

pub(super) fn scrub_goes_on(lab: &mut Lab) -> Result<()> {
    lab.wait_until(
        "a scrub goes on",
        Duration::from_secs(120),
        "zpool status backup | grep -q 'scrub in progress'",
    )
}

/// Whether scrubs stand still: then there is time to do something in the middle of one.
pub(super) fn stand_still(lab: &mut Lab, still: bool) -> Result<()> {
    let value = u8::from(still);
    lab.run(&format!("echo {value} > /sys/module/zfs/parameters/zfs_scan_suspend_progress"))?.exits(0)?;
    Ok(())
}

fn interrupted(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab, 30)?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.plug(&t7)?;
    stand_still(lab, true)?;
    let mut verify = lab.on_terminal("zferry verify t7")?;
    lab.until_says(&mut verify, "Scrubbing t7")?;
    scrub_goes_on(lab)?;
    lab.run("zferry run t7")?.exits(75)?.says("another zferry is busy with this drive")?;
    lab.type_into(&verify, CTRL_C)?;
    lab.finish(verify)?.exits(130)?.says("The scrub of t7 is paused")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    stand_still(lab, false)?;
    lab.plug(&t7)?;
    let paused = lab.on_drive(&t7, "backup", "zpool status backup")?;
    ensure!(paused.stdout().contains("scrub paused"), "it is not paused\n{}", paused.stdout());
    lab.run("zferry verify t7")?.exits(0)?.says("everything on it can be read")?.last_word(SAFE)?;
    let status = lab.run("zferry status t7")?;
    ensure!(status.exits(0)?.stdout().contains("t7: the last scrub"), "{}", status.stdout());

    lab.plug(&t7)?;
    stand_still(lab, true)?;
    let verify = lab.run_in_background("zferry verify t7")?;
    scrub_goes_on(lab)?;
    lab.pull(&t7)?;
    let pulled = lab.finish(verify)?;
    pulled
        .exits(1)?
        .says_nothing_of("Safe to unplug")?
        .last_word("t7 was unplugged before it was exported")?;
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
