//! The independent checker (S19): a second implementation of what a plan must never do, written against safety.md
//! and the inventory, not against the planner. A plan that it refuses is a bug, reported as exit 70.

mod bookmarks;
mod drive;
mod keep;
mod rollback;
mod room;
mod streams;

use std::fmt;

use jiff::Zoned;

use crate::model::{Dataset, DatasetName, Guid, Inventory, Policy};

use super::{DatasetPlan, Plan, Refusal, Step, Verdict};

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

/// Everything that is wrong with a plan that was made at this time. Empty: it may be executed.
pub fn check(policies: &[Policy], inventory: &Inventory, plan: &Plan, now: &Zoned) -> Vec<Violation> {
    let recognised = bookmarks::recognised(policies, inventory);
    let (mut violations, after) = rollback::review(policies, inventory, plan);
    let inventory = &*after;
    for dataset in &plan.datasets {
        let Some(policy) = policies.iter().find(|policy| policy.name == dataset.backup) else {
            violations.push(violation("S19", dataset, "it belongs to no backup".into()));
            continue;
        };
        if !recognised && !dataset.steps.is_empty() {
            violations.push(violation(
                "S6",
                dataset,
                "the drive has nothing that it was seen to have".into(),
            ));
        }
        for (rule, what) in examine(policy, (inventory, plan), dataset, now) {
            violations.push(violation(rule, dataset, what));
        }
    }
    let room = room::problems(inventory, plan).into_iter();
    violations.extend(room.map(|(index, rule, what)| violation(rule, &plan.datasets[index], what)));
    violations
}

fn violation(rule: &'static str, dataset: &DatasetPlan, what: String) -> Violation {
    Violation { rule, target: dataset.target.clone(), what }
}

type Found = Vec<(&'static str, String)>;

/// One dataset's plan and what it is about.
struct Review<'a> {
    policy: &'a Policy,
    inventory: &'a Inventory,
    all: &'a Plan,
    plan: &'a DatasetPlan,
    now: &'a Zoned,
    source: &'a Dataset,
    /// The copy: the target, or what stands beside a placeholder until it takes its place.
    copy: Option<&'a Dataset>,
    /// What the copy's newest snapshot will be.
    newest_after: Option<Guid>,
}

fn examine(policy: &Policy, (inventory, all): (&Inventory, &Plan), plan: &DatasetPlan, now: &Zoned) -> Found {
    let mut found = refused_does_nothing(plan);
    let Some(source) = inventory.source.get(&plan.source) else {
        if plan.steps.iter().any(|step| !matches!(step, Step::CreatePlaceholder { .. })) {
            found.push(("S21", "it acts for a source that was not seen".into()));
        }
        return found;
    };
    let copy = inventory.target.get(copy_of(plan));
    let sent = plan.sends().last().and_then(|send| send.delivers.last()).map(|delivery| delivery.guid);
    let newest_after = sent.or_else(|| copy?.history.newest().map(|snapshot| snapshot.guid));
    let review = Review { policy, inventory, all, plan, now, source, copy, newest_after };
    found.extend(review.streams());
    found.extend(review.bookmarks());
    found.extend(review.drive());
    found
}

/// Where the copy stands now.
fn copy_of(plan: &DatasetPlan) -> &DatasetName {
    let swapped = plan.steps.iter().find_map(|step| match step {
        Step::Swap { received, .. } => Some(received),
        _ => None,
    });
    swapped.or_else(|| plan.sends().next().map(|send| &send.into)).unwrap_or(&plan.target)
}

/// A refused dataset is left alone, but for parents that its children need; one that is refused for lack of space still
/// gives free what it can.
fn refused_does_nothing(plan: &DatasetPlan) -> Found {
    let Verdict::Refused(refusal) = &plan.verdict else { return Vec::new() };
    let short = matches!(**refusal, Refusal::NoSpace { .. });
    let allowed = |step: &Step| match step {
        Step::CreatePlaceholder { .. } => true,
        Step::DropPartial(..) | Step::Alarm { .. } | Step::MakeRoom(_) | Step::Prune(_) => short,
        _ => false,
    };
    let acts = plan.steps.iter().find(|step| !allowed(step));
    acts.map(|step| ("S14", format!("refused, and yet: {step}"))).into_iter().collect()
}
