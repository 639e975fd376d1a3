//! A virtual USB drive: a file outside of the guest, and what is written on it.

pub mod label;
pub mod xdr;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use label::Label;

/// A USB drive. It exists whether it is plugged in or not.
#[derive(Debug, Clone)]
pub struct Drive {
    name: String,
    image: PathBuf,
}

impl Drive {
    /// Makes an empty drive of this size (`2G`, `64M`), as a sparse file.
    pub fn create(directory: &Path, name: &str, size: &str) -> Result<Self> {
        let drive = Self::open(directory, name);
        let file =
            File::create_new(&drive.image).with_context(|| format!("there is a drive {name} already"))?;
        file.set_len(bytes(size)?)?;
        Ok(drive)
    }

    /// The drive of this name whose image is in `directory`.
    pub fn open(directory: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), image: directory.join(format!("{name}.img")) }
    }

    /// Its name in the scenario.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with its content.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The serial number that it reports.
    pub fn serial(&self) -> String {
        format!("LAB{}", self.name.to_uppercase())
    }

    /// Its link in the guest, when it is plugged in.
    pub fn device(&self) -> String {
        format!("/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_{}-0:0", self.serial())
    }

    /// The link of its first partition.
    pub fn partition(&self) -> String {
        format!("{}-part1", self.device())
    }

    /// The first of the four labels that ZFS keeps on it, read outside of the guest.
    pub fn label(&self) -> Result<Label> {
        Ok(self.labels()?.swap_remove(0))
    }

    /// All four labels. They are read from the image, not through the guest, which
    /// may still hold back what it says it wrote.
    pub fn labels(&self) -> Result<Vec<Label>> {
        label::read(&self.image)
            .with_context(|| format!("the ZFS labels of drive {} cannot be read", self.name))
    }

    /// All four labels must say that the pool was exported.
    pub fn is_exported(&self) -> Result<()> {
        for (number, label) in self.labels()?.iter().enumerate() {
            label.is_exported().with_context(|| format!("label {number} of {}", self.name))?;
        }
        Ok(())
    }

    /// Whether this text can be read anywhere on it.
    pub fn holds(&self, text: &str) -> Result<bool> {
        let grep = Command::new("grep").args(["-qaF", text]).arg(&self.image).status();
        match grep.context("grep cannot be started")?.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => bail!("the image of drive {} cannot be searched", self.name),
        }
    }

    /// The fingerprint of its whole content: what two of them prove is that
    /// nothing at all was written in between.
    pub fn sha256(&self) -> Result<String> {
        let output =
            Command::new("sha256sum").arg(&self.image).output().context("sha256sum cannot be started")?;
        let text = String::from_utf8_lossy(&output.stdout);
        match text.split_whitespace().next() {
            Some(sum) if output.status.success() => Ok(sum.trim_start_matches('\\').to_owned()),
            _ => bail!("sha256sum: {}", String::from_utf8_lossy(&output.stderr).trim()),
        }
    }
}

/// `2G`, `512M`, `4096`.
fn bytes(size: &str) -> Result<u64> {
    let (number, factor) = match size.as_bytes().last() {
        Some(b'K') => (&size[..size.len() - 1], 1 << 10),
        Some(b'M') => (&size[..size.len() - 1], 1 << 20),
        Some(b'G') => (&size[..size.len() - 1], 1 << 30),
        _ => (size, 1),
    };
    let number: u64 = number.parse().with_context(|| format!("{size:?} is not a size"))?;
    Ok(number * factor)
}
