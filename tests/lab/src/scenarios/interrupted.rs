//! A run that is stopped, killed or left without power: the next one goes on from there, by itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::session::{arrived, much};
use crate::drive::Drive;
use crate::lab::{CTRL_C, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a power cut in mid-send is finished by the next run", power_cut),
        Scenario::core(
            "a range that was killed goes on from what had arrived, though the source has destroyed all of it",
            range_is_killed,
        ),
        Scenario::full("an interruption early in a stream costs little", early),
        Scenario::full("an interruption in the middle of a stream costs little", midway),
        Scenario::full("an interruption late in a stream costs little", late),
        Scenario::full("Ctrl-C twice stops at once, and the next run goes on", twice),
        Scenario::full(
            "a run that is killed in its import does not get in the way of the next one",
            importing,
        ),
        Scenario::full("a run goes on when its terminal is closed", closed_terminal),
    ]
}

const MIB: u64 = 1 << 20;
/// What a token may be behind of what was sent.
const SLACK: u64 = 32 * MIB;
const SAFE: &str = "Safe to unplug t7 (exported and powered off)";

fn power_cut(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 30)?;
    lab.cut()?;
    lab.unlock_source("rpool")?;
    lab.plug(&t7)?;
    resumes(lab, &t7)
}

/// The next run, with no word more than usual.
fn resumes(lab: &mut Lab, t7: &Drive) -> Result<()> {
    let run = lab.run("zferry -v run t7")?;
    run.exits(0)?.says("zfs send -t")?.last_word(SAFE)?;
    lab.gone(t7)?;
    arrived(lab, t7)
}

fn range_is_killed(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.gone(&t7)?;
    lab.run(
        "set -e; for n in {10..39}; do head -c 2M /dev/urandom > /home/anna/film$n; \
         zfs snapshot rpool/nixos/home/anna@film$n; done",
    )?
    .exits(0)?;
    lab.plug_slow(&t7)?;
    let run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 30)?;
    lab.run(&format!("kill -KILL {}", run.pid))?.exits(0)?;
    lab.finish(run)?;
    lab.wait_until("the receive has ended", Duration::from_secs(60), "! pgrep -x zfs")?;
    let line = "zfs list -H -t snapshot -o name backup/eds/anna | grep -c film";
    let had_arrived = lab.run(line)?.number()?;
    ensure!((1..30).contains(&had_arrived), "{had_arrived} of 30 had arrived");
    // The dead run's holds keep what they were for, until somebody releases them by hand.
    lab.run(
        "set -e; for s in $(zfs list -H -t snapshot -o name rpool/nixos/home/anna); do \
         for tag in $(zfs holds -H $s | cut -f2); do zfs release $tag $s; done; zfs destroy $s; done; \
         head -c 2M /dev/urandom > /home/anna/last; zfs snapshot -r rpool/nixos/home@last",
    )?
    .exits(0)?;
    let run = lab.run("zferry -v run t7 --accept-source-loss=backup/eds/anna")?;
    run.exits(0)?
        .says("zfs send -w -i rpool/nixos/home/anna#zferry")?
        .says_nothing_of("in full")?
        .last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    lab.nothing_is_held("rpool")
}

/// How a run is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    CtrlC,
    Kill,
    Stop,
    Cut,
}

use Interruption::{CtrlC, Cut, Kill, Stop};

/// How many megabytes travel in each round, and when it is interrupted. Some 50 are under way when the first one is
/// written; what is under way arrives, once the sender has ended.
#[derive(Debug, Clone, Copy)]
struct Moment {
    written: u32,
    of: u64,
}

fn early(lab: &mut Lab) -> Result<()> {
    interrupted_after(lab, Moment { written: 5, of: 120 })
}

fn midway(lab: &mut Lab) -> Result<()> {
    interrupted_after(lab, Moment { written: 35, of: 120 })
}

fn late(lab: &mut Lab) -> Result<()> {
    interrupted_after(lab, Moment { written: 110, of: 200 })
}

/// What the next run sends is at most what the token did not acknowledge, and a little.
fn interrupted_after(lab: &mut Lab, moment: Moment) -> Result<()> {
    let (t7, _) = lab.setting("1536M")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.gone(&t7)?;
    for (round, how) in [CtrlC, Kill, Stop, Cut].into_iter().enumerate() {
        let one_round = format!("{how:?} after {} MB", moment.written);
        lab.note(&one_round);
        lab.run(&format!(
            "head -c {}M /dev/urandom > /home/anna/film{round} && zpool sync rpool",
            moment.of
        ))?
        .exits(0)?;
        lab.snapshot("rpool/nixos/home", &format!("film{round}"))?;
        interrupt(lab, &t7, how, moment.written).with_context(|| one_round.clone())?;
        goes_on(lab, &t7, how, moment.of).context(one_round)?;
    }
    Ok(())
}

/// Begins a run, and interrupts it when so much more is on the drive.
fn interrupt(lab: &mut Lab, t7: &Drive, how: Interruption, megabytes: u32) -> Result<()> {
    lab.plug(t7)?;
    let used = lab.on_drive(t7, "backup", "zfs get -Hp -o value used backup")?.number()?;
    let until = u32::try_from(used / 1_000_000).context("a small drive")? + megabytes;
    lab.plug_slow(t7)?;
    if how == CtrlC {
        let run = lab.on_terminal("zferry run t7")?;
        lab.until_written("backup", until)?;
        lab.type_into(&run, CTRL_C)?;
        lab.finish(run)?.exits(130)?.last_word(SAFE)?;
    } else {
        lab.run("systemd-run --quiet --unit=zferry-lab-run --collect zferry run t7")?.exits(0)?;
        lab.until_written("backup", until)?;
    }
    match how {
        CtrlC => return lab.gone(t7),
        Kill => lab.run("kill -KILL $(systemctl show -P MainPID zferry-lab-run)")?.exits(0)?,
        Stop => lab.run("systemctl stop zferry-lab-run")?.exits(0)?,
        Cut => {
            lab.cut()?;
            return lab.unlock_source("rpool");
        }
    };
    let ended = "! systemctl is-active -q zferry-lab-run && ! pgrep -x zfs";
    lab.wait_until("the run has ended", Duration::from_secs(120), ended)?;
    if how == Stop {
        lab.gone(t7)?;
        t7.is_exported().context("a run that was stopped let the drive go")?;
    }
    Ok(())
}

/// The next run resumes, and sends no more than it must.
fn goes_on(lab: &mut Lab, t7: &Drive, how: Interruption, megabytes: u64) -> Result<()> {
    let look = "zfs send -nvt $(zfs get -Hp -o value receive_resume_token backup/eds/anna) 2>&1";
    let token = if how == Kill {
        lab.run(look)?
    } else {
        lab.plug(t7)?;
        lab.on_drive(t7, "backup", look)?
    };
    let acknowledged = token.stdout();
    let acknowledged = acknowledged.lines().find_map(|line| line.trim().strip_prefix("bytes = 0x"));
    let acknowledged = acknowledged.with_context(|| format!("no token\n{}", token.stdout()))?;
    let acknowledged = u64::from_str_radix(acknowledged, 16).context("not a number of bytes")?;
    let told = lab.zferry("-v run t7")?;
    told.says("zfs send -t")?
        .sent_between(1, ((megabytes + 1) * MIB).saturating_sub(acknowledged) + SLACK)?
        .ends_with(&format!("{SAFE}."))?;
    if how == Kill {
        told.says("was left imported by an earlier run that was cut off; this run exports it")?;
    }
    let sent = told.count("sent")?;
    let (there, sent) = (acknowledged / MIB, sent / MIB);
    lab.remark(&format!("{how:?} at receive, {there} MB were there, {sent} MB sent"));
    lab.gone(t7)?;
    arrived(lab, t7)?;
    lab.run("zferry eject t7")?.exits(0)?;
    lab.gone(t7)
}

/// The second one does not wait for what is under way, but the truth is told all the same.
fn twice(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let run = lab.on_terminal("zferry run t7")?;
    lab.until_written("backup", 9)?;
    lab.type_into(&run, CTRL_C)?;
    lab.type_into(&run, CTRL_C)?;
    let run = lab.finish(run)?;
    run.exits(130)?;
    let imported = lab.run("zpool list -H -o name backup")?.exits(0).is_ok();
    if imported {
        run.says("Do NOT unplug t7")?.says_nothing_of("Safe")?;
        lab.remark("still imported");
    } else {
        run.says("Safe to unplug t7")?;
        lab.remark("exported");
    }
    lab.wait_until("the receive has ended", Duration::from_secs(60), "! pgrep -x zfs")?;
    lab.plug(&t7)?;
    resumes(lab, &t7)?;
    lab.nothing_is_held("rpool")
}

/// The kernel goes on with an import that nobody waits for any more, and the next run may be as quick as that.
fn importing(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    for round in 1..=5 {
        let both = "zferry run t7 2>/dev/null & until pgrep -f '^/?[a-z/]*zpool import' >/dev/null; do :; done; \
                    kill -KILL $!; exec zferry run t7";
        let run = lab.run(both)?;
        run.exits(0)?.last_word(SAFE)?;
        let meanwhile = run.stderr().contains("earlier run that was cut off");
        lab.remark(&format!("round {round}: {}", if meanwhile { "adopted" } else { "imported anew" }));
        lab.gone(&t7)?;
        lab.plug(&t7)?;
    }
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.nothing_is_held("rpool")
}

fn closed_terminal(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    lab.run("setsid script -qfc 'zferry run t7' /dev/null >/dev/null 2>&1 </dev/null & true")?.exits(0)?;
    lab.until_written("backup", 9)?;
    // The terminal goes, with everything that it had.
    lab.run("pkill -KILL -x script")?.exits(0)?;
    lab.wait_until("the run goes on", Duration::from_secs(5), "pgrep -x zferry")?;
    lab.wait_until("the run has ended", Duration::from_secs(300), "! pgrep -x zferry")?;
    lab.gone(&t7)?;
    arrived(lab, &t7)
}
