//! What may be true of one snapshot on both sides at once. A word of these letters, oldest first, is a history.

use crate::model::{Bookmark, Guid, History, Snapshot, Txg};
use crate::plan::testing::{DRIVE, World, dataset, guid_of, name};

/// What there is of one snapshot on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    No,
    /// Under the name that it was made with.
    Yes,
    /// Renamed since.
    Renamed,
    /// Destroyed, and another one was made under its name: other guid, later.
    Again,
}

/// A bookmark of it on the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    No,
    /// Ours: the drive was seen to have it.
    Verified,
    /// Ours: it was to be delivered.
    Pending,
    /// Somebody else's.
    Foreign,
}

/// The joint state of one snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Letter {
    /// For messages.
    pub sign: char,
    source: There,
    target: There,
    mark: Mark,
    /// What keeps it from being destroyed on the drive.
    hold: bool,
    clone: bool,
}

const fn letter(sign: char, source: There, target: There, mark: Mark) -> Letter {
    Letter { sign, source, target, mark, hold: false, clone: false }
}

/// All joint states, each with its meaning.
pub const ALPHABET: [Letter; 12] = [
    // On the source only: to be sent.
    letter('s', There::Yes, There::No, Mark::No),
    // Nowhere on the source: pruned there, or made on the drive. ZFS cannot tell these apart, and nor may we.
    letter('t', There::No, There::Yes, Mark::No),
    // On both.
    letter('b', There::Yes, There::Yes, Mark::No),
    // On both, renamed on the source since.
    letter('r', There::Renamed, There::Yes, Mark::No),
    // Destroyed on the source, and its name used again.
    letter('n', There::Again, There::Yes, Mark::No),
    // On both and bookmarked: as every run leaves its base.
    letter('w', There::Yes, There::Yes, Mark::Verified),
    // Pruned on the source, known by our bookmark.
    letter('v', There::No, There::Yes, Mark::Verified),
    // Delivered by a run that was interrupted before it could verify.
    letter('p', There::No, There::Yes, Mark::Pending),
    // Known by somebody else's bookmark.
    letter('f', There::No, There::Yes, Mark::Foreign),
    // The drive was seen to have it, and has it no more.
    letter('g', There::No, There::No, Mark::Verified),
    // Gone from the source, and held on the drive.
    Letter { hold: true, ..letter('h', There::No, There::Yes, Mark::No) },
    // Gone from the source, and the origin of a clone on the drive.
    Letter { clone: true, ..letter('c', There::No, There::Yes, Mark::No) },
];

/// Two pools with one dataset and its copy, of which this is the history. A drive that has nothing of it has no copy.
pub fn world(word: &[Letter]) -> World {
    let (mut here, mut there, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    for (place, letter) in word.iter().enumerate() {
        let place = place as u64;
        let (guid, txg) = (Guid(place + 1), Txg(100 + 10 * place));
        let called = |form: &str| name(&format!("{form}{place}"));
        match letter.source {
            There::No => {}
            There::Yes => here.push(Snapshot { name: called("s"), guid, txg }),
            There::Renamed => here.push(Snapshot { name: called("renamed"), guid, txg }),
            There::Again => {
                here.push(Snapshot { name: called("s"), guid: Guid(guid.0 + 50), txg: Txg(txg.0 + 5) });
            }
        }
        if letter.target != There::No {
            there.push(Snapshot { name: called("s"), guid, txg: Txg(5000 + place) });
        }
        let form = match letter.mark {
            Mark::No => continue,
            Mark::Verified => format!("zferry_{DRIVE}_{guid}"),
            Mark::Pending => format!("zferry-pending_{DRIVE}_{guid}"),
            Mark::Foreign => format!("syncoid_{guid}"),
        };
        marks.push(Bookmark { name: name(&form), guid, txg });
    }
    let mut world = World::new();
    let source = dataset("tank/data", History::new(here, marks).unwrap());
    world.source.datasets.insert(source.name.clone(), source);
    if !there.is_empty() {
        let mut copy = dataset("backup/eds", History::new(there, Vec::new()).unwrap());
        let recorded = Some(guid_of("tank/data"));
        (copy.source, copy.mirror, copy.thinned) = (recorded, recorded, recorded);
        for (place, letter) in word.iter().enumerate() {
            if let Some(detail) = copy.details.get_mut(&Guid(place as u64 + 1)) {
                (detail.holds, detail.clones) = (letter.hold.into(), letter.clone.into());
            }
        }
        world.target.datasets.insert(copy.name.clone(), copy);
    }
    world
}
