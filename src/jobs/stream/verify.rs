//! `stream verify`: streams in files, each read once, several at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::process::Cancel;
use crate::stream::{Begin, Damage, StreamError, Whole, check};

/// More at a time gain nothing on one disk.
const MOST: usize = 4;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(500);
/// Standard input, by the name that programs have for it.
const STDIN: &str = "-";

/// A file, and what came of it.
#[derive(Debug)]
pub struct Checked {
    /// As it was named.
    pub file: PathBuf,
    /// What is in it, or what is wrong with it.
    pub found: Result<Found, NotSound>,
}

/// A file that is whole.
#[derive(Debug)]
pub struct Found {
    /// The first stream in it.
    pub first: Begin,
    /// The last one, which is the first where there is one.
    pub last: Begin,
    /// Whether one in it is of another dataset than the first.
    pub has_other: bool,
    /// What it comes to.
    pub whole: Whole,
}

/// Why a file is not known to be whole.
#[derive(Debug, thiserror::Error)]
pub enum NotSound {
    /// It could not be opened.
    #[error("it cannot be opened")]
    Closed(#[from] io::Error),
    /// It is damaged.
    #[error(transparent)]
    Damaged(#[from] StreamError),
    /// Several streams, of which there are none: sound, and of no use.
    #[error("it ends as it should, and there is no stream in it")]
    Nothing,
}

impl NotSound {
    /// Whether it was read, and is not as it should be.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Closed(_) => false,
            Self::Damaged(error) => !matches!(error.damage, Damage::Unreadable(_)),
            Self::Nothing => true,
        }
    }
}

/// Reads all of them, several at a time, and tells of each as soon as those that were named before it are known.
pub fn verify(files: &[PathBuf], told: &mut dyn FnMut(Checked)) {
    let at_a_time = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST).min(files.len());
    let next = AtomicUsize::new(0);
    let (tell, hear) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(at) else { break };
                    // It is heard to the end.
                    let _ = tell.send((at, Checked { file: file.clone(), found: look(file) }));
                }
            });
        }
        drop(tell);
        let mut known = BTreeMap::new();
        let mut turn = 0;
        for (at, one) in hear {
            known.insert(at, one);
            while let Some(one) = known.remove(&turn) {
                told(one);
                turn += 1;
            }
        }
    });
}

fn look(file: &Path) -> Result<Found, NotSound> {
    let mut from: Box<dyn Read> =
        if file == Path::new(STDIN) { Box::new(io::stdin()) } else { Box::new(File::open(file)?) };
    whole(&mut *from)
}

fn whole(from: &mut dyn Read) -> Result<Found, NotSound> {
    let (mut first, mut last, mut has_other) = (None::<Begin>, None, false);
    let whole = check(from, &mut |begin| {
        let first = first.get_or_insert_with(|| begin.clone());
        has_other |= first.dataset() != begin.dataset();
        last = Some(begin.clone());
    })?;
    let (first, last) = first.zip(last).ok_or(NotSound::Nothing)?;
    Ok(Found { first, last, has_other, whole })
}

/// Reads a file to its end, tells how far it is at most twice a second, and stops when somebody asks for it.
pub(super) fn read_through(file: &mut File, cancel: &Cancel, tell: &dyn Fn(u64)) -> Result<Found, NotSound> {
    whole(&mut Told { file, cancel, tell, read: 0, told: Instant::now() })
}

struct Told<'a> {
    file: &'a mut File,
    cancel: &'a Cancel,
    tell: &'a dyn Fn(u64),
    read: u64,
    told: Instant,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_requested() {
            return Err(io::Error::other("we were asked to stop"));
        }
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            (self.tell)(self.read);
        }
        Ok(count)
    }
}
