//! The tripwire (S21). Whoever encrypts all files of a source also makes its snapshots useless, and waits until the old
//! ones are pruned. So when most of what a source had is replaced between two runs, it is backed up as always, but
//! nothing of its copy is pruned until a person says that this was meant.
//!
//! What counts is how much of the last common snapshot the newest one no longer refers to: that tells rewriting from
//! growth (a card full of photos replaces nothing). It needs no history. Where there is one, a dataset that is
//! replaced all the time, such as one of nightly dumps, is not told of each time: it has to be more than twice as much
//! as was ever replaced between two neighbours of the drive's last snapshots.

use crate::model::{Base, Bytes, Dataset, Snapshot, SnapshotDetail, Txg};

/// Less than this is never worth an alarm: small datasets are rewritten by every update of some program.
const FLOOR: Bytes = Bytes(64 << 20);
/// Percent of what was there.
const SHARE: u64 = 60;
/// The drive's newest snapshots that are looked at for what is usual.
const LOOK_BACK: usize = 50;

/// What happened to a source since the last common snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What the last common snapshot refers to.
    pub before: Bytes,
    /// Of that, what the newest snapshot no longer refers to.
    pub replaced: Bytes,
    /// The most that was replaced between two neighbours among the drive's last snapshots.
    pub usual: Bytes,
}

impl Change {
    /// Whether a person should look before anything is pruned.
    pub fn is_alarming(&self) -> bool {
        let most = u128::from(self.replaced.0) * 100 >= u128::from(self.before.0) * u128::from(SHARE);
        let unusual = self.replaced.0 / 2 > self.usual.0;
        self.replaced >= FLOOR && most && unusual
    }

    /// In percent of what was there.
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.replaced.0) * 100 / u128::from(self.before.0.max(1));
        u64::try_from(percent).unwrap_or(100)
    }
}

/// What the newer of two snapshots does not have of the older: what it had and what was written, less what there is.
fn replaced(before: Bytes, written: Bytes, after: Bytes) -> Bytes {
    (before + written).saturating_sub(after).min(before)
}

/// The change from the base to the newest snapshot that travels.
pub fn change(source: &Dataset, target: &Dataset, base: &Base, newest: &Snapshot) -> Option<Change> {
    let before = [source.detail(base.guid()).referenced, target.detail(base.guid()).referenced];
    // A bookmark does not always know.
    let before = before.into_iter().find(|referenced| *referenced > Bytes(0))?;
    let last = source.detail(newest.guid);
    let written = last.since_base.unwrap_or_else(|| written_since(source, base.txg(), newest));
    let replaced = replaced(before, written, last.referenced);
    Some(Change { before, replaced, usual: usual(target, base) })
}

/// By the snapshots in between: what was written and went again in between counts, so that it may be too much.
fn written_since(source: &Dataset, base: Txg, newest: &Snapshot) -> Bytes {
    let after = source.history.snapshots().iter().filter(|s| s.txg > base && s.txg <= newest.txg);
    let written: Bytes = after.map(|snapshot| source.detail(snapshot.guid).written).sum();
    written.min(source.detail(newest.guid).referenced)
}

/// The drive's snapshots up to the base, as far as what is usual is learned from them.
pub fn history<'a>(target: &'a Dataset, base: &Base) -> &'a [Snapshot] {
    let end = target.history.position(base.guid()).map_or(0, |at| at + 1);
    &target.history.snapshots()[end.saturating_sub(LOOK_BACK)..end]
}

fn usual(target: &Dataset, base: &Base) -> Bytes {
    let detail = |snapshot: &Snapshot| target.details.get(&snapshot.guid);
    let between = |older: &SnapshotDetail, newer: &SnapshotDetail| {
        replaced(older.referenced, newer.written, newer.referenced)
    };
    let pairs = history(target, base).windows(2);
    let known = pairs.filter_map(|pair| Some(between(detail(&pair[0])?, detail(&pair[1])?)));
    known.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewriting_is_told_from_growing_and_the_unusual_from_the_usual() {
        const GIB: u64 = 1 << 30;
        // What was there, what was written since, what is there now, what is usual; all in GiB.
        let table = [
            ("nothing happened", 100, 0, 100, 0, false),
            ("a card full of photos", 100, 200, 300, 0, false),
            ("a big day", 100, 40, 110, 1, false),
            ("half of it replaced", 100, 50, 100, 0, false),
            ("everything encrypted in place", 100, 100, 100, 0, true),
            ("everything encrypted beside, the originals deleted", 100, 100, 100, 1, true),
            ("everything encrypted and photos imported", 100, 300, 300, 0, true),
            ("most of it encrypted", 100, 60, 100, 0, true),
            ("most of it deleted", 100, 0, 30, 0, true),
            ("nightly dumps", 100, 100, 100, 98, false),
            ("a database whose half is rewritten each night", 100, 100, 100, 50, false),
            ("a database whose tenth is rewritten each night", 100, 100, 100, 10, true),
        ];
        for (what, before, written, after, usual, alarming) in table {
            let [before, written, after, usual] = [before, written, after, usual].map(|n| Bytes(n * GIB));
            let change = Change { before, replaced: replaced(before, written, after), usual };
            assert_eq!(change.is_alarming(), alarming, "{what}: {} %", change.percent());
        }
        let small = Change { before: Bytes(60 << 20), replaced: Bytes(60 << 20), usual: Bytes(0) };
        assert!(!small.is_alarming(), "too little to be told of");
        let absurd = Change { before: Bytes(u64::MAX), replaced: Bytes(u64::MAX), usual: Bytes(0) };
        assert!(absurd.is_alarming() && absurd.percent() == 100);
    }
}
