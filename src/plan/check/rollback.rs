//! `--rollback-target`, the one exception to S3: only for a dataset that the user named, only what the source does
//! not have, never beyond the base, nothing held, cloned or protected.

use std::borrow::Cow;

use crate::model::{Bytes, Dataset, Inventory, Policy, ResumeState};
use crate::plan::{DatasetPlan, Plan, Rollback, Step};
use crate::zfs::token::Token;

use super::{Found, Violation, violation};

/// What is wrong with the plan's rollbacks, and the drive as the sound ones leave it: the rest is judged by that.
pub(super) fn review<'a>(
    policies: &[Policy],
    inventory: &'a Inventory,
    plan: &Plan,
) -> (Vec<Violation>, Cow<'a, Inventory>) {
    let mut violations = Vec::new();
    let mut after = Cow::Borrowed(inventory);
    for dataset in &plan.datasets {
        for (place, step) in dataset.steps.iter().enumerate() {
            let Step::Rollback(rollback) = step else { continue };
            let found = examine(policies, inventory, dataset, rollback, place);
            if found.is_empty()
                && let Some(there) = after.to_mut().target.datasets.get_mut(&rollback.to.dataset)
            {
                roll_back(there, rollback);
            }
            violations.extend(found.into_iter().map(|(rule, what)| violation(rule, dataset, what)));
        }
    }
    (violations, after)
}

/// What is left of the copy.
fn roll_back(there: &mut Dataset, rollback: &Rollback) {
    if let Some(txg) = there.history.snapshot(rollback.guid).map(|base| base.txg) {
        there.history = there.history.up_to(txg);
    }
    there.written = Bytes(0);
}

fn examine(
    policies: &[Policy],
    inventory: &Inventory,
    plan: &DatasetPlan,
    rollback: &Rollback,
    place: usize,
) -> Found {
    let to = &rollback.to;
    let policy = policies.iter().find(|policy| policy.name == plan.backup);
    let consented = policy.filter(|policy| policy.consents.rollback.contains(&plan.target));
    let Some(policy) = consented else {
        return vec![("S2", format!("nobody consented to roll {} back", to.dataset))];
    };
    let beside = format!("{}.zferry-swap", plan.target);
    let ours = to.dataset == plan.target || to.dataset.as_str() == beside;
    let source = inventory.source.get(&plan.source);
    let Some((source, there)) = source.zip(inventory.target.get(&to.dataset).filter(|_| ours)) else {
        return vec![("S2", format!("{} is another dataset", to.dataset))];
    };
    let mut found = Vec::new();
    if source.history.base(rollback.guid).is_none() {
        found.push(("S2", format!("{to} is not on the source")));
    }
    if plan.steps[..place].iter().any(|step| !matches!(step, Step::DropPartial(..))) {
        found.push(("S12", "something is done before the rollback".to_owned()));
    }
    found.extend(destroys_what_it_should(there, rollback));
    for obsolete in &rollback.discards {
        let name = &obsolete.snapshot;
        if source.history.base(obsolete.guid).is_some() {
            found.push(("S3", format!("the source knows {name}")));
        }
        let dropped = place > 0 && partial_on(there, obsolete.guid.0);
        let detail = there.details.get(&obsolete.guid);
        if detail.is_none_or(|detail| detail.holds > 0 || detail.clones > u64::from(dropped)) {
            found.push(("S3", format!("{name} is held or cloned, or was not asked about")));
        }
        if policy.protect.is_match(name.snap.as_str()) {
            found.push(("S3", format!("{name} is protected")));
        }
    }
    found
}

/// All that is newer than the base, newest first, by the names and guids that were seen, and nothing else.
fn destroys_what_it_should(there: &Dataset, rollback: &Rollback) -> Found {
    let to = &rollback.to;
    let base = there.history.snapshot(rollback.guid).filter(|base| base.name == to.snap);
    let Some(base) = base else {
        return vec![("S4", format!("{to} was not seen with this guid"))];
    };
    let newer = there.history.snapshots().iter().rev().take_while(|snapshot| snapshot.txg > base.txg);
    let same = newer
        .map(|s| (&s.name, s.guid, &there.name))
        .eq(rollback.discards.iter().map(|o| (&o.snapshot.snap, o.guid, &o.snapshot.dataset)));
    if !same {
        return vec![("S4", format!("what is newer than {to} is not what would be destroyed"))];
    }
    let needless = rollback.discards.is_empty() && there.written == Bytes(0);
    if needless { vec![("S2", format!("{} needs no rollback", to.dataset))] } else { Vec::new() }
}

/// Whether the interrupted receive there is a clone of this one.
fn partial_on(there: &Dataset, guid: u64) -> bool {
    let ResumeState::Token(text) = &there.resume else { return false };
    text.parse::<Token>().is_ok_and(|token| token.from.is_some_and(|from| from.0 == guid))
}
