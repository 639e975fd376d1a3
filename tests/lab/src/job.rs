//! One command that the agent started in the guest.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};

use crate::protocol::{Bytes, CHUNK, Ended, Progress, Start, Window};

/// How much unread output is kept before the command has to wait, like on a
/// terminal that nobody reads: the guest's memory is not ours to fill.
const BACKLOG: usize = 8 * CHUNK;

/// How long output is waited for when the command itself is gone. What it left
/// running may hold the pipes open for ever.
const LINGER: Duration = Duration::from_secs(2);

/// A command that was started and whose end was not told yet.
pub struct Job {
    pid: u32,
    stdin: Option<File>,
    shared: Arc<Shared>,
}

/// What the threads that read and wait leave for the next poll.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something was added.
    news: Condvar,
    /// Something was taken away.
    room: Condvar,
}

#[derive(Default)]
struct State {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Pipes that may still bring something.
    open: usize,
    ended: Option<(Ended, Instant)>,
}

/// Which of the two.
#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl Job {
    /// Starts the command in a process group, or on a terminal, of its own.
    pub fn start(start: &Start) -> Result<Job> {
        let (program, arguments) = start.argv.split_first().context("an empty command")?;
        let shared = Arc::new(Shared::default());
        let (mut child, mut stdin) = match start.pty {
            None => Self::on_pipes(program, arguments, start, &shared)?,
            Some(window) => Self::on_terminal(program, arguments, start, window, &shared)?,
        };
        let pid = child.id();
        if let Some(mut input) = stdin.take() {
            // From a thread: a command that reads nothing must not stop the agent.
            let keep = start.keep_stdin || start.pty.is_some();
            let data = start.stdin.0.clone();
            stdin = if keep { Some(input.try_clone()?) } else { None };
            thread::spawn(move || input.write_all(&data));
        }
        let ending = Arc::clone(&shared);
        thread::spawn(move || {
            let status = child.wait();
            let how = status.map_or(Ended::Exit(-1), ended);
            ending.lock().ended = Some((how, Instant::now()));
            ending.news.notify_all();
        });
        Ok(Job { pid, stdin, shared })
    }

    fn on_pipes(
        program: &str,
        arguments: &[String],
        start: &Start,
        shared: &Arc<Shared>,
    ) -> Result<(Child, Option<File>)> {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(&start.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let stdout = child.stdout.take().context("no pipe for standard output")?;
        let stderr = child.stderr.take().context("no pipe for standard error")?;
        let stdin = child.stdin.take().map(|pipe| File::from(std::os::fd::OwnedFd::from(pipe)));
        Shared::collect(shared, stdout, Stream::Stdout);
        Shared::collect(shared, stderr, Stream::Stderr);
        Ok((child, stdin))
    }

    fn on_terminal(
        program: &str,
        arguments: &[String],
        start: &Start,
        window: Window,
        shared: &Arc<Shared>,
    ) -> Result<(Child, Option<File>)> {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let size = rustix::termios::Winsize {
            ws_col: window.columns,
            ws_row: window.rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&ours, size)?;
        let name = ptsname(&ours, Vec::new())?.into_string()?;
        let theirs = File::options().read(true).write(true).open(name)?;
        // setsid(1) makes the terminal the controlling one without unsafe code
        // here; it becomes the command, so the process id is the command's.
        let child = Command::new("setsid")
            .args(["--ctty", program])
            .args(arguments)
            .env("TERM", "xterm-256color")
            .envs(&start.env)
            .stdin(theirs.try_clone()?)
            .stdout(theirs.try_clone()?)
            .stderr(theirs)
            .spawn()
            .with_context(|| format!("cannot start {program} on a terminal"))?;
        let ours = File::from(ours);
        Shared::collect(shared, ours.try_clone()?, Stream::Stdout);
        Ok((child, Some(ours)))
    }

    /// The command's process id, which is its process group's as well.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What is new, after waiting up to `wait` for anything to be.
    pub fn poll(&mut self, wait: Duration) -> Progress {
        let deadline = Instant::now() + wait;
        let mut state = self.shared.lock();
        while state.is_quiet() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let stdout = Bytes(take(&mut state.stdout));
        let stderr = Bytes(take(&mut state.stderr));
        let told = state.stdout.is_empty() && state.stderr.is_empty();
        let over = |since: Instant| told && (state.open == 0 || since.elapsed() > LINGER);
        let ended = state.ended.filter(|(_, since)| over(*since)).map(|(how, _)| how);
        self.shared.room.notify_all();
        Progress { stdout, stderr, ended }
    }

    /// Writes to the command's standard input, or types on its terminal.
    pub fn input(&mut self, data: &[u8], close: bool) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the command's input was closed")?;
        stdin.write_all(data)?;
        if close {
            self.stdin = None;
        }
        Ok(())
    }

    /// Sends a signal to the command, or to its whole process group.
    pub fn signal(&self, number: i32, group: bool) -> Result<()> {
        let signal =
            Signal::from_named_raw(number).with_context(|| format!("there is no signal {number}"))?;
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("no process")?;
        if group {
            rustix::process::kill_process_group(pid, signal)?;
        } else {
            rustix::process::kill_process(pid, signal)?;
        }
        Ok(())
    }
}

impl State {
    fn is_quiet(&self) -> bool {
        let nothing = self.stdout.is_empty() && self.stderr.is_empty();
        nothing && !(self.ended.is_some() && self.open == 0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a pipe to its end in a thread of its own.
    fn collect(shared: &Arc<Shared>, mut pipe: impl Read + Send + 'static, stream: Stream) {
        shared.lock().open += 1;
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut buffer = vec![0; 16 * 1024];
            // A terminal whose other side is closed reads as an error, not as ended.
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                let mut state = shared.lock();
                state.add(stream, &buffer[..read]);
                shared.news.notify_all();
                while state.stdout.len() + state.stderr.len() > BACKLOG {
                    state = shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
            shared.lock().open -= 1;
            shared.news.notify_all();
        });
    }
}

impl State {
    fn add(&mut self, stream: Stream, data: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(data),
            Stream::Stderr => self.stderr.extend_from_slice(data),
        }
    }
}

/// At most one chunk from the front.
fn take(buffer: &mut Vec<u8>) -> Vec<u8> {
    let rest = buffer.split_off(buffer.len().min(CHUNK));
    std::mem::replace(buffer, rest)
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Exit(-1),
    }
}
