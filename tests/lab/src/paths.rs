//! Where the lab keeps things.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

/// The cache: everything that was built and can be built again. Outside of the
/// repository, so that a fresh clone finds it and `git clean` does not cost an hour.
pub fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(base) if Path::new(&base).is_absolute() => PathBuf::from(base),
        _ => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("zferry-lab"))
}

/// What failed scenarios left behind.
pub fn failed() -> Result<PathBuf> {
    Ok(cache()?.join("failed"))
}

/// The repository: the nearest directory upwards with the workspace's lock file.
/// (Not the one that was compiled in: the lab's binary may have been moved.)
pub fn repository() -> Result<PathBuf> {
    let here = env::current_dir()?;
    for directory in here.ancestors() {
        if directory.join("Cargo.lock").is_file() && directory.join("tests/lab").is_dir() {
            return Ok(directory.to_owned());
        }
    }
    bail!("{} is not inside of zferry's repository", here.display())
}

/// How long something in the cache stays without being used. Another work tree
/// may be on another recipe, so what is old here need not be old there.
const KEEP: Duration = Duration::from_secs(3 * 24 * 3600);

/// Notes that something in the cache is in use.
pub fn remember_use(directory: &Path) -> Result<()> {
    fs::write(directory.join("used"), "").context("the cache is not writable")
}

/// Removes the siblings of `current` that begin with `prefix-` and were not used
/// for some days.
pub fn remove_unused(parent: &Path, prefix: &str, current: &Path) -> Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let used = fs::metadata(path.join("used")).and_then(|stamp| stamp.modified());
        let age = used.ok().and_then(|used| now.duration_since(used).ok());
        let old = age.is_some_and(|age| age > KEEP);
        if old && path != current && name.starts_with(&format!("{prefix}-")) {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// A file name made from a sentence.
pub fn slug(sentence: &str) -> String {
    let mut slug = String::new();
    for c in sentence.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A fingerprint for the names of things in the cache. Not for secrets: it only
/// has to change when a recipe does. (FNV-1a, 64 bits.)
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// The fingerprint of what was added before and of this.
    #[must_use]
    pub fn and(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        // With its length, so that two parts never look like two others.
        for byte in part.len().to_le_bytes().iter().chain(part) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, slug};

    #[test]
    fn a_sentence_becomes_a_file_name() {
        assert_eq!(slug("Drive t7's first backup (core)!"), "drive-t7-s-first-backup-core");
    }

    #[test]
    fn parts_do_not_run_together() {
        let one = Fingerprint::default().and("ab").and("c").to_string();
        let other = Fingerprint::default().and("a").and("bc").to_string();
        assert_ne!(one, other);
    }
}
