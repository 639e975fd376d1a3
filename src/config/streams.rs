//! `[streams.NAME]`: read and resolved.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;

use super::age::parse_duration;
use super::file::{Glob, SnapshotGlobs, read_globs, read_keep, read_program, read_snapshots};
use super::keys::STREAM;
use super::name::StreamName;
use super::problem::Problems;
use super::reader::{Reader, Written};
use super::resolve::{require, texts};
use crate::model::{
    Alerts, BaseRule, DatasetFilter, DatasetName, Full, Keep, Ping, SavePolicy, SendMode, SnapshotFilter,
    Taking,
};

/// Something that is saved to files.
#[derive(Debug, Clone)]
pub struct Stream {
    /// What people call it.
    pub name: StreamName,
    /// Where the files are.
    pub directory: PathBuf,
    /// What is saved, and when.
    pub policy: SavePolicy,
    /// Who is told how it went.
    pub alerts: Alerts,
}

/// One `[streams.NAME]` as written.
#[derive(Debug)]
pub struct StreamFile {
    /// NAME.
    pub name: Spanned<StreamName>,
    /// For `config show`.
    pub written: Written,
    source: Option<DatasetName>,
    directory: Option<Spanned<String>>,
    recursive: Option<bool>,
    exclude: Option<Vec<Glob>>,
    takes: Option<bool>,
    snapshots: Option<SnapshotGlobs>,
    send: Option<SendMode>,
    allow_plaintext: Option<bool>,
    full: Option<Full>,
    base: Option<BaseRule>,
    keep: Option<Keep>,
    alerts: Alerts,
}

/// The text says nothing of when a stream is full.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} does not say when; write \"weekly\", \"monthly\", \"yearly\", a length of time such as \"30d\", \"every 10\" or \"never\""
)]
pub struct FullError(String);

struct Asked(Full);

impl FromStr for Asked {
    type Err = FullError;
    fn from_str(text: &str) -> Result<Self, FullError> {
        let bad = || FullError(text.chars().take(40).collect());
        let full = match text {
            "weekly" => Full::Weekly,
            "monthly" => Full::Monthly,
            "yearly" => Full::Yearly,
            "never" => Full::Never,
            other => match other.strip_prefix("every ") {
                Some(number) => Full::Every(number.trim().parse().ok().filter(|n| *n > 0).ok_or_else(bad)?),
                None => {
                    Full::After(parse_duration(other).ok().filter(|t| *t > Duration::ZERO).ok_or_else(bad)?)
                }
            },
        };
        Ok(Self(full))
    }
}

/// Reads one section.
pub fn read_stream(name: Spanned<StreamName>, mut reader: Reader<'_, '_>) -> StreamFile {
    let alerts = Alerts {
        ping: reader.parsed::<Ping>("ping").map(Spanned::into_inner),
        on_start: read_program(&mut reader, "on-start"),
        on_success: read_program(&mut reader, "on-success"),
        on_failure: read_program(&mut reader, "on-failure"),
        metrics: None,
    };
    StreamFile {
        name,
        source: reader.parsed("source").map(Spanned::into_inner),
        directory: reader.text("directory"),
        recursive: reader.flag("recursive"),
        exclude: read_globs(&mut reader, "exclude"),
        takes: reader.choice("snapshot", &[("take", true), ("existing", false)], &[]),
        snapshots: read_snapshots(&mut reader),
        send: reader.choice("send", &[("raw", SendMode::Raw), ("plain", SendMode::Plain)], &[]),
        allow_plaintext: reader.flag("allow-plaintext"),
        full: reader.parsed("full").map(|full: Spanned<Asked>| full.into_inner().0),
        base: reader.choice("base", &[("full", BaseRule::Full), ("chain", BaseRule::Chain)], &[]),
        keep: read_keep(&mut reader, "keep"),
        alerts,
        written: reader.into_written(),
    }
}

/// Two that save the same dataset into the same directory would take each other's files for their own.
pub fn check_overlap(files: &[StreamFile], problems: &mut Problems) {
    for (index, file) in files.iter().enumerate() {
        let Some((source, directory)) = file.place() else { continue };
        let overlaps = |other: &&StreamFile| {
            other.place().is_some_and(|(other, there)| {
                there == directory && (other.below(source).is_some() || source.below(other).is_some())
            })
        };
        if let Some(other) = files[..index].iter().find(overlaps) {
            let what =
                format!("streams.{} saves what is below there to the same directory", other.name.get_ref());
            let at = file.written.get("directory").map(Spanned::span).unwrap_or_default();
            problems.push(at, format!("streams.{}.directory", file.name.get_ref()), what, None);
        }
    }
}

impl StreamFile {
    fn place(&self) -> Option<(&DatasetName, &str)> {
        let directory = self.directory.as_ref()?.get_ref().trim_end_matches('/');
        Some((self.source.as_ref()?, directory))
    }
}

/// With defaults, and checked for what needs more than one key. None: something is wrong with it, and noted.
pub fn resolve_stream(file: &StreamFile, problems: &mut Problems) -> Option<Stream> {
    let path = format!("streams.{}", file.name.get_ref());
    require(&file.written, STREAM, &path, &file.name.span(), problems);
    let at = |key: &str| file.written.get(key).map_or_else(|| file.name.span(), Spanned::span);
    let mut wrong = |key: &str, what: &str, hint: &str| {
        problems.push(at(key), format!("{path}.{key}"), what, Some(hint.to_owned()));
    };
    let directory = PathBuf::from(file.directory.as_ref()?.get_ref());
    if !directory.is_absolute() {
        wrong("directory", "is no absolute path", "begin it with “/”");
    }
    if file.keep.is_some_and(|keep| keep == Keep::default()) {
        wrong("keep", "would keep nothing", "at least one number above 0, such as { last = 10 }");
    }
    let takes = file.takes.unwrap_or(true);
    if takes && file.snapshots.is_some() {
        wrong(
            "snapshots",
            "has no effect without snapshot = \"existing\"",
            "remove it, or write that beside it",
        );
    }
    let filters = filters(file);
    let (datasets, snapshots) =
        filters.map_err(|error| problems.push(file.name.span(), path, error.to_string(), None)).ok()?;
    let policy = SavePolicy {
        name: file.name.get_ref().to_string(),
        source: file.source.clone()?,
        recursive: file.recursive.unwrap_or(true),
        datasets,
        taking: if takes { Taking::Take } else { Taking::Existing(snapshots) },
        send: file.send.unwrap_or(SendMode::Raw),
        allow_plaintext: file.allow_plaintext.unwrap_or(false),
        full: file.full.unwrap_or(Full::Monthly),
        base: file.base.unwrap_or(BaseRule::Full),
        keep: file.keep,
    };
    Some(Stream { name: file.name.get_ref().clone(), directory, policy, alerts: file.alerts.clone() })
}

fn filters(file: &StreamFile) -> Result<(DatasetFilter, SnapshotFilter), globset::Error> {
    let SnapshotGlobs { include, exclude } = file.snapshots.clone().unwrap_or_default();
    let include = include.as_deref().map(texts);
    let datasets = DatasetFilter::new(&texts(file.exclude.as_deref().unwrap_or_default()))?;
    Ok((datasets, SnapshotFilter::new(include.as_deref(), &texts(&exclude))?))
}
