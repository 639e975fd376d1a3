//! The independent checker (S19): a second implementation of what a plan must never do, written against safety.md
//! and the inventory, not against the planner. A plan that it refuses is a bug, reported as exit 70.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::model::{Dataset, DatasetName, Guid, Inventory, Policy, Prune, SendMode};
use crate::zfs::argv;

use super::{DatasetPlan, Obsolete, Plan, SendKind, SendStep, Step, Verdict};

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's number in safety.md.
    pub rule: &'static str,
    /// The target that it is about.
    pub target: DatasetName,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken for {}: {}", self.rule, self.target, self.what)
    }
}

/// Everything that is wrong with a plan. Empty: it may be executed.
pub fn check(policies: &[Policy], inventory: &Inventory, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    for dataset in &plan.datasets {
        let Some(policy) = policies.iter().find(|policy| policy.name == dataset.backup) else {
            violations.push(violation("S19", dataset, "it belongs to no backup".into()));
            continue;
        };
        let review = Review { policy, inventory, plan: dataset };
        for (rule, what) in review.all() {
            violations.push(violation(rule, dataset, what));
        }
    }
    violations
}

fn violation(rule: &'static str, dataset: &DatasetPlan, what: String) -> Violation {
    Violation { rule, target: dataset.target.clone(), what }
}

type Found = Vec<(&'static str, String)>;

struct Review<'a> {
    policy: &'a Policy,
    inventory: &'a Inventory,
    plan: &'a DatasetPlan,
}

impl Review<'_> {
    fn all(&self) -> Found {
        let mut found = self.refused_does_nothing();
        let Some(source) = self.inventory.source.get(&self.plan.source) else {
            if self.plan.sends().next().is_some() || self.plan.prunes().next().is_some() {
                found.push(("S21", "it acts for a source that was not seen".into()));
            }
            return found;
        };
        found.extend(self.arguments());
        found.extend(self.plaintext(source));
        found.extend(self.streams_fit(source));
        found.extend(self.bookmarks(source));
        found.extend(self.prunes(source));
        found
    }

    /// A refused dataset is left alone, but for parents that its children need.
    fn refused_does_nothing(&self) -> Found {
        let refused = matches!(self.plan.verdict, Verdict::Refused(_));
        let acts = self.plan.steps.iter().find(|step| !matches!(step, Step::CreatePlaceholder { .. }));
        acts.filter(|_| refused)
            .map(|step| ("S14", format!("refused, and yet: {step}")))
            .into_iter()
            .collect()
    }

    /// S2: looked for in the very arguments that would be used.
    fn arguments(&self) -> Found {
        let forbidden_receive = ["-F", "-d", "-e"];
        let mut found = Vec::new();
        for send in self.plan.sends() {
            let receive = argv::receive(&send.into, send.rename_to.as_ref(), send.creation.as_ref());
            if receive.args.iter().any(|argument| forbidden_receive.contains(&argument.as_str())) {
                found.push(("S2", format!("`{receive}`")));
            }
            if receive
                .args
                .iter()
                .any(|argument| argument.starts_with("canmount=on") || argument == "readonly=off")
            {
                found.push(("S9", format!("`{receive}`")));
            }
        }
        found
    }

    /// S5.
    fn plaintext(&self, source: &Dataset) -> Found {
        let readable = |send: &SendStep| source.encryption.is_none() || send.mode == SendMode::Plain;
        let bad = self.plan.sends().any(readable) && !self.policy.allow_plaintext;
        if bad { vec![("S5", "unencrypted blocks would reach the drive".into())] } else { Vec::new() }
    }

    /// Each stream starts from what the target has newest at that moment, and delivers what it says.
    fn streams_fit(&self, source: &Dataset) -> Found {
        let mut found = Vec::new();
        let dropped = self.plan.steps.iter().any(|step| matches!(step, Step::DropPartial(..)));
        let mut newest: HashMap<&DatasetName, Guid> = HashMap::new();
        for send in self.plan.sends() {
            let there = self.inventory.target.get(&send.into).and_then(|target| target.history.newest());
            let at = newest.get(&send.into).copied().or(there.map(|snapshot| snapshot.guid));
            let from = match &send.kind {
                SendKind::Full => None,
                SendKind::Increment(base) => Some(base.guid()),
                SendKind::Range(_, guid) => Some(*guid),
                SendKind::Resume(_) if dropped => {
                    found.push(("S11", "a dropped stream is resumed".into()));
                    at
                }
                SendKind::Resume(_) => at,
            };
            if from != at {
                found.push(("S12", format!("{send} does not continue from the target's newest snapshot")));
            }
            if let Some(problem) = delivery_problem(source, send, from) {
                found.push(("S15", problem));
            }
            if let Some(last) = send.delivers.last() {
                newest.insert(&send.into, last.guid);
            }
        }
        found
    }

    /// S10: what is delivered is bookmarked first, and what remains the base is not removed. S1: only ours go.
    fn bookmarks(&self, source: &Dataset) -> Found {
        let drive = self.policy.drive.to_string();
        let mine = |name: &str, guid: Guid| {
            [format!("zferry_{drive}_{guid}"), format!("zferry-pending_{drive}_{guid}")]
                .contains(&name.to_owned())
        };
        let before =
            source.history.bookmarks().iter().filter(|b| mine(b.name.as_str(), b.guid)).map(|b| b.guid);
        let made = self.plan.steps.iter().filter_map(|step| match step {
            Step::Protect(made) => Some(made.from.guid()),
            _ => None,
        });
        let protected: HashSet<Guid> = before.chain(made).collect();
        let mut found = Vec::new();
        for delivery in self.plan.sends().flat_map(|send| &send.delivers) {
            if !protected.contains(&delivery.guid) {
                found.push(("S10", format!("@{} is sent without a bookmark", delivery.name)));
            }
        }
        let newest = self.newest_after().map(|guid| format!("zferry_{drive}_{guid}"));
        for step in &self.plan.steps {
            let Step::Unbookmark(bookmark, guid) = step else { continue };
            if !mine(bookmark.name.as_str(), *guid) || bookmark.dataset != source.name {
                found.push(("S1", format!("{bookmark} is not ours")));
            }
            if newest.as_deref() == Some(bookmark.name.as_str()) {
                found.push(("S10", format!("{bookmark} is the base")));
            }
        }
        found
    }

    /// What the target's newest snapshot will be.
    fn newest_after(&self) -> Option<Guid> {
        let sent =
            self.plan.sends().last().and_then(|send| send.delivers.last()).map(|delivery| delivery.guid);
        let there =
            || self.inventory.target.get(&self.plan.target)?.history.newest().map(|snapshot| snapshot.guid);
        sent.or_else(there)
    }

    /// S3, S4, S21.
    fn prunes(&self, source: &Dataset) -> Found {
        let doomed: Vec<&Obsolete> = self.plan.prunes().collect();
        let Some(first) = doomed.first() else { return Vec::new() };
        let mut found = Vec::new();
        let Some(target) = self.inventory.target.get(&first.snapshot.dataset) else {
            return vec![("S4", "it prunes a dataset that was not seen".into())];
        };
        if self.policy.prune != Prune::Mirror {
            found.push(("S21", "nothing is to be pruned by this policy".into()));
        }
        let consented = self.policy.consents.source_loss.contains(&target.name);
        let share =
            doomed.len() * 100 > target.history.snapshots().len() * usize::from(self.policy.prune_limit);
        if !consented && doomed.len() >= 10 && share {
            found.push(("S21", format!("{} of its snapshots would go at once", doomed.len())));
        }
        if !consented
            && (target.mirror != Some(source.guid) || target.source.is_some_and(|g| g != source.guid))
        {
            found.push(("S21", "it was never mirrored from this source before".into()));
        }
        if source.history.snapshots().is_empty() {
            found.push(("S21", "the source has no snapshot".into()));
        }
        for obsolete in doomed {
            found.extend(self.prune_problem(source, target, obsolete));
        }
        found
    }

    fn prune_problem(
        &self,
        source: &Dataset,
        target: &Dataset,
        obsolete: &Obsolete,
    ) -> Option<(&'static str, String)> {
        let name = &obsolete.snapshot;
        let there = target.history.snapshot(obsolete.guid);
        if name.dataset != target.name || there.is_none_or(|there| there.name != name.snap) {
            return Some(("S4", format!("{name} was not seen with this guid")));
        }
        if self.newest_after() == Some(obsolete.guid) {
            return Some(("S3", format!("{name} is the target's newest snapshot")));
        }
        if source.history.snapshot(obsolete.guid).is_some() {
            return Some(("S21", format!("the source still has {name}")));
        }
        let detail = target.details.get(&obsolete.guid);
        if detail.is_none_or(|detail| detail.holds > 0 || detail.clones > 0) {
            return Some(("S3", format!("{name} is held or cloned, or was not asked about")));
        }
        if self.policy.protect.is_match(name.snap.as_str()) {
            return Some(("S3", format!("{name} is protected")));
        }
        None
    }
}

/// Whether the source has what the stream says that it delivers, in that order and with nothing in between.
fn delivery_problem(source: &Dataset, send: &SendStep, from: Option<Guid>) -> Option<String> {
    let places: Option<Vec<usize>> = send.delivers.iter().map(|d| source.history.position(d.guid)).collect();
    let Some(places) = places.filter(|places| !places.is_empty()) else {
        return Some(format!("{send} delivers what the source does not have"));
    };
    let contiguous = places.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let start = from.and_then(|guid| source.history.base(guid)).map(|base| base.txg());
    let first = &source.history.snapshots()[places[0]];
    let follows = match &send.kind {
        SendKind::Range(_, guid) => source.history.position(*guid).is_some_and(|at| places[0] == at + 1),
        _ => places.len() == 1 && start.is_none_or(|start| first.txg > start),
    };
    if contiguous && follows {
        None
    } else {
        Some(format!("{send} would carry other snapshots than planned"))
    }
}
