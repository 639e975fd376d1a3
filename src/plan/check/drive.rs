//! Everything else that changes on the drive: S3, S4, S21.

use std::collections::HashSet;

use crate::model::{Dataset, Guid, Missing, Prune, SnapshotDetail};
use crate::plan::{Obsolete, Step};

use super::{Found, Review};

/// From so many deletions on `prune-limit` is asked.
const MANY: usize = 10;

impl Review<'_> {
    pub(super) fn drive(&self) -> Found {
        let mut found = self.prunes();
        found.extend(self.plan.steps.iter().filter_map(|step| self.other_problem(step)));
        found.extend(self.plan.steps.iter().filter_map(|step| self.note_problem(step)));
        found
    }

    fn consented(&self, target: &Dataset) -> bool {
        self.policy.consents.source_loss.contains(&target.name)
    }

    /// S3, S4, S21.
    fn prunes(&self) -> Found {
        let doomed: Vec<&Obsolete> = self.plan.prunes().collect();
        let Some(first) = doomed.first() else { return Vec::new() };
        let Some(target) = self.inventory.target.get(&first.snapshot.dataset) else {
            return vec![("S4", "it prunes a dataset that was not seen".into())];
        };
        let mut found = Vec::new();
        if self.copy.map(|copy| &copy.name) != Some(&target.name) {
            found.push(("S4", "it prunes another dataset".into()));
        }
        match &self.policy.prune {
            Prune::Never => found.push(("S21", "nothing is to be pruned by this policy".into())),
            Prune::Mirror => {}
            Prune::Keep(keep) => found.extend(self.against_the_rules(keep, target)),
        }
        if self.source.history.snapshots().is_empty() {
            found.push(("S21", "the source has no snapshot".into()));
        }
        if self.newest_after.is_none_or(|newest| self.source.history.base(newest).is_none()) {
            found.push(("S21", "there is no common base".into()));
        }
        if !self.consented(target) {
            found.extend(self.unproven(target, &doomed));
        }
        found.extend(doomed.into_iter().filter_map(|obsolete| self.prune_problem(target, obsolete)));
        found
    }

    fn mirrors(&self) -> bool {
        self.policy.prune == Prune::Mirror
    }

    /// What S21 asks for when nobody consented.
    fn unproven(&self, target: &Dataset, doomed: &[&Obsolete]) -> Found {
        let mut found = Vec::new();
        let limit = target.history.snapshots().len() * usize::from(self.policy.prune_limit);
        if doomed.len() >= MANY && doomed.len() * 100 > limit {
            found.push(("S21", format!("{} of its snapshots would go at once", doomed.len())));
        }
        let known = |recorded: Option<Guid>| recorded == Some(self.source.guid);
        let shown = if self.mirrors() { target.mirror } else { target.thinned };
        if !known(shown) || target.source.is_some() && !known(target.source) {
            found.push(("S21", "what would go from this source's copy was never shown before".into()));
        }
        let alarm = self.plan.steps.iter().any(|step| matches!(step, Step::Alarm { .. }));
        if target.rewritten.is_some() || alarm {
            found.push(("S21", "most of the source was replaced, and nobody said that it was meant".into()));
        }
        let elsewhere = |guid: Guid| self.inventory.elsewhere.as_ref().is_none_or(|all| all.contains(&guid));
        if self.mirrors()
            && self.source.origin.is_some()
            && doomed.iter().any(|obsolete| elsewhere(obsolete.guid))
        {
            found.push(("S21", "what would go may live elsewhere in the source's pool".into()));
        }
        found
    }

    fn prune_problem(&self, target: &Dataset, obsolete: &Obsolete) -> Option<(&'static str, String)> {
        let name = &obsolete.snapshot;
        let there = target.history.snapshot(obsolete.guid);
        if name.dataset != target.name || there.is_none_or(|there| there.name != name.snap) {
            return Some(("S4", format!("{name} was not seen with this guid")));
        }
        if self.newest_after == Some(obsolete.guid) {
            return Some(("S3", format!("{name} is the target's newest snapshot")));
        }
        if self.mirrors() && self.source.history.snapshot(obsolete.guid).is_some() {
            return Some(("S21", format!("the source still has {name}")));
        }
        let detail = target.details.get(&obsolete.guid);
        if detail.is_none_or(|detail| detail.holds > 0 || detail.clones > 0) {
            return Some(("S3", format!("{name} is held or cloned, or was not asked about")));
        }
        let guid = obsolete.guid.0;
        let forms = [format!("_{:08x}", guid & 0xffff_ffff), format!("_{guid:016x}")];
        let original = forms.iter().find_map(|form| name.snap.as_str().strip_suffix(form.as_str()));
        let original = original.unwrap_or(name.snap.as_str());
        if [name.snap.as_str(), original].iter().any(|name| self.policy.protect.is_match(name)) {
            return Some(("S3", format!("{name} is protected")));
        }
        if self.mirrors() && !self.grace_is_over(detail) {
            return Some(("S21", format!("{name} was not seen missing for long enough")));
        }
        let selected = original.parse().is_ok_and(|original| self.policy.snapshots.wants(&original));
        (!selected).then(|| ("S21", format!("{name} was deselected, which never deletes")))
    }

    fn grace_is_over(&self, detail: Option<&SnapshotDetail>) -> bool {
        let grace = i64::try_from(self.policy.grace.as_secs()).unwrap_or(i64::MAX);
        let now = self.now.timestamp().as_second();
        let since = match detail.and_then(|detail| detail.missing) {
            Some(Missing::Since(since)) => Some(since.as_second()),
            _ => None,
        };
        let made = detail.and_then(|detail| detail.creation).map_or(i64::MIN, |made| made.as_second());
        grace == 0 || since.is_some_and(|since| since >= made && since <= now && now - since >= grace)
    }

    /// What is noted on the drive is true.
    fn note_problem(&self, step: &Step) -> Option<(&'static str, String)> {
        match step {
            Step::Mark { snapshot, guid, since } => {
                let there = self.inventory.target.get(&snapshot.dataset)?;
                let seen = there.history.snapshot(*guid).is_some_and(|s| s.name == snapshot.snap);
                let here = self.source.history.snapshot(*guid).is_some();
                let time = since.is_none_or(|since| since == self.now.timestamp());
                let wrong = !seen || !time || here == since.is_some();
                wrong.then(|| ("S21", format!("what is noted on {snapshot} is not so")))
            }
            Step::Alarm { target, since } => {
                let copy = self.copy.filter(|copy| copy.name == *target);
                let newest = copy.and_then(|copy| copy.history.newest());
                let wrong = newest.is_none_or(|newest| newest.guid != *since);
                wrong.then(|| ("S21", format!("{target} had another base before the change")))
            }
            Step::EndAlarm(target) => {
                let there = self.inventory.target.get(target);
                let ended = there.is_some_and(|there| there.rewritten.is_some() && self.consented(there));
                (!ended).then(|| ("S21", format!("nobody ended the alarm of {target}")))
            }
            _ => None,
        }
    }

    fn other_problem(&self, step: &Step) -> Option<(&'static str, String)> {
        let seen = |name| self.inventory.target.get(name);
        match step {
            Step::CreatePlaceholder { dataset, .. } => {
                seen(dataset).map(|_| ("S12", format!("{dataset} exists already")))
            }
            Step::RenameSnapshot { from, guid, to } => {
                let there = seen(&from.dataset)?;
                let going: HashSet<Guid> = self.plan.prunes().map(|obsolete| obsolete.guid).collect();
                let known = there.history.snapshot(*guid).is_some_and(|s| s.name == from.snap);
                let taken = there.history.named(to).is_some_and(|other| !going.contains(&other.guid));
                let wanted = self.source.history.snapshot(*guid).is_some_and(|s| s.name == *to);
                (!known || taken || !wanted).then(|| ("S4", format!("{from} cannot become @{to}")))
            }
            Step::Swap { placeholder, received, .. } => {
                let empty = seen(placeholder).is_some_and(|there| {
                    let ours = there.placeholder && there.container && there.encryption.is_none();
                    ours && there.history.snapshots().is_empty()
                });
                let ours = *placeholder == self.plan.target && received != placeholder;
                (!empty || !ours).then(|| ("S3", format!("{placeholder} is no empty placeholder")))
            }
            Step::Record { target, source, .. } => {
                let there = self.copy.filter(|copy| copy.name == *target);
                let other = there.and_then(|there| there.source).is_some_and(|recorded| recorded != *source);
                let restored = there.is_some_and(|there| self.source.source == Some(there.guid));
                let consented = there.is_some_and(|there| self.consented(there));
                let wrong =
                    *source != self.source.guid || there.is_none() || other && !consented && !restored;
                wrong.then(|| ("S21", format!("{target} is the copy of another source")))
            }
            _ => None,
        }
    }
}
