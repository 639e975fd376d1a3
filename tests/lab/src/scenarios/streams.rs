//! Streams in files, as the kernel's own ZFS writes them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scenario;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("streams of each kind are found whole, and damaged ones are not", each_kind)
            .also_on_the_oldest(),
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
    lab.run("zferry stream verify /run/lab/s/none.zfs /run")?
        .exits(1)?
        .says("not read /run/lab/s/none.zfs: it cannot be opened: No such file or directory")?
        .says("Is a directory")?;
    lab.run("zferry stream verify")?.exits(2)?;
    Ok(())
}
