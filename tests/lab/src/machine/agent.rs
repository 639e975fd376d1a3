//! The lab's side of the agent: asks, waits, and never longer than it should.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail};

use super::qmp;
use crate::protocol::{Answer, Ask, Bytes, CHUNK, Progress, Request, Response, Start};

/// The agent answers at once; an emulated guest on a busy host is slow, though.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the agent in the guest.
#[derive(Debug)]
pub struct Agent {
    lines: BufReader<UnixStream>,
    line: Vec<u8>,
    last: u64,
}

impl Agent {
    /// Connects to QEMU's end of the port; the guest may still have to boot.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = qmp::connect(path, PATIENCE)?;
        // Numbers that no earlier connection to a saved guest has used.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let last = u64::try_from(now.as_micros())?;
        Ok(Self { lines: BufReader::new(stream), line: Vec::new(), last })
    }

    /// Waits until the agent answers.
    pub fn wait_until_ready(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            // What is said before the guest has opened the port is lost: ask again.
            let step = Instant::now() + Duration::from_secs(1);
            let id = self.send(Ask::Ping)?;
            match self.receive(id, step.min(deadline))? {
                Some(_) => return Ok(()),
                None if Instant::now() >= deadline => {
                    bail!("the guest's agent did not answer within {} s", patience.as_secs())
                }
                None => {}
            }
        }
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, ask: Ask) -> Result<Answer> {
        let id = self.send(ask)?;
        self.receive(id, Instant::now() + PATIENCE)?.context("the guest's agent does not answer any more")
    }

    /// Starts a command and returns its job number and process id.
    pub fn start(&mut self, start: Start) -> Result<(u64, u32)> {
        match self.ask(Ask::Start(start))? {
            Answer::Started { job, pid } => Ok((job, pid)),
            other => Err(unexpected(&other)),
        }
    }

    /// What a job has to say, after waiting up to `wait` for it.
    pub fn poll(&mut self, job: u64, wait: Duration) -> Result<Progress> {
        let wait_ms = u64::try_from(wait.as_millis())?;
        match self.ask(Ask::Poll { job, wait_ms })? {
            Answer::Progress(progress) => Ok(progress),
            other => Err(unexpected(&other)),
        }
    }

    /// Reads a whole file.
    pub fn read_file(&mut self, path: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let ask = Ask::ReadFile { path: path.to_owned(), offset: content.len() as u64 };
            match self.ask(ask).with_context(|| format!("cannot read {path} in the guest"))? {
                Answer::File { data, end } => {
                    content.extend_from_slice(&data.0);
                    if end {
                        return Ok(content);
                    }
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Writes a whole file.
    pub fn write_file(&mut self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let mut append = false;
        let mut rest = content;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(CHUNK));
            let data = Bytes(piece.to_vec());
            self.ask(Ask::WriteFile { path: path.to_owned(), data, append, mode })
                .with_context(|| format!("cannot write {path} in the guest"))?;
            if after.is_empty() {
                return Ok(());
            }
            rest = after;
            append = true;
        }
    }

    /// Gives the guest the host's time.
    pub fn set_clock(&mut self) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        self.ask(Ask::SetClock {
            seconds: i64::try_from(now.as_secs())?,
            nanoseconds: i64::from(now.subsec_nanos()),
        })?;
        Ok(())
    }

    fn send(&mut self, ask: Ask) -> Result<u64> {
        self.last += 1;
        let mut text = serde_json::to_string(&Request { id: self.last, ask })?;
        text.push('\n');
        self.lines.get_ref().set_write_timeout(Some(PATIENCE))?;
        self.lines.get_mut().write_all(text.as_bytes()).context("the guest is gone")?;
        Ok(self.last)
    }

    /// The answer to question `id`, or nothing when the deadline passed.
    fn receive(&mut self, id: u64, deadline: Instant) -> Result<Option<Answer>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.lines.get_ref().set_read_timeout(Some(left))?;
            match self.lines.read_until(b'\n', &mut self.line) {
                Ok(0) => bail!("the guest is gone"),
                Ok(_) if self.line.ends_with(b"\n") => {
                    let response = serde_json::from_slice::<Response>(&self.line);
                    self.line.clear();
                    // Anything else is left over from an earlier connection.
                    if let Some(response) = response.ok().filter(|response| response.id == id) {
                        return response.answer.map(Some).map_err(|e| anyhow!(e));
                    }
                }
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => return Err(e).context("the guest is gone"),
            }
        }
    }
}

fn unexpected(answer: &Answer) -> anyhow::Error {
    anyhow!("the guest's agent answered something else: {answer:?}")
}
