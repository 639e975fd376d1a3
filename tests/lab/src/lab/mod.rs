//! What a scenario is written in: a guest, drives, and what is expected of them.

mod backup;
mod failure;
mod setting;
mod stand_in;
mod zfs;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

pub use backup::{Copied, Told};
pub use failure::kept;
pub use setting::CTRL_C;
pub use zfs::{Identity, KEY, PASSPHRASE, source_of};

use crate::command::{Background, Command, Output};
use crate::drive::Drive;
use crate::image::saved::Saved;
use crate::machine::qmp::Qmp;
use crate::machine::{Console, Machine, Spec, disks, usb};
use crate::transcript::Transcript;

/// How long udev may take to see a drive come or go.
const UDEV: Duration = Duration::from_secs(60);

/// A guest of a scenario's own, with everything that belongs to it.
#[derive(Debug)]
pub struct Lab {
    directory: PathBuf,
    spec: Spec,
    saved: Saved,
    /// Always there, except while the guest is being started again.
    machine: Option<Machine>,
    transcript: Transcript,
    /// The drives in QEMU's sockets, whether or not the guest still has them.
    attached: Vec<String>,
    /// When the scenario must have ended.
    deadline: Option<Instant>,
    remarks: Vec<String>,
    /// Nothing was done to it yet.
    untouched: bool,
    /// Programs are there.
    installed: bool,
}

impl Lab {
    /// Starts a guest from its saved state, with its files in `directory`.
    pub fn start(saved: &Saved, share: &Path, directory: &Path, console: Console) -> Result<Self> {
        Self::start_with(saved, share, directory, console, Machine::start)
    }

    /// The directory with the image that the guest was made of.
    pub fn image(&self) -> &Path {
        &self.saved.image
    }

    /// Another computer, with a name and a host number of its own. This one stands still for as long as it is there,
    /// so that not more guests run than may.
    pub fn elsewhere<T>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.transcript.note(&format!("another computer: {name}"));
        self.machine()?.qmp.execute("stop", json!({}))?;
        let directory = self.directory.join(name);
        let console = Console::File(directory.join("console"));
        let mut other =
            Self::start_with(&self.saved, &self.spec.share, &directory, console, Machine::start_beside)?;
        other
            .run(&format!(
                "hostname {name}; rm -f /etc/hostid; echo 4242 > /sys/module/spl/parameters/spl_hostid; hostid"
            ))?
            .exits(0)?;
        let result = body(&mut other);
        drop(other);
        let machine = self.machine()?;
        machine.qmp.execute("cont", json!({}))?;
        machine.agent.set_clock()?;
        self.transcript.note("back on the first computer");
        result
    }

    fn start_with(
        saved: &Saved,
        share: &Path,
        directory: &Path,
        console: Console,
        start: fn(&Spec) -> Result<Machine>,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let (root, source) = (directory.join("root.qcow2"), directory.join("source.qcow2"));
        disks::overlay(&saved.bare.root, "qcow2", &root)?;
        disks::overlay(&saved.bare.source, "qcow2", &source)?;
        let spec = Spec {
            accelerator: saved.accelerator,
            image: saved.image.clone(),
            root,
            source,
            share: share.to_owned(),
            console,
            restore: Some(saved.bare.state.clone()),
        };
        let started = Instant::now();
        let machine = start(&spec)?;
        let took = started.elapsed();
        Self::settled(directory, spec, saved, machine, took)
    }

    /// Boots a guest on the disks that another one left in `directory`.
    pub fn reopen(saved: &Saved, share: &Path, directory: &Path, console: Console) -> Result<Self> {
        let spec = Spec {
            accelerator: saved.accelerator,
            image: saved.image.clone(),
            root: directory.join("root.qcow2"),
            source: directory.join("source.qcow2"),
            share: share.to_owned(),
            console,
            restore: None,
        };
        let started = Instant::now();
        let machine = Machine::start(&spec)?;
        let took = started.elapsed();
        Self::settled(directory, spec, saved, machine, took)
    }

    fn settled(
        directory: &Path,
        spec: Spec,
        saved: &Saved,
        machine: Machine,
        took: Duration,
    ) -> Result<Self> {
        let transcript = Transcript::to(&directory.join("transcript"))?;
        let mut lab = Self {
            directory: directory.to_owned(),
            spec,
            saved: saved.clone(),
            machine: Some(machine),
            transcript,
            attached: Vec::new(),
            deadline: None,
            remarks: Vec::new(),
            untouched: true,
            installed: false,
        };
        lab.transcript.note(&format!("the guest is there after {:.1} s", took.as_secs_f32()));
        Ok(lab)
    }

    /// Whether nothing was done to the guest since it was started from its saved state.
    fn is_untouched(&self) -> bool {
        self.untouched && self.spec.restore.is_some()
    }

    /// Begins anew, with the source in place.
    fn start_furnished(&mut self) -> Result<()> {
        let machine = self.machine.take().context(NO_GUEST)?;
        let there = &self.saved.furnished;
        let spec = Spec { restore: Some(there.state.clone()), ..self.spec.clone() };
        let lay_over = || {
            disks::overlay(&there.root, "qcow2", &spec.root)?;
            disks::overlay(&there.source, "qcow2", &spec.source)
        };
        self.machine = Some(machine.restart(&spec, lay_over, |_| Ok(()))?);
        self.transcript.note("the guest has its encrypted source");
        Ok(())
    }

    /// Copies the programs under test from the share, which is unmounted again. They are written at once: after a power
    /// cut, half a program would be the lab's fault.
    fn install_programs(&mut self) -> Result<()> {
        self.installed = true;
        if !self.spec.share.join("bin/zferry").exists() {
            return Ok(());
        }
        self.run(
            "set -e; mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro lab /run/lab/share; \
             install /run/lab/share/bin/* /usr/local/bin/; \
             if [ -d /run/lab/share/udev-rules ]; then \
                 mkdir -p /usr/local/share/zferry && cp -r /run/lab/share/udev-rules /usr/local/share/zferry/; \
             fi; \
             if [ -d /run/lab/share/packages ]; then cp -r /run/lab/share/packages /root/; fi; umount /run/lab/share; \
             sync -f /usr/local/bin",
        )?
        .exits(0)?;
        Ok(())
    }

    /// Puts the zferry that needs no library where the package puts it. The scenario is one of those that have it.
    pub fn install_portable(&mut self) -> Result<()> {
        self.run(
            "set -e; mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro lab /run/lab/share; \
             install -D -t /usr/local/lib/zferry /run/lab/share/portable/zferry-static; umount /run/lab/share; \
             sync -f /usr/local/lib",
        )?
        .exits(0)?;
        Ok(())
    }

    /// An empty USB drive, not plugged in yet.
    pub fn drive(&mut self, name: &str, size: &str) -> Result<Drive> {
        self.transcript.note(&format!("a drive {name} of {size}"));
        Drive::create(&self.directory, name, size)
    }

    /// Plugs a drive in and waits until udev is done with it.
    pub fn plug(&mut self, drive: &Drive) -> Result<()> {
        if self.attached.iter().any(|name| name == drive.name()) {
            // The guest powered it off, or it is there: it leaves its socket first.
            self.pull(drive)?;
        }
        self.transcript.note(&format!("plug in {}", drive.name()));
        usb::plug(&mut self.machine()?.qmp, drive.name(), drive.image(), &drive.serial())?;
        self.attached.push(drive.name().to_owned());
        self.run(&format!("udevadm wait --settle --timeout={} {}", UDEV.as_secs(), drive.device()))?
            .exits(0)
            .with_context(|| format!("drive {} did not appear in the guest", drive.name()))?;
        Ok(())
    }

    /// Plugs a drive in that the guest does not have: one that was powered off, or was pulled out.
    pub fn plug_if_away(&mut self, drive: &Drive) -> Result<()> {
        let is_there = self.run(&format!("test -e {}", drive.device()))?.exits(0).is_ok();
        if is_there { Ok(()) } else { self.plug(drive) }
    }

    /// Pulls a drive out, without a word to the guest.
    pub fn pull(&mut self, drive: &Drive) -> Result<()> {
        self.transcript.note(&format!("pull out {}", drive.name()));
        usb::pull(&mut self.machine()?.qmp, drive.name())?;
        self.attached.retain(|name| name != drive.name());
        Ok(())
    }

    /// The drive must leave the system: no link, no device on the USB bus.
    pub fn gone(&mut self, drive: &Drive) -> Result<()> {
        let test = format!(
            "! test -e {} && ! grep -qsx {} /sys/bus/usb/devices/*/serial",
            drive.device(),
            drive.serial()
        );
        self.wait_until(&format!("drive {} is gone", drive.name()), UDEV, &test)
    }

    /// Waits until a shell line returns 0.
    pub fn wait_until(&mut self, what: &str, patience: Duration, test: &str) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.run(test)?.exits(0).is_err() {
            if Instant::now() >= deadline {
                bail!("it was not so within {} s: {what}", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Runs a line of shell in the guest, as root, and waits for its end.
    pub fn run(&mut self, line: &str) -> Result<Output> {
        self.execute(Command::shell(line))
    }

    /// Runs a command and waits for its end.
    pub fn execute(&mut self, command: Command) -> Result<Output> {
        let background = self.start_command(command)?;
        self.finish(background)
    }

    /// Runs a command and passes on what it prints at once.
    pub fn execute_live(&mut self, command: Command, live: &mut dyn FnMut(&[u8])) -> Result<Output> {
        let background = self.start_command(command)?;
        let machine = self.machine.as_mut().context(NO_GUEST)?;
        background.wait_with(&mut machine.agent, &mut self.transcript, live)
    }

    /// Starts a line of shell and goes on.
    pub fn run_in_background(&mut self, line: &str) -> Result<Background> {
        self.start_command(Command::shell(line))
    }

    /// Nothing is started any more after this time. (What was started has a limit
    /// of its own, so that a scenario ends soon after.)
    pub fn end_after(&mut self, limit: Duration) {
        self.deadline = Some(Instant::now() + limit);
    }

    /// Starts a command and goes on.
    pub fn start_command(&mut self, command: Command) -> Result<Background> {
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            bail!("the scenario takes too long; next would have been `{}`", command.line());
        }
        self.untouched = false;
        if !self.installed {
            self.install_programs()?;
        }
        let machine = self.machine.as_mut().context(NO_GUEST)?;
        command.start(&mut machine.agent, &mut self.transcript)
    }

    /// Waits for the end of what was started.
    pub fn finish(&mut self, background: Background) -> Result<Output> {
        let machine = self.machine.as_mut().context(NO_GUEST)?;
        background.wait(&mut machine.agent, &mut self.transcript)
    }

    /// Whether what was started goes on; collects what it printed.
    pub fn goes_on(&mut self, background: &mut Background) -> Result<bool> {
        background.goes_on(&mut self.machine()?.agent)
    }

    /// Sends a signal to what was started, and to its whole group.
    pub fn signal(&mut self, background: &Background, signal: rustix::process::Signal) -> Result<()> {
        self.transcript.note(&format!("signal {} to {}", signal.as_raw(), background.pid));
        let (job, signal) = (background.job, signal.as_raw());
        let ask = crate::protocol::Ask::Signal { job, signal, group: true };
        self.machine()?.agent.ask(ask)?;
        Ok(())
    }

    /// Writes a file in the guest.
    pub fn write(&mut self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.transcript.note(&format!("write {path}"));
        self.transcript.output("<", content.as_ref());
        self.machine()?.agent.write_file(path, content.as_ref(), 0o644)
    }

    /// Reads a file in the guest.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>> {
        self.machine()?.agent.read_file(path)
    }

    /// Cuts the guest's power, and boots it again. Drives have to be plugged in
    /// again; what was started is gone.
    pub fn cut(&mut self) -> Result<()> {
        self.boot_again(None)
    }

    /// The same, with a drive that is connected when the computer starts.
    pub fn cut_beside(&mut self, drive: &Drive) -> Result<()> {
        self.boot_again(Some(drive))
    }

    fn boot_again(&mut self, beside: Option<&Drive>) -> Result<()> {
        self.transcript.note("cut the power, boot again");
        let machine = self.machine.take().context(NO_GUEST)?;
        self.attached = beside.map(|drive| drive.name().to_owned()).into_iter().collect();
        self.spec.restore = None;
        let plug = |qmp: &mut Qmp| match beside {
            Some(drive) => usb::plug(qmp, drive.name(), drive.image(), &drive.serial()),
            None => Ok(()),
        };
        let started = Instant::now();
        self.machine = Some(machine.restart(&self.spec, || Ok(()), plug)?);
        let took = started.elapsed().as_secs_f32();
        self.transcript.note(&format!("the guest is there again after {took:.1} s"));
        Ok(())
    }

    /// Where the guest's disks, drives, console and transcript are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Adds a line to the transcript.
    pub fn note(&mut self, text: &str) {
        self.transcript.note(text);
    }

    /// Notes what is worth to be told of a scenario that passes.
    pub fn remark(&mut self, text: &str) {
        self.transcript.note(text);
        self.remarks.push(text.to_owned());
    }

    /// What was remarked so far.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The machine itself, for what is not said here.
    pub fn machine(&mut self) -> Result<&mut Machine> {
        self.untouched = false;
        self.machine.as_mut().context(NO_GUEST)
    }

    /// Ends the lab and hands out its machine.
    pub fn into_machine(mut self) -> Result<Machine> {
        if !self.installed {
            self.install_programs()?;
        }
        self.machine.context(NO_GUEST)
    }
}

const NO_GUEST: &str = "the guest did not start again";
