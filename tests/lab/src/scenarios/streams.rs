//! Streams in files, as the kernel's own ZFS writes them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scenario;
use crate::command::Command;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("streams of each kind are found whole, and damaged ones are not", each_kind)
            .also_on_the_oldest(),
        Scenario::core("files become a dataset again, or nothing does", restored).also_on_the_oldest(),
        Scenario::full(
            "many small records and the largest ones are saved and checked in little memory",
            sizes,
        ),
    ]
}

const HOME: &str = "rpool/nixos/home";

/// What `zfs send` can be asked for, and what is said of the stream.
const KINDS: [(&str, &str); 15] = [
    ("-w HOME/anna@one", "HOME/anna@one, full, raw"),
    ("HOME/anna@one", "HOME/anna@one, full, not encrypted"),
    ("-c HOME/anna@one", "not encrypted"),
    ("-L -e -c HOME/anna@one", "not encrypted"),
    ("-p rpool/plain@one", "rpool/plain@one, full, not encrypted"),
    ("-w -p HOME/anna@one", "HOME/anna@one, full, raw"),
    ("-w -i @one HOME/anna@two", "HOME/anna@two, needs the snapshot with the guid"),
    ("-w -I @one HOME/anna@three", "2 streams, from HOME/anna@two to HOME/anna@three, needs"),
    ("-I @one HOME/anna@three", "2 streams"),
    ("-w -i HOME/anna#one HOME/anna@three", "HOME/anna@three, needs the snapshot"),
    ("-w -R HOME@three", "streams, from HOME@"),
    ("-R rpool/plain@one", "2 streams, from rpool/plain@one to rpool/plain/below@one, full, not encrypted"),
    ("-w -R -I @one HOME@three", "streams, from HOME@two"),
    ("-w rpool/volume@one", "rpool/volume@one, a volume, full, raw"),
    ("rpool/volume@one", "rpool/volume@one, a volume, full, not encrypted"),
];

/// An attribute that the dnode has no room for; the number is that of the system call setxattr.
const MUCH: &str =
    r#"my ($n, $x) = ("user.much", "x" x 3000); syscall(188, $ARGV[0], $n, $x, 3000, 0) == 0 or die $!"#;

fn each_kind(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run(
        "set -e; zfs create -V 16M -o volblocksize=16k rpool/volume; udevadm settle; \
         head -c 3M /dev/urandom | dd of=/dev/zvol/rpool/volume bs=1M conv=fsync status=none; zfs snapshot rpool/volume@one; \
         zfs create -o encryption=off -o mountpoint=/plain rpool/plain; zfs create rpool/plain/below; \
         seq 100000 > /plain/numbers; echo below > /plain/below/letter; zpool sync rpool; zfs snapshot -r rpool/plain@one",
    )?
    .exits(0)?;
    // Short files, long ones, holes, many names, and attributes that the dnode has no room for.
    for snapshot in ["one", "two", "three"] {
        lab.run(&format!(
            "set -e; cd /home/anna; zfs set xattr=sa recordsize=1M {HOME}; echo {snapshot} > short; \
             head -c 2500000 /dev/urandom > long-{snapshot}; truncate -s 40M hole; \
             seq 2000 | split -l 1 -a 4 - many-{snapshot}-; rm -f many-*-aab?; \
             perl -e '{MUCH}' long-{snapshot}; zpool sync rpool"
        ))?
        .exits(0)?;
        lab.snapshot(HOME, snapshot)?;
    }
    lab.run(&format!("zfs bookmark {HOME}/anna@one {HOME}/anna#one; mkdir -p /run/lab/s"))?.exits(0)?;
    for (number, (flags, words)) in KINDS.iter().enumerate() {
        let file = format!("/run/lab/s/{number}.zfs");
        lab.run(&format!("zfs send {} > {file}", flags.replace("HOME", HOME)))?.exits(0)?;
        whole(lab, &file, &words.replace("HOME", HOME)).with_context(|| format!("zfs send {flags}"))?;
    }
    interrupted(lab)?;
    damaged(lab)
}

/// It is found whole, and to have as many records as ZFS's own tool counts.
fn whole(lab: &mut Lab, file: &str, words: &str) -> Result<()> {
    // Neither root nor ZFS is needed.
    let as_anybody = format!("setpriv --reuid=1000 --clear-groups zferry stream verify {file}");
    lab.run(&as_anybody)?.exits(0)?.says(&format!("whole    {file}: "))?.says(words)?;
    let told = lab.run(&format!("zferry --json stream verify - < {file}"))?.exits(0)?.stdout();
    let told: Value = serde_json::from_str(&told).context("no JSON")?;
    let told: BTreeMap<String, u64> = serde_json::from_value(told["files"][0]["records"].clone())?;
    let dump = lab.run(&format!("zstream dump {file}"))?.exits(0)?.stdout();
    // "        Total DRR_WRITE records = 12 (34 bytes)"
    let counts = dump.lines().filter_map(|line| {
        let (name, rest) = line.trim().strip_prefix("Total DRR_")?.split_once(" records = ")?;
        Some((name.to_owned(), rest.split(' ').next()?.parse().ok()?))
    });
    let counted: BTreeMap<String, u64> = counts.collect();
    ensure!(counted.len() > 5, "zstream dump counts nothing\n{dump}");
    for (name, count) in counted {
        ensure!(told.get(&name) == Some(&count), "zstream counts {count} of {name}, zferry {told:?}");
    }
    Ok(())
}

/// The rest of a stream whose receive was interrupted.
fn interrupted(lab: &mut Lab) -> Result<()> {
    lab.run(&format!(
        "zfs send -w {HOME}/anna@three | head -c 2000000 | zfs receive -s -u rpool/part; \
         zfs send -t $(zfs get -H -o value receive_resume_token rpool/part) > /run/lab/s/rest.zfs"
    ))?
    .exits(0)?;
    whole(lab, "/run/lab/s/rest.zfs", "full, the rest of a stream that was interrupted, raw")
}

fn damaged(lab: &mut Lab) -> Result<()> {
    let (whole, bad) = ("/run/lab/s/0.zfs", "/run/lab/s/bad.zfs");
    for (how, words) in [
        ("truncate -s -1", "it was cut off here, in the middle of a record: at least 1 bytes are missing"),
        ("truncate -s -312", "it was cut off here, between two records: the rest of the stream of"),
        ("echo more >>", "the stream ends here, and something follows it"),
        (
            "printf '\\377' | dd bs=1 seek=1000000 conv=notrunc status=none of=",
            "the checksum here is not that of what was read: something between byte",
        ),
        (
            "head -c 4096 /dev/zero | dd bs=4096 seek=200 conv=notrunc status=none of=",
            "the checksum here is not that of what was read: something between byte",
        ),
        ("printf zfs | dd bs=1 seek=9 conv=notrunc status=none of=", "it does not begin as what"),
    ] {
        let space = if how.ends_with('=') { "" } else { " " };
        lab.run(&format!("set -e; cp {whole} {bad}; {how}{space}{bad}"))?.exits(0)?;
        lab.run(&format!("zferry stream verify {bad} {whole}"))?
            .exits(1)?
            .says(words)?
            .says(&format!("DAMAGED  {bad}: record "))?
            .says(&format!("whole    {whole}: "))?
            .says("`zfs receive` takes nothing of a damaged stream")?;
    }
    lab.run("zferry stream verify /run/lab/s/none.zfs")?
        .exits(1)?
        .says("not read /run/lab/s/none.zfs: it cannot be opened: No such file or directory")?;
    lab.run("zferry stream verify")?.exits(78)?.says("there is no configuration")?;
    Ok(())
}

/// Files, in any order and under any names, become a dataset again; and nothing does when one of them is damaged.
fn restored(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    for snapshot in ["one", "two", "three"] {
        lab.run(&format!("cd /home/anna; echo {snapshot} > said; head -c 700000 /dev/urandom > more-{snapshot}; zpool sync rpool"))?
            .exits(0)?;
        lab.snapshot(HOME, snapshot)?;
    }
    lab.run(&format!(
        "set -e; mkdir -p /srv/full /srv/more; S={HOME}/anna; zfs send -w $S@one > '/srv/full/a b'; \
         zfs send -w -i @one $S@two > /srv/more/2; zfs send -w -I @two $S@three > /srv/more/1; echo no stream > /srv/more/list.txt"
    ))?
    .exits(0)?;
    let sums = lab.run(&format!("cd /home/anna && {SUMS}"))?.exits(0)?.stdout();
    refused(lab)?;
    lab.run("zferry stream restore rpool/new /srv/more /srv/full")?
        .exits(0)?
        .says("/srv/more/list.txt is left out")?
        .says(&format!("Restoring {HOME}/anna@three into rpool/new from 3 files"))?
        .says("zfs load-key rpool/new")?;
    same(lab, "rpool/new", &sums)?;
    lab.run("zfs get -H -o value org.zferry:restoring rpool/new; zfs list -H -t snapshot -o name rpool/new")?
        .prints("-\nrpool/new@one\nrpool/new@two\nrpool/new@three")?;
    // An earlier state, of files that are named.
    lab.run("zferry stream restore rpool/old --at two '/srv/full/a b' /srv/more/2")?
        .exits(0)?
        .says("@two into")?;
    lab.run("zfs list -H -t snapshot -o name rpool/old")?.prints("rpool/old@one\nrpool/old@two")?;
    with_properties(lab)?;
    stopped(lab, &sums)
}

/// What the stream says of where it was mounted is not followed.
fn with_properties(lab: &mut Lab) -> Result<()> {
    lab.run(&format!(
        "set -e; zfs create -V 16M rpool/volume; udevadm settle; zfs snapshot rpool/volume@one; mkdir /srv/p; \
         zfs send -w -p rpool/volume@one > /srv/p/volume; zfs send -w -p {HOME}@one > /srv/p/home; \
         test \"$(zfs get -H -o value mountpoint {HOME})\" = /home"
    ))?
    .exits(0)?;
    lab.run("zferry stream restore rpool/p /srv/p")?.exits(1)?.says("--dataset NAME, for one of them")?;
    lab.run("zferry stream restore rpool/p /srv/p --dataset rpool/volume")?
        .exits(0)?
        .says("zfs load-key rpool/p")?;
    lab.run("zferry -v stream restore rpool/q /srv/p/home")?.exits(0)?.says("-x mountpoint")?;
    lab.run("zfs get -H -o value type rpool/p; zfs get -H -o value,source mountpoint rpool/q")?
        .prints("volume\nnone\tinherited from rpool")?;
    Ok(())
}

/// With what they start, and with what they read ahead, in 64 MiB.
const IN_LITTLE_MEMORY: &str =
    "systemd-run --quiet --pipe --wait -p MemoryMax=64M -p MemorySwapMax=0 /usr/local/bin/zferry";

fn sizes(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run(&format!(
        "set -e; zfs create -o recordsize=16M -o compression=off {HOME}/large; zfs create {HOME}/small; mkdir /srv/files; \
         head -c 100663296 /dev/urandom > /home/large/file; cd /home/small; seq 10000 | split -l 1 -a 4 -; zpool sync rpool"
    ))?
    .exits(0)?;
    let config =
        format!("[streams.home]\nsource = \"{HOME}\"\ndirectory = \"/srv/files\"\nexclude = [\"anna\"]\n");
    lab.write("/etc/zferry/config.toml", config)?;
    lab.run(&format!("{IN_LITTLE_MEMORY} stream save"))?.exits(0)?.says("home: saved 3 datasets")?;
    lab.run(&format!("{IN_LITTLE_MEMORY} stream verify"))?.exits(0)?;
    for (dataset, least) in [("large", "WRITE"), ("small", "OBJECT")] {
        let count = format!("sed -n 's/.*\"{least}\": \\([0-9]*\\).*/\\1/p' /srv/files/*_{dataset}/*.json");
        let records = lab.run(&count)?.number()?;
        let is_so = if dataset == "large" { (6..100).contains(&records) } else { records >= 10_000 };
        ensure!(is_so, "{records} records of {least} in {dataset}");
        lab.run(&format!("zferry stream restore rpool/{dataset} /srv/files/*_{dataset}"))?.exits(0)?;
    }
    Ok(())
}

const SUMS: &str = "find . -type f -exec sha256sum {} + | sort";

/// The key opens it, and what is in it is what was sent.
fn same(lab: &mut Lab, dataset: &str, sums: &str) -> Result<()> {
    let load = format!("zfs load-key -L prompt {dataset} && zfs set mountpoint=/mnt {dataset}");
    lab.execute(Command::shell(&load).stdin(format!("{PASSPHRASE}\n")))?.exits(0)?;
    lab.run(&format!("cd /mnt && {SUMS}"))?.prints(sums.trim())?;
    lab.run(&format!("zfs unmount {dataset} && zfs inherit mountpoint {dataset}"))?.exits(0)?;
    Ok(())
}

/// What cannot be restored leaves nothing behind.
fn refused(lab: &mut Lab) -> Result<()> {
    lab.run(
        "set -e; mkdir /srv/bad; cp /srv/more/2 /srv/bad/; printf '\\377' | dd bs=1 seek=300000 conv=notrunc status=none of=/srv/bad/2",
    )?
    .exits(0)?;
    for (typed, code, words) in [
        (
            "rpool/new '/srv/full/a b' /srv/bad/2",
            1,
            "/srv/bad/2 is not what `zfs send` wrote: nothing of it was received",
        ),
        ("rpool/new /srv/more", 1, "and no file has it"),
        (
            "rpool/new /srv/more /srv/full --at 2001-01-01",
            1,
            "there is no snapshot of 2001-01-01; the first one after is one",
        ),
        ("rpool/new /srv/more/2 '/srv/full/a b' --at one", 1, "/srv/more/2 cannot be used"),
        ("rpool/new /srv/full --dataset rpool/other", 1, "none of the streams is of rpool/other"),
        ("rpool/new /srv/more/list.txt", 1, "it does not begin as what `zfs send` writes does"),
        ("rpool/new /srv/none", 1, "/srv/none cannot be read"),
        ("rpool/none/new /srv/full", 1, "create the dataset above it first"),
        ("rpool/nixos/home /srv/full", 1, "rpool/nixos/home exists already"),
        ("rpool/new", 2, "FILE"),
        ("'rpool/n w@' /srv/full", 2, "NEWDATASET"),
    ] {
        lab.run(&format!("zferry stream restore {typed}"))?.exits(code)?.says(words)?;
        lab.run("zfs list rpool/new")?.exits(1)?;
    }
    Ok(())
}

/// The receive of the large file comes together with a signal to zferry.
const STRUCK: &str = r#"
if [ "$*" = "receive -u rpool/again" ] && [ -e /run/lab/strike ] && $real list rpool/again@three > /dev/null 2>&1; then
    signal=$(cat /run/lab/strike); rm /run/lab/strike; pkill -$signal -x zferry; sleep 0.5
fi
exec $real "$@"
"#;

/// A restore that is killed, or stopped by a person, is gone on with by the same command.
fn stopped(lab: &mut Lab, sums: &str) -> Result<()> {
    lab.run(&format!(
        "set -e; head -c 60000000 /dev/urandom > /home/anna/large; zpool sync rpool; zfs snapshot {HOME}/anna@four; \
         zfs send -w -i @three {HOME}/anna@four > /srv/more/4"
    ))?
    .exits(0)?;
    let large = lab.run("cd /home/anna && sha256sum ./large")?.exits(0)?.stdout();
    lab.in_place_of("zfs", STRUCK)?;
    for (signal, code) in [("KILL", 137), ("INT", 130)] {
        lab.run(&format!(
            "echo {signal} > /run/lab/strike; zferry -v stream restore rpool/again /srv/more /srv/full; echo ended with $?; \
             test ! -e /run/lab/strike || echo not struck; while pgrep -f 'receive -u rpool/[a]gain'; do sleep 0.1; done"
        ))?
        .says(&format!("ended with {code}"))?
        .says_nothing_of("not struck")?;
        lab.run("zfs list rpool/again@four")?.exits(1)?;
    }
    lab.real_again("zfs")?;
    lab.run("zferry stream restore rpool/again /srv/more /srv/full")?
        .exits(0)?
        .says("@four into rpool/again from")?;
    lab.run("zfs list -H -t snapshot -o name rpool/again | tail -1")?.prints("rpool/again@four")?;
    let mut sums: Vec<_> = sums.lines().chain(large.lines()).collect();
    sums.sort_unstable();
    same(lab, "rpool/again", &sums.join("\n"))
}
