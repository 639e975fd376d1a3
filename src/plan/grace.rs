//! `grace`: what vanished from the source is kept on the drive until it was seen missing for so long.
//!
//! When that began is noted on each snapshot of the drive, as a property of its own: it goes with the snapshot through
//! renames, ends with it, and there is no list that could become too long. The drive is not trusted with it: what is
//! no time, lies ahead, or lies before the snapshot was made, is as good as not noted, and the time begins now.

use jiff::Timestamp;

use crate::model::{Guid, Missing, Policy, Prune, SnapshotDetail, SnapshotName};

use super::prune::{Case, gone_from_source};
use super::{Step, refusal};

/// Names that are told.
const NAMED: usize = 5;

/// Whether this backup has any.
pub fn is_wanted(policy: &Policy) -> bool {
    policy.prune == Prune::Mirror && !policy.grace.is_zero()
}

/// What is gone from the source: notes to be made, what is told of it, and what is due.
pub fn sort_out(case: &Case<'_>) -> (Vec<Step>, Option<String>, Vec<(Guid, SnapshotName)>) {
    let gone: Vec<_> = gone_from_source(case.policy, case.source, case.target, case.newest).collect();
    if !is_wanted(case.policy) {
        return (Vec::new(), None, gone);
    }
    let mut steps = there_again(case);
    let (mut due, mut waiting) = (Vec::new(), Vec::new());
    for (guid, snapshot) in gone {
        let detail = case.target.detail(guid);
        let since = believed(&detail, case.now.timestamp());
        if since.is_none() {
            let since = Some(case.now.timestamp());
            steps.push(Step::Mark { snapshot: snapshot.clone(), guid, since });
        }
        // A grace that ends after all times never ends.
        let ends = since.unwrap_or(case.now.timestamp()).checked_add(case.policy.grace).ok();
        match ends {
            Some(ends) if ends <= case.now.timestamp() => due.push((guid, snapshot)),
            ends => waiting.push((ends, snapshot)),
        }
    }
    (steps, note(case, &waiting), due)
}

/// Since when it is missing, if what the drive says of that can be true.
fn believed(detail: &SnapshotDetail, now: Timestamp) -> Option<Timestamp> {
    let Some(Missing::Since(since)) = detail.missing else { return None };
    let made = detail.creation.unwrap_or(Timestamp::MIN);
    (made <= since && since <= now).then_some(since)
}

/// Snapshots that say that they are missing, and the source has them.
fn there_again(case: &Case<'_>) -> Vec<Step> {
    let marked = case.target.history.snapshots().iter().filter(|snapshot| {
        case.source.history.snapshot(snapshot.guid).is_some()
            && case.target.detail(snapshot.guid).missing.is_some()
    });
    let unmark = |name, guid| Step::Mark { snapshot: name, guid, since: None };
    marked.filter_map(|s| Some(unmark(case.target.name.snapshot(&s.name).ok()?, s.guid))).collect()
}

fn note(case: &Case<'_>, waiting: &[(Option<Timestamp>, SnapshotName)]) -> Option<String> {
    let first = waiting.iter().map(|(ends, _)| ends.unwrap_or(Timestamp::MAX)).min()?;
    let names: Vec<_> = waiting.iter().take(NAMED).map(|(_, name)| format!("@{}", name.snap)).collect();
    let more = match waiting.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let until =
        if waiting.len() == 1 { "stays until its grace ends," } else { "stay until their grace ends, first" };
    Some(format!(
        "{}: {} that the source no longer has {until} on {}: {}{more}.",
        case.target.name,
        refusal::count(waiting.len(), "snapshot"),
        first.strftime("%Y-%m-%d"),
        names.join(", ")
    ))
}
