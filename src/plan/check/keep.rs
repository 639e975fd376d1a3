//! `keep`, said a second time: every snapshot that goes is outlived, for every rule, by what the rule wants in its place.
//! Not a choice of what stays: a look at what would be left.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::{Dataset, Guid, Keep, Prune, SnapName};
use crate::plan::{Cause, Obsolete};

use super::{Found, Review};

/// An hour, day, week, month or year, by numbers that no two of a kind share.
type Span = (i64, i64, i64);

/// One snapshot after the run, or one that would go: oldest first.
struct Entry {
    guid: Guid,
    made: Option<Timestamp>,
    goes: bool,
}

/// The spans that a moment is in: hour, day, week, month, year.
fn spans(made: Timestamp, zone: &TimeZone) -> [Span; 5] {
    let (offset, at) = (zone.to_offset(made), zone.to_datetime(made));
    let days = |date: Date| i64::from(date.year()) * 400 + i64::from(date.day_of_year());
    let weekday = i64::from(at.weekday().to_monday_zero_offset());
    let midnight = Date::constant(1970, 1, 1).until(at.date()).map_or(0, |span| i64::from(span.get_days()));
    [
        (days(at.date()), at.hour().into(), offset.seconds().into()),
        (days(at.date()), 0, 0),
        // The number of the Monday that it began with.
        (midnight - weekday, 0, 0),
        (at.year().into(), at.month().into(), 0),
        (at.year().into(), 0, 0),
    ]
}

impl Review<'_> {
    /// What would go against a rule of `keep`, or was planned for another reason.
    pub(super) fn against_the_rules(&self, keep: &Keep, target: &Dataset) -> Found {
        let other = self.plan.prunes().filter(|one| one.cause == Cause::Gone);
        let mut found: Found =
            other.map(|one| ("S21", format!("{} would go as in “mirror”", one.snapshot))).collect();
        let doomed: Vec<&Obsolete> = self.plan.prunes().collect();
        let early: Vec<&Obsolete> =
            doomed.iter().copied().filter(|one| one.cause != Cause::Displaced).collect();
        let arriving = self.plan.sends().flat_map(|send| &send.delivers);
        let arriving: Vec<(Guid, &SnapName)> = arriving.map(|one| (one.guid, &one.name)).collect();
        found.extend(self.outlived(keep, target, &doomed, &arriving));
        found.extend(self.outlived(keep, target, &early, &[]));
        found
    }

    /// Each of these is outlived, with or without what arrives.
    fn outlived(
        &self,
        keep: &Keep,
        target: &Dataset,
        doomed: &[&Obsolete],
        arriving: &[(Guid, &SnapName)],
    ) -> Found {
        let going: BTreeSet<Guid> = doomed.iter().map(|one| one.guid).collect();
        let there = target.history.snapshots().iter().filter(|s| self.counts(&s.name, s.guid));
        let there = there.map(|s| Entry {
            guid: s.guid,
            made: target.detail(s.guid).creation,
            goes: going.contains(&s.guid),
        });
        let new = arriving.iter().filter(|(guid, name)| self.counts(name, *guid));
        let new =
            new.map(|(guid, _)| Entry { guid: *guid, made: self.source.detail(*guid).creation, goes: false });
        let judged = believable(there.chain(new).collect(), self.now.timestamp());
        let known: BTreeSet<Guid> = judged.iter().map(|(entry, _)| entry.guid).collect();
        let doubtful = doomed.iter().filter(|one| !known.contains(&one.guid));
        let mut found: Found = doubtful
            .map(|one| ("S3", format!("the date of {} is not to be trusted", one.snapshot)))
            .collect();
        let missed = wanted(keep, &judged, self.now.time_zone());
        found.extend(missed.into_iter().map(|guid| {
            let name = doomed.iter().find(|one| one.guid == guid).map(|one| one.snapshot.to_string());
            ("S3", format!("a rule of `keep` keeps {}", name.unwrap_or_default()))
        }));
        found
    }

    /// By name: selected and not protected.
    fn counts(&self, name: &SnapName, guid: Guid) -> bool {
        let forms = [format!("_{:08x}", guid.0 & 0xffff_ffff), format!("_{:016x}", guid.0)];
        let original = forms.iter().find_map(|form| name.as_str().strip_suffix(form.as_str()));
        let original = original.unwrap_or(name.as_str());
        let protected = [name.as_str(), original].iter().any(|name| self.policy.protect.is_match(name));
        let selected = original.parse().is_ok_and(|original| self.policy.snapshots.wants(&original));
        selected && !protected && self.policy.prune != Prune::Never
    }
}

/// Those whose date is neither unknown nor ahead, and not before that of one before it.
fn believable(all: Vec<Entry>, now: Timestamp) -> Vec<(Entry, Timestamp)> {
    let mut latest = Timestamp::MIN;
    let mut judged = Vec::with_capacity(all.len());
    for entry in all {
        let Some(made) = entry.made.filter(|made| *made <= now && *made >= latest) else { continue };
        latest = made;
        judged.push((entry, made));
    }
    judged
}

/// Those that go although what is left after them does not fill one of the rules.
fn wanted(keep: &Keep, judged: &[(Entry, Timestamp)], zone: &TimeZone) -> Vec<Guid> {
    let counts = [keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.yearly];
    let mut left: [BTreeSet<Span>; 5] = Default::default();
    let (mut newer, mut missed) = (0_u32, Vec::new());
    for (entry, made) in judged.iter().rev() {
        let spans = spans(*made, zone);
        if !entry.goes {
            newer += 1;
            left.iter_mut().zip(spans).for_each(|(left, span)| left.extend([span]));
            continue;
        }
        let full =
            |count: u32, left: &BTreeSet<Span>| left.len() >= usize::try_from(count).unwrap_or(usize::MAX);
        let filled = counts
            .iter()
            .zip(&left)
            .zip(spans)
            .all(|((&count, left), span)| full(count, left) || left.contains(&span));
        if newer < keep.last || !filled {
            missed.push(entry.guid);
        }
    }
    missed
}
