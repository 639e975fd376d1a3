//! Streams in files: on this machine beside what its memory, BLAKE3 and OpenZFS' own program do, and in a guest beside the
//! bare commands.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cases::{in_turns, patiently};
use super::{Case, Fact, Measured, Series, cargo_bench, median};
use crate::lab::Lab;

/// What is measured on this machine, beside what, and how that is told.
const BESIDE: [(&str, &str, &str); 3] = [
    ("Fletcher-4", "read memory", "that of reading memory"),
    ("verify a file with its manifest", "BLAKE3", "that of BLAKE3 of what is in memory"),
    ("verify a file with its manifest", "zstream dump", "that of `zstream dump`"),
];
/// Where the files go: a drive of their own.
const DIRECTORY: &str = "/files";

/// Saved and verified, against `zfs send` and `zstream dump`: on a drive that takes what it gets, and on one that does not.
pub fn all(lab: &mut Lab, rounds: usize) -> Result<Measured> {
    lab.encrypted_source("rpool")?;
    fill(lab, "big", "1G")?;
    let quick = lab.drive("quick", "3G")?;
    lab.plug(&quick)?;
    mount(lab, &quick.device(), "big")?;
    let fast = Case { name: "1 GiB saved to a file".to_owned(), series: saved(lab, "big", rounds)? };
    let verified = verified(lab, rounds)?;
    patiently(lab, &format!("umount {DIRECTORY}"))?;
    lab.pull(&quick)?;
    fill(lab, "small", "192M")?;
    let slow = lab.drive("slow", "1G")?;
    lab.plug_slow(&slow)?;
    mount(lab, &slow.device(), "small")?;
    let name =
        "192 MiB saved to a file on a drive that writes 3 MiB/s (some 60 MiB/s on a real machine)".to_owned();
    let slowly = Case { name, series: saved(lab, "small", rounds)? };
    let about = lab.run("zfs version | head -1")?.exits(0)?.stdout();
    Ok(Measured {
        cases: vec![fast, slowly, verified],
        facts: on_this_machine(lab.image())?,
        about: about.trim().to_owned(),
    })
}

fn fill(lab: &mut Lab, name: &str, size: &str) -> Result<()> {
    let shell = format!(
        "set -e; zfs create -o mountpoint=/{name} rpool/{name}; head -c {size} /dev/urandom > /{name}/file; \
         zfs snapshot rpool/{name}@one"
    );
    patiently(lab, &shell)
}

/// Runs `cargo bench --bench streams`, and tells of its medians.
fn on_this_machine(image: &Path) -> Result<Vec<Fact>> {
    let programs = tempfile::tempdir()?;
    let mut bench = cargo_bench("streams")?;
    bench.env("ZSTREAM", zstream(image, programs.path())?);
    ensure!(bench.status().context("cannot start cargo")?.success(), "cargo bench failed");
    // 256 MiB, in nanoseconds.
    let rate = |nanoseconds: f64| f64::from(256 << 20) / nanoseconds;
    let fact = |(name, other, beside): &(&str, &str, &str)| -> Result<Fact> {
        let of = |name: &str| median(&format!("streams/{name}"));
        let (ours, theirs) = (of(name)?, of(other)?);
        let value =
            format!("{:.2} × {beside} ({:.1} and {:.1} GB/s)", theirs / ours, rate(ours), rate(theirs));
        Ok(Fact { name: format!("The rate of: {name} (256 MiB, outside of a guest)"), value })
    };
    BESIDE.iter().map(fact).collect()
}

/// The program of the guest's OpenZFS, to be run here: it needs no kernel module, and emulated it would show nothing. It
/// comes with its libraries, which are not this machine's.
fn zstream(image: &Path, directory: &Path) -> Result<String> {
    let root = image.join("root.img");
    let libraries = "x86_64-linux-gnu";
    for request in [
        format!("dump -p /usr/sbin/zstream {}", directory.join("zstream").display()),
        format!("rdump /usr/lib/{libraries} {}", directory.display()),
    ] {
        let output = Command::new("/sbin/debugfs").args(["-R", &request]).arg(&root).output();
        ensure!(output.context("cannot start debugfs")?.status.success(), "debugfs failed: {request}");
    }
    let libraries = directory.join(libraries);
    let loader = libraries.join("ld-linux-x86-64.so.2");
    let (loader, libraries) = (loader.display(), libraries.display());
    Ok(format!("{loader} --library-path {libraries} {}", directory.join("zstream").display()))
}

fn mount(lab: &mut Lab, device: &str, source: &str) -> Result<()> {
    patiently(
        lab,
        &format!("set -e; mkfs.ext4 -q {device}; mkdir -p {DIRECTORY}; mount {device} {DIRECTORY}"),
    )?;
    let stream =
        format!("source = \"rpool/{source}\"\ndirectory = \"{DIRECTORY}/saved\"\nsnapshot = \"existing\"");
    lab.write("/etc/zferry/config.toml", format!("[streams.big]\n{stream}\n"))
}

fn saved(lab: &mut Lab, source: &str, rounds: usize) -> Result<Vec<Series>> {
    let bare = format!("zfs send -w rpool/{source}@one > {DIRECTORY}/bare && sync {DIRECTORY}/bare");
    let tools = [("zfs send > file", bare.as_str()), ("zferry stream save", "zferry -q stream save big")];
    let remove = format!(
        "rm -rf {DIRECTORY}/bare {DIRECTORY}/saved; mkdir {DIRECTORY}/saved; \
         for b in $(zfs list -H -o name -t bookmark rpool/{source}); do zfs destroy $b; done; sync"
    );
    in_turns(lab, rounds, &tools, |lab, _| patiently(lab, &remove))
}

/// What [`saved`] left there.
fn verified(lab: &mut Lab, rounds: usize) -> Result<Case> {
    let dump = format!("zstream dump < {DIRECTORY}/bare");
    let verify = format!("zferry -q stream verify {DIRECTORY}/saved");
    let tools = [("zstream dump", dump.as_str()), ("zferry stream verify", verify.as_str())];
    let series = in_turns(lab, rounds, &tools, |_, _| Ok(()))?;
    Ok(Case { name: "1 GiB in a file verified".to_owned(), series })
}
