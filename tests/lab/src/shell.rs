//! `cargo lab shell`: a guest to type in; `plug` and `pull` from another terminal.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::drive::Drive;
use crate::host::cargo::Share;
use crate::image::saved::Saved;
use crate::lab::Lab;
use crate::machine::qmp::Qmp;
use crate::machine::{Console, usb};
use crate::paths;

/// Where the other terminal finds the guest.
#[derive(Debug, Serialize, Deserialize)]
struct Session {
    /// QEMU's second monitor.
    monitor: PathBuf,
    /// The directory of the drives.
    drives: PathBuf,
}

/// Opens a console in a new guest, or in what a failed scenario left.
pub fn open(saved: &Saved, share: &Share, failed: Option<&str>) -> Result<()> {
    let console = Console::Terminal;
    let (lab, directory, temporary) = match failed {
        Some(slug) => {
            let directory = paths::failed()?.join(slug);
            if !directory.is_dir() {
                bail!("no failed scenario is kept under that name; there are: {}", kept()?);
            }
            eprintln!("lab: booting the guest as {slug} left it");
            (Lab::reopen(saved, share.path(), &directory, console)?, directory, false)
        }
        None => {
            let directory = paths::cache()?.join("runs").join(format!("{}-shell", std::process::id()));
            let mut lab = Lab::start(saved, share.path(), &directory, console)?;
            lab.drive("t7", "2G")?;
            (lab, directory, true)
        }
    };
    let drives: Vec<String> = drives(&directory)?;
    // The terminal is QEMU's now, in raw mode: lines need their carriage returns.
    eprint!(
        "\r\nlab: press Enter for the shell; Ctrl-a x ends the guest, Ctrl-a h helps.\r\n\
         lab: in another terminal: cargo lab plug t7, cargo lab pull t7 (drives: {})\r\n",
        drives.join(", ")
    );
    let machine = lab.into_machine()?;
    let session = Session { monitor: machine.second_monitor(), drives: directory.clone() };
    let record = record()?;
    fs::write(&record, serde_json::to_string(&session)?)?;
    let ended = machine.wait();
    fs::remove_file(&record)?;
    if temporary {
        fs::remove_dir_all(&directory)?;
    }
    ended
}

/// Plugs a drive into the guest of the open shell; makes it when there is none.
pub fn plug(name: &str, size: &str) -> Result<()> {
    let (session, mut qmp) = session()?;
    let existing = Drive::open(&session.drives, name);
    let drive =
        if existing.image().exists() { existing } else { Drive::create(&session.drives, name, size)? };
    usb::plug(&mut qmp, drive.name(), drive.image(), &drive.serial())?;
    println!("{}", drive.device());
    Ok(())
}

/// Pulls a drive out of the guest of the open shell.
pub fn pull(name: &str) -> Result<()> {
    let (_, mut qmp) = session()?;
    usb::pull(&mut qmp, name)
}

fn session() -> Result<(Session, Qmp)> {
    let text = fs::read_to_string(record()?).context("no `cargo lab shell` is open")?;
    let session: Session = serde_json::from_str(&text)?;
    if !session.monitor.exists() {
        bail!("the last `cargo lab shell` has ended");
    }
    let qmp = Qmp::connect(&session.monitor)?;
    Ok((session, qmp))
}

fn record() -> Result<PathBuf> {
    Ok(paths::cache()?.join("shell.json"))
}

fn drives(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "img") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn kept() -> Result<String> {
    let Ok(entries) = fs::read_dir(paths::failed()?) else { return Ok("none".into()) };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.collect::<Vec<_>>().join(", "))
}
