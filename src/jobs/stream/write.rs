//! A stream becomes a file: read once, and while it is read checked, hashed and written. Each of the three has a thread of
//! its own, so that none waits for another one longer than it has to, and all of them look at the same bytes.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::verify::{Found, NotSound, whole_along};
use crate::stream::Chunk;

/// How many chunks may be read ahead of whoever is slowest, for all files that are looked at side by side. They have a
/// mebibyte at most: that is the memory that it takes. Fewer, and who reads and who hashes wait for each other in turns.
pub(super) const AHEAD: usize = 32;
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
    let (to_disk, for_disk) = sync_channel(AHEAD / 2);
    let (to_hash, for_hash) = sync_channel(AHEAD / 2);
    std::thread::scope(|scope| {
        let disk = scope.spawn(move || store(&for_disk, file));
        let hash = scope.spawn(move || digest(&for_hash));
        let found = looked_at(from, [to_disk, to_hash], tell);
        let gone = |_| io::Error::other("the thread that did it ended early");
        disk.join().map_err(gone).and_then(|stored| stored).map_err(NotWritten::Disk)?;
        let blake3 = hash.join().map_err(gone).map_err(NotWritten::Disk)?;
        let found = found.map_err(NotWritten::NotSound)?;
        file.sync_all().map_err(NotWritten::Disk)?;
        Ok(Written { found, blake3 })
    })
}

/// Reads all of it, and gives its BLAKE3 in hexadecimal digits too.
pub(super) fn hashed(from: &mut dyn Read, ahead: usize) -> Result<(Found, String), NotSound> {
    let (to_hash, for_hash) = sync_channel(ahead);
    std::thread::scope(|scope| {
        let hash = scope.spawn(move || digest(&for_hash));
        let found = looked_at(from, [to_hash], &mut |_| ());
        let blake3 = hash.join().map_err(|_| io::Error::other("the thread that hashed it ended early"))?;
        Ok((found?, blake3))
    })
}

/// Looks at all of it, and gives it to the others, who end with it.
fn looked_at<const OTHERS: usize>(
    from: &mut dyn Read,
    others: [SyncSender<Chunk>; OTHERS],
    tell: &mut dyn FnMut(u64),
) -> Result<Found, NotSound> {
    let (mut read, mut told) = (0, Instant::now());
    whole_along(from, &mut move |chunk| {
        read += chunk.len() as u64;
        if told.elapsed() > TELL {
            told = Instant::now();
            tell(read);
        }
        // Whoever does not take it any more says why itself.
        let gone = |_| io::Error::other("nobody takes it any more");
        others.iter().try_for_each(|other| other.send(chunk.clone()).map_err(gone))
    })
}

fn store(chunks: &Receiver<Chunk>, mut file: &File) -> io::Result<()> {
    chunks.iter().try_for_each(|chunk| file.write_all(&chunk))
}

fn digest(chunks: &Receiver<Chunk>) -> String {
    let mut hasher = blake3::Hasher::new();
    chunks.iter().for_each(|chunk| {
        hasher.update(&chunk);
    });
    hasher.finalize().to_hex().to_string()
}
