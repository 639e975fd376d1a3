//! Commands in the guest, and what is expected of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::machine::agent::Agent;
use crate::protocol::{Bytes, Ended, Start, Window};
use crate::transcript::Transcript;

/// How long a command may take unless a scenario says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(180);
/// How long one question to the agent waits; short enough for live output.
const STEP: Duration = Duration::from_millis(200);

/// A command to run in the guest, as root.
#[derive(Debug, Clone)]
pub struct Command {
    start: Start,
    deadline: Duration,
}

impl Command {
    /// A line for the guest's shell.
    pub fn shell(line: &str) -> Self {
        let argv = ["/bin/bash", "-c", line].map(str::to_owned).to_vec();
        Self { start: Start { argv, ..Start::default() }, deadline: DEADLINE }
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.start.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With this on its standard input, which ends after it.
    #[must_use]
    pub fn stdin(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.start.stdin = Bytes(content.into());
        self
    }

    /// On a terminal of this size.
    #[must_use]
    pub fn terminal(mut self, columns: u16, rows: u16) -> Self {
        self.start.pty = Some(Window { columns, rows });
        self
    }

    /// Ended, and the scenario failed, when it takes longer.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The line, for people.
    pub fn line(&self) -> &str {
        self.start.argv.last().map_or("", String::as_str)
    }

    /// Its environment, so far.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.start.env
    }

    /// Starts it.
    pub fn start(self, agent: &mut Agent, transcript: &mut Transcript) -> Result<Background> {
        transcript.note(&format!("$ {}", self.line()));
        let line = self.line().to_owned();
        let (job, pid) = agent.start(self.start)?;
        let started = Instant::now();
        let output =
            Output { line, stdout: Vec::new(), stderr: Vec::new(), ended: None, took: Duration::ZERO };
        Ok(Background { job, pid, started, deadline: self.deadline, output })
    }
}

/// A command that runs while the scenario goes on.
#[derive(Debug)]
pub struct Background {
    /// The agent's number for it.
    pub job: u64,
    /// Its process id in the guest.
    pub pid: u32,
    started: Instant,
    deadline: Duration,
    output: Output,
}

impl Background {
    /// Collects what it printed since the last time, and says whether it goes on.
    pub fn goes_on(&mut self, agent: &mut Agent) -> Result<bool> {
        self.poll(agent, &mut |_| {})?;
        Ok(self.output.ended.is_none())
    }

    /// What it printed so far.
    pub fn so_far(&self) -> &Output {
        &self.output
    }

    fn poll(&mut self, agent: &mut Agent, live: &mut dyn FnMut(&[u8])) -> Result<()> {
        if self.output.ended.is_some() {
            return Ok(());
        }
        let progress = agent.poll(self.job, STEP)?;
        live(&progress.stdout.0);
        self.output.stdout.extend_from_slice(&progress.stdout.0);
        self.output.stderr.extend_from_slice(&progress.stderr.0);
        self.output.ended = progress.ended;
        self.output.took = self.started.elapsed();
        Ok(())
    }

    /// Waits for its end, within its deadline.
    pub fn wait(self, agent: &mut Agent, transcript: &mut Transcript) -> Result<Output> {
        self.wait_with(agent, transcript, &mut |_| {})
    }

    /// The same, with everything it prints passed on at once.
    pub fn wait_with(
        mut self,
        agent: &mut Agent,
        transcript: &mut Transcript,
        live: &mut dyn FnMut(&[u8]),
    ) -> Result<Output> {
        while self.output.ended.is_none() {
            if self.started.elapsed() > self.deadline {
                self.output.note(transcript);
                // It may be stuck in the kernel for ever; it is not waited for.
                let signal = rustix::process::Signal::KILL.as_raw();
                let kill = crate::protocol::Ask::Signal { job: self.job, signal, group: true };
                let _ = agent.ask(kill);
                bail!(
                    "`{}` did not end within {} s\n{}",
                    self.output.line,
                    self.deadline.as_secs(),
                    self.output.shown()
                );
            }
            self.poll(agent, live)?;
        }
        self.output.note(transcript);
        Ok(self.output)
    }
}

/// How a command ended and what it printed. Expectations return it again, so that
/// they can be strung together.
#[derive(Debug, Clone)]
pub struct Output {
    line: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ended: Option<Ended>,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// It must have returned this.
    pub fn exits(&self, code: i32) -> Result<&Self> {
        match self.ended {
            Some(Ended::Exit(found)) if found == code => Ok(self),
            Some(Ended::Exit(found)) => {
                bail!("`{}` returned {found}, not {code}\n{}", self.line, self.shown())
            }
            Some(Ended::Signal(signal)) => {
                bail!("`{}` was ended by signal {signal}\n{}", self.line, self.shown())
            }
            None => bail!("`{}` still runs\n{}", self.line, self.shown()),
        }
    }

    /// Its output or its errors must contain this.
    pub fn says(&self, text: &str) -> Result<&Self> {
        let said = self.stdout().contains(text) || self.stderr().contains(text);
        ensure!(said, "`{}` does not say {text:?}\n{}", self.line, self.shown());
        Ok(self)
    }

    /// Neither its output nor its errors may contain this.
    pub fn says_nothing_of(&self, text: &str) -> Result<&Self> {
        let said = self.stdout().contains(text) || self.stderr().contains(text);
        ensure!(!said, "`{}` says {text:?}\n{}", self.line, self.shown());
        Ok(self)
    }

    /// The last line of its output must be this.
    pub fn last_line(&self, expected: &str) -> Result<&Self> {
        let stdout = self.stdout();
        let last = stdout.trim_end().lines().last().unwrap_or_default().trim();
        ensure!(
            last == expected,
            "`{}` ends with {last:?}, not with {expected:?}\n{}",
            self.line,
            self.shown()
        );
        Ok(self)
    }

    /// Its output, without white space around it, must be this.
    pub fn prints(&self, expected: &str) -> Result<&Self> {
        let stdout = self.stdout();
        ensure!(
            stdout.trim() == expected,
            "`{}` prints {:?}, not {expected:?}\n{}",
            self.line,
            stdout.trim(),
            self.shown()
        );
        Ok(self)
    }

    /// Its output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its output as it is.
    pub fn stdout_bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// Its errors.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// The fields of its lines, as the `-H` options of the ZFS tools print them.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let fields = |line: &str| line.split('\t').map(str::to_owned).collect();
        self.stdout().lines().map(fields).collect()
    }

    /// One number.
    pub fn number(&self) -> Result<u64> {
        let text = self.stdout();
        text.trim().parse().with_context(|| format!("`{}` printed no number: {text:?}", self.line))
    }

    fn note(&self, transcript: &mut Transcript) {
        transcript.output(">", &self.stdout);
        transcript.output("!", &self.stderr);
        let ended = match self.ended {
            Some(Ended::Exit(code)) => format!("returned {code}"),
            Some(Ended::Signal(signal)) => format!("ended by signal {signal}"),
            None => "did not end in time".to_owned(),
        };
        transcript.note(&format!("  {ended} after {:.1} s", self.took.as_secs_f32()));
    }

    /// The end of what it printed, for failures.
    fn shown(&self) -> String {
        let tail = |text: String, mark: &str| {
            let lines: Vec<&str> = text.lines().collect();
            let from = lines.len().saturating_sub(20);
            lines[from..].iter().map(|line| format!("    {mark} {line}\n")).collect::<String>()
        };
        tail(self.stdout(), ">") + &tail(self.stderr(), "!")
    }
}

/// Runs a line of shell and waits for its end.
pub fn shell(agent: &mut Agent, transcript: &mut Transcript, line: &str) -> Result<Output> {
    Command::shell(line).start(agent, transcript)?.wait(agent, transcript)
}
