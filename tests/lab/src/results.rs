//! What came of everything that was run: `docs/reliability.md` is written from it, and nothing else. A machine keeps its
//! own in its cache; `cargo lab reliability` adds them to those in docs/reliability, which outlive the machine.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::paths;

/// What came of one thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// A scenario with its system, or what else was tried.
    pub what: String,
    /// The commit that was tried; with `-dirty` when it was another state of the files.
    pub commit: String,
    /// Seconds since 1970, when it had ended.
    pub ended: u64,
    /// How long it took.
    pub seconds: u64,
    /// Whether it was as it should be.
    pub passed: bool,
    /// What it had to tell.
    pub remarks: Vec<String>,
}

/// The commit of the work tree, as `git describe` has it; an archive of the sources has none.
pub fn commit() -> String {
    let describe = |repository: PathBuf| {
        let arguments = ["describe", "--always", "--abbrev=9", "--dirty", "--exclude=*"];
        let output = Command::new("git").current_dir(repository).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    paths::repository().ok().and_then(describe).unwrap_or_else(|| "unknown".to_owned())
}

/// Something that is being tried.
#[derive(Debug)]
pub struct Attempt {
    commit: String,
    started: Instant,
}

impl Attempt {
    /// Begins now, with this commit.
    pub fn with(commit: String) -> Self {
        Self { commit, started: Instant::now() }
    }

    /// How long it has taken so far, in seconds.
    pub fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Keeps what came of it.
    pub fn came_to(&self, what: String, passed: bool, remarks: Vec<String>) -> Result<()> {
        add(&Record {
            what,
            commit: self.commit.clone(),
            ended: now(),
            seconds: self.seconds(),
            passed,
            remarks,
        })
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn add(record: &Record) -> Result<()> {
    let path = path()?;
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    // One write of a short line: two labs may run side by side.
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    file.write_all(line.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}

/// Everything that was added so far, here or on other machines, the oldest first.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn all() -> Result<Vec<Record>> {
    let mut all: Vec<Record> = lines(&kept()?)?;
    let here: Vec<Record> = lines(&path()?)?;
    let new: Vec<Record> = here.into_iter().filter(|record| !all.contains(record)).collect();
    all.extend(new.into_iter().filter(|record| is_of_this_history(&record.commit)));
    all.sort_by_key(|record| record.ended);
    Ok(all)
}

/// Whether everybody who has this work tree has the commit too: what changed files or another branch came to is not told.
fn is_of_this_history(commit: &str) -> bool {
    let asked = |repository: PathBuf| {
        let arguments = ["merge-base", "--is-ancestor", commit, "HEAD"];
        let mut git = Command::new("git");
        let output = git.current_dir(repository).args(arguments).output().ok()?;
        Some(output.status.success())
    };
    !commit.ends_with("-dirty") && paths::repository().ok().and_then(asked) == Some(true)
}

/// Whether these parts of the sources are what they were in that commit.
pub fn is_unchanged(commit: &str, parts: &[&str]) -> bool {
    let asked = |repository: PathBuf| {
        let mut git = Command::new("git");
        let output =
            git.current_dir(repository).args(["diff", "--quiet", commit, "--"]).args(parts).output().ok()?;
        Some(output.status.success())
    };
    is_of_this_history(commit) && paths::repository().ok().and_then(asked) == Some(true)
}

/// Adds what was run on this machine to what the repository keeps.
///
/// # Errors
/// When a file cannot be read or written.
pub fn keep() -> Result<()> {
    write_lines(&kept()?, &all()?)
}

/// One of each line. A line that a killed lab left unfinished is left out.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| format!("{} cannot be read", path.display()))?,
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// A line for each, in the place of what was there.
pub fn write_lines<T: Serialize>(path: &Path, all: &[T]) -> Result<()> {
    let mut text = String::new();
    for one in all {
        text.push_str(&serde_json::to_string(one)?);
        text.push('\n');
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn path() -> Result<PathBuf> {
    Ok(paths::cache()?.join("results.jsonl"))
}

fn kept() -> Result<PathBuf> {
    Ok(paths::repository()?.join("docs/reliability/results.jsonl"))
}
