//! The cable is pulled: the run says so, other pools stay usable, and the same drive is gone on with where it was.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Scenario;
use super::session::{arrived, much};
use crate::command::{Background, Command, Output};
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "a drive that is pulled out in mid-send and comes back is finished by the same run",
            comes_back,
        ),
        Scenario::full(
            "a drive that is pulled out of its first receive is finished by the same run",
            comes_back_in_the_first_receive,
        ),
        Scenario::core(
            "a drive that was pulled out and written to elsewhere is not touched",
            written_elsewhere,
        ),
        Scenario::full(
            "a drive that is pulled out and does not come back is finished by the next run",
            does_not_come_back,
        ),
        Scenario::full("a drive may be pulled out before its stream has arrived", in_early_phases),
        Scenario::full("a drive may be pulled out after its stream has arrived", in_late_phases),
        Scenario::full("a drive may be pulled out in the middle of its export", in_mid_export),
    ]
}

/// What a person may wait until it is said that the drive is gone.
const SAID_WITHIN: Duration = Duration::from_secs(15);
const SAFE: &str = "Safe to unplug t7 (exported and powered off)";

/// Pulls the drive out of a running backup. ZFS tries the writes that fail then again at once, in threads that come
/// before everything else, until somebody gets to tell it that the disk is gone: tens of thousands of times a minute,
/// and with the only processor of an emulated guest that may take minutes (measured with ZFS 2.4.4). A computer has
/// other processors, on which everything else goes on. Here the threads of the drive's pool, which are younger than the
/// run, give way to it.
pub fn pull_in_mid_run(lab: &mut Lab, drive: &Drive, run: &Background) -> Result<()> {
    give_way(lab, run)?;
    lab.pull(drive)
}

/// The threads of a pool that is younger than the run come after everything else.
pub(super) fn give_way(lab: &mut Lab, run: &Background) -> Result<()> {
    give_way_to(lab, u64::from(run.pid))
}

/// The same for a run of which only the process is known: udev has started it.
pub(super) fn give_way_to(lab: &mut Lab, run: u64) -> Result<()> {
    lab.run(&format!("for p in $(pgrep ^z_); do [ $p -lt {run} ] || renice -n 19 -p $p; done"))?;
    Ok(())
}

/// Pulls the drive out, and waits until the run has said so.
pub(super) fn pull(lab: &mut Lab, drive: &Drive, run: &mut Background) -> Result<()> {
    pull_in_mid_run(lab, drive, run)?;
    let pulled = Instant::now();
    lab.until_says(run, "t7 is gone")?;
    let took = pulled.elapsed();
    lab.remark(&format!("said after {:.1} s", took.as_secs_f32()));
    ensure!(took < SAID_WITHIN, "it took {took:?} to say that the drive is gone");
    others_answer(lab)
}

/// The host's other pool is usable, and so are its lists of pools and datasets.
pub(super) fn others_answer(lab: &mut Lab) -> Result<()> {
    let line = "zpool list -H -o name rpool && zpool list -H && zfs list -H -o name rpool && zfs snapshot rpool@$RANDOM";
    let output = lab.execute(Command::shell(line).within(Duration::from_secs(30)))?;
    output.exits(0).context("other pools cannot be used while the drive is away")?;
    Ok(())
}

/// Plugs the drive in again. Before, the threads that gave way get their turn back, when ZFS has stopped trying: what
/// they do now is what everybody waits for, and the event daemon still has hundreds of scripts to run.
pub fn plug_again(lab: &mut Lab, drive: &Drive) -> Result<()> {
    let stopped = lab.run(
        "state=/proc/spl/kstat/zfs/backup/state; for second in {1..20}; do \
         test -e $state && test $(cat $state) != SUSPENDED || exit 0; sleep 1; done; exit 1",
    )?;
    if stopped.exits(0).is_ok() {
        take_turns(lab)?;
    }
    lab.plug(drive)
}

/// The threads that gave way get their turn back, not before everything else: one that still tries its writes again would
/// have the only processor to itself (seen in the 24th round of a soak: nothing else ran for three minutes).
pub(super) fn take_turns(lab: &mut Lab) -> Result<()> {
    lab.run("for p in $(pgrep ^z_); do renice -n 0 -p $p; done")?;
    Ok(())
}

pub(super) fn wait_for_replug(lab: &mut Lab, time: &str) -> Result<()> {
    let line = format!("sed -i '/^pool-guid/a replug-wait = \"{time}\"' /etc/zferry/config.toml");
    lab.run(&line)?.exits(0)?;
    Ok(())
}

fn comes_back(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let mut run = start(lab)?;
    lab.until_written("backup", 9)?;
    pull(lab, &t7, &mut run)?;
    lab.until_says(&mut run, "Plug in t7")?;
    // Another drive is left alone.
    let other = lab.drive("other", "128M")?;
    lab.plug(&other)?;
    std::thread::sleep(Duration::from_secs(3));
    if !lab.goes_on(&mut run)? {
        bail!("the run did not wait for its own drive");
    }
    lab.pull(&other)?;
    plug_again(lab, &t7)?;
    let run = lab.finish(run)?;
    finished(lab, &t7, &run)?;
    // Resumed; or the receive had had everything, and needed only the drive to end.
    let on = ["zfs send -t", "Nothing to send; 2 datasets are up to date", "Restart this computer"];
    ensure!(on.iter().any(|words| run.says(words).is_ok()), "it was not gone on with\n{}", run.stderr());
    lab.remark("Pull at receive");
    Ok(())
}

/// As above, with one full stream: what panics in ZFS are increments.
fn comes_back_in_the_first_receive(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    much(lab)?;
    lab.run(
        "zfs list -H -r -t snapshot -o name rpool/nixos/home | grep -v @much | xargs -n 1 zfs destroy && \
         zpool sync rpool",
    )?
    .exits(0)?;
    lab.plug_slow(&t7)?;
    let mut run = start(lab)?;
    lab.until_written("backup", 9)?;
    pull(lab, &t7, &mut run)?;
    lab.until_says(&mut run, "Plug in t7")?;
    plug_again(lab, &t7)?;
    let run = lab.finish(run)?;
    finished(lab, &t7, &run)?;
    run.says("in full")?;
    lab.remark("Pull at receive");
    Ok(())
}

/// The run went on where it was; or ZFS did not, which happens (see [`the_kernel_is_at_fault`]): then the run says that
/// the computer has to be restarted, touches nothing more, and the next run goes on where this one was.
pub(super) fn finished(lab: &mut Lab, t7: &Drive, run: &Output) -> Result<()> {
    let hangs = run.says("gave no answer within 120 s").is_ok();
    if hangs || run.says("the kernel does not go on with its pool").is_ok() {
        run.exits(1)?.last_word("Restart this computer, then run again. What had arrived on t7 is kept")?;
        if the_export_hangs(lab)? {
            lab.remark("the export hangs, the next run after a restart");
        } else if hangs_with(lab, "program")? {
            lab.remark("what destroys snapshots hangs, the next run after a restart");
        } else {
            the_kernel_is_at_fault(lab)?;
            others_answer(lab)?;
        }
        lab.cut()?;
        lab.unlock_source("rpool")?;
        lab.plug(t7)?;
        lab.run("zferry -v run t7")?.exits(0)?.last_word(SAFE)?;
    } else {
        run.exits(0)?.last_word(SAFE)?;
        lab.remark("the same run finished");
    }
    lab.gone(t7)?;
    arrived(lab, t7)
}

/// Pulled out of an export, a drive takes the lists of all pools along: the export keeps them locked, and does not end.
fn the_export_hangs(lab: &mut Lab) -> Result<bool> {
    hangs_with(lab, "export")
}

/// Whether a tool of ZFS that was given this command is kept by the kernel.
fn hangs_with(lab: &mut Lab, command: &str) -> Result<bool> {
    let line = format!(
        "for p in $(pgrep -x 'zpool|zfs'); do \
         grep -qz ^{command} /proc/$p/cmdline && grep -q '^State:.D' /proc/$p/status && exit 0; done; exit 1"
    );
    Ok(lab.run(&line)?.exits(0).is_ok())
}

/// What each tool of ZFS that does not end waits for in the kernel, and the threads that write to pools.
fn what_is_stuck(lab: &mut Lab) -> Result<String> {
    let line = "for p in $(pgrep -x 'zfs|zpool|txg_sync|zferry'); do echo \"$(tr '\\0' ' ' < /proc/$p/cmdline) $(cat /proc/$p/comm)\"; \
                head -12 /proc/$p/stack; done";
    Ok(lab.run(line)?.stdout())
}

/// Faults of ZFS with a raw receive whose disk is gone: it panics when it is to go on (2.4.4: `PANIC at zio.c …
/// zio_encrypt()`); it tries writes again without an end, so that `zpool clear` does not come to its turn; it suspends the
/// pool again as soon as it has resumed it; or it declares the disk faulty and fails to take it back (2.1.11).
pub(super) fn the_kernel_is_at_fault(lab: &mut Lab) -> Result<()> {
    let found = lab.run(
        "if journalctl --dmesg --grep 'PANIC at' | grep -q zio_encrypt; then \
             echo \"ZFS panicked ($(journalctl --dmesg -o cat --grep '^VERIFY' | head -1))\"; exit; fi; \
         journalctl --dmesg -o short-unix --grep \"Pool 'backup'\" | awk \
             '/being resumed/ { resumed = $1 } /has been suspended/ { again = $1 - resumed } \
              END { if (again > 0 && again < 0.1) print \"ZFS suspended the pool again at once\" }' | grep . && exit; \
         timeout 20 zpool status -p backup | awk \
             '$4 + 0 > 1000 { print \"ZFS tried\", $4, \"writes again\"; exit } /FAULTED/ { print \"the disk stays FAULTED\" }'",
    )?;
    let found = found.stdout().trim().to_owned();
    ensure!(!found.is_empty(), "the pool was not recovered, and it was not the kernel's fault");
    lab.remark(&format!("{found}, the next run after a restart"));
    Ok(())
}

/// A run that may have to wait for the kernel.
pub(super) fn start(lab: &mut Lab) -> Result<Background> {
    start_run(lab, "t7")
}

/// The same, of any drive.
pub fn start_run(lab: &mut Lab, drive: &str) -> Result<Background> {
    lab.start_command(Command::shell(&format!("zferry -v run {drive}")).within(Duration::from_secs(600)))
}

/// Nobody plugs it in again: the run ends, and the next one finishes what it left.
fn does_not_come_back(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    let t7 = &t7;
    wait_for_replug(lab, "5s")?;
    much(lab)?;
    lab.plug_slow(t7)?;
    let mut run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 9)?;
    pull(lab, t7, &mut run)?;
    let run = lab.finish(run)?;
    run.exits(1)?
        .says("suspended until t7 is plugged in and run again, or this computer is restarted")?
        .last_word(
            "t7 was unplugged before it was exported. What had arrived is kept: plug it in and run again",
        )?;
    lab.nothing_is_held("rpool")?;
    others_answer(lab)?;
    lab.run("zferry run t7")?.exits(75)?.says("t7 is not connected")?;
    plug_again(lab, t7)?;
    let run = start(lab)?;
    let run = lab.finish(run)?;
    if run.says("The drive is as this computer left it").is_err() {
        // The error is the last line: this run did not get as far as a session.
        run.exits(1)?.says("restart this computer")?;
        the_kernel_is_at_fault(lab)?;
        lab.cut()?;
        lab.unlock_source("rpool")?;
        lab.plug(t7)?;
        let run = lab.run("zferry -v run t7")?;
        run.exits(0)?.says("zfs send -t")?.last_word(SAFE)?;
    } else if run.says("zfs send -t").is_err() {
        // On a busy machine all of it had reached the kernel, which wrote it when the drive was back.
        run.exits(0)?.says("Nothing to send")?.last_word(SAFE)?;
        lab.remark("all had arrived");
    } else {
        run.exits(0)?.last_word(SAFE)?;
        lab.remark("the next run finished");
    }
    lab.remark("Pull at receive");
    lab.gone(t7)?;
    // Whatever came of what was under way: every file of every snapshot is the source's.
    super::boundaries::same_files(lab, t7)
}

fn written_elsewhere(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("768M")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.gone(&t7)?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let mut run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 9)?;
    pull(lab, &t7, &mut run)?;
    lab.elsewhere("nas", |nas| {
        nas.plug(&t7)?;
        let import = format!("zpool import -N -d /dev/disk/by-id {guid}");
        ensure!(nas.run(&import)?.exits(0).is_err(), "the other computer took the drive for its own");
        nas.run(&format!(
            "set -e; {import} -f; zfs create -o readonly=off -o canmount=noauto -o mountpoint=/theirs backup/theirs; \
             zfs mount backup/theirs; head -c 200M /dev/urandom > /theirs/file; \
             sha256sum /theirs/file > /theirs/sum; zpool export backup; udevadm settle"
        ))?
        .exits(0)?;
        nas.pull(&t7)
    })?;
    let theirs = t7.sha256()?;
    lab.plug(&t7)?;
    let run = lab.finish(run)?;
    run.exits(1)?
        .says("t7 was changed on another computer after it was pulled out here")?
        .says_nothing_of("Safe to unplug")?
        .last_word("Unplug t7 and restart this computer; plug it in again only after that")?;
    // Typed once more, out of habit.
    lab.run("zferry run t7")?.exits(1)?.says("changed on another computer")?;
    lab.pull(&t7)?;
    ensure!(t7.sha256()? == theirs, "the drive was written to after another computer had used it");
    lab.cut()?;
    lab.unlock_source("rpool")?;
    lab.plug(&t7)?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    lab.plug(&t7)?;
    lab.run(&format!(
        "set -e; zpool import -N -d /dev/disk/by-id {guid}; zfs mount backup/theirs; cd /theirs; \
         sha256sum -c sum; cd /; zpool scrub -w backup; zpool status -x backup; zpool export backup"
    ))?
    .exits(0)?
    .says("is healthy")?;
    Ok(())
}

/// Phases, and words of `-v` that are said just before their command is run.
const PHASES: [(&str, &str); 6] = [
    ("import", "zpool import"),
    ("list", "zfs list -Hp -r -t filesystem,volume"),
    ("receive", "zfs receive"),
    ("verify", "zfs list -Hp -d 0"),
    ("prune", "zfs program -j backup"),
    ("export", "zpool export"),
];

/// Two scenarios, since all of it takes longer than one may.
fn in_early_phases(lab: &mut Lab) -> Result<()> {
    in_phases(lab, &PHASES[..3], Duration::ZERO)
}

fn in_late_phases(lab: &mut Lab) -> Result<()> {
    in_phases(lab, &PHASES[3..], Duration::ZERO)
}

/// Right at its beginning, ZFS goes on with an export when the drive is back. A little later it has locked the lists of
/// all pools, and waits for the drive with them. All of it takes three quarters of a second here.
fn in_mid_export(lab: &mut Lab) -> Result<()> {
    in_phases(lab, &PHASES[5..], Duration::from_millis(300))
}

/// Pulls the drive out so long after a phase has begun.
fn in_phases(lab: &mut Lab, phases: &[(&str, &str)], after: Duration) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    for round in 0..phases.len() {
        lab.snapshot("rpool/nixos/home", &format!("old{round}"))?;
    }
    lab.run("zferry run t7")?.exits(0)?;
    lab.gone(&t7)?;
    for (round, (phase, words)) in phases.iter().enumerate() {
        // Something to send and something to prune in each.
        lab.run(&format!("head -c 12M /dev/urandom > /home/anna/film{round} && zpool sync rpool"))?
            .exits(0)?;
        lab.snapshot("rpool/nixos/home", &format!("round{round}"))?;
        lab.run(&format!("zfs destroy rpool/nixos/home/anna@old{round}"))?.exits(0)?;
        lab.plug_slow(&t7)?;
        let mut run = start(lab)?;
        if *phase != "import" {
            // Now, since it takes seconds, in which the phase might be over.
            lab.until_says(&mut run, "Imported")?;
            give_way(lab, &run)?;
        }
        lab.until_says(&mut run, words)?;
        std::thread::sleep(after);
        ensure!(lab.goes_on(&mut run)?, "the run was over before the drive was pulled out");
        lab.pull(&t7)?;
        std::thread::sleep(Duration::from_secs(8));
        let silent = if the_export_hangs(lab)? { Ok(()) } else { others_answer(lab) };
        let stuck = if silent.is_err() { what_is_stuck(lab)? } else { String::new() };
        plug_again(lab, &t7)?;
        let run = lab.finish(run)?;
        silent.with_context(|| format!("pulled at {phase}\n{stuck}\n{}", run.stderr()))?;
        finished(lab, &t7, &run).with_context(|| format!("pulled at {phase}"))?;
        lab.remark(&format!("Pull at {phase}"));
        lab.plug(&t7)?;
        lab.run("zferry eject t7")?.exits(0)?;
    }
    Ok(())
}
