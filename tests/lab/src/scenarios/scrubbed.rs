//! A scrub at the end of a run.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::Scenario;
use super::verified::{SAFE, damage, much, scrub_goes_on, stand_still};
use crate::lab::{CTRL_C, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a drive is scrubbed when that is due, until somebody wants it", due),
        Scenario::full(
            "a run that scrubs may be killed or cut off, and the next one goes on with it",
            cut_short,
        ),
    ]
}

pub(super) fn configure(lab: &mut Lab, guid: u64, every: &str) -> Result<()> {
    let text = format!(
        "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\nscrub = \"{every}\"\n\n\
         [backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n"
    );
    lab.write("/etc/zferry/config.toml", text)
}

fn due(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    much(lab, 30)?;
    configure(lab, guid, "often")?;
    lab.run("zferry run t7")?.exits(78)?.says("drives.t7.scrub")?;
    configure(lab, guid, "30d")?;

    stand_still(lab, true)?;
    let mut run = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut run, "Backup complete. t7 is scrubbed")?;
    scrub_goes_on(lab)?;
    let status = lab.run("zferry status t7")?;
    status.exits(0)?;
    lab.run("zferry verify t7")?.exits(75)?.says("its backup is complete, and it scrubs the drive")?;
    lab.run("zferry eject t7")?.exits(0)?.says("Pausing the scrub of t7")?;
    lab.finish(run)?.exits(0)?.says("The scrub of t7 is paused")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    stand_still(lab, false)?;
    lab.plug(&t7)?;
    lab.run("zferry run t7")?
        .exits(0)?
        .says("goes on with the scrub that was not finished")?
        .says("everything on it can be read")?
        .last_word(SAFE)?;
    lab.gone(&t7)?;
    let status = lab.run("zferry status t7")?;
    ensure!(status.exits(0)?.stdout().contains("t7: the last scrub"), "{}", status.stdout());

    lab.plug(&t7)?;
    let third = lab.run("zferry run t7")?;
    third.exits(0)?.last_word(SAFE)?;
    ensure!(!third.stderr().contains("scrub"), "it was not due\n{}", third.stderr());
    lab.gone(&t7)?;

    configure(lab, guid, "1s")?;
    lab.plug(&t7)?;
    stand_still(lab, true)?;
    let mut run = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut run, "is scrubbed now")?;
    scrub_goes_on(lab)?;
    lab.type_into(&run, CTRL_C)?;
    lab.finish(run)?.exits(0)?.says("The scrub of t7 is paused")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    let log = lab.run("zferry log t7")?;
    let complete = log.exits(0)?.stdout().matches("complete").count();
    ensure!(complete == 4, "each of the four runs was complete, and is there once\n{}", log.stdout());

    stand_still(lab, false)?;
    damage(&t7)?;
    lab.plug(&t7)?;
    lab.run("zferry run t7")?.exits(1)?.says("found DAMAGE")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()
}

fn cut_short(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    much(lab, 30)?;
    configure(lab, guid, "30d")?;
    stand_still(lab, true)?;
    let mut run = lab.run_in_background("zferry run t7")?;
    lab.until_says(&mut run, "Backup complete. t7 is scrubbed")?;
    scrub_goes_on(lab)?;
    lab.signal(&run, Signal::KILL)?;
    lab.finish(run)?.says_nothing_of("Safe to unplug")?;
    // What it left imported is taken over.
    let mut next = lab.run_in_background("zferry run t7")?;
    lab.until_says(&mut next, "goes on with the scrub that was not finished")?;
    scrub_goes_on(lab)?;
    // What ZFS wrote of the scrub so far is on the drive some seconds later.
    lab.run("zpool sync backup")?.exits(0)?;
    lab.cut()?;
    lab.unlock_source("rpool")?;
    // The kernel goes on with it as soon as the pool is imported: it must not be over before the run looks.
    stand_still(lab, true)?;
    lab.plug(&t7)?;
    let mut last = lab.run_in_background("zferry run t7")?;
    lab.until_says(&mut last, "goes on with the scrub that was not finished")?;
    stand_still(lab, false)?;
    lab.finish(last)?.exits(0)?.says("everything on it can be read")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    lab.nothing_is_held("rpool")
}
