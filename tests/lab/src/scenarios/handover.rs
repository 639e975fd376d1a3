//! A drive changes hands: from a run to whoever wants to look into it, and to nobody while it is paused.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use super::files::nothing_is_left;
use super::session::arrived;
use crate::command::{Background, Command};
use crate::drive::Drive;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("open takes a drive over from a run, which goes on later", taken_over),
        Scenario::full("a paused drive gets no run, and the one that it has ends in good order", paused),
    ]
}

const OFF: &str = "Safe to unplug t7 (exported and powered off)";

/// A run in the middle of a stream that takes its time.
fn in_mid_send(lab: &mut Lab, t7: &Drive, written: u32) -> Result<Background> {
    lab.run("head -c 120M /dev/urandom > /home/anna/film && zpool sync rpool")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "much")?;
    lab.plug_slow(t7)?;
    let run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", written)?;
    Ok(run)
}

fn goes_on_where_it_was(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.plug(t7)?;
    lab.run("zferry -v run t7")?.exits(0)?.says("zfs send -t")?.last_word(OFF)?;
    lab.gone(t7)?;
    arrived(lab, t7)
}

fn taken_over(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zferry run t7")?.exits(0)?.last_word(OFF)?;
    let mut run = in_mid_send(lab, &t7, 12)?;
    // Nobody is there to be asked.
    lab.run("zferry open t7 < /dev/null")?
        .exits(75)?
        .says("it backs up to the drive")?
        .says("zferry open t7 --yes")?;
    ensure!(lab.goes_on(&mut run)?, "the run was stopped although nobody said so");
    let mut open = lab.on_terminal("zferry open t7")?;
    lab.until_says(&mut open, "Stop it and open t7? [y/N]")?;
    lab.type_into(&open, "y\n")?;
    lab.until_says(&mut open, "Passphrase of backup/eds")?;
    lab.type_into(&open, &format!("{PASSPHRASE}\n"))?;
    lab.finish(open)?
        .exits(0)?
        .says("Stopping the run of t7")?
        .says("The next `zferry run t7` goes on where it was")?
        .says("/run/zferry/open/t7/home/anna")?;
    lab.finish(run)?
        .exits(143)?
        .says_nothing_of("Safe to unplug")?
        .last_word("Do NOT unplug t7 yet: its pool is exported, but `zferry open` waits for it")?;
    // What is there is what was complete.
    lab.run("cmp /run/zferry/open/t7/home/anna/letter /home/anna/letter; ls /run/zferry/open/t7/home/anna")?
        .prints("letter\nphoto")?;
    lab.run("zferry run t7")?.exits(1)?.says("zferry close t7")?;
    lab.run("zferry close t7")?.exits(0)?.last_word(OFF)?;
    lab.gone(&t7)?;
    nothing_is_left(lab)?;
    goes_on_where_it_was(lab, &t7)
}

fn paused(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    // Of one dataset everything is one long stream.
    lab.run(
        "for day in 1 2; do zfs destroy rpool/nixos/home/anna@autosnap_2026-01-0${day}_00:00:00_daily; done",
    )?
    .exits(0)?;
    let run = in_mid_send(lab, &t7, 9)?;
    lab.run("zferry pause t7")?
        .exits(0)?
        .says("t7 is paused since")?
        .says("Stopping the run of t7")?
        .last_word("t7 is not connected any more")?;
    lab.finish(run)?.exits(143)?.says("Interrupted; the next run goes on from here")?.last_word(OFF)?;
    lab.gone(&t7)?;
    lab.run("zferry status")?.exits(0)?.says("t7 is paused, since")?.says("zferry resume t7")?;
    lab.run("zferry --json status")?.exits(0)?.says(r#""paused":{"since":{"at":"20"#)?;

    // Whoever came to look is there before the drive is, and nothing starts in between.
    let waiting = Command::shell("zferry open t7 --wait").stdin(format!("{PASSPHRASE}\n"));
    let mut open = lab.start_command(waiting.within(Duration::from_secs(300)))?;
    lab.until_says(&mut open, "Plug in t7; waiting until it is there.")?;
    lab.run("zferry run t7")?.exits(75)?.says("another zferry is busy with this drive")?;
    lab.plug(&t7)?;
    // Of the first backup the top had arrived, and of what is below it a part.
    lab.finish(open)?
        .exits(0)?
        .says("“backup/eds/anna” has no complete backup yet")?
        .says("/run/zferry/open/t7/home/.zfs/snapshot")?
        .says_nothing_of("/run/zferry/open/t7/home/anna")?;
    lab.run("zferry close t7")?.exits(0)?.last_word(OFF)?;
    lab.plug(&t7)?;
    lab.run("zferry run t7")?.exits(75)?.says("t7 is paused since")?.says("zferry resume t7")?;
    lab.run("zferry run")?.exits(75)?.says("t7 is paused since")?;
    nothing_is_left(lab)?;

    lab.run("zferry resume t7")?.exits(0)?.says("t7 is not paused any more")?;
    // All drives that there are.
    lab.run("zferry pause")?.exits(0)?.says("t7 is paused since")?;
    lab.run("zferry resume")?.exits(0)?.says("t7 is not paused any more")?;
    lab.run("zferry resume t7")?.exits(0)?.says("t7 was not paused")?;
    goes_on_where_it_was(lab, &t7)
}
