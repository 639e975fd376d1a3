//! A run that is stopped, killed or left without power: the next one goes on from there, by itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::session::{arrived, much};
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a power cut in mid-send is finished by the next run", power_cut),
        Scenario::core(
            "a range that was killed goes on from what had arrived, though the source has destroyed all of it",
            range_is_killed,
        ),
        Scenario::full("an interruption early, in the middle or late costs little", early_and_late),
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

/// What the next run sends is at most what the token did not acknowledge, and a little.
fn early_and_late(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("768M")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.gone(&t7)?;
    for (round, (megabytes, stop)) in
        [(12, "kill -KILL $MAIN"), (60, "systemctl stop zferry-lab-run"), (75, "kill -KILL $MAIN")]
            .iter()
            .enumerate()
    {
        lab.run(&format!("head -c 90M /dev/urandom > /home/anna/film{round} && zpool sync rpool"))?
            .exits(0)?;
        lab.snapshot("rpool/nixos/home", &format!("film{round}"))?;
        lab.plug_slow(&t7)?;
        lab.run("systemd-run --quiet --unit=zferry-lab-run --collect zferry run t7")?.exits(0)?;
        let before = 8 + round as u64 * 95;
        let before = u32::try_from(before).context("small")?;
        lab.until_written("backup", before + megabytes)?;
        lab.run(&format!("MAIN=$(systemctl show -P MainPID zferry-lab-run); {stop}"))?.exits(0)?;
        lab.wait_until(
            "the run has ended",
            Duration::from_secs(120),
            "! systemctl is-active -q zferry-lab-run && ! pgrep -x zfs",
        )?;
        if stop.starts_with("systemctl") {
            lab.gone(&t7)?;
            t7.is_exported().context("a run that was stopped let the drive go")?;
            lab.plug(&t7)?;
        }
        let told = lab.zferry("run t7")?;
        let acknowledged = u64::from(*megabytes) * MIB;
        // Later on, the receiver may have had all of it, and needed time only to write it.
        told.sent_between(u64::from(round == 0), (91 * MIB).saturating_sub(acknowledged) + SLACK)?;
        told.ends_with(&format!("{SAFE}."))?;
        lab.gone(&t7)?;
        arrived(lab, &t7)?;
        lab.run("zferry eject t7")?.exits(0)?;
        lab.gone(&t7)?;
    }
    Ok(())
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
