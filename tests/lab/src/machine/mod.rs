//! One virtual machine: started, controlled, and certainly ended.

pub mod accelerator;
pub mod agent;
pub mod arguments;
pub mod disks;
pub mod qmp;
pub mod slots;
pub mod usb;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use accelerator::Accelerator;
use agent::Agent;
use qmp::Qmp;
use slots::Slot;

/// How long a boot may take. Without KVM, beside another guest, on a busy host,
/// it takes about a minute.
const BOOT: Duration = Duration::from_secs(300);
/// How long reading a saved state may take.
const RESTORE: Duration = Duration::from_secs(120);
/// How long writing the state of a guest may take.
const SAVE: Duration = Duration::from_secs(180);

/// Everything that makes one virtual machine.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Hardware virtualisation or emulation.
    pub accelerator: Accelerator,
    /// The directory with `vmlinuz` and `initrd`.
    pub image: PathBuf,
    /// The writable root disk (qcow2).
    pub root: PathBuf,
    /// The writable disk for the source pool (qcow2).
    pub source: PathBuf,
    /// What the guest can mount, read-only.
    pub share: PathBuf,
    /// Where the serial console goes.
    pub console: Console,
    /// Boot, or load this state.
    pub restore: Option<PathBuf>,
}

/// Where a guest's serial console goes.
#[derive(Debug, Clone)]
pub enum Console {
    /// Into a file, for later.
    File(PathBuf),
    /// To the terminal of the caller.
    Terminal,
}

/// A running QEMU. Dropping it ends it.
#[derive(Debug)]
pub struct Machine {
    process: Child,
    /// The monitor.
    pub qmp: Qmp,
    /// The agent in the guest.
    pub agent: Agent,
    /// The directory of the sockets.
    sockets: tempfile::TempDir,
    /// One of the few guests that may run at once.
    slot: Option<Slot>,
}

impl Machine {
    /// Starts a guest, and waits until its agent answers and its clock is right.
    pub fn start(spec: &Spec) -> Result<Self> {
        Self::start_in(Some(Slot::take()?), spec, |_| Ok(()))
    }

    /// The same without a slot of its own: for one that takes turns with a guest that stands still meanwhile.
    pub fn start_beside(spec: &Spec) -> Result<Self> {
        Self::start_in(None, spec, |_| Ok(()))
    }

    /// The same, in a slot that the caller has already. What is plugged in at once is there before the guest's kernel.
    fn start_in(slot: Option<Slot>, spec: &Spec, plug: impl FnOnce(&mut Qmp) -> Result<()>) -> Result<Self> {
        // Paths of sockets must be short: not in the cache directory.
        let sockets = tempfile::Builder::new().prefix("zferry-lab-").tempdir()?;
        let mut process = Self::spawn(spec, sockets.path())?;
        let connected = Self::connect(sockets.path());
        let (qmp, agent) = match connected {
            Ok(both) => both,
            Err(error) => {
                let ended = process.try_wait().ok().flatten();
                let _ = process.kill();
                let _ = process.wait();
                return Err(match ended {
                    Some(status) => error.context(format!("QEMU ended at once: {status}")),
                    None => error,
                });
            }
        };
        let mut machine = Self { process, qmp, agent, sockets, slot };
        plug(&mut machine.qmp)?;
        if spec.restore.is_some() {
            machine.wait_until_loaded()?;
        }
        machine.agent.wait_until_ready(BOOT)?;
        machine.agent.set_clock()?;
        Ok(machine)
    }

    /// `setpriv` has the kernel end QEMU when this thread does, however it does.
    fn spawn(spec: &Spec, sockets: &Path) -> Result<Child> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args(arguments::qemu(spec, sockets));
        if let Console::File(_) = spec.console {
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        command.spawn().context("cannot start QEMU; `cargo lab setup` installs it")
    }

    fn connect(sockets: &Path) -> Result<(Qmp, Agent)> {
        let qmp = Qmp::connect(&sockets.join("qmp"))?;
        let agent = Agent::connect(&sockets.join("agent"))?;
        Ok((qmp, agent))
    }

    /// Waits until a saved state was read, and lets the guest go on. (It was
    /// stopped when it was saved, and so it is stopped when it is loaded.)
    fn wait_until_loaded(&mut self) -> Result<()> {
        let deadline = Instant::now() + RESTORE;
        loop {
            let status = self.qmp.execute("query-status", json!({}))?;
            match status["status"].as_str() {
                Some("inmigrate") if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                }
                Some("paused" | "postmigrate" | "prelaunch") => break,
                Some("running") => return Ok(()),
                _ => bail!("the saved guest could not be loaded: {status}"),
            }
        }
        self.qmp.execute("cont", json!({}))?;
        Ok(())
    }

    /// The socket for a second monitor: `cargo lab plug` beside `cargo lab shell`.
    pub fn second_monitor(&self) -> PathBuf {
        self.sockets.path().join("qmp2")
    }

    /// Stops the guest and writes its state to a file. It cannot go on after that.
    pub fn save(mut self, state: &Path) -> Result<()> {
        self.qmp.execute("stop", json!({}))?;
        // The default limit is meant for networks.
        self.qmp.execute("migrate-set-parameters", json!({ "max-bandwidth": 1_u64 << 40 }))?;
        let capability = json!([{ "capability": "events", "state": true }]);
        self.qmp.execute("migrate-set-capabilities", json!({ "capabilities": capability }))?;
        let quoted = arguments::shell_quoted(state)?;
        self.qmp.execute("migrate", json!({ "uri": format!("exec:cat > {quoted}") }))?;
        self.qmp.wait_event("MIGRATION", SAVE, |data| {
            matches!(data["status"].as_str(), Some("completed" | "failed" | "cancelled"))
        })?;
        let info = self.qmp.execute("query-migrate", json!({}))?;
        if info["status"] != "completed" {
            bail!("the state of the guest could not be saved: {info}");
        }
        self.quit()
    }

    /// Ends the guest without a word, and starts another one at once. (Giving the
    /// slot back could mean to wait for the guests of others.) In between nobody has its disks open.
    pub fn restart(
        mut self,
        spec: &Spec,
        in_between: impl FnOnce() -> Result<()>,
        plug: impl FnOnce(&mut Qmp) -> Result<()>,
    ) -> Result<Self> {
        let slot = self.slot.take();
        drop(self);
        in_between()?;
        Self::start_in(slot, spec, plug)
    }

    /// Has QEMU write out what it holds and end.
    pub fn quit(mut self) -> Result<()> {
        self.qmp.execute("quit", json!({}))?;
        self.process.wait().context("QEMU's end could not be awaited")?;
        Ok(())
    }

    /// Waits until QEMU ends by itself (the guest was shut down).
    pub fn wait(mut self) -> Result<()> {
        self.process.wait().context("QEMU's end could not be awaited")?;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Either of them fails only when QEMU has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
