//! The rules of `keep` over two years: with a clock that moves, with one that is wrong, and across clock changes.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use proptest::prelude::*;

use crate::model::{Guid, Keep, Policy, Prune, Snapshot, Txg};
use crate::plan::testing::{World, detail, kernel, name, policy};
use crate::plan::{Dated, Stay, choose};

const HOUR: i64 = 3600;
/// 2024-01-01 00:00 UTC, a Monday.
const START: i64 = 1_704_067_200;

/// Central Europe: an hour is left out in March and comes twice in October.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn dated(guid: u64, second: i64) -> Dated {
    Dated { guid: Guid(guid), made: Some(at(second)) }
}

fn kept(keep: &Keep, all: &[Dated], now: &Zoned) -> BTreeSet<Guid> {
    choose(keep, all, now).into_keys().collect()
}

fn rules() -> [Keep; 3] {
    let usual = Keep { last: 5, hourly: 24, daily: 30, weekly: 12, monthly: 24, yearly: 10 };
    [usual, Keep { last: 0, hourly: 3, ..usual }, Keep { weekly: 4, yearly: 1, ..Keep::default() }]
}

#[test]
fn pruning_every_day_for_two_years_leaves_what_pruning_at_the_end_leaves() {
    // Two years of hours; every fifth is left out, so that there are gaps.
    let hours: Vec<i64> = (0..2 * 365 * 24).filter(|hour| hour % 5 != 3).collect();
    let all: Vec<Dated> =
        hours.iter().map(|&hour| dated(hour.unsigned_abs() + 1, START + hour * HOUR)).collect();
    for keep in rules() {
        let mut left: Vec<Dated> = Vec::new();
        let mut next = 0;
        for day in 1..=2 * 365 {
            let now = at(START + day * 24 * HOUR).to_zoned(berlin());
            while next < all.len() && all[next].made.is_some_and(|made| made < now.timestamp()) {
                left.push(all[next]);
                next += 1;
            }
            let stays = kept(&keep, &left, &now);
            left.retain(|snapshot| stays.contains(&snapshot.guid));
        }
        let end = at(START + 2 * 365 * 24 * HOUR).to_zoned(berlin());
        let left: BTreeSet<Guid> = left.iter().map(|snapshot| snapshot.guid).collect();
        assert_eq!(left, kept(&keep, &all, &end), "{keep:?}");
    }
}

#[test]
fn two_years_of_hours_leave_the_newest_of_each_period() {
    let all: Vec<Dated> =
        (0..2 * 365 * 24).map(|hour| dated(hour + 1, START + i64::try_from(hour).unwrap() * HOUR)).collect();
    let end = at(START + 2 * 365 * 24 * HOUR).to_zoned(berlin());
    let keep = Keep { daily: 3, weekly: 2, monthly: 3, yearly: 5, ..Keep::default() };
    let mut lines: Vec<_> = choose(&keep, &all, &end).into_iter().collect();
    lines.sort_by_key(|(guid, _)| *guid);
    let text = lines.iter().map(|(guid, why)| {
        let made = all.iter().find(|one| one.guid == *guid).and_then(|one| one.made).unwrap();
        let why: Vec<_> = why.iter().map(ToString::to_string).collect();
        format!("{}: {}", made.to_zoned(berlin()).strftime("%F %R"), why.join(", "))
    });
    // 2024 has 366 days: the last of these hours is the first of the last day of 2025, in Berlin.
    insta::assert_snapshot!(text.collect::<Vec<_>>().join("\n"), @r"
    2024-12-31 23:00: yearly 2024
    2025-10-31 23:00: monthly 2025-10
    2025-11-30 23:00: monthly 2025-11
    2025-12-28 23:00: weekly 2025-W52
    2025-12-29 23:00: daily 2025-12-29
    2025-12-30 23:00: daily 2025-12-30
    2025-12-31 00:00: daily 2025-12-31, weekly 2026-W01, monthly 2025-12, yearly 2025
    ");
}

#[test]
fn an_hour_that_comes_twice_is_two_hours_and_a_day_of_25_hours_one_day() {
    // 2024-10-27 00:30 UTC is 02:30 in summer, 01:30 UTC is 02:30 in winter.
    let first = 1_729_989_000;
    let all = [dated(1, first), dated(2, first + HOUR), dated(3, first + 2 * HOUR)];
    let now = at(first + 10 * HOUR).to_zoned(berlin());
    let hourly = Keep { hourly: 9, ..Keep::default() };
    let chosen = choose(&hourly, &all, &now);
    assert_eq!(chosen[&Guid(1)], [Stay::Period("hourly", "2024-10-27T02+02:00".to_owned())]);
    assert_eq!(chosen[&Guid(2)], [Stay::Period("hourly", "2024-10-27T02+01:00".to_owned())]);
    let day = [dated(1, first - 2 * HOUR - 1800), dated(2, first + 22 * HOUR)];
    let daily = Keep { daily: 9, ..Keep::default() };
    assert_eq!(kept(&daily, &day, &at(first + 90 * HOUR).to_zoned(berlin())), BTreeSet::from([Guid(2)]));
    assert_eq!(kept(&daily, &day, &at(first + 90 * HOUR).to_zoned(TimeZone::UTC)).len(), 2, "another zone");
}

#[test]
fn weeks_are_those_of_iso_8601() {
    // 2024-12-30 is a Monday, and in the first week of 2025.
    let monday = 1_735_516_800;
    let weekly = Keep { weekly: 9, ..Keep::default() };
    let all = [dated(1, monday - 1), dated(2, monday), dated(3, monday + 5 * 24 * HOUR)];
    let now = at(monday + 99 * 24 * HOUR).to_zoned(TimeZone::UTC);
    let chosen = choose(&weekly, &all, &now);
    assert_eq!(chosen[&Guid(1)], [Stay::Period("weekly", "2024-W52".to_owned())]);
    assert_eq!(chosen[&Guid(3)], [Stay::Period("weekly", "2025-W01".to_owned())]);
    assert!(!chosen.contains_key(&Guid(2)));
}

/// A snapshot with a wrong date is put among sound ones: whatever stayed without it stays with it.
fn a_wrong_date_costs_nothing(days: &[i64], wrong: &[(usize, i64, bool)], keep: &Keep) {
    let mut second = START;
    let mut sound = Vec::new();
    for (place, gap) in days.iter().enumerate() {
        second += gap * HOUR;
        sound.push(dated(place as u64 + 1, second));
    }
    let now = at(second).checked_add(1.hours()).unwrap().to_zoned(berlin());
    let mut all = sound.clone();
    for (number, (place, by, ahead)) in wrong.iter().enumerate() {
        let place = 1 + place % all.len();
        // Behind its place, or after now.
        let before = all[..place].iter().filter_map(|one| one.made).min().unwrap().as_second();
        let made = if *ahead { now.timestamp().as_second() + 1 + by * HOUR } else { before - 1 - by * HOUR };
        all.insert(place, dated(10_000 + number as u64, made));
    }
    let (without, with) = (kept(keep, &sound, &now), kept(keep, &all, &now));
    assert!(without.is_subset(&with), "{:?} went", without.difference(&with).collect::<Vec<_>>());
    assert!((0..wrong.len()).all(|number| with.contains(&Guid(10_000 + number as u64))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn snapshots_of_a_wrong_clock_cost_no_other(
        days in prop::collection::vec(1..60_i64, 1..60),
        wrong in prop::collection::vec((0..60_usize, 0..9000_i64, any::<bool>()), 1..5),
        which in 0..3_usize,
    ) {
        a_wrong_date_costs_nothing(&days, &wrong, &rules()[which]);
    }
}

/// Runs on a drive, one a day: the plan, its checker and the kernel of the tests, not only the arithmetic.
#[test]
fn a_run_a_day_leaves_on_the_drive_what_the_rules_say_of_all_that_there_ever_was() {
    let keep = Keep { last: 2, daily: 7, weekly: 3, monthly: 2, ..Keep::default() };
    let policies = [Policy { prune: Prune::Keep(keep), ..policy() }];
    let mut world = World::new().source("tank/data", "");
    world.zone = berlin();
    let mut all = Vec::new();
    for day in 0..70_i64 {
        for hour in [8, 20] {
            let number = (day * 2 + hour / 20).unsigned_abs() + 1;
            all.push(dated(number, START + (day * 24 + hour) * HOUR));
            let source = world.source.datasets.get_mut(&name("tank/data")).unwrap();
            let snapshot =
                Snapshot { name: name(&format!("s{number}")), guid: Guid(number), txg: Txg(number * 10) };
            kernel::change(source, |snapshots, _| snapshots.push(snapshot));
            let made =
                crate::model::SnapshotDetail { creation: all.last().unwrap().made, ..detail(Guid(number)) };
            source.details.insert(Guid(number), made);
            // The source keeps less than the drive.
            kernel::change(source, |snapshots, _| snapshots.retain(|s| s.guid.0 + 6 > number));
        }
        world.now = at(START + (day + 1) * 24 * HOUR);
        world.run(&policies);
    }
    world.run(&policies);
    let there = world.target.get(&name("backup/eds")).unwrap().history.snapshots();
    let there: BTreeSet<Guid> = there.iter().map(|snapshot| snapshot.guid).collect();
    assert_eq!(there, kept(&keep, &all, &world.now.to_zoned(berlin())));
    assert!(world.plan(&policies).datasets[0].steps.is_empty());
}
