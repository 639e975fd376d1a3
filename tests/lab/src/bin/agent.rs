//! The lab's ear and hand in the guest: reads questions from a virtio-serial port
//! and answers them ([`zferry_lab::protocol`]). Started by systemd, as root.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use zferry_lab::job::Job;
use zferry_lab::protocol::{Answer, Ask, Bytes, CHUNK, PORT, Request, Response};

fn main() -> anyhow::Result<()> {
    let path = format!("/dev/virtio-ports/{PORT}");
    let port = OpenOptions::new().read(true).write(true).open(path)?;
    let mut answers = port.try_clone()?;
    let mut questions = BufReader::new(port);
    let mut jobs = Jobs::default();
    let mut line = String::new();
    loop {
        // The port reads as ended while nobody listens on the other side, which
        // is so whenever the guest is saved; a half line stays in `line`.
        if questions.read_line(&mut line)? == 0 || !line.ends_with('\n') {
            thread::sleep(Duration::from_millis(20));
            continue;
        }
        if let Ok(request) = serde_json::from_str::<Request>(&line) {
            let answer = jobs.answer(request.ask).map_err(|e| format!("{e:#}"));
            let response = Response { id: request.id, answer };
            let mut text = serde_json::to_string(&response)?;
            text.push('\n');
            answers.write_all(text.as_bytes())?;
        }
        line.clear();
    }
}

/// The commands that were started; they stay until their end was told.
#[derive(Default)]
struct Jobs {
    last: u64,
    running: HashMap<u64, Job>,
}

impl Jobs {
    fn answer(&mut self, ask: Ask) -> anyhow::Result<Answer> {
        match ask {
            Ask::Ping => {}
            Ask::Start(start) => {
                let job = Job::start(&start)?;
                let pid = job.pid();
                self.last += 1;
                self.running.insert(self.last, job);
                return Ok(Answer::Started { job: self.last, pid });
            }
            Ask::Poll { job, wait_ms } => {
                let progress = self.job(job)?.poll(Duration::from_millis(wait_ms));
                if progress.ended.is_some() {
                    self.running.remove(&job);
                }
                return Ok(Answer::Progress(progress));
            }
            Ask::Input { job, data, close } => self.job(job)?.input(&data.0, close)?,
            Ask::Signal { job, signal, group } => self.job(job)?.signal(signal, group)?,
            Ask::ReadFile { path, offset } => return read_file(&path, offset),
            Ask::WriteFile { path, data, append, mode } => {
                write_file(Path::new(&path), &data.0, append, mode)?;
            }
            Ask::SetClock { seconds, nanoseconds } => {
                let time = rustix::time::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
                rustix::time::clock_settime(rustix::time::ClockId::Realtime, time)?;
            }
        }
        Ok(Answer::Done)
    }

    fn job(&mut self, number: u64) -> anyhow::Result<&mut Job> {
        self.running
            .get_mut(&number)
            .ok_or_else(|| anyhow::anyhow!("there is no job {number}, or its end was told already"))
    }
}

fn read_file(path: &str, offset: u64) -> anyhow::Result<Answer> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    let read = file.take(CHUNK as u64).read_to_end(&mut data)?;
    Ok(Answer::File { data: Bytes(data), end: read < CHUNK })
}

fn write_file(path: &Path, data: &[u8], append: bool, mode: u32) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(data)?;
    // A power cut that follows is to be one for the program, not for what the lab has prepared.
    file.sync_all()?;
    Ok(())
}
