//! A stream becomes a file: read once, and while it is read checked, hashed and written. Each of the three has a thread of
//! its own, so that none waits for another one longer than it has to.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::verify::{Found, NotSound, whole};

/// How many pieces may wait for a thread: with pieces of at most a mebibyte, that is the memory that it takes.
const WAITING: usize = 8;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);

/// What was written, and lies on the disk.
#[derive(Debug)]
pub(super) struct Written {
    /// What is in it.
    pub(super) found: Found,
    /// Its BLAKE3, in hexadecimal digits.
    pub(super) blake3: String,
}

/// Why it was not.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    /// The file cannot take it.
    #[error("it cannot be written")]
    Disk(#[source] io::Error),
    /// What came is not a stream, or not to its end.
    #[error(transparent)]
    NotSound(NotSound),
}

/// Writes all of it, and syncs the file.
pub(super) fn write(
    from: &mut dyn Read,
    file: &File,
    tell: &mut dyn FnMut(u64),
) -> Result<Written, NotWritten> {
    let (to_disk, for_disk) = sync_channel(WAITING);
    let (to_hash, for_hash) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let disk = scope.spawn(move || store(&for_disk, file));
        let hash = scope.spawn(move || digest(&for_hash));
        let lanes = vec![to_disk, to_hash];
        let found = whole(&mut Tee { from, lanes, read: 0, tell, told: Instant::now() });
        // The lanes are closed with it: both end.
        let gone = |_| io::Error::other("the thread that did it ended early");
        disk.join().map_err(gone).and_then(|stored| stored).map_err(NotWritten::Disk)?;
        let blake3 = hash.join().map_err(gone).map_err(NotWritten::Disk)?;
        let found = found.map_err(NotWritten::NotSound)?;
        file.sync_all().map_err(NotWritten::Disk)?;
        Ok(Written { found, blake3 })
    })
}

/// Reads all of it, and gives its BLAKE3 in hexadecimal digits too.
pub(super) fn hashed(from: &mut dyn Read) -> Result<(Found, String), NotSound> {
    let (to_hash, for_hash) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let hash = scope.spawn(move || digest(&for_hash));
        let found =
            whole(&mut Tee { from, lanes: vec![to_hash], read: 0, tell: &mut |_| (), told: Instant::now() });
        let blake3 = hash.join().map_err(|_| io::Error::other("the thread that hashed it ended early"))?;
        Ok((found?, blake3))
    })
}

fn store(pieces: &Receiver<Arc<[u8]>>, mut file: &File) -> io::Result<()> {
    pieces.iter().try_for_each(|piece| file.write_all(&piece))
}

fn digest(pieces: &Receiver<Arc<[u8]>>) -> String {
    let mut hasher = blake3::Hasher::new();
    pieces.iter().for_each(|piece| {
        hasher.update(&piece);
    });
    hasher.finalize().to_hex().to_string()
}

/// Gives what is read to others, too.
struct Tee<'a> {
    from: &'a mut dyn Read,
    lanes: Vec<SyncSender<Arc<[u8]>>>,
    read: u64,
    tell: &'a mut dyn FnMut(u64),
    told: Instant,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        let piece: Arc<[u8]> = buffer[..count].into();
        for lane in &self.lanes {
            // Whoever does not take it any more says why itself.
            lane.send(Arc::clone(&piece)).map_err(|_| io::Error::other("nobody takes it any more"))?;
        }
        self.read += count as u64;
        if self.told.elapsed() > TELL {
            self.told = Instant::now();
            (self.tell)(self.read);
        }
        Ok(count)
    }
}
