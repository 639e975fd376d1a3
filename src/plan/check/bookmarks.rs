//! Our bookmarks: S1, S6, S10.

use std::collections::BTreeSet;

use crate::model::{Base, Dataset, Guid, Inventory, Policy};
use crate::plan::{Bookmarking, Step, Verdict};

use super::{Found, Review};

fn verified(drive: Guid, guid: Guid) -> String {
    format!("zferry_{drive}_{guid}")
}

fn pending(drive: Guid, guid: Guid) -> String {
    format!("zferry-pending_{drive}_{guid}")
}

/// S6: nothing is recorded of this drive, or something of it is where it was left.
pub(super) fn recognised(policies: &[Policy], inventory: &Inventory) -> bool {
    let mut recorded = policies.iter().flat_map(|policy| {
        let sources = inventory.source.tree(&policy.source);
        let wanted = sources.filter(|s| {
            let below = s.name.below(&policy.source).unwrap_or_default();
            below.is_empty() || policy.recursive && policy.datasets.wants(below)
        });
        wanted.flat_map(|source| {
            let bookmarks = source.history.bookmarks().iter();
            bookmarks.filter(|b| b.name.as_str() == verified(policy.drive, b.guid)).map(|b| b.guid)
        })
    });
    let somewhere =
        |guid: Guid| inventory.target.datasets.values().any(|t| t.history.snapshot(guid).is_some());
    let mut recorded = recorded.by_ref().peekable();
    recorded.peek().is_none() || recorded.any(somewhere)
}

impl Review<'_> {
    pub(super) fn bookmarks(&self) -> Found {
        let mut found = self.made();
        found.extend(self.removed());
        found.extend(self.before_the_first_byte());
        found.extend(self.left());
        found
    }

    /// Names of this drive's bookmarks on the source.
    fn ours(&self) -> BTreeSet<String> {
        let drive = self.policy.drive;
        let ours = |name: &str, guid| name == verified(drive, guid) || name == pending(drive, guid);
        let bookmarks = self.source.history.bookmarks().iter();
        bookmarks.filter(|b| ours(b.name.as_str(), b.guid)).map(|b| b.name.to_string()).collect()
    }

    /// They say what they are made of, and "seen on the drive" only of what was seen there, is verified now, or comes
    /// on top of what is recorded and there.
    fn made(&self) -> Found {
        let drive = self.policy.drive;
        let mut found = Vec::new();
        for step in &self.plan.steps {
            let (Step::Protect(made) | Step::Keep(made)) = step else { continue };
            let (guid, name) = (made.from.guid(), made.bookmark.name.as_str());
            let exists = match &made.from {
                Base::Snapshot(from) => {
                    self.source.history.snapshots().get(self.place(from.guid)) == Some(from)
                }
                Base::Bookmark(from) => self.source.history.bookmarks().contains(from),
            };
            let true_name = name == verified(drive, guid) || name == pending(drive, guid);
            if !exists || !true_name || made.bookmark.dataset != self.source.name {
                found.push(("S1", format!("{} is made of something else", made.bookmark)));
            }
            let seen = self.recorded_base() || self.has(guid);
            if matches!(step, Step::Protect(_)) && name == verified(drive, guid) && !seen {
                found.push(("S6", format!("{} claims what was not seen", made.bookmark)));
            }
        }
        found
    }

    fn has(&self, guid: Guid) -> bool {
        self.copy.is_some_and(|copy| copy.history.snapshot(guid).is_some())
    }

    /// Whether what the copy has newest is recorded already.
    fn recorded_base(&self) -> bool {
        let newest = self.copy.and_then(|copy| copy.history.newest());
        let recorded = |guid| {
            let name = verified(self.policy.drive, guid);
            self.source.history.bookmarks().iter().any(|b| b.guid == guid && b.name.as_str() == name)
        };
        newest.is_some_and(|newest| recorded(newest.guid))
    }

    fn place(&self, guid: Guid) -> usize {
        self.source.history.position(guid).unwrap_or(usize::MAX)
    }

    /// S1: only this drive's own go.
    fn removed(&self) -> Found {
        let drive = self.policy.drive;
        let mut found = Vec::new();
        for step in &self.plan.steps {
            let Step::Unbookmark(bookmark, guid) = step else { continue };
            let name = bookmark.name.as_str();
            let ours = name == verified(drive, *guid) || name == pending(drive, *guid);
            if !ours || bookmark.dataset != self.source.name {
                found.push(("S1", format!("{bookmark} is not ours")));
            }
            if self.newest_after.is_some_and(|newest| name == verified(drive, newest)) {
                found.push(("S10", format!("{bookmark} is the base")));
            }
        }
        found
    }

    /// S10: what the drive has newest, and everything that will arrive, is bookmarked before.
    fn before_the_first_byte(&self) -> Found {
        if self.plan.sends().next().is_none() {
            return Vec::new();
        }
        let drive = self.policy.drive;
        let mut protected = self.ours();
        protected.extend(self.steps(|step| if let Step::Protect(made) = step { Some(made) } else { None }));
        let safe =
            |guid| protected.contains(&verified(drive, guid)) || protected.contains(&pending(drive, guid));
        let newest = |copy: &Dataset| copy.history.newest().map(|newest| newest.guid);
        let delivered = self.plan.sends().flat_map(|send| &send.delivers).map(|delivery| delivery.guid);
        let all = delivered.chain(self.copy.and_then(newest));
        all.filter(|guid| !safe(*guid))
            .map(|guid| ("S10", format!("{guid} is not bookmarked first")))
            .collect()
    }

    fn steps<'s>(
        &'s self,
        which: fn(&'s Step) -> Option<&'s Bookmarking>,
    ) -> impl Iterator<Item = String> + 's {
        self.plan.steps.iter().filter_map(which).map(|made| made.bookmark.name.to_string())
    }

    /// S10: in rest there is one bookmark of the drive, of what both sides have newest.
    fn left(&self) -> Found {
        let Some(newest) = self.newest_after else { return Vec::new() };
        if !matches!(self.plan.verdict, Verdict::UpToDate | Verdict::Behind) {
            return Vec::new();
        }
        let mut left = self.ours();
        left.extend(self.steps(|step| match step {
            Step::Protect(made) | Step::Keep(made) => Some(made),
            _ => None,
        }));
        for step in &self.plan.steps {
            if let Step::Unbookmark(bookmark, _) = step {
                left.remove(bookmark.name.as_str());
            }
        }
        let expected = verified(self.policy.drive, newest);
        if left.len() == 1 && left.contains(&expected) {
            Vec::new()
        } else {
            vec![("S10", format!("these bookmarks would be left: {left:?}"))]
        }
    }
}
