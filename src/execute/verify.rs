//! What arrived is compared with what was sent (S15): the target's newest snapshot has the guid (and IV set) that was
//! sent, the head is unmodified, no partial state is left. One listing for all datasets of the run.

use std::collections::{HashMap, HashSet};

use crate::event::Event;
use crate::model::{Bytes, DatasetName, Guid, IvsetGuid, SnapshotName};
use crate::plan::{Expected, Step};
use crate::zfs::parse::Head;
use crate::zfs::{Client, ZfsError};

use super::{Execution, State};

type Identity = (Guid, Option<IvsetGuid>);

impl Execution<'_> {
    pub(super) fn verify(&mut self, steps: &[(usize, Step)]) {
        let expected: Vec<(usize, &Expected)> = steps
            .iter()
            .filter_map(|(index, step)| if let Step::Verify(e) = step { Some((*index, e)) } else { None })
            .collect();
        if expected.is_empty() {
            return;
        }
        let all: Vec<&Expected> = expected.iter().map(|(_, expected)| *expected).collect();
        // One that is missing spoils the listing for all: then each is asked alone.
        let together = look(&self.context.client, &all);
        for (index, expected) in expected {
            let seen = match &together {
                Ok(seen) => problem(expected, seen),
                Err(_) => look(&self.context.client, &[expected])
                    .map_or_else(|error| Some(super::chain(&error)), |seen| problem(expected, &seen)),
            };
            match seen {
                None => self.verified(index, expected),
                Some(what) => self.fail(index, &format!("what arrived is not what was sent: {what}")),
            }
        }
    }

    fn verified(&mut self, index: usize, expected: &Expected) {
        if self.tally.states[index] != State::Running {
            return;
        }
        let dataset = &self.plan.datasets[index];
        let sent: HashSet<Guid> =
            dataset.sends().flat_map(|send| send.delivers.iter().map(|d| d.guid)).collect();
        self.tally.snapshots += sent.len();
        log::debug!("{}@{} verified", expected.into, expected.name);
        self.context.sink.event(Event::Verified { target: dataset.target.clone(), snapshots: sent.len() });
    }
}

/// What the listings show.
struct Seen {
    heads: HashMap<DatasetName, Head>,
    snapshots: HashMap<SnapshotName, Identity>,
}

fn look(client: &Client<'_>, expected: &[&Expected]) -> Result<Seen, ZfsError> {
    let heads = client.heads(expected.iter().map(|expected| &expected.into))?;
    let arrived = expected.iter().filter_map(|expected| expected.into.snapshot(&expected.name).ok());
    let compared =
        expected.iter().filter(|expected| expected.compare_ivset).map(|expected| expected.sent.clone());
    let names: Vec<SnapshotName> = arrived.chain(compared).collect();
    let snapshots = client.named_snapshots(&names)?;
    Ok(Seen { heads: heads.into_iter().map(|head| (head.name.clone(), head)).collect(), snapshots })
}

/// The first thing that is not as it should be.
fn problem(expected: &Expected, seen: &Seen) -> Option<String> {
    let Some(head) = seen.heads.get(&expected.into) else {
        return Some(format!("{} is not there", expected.into));
    };
    let wanted = expected.into.snapshot(&expected.name).ok()?;
    match &head.newest {
        Some(newest) if *newest == wanted => {}
        Some(newest) => return Some(format!("the newest snapshot there is {newest}, not {wanted}")),
        None => return Some(format!("{} has no snapshot", expected.into)),
    }
    if head.partial {
        return Some(format!("{} still has an unfinished receive", expected.into));
    }
    if head.written != Bytes(0) {
        return Some(format!("{} was written to since {wanted}: {}", expected.into, head.written));
    }
    match seen.snapshots.get(&wanted) {
        None => return Some(format!("{wanted} is not there")),
        Some((guid, _)) if *guid != expected.guid => {
            return Some(format!("{wanted} has the guid {guid} instead of {}", expected.guid));
        }
        Some((_, ivset)) if expected.compare_ivset => {
            let sent = seen.snapshots.get(&expected.sent).and_then(|(_, ivset)| *ivset).or(expected.ivset);
            if ivset.is_none() || *ivset != sent {
                return Some(format!("{wanted} has another IV set than {}", expected.sent));
            }
        }
        Some(_) => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected {
            sent: "rpool/home@b".parse().unwrap(),
            into: "backup/home".parse().unwrap(),
            name: "b".parse().unwrap(),
            guid: Guid(2),
            compare_ivset: true,
            ivset: Some(IvsetGuid(9)),
        }
    }

    fn seen(newest: &str, written: u64, partial: bool, guid: u64, ivset: Option<u64>) -> Seen {
        let name: DatasetName = "backup/home".parse().unwrap();
        let newest: SnapshotName = newest.parse().unwrap();
        let head =
            Head { name: name.clone(), newest: Some(newest.clone()), written: Bytes(written), partial };
        let snapshots = [
            (newest, (Guid(guid), ivset.map(IvsetGuid))),
            ("rpool/home@b".parse().unwrap(), (Guid(2), Some(IvsetGuid(9)))),
        ];
        Seen { heads: [(name, head)].into(), snapshots: snapshots.into() }
    }

    #[test]
    fn success_is_guid_ivset_unmodified_and_complete() {
        let good = seen("backup/home@b", 0, false, 2, Some(9));
        assert_eq!(problem(&expected(), &good), None);
        let table = [
            (seen("backup/home@a", 0, false, 1, Some(9)), "the newest snapshot there is backup/home@a"),
            (seen("backup/home@b", 0, true, 2, Some(9)), "unfinished receive"),
            (seen("backup/home@b", 4096, false, 2, Some(9)), "was written to"),
            (seen("backup/home@b", 0, false, 3, Some(9)), "has the guid 3 instead of 2"),
            (seen("backup/home@b", 0, false, 2, Some(8)), "another IV set"),
            (seen("backup/home@b", 0, false, 2, None), "another IV set"),
        ];
        for (seen, words) in table {
            let found = problem(&expected(), &seen).unwrap_or_default();
            assert!(found.contains(words), "{found} should say {words}");
        }
    }
}
