//! Hardware virtualisation where it works, emulation elsewhere.
//!
//! `/dev/kvm` may exist and still hang with a stock kernel (nested virtualisation
//! of some hosts), so it is not believed before a kernel has booted with it.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths::{self, Fingerprint};

/// A kernel with KVM prints within a second; one that hangs never does.
const PROBE: Duration = Duration::from_secs(20);

/// How the guest's processor is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// By the host's processor.
    Kvm,
    /// By translating its instructions: ten times slower, works everywhere.
    Tcg,
}

impl Accelerator {
    /// QEMU's arguments.
    pub fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Five levels of page tables are dearer to emulate than four.
            Self::Tcg => ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off"],
        }
    }

    /// How many processors a guest gets. Two emulated ones wait for each other more
    /// than they help, above all where two guests share two cores: measured, the
    /// same scenario takes a third longer with them.
    ///
    /// It must be possible to add a second one, though nobody does: before QEMU 8 a
    /// machine that can only ever have one is emulated without memory barriers, and
    /// its disk then forgets a request once in a while, for ever.
    pub fn processors(self) -> &'static str {
        match self {
            Self::Kvm => "2",
            Self::Tcg => "1,maxcpus=2",
        }
    }

    /// For people and for names in the cache.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// What works here, found out once per host kernel and QEMU.
    /// `ZFERRY_LAB_ACCEL=kvm` or `tcg` decides otherwise.
    pub fn find(image: &Path) -> Result<Self> {
        match std::env::var("ZFERRY_LAB_ACCEL").ok().as_deref() {
            Some("kvm") => return Ok(Self::Kvm),
            Some("tcg") => return Ok(Self::Tcg),
            Some(other) => bail!("ZFERRY_LAB_ACCEL is {other:?}: neither kvm nor tcg"),
            None => {}
        }
        let host = fs::read_to_string("/proc/version").unwrap_or_default();
        let key = Fingerprint::default().and(host).and(qemu_version()?);
        let record = paths::cache()?.join(format!("accelerator-{key}"));
        match fs::read_to_string(&record).as_deref().map(str::trim) {
            Ok("kvm") => return Ok(Self::Kvm),
            Ok("tcg") => return Ok(Self::Tcg),
            _ => {}
        }
        let found = if works(image)? { Self::Kvm } else { Self::Tcg };
        eprintln!("lab: guests will run with {} (found out once, kept in the cache)", found.name());
        fs::write(&record, found.name())?;
        Ok(found)
    }
}

/// QEMU's version: a state that one version saved may not load in another.
pub fn qemu_version() -> Result<String> {
    let output = Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()
        .context("cannot start QEMU; `cargo lab setup` installs it")?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// Boots the guest's kernel with KVM, without any disk, until its first user
/// process speaks.
fn works(image: &Path) -> Result<bool> {
    if fs::File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(false);
    }
    eprintln!("lab: trying KVM for at most {} s", PROBE.as_secs());
    let mut qemu = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-user-config"])
        .args(["-no-reboot", "-display", "none", "-machine", "q35", "-m", "512", "-smp", "2"])
        .args(Accelerator::Kvm.arguments())
        .args(["-append", "console=ttyS0 panic=1", "-serial", "stdio"])
        .arg("-kernel")
        .arg(image.join("vmlinuz"))
        .arg("-initrd")
        .arg(image.join("initrd"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start QEMU")?;
    let mut console = qemu.stdout.take().context("no pipe from QEMU")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = console.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + PROBE;
    let mut said = String::new();
    let works = loop {
        if said.contains("Run /init as init process") {
            break true;
        }
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(more) => said.push_str(&String::from_utf8_lossy(&more)),
            Err(_) => break false,
        }
    };
    let _ = qemu.kill();
    let _ = qemu.wait();
    Ok(works)
}
