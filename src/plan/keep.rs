//! `keep`: which snapshots stay by the rules "the newest five, one of each of the last thirty days …", whatever the
//! source has. Pure arithmetic on dates; what becomes of the others is decided by those who ask.
//!
//! Of each period the *newest* snapshot is kept, of the last so many periods *that have one*. So the snapshot made last
//! is kept by every rule, pruning every day leaves the same as pruning once at the end, and time that passes without
//! snapshots destroys nothing. Periods are those of the clock on the wall: by the time zone that comes in with `now`. An
//! hour that a clock change repeats is two hours.
//!
//! No clock is trusted so far that a wrong one could destroy more. A snapshot whose date lies ahead, is not known, or is
//! before that of one that was made earlier stays, and takes no place in any rule: it stands for no period, and none of
//! the others goes because of it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::model::{Guid, Keep, Snapshot, SnapshotName};

use super::Cause;
use super::prune::{Case, is_protected, original_name};

/// Why a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// Among the newest: its place, counted from 1.
    Last(u32),
    /// The newest of its hour, day, week, month or year.
    Period(&'static str, String),
    /// Its date lies ahead.
    Ahead,
    /// It is dated before one that was made earlier.
    Disordered,
    /// Its date is not known.
    Undated,
    /// By `protect`.
    Protected,
    /// By `snapshots`: deselecting never deletes.
    Unselected,
    /// ZFS would not destroy it.
    InUse,
    /// It is what the next run builds on.
    Base,
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(place) => write!(f, "last {place}"),
            Self::Period(rule, period) => write!(f, "{rule} {period}"),
            Self::Ahead => f.write_str("its date lies ahead"),
            Self::Disordered => f.write_str("its date is before that of an older one"),
            Self::Undated => f.write_str("its date is not known"),
            Self::Protected => f.write_str("protected"),
            Self::Unselected => f.write_str("not selected"),
            Self::InUse => f.write_str("held or cloned"),
            Self::Base => f.write_str("the next run builds on it"),
        }
    }
}

/// A snapshot of the drive that stays, and all reasons for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name there.
    pub snapshot: SnapshotName,
    /// Never empty.
    pub why: Vec<Stay>,
}

/// A snapshot and the date that it bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// What it is.
    pub guid: Guid,
    /// By the clock of the host that made it.
    pub made: Option<Timestamp>,
}

type Label = fn(&Zoned) -> String;

/// The rules on periods, each with how many of them and the name of the one that a moment is in.
fn rules(keep: &Keep) -> [(&'static str, u32, Label); 5] {
    let week: Label = |at| {
        let week = at.date().iso_week_date();
        format!("{}-W{:02}", week.year(), week.week())
    };
    [
        ("hourly", keep.hourly, |at| at.strftime("%Y-%m-%dT%H%:z").to_string()),
        ("daily", keep.daily, |at| at.strftime("%Y-%m-%d").to_string()),
        ("weekly", keep.weekly, week),
        ("monthly", keep.monthly, |at| at.strftime("%Y-%m").to_string()),
        ("yearly", keep.yearly, |at| at.strftime("%Y").to_string()),
    ]
}

/// Why each of these stays, for those that do. They come in the order in which they were made.
pub fn choose(keep: &Keep, snapshots: &[Dated], now: &Zoned) -> HashMap<Guid, Vec<Stay>> {
    let mut stays: HashMap<Guid, Vec<Stay>> = HashMap::new();
    let mut judged: Vec<(Guid, Timestamp)> = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        let doubt = match (snapshot.made, judged.last()) {
            (None, _) => Stay::Undated,
            (Some(made), _) if made > now.timestamp() => Stay::Ahead,
            (Some(made), Some((_, before))) if made < *before => Stay::Disordered,
            (Some(made), _) => {
                judged.push((snapshot.guid, made));
                continue;
            }
        };
        stays.entry(snapshot.guid).or_default().push(doubt);
    }
    for ((guid, _), place) in judged.iter().rev().zip(1..=keep.last) {
        stays.entry(*guid).or_default().push(Stay::Last(place));
    }
    let zone = now.time_zone();
    for (rule, count, label) in rules(keep) {
        for (guid, period) in newest_of_each(&judged, count, label, zone) {
            stays.entry(guid).or_default().push(Stay::Period(rule, period));
        }
    }
    stays
}

/// The newest of each of the last so many periods that have one.
fn newest_of_each(
    judged: &[(Guid, Timestamp)],
    count: u32,
    label: Label,
    zone: &TimeZone,
) -> Vec<(Guid, String)> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (guid, made) in judged.iter().rev() {
        if found.len() >= usize::try_from(count).unwrap_or(usize::MAX) {
            break;
        }
        let period = label(&made.to_zoned(zone.clone()));
        if seen.insert(period.clone()) {
            found.push((*guid, period));
        }
    }
    found
}

/// What the rules of `keep` say of a copy.
#[derive(Debug, Default)]
pub struct Sorted {
    /// What goes, oldest first.
    pub due: Vec<(Guid, SnapshotName, Cause)>,
    /// What stays, oldest first.
    pub kept: Vec<Kept>,
}

/// What the rules say of the copy, with what arrives in this run: that is judged by the next run at the earliest.
pub fn sort_out(case: &Case<'_>, keep: &Keep) -> Sorted {
    let there: Vec<Dated> = competing(case).collect();
    let arriving = case.delivered.iter().filter_map(|&guid| case.source.history.snapshot(guid));
    let arriving = arriving
        .filter(|s| case.policy.snapshots.wants(&s.name) && !is_protected(case.policy, s))
        .map(|snapshot| Dated { guid: snapshot.guid, made: case.source.detail(snapshot.guid).creation });
    let before = choose(keep, &there, case.now);
    let all: Vec<Dated> = there.into_iter().chain(arriving).collect();
    let mut after = choose(keep, &all, case.now);
    let mut sorted = Sorted::default();
    for snapshot in case.target.history.snapshots() {
        let Ok(name) = case.target.name.snapshot(&snapshot.name) else { continue };
        let mut why = after.remove(&snapshot.guid).unwrap_or_default();
        why.extend(beside_the_rules(case, snapshot, why.is_empty()));
        if !why.is_empty() {
            sorted.kept.push(Kept { snapshot: name, why });
        } else if before.contains_key(&snapshot.guid) {
            sorted.due.push((snapshot.guid, name, Cause::Displaced));
        } else {
            sorted.due.push((snapshot.guid, name, Cause::NoRule));
        }
    }
    sorted
}

/// The copy's snapshots that the rules are about. What stays by its name takes no place of another.
fn competing<'a>(case: &Case<'a>) -> impl Iterator<Item = Dated> + use<'a> {
    let (policy, target) = (case.policy, case.target);
    let snapshots = target.history.snapshots().iter();
    let snapshots =
        snapshots.filter(|s| policy.snapshots.wants(&original_name(s)) && !is_protected(policy, s));
    snapshots.map(|snapshot| Dated {
        guid: snapshot.guid,
        made: target.details.get(&snapshot.guid).and_then(|detail| detail.creation),
    })
}

/// What else keeps a snapshot. What is only found out by looking is told when no rule keeps it.
fn beside_the_rules(case: &Case<'_>, snapshot: &Snapshot, alone: bool) -> Option<Stay> {
    let detail = case.target.details.get(&snapshot.guid);
    if is_protected(case.policy, snapshot) {
        Some(Stay::Protected)
    } else if !case.policy.snapshots.wants(&original_name(snapshot)) {
        Some(Stay::Unselected)
    } else if !alone {
        None
    } else if snapshot.guid == case.newest {
        Some(Stay::Base)
    } else {
        detail.is_none_or(|detail| detail.holds > 0 || detail.clones > 0).then_some(Stay::InUse)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why: Vec<_> = self.why.iter().map(ToString::to_string).collect();
        write!(f, "keep {}: {}", self.snapshot, why.join(", "))
    }
}
