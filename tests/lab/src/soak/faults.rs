//! A backup to which something happens, and the one after it to which nothing does.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::chance::Chance;
use super::life::HOME;
use crate::drive::Drive;
use crate::lab::Lab;
use crate::scenarios::unplugged::{plug_again, pull_in_mid_run, start_run};

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// SIGTERM.
    Terminated,
    /// SIGKILL.
    Killed,
    /// The cable is pulled, and plugged in again.
    Pulled,
    /// The power fails.
    Cut,
}

const FAULTS: [Fault; 8] = [
    Fault::None,
    Fault::None,
    Fault::Terminated,
    Fault::Killed,
    Fault::Pulled,
    Fault::Pulled,
    Fault::Cut,
    Fault::Cut,
];

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// It came while the run was going.
    InMidRun,
    /// The run was quicker.
    TooLate,
    /// In mid-run; the kernel did not take the drive back, and a restart was asked for.
    Restart,
}

/// One run with a fault by chance, at a time by chance.
pub fn strikes(lab: &mut Lab, drive: &Drive, chance: &mut Chance) -> Result<(Fault, Hit)> {
    let fault = *chance.pick(&FAULTS).context("a fault")?;
    let moment = Duration::from_millis(500 + chance.below(14_000) as u64);
    lab.note(&format!("{fault:?} after {:.1} s", moment.as_secs_f32()));
    lab.plug_slow(drive)?;
    let mut run = start_run(lab, drive.name())?;
    if fault == Fault::None {
        lab.finish(run)?;
        return Ok((fault, Hit::InMidRun));
    }
    std::thread::sleep(moment);
    if !lab.goes_on(&mut run)? {
        return Ok((fault, Hit::TooLate));
    }
    match fault {
        Fault::None => {}
        Fault::Terminated | Fault::Killed => {
            let signal = if fault == Fault::Killed { "KILL" } else { "TERM" };
            lab.run(&format!("kill -{signal} {}; true", run.pid))?;
            lab.finish(run)?;
        }
        Fault::Cut => {
            lab.cut()?;
            lab.unlock_source("rpool")?;
        }
        Fault::Pulled => {
            pull_in_mid_run(lab, drive, &run)?;
            std::thread::sleep(Duration::from_secs(4));
            plug_again(lab, drive)?;
            let output = lab.finish(run)?;
            if output.says("Restart this computer").is_ok() {
                lab.cut()?;
                lab.unlock_source("rpool")?;
                return Ok((fault, Hit::Restart));
            }
        }
    }
    Ok((fault, Hit::InMidRun))
}

/// A run with no word more than usual; and one with the consents that it asked for, where the source was rolled back.
pub fn completes(lab: &mut Lab, drive: &Drive) -> Result<()> {
    lab.plug_if_away(drive)?;
    let name = drive.name();
    let run = lab.run(&format!("zferry run --no-power-off {name}"))?;
    if run.exits(0).is_err() {
        run.exits(1)?;
        let told = run.stderr();
        let consents: Vec<_> =
            told.split_whitespace().filter(|word| word.starts_with("--rollback-target=")).collect();
        if consents.is_empty() {
            bail!("a dataset was not backed up, and it was not for a rollback\n{told}");
        }
        let again = format!("zferry run --no-power-off {name} {}", consents.join(" "));
        lab.run(&again)?.exits(0)?.last_word(&format!("Safe to unplug {name} (exported; still powered)"))?;
    }
    drive.is_exported()?;
    lab.nothing_is_held("rpool")?;
    everything_arrived(lab, drive)
}

/// Each snapshot of the source is on the drive, by guid and IV set, and nothing partial is left.
fn everything_arrived(lab: &mut Lab, drive: &Drive) -> Result<()> {
    let here = lab.snapshots_below(HOME)?;
    let there = lab.snapshots_on(drive, "backup/eds")?;
    // Names may differ: one that was renamed on the source is renamed on the drive when it can be.
    let known = |place: &str, guid: &str, ivset: &str| {
        let dataset = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        there.iter().any(|(name, g, i)| dataset(name) == dataset(place) && g == guid && i == ivset)
    };
    let missing: Vec<_> = here.iter().filter(|(name, guid, ivset)| !known(name, guid, ivset)).collect();
    if !missing.is_empty() {
        bail!("the drive lacks {missing:?}");
    }
    let tokens = "zfs get -H -r -t filesystem,volume -o value receive_resume_token backup | sort -u";
    lab.on_drive(drive, "backup", tokens)?.prints("-")?;
    Ok(())
}
