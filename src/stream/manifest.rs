//! What is known of a stream in a file, beside it: so that a directory can be listed and planned with without reading
//! everything in it, and a file be told from another one that is as sound.
//!
//! A manifest is a help and no authority: whoever can write it can write the file. What is received is always read first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::{Content, Whole};
use super::record::{Begin, KINDS};
use crate::model::Guid;

/// The form that this version writes.
const VERSION: u32 = 1;
/// More than this is no manifest, in bytes.
pub const LARGEST: u64 = 1 << 20;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its form.
    pub v: u32,
    /// The name of the file, in the same directory.
    pub file: String,
    /// The dataset, as its sender called it.
    pub dataset: String,
    /// The dataset's guid there, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_guid: Option<Guid>,
    /// The snapshot's name, without the dataset.
    pub snapshot: String,
    /// The snapshot.
    pub guid: Guid,
    /// The one that the receiver has to have; nothing: a full stream.
    pub from: Option<Guid>,
    /// When the snapshot was taken.
    pub created: Timestamp,
    /// As encrypted as it lay on the disk.
    pub raw: bool,
    /// A volume, and no file system.
    pub volume: bool,
    /// The IV set of the snapshot, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ivset: Option<Guid>,
    /// How long the file is.
    pub bytes: u64,
    /// The file's BLAKE3, in hexadecimal digits.
    pub blake3: String,
    /// How many records of each kind, by the names of `zstream dump`.
    pub records: BTreeMap<String, u64>,
    /// How many streams there are in it.
    pub streams: u64,
    /// The ZFS that sent it, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zfs: Option<String>,
    /// When all of it was read last and found whole.
    pub verified: Timestamp,
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NoManifest {
    /// There is none.
    #[error("there is none")]
    Absent,
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// Something else.
    #[error("it is no manifest")]
    Other(#[from] serde_json::Error),
    /// Of a later version.
    #[error("it was written by a newer zferry")]
    Newer,
    /// It is about a file elsewhere.
    #[error("it names a file that cannot lie beside it")]
    Elsewhere,
}

impl Manifest {
    /// Of a file that was read to its end; `first` and `last` are the streams in it.
    pub fn new(
        file: String,
        (first, last): (&Begin, &Begin),
        whole: &Whole,
        blake3: String,
        now: Timestamp,
    ) -> Self {
        let counted = KINDS.iter().zip(whole.records).filter(|(_, count)| *count > 0);
        let created = i64::try_from(last.created).ok().and_then(|at| Timestamp::from_second(at).ok());
        Self {
            v: VERSION,
            file,
            dataset: last.dataset().to_owned(),
            dataset_guid: None,
            snapshot: last.name.split_once('@').map(|(_, name)| name.to_owned()).unwrap_or_default(),
            guid: last.to,
            from: first.from,
            created: created.unwrap_or_default(),
            raw: last.is_raw(),
            volume: last.is_volume,
            ivset: None,
            bytes: whole.bytes,
            blake3,
            records: counted.map(|(kind, count)| (kind.name().to_owned(), count)).collect(),
            streams: match whole.content {
                Content::Single => 1,
                Content::Package(streams) => streams,
            },
            zfs: None,
            verified: now,
        }
    }

    /// Reads one. Whoever wrote it is not trusted.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(text: &[u8]) -> Result<Self, NoManifest> {
        let manifest: Self = serde_json::from_slice(text)?;
        if manifest.v != VERSION {
            return Err(NoManifest::Newer);
        }
        let is_elsewhere =
            manifest.file.is_empty() || manifest.file.contains('/') || manifest.file.starts_with('.');
        if is_elsewhere { Err(NoManifest::Elsewhere) } else { Ok(manifest) }
    }

    /// As it is written.
    pub fn to_text(&self) -> String {
        // Maps and texts can always be written as JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_elsewhere_or_newer_is_not() {
        let bytes = crate::stream::imitation::one("pool/diary@a", 3, 4, 86_400);
        let mut first = None;
        let whole =
            crate::stream::check(&mut bytes.as_slice(), &mut |begin| first = Some(begin.clone())).unwrap();
        let first = first.unwrap();
        let manifest = Manifest::new(
            "a.zfs".to_owned(),
            (&first, &first),
            &whole,
            "00".to_owned(),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!((manifest.from, manifest.guid, manifest.snapshot.as_str()), (Some(Guid(3)), Guid(4), "a"));
        let text = manifest.to_text();
        assert_eq!(Manifest::read(text.as_bytes()).unwrap(), manifest);
        let error = |text: &str| Manifest::read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("{}"), "it is no manifest");
        assert_eq!(error(&text.replace("\"v\": 1", "\"v\": 2")), "it was written by a newer zferry");
        for file in ["", "../a.zfs", "/etc/shadow", ".a"] {
            let text = text.replace("\"a.zfs\"", &format!("{file:?}"));
            assert_eq!(error(&text), "it names a file that cannot lie beside it", "{file}");
        }
    }
}
