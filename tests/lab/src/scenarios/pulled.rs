//! The drive is pulled out while something else than the backup is done with it: its rescue file system is written, it is
//! scrubbed, or files of it are read in a drill.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::session::much;
use super::unplugged::{
    others_answer, plug_again, pull, pull_in_mid_run, start, the_kernel_is_at_fault, wait_for_replug,
};
use super::verified::{SAFE, scrub_goes_on, stand_still};
use super::{files, rescue, scrubbed};
use crate::command::{Command, Output};
use crate::drive::Drive;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a drive may be pulled out while its rescue file system is written", in_mid_rescue),
        Scenario::full("a drive may be pulled out while a scrub is due, or in the middle of a drill", read),
    ]
}

const GONE: &str =
    "t7 was unplugged before it was exported. What had arrived is kept: plug it in and run again";

/// Nothing of zferry is mounted, nor is anything of these disks.
fn nothing_is_mounted(lab: &mut Lab) -> Result<()> {
    lab.run("grep -E 'zferry|/dev/sd' /proc/self/mountinfo")?.prints("").context("something is mounted")?;
    Ok(())
}

/// The next run completes; where the kernel does not go on with the pool, after the restart that is asked for.
fn next_run(lab: &mut Lab, t7: &Drive) -> Result<Output> {
    plug_again(lab, t7)?;
    let run = start(lab)?;
    let mut run = lab.finish(run)?;
    if run.exits(0).is_err() {
        run.exits(1)?.says("estart this computer")?;
        the_kernel_is_at_fault(lab)?;
        lab.cut()?;
        lab.unlock_source("rpool")?;
        lab.plug(t7)?;
        run = lab.run("zferry -v run t7")?;
    }
    run.exits(0)?.last_word(SAFE)?;
    lab.gone(t7)?;
    t7.is_exported()?;
    Ok(run)
}

/// The program there is replaced by another one of tens of megabytes, slowly.
fn in_mid_rescue(lab: &mut Lab) -> Result<()> {
    let t7 = rescue::prepared(lab)?;
    wait_for_replug(lab, "5s")?;
    lab.execute(Command::shell("zferry run t7").within(Duration::from_secs(400)))?
        .exits(0)?
        .last_word(SAFE)?;
    lab.gone(&t7)?;
    lab.run("echo newer >> /usr/local/bin/zferry && zferry --version")?.exits(0)?;
    lab.plug_slow(&t7)?;
    let mut run = start(lab)?;
    lab.wait_until(
        "the program is being written",
        Duration::from_secs(300),
        "test $(stat -c %s /run/zferry/rescue/*/.zferry-new) -gt 500000",
    )?;
    pull(lab, &t7, &mut run)?;
    lab.finish(run)?
        .exits(1)?
        // Of a drive that is gone nothing else needs to be said.
        .says_nothing_of("not up to date")?
        .last_word(GONE)?;
    nothing_is_mounted(lab)?;
    next_run(lab, &t7)?.says_nothing_of("not up to date")?;
    lab.plug(&t7)?;
    rescue::within(lab, &t7, "cmp zferry /usr/local/bin/zferry; test ! -e .zferry-new; test -s README.txt")?;
    Ok(())
}

fn read(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    much(lab)?;
    scrubbed::configure(lab, guid, "30d")?;
    wait_for_replug(lab, "5s")?;
    stand_still(lab, true)?;
    let mut run = start(lab)?;
    lab.until_says(&mut run, "Backup complete. t7 is scrubbed")?;
    scrub_goes_on(lab)?;
    pull(lab, &t7, &mut run)?;
    lab.finish(run)?.exits(1)?.last_word(GONE)?;
    nothing_is_mounted(lab)?;
    lab.nothing_is_held("rpool")?;
    stand_still(lab, false)?;
    let next = next_run(lab, &t7)?;
    next.says("Nothing to send")?;
    lab.plug(&t7)?;
    let scan = lab.on_drive(&t7, "backup", "zpool status backup | grep -A1 scan:")?.stdout();
    lab.remark(scan.trim());
    // Where the kernel went on with it by itself, it may have been over before the run looked.
    ensure!(scan.contains("scrub repaired 0B"), "it was not scrubbed to the end\n{}", next.stderr());
    drilled(lab, &t7)
}

fn drilled(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.plug_slow(t7)?;
    let disk = t7.sha256()?;
    let drill = Command::shell("zferry verify t7 --drill --all").stdin(format!("{PASSPHRASE}\n"));
    let run = lab.start_command(drill.within(Duration::from_secs(300)))?;
    lab.wait_until(
        "a file of the drive is being read",
        Duration::from_secs(200),
        "ls -l /proc/$(pgrep -x zferry)/fd | grep -q /run/zferry/restore/.*film",
    )?;
    lab.reads_slowly(t7, 20)?;
    pull_in_mid_run(lab, t7, &run)?;
    let pulled = lab.finish(run)?;
    pulled
        .exits(1)?
        .says("t7 is gone")?
        .says_nothing_of("Safe to unplug")?
        .says_nothing_of("All others are good")?;
    others_answer(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    pulled.last_word("t7 was unplugged")?;
    if nothing_is_mounted(lab).is_err() {
        pulled.says("`zferry close t7` lets go of it, or says what does")?;
    }
    // What the kernel holds on to ends with a restart, if somebody still reads; that is what is said.
    let close = lab.execute(Command::shell("zferry close t7").within(Duration::from_secs(120)))?;
    if close.exits(0).is_ok() {
        lab.remark("closed");
        files::nothing_is_left(lab)?;
    } else {
        close.exits(1)?.says("restart this computer")?;
        lab.remark("closed by a restart");
        lab.cut()?;
        lab.unlock_source("rpool")?;
    }
    lab.plug(t7)?;
    files::typed(lab, "zferry verify t7 --drill --no-power-off")?.exits(0)?;
    files::nothing_is_left(lab)?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    Ok(())
}
