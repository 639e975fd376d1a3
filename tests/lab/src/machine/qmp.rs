//! QEMU's control socket: plug, pull, save, quit.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

/// How long QEMU may take to answer. It answers at once, unless the host is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub struct Qmp {
    lines: BufReader<UnixStream>,
    line: Vec<u8>,
    /// Events that came while something else was waited for.
    events: Vec<Value>,
}

impl Qmp {
    /// Connects as soon as the socket is there.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = connect(path, PATIENCE)?;
        let mut qmp = Self { lines: BufReader::new(stream), line: Vec::new(), events: Vec::new() };
        let deadline = Instant::now() + PATIENCE;
        qmp.message(deadline)?.context("QEMU's monitor did not greet")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and returns its result.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut text = json!({ "execute": command, "arguments": arguments }).to_string();
        text.push('\n');
        self.lines.get_mut().write_all(text.as_bytes()).context("QEMU's monitor is gone")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message =
                self.message(deadline)?.with_context(|| format!("QEMU did not answer {command} in time"))?;
            if let Some(result) = message.get("return") {
                return Ok(result.clone());
            }
            if let Some(error) = message.get("error") {
                let text = error.get("desc").and_then(Value::as_str).unwrap_or("no description");
                bail!("QEMU refused {command}: {text}");
            }
            self.events.push(message);
        }
    }

    /// Waits for an event that `wanted` accepts.
    pub fn wait_event(
        &mut self,
        name: &str,
        patience: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<()> {
        let fits = |event: &Value| event["event"] == name && wanted(&event["data"]);
        if let Some(at) = self.events.iter().position(fits) {
            self.events.remove(at);
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        while let Some(message) = self.message(deadline)? {
            if fits(&message) {
                return Ok(());
            }
            self.events.push(message);
        }
        Err(anyhow!("QEMU did not report {name} within {} s", patience.as_secs()))
    }

    /// The next message, or nothing when the deadline passed.
    fn message(&mut self, deadline: Instant) -> Result<Option<Value>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.lines.get_ref().set_read_timeout(Some(left))?;
            match self.lines.read_until(b'\n', &mut self.line) {
                Ok(0) => bail!("QEMU ended"),
                Ok(_) if self.line.ends_with(b"\n") => {
                    let message = serde_json::from_slice(&self.line)
                        .with_context(|| format!("QEMU said {}", String::from_utf8_lossy(&self.line)))?;
                    self.line.clear();
                    return Ok(Some(message));
                }
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => return Err(e).context("QEMU's monitor is gone"),
            }
        }
    }
}

/// Connects to a socket that another process is about to make.
pub fn connect(path: &Path, patience: Duration) -> Result<UnixStream> {
    let deadline = Instant::now() + patience;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(e) if Instant::now() >= deadline => {
                return Err(e).with_context(|| format!("QEMU did not open {}", path.display()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
