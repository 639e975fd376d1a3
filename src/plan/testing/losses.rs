//! What ZFS does when something on the drive is destroyed or rolled back, and when it refuses.

use crate::model::{Bytes, Dataset, Guid, Side};
use crate::plan::{Obsolete, Rollback};

use super::kernel::{Refused, change, ensure, find, get};

/// Without `-r` ZFS goes back to the newest snapshot only.
pub fn roll_back(drive: &mut Side, rollback: &Rollback) -> Result<(), Refused> {
    for discarded in &rollback.discards {
        destroy(drive, discarded)?;
    }
    let there = get(drive, &rollback.to.dataset)?;
    let newest = there.history.newest().ok_or("it has no snapshot")?;
    ensure(newest.name == rollback.to.snap, "more recent snapshots exist")?;
    ensure(newest.guid == rollback.guid, "it is another snapshot")?;
    there.written = Bytes(0);
    Ok(())
}

/// As the planner asks for it: never the newest (S3).
pub fn prune(drive: &mut Side, obsolete: &Obsolete) -> Result<(), Refused> {
    // One that went early to make room is gone already, which the channel program does not mind.
    let there = drive.get(&obsolete.snapshot.dataset);
    if there.is_some_and(|there| there.history.snapshot(obsolete.guid).is_none()) {
        return Ok(());
    }
    let there = get(drive, &obsolete.snapshot.dataset)?;
    let newest = there.history.newest().map(|newest| newest.guid);
    ensure(newest != Some(obsolete.guid), "it is the newest")?;
    destroy(drive, obsolete)
}

fn destroy(drive: &mut Side, obsolete: &Obsolete) -> Result<(), Refused> {
    let guid = obsolete.guid;
    ensure(find(drive, &obsolete.snapshot)? == guid, "it is another snapshot")?;
    let there = get(drive, &obsolete.snapshot.dataset)?;
    if there.history.newest().is_some_and(|newest| newest.guid == guid) {
        there.written += Bytes(1); // the head differs from what is newest now (facts: zfs.md decision 6)
    }
    ensure(there.detail(guid).holds == 0, "it is held")?;
    ensure(there.detail(guid).clones == 0, "it has clones")?;
    change(there, |snapshots, _| snapshots.retain(|s| s.guid != guid));
    Ok(())
}

/// User properties that say where a copy comes from and how it is pruned.
pub fn record<'a>(there: &mut Dataset, source: Guid, set: impl IntoIterator<Item = (&'a str, String)>) {
    there.source = Some(source);
    for (_, value) in set.into_iter().filter(|(key, _)| *key == "org.zferry:mirror") {
        match value.strip_prefix("keep:") {
            Some(guid) => there.thinned = guid.parse().ok(),
            None => there.mirror = value.parse().ok(),
        }
    }
}
