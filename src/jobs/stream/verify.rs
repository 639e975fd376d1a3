//! `stream verify`: streams in files, each read once, several at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::archive::{beside, put_manifest, read_manifest};
use super::write::{AHEAD, hashed};
use crate::process::Cancel;
use crate::stream::{
    Along, Begin, Content, Damage, Manifest, NoManifest, Order, StreamError, Whole, check_along,
};

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
    /// Sound, and not what its manifest is about.
    #[error("it is whole, and not the file that its manifest is about: its {0} is another one")]
    Another(&'static str),
    /// What lies beside it, and should be its manifest.
    #[error("its manifest cannot be used")]
    Manifest(#[source] NoManifest),
    /// Only the dataset takes it that has the beginning.
    #[error(
        "it is the rest of a stream that was interrupted, which only the dataset takes that has the beginning of it"
    )]
    Rest,
    /// No manifest tells of that.
    #[error(
        "it holds several datasets, and a manifest is about one; `zfs receive -d -u POOL/NEW` makes them again"
    )]
    Several,
    /// No manifest can name it.
    #[error("its name is not UTF-8 text")]
    Unnamed,
}

impl NotSound {
    /// Whether it was read, and is not as it should be.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Closed(_) | Self::Manifest(_) | Self::Rest | Self::Several | Self::Unnamed => false,
            Self::Damaged(error) => !matches!(error.damage, Damage::Unreadable(_)),
            Self::Nothing | Self::Another(_) => true,
        }
    }
}

/// How closely files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closely {
    /// To their ends.
    Whole,
    /// Their beginnings and their lengths.
    Quick,
}

/// Reads all of them, several at a time, and tells of each as soon as those that were named before it are known.
pub fn verify(files: &[PathBuf], closely: Closely, now: Timestamp, told: &mut dyn FnMut(Checked)) {
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
                    let _ = tell.send((
                        at,
                        Checked { file: file.clone(), found: look(file, closely, now, AHEAD / at_a_time) },
                    ));
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

fn look(file: &Path, closely: Closely, now: Timestamp, ahead: usize) -> Result<Found, NotSound> {
    if file == Path::new(STDIN) {
        return whole(&mut io::stdin());
    }
    let mut open = File::open(file)?;
    let beside = beside(file);
    let manifest = match read_manifest(&beside) {
        Err(NoManifest::Absent) => None,
        read => Some(read.map_err(NotSound::Manifest)?),
    };
    if closely == Closely::Quick {
        return glance(open, manifest.as_ref());
    }
    let Some(manifest) = manifest else { return whole(&mut open) };
    let (found, blake3) = read_hashed(&mut open, ahead, &Cancel::new(), &|_| ())?;
    compare(&found, &manifest)?;
    if blake3 != manifest.blake3 {
        return Err(NotSound::Another("BLAKE3"));
    }
    // Who may not write there has checked it all the same.
    if let Err(error) = put_manifest(&Manifest { verified: now, ..manifest }, &beside) {
        log::debug!("{} cannot be written: {error}", beside.display());
    }
    Ok(found)
}

/// Only its beginning and its length.
fn glance(mut file: File, manifest: Option<&Manifest>) -> Result<Found, NotSound> {
    let bytes = file.metadata()?.len();
    let first = crate::stream::first(&mut file)?;
    let (content, order) = (Content::Single, Order::Little);
    let whole = Whole { content, bytes, records: [0; 11], order };
    let found = Found { last: first.clone(), first, has_other: false, whole };
    match manifest {
        // What is in a package after its first stream is told only by reading it.
        Some(manifest) if manifest.streams == 1 => compare(&found, manifest)?,
        Some(manifest) if manifest.bytes != bytes => return Err(NotSound::Another("length")),
        _ => {}
    }
    Ok(found)
}

fn compare(found: &Found, manifest: &Manifest) -> Result<(), NotSound> {
    let pairs = [
        ("length", found.whole.bytes == manifest.bytes),
        ("snapshot", found.last.to == manifest.guid),
        ("base", found.first.from == manifest.from),
    ];
    pairs.into_iter().find(|(_, same)| !same).map_or(Ok(()), |(what, _)| Err(NotSound::Another(what)))
}

/// Reads a file to its end, and gives its BLAKE3 too, which is computed beside. Tells how far it is.
pub(super) fn read_hashed(
    file: &mut File,
    ahead: usize,
    cancel: &Cancel,
    tell: &dyn Fn(u64),
) -> Result<(Found, String), NotSound> {
    let mut told = Told { file, cancel, tell, read: 0, told: Instant::now() };
    hashed(&mut told, ahead)
}

pub(super) fn whole(from: &mut dyn Read) -> Result<Found, NotSound> {
    whole_along(from, &mut |_| Ok(()))
}

/// The same, and gives what it reads to somebody else too.
pub(super) fn whole_along<'a>(from: &'a mut dyn Read, along: &'a mut Along<'a>) -> Result<Found, NotSound> {
    let (mut first, mut last, mut has_other) = (None::<Begin>, None, false);
    let whole = check_along(from, along, &mut |begin| {
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
