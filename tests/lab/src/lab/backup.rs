//! Runs of zferry, what they told, and what is on the drive afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Identity, Lab};
use crate::command::{Command, DEADLINE, Output};
use crate::drive::Drive;

/// How zferry tells what is known of a version of ZFS.
const KNOWN_FAULTS: &str = "has known faults";

/// What one run told: events for machines, sentences for people.
#[derive(Debug, Clone)]
pub struct Told {
    output: Output,
    events: Vec<Value>,
}

impl Told {
    fn read(output: &Output) -> Result<Self> {
        let event = |line: &str| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"));
        let events = output.stdout().lines().map(event).collect::<Result<_>>()?;
        Ok(Self { output: output.clone(), events })
    }

    /// The events of this kind.
    pub fn events<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }

    /// A number of the last event. What is known of the guest's ZFS says nothing about the run, and is no warning here.
    pub fn count(&self, field: &str) -> Result<u64> {
        let last = self.events.last().filter(|event| event["event"] == "drive-finished");
        let number = last.and_then(|event| event[field].as_u64());
        let number = number.with_context(|| format!("the last event has no {field}: {last:?}"))?;
        let of_zfs = |event: &&Value| event["text"].as_str().is_some_and(|text| text.contains(KNOWN_FAULTS));
        let advice = self.events("warning").filter(of_zfs).count() as u64;
        Ok(if field == "warnings" { number.saturating_sub(advice) } else { number })
    }

    /// So much was counted.
    pub fn counts(&self, expected: &[(&str, u64)]) -> Result<&Self> {
        for (field, expected) in expected {
            let found = self.count(field)?;
            ensure!(found == *expected, "{field}: {found} instead of {expected}\n{}", self.output.stderr());
        }
        Ok(self)
    }

    /// Bytes that travelled to this dataset.
    pub fn sent_to(&self, target: &str) -> u64 {
        let streams = self.events("send-finished").filter(|event| event["target"] == target);
        streams.filter_map(|event| event["sent"].as_u64()).sum()
    }

    /// At least and at most so many bytes travelled.
    pub fn sent_between(&self, least: u64, most: u64) -> Result<&Self> {
        let sent = self.count("sent")?;
        let range = least..=most;
        ensure!(range.contains(&sent), "{sent} bytes travelled, not {range:?}\n{}", self.output.stderr());
        Ok(self)
    }

    /// People were told this.
    pub fn says(&self, text: &str) -> Result<&Self> {
        self.output.says(text)?;
        Ok(self)
    }

    /// People were told nothing of this.
    pub fn says_nothing_of(&self, text: &str) -> Result<&Self> {
        let said = self.output.stderr().contains(text);
        ensure!(!said, "nobody should hear of {text:?}\n{}", self.output.stderr());
        Ok(self)
    }

    /// The very last line that people were told.
    pub fn ends_with(&self, expected: &str) -> Result<&Self> {
        let stderr = self.output.stderr();
        let last = stderr.trim_end().lines().last().unwrap_or_default();
        ensure!(last == expected, "it ends with {last:?}, not with {expected:?}\n{stderr}");
        Ok(self)
    }
}

/// A snapshot below some dataset: its place with its name, guid and IV set.
pub type Copied = BTreeSet<(String, String, String)>;

impl Lab {
    /// Runs zferry with these arguments and `--json`; it must return 0.
    pub fn zferry(&mut self, arguments: &str) -> Result<Told> {
        let output = self.run(&format!("zferry --json {arguments}"))?;
        Told::read(output.exits(0)?)
    }

    /// Runs a backup to a drive that stays plugged in, which must end well.
    pub fn backup(&mut self, drive: &Drive, arguments: &str) -> Result<Told> {
        let name = drive.name();
        let told = self.zferry(&format!("run --no-power-off {name} {arguments}"))?;
        told.ends_with(&format!("Safe to unplug {name} (exported; still powered)."))?
            .counts(&[("failed", 0)])?;
        drive.is_exported()?;
        Ok(told)
    }

    /// Runs a line of shell while the drive's pool is imported read-only, which changes nothing on it. What has just
    /// noticed the pool (udev, zed) may keep it busy for a moment when it is to go again.
    pub fn on_drive(&mut self, drive: &Drive, pool: &str, line: &str) -> Result<Output> {
        self.on_drive_within(DEADLINE, drive, pool, line)
    }

    /// The same for what may take longer.
    pub fn on_drive_within(
        &mut self,
        deadline: Duration,
        drive: &Drive,
        pool: &str,
        line: &str,
    ) -> Result<Output> {
        let line = format!(
            "zpool import -N -o readonly=on -o cachefile=none -R /run/lab/altroot -d {} {pool} || exit 99; \
             ( {line} ); code=$?; \
             for try in {{1..15}}; do zpool export {pool} && exit $code; sleep 1; done; exit 98",
            drive.partition()
        );
        let output = self.execute(Command::shell(&line).within(deadline))?;
        output.exits(0)?;
        Ok(output)
    }

    /// All snapshots at and below a dataset of an imported pool.
    pub fn snapshots_below(&mut self, top: &str) -> Result<Copied> {
        let listing = self.run(&listing(top))?;
        copied(listing.exits(0)?, top)
    }

    /// The same, on a drive that is plugged in and exported.
    pub fn snapshots_on(&mut self, drive: &Drive, top: &str) -> Result<Copied> {
        let pool = top.split('/').next().unwrap_or_default();
        copied(&self.on_drive(drive, pool, &listing(top))?, top)
    }

    /// The drive must have these snapshots: the same guids, the same IV sets, no other.
    pub fn drive_has(&mut self, drive: &Drive, top: &str, expected: &Copied) -> Result<()> {
        let there = self.snapshots_on(drive, top)?;
        let missing: Vec<_> = expected.difference(&there).collect();
        let extra: Vec<_> = there.difference(expected).collect();
        ensure!(
            missing.is_empty() && extra.is_empty(),
            "{top} on {} lacks {missing:?} and should not have {extra:?}",
            drive.name()
        );
        Ok(())
    }

    /// Each of these datasets has one bookmark of the drive, made of its newest snapshot.
    pub fn one_bookmark_each(&mut self, drive: u64, datasets: &[&str]) -> Result<()> {
        for dataset in datasets {
            let newest = self.guids(&format!("'{dataset}'"))?.pop().context("no snapshot")?;
            let bookmarks = self.bookmarks(&format!("'{dataset}'"))?;
            let name = format!("zferry_{drive}_{}", newest.guid);
            let expected = Identity { name, ..newest };
            ensure!(bookmarks == [expected.clone()], "{dataset}: {bookmarks:?} instead of {expected:?}");
        }
        Ok(())
    }

    /// No snapshot of the pool is held.
    pub fn nothing_is_held(&mut self, pool: &str) -> Result<()> {
        self.run(&format!("zfs list -Hp -r -t snapshot -o userrefs {pool} | sort -u"))?.prints("0")?;
        Ok(())
    }
}

fn listing(top: &str) -> String {
    format!("zfs list -Hp -r -t snapshot -o name,guid,ivsetguid '{top}'")
}

fn copied(listing: &Output, top: &str) -> Result<Copied> {
    let snapshot = |row: Vec<String>| {
        let [name, guid, ivsetguid] = <[String; 3]>::try_from(row).ok()?;
        Some((name.strip_prefix(top)?.to_owned(), guid, ivsetguid))
    };
    let rows = listing.rows().into_iter();
    rows.map(|row| snapshot(row).context("zfs list printed something else")).collect()
}
