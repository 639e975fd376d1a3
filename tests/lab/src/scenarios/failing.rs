//! A drive that is connected and answers with errors, in mid-send. The run says so, goes on when the errors pass, asks
//! for the drive to be plugged in again when they do not, and nothing that had arrived is lost.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Scenario;
use super::boundaries::same_files;
use super::session::arrived;
use super::unplugged::{
    finished, give_way, others_answer, plug_again, start, take_turns, the_kernel_is_at_fault, wait_for_replug,
};
use crate::command::{Background, Output};
use crate::drive::Drive;
use crate::lab::Lab;
use crate::machine::usb::Defect;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "a drive that cannot be written to in mid-send is told so, and finished later",
            |lab| fails(lab, Defect::Writes),
        ),
        Scenario::full("a drive that cannot be read in mid-send is told so, and finished later", |lab| {
            fails(lab, Defect::Reads)
        }),
    ]
}

/// How it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The drive works again by itself.
    Passes,
    /// It is plugged in again, as asked for, and works.
    Replugged,
    /// Nobody is there.
    Nothing,
}

fn fails(lab: &mut Lab, defect: Defect) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    wait_for_replug(lab, "30s")?;
    lab.backup(&t7, "")?;
    for (round, after) in [After::Passes, After::Replugged, After::Nothing].into_iter().enumerate() {
        let what = format!("{defect:?} fail, then: {after:?}");
        lab.note(&what);
        one(lab, &t7, round, defect, after).context(what)?;
        lab.remark(&format!("{defect:?} at receive"));
    }
    same_files(lab, &t7)
}

fn one(lab: &mut Lab, t7: &Drive, round: usize, defect: Defect, after: After) -> Result<()> {
    lab.run("head -c 60M /dev/urandom > /home/anna/film && zpool sync rpool")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", &format!("round{round}"))?;
    lab.plug_slow(t7)?;
    let mut run = start(lab)?;
    lab.until_says(&mut run, "zfs receive -s -u backup/eds/anna")?;
    std::thread::sleep(Duration::from_secs(3));
    give_way(lab, &run)?;
    lab.goes_bad(t7, defect)?;
    match after {
        After::Passes => passes(lab, t7, run),
        After::Replugged => replugged(lab, t7, run),
        After::Nothing => nothing_more(lab, t7, run),
    }
}

/// The errors pass before anybody had to be asked.
fn passes(lab: &mut Lab, t7: &Drive, run: Background) -> Result<()> {
    let suspended = "grep -q SUSPENDED /proc/spl/kstat/zfs/backup/state";
    lab.wait_until("the pool is suspended", Duration::from_secs(60), suspended)?;
    lab.is_mended(t7)?;
    take_turns(lab)?;
    let run = lab.finish(run)?;
    is_told(&run)?;
    if run.says("What had arrived is kept: unplug it, plug it in again and run again").is_ok() {
        run.exits(1)?;
        others_answer(lab)?;
        return after_a_restart(lab, t7);
    }
    finished(lab, t7, &run)
}

/// The drive is well again, and the kernel does not go on: that must be seen to be so.
fn after_a_restart(lab: &mut Lab, t7: &Drive) -> Result<()> {
    the_kernel_is_at_fault(lab)?;
    lab.cut()?;
    lab.unlock_source("rpool")?;
    lab.plug(t7)?;
    lab.run("zferry run t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(t7)?;
    arrived(lab, t7)
}

/// They do not, and the drive is plugged in again.
fn replugged(lab: &mut Lab, t7: &Drive, mut run: Background) -> Result<()> {
    lab.until_says(&mut run, "Unplug t7 and plug it in again")?;
    others_answer(lab)?;
    lab.pull(t7)?;
    plug_again(lab, t7)?;
    let run = lab.finish(run)?;
    is_told(&run)?;
    finished(lab, t7, &run)
}

/// They do not, and nobody is there. The next day the drive works.
fn nothing_more(lab: &mut Lab, t7: &Drive, run: Background) -> Result<()> {
    let run = lab.finish(run)?;
    is_told(&run)?;
    run.exits(1)?
        .says("The kernel keeps “backup” suspended until t7 is plugged in anew and run again")?
        .last_word(
            "t7 answers with errors. What had arrived is kept: unplug it, plug it in again and run again",
        )?;
    lab.nothing_is_held("rpool")?;
    others_answer(lab)?;
    // Typed once more, out of habit.
    let again = start(lab)?;
    let again = lab.finish(again)?;
    again.exits(1)?.says("unplug it and plug it in again, with another cable")?;
    lab.pull(t7)?;
    plug_again(lab, t7)?;
    let next = start(lab)?;
    let next = lab.finish(next)?;
    if next.says("The drive is as this computer left it").is_ok() {
        lab.remark("the next run finished");
        next.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    } else {
        next.exits(1)?.says("restart this computer")?;
        return after_a_restart(lab, t7);
    }
    lab.gone(t7)?;
    arrived(lab, t7)
}

/// Of errors, and not of a drive that was pulled out or of another computer.
fn is_told(run: &Output) -> Result<()> {
    run.says("t7 answers with errors: ")?
        .says_nothing_of("t7 is gone")?
        .says_nothing_of("another computer after")?;
    Ok(())
}
