//! `cargo lab soak`: months in the life of a laptop and two drives. Each round the source changes, something happens to a
//! backup, and one more run must bring everything over. It goes on where it stopped.

mod chance;
mod faults;
mod life;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::drive::Drive;
use crate::host::cargo::Share;
use crate::image::saved::Saved;
use crate::lab::Lab;
use crate::machine::Console;
use crate::paths;
use crate::results;
use crate::scenarios::boundaries::{files_of_source, same_files_as};

use chance::Chance;

/// The two drives; their pools have one name.
const DRIVES: [&str; 2] = ["a", "b"];

/// How far a soak has come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What everything is drawn from.
    pub seed: u64,
    /// When it was, in seconds since 1970: another machine may begin with the same seed.
    #[serde(default)]
    pub begun: u64,
    /// Rounds that are done.
    pub rounds: u64,
    /// How often it was begun or gone on with: part of every name, since a round may have been cut off.
    pub attempts: u64,
    /// So often this fault had this effect.
    pub faults: BTreeMap<String, u64>,
    /// So often all files of all snapshots of a drive were compared with the source's.
    pub compared: u64,
}

impl Progress {
    fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join("progress.json");
        match fs::read(&path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join("progress.json");
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&new, &path).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// How far all soaks have come, on this machine and on others.
///
/// # Errors
/// When their files cannot be read.
pub fn all() -> Result<Vec<Progress>> {
    let mut all: Vec<Progress> = results::lines(&kept()?)?;
    for here in here()? {
        all.retain(|other| (other.seed, other.begun) != (here.seed, here.begun));
        all.push(here);
    }
    all.sort_by_key(|progress| (progress.seed, progress.begun));
    Ok(all)
}

/// Adds those of this machine to what the repository keeps.
///
/// # Errors
/// When a file cannot be read or written.
pub fn keep() -> Result<()> {
    results::write_lines(&kept()?, &all()?)
}

fn kept() -> Result<PathBuf> {
    Ok(paths::repository()?.join("docs/reliability/soaks.jsonl"))
}

fn here() -> Result<Vec<Progress>> {
    let directory = directory()?;
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(directory)? {
        all.extend(Progress::read(&entry?.path())?);
    }
    Ok(all)
}

fn directory() -> Result<PathBuf> {
    Ok(paths::cache()?.join("soak"))
}

/// So many rounds more.
pub fn soak(saved: &Saved, share: &Share, seed: u64, rounds: u64) -> Result<()> {
    let directory = directory()?.join(seed.to_string());
    fs::create_dir_all(&directory)?;
    let failed = directory.join("failed");
    if failed.exists() {
        bail!(
            "this soak failed: {}. Look around in {}, and remove it to begin anew",
            fs::read_to_string(&failed)?.trim(),
            directory.display()
        );
    }
    let console = Console::File(directory.join("console"));
    let (mut lab, mut progress) = match Progress::read(&directory)? {
        Some(progress) => (Lab::reopen(saved, share.path(), &directory, console)?, progress),
        None => {
            let lab = Lab::start(saved, share.path(), &directory, console)?;
            (lab, Progress { seed, begun: results::now(), ..Progress::default() })
        }
    };
    let drives = if progress.attempts == 0 {
        begin(&mut lab)?
    } else {
        lab.unlock_source("rpool")?;
        DRIVES.map(|name| Drive::open(&directory, name))
    };
    progress.attempts += 1;
    progress.write(&directory)?;
    for _ in 0..rounds {
        let round = progress.rounds;
        if let Err(error) = one(&mut lab, &drives, &mut progress) {
            let error = error.context(format!("round {round} of seed {seed}"));
            fs::write(&failed, format!("{error:#}"))?;
            return Err(error);
        }
        progress.rounds += 1;
        progress.write(&directory)?;
    }
    let passphrases = life::passphrases(&String::from_utf8_lossy(&fs::read(directory.join("transcript"))?));
    for drive in &drives {
        lab.plug(drive)?;
        faults::completes(&mut lab, drive).with_context(|| format!("the last run on {}", drive.name()))?;
        lab.pull(drive)?;
    }
    let here = files_of_source(&mut lab)?;
    for drive in &drives {
        same_files_as(&mut lab, drive, &here, &passphrases)
            .with_context(|| format!("the files on {}", drive.name()))?;
        progress.compared += 1;
        lab.pull(drive)?;
    }
    progress.write(&directory)?;
    lab.run("sync; zpool sync rpool")?.exits(0)?;
    println!("lab: seed {seed}: {} rounds, {:?}", progress.rounds, progress.faults);
    Ok(())
}

/// A source, two drives with pools of one name, one configuration.
fn begin(lab: &mut Lab) -> Result<[Drive; 2]> {
    lab.encrypted_source("rpool")?;
    let mut config = String::new();
    let mut prepared = Vec::new();
    for name in DRIVES {
        let drive = lab.drive(name, "1536M")?;
        let guid = lab.prepare_drive(&drive, "backup")?;
        lab.pull(&drive)?;
        lab.run("udevadm settle")?;
        config.push_str(&format!("[drives.{name}]\npool = \"backup\"\npool-guid = \"{guid}\"\n\n"));
        prepared.push(drive);
    }
    config.push_str(&format!(
        "[backups.home]\nsource = \"{}\"\ntarget = \"eds\"\nprune = \"mirror\"\n",
        life::HOME
    ));
    lab.write("/etc/zferry/config.toml", config)?;
    // A soak that is stopped in its first rounds cuts the guest off, and goes on from what its disk has.
    lab.run("sync; zpool sync rpool")?.exits(0)?;
    prepared.try_into().map_err(|_| anyhow::anyhow!("two drives"))
}

fn one(lab: &mut Lab, drives: &[Drive; 2], progress: &mut Progress) -> Result<()> {
    let (seed, round) = (progress.seed, progress.rounds);
    let mut chance = Chance::of(seed, round);
    lab.note(&format!("round {round} of seed {seed}"));
    let tag = format!("{round}.{}", progress.attempts);
    let done = life::goes_on(lab, &mut chance, &tag)?;
    let drive = chance.pick(drives).context("a drive")?;
    let (fault, hit) = faults::strikes(lab, drive, &mut chance)?;
    faults::completes(lab, drive)
        .with_context(|| format!("after {fault:?} ({hit:?}) on {}; {done:?}", drive.name()))?;
    lab.pull(drive)?;
    *progress.faults.entry(format!("{fault:?}, {hit:?}")).or_default() += 1;
    println!("lab: seed {seed}, round {round}: {fault:?} ({hit:?}) on {}", drive.name());
    Ok(())
}
