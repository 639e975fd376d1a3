//! What was done to a guest, in order and with times: the first thing to read
//! when a scenario failed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

/// How much of a command's output is noted.
const LIMIT: usize = 64 * 1024;

/// A file that grows line by line, or nothing.
#[derive(Debug)]
pub struct Transcript {
    file: Option<File>,
    started: Instant,
}

impl Transcript {
    /// Notes go to this file.
    pub fn to(path: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: Some(file), started: Instant::now() })
    }

    /// Notes go nowhere.
    pub fn none() -> Self {
        Self { file: None, started: Instant::now() }
    }

    /// Adds a line. That it cannot be written fails no scenario.
    pub fn note(&mut self, text: &str) {
        let seconds = self.started.elapsed().as_secs_f32();
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "[{seconds:7.2}] {text}");
        }
    }

    /// Adds what a command printed.
    pub fn output(&mut self, name: &str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(LIMIT)]);
        if let Some(file) = &mut self.file {
            for line in shown.lines() {
                let _ = writeln!(file, "          {name} {line}");
            }
            if bytes.len() > LIMIT {
                let _ = writeln!(file, "          {name} … {} bytes in all", bytes.len());
            }
        }
    }
}
