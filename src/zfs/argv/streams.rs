//! Streams in files.

use super::{From, LONG, SHORT, with, zfs};
use crate::model::{DatasetName, Guid, SendMode, SnapshotName};
use crate::process::Invocation;

/// On a dataset that is made of files: the guid of the snapshot that will be its newest, until it is there.
pub const PROPERTY_RESTORING: &str = "org.zferry:restoring";

/// Properties that a stream with properties (`zfs send -p`) would bring along, and that would take effect outside of the new
/// dataset: mounting over what is there, sharing what was shared elsewhere.
const OF_THE_SENDER: [&str; 3] = ["mountpoint", "sharenfs", "sharesmb"];

/// `zfs receive` of a file, never mounting. Not resumable: ZFS takes the rest of an interrupted stream only from a sender.
/// `making` at the first file of a new dataset only.
pub fn receive_file(into: &DatasetName, making: Option<&Making>) -> Invocation {
    let mut receive = zfs(["receive", "-u"], LONG);
    if let Some(Making { until, with_properties }) = making {
        receive = with(receive, ["-o", &format!("{PROPERTY_RESTORING}={until}")]);
        if *with_properties {
            receive = with(receive, OF_THE_SENDER.iter().flat_map(|property| ["-x", property]));
        }
    }
    with(receive, [into])
}

/// What is said at the first file of a new dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Making {
    /// The snapshot that will be its newest.
    pub until: Guid,
    /// The stream may bring properties along.
    pub with_properties: bool,
}

/// How long the stream would be that [`super::send`] makes.
pub fn estimate(mode: SendMode, from: &From, to: &SnapshotName) -> Invocation {
    let mut send = super::send(mode, from, to);
    send.args.insert(1, "-nP".to_owned());
    send
}

/// A dataset and its snapshots, with what says that it is being made of files.
pub fn list_received(dataset: &DatasetName) -> Invocation {
    let columns = format!("name,guid,{PROPERTY_RESTORING}");
    let list = zfs(["list", "-Hp", "-d", "1", "-t", "filesystem,volume,snapshot", "-s", "createtxg"], SHORT);
    with(with(list, ["-o", &columns]), [dataset])
}
