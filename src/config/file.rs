//! The file as written: checked key by key, but without defaults, and nothing is put together yet.

use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::DeTable;

use super::age::{AgeLimit, Length};
use super::keys::{ALERTS, BACKUP, DRIVE, KEEP, SNAPSHOTS, STREAM, TOP};
use super::name::{BackupName, DriveName};
use super::problem::{Problems, place};
use super::property;
use super::reader::{Reader, Written};
use super::streams::{StreamFile, read_stream};
use crate::model::{DatasetName, Guid, HistoryMode, Keep, LuksUuid, Ping, PoolName, SendMode, glob_set};

/// The whole file.
#[derive(Debug, Default)]
pub struct File {
    /// `[drives.NAME]`.
    pub drives: Vec<DriveFile>,
    /// `[backups.NAME]`.
    pub backups: Vec<BackupFile>,
    /// `[streams.NAME]`.
    pub streams: Vec<StreamFile>,
}

/// One `[drives.NAME]`.
#[derive(Debug)]
pub struct DriveFile {
    /// NAME.
    pub name: Spanned<DriveName>,
    /// `pool`
    pub pool: Option<Spanned<PoolName>>,
    /// `pool-guid`
    pub guid: Option<Spanned<Guid>>,
    /// `backups`
    pub backups: Option<Vec<Spanned<BackupName>>>,
    /// `power-off`
    pub power_off: Option<bool>,
    /// `rescue`
    pub rescue: Option<bool>,
    /// `luks`
    pub luks: Option<Spanned<LuksUuid>>,
    /// `luks-key-file`
    pub luks_key_file: Option<Spanned<String>>,
    /// `replug-wait`
    pub replug_wait: Option<Length>,
    /// `scrub`
    pub scrub: Option<AgeLimit>,
    /// `rehearse`
    pub rehearse: Option<AgeLimit>,
    /// `min-interval`
    pub min_interval: Option<Length>,
    /// `warn-after`
    pub warn_after: Option<AgeLimit>,
    /// `[drives.NAME.alerts]`
    pub alerts: Option<AlertsFile>,
    /// `[drives.NAME.override.BACKUP]`.
    pub overrides: Vec<BackupFile>,
    /// For `config show`.
    pub written: Written,
}

/// `[drives.NAME.alerts]`.
#[derive(Debug)]
pub struct AlertsFile {
    /// `ping`
    pub ping: Option<Ping>,
    /// `on-start`
    pub on_start: Vec<String>,
    /// `on-success`
    pub on_success: Vec<String>,
    /// `on-failure`
    pub on_failure: Vec<String>,
    /// `metrics`
    pub metrics: Option<PathBuf>,
    /// For `config show`.
    pub written: Written,
}

/// One `[backups.NAME]`, or what differs from it on one drive.
#[derive(Debug)]
pub struct BackupFile {
    /// NAME.
    pub name: Spanned<BackupName>,
    /// `source`
    pub source: Option<Spanned<DatasetName>>,
    /// `target`; `{host}` is still in it.
    pub target: Option<Spanned<String>>,
    /// `recursive`
    pub recursive: Option<bool>,
    /// `exclude`
    pub exclude: Option<Vec<Glob>>,
    /// `snapshots`
    pub snapshots: Option<SnapshotGlobs>,
    /// `send`
    pub send: Option<SendMode>,
    /// `allow-plaintext`
    pub allow_plaintext: Option<bool>,
    /// `history`
    pub history: Option<HistoryMode>,
    /// `prune`
    pub prune: Option<PruneWord>,
    /// `keep`
    pub keep: Option<Keep>,
    /// `snapshot`
    pub snapshot: Option<TakeSnapshot>,
    /// `snapshot-keep`
    pub snapshot_keep: Option<Keep>,
    /// `protect`
    pub protect: Option<Vec<Glob>>,
    /// `prune-limit`
    pub prune_limit: Option<Percent>,
    /// `grace`
    pub grace: Option<Length>,
    /// `properties`
    pub properties: Option<Vec<(String, String)>>,
    /// `max-age`
    pub max_age: Option<AgeLimit>,
    /// For `config show`.
    pub written: Written,
}

/// `prune`, without the rules that one of the words needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneWord {
    /// `mirror`
    Mirror,
    /// `keep`
    Keep,
    /// `never`
    Never,
}

/// `snapshot`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeSnapshot {
    /// `before-run`
    BeforeRun,
    /// `never`
    Never,
}

/// `snapshots = { include = […], exclude = […] }`.
#[derive(Debug, Clone, Default)]
pub struct SnapshotGlobs {
    /// None: all.
    pub include: Option<Vec<Glob>>,
    /// Nothing by default.
    pub exclude: Vec<Glob>,
}

/// A pattern that compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(pub String);

impl FromStr for Glob {
    type Err = globset::Error;
    fn from_str(text: &str) -> Result<Self, globset::Error> {
        glob_set(&[text.to_owned()]).map(|_| Self(text.to_owned()))
    }
}

/// A share: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub u8);

/// The text was not a share.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a share; write it as \"1%\" to \"100%\"")]
pub struct PercentError(String);

impl FromStr for Percent {
    type Err = PercentError;
    fn from_str(text: &str) -> Result<Self, PercentError> {
        let number = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
        let share = number.filter(|share| (1..=100).contains(share) && !text.starts_with('+'));
        share.map(Self).ok_or_else(|| PercentError(text.chars().take(40).collect()))
    }
}

impl File {
    /// Reads the text of a configuration. What is wrong is noted in `problems`; what is right is in the result.
    pub fn read(text: &str, problems: &mut Problems) -> Self {
        match DeTable::parse(text) {
            Ok(table) => Self::from_table(table.get_ref(), problems),
            Err(error) => {
                let at = error.span().unwrap_or_default();
                let hint = override_hint(place(text, at.start).2);
                problems.push(at, "", format!("not TOML: {}", error.message()), hint);
                Self::default()
            }
        }
    }

    fn from_table(table: &DeTable<'_>, problems: &mut Problems) -> Self {
        let mut top = Reader::new("", table, TOP, problems);
        let drives = top.sections("drives", DRIVE, read_drive);
        let backups = top.sections("backups", BACKUP, read_backup);
        let streams = top.sections("streams", STREAM, read_stream);
        Self { drives, backups, streams }
    }
}

/// `backups` is a list. Who takes it for a table gets an error of the parser that does not help.
fn override_hint(line: &str) -> Option<String> {
    let table = line.trim().starts_with("[drives.") && line.contains(".backups.");
    table.then(|| {
        format!("what differs on a drive goes into {}", line.trim().replacen(".backups.", ".override.", 1))
    })
}

fn read_drive(name: Spanned<DriveName>, mut reader: Reader<'_, '_>) -> DriveFile {
    DriveFile {
        name,
        pool: reader.parsed("pool"),
        guid: reader.parsed("pool-guid"),
        backups: reader.list("backups"),
        power_off: reader.flag("power-off"),
        rescue: reader.flag("rescue"),
        luks: reader.parsed("luks"),
        luks_key_file: reader.text("luks-key-file"),
        replug_wait: reader.parsed("replug-wait").map(Spanned::into_inner),
        scrub: reader.parsed("scrub").map(Spanned::into_inner),
        rehearse: reader.parsed("rehearse").map(Spanned::into_inner),
        min_interval: reader.parsed("min-interval").map(Spanned::into_inner),
        warn_after: reader.parsed("warn-after").map(Spanned::into_inner),
        alerts: reader.nested("alerts", ALERTS, read_alerts),
        overrides: reader.sections("override", BACKUP, read_backup),
        written: reader.into_written(),
    }
}

fn read_backup(name: Spanned<BackupName>, mut reader: Reader<'_, '_>) -> BackupFile {
    BackupFile {
        name,
        source: reader.parsed("source"),
        target: reader.text("target"),
        recursive: reader.flag("recursive"),
        exclude: read_globs(&mut reader, "exclude"),
        snapshots: read_snapshots(&mut reader),
        send: reader.choice("send", &[("raw", SendMode::Raw), ("plain", SendMode::Plain)], &[]),
        allow_plaintext: reader.flag("allow-plaintext"),
        history: reader.choice("history", &[("all", HistoryMode::All), ("newest", HistoryMode::Newest)], &[]),
        prune: reader.choice("prune", &PRUNE, &[]),
        keep: read_keep(&mut reader, "keep"),
        snapshot: reader.choice("snapshot", &SNAPSHOT, &[]),
        snapshot_keep: read_keep(&mut reader, "snapshot-keep"),
        protect: read_globs(&mut reader, "protect"),
        prune_limit: reader.parsed("prune-limit").map(Spanned::into_inner),
        grace: reader.parsed("grace").map(Spanned::into_inner),
        properties: read_properties(&mut reader),
        max_age: reader.parsed("max-age").map(Spanned::into_inner),
        written: reader.into_written(),
    }
}

fn read_alerts(reader: &mut Reader<'_, '_>) -> AlertsFile {
    let (on_start, on_success, on_failure) = (
        read_program(reader, "on-start"),
        read_program(reader, "on-success"),
        read_program(reader, "on-failure"),
    );
    let ping = reader.parsed("ping").map(Spanned::into_inner);
    let metrics = reader.text("metrics").map(|text| (text.span(), PathBuf::from(text.into_inner())));
    if let Some((at, _)) = metrics.as_ref().filter(|(_, path)| !path.is_absolute()) {
        reader.problem(at.clone(), "metrics", "is no absolute path", None);
    }
    let metrics = metrics.map(|(_, path)| path);
    AlertsFile { ping, on_start, on_success, on_failure, metrics, written: reader.take_written() }
}

pub(super) fn read_program(reader: &mut Reader<'_, '_>, name: &str) -> Vec<String> {
    let words: Vec<Spanned<String>> = reader.list(name).unwrap_or_default();
    if let Some(first) = words.first().filter(|first| first.get_ref().is_empty()) {
        let hint = "the first text is the program".to_owned();
        reader.problem(first.span(), name, "names no program", Some(hint));
    }
    words.into_iter().map(Spanned::into_inner).collect()
}

pub(super) fn read_snapshots(reader: &mut Reader<'_, '_>) -> Option<SnapshotGlobs> {
    reader.nested("snapshots", SNAPSHOTS, |reader| SnapshotGlobs {
        include: read_globs(reader, "include"),
        exclude: read_globs(reader, "exclude").unwrap_or_default(),
    })
}

const PRUNE: [(&str, PruneWord); 3] =
    [("mirror", PruneWord::Mirror), ("keep", PruneWord::Keep), ("never", PruneWord::Never)];
const SNAPSHOT: [(&str, TakeSnapshot); 2] =
    [("before-run", TakeSnapshot::BeforeRun), ("never", TakeSnapshot::Never)];

pub(super) fn read_keep(reader: &mut Reader<'_, '_>, name: &str) -> Option<Keep> {
    reader.nested(name, KEEP, |reader| {
        let mut number = |name| reader.number(name).unwrap_or_default();
        Keep {
            last: number("last"),
            hourly: number("hourly"),
            daily: number("daily"),
            weekly: number("weekly"),
            monthly: number("monthly"),
            yearly: number("yearly"),
        }
    })
}

pub(super) fn read_globs(reader: &mut Reader<'_, '_>, name: &str) -> Option<Vec<Glob>> {
    Some(reader.list(name)?.into_iter().map(Spanned::into_inner).collect())
}

fn read_properties(reader: &mut Reader<'_, '_>) -> Option<Vec<(String, String)>> {
    let written = reader.texts("properties")?;
    let mut checked = Vec::with_capacity(written.len());
    for (name, value) in written {
        match property::check(name.get_ref(), &value) {
            Ok(()) => checked.push((name.into_inner(), value)),
            Err(error) => {
                let what = error.to_string();
                reader.problem(name.span(), &format!("properties.{}", name.get_ref()), what, None);
            }
        }
    }
    Some(checked)
}

impl BackupFile {
    /// What is written here, and where nothing is, what is written in `general`.
    pub fn over(&self, general: &Self) -> Self {
        let mut written = general.written.clone();
        written.extend(self.written.clone());
        Self {
            name: general.name.clone(),
            source: self.source.clone().or_else(|| general.source.clone()),
            target: self.target.clone().or_else(|| general.target.clone()),
            recursive: self.recursive.or(general.recursive),
            exclude: self.exclude.clone().or_else(|| general.exclude.clone()),
            snapshots: self.snapshots.clone().or_else(|| general.snapshots.clone()),
            send: self.send.or(general.send),
            allow_plaintext: self.allow_plaintext.or(general.allow_plaintext),
            history: self.history.or(general.history),
            prune: self.prune.or(general.prune),
            keep: self.keep.or(general.keep),
            snapshot: self.snapshot.or(general.snapshot),
            snapshot_keep: self.snapshot_keep.or(general.snapshot_keep),
            protect: self.protect.clone().or_else(|| general.protect.clone()),
            prune_limit: self.prune_limit.or(general.prune_limit),
            grace: self.grace.or(general.grace),
            properties: self.properties.clone().or_else(|| general.properties.clone()),
            max_age: self.max_age.or(general.max_age),
            written,
        }
    }
}
