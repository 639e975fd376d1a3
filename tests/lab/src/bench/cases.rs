//! What is measured. Each tool has a drive of its own, so that no tool lists what another one received.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Case, Fact, Measured, Series};
use crate::command::Command;
use crate::lab::Lab;

/// Datasets below the source.
const DATASETS: usize = 20;
/// Snapshots of each.
const SNAPSHOTS: usize = 30;
/// Emulation is slow, and a stalled measurement must still end.
const PATIENCE: Duration = Duration::from_secs(40 * 60);

/// The bare commands, one stream after the other, as somebody would write them in a shell.
const BARE_INCREMENT: &str = "for d in $(zfs list -H -o name -r rpool/data); do \
    zfs send -w -i @$(cat /run/lab/last) $d@$(cat /run/lab/next) | zfs receive -u bare/${d#rpool/}; done";
const BARE_LISTINGS: &str = "zfs list -Hp -t snapshot -o name,guid,createtxg -r rpool/data; \
    zfs list -Hp -t snapshot -o name,guid,createtxg -r zferry";
const ZFERRY: &str = "zferry -q replicate --recursive --prune mirror rpool/data zferry/data";
const SYNCOID: &str = "syncoid --recursive --quiet --sendoptions=w --compress=none --no-sync-snap --no-rollback \
    --no-privilege-elevation --create-bookmark --delete-target-snapshots rpool/data syncoid/data";

/// Everything, in an order in which each case leaves what the next one needs.
pub fn all(lab: &mut Lab, rounds: usize) -> Result<Measured> {
    prepare(lab)?;
    let nothing = nothing_to_do(lab, rounds)?;
    let increment = one_new_snapshot(lab, rounds)?;
    let full = one_gigabyte(lab, rounds.min(3))?;
    let memory = memory(lab)?;
    let about =
        lab.run("zfs version | tr '\\n' ' '; uname -r; syncoid --version | head -1")?.exits(0)?.stdout();
    let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Measured { cases: vec![nothing, increment, full], facts: vec![memory], about })
}

/// A source of many small datasets, and three drives that have all of it. Each tool gets to know its own.
fn prepare(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let shell = format!(
        "set -e; zfs create -o mountpoint=/data rpool/data; \
         for d in $(seq {DATASETS}); do zfs create rpool/data/d$d; echo $d > /data/d$d/file; done; \
         for s in $(seq {SNAPSHOTS}); do echo $s >> /data/d1/file; zfs snapshot -r rpool/data@s$s; done"
    );
    patiently(lab, &shell)?;
    three_drives(lab)?;
    patiently(lab, ZFERRY)?; // takes the copy over, and protects its bases
    patiently(lab, SYNCOID)?;
    patiently(lab, &format!("echo s{SNAPSHOTS} > /run/lab/next"))
}

/// Pools of the names `bare`, `zferry` and `syncoid`, with the same content: received once by the bare commands, in
/// memory, where writing a transaction group costs least, moved to a drive, and the drive copied.
fn three_drives(lab: &mut Lab) -> Result<()> {
    let bare = lab.drive("bare", "2G")?;
    lab.prepare_drive(&bare, "bare")?;
    let partition = bare.partition();
    let copy = format!(
        "set -e; truncate -s 400M /dev/shm/bare; zpool create -o ashift=12 -O readonly=on -O compression=zstd \
         -O mountpoint=none bare /dev/shm/bare; for d in $(zfs list -H -o name -r rpool/data); do \
         zfs send -w $d@s1 | zfs receive -u -o readonly=on -o canmount=noauto bare/${{d#rpool/}}; \
         zfs send -w -I @s1 $d@s{SNAPSHOTS} | zfs receive -u bare/${{d#rpool/}}; done; \
         zpool attach -f bare /dev/shm/bare {partition}; zpool wait -t resilver bare; \
         zpool detach bare /dev/shm/bare; zpool online -e bare {partition}; zpool export bare; rm /dev/shm/bare; \
         udevadm trigger --settle {partition}"
    );
    patiently(lab, &copy)?;
    let guid = bare.label()?.pool_guid()?;
    let import = format!("zpool import -N -d {partition} {guid}");
    lab.pull(&bare)?;
    for name in ["zferry", "syncoid"] {
        let twin = lab.copy_drive(&bare, name)?;
        lab.plug(&twin)?;
        let partition = twin.partition();
        // udev has to learn of the new name and guid, or the next one would be called a copy of this one.
        let rename = format!(
            "set -e; zpool import -N -d {partition} {guid} {name}; zpool reguid {name}; zpool sync {name}; \
             udevadm trigger --settle {partition}"
        );
        patiently(lab, &rename)?;
    }
    lab.plug(&bare)?;
    patiently(lab, &import)
}

/// A run that finds nothing new, against the two listings that it cannot avoid.
fn nothing_to_do(lab: &mut Lab, rounds: usize) -> Result<Case> {
    let tools = [("the two bare listings", BARE_LISTINGS), ("zferry", ZFERRY), ("syncoid", SYNCOID)];
    let series = in_turns(lab, rounds, &tools, |_, _| Ok(()))?;
    Ok(Case { name: format!("Nothing to do ({DATASETS} datasets of {SNAPSHOTS} snapshots)"), series })
}

/// One small new snapshot of every dataset.
fn one_new_snapshot(lab: &mut Lab, rounds: usize) -> Result<Case> {
    let tools =
        [("bare send and receive, one by one", BARE_INCREMENT), ("zferry", ZFERRY), ("syncoid", SYNCOID)];
    let new = |lab: &mut Lab, round: usize| {
        let shell = format!(
            "set -e; mv /run/lab/next /run/lab/last; echo n{round} > /run/lab/next; \
             for d in $(seq {DATASETS}); do echo {round} >> /data/d$d/file; done; zfs snapshot -r rpool/data@n{round}"
        );
        patiently(lab, &shell)
    };
    let series = in_turns(lab, rounds, &tools, new)?;
    Ok(Case { name: format!("One new snapshot in each of {} datasets", DATASETS + 1), series })
}

/// One large stream, counted and verified, against the bare pipe.
fn one_gigabyte(lab: &mut Lab, rounds: usize) -> Result<Case> {
    let fill = "set -e; zfs create -o mountpoint=/big rpool/big; head -c 1G /dev/urandom > /big/file; \
        zfs snapshot rpool/big@one";
    patiently(lab, fill)?;
    let tools = [
        ("bare send and receive", "zfs send -w rpool/big@one | zfs receive -u bare/big"),
        (
            "zferry, from start to end",
            "zferry --json replicate rpool/big zferry/big > /run/lab/told && cat /run/lab/told >> /run/lab/streams",
        ),
    ];
    let remove = "zfs destroy -r bare/big 2>/dev/null; zfs destroy -r zferry/big 2>/dev/null; \
        for b in $(zfs list -H -o name -t bookmark rpool/big); do zfs destroy $b; done; \
        zpool wait -t free bare; zpool wait -t free zferry; true";
    let mut series = in_turns(lab, rounds, &tools, |lab, _| patiently(lab, remove))?;
    let told = lab.run("grep send-finished /run/lab/streams")?.exits(0)?.stdout();
    let took = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["took"].as_f64();
    let seconds: Vec<f64> = told.lines().filter_map(took).collect();
    ensure!(seconds.len() == rounds, "{} streams ended in {rounds} rounds", seconds.len());
    series.push(Series { tool: "zferry, its send and receive alone".to_owned(), seconds });
    Ok(Case { name: "One stream of 1 GiB".to_owned(), series })
}

/// The greatest resident memory of a plan over 100,000 snapshots. ZFS would need hours to make so many in an emulated
/// guest, so a script answers the listings in its place; what zferry does with them is all its own.
fn memory(lab: &mut Lab) -> Result<Fact> {
    lab.in_place_of("zfs", include_str!("many-snapshots.sh"))?;
    let shell = "set -e; zferry -q replicate -n rpool/data zferry/data > /run/lab/plan & pid=$!; high=0; \
        while kill -0 $pid 2>/dev/null; do now=$(awk '/VmHWM/ {print $2}' /proc/$pid/status 2>/dev/null); \
        [ \"${now:-0}\" -gt $high ] && high=$now; sleep 0.05; done; wait $pid; \
        grep -c . /run/lab/plan >&2; echo $high";
    let output = lab.execute(Command::shell(shell).within(PATIENCE))?;
    lab.real_again("zfs")?;
    let kilobytes: f64 = output.exits(0)?.stdout().trim().parse().context("no number of kilobytes")?;
    ensure!(kilobytes > 1000.0, "the memory of zferry was not seen");
    let value = format!("{:.0} MB", kilobytes / 1000.0);
    Ok(Fact { name: "Greatest resident memory, planning over 100,000 snapshots".to_owned(), value })
}

/// Runs the tools one after the other, round after round, each in another order than in the round before.
pub(super) fn in_turns(
    lab: &mut Lab,
    rounds: usize,
    tools: &[(&str, &str)],
    mut before: impl FnMut(&mut Lab, usize) -> Result<()>,
) -> Result<Vec<Series>> {
    let mut series: Vec<Series> =
        tools.iter().map(|(tool, _)| Series { tool: (*tool).to_owned(), seconds: Vec::new() }).collect();
    for round in 0..rounds {
        before(lab, round)?;
        for turn in 0..tools.len() {
            let place = (turn + round) % tools.len();
            let (tool, line) = tools[place];
            let seconds = timed(lab, line).with_context(|| format!("{tool} in round {round}"))?;
            eprintln!("bench: round {} of {rounds}: {tool}: {seconds:.1} s", round + 1);
            series[place].seconds.push(seconds);
        }
    }
    Ok(series)
}

/// Seconds that a line takes, by the guest's clock; it must succeed.
fn timed(lab: &mut Lab, line: &str) -> Result<f64> {
    let shell = format!(
        "sync; begin=$(date +%s%N); {{ {line}; }} > /run/lab/out 2>&1; code=$?; end=$(date +%s%N); \
         [ $code = 0 ] || cat /run/lab/out >&2; echo $((end - begin)); exit $code"
    );
    let output = lab.execute(Command::shell(&shell).within(PATIENCE))?;
    let nanoseconds: f64 = output.exits(0)?.stdout().trim().parse().context("no number of nanoseconds")?;
    Ok(nanoseconds / 1e9)
}

pub(super) fn patiently(lab: &mut Lab, line: &str) -> Result<()> {
    lab.execute(Command::shell(line).within(PATIENCE))?.exits(0)?;
    Ok(())
}
