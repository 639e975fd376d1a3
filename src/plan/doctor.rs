//! What could make the next run fail, or its copies worthless, and what mends it. Pure: everything was asked before.

pub mod around;
pub mod delegated;
pub mod plug_in;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{DatasetName, Guid, Policy, PoolName, Side, WantedKey};
use crate::process::{printable, quoted};
use crate::zfs::version::{self, Versions};

use super::{Afterwards, Ours, Plan, Verdict, some_of};

/// Clocks differ by this much without anything being wrong.
const SKEW: Duration = Duration::from_secs(3600);
/// Bookmarks that are named; the others are of the same kind.
const NAMED: usize = 3;

/// Something that should be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: this computer, a drive, a dataset.
    pub about: String,
    /// What was found, in whole sentences.
    pub what: String,
    /// What mends it: commands to type, or words.
    pub remedies: Vec<String>,
}

impl Finding {
    fn new(about: impl ToString, what: impl Into<String>, remedies: &[&str]) -> Self {
        let remedies = remedies.iter().map(|&remedy| remedy.to_owned()).collect();
        Self { about: about.to_string(), what: what.into(), remedies }
    }
}

const HERE: &str = "this computer";

/// What is known of this computer.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// The versions of ZFS.
    pub versions: Versions,
    /// Whether an encrypted dataset is to be sent decrypted: other faults of ZFS concern that.
    pub plain: bool,
    /// Whether ZFS has a number for this computer that is its own.
    pub has_hostid: bool,
    /// The drives whose pools this computer imports by itself when it starts, with the names of the pools.
    pub auto_imported: Vec<(String, PoolName)>,
    /// Of each drive, when its last run ended by the clock of then.
    pub last_runs: Vec<(String, Timestamp)>,
}

/// What is wrong with this computer.
pub fn of_host(facts: &HostFacts, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(refusal) = version::refusal(&facts.versions) {
        found.push(Finding::new(HERE, format!("{}.", capital(&refusal.finding)), &[&refusal.remedy]));
    }
    let advice = version::advice(&facts.versions, facts.plain);
    found.extend(advice.into_iter().map(|text| Finding::new(HERE, text, &[])));
    if !facts.has_hostid {
        let what = "It has no host id. Another computer that has none either would not see that a drive was left imported here, and would import it as well.";
        found.push(Finding::new(HERE, what, &["zgenhostid"]));
    }
    for (drive, pool) in &facts.auto_imported {
        let what = "Its pool was imported such that this computer imports it by itself when it starts (its `cachefile` is the default), and misses it when it is away.";
        found.push(Finding::new(drive, what, &[&format!("zpool export {pool}")]));
    }
    for (drive, ended) in &facts.last_runs {
        if ended.duration_since(now) > jiff::SignedDuration::try_from(SKEW).unwrap_or_default() {
            let what = format!(
                "Its last run ended at {ended}, which is still to come: the clock was wrong then or is now."
            );
            found.push(Finding::new(drive, what, &["timedatectl"]));
        }
    }
    found
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// What is wrong with the sources of all drives.
pub fn of_sources(
    policies: &[Policy],
    sources: &Side,
    imported: &BTreeSet<PoolName>,
    drives: &BTreeSet<Guid>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for policy in policies {
        if !seen.insert((&policy.source, &policy.name)) {
            continue;
        }
        found.extend(of_source(policy, sources, imported));
    }
    found.extend(keys_in_files(policies, sources));
    found.extend(forgotten_bookmarks(sources, drives));
    found
}

fn of_source(policy: &Policy, sources: &Side, imported: &BTreeSet<PoolName>) -> Option<Finding> {
    let (source, pool) = (&policy.source, policy.source.pool());
    if !imported.contains(&pool) {
        let what = format!("Its pool {pool} is not imported, so that nothing of it can be backed up.");
        return Some(Finding::new(source, what, &[&format!("zpool import {pool}")]));
    }
    let Some(top) = sources.get(source) else {
        let remedy = format!("correct `source` of the backup {} in the configuration", policy.name);
        return Some(Finding::new(source, "It does not exist.", &[&remedy]));
    };
    let nothing = selected(policy, sources).all(|dataset| dataset.history.snapshots().is_empty());
    if nothing && policy.own.is_none() {
        let what = "It has no snapshots, nor has anything below it: there is nothing to back up.";
        let take = format!("zfs snapshot -r {}", quoted(&format!("{source}@first")));
        let own = format!("or set snapshot = \"before-run\" for the backup {}", policy.name);
        return Some(Finding::new(source, what, &[&take, &own]));
    }
    let open = top.encryption.is_none() && !policy.allow_plaintext;
    open.then(|| {
        let what = "It is not encrypted, and its copy would not be either: it is refused.";
        let remedy =
            format!("set allow-plaintext = true for the backup {}, if that is what you want", policy.name);
        Finding::new(source, what, &[&remedy])
    })
}

fn selected<'a>(policy: &'a Policy, sources: &'a Side) -> impl Iterator<Item = &'a crate::model::Dataset> {
    sources.datasets.values().filter(move |dataset| match dataset.name.below(&policy.source) {
        Some("") => !policy.skip_parent,
        Some(relative) => policy.recursive && policy.datasets.wants(relative),
        None => false,
    })
}

/// A key that nobody remembers is lost together with the machine that it is on.
fn keys_in_files(policies: &[Policy], sources: &Side) -> Vec<Finding> {
    let mut roots: BTreeMap<&DatasetName, String> = BTreeMap::new();
    for dataset in policies.iter().flat_map(|policy| selected(policy, sources)) {
        let Some(root) = dataset.encryption.as_ref().map(|encryption| &encryption.root) else { continue };
        let wanted = sources.get(root).and_then(|root| root.encryption.as_ref()).map(|e| &e.wanted);
        let what = match wanted {
            Some(WantedKey::File(file)) => format!("Its key is the file {}", printable(file)),
            Some(WantedKey::Bytes) => "Its key is bytes that nobody remembers".to_owned(),
            Some(WantedKey::Passphrase) | None => continue,
        };
        roots.insert(root, what);
    }
    let finding = |(root, what): (&DatasetName, String)| {
        let what = format!("{what}. If it is lost together with this computer, no copy can ever be opened.");
        Finding::new(root, what, &["keep a copy of the key in another place"])
    };
    roots.into_iter().map(finding).collect()
}

/// Bookmarks for drives that are in no configuration keep nothing alive and cost little, but nobody else removes them.
fn forgotten_bookmarks(sources: &Side, drives: &BTreeSet<Guid>) -> Vec<Finding> {
    let mut forgotten: BTreeMap<Guid, Vec<String>> = BTreeMap::new();
    for dataset in sources.datasets.values() {
        for bookmark in dataset.history.bookmarks() {
            let ours = Ours::read(bookmark).filter(|ours| !drives.contains(&ours.drive));
            if let Some(ours) = ours {
                forgotten.entry(ours.drive).or_default().push(format!("{}#{}", dataset.name, bookmark.name));
            }
        }
    }
    let finding = |(drive, bookmarks): (Guid, Vec<String>)| {
        let names: Vec<&str> = bookmarks.iter().map(String::as_str).collect();
        let what = format!(
            "Bookmarks remain of a drive that is not in the configuration (pool {drive}): {}. Without them the next backup to that drive has to find a snapshot that both still have.",
            some_of(&names)
        );
        let mut remedies = vec!["keep them if that drive is still used".to_owned()];
        remedies.extend(bookmarks.iter().take(NAMED).map(|name| format!("zfs destroy {}", quoted(name))));
        Finding { about: HERE.to_owned(), what, remedies }
    };
    forgotten.into_iter().map(finding).collect()
}

/// What a run on a connected drive would refuse or warn of.
pub fn of_plan(drive: &str, plan: &Plan, afterwards: &Afterwards<'_>) -> Vec<Finding> {
    let warning = |text: &String| Finding::new(drive, text.clone(), &[]);
    let mut found: Vec<Finding> = plan.warnings.iter().map(warning).collect();
    for dataset in &plan.datasets {
        if let Verdict::Refused(refusal) = &dataset.verdict {
            found.push(Finding {
                about: dataset.source.to_string(),
                what: refusal.finding(&dataset.source, &dataset.target).to_string(),
                remedies: refusal.remedies(&dataset.source, &dataset.target, afterwards),
            });
        }
        let about = |text: &String| Finding::new(&dataset.source, text.clone(), &[]);
        found.extend(dataset.warnings.iter().map(about));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{World, name, policy};

    fn told(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|finding| format!("{}: {}", finding.about, finding.what)).collect()
    }

    fn healthy() -> HostFacts {
        let versions = Versions { tools: Some("2.4.4-1".into()), module: Some("2.4.4-1".into()) };
        HostFacts { versions, has_hostid: true, ..HostFacts::default() }
    }

    fn of(world: &World, policy: &Policy) -> Vec<Finding> {
        let imported = ["tank", "backup"].map(name).into();
        of_sources(std::slice::from_ref(policy), &world.source, &imported, &[Guid(7)].into())
    }

    #[test]
    fn a_healthy_computer_has_no_findings() {
        assert_eq!(told(&of_host(&healthy(), Timestamp::UNIX_EPOCH)), Vec::<String>::new());
        let world = World::new().source("tank/data", "@a,1 #V,1");
        assert_eq!(told(&of(&world, &policy())), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_with_a_computer_is_told_with_what_mends_it() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ended = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let facts = HostFacts {
            versions: Versions { tools: None, module: Some("2.2.0-1".into()) },
            plain: false,
            has_hostid: false,
            auto_imported: vec![("t7".into(), name("backup"))],
            last_runs: vec![("t7".into(), ended(3000)), ("wd".into(), ended(4000))],
        };
        let found = of_host(&facts, now);
        let remedies: Vec<&str> =
            found.iter().filter_map(|finding| Some(finding.remedies.first()?.as_str())).collect();
        assert!(remedies[0].starts_with("upgrade ZFS"), "{remedies:?}");
        assert_eq!(remedies[1..], ["zgenhostid", "zpool export backup", "timedatectl"]);
        assert!(told(&found).last().unwrap().starts_with("wd: Its last run"), "{found:?}");
    }

    #[test]
    fn what_is_wrong_with_a_source_is_told_with_what_mends_it() {
        let of_one = |world: &World, policy: &Policy| {
            let mut found = of(world, policy);
            assert_eq!(found.len(), 1, "{found:?}");
            found.remove(0)
        };
        let none = World::new().source("tank/data", "");
        let found = of_one(&none, &policy());
        assert_eq!(found.remedies[0], "zfs snapshot -r tank/data@first");
        let own = Policy { own: Some(crate::model::Keep::default()), ..policy() };
        assert_eq!(of(&none, &own), []);
        assert_eq!(of_one(&World::new(), &policy()).what, "It does not exist.");
        let away = Policy { source: name("rpool/data"), ..policy() };
        assert_eq!(of_one(&World::new(), &away).remedies, ["zpool import rpool"]);
        let open = World::new().source("tank/data", "@a,1").edit_source("tank/data", |d| d.encryption = None);
        assert!(of_one(&open, &policy()).remedies[0].starts_with("set allow-plaintext = true"));
        assert_eq!(of(&open, &Policy { allow_plaintext: true, ..policy() }), []);
        let file = World::new().source("tank/data", "@a,1").edit_source("tank/data", |dataset| {
            dataset.encryption.as_mut().unwrap().wanted = WantedKey::File("file:///key\u{1b}".into());
        });
        let found = of_one(&file, &policy());
        assert!(found.what.contains("the file file:///key\u{fffd}."), "{found:?}");
    }

    #[test]
    fn bookmarks_of_a_drive_that_nobody_knows_are_told_of_and_named() {
        let world = World::new().source("tank/data", "@a,1 #V,1");
        assert_eq!(of(&world, &policy()), []);
        let others = [Guid(8)].into();
        let found = of_sources(&[policy()], &world.source, &["tank".parse().unwrap()].into(), &others);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].remedies[1].starts_with("zfs destroy 'tank/data#zferry_"), "{found:?}");
    }

    #[test]
    fn what_a_run_would_refuse_is_a_finding() {
        let mut world = World::new().source("tank/data", "@a,1 @b,2").target("backup/eds", "@x,8");
        let afterwards = Afterwards { retry: "zferry run t7", imported: false };
        let found = of_plan("t7", &world.plan(&[policy()]), &afterwards);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].about == "tank/data" && !found[0].remedies.is_empty(), "{found:?}");
        world = World::new().source("tank/data", "@a,1");
        assert_eq!(of_plan("t7", &world.plan(&[policy()]), &afterwards), []);
    }
}
