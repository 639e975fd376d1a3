//! A booted guest, written to disk: a scenario that starts from it starts in
//! seconds where a boot takes most of a minute.
//!
//! The state is a file of its own beside the disks (QEMU's migration to a file),
//! not a snapshot inside of a disk: that way scenarios share it and put overlays
//! on the disks, and nothing has to be copied.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use super::recipe::Recipe;
use crate::lab;
use crate::machine::accelerator::{self, Accelerator};
use crate::machine::{Console, Machine, Spec, arguments, disks, slots};
use crate::paths::{self, Fingerprint};
use crate::transcript::Transcript;

/// The size of the disk for the source pool.
const SOURCE: &str = "4G";

/// What is done before the state is saved: whatever every scenario would wait for. The event daemon goes on without its
/// scripts: they log and mail, one for each thing that ZFS does, and with one emulated processor that took a third to a
/// half of the time of every run (17.2 and 18.0 s with them, 9.1 to 12.4 s without). What it does by itself, such as
/// telling ZFS of a disk that was pulled out, it still does.
const SETTLE: &str = "systemctl is-system-running --wait; \
    rm -f /etc/zfs/zed.d/*.sh && systemctl restart zfs-zed && \
    systemctl start dbus polkit udisks2 && udisksctl status >/dev/null && zpool list -H && \
    zfs list -H && udevadm settle && journalctl --flush && sync";

/// A guest that can be started any number of times.
#[derive(Debug, Clone)]
pub struct Saved {
    /// What is in it.
    pub system: &'static Recipe,
    /// Kernel and initramfs.
    pub image: PathBuf,
    /// After the boot, with an empty disk for the source pool.
    pub bare: Moment,
    /// With the encrypted source that most scenarios begin with.
    pub furnished: Moment,
    /// What the states were made with.
    pub accelerator: Accelerator,
}

/// A guest at one moment.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The booted system's disk; overlays go on top of it.
    pub root: PathBuf,
    /// The disk for the source pool, likewise.
    pub source: PathBuf,
    /// Memory and devices.
    pub state: PathBuf,
}

impl Moment {
    fn within(directory: &Path) -> Self {
        Self {
            root: directory.join("root.qcow2"),
            source: directory.join("source.qcow2"),
            state: directory.join("state"),
        }
    }
}

/// The saved guest for this image, agent and QEMU; made now if it has to be.
pub fn ensure(recipe: &'static Recipe, image: &Path, share: &Path) -> Result<Saved> {
    let accelerator = Accelerator::find(image)?;
    let directory = directory(recipe, image, accelerator)?;
    // The key has what the source is made with, too.
    let furnished =
        directory.join(format!("furnished-{}", Fingerprint::default().and(lab::source_of("rpool"))));
    let saved = Saved {
        system: recipe,
        image: image.to_owned(),
        bare: Moment::within(&directory),
        furnished: Moment::within(&furnished),
        accelerator,
    };
    // They are there as a whole or not at all.
    if !furnished.is_dir() {
        let _lock = slots::lock(&format!("saved-{}", recipe.name))?;
        if !directory.is_dir() {
            boot(recipe, image, share, &directory, accelerator)?;
        }
        if !furnished.is_dir() {
            furnish(&saved, share, &furnished)?;
        }
    }
    paths::remember_use(&directory)?;
    Ok(saved)
}

/// Boots a guest and saves it.
fn boot(
    recipe: &'static Recipe,
    image: &Path,
    share: &Path,
    directory: &Path,
    accelerator: Accelerator,
) -> Result<()> {
    let parent = directory.parent().context("the cache directory has no parent")?;
    fs::create_dir_all(parent)?;
    let work = parent.join(format!(".saving-{}", recipe.name));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir(&work)?;
    make(image, share, &work, accelerator)
        .with_context(|| format!("the guest did not boot; its console: {}/console", work.display()))?;
    fs::rename(&work, directory)?;
    paths::remove_unused(parent, recipe.name, directory)
}

/// Starts a saved guest, makes the source in it, and saves it again, in layers on top of the first.
fn furnish(saved: &Saved, share: &Path, directory: &Path) -> Result<()> {
    let work = directory.with_extension("making");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir(&work)?;
    eprintln!("lab: making an encrypted source in a guest, to save its state");
    let there = Moment::within(&work);
    disks::overlay(&saved.bare.root, "qcow2", &there.root)?;
    disks::overlay(&saved.bare.source, "qcow2", &there.source)?;
    let spec = Spec {
        accelerator: saved.accelerator,
        image: saved.image.clone(),
        root: there.root,
        source: there.source,
        share: share.to_owned(),
        console: Console::File(work.join("console")),
        restore: Some(saved.bare.state.clone()),
    };
    let mut machine = Machine::start(&spec)?;
    machine.agent.write_file(lab::KEY, lab::PASSPHRASE.as_bytes(), 0o644)?;
    let mut transcript = Transcript::none();
    let line = format!("{}; sync; zpool sync", lab::source_of("rpool"));
    crate::command::shell(&mut machine.agent, &mut transcript, &line)?.exits(0)?;
    machine.save(&there.state)?;
    fs::rename(&work, directory).context("the saved guest could not be put in its place")
}

fn make(image: &Path, share: &Path, work: &Path, accelerator: Accelerator) -> Result<()> {
    let started = Instant::now();
    eprintln!("lab: booting a guest with {}, to save its state", accelerator.name());
    let Moment { root, source, state } = Moment::within(work);
    disks::overlay(&image.join("root.img"), "raw", &root)?;
    disks::empty(&source, SOURCE)?;
    let spec = Spec {
        accelerator,
        image: image.to_owned(),
        root,
        source,
        share: share.to_owned(),
        console: Console::File(work.join("console")),
        restore: None,
    };
    let mut machine = Machine::start(&spec)?;
    eprintln!("lab: booted in {:.1} s", started.elapsed().as_secs_f32());
    let mut transcript = Transcript::none();
    crate::command::shell(&mut machine.agent, &mut transcript, SETTLE)?.exits(0)?;
    machine.save(&state)?;
    eprintln!("lab: saved after {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}

/// The directory's name has everything that makes a state unusable elsewhere.
fn directory(recipe: &Recipe, image: &Path, accelerator: Accelerator) -> Result<PathBuf> {
    let nowhere = Path::new("/");
    let spec = Spec {
        accelerator,
        image: image.to_owned(),
        root: nowhere.to_owned(),
        source: nowhere.to_owned(),
        share: nowhere.to_owned(),
        console: Console::File(nowhere.to_owned()),
        restore: None,
    };
    let mut key = Fingerprint::default().and(accelerator::qemu_version()?).and(SETTLE).and(SOURCE);
    for argument in arguments::qemu(&spec, nowhere) {
        key = key.and(argument.as_encoded_bytes());
    }
    // The agent's sources rather than its binary, which differs per work tree.
    for source in [include_str!("../protocol.rs"), include_str!("../job.rs"), include_str!("../bin/agent.rs")]
    {
        key = key.and(source);
    }
    Ok(paths::cache()?.join("saved").join(format!("{}-{key}", recipe.name)))
}
