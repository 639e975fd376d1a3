//! What the lab and the agent in the guest say to each other.
//!
//! One JSON object per line, over a virtio-serial port. The lab asks, the agent
//! answers, one at a time; nothing blocks the agent for longer than the `wait_ms`
//! of a poll, so that a hung command (a suspended pool!) never hangs the guest's
//! only ear. Everything that is more than a moment's work is a *job*: started,
//! polled, signalled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the port: `/dev/virtio-ports/<this>` in the guest.
pub const PORT: &str = "zferry.lab";

/// The largest piece of output or file in one answer.
pub const CHUNK: usize = 128 * 1024;

/// A question with a number, so that an answer left over from before the guest
/// was saved is not mistaken for the one that is waited for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Repeated in the answer.
    pub id: u64,
    /// What is wanted.
    pub ask: Ask,
}

/// An answer, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
pub struct Response {
    /// The number of the question.
    pub id: u64,
    /// The error is for people.
    pub answer: Result<Answer, String>,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Is anybody there?
    Ping,
    /// Start a command.
    Start(Start),
    /// What a job printed since the last time, and whether it ended.
    Poll {
        /// Which job.
        job: u64,
        /// How long to wait for something to say.
        wait_ms: u64,
    },
    /// More standard input for a job.
    Input {
        /// Which job.
        job: u64,
        /// What to write.
        data: Bytes,
        /// End of input after that.
        close: bool,
    },
    /// Send a signal to a job.
    Signal {
        /// Which job.
        job: u64,
        /// The number of the signal.
        signal: i32,
        /// Only the process itself, or all of its process group as well.
        group: bool,
    },
    /// A piece of a file.
    ReadFile {
        /// Absolute path.
        path: String,
        /// Where to start.
        offset: u64,
    },
    /// Write a file, or append to it. Missing directories are made.
    WriteFile {
        /// Absolute path.
        path: String,
        /// The content.
        data: Bytes,
        /// Keep what is there.
        append: bool,
        /// Permission bits.
        mode: u32,
    },
    /// Set the clock: a restored guest lives in the past.
    SetClock {
        /// Seconds since 1970.
        seconds: i64,
        /// Nanoseconds of that second.
        nanoseconds: i64,
    },
}

/// A command to start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Start {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to the agent's environment.
    pub env: BTreeMap<String, String>,
    /// Given at once; without a terminal it also ends there unless `keep_stdin`.
    pub stdin: Bytes,
    /// Leave standard input open for [`Ask::Input`].
    pub keep_stdin: bool,
    /// Run it on a terminal of this size; everything it prints is `stdout` then.
    pub pty: Option<Window>,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Window {
    /// Width in characters.
    pub columns: u16,
    /// Height in lines.
    pub rows: u16,
}

/// What can be answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Done,
    /// The command runs.
    Started {
        /// Its number in later questions.
        job: u64,
        /// Its process id in the guest.
        pid: u32,
    },
    /// A job's news.
    Progress(Progress),
    /// A piece of a file.
    File {
        /// The piece.
        data: Bytes,
        /// Nothing comes after it.
        end: bool,
    },
}

/// A job's news. Output is told only once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// New standard output.
    pub stdout: Bytes,
    /// New standard error.
    pub stderr: Bytes,
    /// Set when the process ended *and* all of its output was told.
    pub ended: Option<Ended>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It returned this.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Bytes as hexadecimal text: JSON has none of its own, output is seldom long,
/// and this needs no further library in the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub Vec<u8>);

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(bytes.0.len() * 2);
        for byte in bytes.0 {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        text
    }
}

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digit = |c: u8| {
            char::from(c)
                .to_digit(16)
                .ok_or_else(|| format!("{:?} is not a hexadecimal digit", char::from(c)))
        };
        if !text.len().is_multiple_of(2) {
            return Err("an odd number of hexadecimal digits".into());
        }
        text.as_bytes()
            .chunks_exact(2)
            .map(|pair| Ok((digit(pair[0])? * 16 + digit(pair[1])?) as u8))
            .collect::<Result<Vec<u8>, String>>()
            .map(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn bytes_survive_the_journey() {
        let bytes = Bytes((0..=255).collect());
        let text = String::from(bytes.clone());
        assert_eq!(text.len(), 512);
        assert_eq!(Bytes::try_from(text), Ok(bytes));
    }

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        assert!(Bytes::try_from("0".to_owned()).is_err());
        assert!(Bytes::try_from("zz".to_owned()).is_err());
    }
}
