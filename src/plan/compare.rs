//! What both sides have of each copy, by guid. Pure: for `list` and `verify`.

use crate::model::{Dataset, DatasetName, Guid, Inventory, Policy, SnapName};

use super::{Ours, Standing};

/// A copy and its source, side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The backup that it belongs to.
    pub backup: String,
    /// The source, where there is one.
    pub source: Option<DatasetName>,
    /// The copy, where there is one.
    pub target: Option<DatasetName>,
    /// Their snapshots, oldest first.
    pub rows: Vec<Row>,
}

/// One snapshot. At least one of the names is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is on both sides.
    pub guid: Guid,
    /// Its name at the source.
    pub here: Option<SnapName>,
    /// Its name on the drive.
    pub there: Option<SnapName>,
}

/// Whether a copy can be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Its newest snapshot is bookmarked for this drive.
    Safe,
    /// The source still has it, and nothing keeps it from being pruned.
    Unprotected,
    /// The source has neither.
    Broken,
}

/// All copies and sources of these backups, each dataset once.
pub fn pairs(policies: &[Policy], inventory: &Inventory) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for policy in policies {
        let copies = inventory.target.tree(&policy.target).filter(|copy| !copy.retired);
        let copies: Vec<(&Dataset, Option<&Dataset>)> =
            copies.map(|copy| (copy, source_of(policy, inventory, copy))).collect();
        let wanted = |dataset: &&Dataset| match dataset.name.below(&policy.source) {
            Some("") => !policy.skip_parent,
            Some(relative) => policy.recursive && policy.datasets.wants(relative),
            None => false,
        };
        let copied =
            |dataset: &&Dataset| copies.iter().any(|(_, s)| s.is_some_and(|s| s.name == dataset.name));
        let alone = inventory.source.datasets.values().filter(wanted).filter(|dataset| !copied(dataset));
        let both = copies.iter().map(|(copy, source)| (*source, Some(*copy)));
        let all = both.chain(alone.map(|source| (Some(source), None)));
        let mut of_backup: Vec<Pair> = all.map(|(here, there)| pair(policy, here, there)).collect();
        of_backup.retain(|pair| !pair.rows.is_empty());
        of_backup.sort_by_key(|one| one.name());
        pairs.extend(of_backup);
    }
    pairs
}

impl Pair {
    fn name(&self) -> Option<String> {
        self.target.as_ref().or(self.source.as_ref()).map(ToString::to_string)
    }
}

/// The source that is recorded on a copy, wherever it is now; or the one at its place.
fn source_of<'a>(policy: &Policy, inventory: &'a Inventory, copy: &Dataset) -> Option<&'a Dataset> {
    let recorded = |dataset: &&Dataset| Some(dataset.guid) == copy.source;
    inventory.source.datasets.values().find(recorded).or_else(|| {
        let below = copy.name.below(&policy.target)?;
        inventory.source.get(&policy.source.join(below).ok()?)
    })
}

/// In the order of the source; what only the drive has comes where the drive has it.
fn pair(policy: &Policy, here: Option<&Dataset>, there: Option<&Dataset>) -> Pair {
    let source = here.map(|dataset| dataset.history.snapshots()).unwrap_or_default();
    let copy = there.map(|dataset| dataset.history.snapshots()).unwrap_or_default();
    let mut rows = Vec::new();
    let mut left = copy.iter().peekable();
    let on_source = |guid: Guid| here.is_some_and(|here| here.history.snapshot(guid).is_some());
    for snapshot in source {
        let known = there.and_then(|there| there.history.snapshot(snapshot.guid));
        if known.is_some() {
            while let Some(only) = left.next_if(|next| !on_source(next.guid)) {
                rows.push(Row { guid: only.guid, here: None, there: Some(only.name.clone()) });
            }
            left.next_if(|next| next.guid == snapshot.guid);
        }
        let there = known.map(|known| known.name.clone());
        rows.push(Row { guid: snapshot.guid, here: Some(snapshot.name.clone()), there });
    }
    let rest = left.filter(|next| !on_source(next.guid));
    rows.extend(rest.map(|only| Row { guid: only.guid, here: None, there: Some(only.name.clone()) }));
    Pair {
        backup: policy.name.clone(),
        source: here.map(|dataset| dataset.name.clone()),
        target: there.map(|dataset| dataset.name.clone()),
        rows,
    }
}

/// For each copy whose source is there, whether it can be continued.
pub fn links(policies: &[Policy], inventory: &Inventory) -> Vec<(DatasetName, Link)> {
    let mut links = Vec::new();
    for policy in policies {
        for copy in inventory.target.tree(&policy.target).filter(|copy| !copy.retired) {
            let Some(newest) = copy.history.newest() else { continue };
            let Some(source) = source_of(policy, inventory, copy) else { continue };
            let ours = |bookmark: &crate::model::Bookmark| {
                bookmark.guid == newest.guid
                    && Ours::read(bookmark)
                        .is_some_and(|o| o.drive == policy.drive && o.standing == Standing::Verified)
            };
            let link = if source.history.bookmarks().iter().any(ours) {
                Link::Safe
            } else if source.history.base(newest.guid).is_some() {
                Link::Unprotected
            } else {
                Link::Broken
            };
            links.push((copy.name.clone(), link));
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Side;
    use crate::plan::testing::{dataset, history, policy};

    fn both(here: &str, there: &str) -> (Policy, Inventory) {
        let policy = policy();
        let side = |name: &DatasetName, text: &str| Side {
            datasets: [(name.clone(), dataset(name.as_str(), history(text, 1)))].into(),
        };
        let inventory = Inventory {
            source: side(&policy.source, here),
            target: side(&policy.target, there),
            pools: std::collections::BTreeMap::new(),
            elsewhere: None,
        };
        (policy, inventory)
    }

    #[test]
    fn snapshots_are_told_apart_by_guid_and_keep_their_order() {
        for (here, there, expected) in [
            ("@a,1 @b,2", "@a,1 @b,2", "a=a b=b"),
            ("@a,1 @b,2 @c,3", "@a,1", "a=a b=- c=-"),
            ("@c,3", "@a,1 @b,2 @c,3", "-=a -=b c=c"),
            ("@new,1 @b,2", "@old,1 @b,2", "new=old b=b"),
            ("@a,1 @b,3", "@a,1 @x,7", "a=a b=- -=x"),
            ("@a,9", "@a,1", "a=- -=a"),
            ("@a,1", "", "a=-"),
            ("", "@a,1", "-=a"),
        ] {
            let (policy, inventory) = both(here, there);
            let name = |name: &Option<SnapName>| name.as_ref().map_or("-".to_owned(), ToString::to_string);
            let pairs = pairs(std::slice::from_ref(&policy), &inventory);
            let rows = pairs.iter().flat_map(|pair| &pair.rows);
            let told: Vec<_> = rows.map(|row| format!("{}={}", name(&row.here), name(&row.there))).collect();
            assert_eq!(told.join(" "), expected, "{here:?} {there:?}");
        }
    }

    #[test]
    fn a_copy_can_be_continued_from_a_bookmark_or_a_snapshot_of_its_newest() {
        for (here, there, expected) in [
            ("@a,1 #V,1", "@a,1", Some(Link::Safe)),
            ("@b,2 #V,1", "@a,1", Some(Link::Safe)),
            ("@a,1 @b,2", "@a,1", Some(Link::Unprotected)),
            ("@a,1 #other,1", "@a,1", Some(Link::Unprotected)),
            ("@a,1 #V,1", "@a,1 @b,2", Some(Link::Broken)),
            ("@b,2", "@a,1", Some(Link::Broken)),
            ("@b,2", "", None),
        ] {
            let (policy, inventory) = both(here, there);
            let found = links(&[policy], &inventory);
            assert_eq!(found.first().map(|(_, link)| *link), expected, "{here:?} {there:?}");
        }
    }
}
