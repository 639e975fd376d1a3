//! A host in memory behind [`Runner`]: argument vectors in, text and exit codes out, as `zfs` and `zpool` would answer
//! (facts: zfs.md 1–5). What it does was written from the facts and not from the program that is tried with it.
//!
//! It exists in tests only. [`state`] is the truth; [`list`] shows it, [`change`], [`stream`], [`program`] and [`pool`]
//! change it, [`devices`] and [`mounts`] are what is seen of it without ZFS, [`fault`] makes single commands go wrong.

mod change;
mod contract;
mod devices;
pub mod fault;
mod flags;
mod list;
pub mod mounts;
mod pool;
mod program;
pub mod state;
mod stream;

use std::sync::{Arc, Mutex};

use crate::process::{Cancel, Exit, Invocation, Output, PipeOutput, RunError, Runner, Tool, Watch};

use devices::Drives;
use state::State;
pub use stream::Cut;

/// What a command printed, or what it complained of.
type Answer = Result<String, String>;

/// A computer with pools, one of them perhaps on a drive that can be unplugged.
pub struct Host {
    state: Arc<Mutex<State>>,
    /// That drive.
    pub drives: Drives,
    mounts: Mutex<mounts::Mounts>,
}

impl Host {
    /// With these pools.
    pub fn new(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        Self { drives: Drives::new(Arc::clone(&state)), state, mounts: Mutex::default() }
    }

    /// The truth at this moment.
    pub fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    /// Lets somebody else do something on this computer.
    pub fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap());
    }

    /// Mounts a filesystem below a directory, as the computer that is backed up has it.
    pub fn show(&self, dataset: &str, below: &std::path::Path) {
        let mut mounts = self.mounts.lock().unwrap();
        mounts::show(&mut mounts, &mut self.state.lock().unwrap(), dataset, below);
        self.drives.mounted(&mounts::table(&mounts));
    }

    /// What a desktop does with the rescue file system.
    pub fn automount(&self, at: &str) {
        let mut mounts = self.mounts.lock().unwrap();
        let mounted = ["-t", "ext4", "-o", "rw", "/dev/sdb2", at];
        mounts::mount(&mut mounts, &self.state.lock().unwrap(), &mounted).unwrap();
        self.drives.mounted(&mounts::table(&mounts));
    }

    /// What is mounted of a pool.
    pub fn mounted_of(&self, pool: &str) -> Vec<String> {
        let mounts = self.mounts.lock().unwrap();
        mounts.values().filter(|what| state::pool_of(what) == pool).cloned().collect()
    }

    /// One command, to its end.
    pub fn perform(&self, command: &Invocation) -> Output {
        let mut state = self.state.lock().unwrap();
        let mut mounts = self.mounts.lock().unwrap();
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let answer = match command.tool {
            Tool::Zfs => zfs(&mut state, &args, &command.stdin),
            Tool::Zpool => pool::zpool(&mut state, &args),
            Tool::Udisksctl => self.drives.power_off(&state),
            Tool::Udevadm | Tool::Blockdev => Ok(String::new()),
            Tool::Mount => mounts::mount(&mut mounts, &state, &args),
            Tool::Umount => mounts::unmount(&mut mounts, &args),
            other @ (Tool::Setpriv | Tool::Mkfs | Tool::SystemdInhibit | Tool::Cryptsetup) => {
                Err(format!("{} is not simulated", other.name()))
            }
        };
        if matches!(command.tool, Tool::Zpool | Tool::Mount | Tool::Umount) {
            mounts::leave(&mut mounts, &state);
            self.drives.mounted(&mounts::table(&mounts));
        }
        match answer {
            Ok(stdout) => output(0, &stdout, ""),
            Err(complaint) => output(1, "", &complaint),
        }
    }

    /// A stream from one command to the other, as far as the cut lets it.
    pub fn transfer(&self, send: &Invocation, receive: &Invocation, cut: Cut) -> PipeOutput {
        let mut state = self.state.lock().unwrap();
        let args = |command: &Invocation| command.args.iter().skip(1).cloned().collect::<Vec<_>>();
        stream::transfer(&mut state, &args(send), &args(receive), cut)
    }
}

impl Runner for Host {
    fn run(&self, command: &Invocation, _cancel: &Cancel) -> Result<Output, RunError> {
        Ok(self.perform(command))
    }

    fn pipe(
        &self,
        send: &Invocation,
        receive: &Invocation,
        watch: &mut dyn FnMut(u64) -> Watch,
        _cancel: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        watch(0);
        Ok(self.transfer(send, receive, Cut::Nowhere))
    }
}

fn output(code: i32, stdout: &str, stderr: &str) -> Output {
    Output { exit: Exit::Code(code), stdout: stdout.as_bytes().to_vec(), stderr: stderr.to_owned() }
}

fn zfs(state: &mut State, args: &[&str], stdin: &[u8]) -> Answer {
    let (&verb, rest) = args.split_first().ok_or("missing command")?;
    match verb {
        "version" => Ok(pool::VERSION.to_owned()),
        "list" => list::list(state, rest),
        "get" => list::get(state, rest),
        // Nobody but root may do anything.
        "allow" => Ok(String::new()),
        "holds" => change::holds(state, rest),
        "hold" => change::hold(state, rest),
        "release" => change::release(state, rest),
        "snapshot" => change::snapshot(state, rest),
        "bookmark" => change::bookmark(state, rest),
        "destroy" => change::destroy(state, rest),
        "create" => change::create(state, rest),
        "set" => change::set(state, rest),
        "inherit" => change::inherit(state, rest),
        "rename" => change::rename(state, rest),
        "rollback" => change::rollback(state, rest),
        "receive" => stream::drop_partial(state, rest),
        "load-key" => mounts::load_key(state, rest, stdin),
        "unload-key" => mounts::unload_key(state, rest),
        "program" => program::program(state, rest, stdin),
        other => Err(format!("unrecognized command '{other}'")),
    }
}
