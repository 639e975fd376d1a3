//! `stream verify`: streams in files, each read once, several at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::stream::{Begin, Damage, StreamError, Whole, check};

/// More at a time gain nothing on one disk.
const MOST: usize = 4;
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
    let (mut first, mut last) = (None, None);
    let whole = check(&mut *from, &mut |begin| {
        first.get_or_insert_with(|| begin.clone());
        last = Some(begin.clone());
    })?;
    let (first, last) = first.zip(last).ok_or(NotSound::Nothing)?;
    Ok(Found { first, last, whole })
}
