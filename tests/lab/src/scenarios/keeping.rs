//! What is kept when it is a matter of dates: on the drive by rules, and on the source of the snapshots that zferry took.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::Command;
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "each run takes a snapshot first, the source keeps two days of them and the drive three, and others' stay",
            days,
        ),
        Scenario::full(
            "of two years of snapshots the drive keeps those of a table made by other means",
            two_years,
        ),
    ]
}

/// The names of snapshots that zferry took, oldest first.
fn own(lab: &mut Lab, dataset: &str) -> Result<Vec<String>> {
    let listing = lab.run(&format!(
        "zfs list -Hp -d 1 -t snapshot -s createtxg -o name,org.zferry:snapshot '{dataset}' | sed 's/^[^@]*@//'"
    ))?;
    listing.exits(0)?;
    let row = |row: Vec<String>| (row.len() == 2 && row[0] == row[1]).then(|| row[0].clone());
    Ok(listing.rows().into_iter().filter_map(row).collect())
}

fn days(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.write(
        "/etc/zferry/config.toml",
        format!(
            "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\n\n[backups.home]\nsource = \"{HOME}\"\n\
             target = \"eds\"\nexclude = [\"videos\"]\nprune = \"keep\"\nkeep = {{ daily = 3 }}\n\
             snapshot = \"before-run\"\nsnapshot-keep = {{ daily = 2 }}\n"
        ),
    )?;
    lab.run(&format!(
        "zfs create {HOME}/videos; zfs snapshot {HOME}/videos@mine {HOME}@zferry_2026-01-01T000000Z"
    ))?
    .exits(0)?;
    let before = lab.guids(HOME)?;

    // Nothing is taken by somebody who only looks.
    lab.run("zferry plan t7")?.exits(0)?.says("a run first takes a snapshot of 2 datasets")?;
    ensure!(lab.guids(HOME)? == before, "the plan changed the source");

    // Everything of the first day arrives, and only then the rules are asked.
    lab.backup(&t7, "")?.counts(&[("pruned", 0), ("warnings", 0)])?;
    let mut taken = own(lab, HOME)?;
    ensure!(taken.len() == 1 && own(lab, &format!("{HOME}/anna"))? == taken, "{taken:?}");
    lab.run(&format!("zfs list -Hp -o createtxg {HOME}@{0} {HOME}/anna@{0} | sort -u | wc -l", taken[0]))?
        .prints("1")?;
    lab.run(&format!("zfs list -H -d 1 -t snapshot -o name {HOME}/videos"))?
        .prints(&format!("{HOME}/videos@mine"))?;

    for day in 2..=5 {
        lab.run("date -s '+1 day'")?.exits(0)?;
        lab.backup(&t7, "")?.counts(&[("warnings", 0)])?;
        taken.extend(own(lab, HOME)?.pop());
        let here = &taken[taken.len() - 2..];
        for dataset in [HOME.to_owned(), format!("{HOME}/anna")] {
            ensure!(own(lab, &dataset)? == here, "on day {day} {dataset} has other ones than {here:?}");
        }
    }
    ensure!(taken.len() == 5, "{taken:?}");

    // The source still has what the rules gave up on the drive, and nobody else's went there.
    for identity in &before {
        ensure!(lab.guids(HOME)?.contains(identity), "{identity:?} is gone from the source");
    }
    for below in ["", "/anna"] {
        let there = lab.snapshots_on(&t7, "backup/eds")?;
        let prefix = format!("{below}@");
        let names: Vec<_> = there.iter().filter_map(|(name, ..)| name.strip_prefix(&prefix)).collect();
        ensure!(names == taken[2..], "{below:?} on the drive has {names:?}, and not {:?}", &taken[2..]);
    }
    lab.run("zferry plan t7")?.exits(0)?.says(&format!("keep backup/eds@{}: daily 20", taken[4]))?;

    // A clock that went back by years: nothing goes, here or there, and what is taken now is told apart.
    let there = lab.snapshots_on(&t7, "backup/eds")?;
    lab.run("date -s 2020-02-02")?.exits(0)?;
    lab.backup(&t7, "")?.counts(&[("pruned", 0)])?;
    let after = lab.snapshots_on(&t7, "backup/eds")?;
    ensure!(after.is_superset(&there) && after.len() == there.len() + 2, "{after:?}");
    ensure!(own(lab, HOME)?.len() == 3, "something went from the source");
    Ok(())
}

/// How many of each are kept, as the configuration has it: the last ones, days, weeks, months, years.
const RULES: [usize; 5] = [3, 14, 8, 12, 5];

/// Snapshots as far apart as this, in days, up to these days: less often in the first two years than in the last weeks.
const STAGES: [(u32, u32, u32); 4] = [(0, 300, 5), (300, 600, 5), (600, 670, 5), (670, 731, 1)];

/// A snapshot: its name, and the day, the week, the month and the year that it is of, as `date` has them.
type Dated = (String, [String; 4]);

/// What the rules keep of these, oldest first, by counting from the newest backwards.
fn kept(all: &[Dated]) -> BTreeSet<String> {
    let mut kept: BTreeSet<String> = all.iter().rev().take(RULES[0]).map(|(name, _)| name.clone()).collect();
    for (kind, &wanted) in RULES[1..].iter().enumerate() {
        let mut periods: Vec<&String> = Vec::new();
        for (name, of) in all.iter().rev() {
            if periods.last() != Some(&&of[kind]) && periods.len() < wanted {
                periods.push(&of[kind]);
                kept.insert(name.clone());
            }
        }
    }
    kept
}

/// All snapshots of the source, oldest first.
fn dated(lab: &mut Lab) -> Result<Vec<Dated>> {
    let listing = lab.run(&format!(
        "zfs list -Hp -d 1 -t snapshot -s createtxg -o name,creation {HOME} | \
         while read -r name at; do printf '%s\\t%s\\n' \"${{name#*@}}\" \"$(date -d @$at '+%F%t%G-%V%t%Y-%m%t%Y')\"; done"
    ))?;
    let row = |row: Vec<String>| {
        let [name, day, week, month, year] = <[String; 5]>::try_from(row).ok()?;
        Some((name, [day, week, month, year]))
    };
    listing.exits(0)?.rows().into_iter().map(|of| row(of).context("a line without a date")).collect()
}

fn two_years(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    let [last, daily, weekly, monthly, yearly] = RULES;
    lab.write(
        "/etc/zferry/config.toml",
        format!(
            "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\n\n[backups.home]\nsource = \"{HOME}\"\n\
             target = \"eds\"\nrecursive = false\nprune = \"keep\"\nprune-limit = \"100%\"\n\
             keep = {{ last = {last}, daily = {daily}, weekly = {weekly}, monthly = {monthly}, yearly = {yearly} }}\n"
        ),
    )?;
    let mut there = BTreeSet::new();
    let mut known = 0;
    for (number, (from, to, step)) in STAGES.into_iter().enumerate() {
        lab.execute(
            Command::shell(&format!(
                "set -e; for day in $(seq {from} {step} {}); do date -u -s \"2027-01-04 12:00 $day days\" > /dev/null; \
                 zfs snapshot {HOME}@day$day; done",
                to - 1
            ))
            .within(Duration::from_secs(300)),
        )?
        .exits(0)?;
        let all = dated(lab)?;
        there.extend(all[known..].iter().map(|(name, _)| name.clone()));
        known = all.len();
        // The first run only brings everything; a second one that has nothing to send prunes as well.
        for _ in 0..2 {
            lab.backup(&t7, "")?;
        }
        let on_drive: Vec<Dated> = all.into_iter().filter(|(name, _)| there.contains(name)).collect();
        there = kept(&on_drive);
        let found = lab.snapshots_on(&t7, "backup/eds")?;
        let found: BTreeSet<String> =
            found.iter().filter_map(|(name, ..)| name.strip_prefix('@')).map(str::to_owned).collect();
        ensure!(
            found == there,
            "stage {number}: only on the drive {:?}, only in the table {:?}",
            found.difference(&there),
            there.difference(&found)
        );
        lab.remark(&format!("{} of {known}", there.len()));
    }
    ensure!(dated(lab)?.len() == known, "something went from the source");
    Ok(())
}
