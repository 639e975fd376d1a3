//! What is called how: snapshots and bookmarks on the source, directories of files.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::model::{Bookmark, DatasetName, Guid, NameError, SnapName};

const TIME: &str = "%Y-%m-%dT%H%M%S";

/// What a snapshot is called that is taken now for streams of this name.
///
/// # Errors
/// Never in practice: such names are valid.
pub fn taken_name(stream: &str, now: Timestamp) -> Result<SnapName, NameError> {
    format!("zferry-{stream}_{}Z", now.strftime(TIME)).parse()
}

/// Whether streams of this name give such names.
pub fn is_taken_name(stream: &str, name: &SnapName) -> bool {
    let rest = name.as_str().strip_prefix("zferry-").and_then(|rest| rest.strip_prefix(stream));
    let time = rest.and_then(|rest| rest.strip_prefix('_')).and_then(|rest| rest.strip_suffix('Z'));
    time.is_some_and(|time| time.len() == 17 && DateTime::strptime(TIME, time).is_ok())
}

/// What the bookmark of a snapshot is called that streams of this name build on.
pub fn bookmark_name(stream: &str, guid: Guid) -> String {
    format!("zferry-{stream}_{guid}")
}

/// Whether it is one of those, by its name and by what it is of.
pub fn is_bookmark(stream: &str, bookmark: &Bookmark) -> bool {
    bookmark.name.as_str() == bookmark_name(stream, bookmark.guid)
}

/// The directory of a dataset's files, within that of its stream.
pub fn directory_of(dataset: &DatasetName) -> String {
    dataset.as_str().replace('/', "_")
}
