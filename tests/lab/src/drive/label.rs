//! The label of a pool's device: what ZFS wrote there about the pool.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::xdr::{self, List, Value};

/// One label; there are two at the start and two at the end.
const LABEL: u64 = 256 * 1024;
/// The list begins after the boot blocks.
const LIST: u64 = 16 * 1024;
/// And ends before the uberblocks.
const LIST_SIZE: usize = 112 * 1024;
const SECTOR: u64 = 512;

/// What a label says.
#[derive(Debug, Clone)]
pub struct Label(List);

/// The state of a pool as its labels have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Imported, or it was not exported.
    Active,
    /// Exported: everything was written, nothing is missing.
    Exported,
    /// Destroyed.
    Destroyed,
}

impl Label {
    /// The pool's name.
    pub fn name(&self) -> Result<&str> {
        match self.0.get("name") {
            Some(Value::Text(name)) => Ok(name),
            _ => bail!("the label names no pool"),
        }
    }

    /// The pool's guid.
    pub fn pool_guid(&self) -> Result<u64> {
        self.number("pool_guid")
    }

    /// The transaction group in which the label was written.
    pub fn txg(&self) -> Result<u64> {
        self.number("txg")
    }

    /// The pool's state.
    pub fn state(&self) -> Result<State> {
        match self.number("state")? {
            0 => Ok(State::Active),
            1 => Ok(State::Exported),
            2 => Ok(State::Destroyed),
            other => bail!("the label has the unknown state {other}"),
        }
    }

    /// It must say that the pool was exported.
    pub fn is_exported(&self) -> Result<&Self> {
        let state = self.state()?;
        ensure!(state == State::Exported, "the pool's state is {state:?}, not exported");
        Ok(self)
    }

    /// Everything it says.
    pub fn list(&self) -> &List {
        &self.0
    }

    fn number(&self, name: &str) -> Result<u64> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            _ => bail!("the label has no {name}"),
        }
    }
}

/// Reads the four labels of the device, or of its first partition.
pub fn read(image: &Path) -> Result<Vec<Label>> {
    let file = File::open(image)?;
    let (start, size) = match first_partition(&file)? {
        Some(range) => range,
        None => (0, file.metadata()?.len()),
    };
    let size = size / LABEL * LABEL;
    ensure!(size >= 4 * LABEL, "the device is too small for a pool");
    let offsets = [0, LABEL, size - 2 * LABEL, size - LABEL];
    offsets.iter().map(|offset| read_one(&file, start + offset)).collect()
}

fn read_one(file: &File, label: u64) -> Result<Label> {
    let mut bytes = vec![0; LIST_SIZE];
    file.read_exact_at(&mut bytes, label + LIST)?;
    xdr::unpack(&bytes).map(Label).with_context(|| format!("there is no label of ZFS at byte {label}"))
}

/// Where the first partition of a GPT begins and how long it is.
fn first_partition(file: &File) -> Result<Option<(u64, u64)>> {
    let mut header = [0; SECTOR as usize];
    file.read_exact_at(&mut header, SECTOR)?;
    if &header[..8] != b"EFI PART" {
        return Ok(None);
    }
    let table = long(&header, 72)? * SECTOR;
    let mut entry = [0; 128];
    file.read_exact_at(&mut entry, table)?;
    let (first, last) = (long(&entry, 32)?, long(&entry, 40)?);
    ensure!(first > 0 && last >= first, "the first partition is empty");
    Ok(Some((first * SECTOR, (last - first + 1) * SECTOR)))
}

fn long(bytes: &[u8], at: usize) -> Result<u64> {
    let bytes = bytes.get(at..at + 8).context("the partition table is too short")?;
    Ok(u64::from_le_bytes(bytes.try_into()?))
}
