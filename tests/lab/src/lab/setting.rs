//! What most scenarios of a run begin with, and how they follow it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Lab;
use crate::command::{Background, Command, Output};
use crate::drive::Drive;
use crate::machine::usb::{self, Defect};
use crate::protocol::{Ask, Bytes};

/// Ctrl-C, as a terminal gets it.
pub const CTRL_C: &str = "\x03";

impl Lab {
    /// An encrypted source, a prepared drive `t7` that is plugged in, and a configuration for both. Returns the
    /// drive and its pool's guid.
    pub fn setting(&mut self, size: &str) -> Result<(Drive, u64)> {
        self.encrypted_source("rpool")?;
        let drive = self.drive("t7", size)?;
        let guid = self.prepare_drive(&drive, "backup")?;
        self.configure_drive("t7", guid, "")?;
        Ok((drive, guid))
    }

    /// A drive with one backup of `rpool/nixos/home`; `more` goes below the backup.
    pub fn configure_drive(&mut self, name: &str, guid: u64, more: &str) -> Result<()> {
        let text = format!(
            "[drives.{name}]\npool = \"backup\"\npool-guid = \"{guid}\"\n\n\
             [backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n{more}"
        );
        self.write("/etc/zferry/config.toml", text)
    }

    /// Starts a command on a terminal.
    pub fn on_terminal(&mut self, line: &str) -> Result<Background> {
        self.start_command(Command::shell(line).terminal(120, 40))
    }

    /// Types on a command's terminal.
    pub fn type_into(&mut self, background: &Background, text: &str) -> Result<()> {
        self.note(&format!("type {text:?}"));
        let data = Bytes(text.as_bytes().to_vec());
        self.machine()?.agent.ask(Ask::Input { job: background.job, data, close: false })?;
        Ok(())
    }

    /// Waits until a command that runs has said this.
    pub fn until_says(&mut self, background: &mut Background, text: &str) -> Result<()> {
        // Two guests and a build leave little of the machine to a run.
        let deadline = Instant::now() + crate::command::DEADLINE;
        loop {
            let goes_on = self.goes_on(background)?;
            if background.so_far().says(text).is_ok() {
                return Ok(());
            }
            if !goes_on || Instant::now() > deadline {
                bail!(
                    "{text:?} was not said\n{}{}",
                    background.so_far().stdout(),
                    background.so_far().stderr()
                );
            }
        }
    }

    /// A drive that writes so slowly that there is time to do something in mid-send. It must not be plugged in.
    pub fn plug_slow(&mut self, drive: &Drive) -> Result<()> {
        if self.attached.iter().any(|name| name == drive.name()) {
            self.pull(drive)?;
        }
        self.note(&format!("plug in {}, which writes slowly", drive.name()));
        usb::plug_slow(&mut self.machine()?.qmp, drive.name(), drive.image(), &drive.serial())?;
        self.attached.push(drive.name().to_owned());
        // Little is taken into memory, so that what was sent is written soon after.
        self.run(&format!(
            "echo 4194304 > /sys/module/zfs/parameters/zfs_dirty_data_max; \
             udevadm wait --settle --timeout=60 {}",
            drive.device()
        ))?
        .exits(0)?;
        Ok(())
    }

    /// A drive that was plugged in slow answers only so many reads in a second from now on.
    pub fn reads_slowly(&mut self, drive: &Drive, reads: u64) -> Result<()> {
        self.note(&format!("{} answers {reads} reads in a second", drive.name()));
        usb::reads_slowly(&mut self.machine()?.qmp, drive.name(), reads)
    }

    /// From now on a drive that is plugged in answers with errors.
    pub fn goes_bad(&mut self, drive: &Drive, defect: Defect) -> Result<()> {
        self.note(&format!("{} fails: {defect:?}", drive.name()));
        usb::goes_bad(&mut self.machine()?.qmp, drive.name(), defect)
    }

    /// It works again.
    pub fn is_mended(&mut self, drive: &Drive) -> Result<()> {
        self.note(&format!("{} works again", drive.name()));
        usb::is_mended(&mut self.machine()?.qmp, drive.name())
    }

    /// Waits until so many megabytes are on the disks of an imported pool.
    pub fn until_written(&mut self, pool: &str, megabytes: u32) -> Result<()> {
        let test = format!("test $(zpool list -Hp -o allocated {pool} || echo 0) -gt {megabytes}000000");
        self.wait_until(&format!("{megabytes} MB are on {pool}"), Duration::from_secs(120), &test)
    }

    /// A second drive with the content that the first one has now, and another serial number.
    pub fn copy_drive(&mut self, drive: &Drive, name: &str) -> Result<Drive> {
        self.note(&format!("copy {} to {name}", drive.name()));
        let copy = self.drive(name, "1M")?;
        std::fs::copy(drive.image(), copy.image()).context("the drive's image could not be copied")?;
        Ok(copy)
    }

    /// No pool of this name may be imported.
    pub fn not_imported(&mut self, pool: &str) -> Result<()> {
        self.run(&format!("! zpool list -H {pool} 2>/dev/null"))?.exits(0).context("the pool is imported")?;
        Ok(())
    }

    /// All snapshots of the source are on the target, guid for guid, in the same order.
    pub fn same_snapshots(&mut self, source: &str, target: &str) -> Result<()> {
        let (ours, theirs) = (self.guids(source)?, self.guids(target)?);
        ensure!(!ours.is_empty(), "{source} has no snapshot");
        ensure!(ours == theirs, "{source} has\n{ours:#?}\nand {target}\n{theirs:#?}");
        Ok(())
    }

    /// Imports the drive's pool read-only, as a user would to look at it.
    pub fn look_into(&mut self, guid: u64) -> Result<()> {
        self.run(&format!(
            "zpool import -N -o readonly=on -o cachefile=none -R /run/lab/look -d /dev/disk/by-id {guid}"
        ))?
        .exits(0)?;
        Ok(())
    }
}

impl Output {
    /// The last line that a person reads, on standard error or on the terminal, must begin like this.
    pub fn last_word(&self, start: &str) -> Result<&Self> {
        let text = if self.stderr().trim().is_empty() { self.stdout() } else { self.stderr() };
        let last = text.trim_end().rsplit(['\n', '\r']).next().unwrap_or_default().to_owned();
        let last = without_colours(&last);
        ensure!(last.trim().starts_with(start), "the last word is {last:?}, not {start:?}\n{text}");
        Ok(self)
    }
}

/// A line of a terminal without its escape sequences.
fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        if c != '\x1b' {
            plain.push(c);
            continue;
        }
        // "ESC [ … letter"
        let _ = characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
    }
    plain
}
