//! What `zfs list` says of a dataset that files are received into.

use super::{Unreadable, rows, unreadable};
use crate::model::{DatasetName, Guid};

/// A dataset that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The snapshot that will be its newest, while it is being made.
    pub until: Option<Guid>,
    /// Its snapshots, the oldest first.
    pub snapshots: Vec<Guid>,
}

/// Reads [`crate::zfs::argv::list_received`].
pub fn received(output: &[u8], dataset: &DatasetName) -> Result<Received, Unreadable> {
    let (mut own, mut snapshots) = (None, Vec::new());
    for row in rows::<3>(output)? {
        let row = row?;
        let [name, guid, until] = row.columns;
        if name == dataset.as_str() {
            own = Some(until.parse().ok());
        } else if name.split('@').next() == Some(dataset.as_str()) {
            let guid = guid.parse().map_err(|_| unreadable(row.line, format!("{guid:?} is no guid")))?;
            snapshots.push(guid);
        }
    }
    let until = own.ok_or_else(|| unreadable(0, format!("{dataset} is not in it")))?;
    Ok(Received { until, snapshots })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_of_what_is_below_are_none_of_its_own() {
        let name: DatasetName = "rpool/new".parse().unwrap();
        let text = "rpool/new\t1\t7\nrpool/new/below\t2\t7\nrpool/new@a\t5\t7\nrpool/new@b\t7\t7\n";
        let found = received(text.as_bytes(), &name).unwrap();
        assert_eq!(found, Received { until: Some(Guid(7)), snapshots: vec![Guid(5), Guid(7)] });
        let text = "rpool/new\t1\t-\n";
        assert_eq!(
            received(text.as_bytes(), &name).unwrap(),
            Received { until: None, snapshots: Vec::new() }
        );
        for bad in ["", "rpool/new@a\t5\t-\n", "rpool/new\t1\t-\nrpool/new@a\tx\t-\n", "rpool/new\t1\n"] {
            assert!(received(bad.as_bytes(), &name).is_err(), "{bad:?}");
        }
    }
}
