//! `max-age`: has whatever makes the snapshots stopped? Judged for each dataset, so that one that was forgotten is seen
//! among others that are fresh, and told once for each backup.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Dataset, Inventory, Policy, Snapshot};

use super::questions::question;
use super::{DatasetPlan, Question, Verdict};

/// Datasets that are named; of the others the number is enough.
const NAMED: usize = 3;

/// The newest snapshot that this backup sends.
fn newest_selected<'a>(policy: &Policy, source: &'a Dataset) -> Option<&'a Snapshot> {
    source.history.snapshots().iter().rev().find(|snapshot| policy.snapshots.wants(&snapshot.name))
}

/// When it was made is not in the listing of snapshots, and asked only of those who want to know.
pub fn question_about(policy: &Policy, source: &Dataset) -> Option<Question> {
    policy.max_age?;
    newest_selected(policy, source).map(|newest| question(source, newest.guid, &format!("@{}", newest.name)))
}

/// Puts one warning to each backup with old datasets: to the first of them that is not refused. A dataset without a
/// selected snapshot is told of elsewhere, and one whose newest is of unknown age is not called old.
pub fn warn_of_old_sources(
    policies: &[Policy],
    inventory: &Inventory,
    now: Timestamp,
    datasets: &mut [DatasetPlan],
) {
    for policy in policies {
        let Some(limit) = policy.max_age else { continue };
        let sent = |plan: &DatasetPlan| matches!(plan.verdict, Verdict::UpToDate | Verdict::Behind);
        let mut old = Vec::new();
        for (index, plan) in datasets.iter().enumerate() {
            if plan.backup != policy.name || !sent(plan) {
                continue;
            }
            let Some(source) = inventory.source.get(&plan.source) else { continue };
            let newest = newest_selected(policy, source);
            let made = newest.and_then(|newest| Some((newest, source.detail(newest.guid).creation?)));
            let Some((newest, made)) = made else { continue };
            let age = Duration::try_from(now.duration_since(made)).unwrap_or_default();
            if age > limit {
                old.push((index, format!("{}@{}, {}", plan.source, newest.name, days(age))));
            }
        }
        if let Some(&(first, _)) = old.first() {
            let texts: Vec<_> = old.into_iter().map(|(_, text)| text).collect();
            datasets[first].warnings.push(warning(policy, limit, &texts));
        }
    }
}

fn warning(policy: &Policy, limit: Duration, old: &[String]) -> String {
    let more = match old.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!(
        "{}: the newest snapshot is older than max-age ({}): {}{more}. Is something still making snapshots?",
        policy.name,
        days(limit),
        old[..old.len().min(NAMED)].join("; ")
    )
}

/// "45 min", "36 h", "5 days": an age needs no more.
fn days(age: Duration) -> String {
    match age.as_secs() / 60 {
        minutes @ 0..120 => format!("{minutes} min"),
        minutes @ 120..2880 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Guid, Inventory};
    use crate::plan::testing::{World, dataset, history, policy, without};
    use crate::plan::{plan, questions};

    const DAY: u64 = 86_400;

    fn now() -> Timestamp {
        Timestamp::from_second(100 * 86_400).unwrap()
    }

    /// Two datasets whose newest snapshots were made so many days ago; none: it is not known.
    fn seen(policy: &Policy, parent: Option<i64>, child: Option<i64>) -> Inventory {
        let mut world = World::new();
        for name in ["tank/data", "tank/data/child"] {
            world.source.datasets.insert(name.parse().unwrap(), dataset(name, history("@a,1 @skip,2", 1)));
        }
        let mut seen = world.look(std::slice::from_ref(policy));
        for (name, days) in [("tank/data", parent), ("tank/data/child", child)] {
            let dataset = seen.source.datasets.get_mut(&name.parse().unwrap()).unwrap();
            for detail in dataset.details.values_mut() {
                detail.creation = days.map(|d| Timestamp::from_second((100 - d) * 86_400).unwrap());
            }
        }
        seen
    }

    fn warnings(policy: &Policy, parent: Option<i64>, child: Option<i64>) -> Vec<String> {
        let seen = seen(policy, parent, child);
        let plan = plan(std::slice::from_ref(policy), &seen, &now().to_zoned(jiff::tz::TimeZone::UTC));
        plan.datasets.into_iter().flat_map(|dataset| dataset.warnings).collect()
    }

    #[test]
    fn an_old_dataset_is_told_of_also_beside_a_fresh_one_and_once_for_each_backup() {
        let policy = Policy { max_age: Some(Duration::from_secs(2 * DAY)), ..policy() };
        let end = "Is something still making snapshots?";
        for (parent, child, expected) in [
            (Some(1), Some(2), None),
            (Some(-1), None, None),
            (Some(1), Some(5), Some("tank/data/child@skip, 5 days")),
            (Some(3), Some(5), Some("tank/data@skip, 3 days; tank/data/child@skip, 5 days")),
        ] {
            let told = warnings(&policy, parent, child);
            let wanted = expected
                .map(|old| format!("eds: the newest snapshot is older than max-age (2 days): {old}. {end}"));
            assert_eq!(told, wanted.into_iter().collect::<Vec<_>>(), "{parent:?} {child:?}");
        }
        assert_eq!(warnings(&Policy { max_age: None, ..policy }, Some(90), Some(90)), Vec::<String>::new());
    }

    #[test]
    fn the_newest_selected_snapshot_is_asked_about_only_where_max_age_is_set() {
        let asked = |policy: &Policy| {
            let mut world = World::new();
            let name = "tank/data";
            world.source.datasets.insert(name.parse().unwrap(), dataset(name, history("@a,1 @skip,2", 1)));
            world
                .target
                .datasets
                .insert("backup/eds".parse().unwrap(), dataset("backup/eds", history("@a,1", 1)));
            let policy = Policy { snapshots: without(&["skip"]), ..policy.clone() };
            let seen = world.look(std::slice::from_ref(&policy));
            questions(&[policy], &seen).source.into_iter().map(|q| q.guid).collect::<Vec<_>>()
        };
        let limited = Policy { max_age: Some(Duration::from_secs(1)), ..policy() };
        assert_eq!((asked(&policy()), asked(&limited)), (vec![], vec![Guid(1)]));
    }
}
