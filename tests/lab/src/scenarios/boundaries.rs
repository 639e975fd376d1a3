//! A run that is killed, whose drive is pulled out, or whose computer loses its power, exactly before or after each of
//! its commands. One more run, with no word more than usual, must bring everything over, whole.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::unplugged::{finished, plug_again, pull_in_mid_run, start};
use crate::command::Command;
use crate::drive::Drive;
use crate::lab::{KEY, Lab};
use crate::protocol::Ended;

const HOME: &str = "rpool/nixos/home";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a run may be killed before each of its commands", |lab| {
            every(lab, Fault::KillBefore)
        }),
        Scenario::full("a run may be killed after each of its commands", |lab| every(lab, Fault::KillAfter)),
        Scenario::full("a drive may be pulled out before each command of a run", |lab| {
            every(lab, Fault::Pull)
        }),
        // Each cut is followed by a boot, which takes a minute where two guests share two processors.
        Scenario::full("the power may fail at each command of a run until all has arrived", |lab| {
            rounds_of(lab, &of_each(Fault::Cut, &ALL[..ARRIVED]))
        }),
        Scenario::full("the power may fail at each command of a run once all has arrived", |lab| {
            rounds_of(lab, &of_each(Fault::Cut, &ALL[ARRIVED..]))
        }),
        Scenario::core("a run may be killed, pulled from and cut off at any time", some_of_each),
    ]
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `kill -9` before the command is run.
    KillBefore,
    /// `kill -9` when it has taken effect, and nobody has been told.
    KillAfter,
    /// The cable is pulled before it is run, and plugged in again.
    Pull,
    /// The computer's power fails before it is run.
    Cut,
}

/// A command of a run, in the order in which they come.
#[derive(Debug, Clone, Copy)]
struct Boundary {
    /// What it does.
    name: &'static str,
    tool: &'static str,
    /// Its arguments, as a pattern of the shell.
    arguments: &'static str,
}

const fn at(name: &'static str, tool: &'static str, arguments: &'static str) -> Boundary {
    Boundary { name, tool, arguments }
}

const IMPORT: Boundary = at("import", "zpool", "import -N *");
const LIST: Boundary = at("list", "zfs", "list * filesystem,volume *");
const PROTECT: Boundary = at("protect", "zfs", "program -j rpool *");
const HOLD: Boundary = at("hold", "zfs", "hold *");
const SEND: Boundary = at("send", "zfs", "send *");
const RECEIVE: Boundary = at("receive", "zfs", "receive *");
const VERIFY: Boundary = at("verify", "zfs", "list *name,guid,ivsetguid *");
const PRUNE: Boundary = at("prune", "zfs", "program -j backup *");
const REDUCE: Boundary = at("reduce", "zfs", "destroy *#*");
const RELEASE: Boundary = at("release", "zfs", "release *");
const RECORD: Boundary = at("record", "zfs", "set *last-run*");
const EXPORT: Boundary = at("export", "zpool", "export backup");
const POWER_OFF: Boundary = at("power-off", "udisksctl", "power-off *");

const ALL: [Boundary; 13] =
    [IMPORT, LIST, PROTECT, HOLD, SEND, RECEIVE, VERIFY, PRUNE, REDUCE, RELEASE, RECORD, EXPORT, POWER_OFF];

/// From here on the drive has all that was to be sent.
const ARRIVED: usize = 6;

fn every(lab: &mut Lab, fault: Fault) -> Result<()> {
    // After the export there is nothing that could be pulled out of a run.
    let last = if fault == Fault::Pull { ALL.len() - 1 } else { ALL.len() };
    rounds_of(lab, &of_each(fault, &ALL[..last]))
}

fn of_each(fault: Fault, boundaries: &[Boundary]) -> Vec<(Fault, Boundary)> {
    boundaries.iter().map(|boundary| (fault, *boundary)).collect()
}

fn some_of_each(lab: &mut Lab) -> Result<()> {
    use Fault::{Cut, KillAfter, KillBefore, Pull};
    let rounds = [
        (KillAfter, HOLD),
        (KillBefore, RECEIVE),
        (KillAfter, EXPORT),
        (Pull, LIST),
        (Pull, RECEIVE),
        (Pull, PRUNE),
        (Cut, PROTECT),
        (Cut, RECEIVE),
        (Cut, EXPORT),
    ];
    rounds_of(lab, &rounds)
}

fn rounds_of(lab: &mut Lab, rounds: &[(Fault, Boundary)]) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    // What the lab wrote a moment ago is not what a power cut is to be tried on.
    lab.run("sync -f /etc/zferry")?.exits(0)?;
    // Each round gives up what was brought over two rounds before, so that there is something to prune in each.
    for first in ["round0", "round1"] {
        lab.snapshot(HOME, first)?;
    }
    lab.backup(&t7, "")?;
    for (number, (fault, boundary)) in (2..).zip(rounds) {
        let what = format!("{fault:?} at {}", boundary.name);
        lab.note(&format!("round {number}: {what}"));
        one(lab, &t7, number, *fault, *boundary).with_context(|| what.clone())?;
        lab.remark(&what);
    }
    same_files(lab, &t7)
}

fn one(lab: &mut Lab, t7: &Drive, number: usize, fault: Fault, boundary: Boundary) -> Result<()> {
    // Something to send in two datasets, and something to prune.
    lab.run(&format!(
        "set -e; head -c 3M /dev/urandom > /home/anna/film; echo {number} > /home/number; zpool sync rpool; \
         zfs snapshot -r {HOME}@round{number}; zfs destroy {HOME}/anna@round{}",
        number - 2
    ))?
    .exits(0)?;
    set_trap(lab, fault, boundary)?;
    match fault {
        Fault::KillBefore | Fault::KillAfter => {
            let run = lab.run_in_background("zferry run t7")?;
            let run = lab.finish(run)?;
            let killed = matches!(run.ended(), Some(Ended::Signal(9)));
            ensure!(killed, "the run was not killed: {:?}\n{}", run.ended(), run.stderr());
            no_trap(lab, boundary)?;
        }
        Fault::Pull => {
            let run = start(lab)?;
            wait_for_trap(lab)?;
            pull_in_mid_run(lab, t7, &run)?;
            // The tool must not hold for ever what the run has given up.
            lab.run("touch /run/lab/go")?.exits(0)?;
            std::thread::sleep(Duration::from_secs(3));
            plug_again(lab, t7)?;
            let run = lab.finish(run)?;
            no_trap(lab, boundary)?;
            return finished(lab, t7, &run);
        }
        Fault::Cut => {
            lab.run_in_background("zferry run t7")?;
            wait_for_trap(lab)?;
            lab.cut()?;
            lab.unlock_source("rpool")?;
        }
    }
    // A run that was killed behind the power-off has let the drive go.
    lab.plug_if_away(t7)?;
    lab.zferry("run t7")?
        .counts(&[("failed", 0)])?
        .ends_with("Safe to unplug t7 (exported and powered off).")?;
    lab.gone(t7)?;
    super::session::arrived(lab, t7)
}

/// From now on something happens at this command, once.
fn set_trap(lab: &mut Lab, fault: Fault, boundary: Boundary) -> Result<()> {
    let at_the_command = match fault {
        Fault::KillBefore => "kill -KILL $PPID; exit 1",
        Fault::KillAfter => "$real \"$@\"; code=$?; kill -KILL $PPID; exit $code",
        Fault::Pull | Fault::Cut => "touch /run/lab/there; until test -e /run/lab/go; do sleep 0.1; done",
    };
    lab.run("rm -rf /run/lab/once /run/lab/there /run/lab/go")?.exits(0)?;
    // Patterns with spaces are quoted where they are literal: the arguments are compared as one text.
    let pattern = boundary.arguments.replace(' ', "\\ ");
    lab.in_place_of(
        boundary.tool,
        &format!(
            "if [[ \"$*\" == {pattern} ]] && mkdir /run/lab/once 2>/dev/null; then {at_the_command}; fi\n\
             exec $real \"$@\""
        ),
    )
}

fn wait_for_trap(lab: &mut Lab) -> Result<()> {
    lab.wait_until("the run is at that command", Duration::from_secs(90), "test -e /run/lab/there")
}

fn no_trap(lab: &mut Lab, boundary: Boundary) -> Result<()> {
    lab.run("test -d /run/lab/once")?.exits(0).context("the run never came to that command")?;
    lab.real_again(boundary.tool)
}

/// After a soak there are hundreds of snapshots, each of which takes a second in an emulated guest.
const SUMS: Duration = Duration::from_secs(1800);

/// The files of each snapshot, by its place and guid.
pub type Files = BTreeMap<String, Vec<String>>;

/// Unlocked for once, every snapshot that the source has holds the same files on the drive.
pub fn same_files(lab: &mut Lab, drive: &Drive) -> Result<()> {
    let here = files_of_source(lab)?;
    same_files_as(lab, drive, &here, &[])
}

/// What the source has.
pub fn files_of_source(lab: &mut Lab) -> Result<Files> {
    let here = lab.execute(Command::shell(&sums("rpool", "nixos/home")).within(SUMS))?;
    let here = by_snapshot(&here.exits(0)?.stdout());
    ensure!(here.values().any(|files| !files.is_empty()), "no files on the source");
    // Two snapshots that cannot be looked into would look alike.
    let unreadable = here.values().flatten().any(|line| line == UNREADABLE);
    ensure!(!unreadable, "a snapshot of the source cannot be mounted\n{here:#?}");
    Ok(here)
}

/// The drive has that too. A copy to which nothing was sent since the source was given a new passphrase opens with one of
/// the earlier ones.
pub fn same_files_as(lab: &mut Lab, drive: &Drive, here: &Files, earlier: &[String]) -> Result<()> {
    lab.plug(drive)?;
    lab.run("mkdir -p /run/lab/keys")?.exits(0)?;
    for (number, passphrase) in earlier.iter().enumerate() {
        lab.write(&format!("/run/lab/keys/{number:04}"), passphrase)?;
    }
    // The newest comes first by its name.
    let unlock = format!(
        "cp {KEY} /run/lab/keys/now; for d in $(zfs list -H -o name -r backup/eds); do for key in $(ls -r /run/lab/keys); do \
         zfs load-key -L file:///run/lab/keys/$key $d >&2 && break; done; done; {}; \
         for d in $(zfs list -H -o name -r backup/eds); do zfs unload-key $d >&2; done; true",
        sums("backup", "eds")
    );
    let there = by_snapshot(&lab.on_drive_within(SUMS, drive, "backup", &unlock)?.stdout());
    for (snapshot, files) in here {
        let copy = there.get(snapshot);
        ensure!(copy == Some(files), "{snapshot} has the files\n{files:#?}\nand its copy\n{copy:#?}");
    }
    Ok(())
}

/// Prints the files of each snapshot.
fn sums(pool: &str, top: &str) -> String {
    format!(
        "mkdir -p /run/lab/sums; zfs list -H -o name,guid -t snapshot -r {pool}/{top} | while read -r s guid; do \
         place=${{s%@*}}; echo \"= ${{place#{pool}/{top}}} $guid\"; mount -t zfs $s /run/lab/sums || {{ echo {UNREADABLE}; continue; }}; \
         ( cd /run/lab/sums; find . -type f -exec sha256sum {{}} + | sort ); umount /run/lab/sums; done"
    )
}

/// Stands in the place of a snapshot's files.
const UNREADABLE: &str = "cannot-be-mounted";

/// The files of each snapshot, by its place and guid.
fn by_snapshot(sums: &str) -> Files {
    let mut all = Files::new();
    let mut current = String::new();
    for line in sums.lines() {
        match line.strip_prefix("= ") {
            Some(snapshot) => {
                current = snapshot.to_owned();
                all.entry(current.clone()).or_default();
            }
            None => all.entry(current.clone()).or_default().push(line.to_owned()),
        }
    }
    all
}
