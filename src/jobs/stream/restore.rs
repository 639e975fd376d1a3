//! `stream restore`: streams in files become a dataset. Each file is read to its end and found whole before ZFS sees the first
//! byte of any; what is there already is never received onto.

use std::io::Seek as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::RestoreError;
use super::find::{Available, Candidate, Lost, Reading};
use crate::event::{Event, FileWork, Sink};
use crate::jobs::Environment;
use crate::model::{Bytes, DatasetName, Guid};
use crate::plan::files::{Dated, Wanted};
use crate::process::{PipeOutput, RunError, System, Watch, printable, quoted};
use crate::report::text::{self, count};
use crate::stream::{Begin, Manifest, NoChain, Piece, chain};
use crate::zfs::argv::{self, Making};
use crate::zfs::parse::Received;
use crate::zfs::{Client, ZfsError};

/// `stream restore`
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The new dataset.
    pub into: DatasetName,
    /// Files, and directories with files.
    pub from: Vec<PathBuf>,
    /// Which state.
    pub wanted: Wanted,
    /// Of which dataset, as its sender called it, where there are streams of several.
    pub dataset: Option<String>,
}

/// What is to be received, in this order.
struct Way {
    /// The snapshot that is wanted.
    wanted: Begin,
    files: Vec<Candidate>,
}

/// Restores.
///
/// # Errors
/// When the files do not make a dataset, ZFS does not take one, or something is there already. What was received before
/// stands, and the same command goes on from there.
pub fn restore(request: &RestoreRequest, env: &Environment<'_>, system: &System) -> Result<(), RestoreError> {
    let reading = Reading { sink: env.sink, cancel: env.cancel };
    let client = env.client();
    let there = client.received(&request.into);
    let there = there.map_err(|source| RestoreError::Zfs {
        what: format!("whether {} exists is not known", request.into),
        source,
    })?;
    if there.as_ref().is_some_and(|there| there.until.is_none()) {
        return Err(RestoreError::Exists(request.into.clone()));
    }
    let way = choose(request, env, reading.candidates(&request.from)?, there.as_ref())?;
    announce(request, env.sink, &way, there.is_some());
    let way = checked(&reading, way)?;
    for (index, candidate) in way.files.iter().enumerate() {
        let is_new = there.is_none() && index == 0;
        let making = Making { until: way.wanted.to, with_properties: candidate.has_properties };
        receive(request, env, system, candidate, is_new.then_some(making))?;
    }
    finish(request, &client, &way)?;
    env.sink.event(Event::Note { text: account(request, &way) });
    Ok(())
}

/// Which state, and by which files.
fn choose(
    request: &RestoreRequest,
    env: &Environment<'_>,
    available: Available,
    there: Option<&Received>,
) -> Result<Way, RestoreError> {
    let Available { candidates, lost } = available;
    let dataset = dataset(request, &candidates)?;
    let wanted = wanted(request, env, (&candidates, &lost), &dataset)?;
    let wanted = candidates[wanted].last.clone();
    let have = there.and_then(|there| there.snapshots.last().copied());
    let pieces: Vec<Piece> = candidates.iter().map(|candidate| candidate.piece.clone()).collect();
    let order = chain(&pieces, wanted.to, have).map_err(|missing| RestoreError::Incomplete {
        snapshot: wanted.name.clone(),
        why: lacking(&missing, &candidates, have),
    })?;
    // All files that somebody named are meant.
    let is_spare = |(index, candidate): &(usize, &Candidate)| candidate.is_named && !order.contains(index);
    if have.is_none()
        && let Some((_, spare)) = candidates.iter().enumerate().find(is_spare)
    {
        let why = format!("{} is made without it", wanted.name);
        return Err(RestoreError::Unfit { file: spare.path.clone(), why });
    }
    let mut candidates: Vec<_> = candidates.into_iter().map(Some).collect();
    let files = order.iter().filter_map(|index| candidates[*index].take()).collect();
    Ok(Way { wanted, files })
}

/// The dataset that is meant, as its sender called it.
fn dataset(request: &RestoreRequest, candidates: &[Candidate]) -> Result<String, RestoreError> {
    let mut names: Vec<_> = candidates.iter().map(|candidate| candidate.dataset().to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    match (&request.dataset, names.as_slice()) {
        (Some(wanted), _) if names.contains(wanted) => Ok(wanted.clone()),
        (Some(wanted), _) => Err(RestoreError::OfAnother { wanted: wanted.clone(), there: names }),
        (None, [one]) => Ok(one.clone()),
        (None, _) => Err(RestoreError::Several(names)),
    }
}

/// The file that has the state that is meant. One that is lost is not silently taken an earlier one for.
fn wanted(
    request: &RestoreRequest,
    env: &Environment<'_>,
    (candidates, lost): (&[Candidate], &[Lost]),
    dataset: &str,
) -> Result<usize, RestoreError> {
    let snapped = |(index, candidate): (usize, &Candidate)| {
        let (of, name) = candidate.last.name.split_once('@')?;
        let at = i64::try_from(candidate.last.created).ok()?;
        let at = jiff::Timestamp::from_second(at).ok()?;
        (of == dataset).then_some((Ok(index), Dated { name: name.parse().ok()?, at }))
    };
    let is_elsewhere = |lost: &&Lost| candidates.iter().any(|other| other.last.to == lost.manifest.guid);
    let gone = |lost: &'_ Lost| {
        let Manifest { snapshot, created, .. } = &lost.manifest;
        let of_this = lost.manifest.dataset == dataset && !is_elsewhere(&lost);
        of_this.then_some(())?;
        Some((Err(lost.path.clone()), Dated { name: snapshot.parse().ok()?, at: *created }))
    };
    let there = candidates.iter().enumerate().filter_map(snapped);
    let mut all: Vec<_> = there.chain(lost.iter().filter_map(gone)).collect();
    // Times are told to the second. Of two within one, that is later which goes on from the other.
    let before =
        |which: &Result<usize, PathBuf>| which.as_ref().map_or(0, |index| ancestors(candidates, *index));
    all.sort_by_cached_key(|(which, dated)| (dated.at, before(which)));
    let dated: Vec<Dated> = all.iter().map(|(_, dated)| dated.clone()).collect();
    let chosen = request.wanted.choose(dataset, &dated, &env.now())?;
    // The first one is the one to be tried.
    let chosen = chosen.first().and_then(|index| all.get(*index));
    match chosen {
        Some((Ok(index), _)) => Ok(*index),
        Some((Err(path), dated)) => Err(RestoreError::Incomplete {
            snapshot: format!("{dataset}@{}", dated.name),
            why: format!("{} is gone, or is no more what it was", printable(&path.to_string_lossy())),
        }),
        None => Err(RestoreError::NoStreams { directories: vec![dataset.to_owned()] }),
    }
}

/// How many files lead to this one, as far as they are there.
fn ancestors(candidates: &[Candidate], index: usize) -> usize {
    let before = |piece: &&Piece| {
        let from = piece.from?;
        candidates.iter().map(|candidate| &candidate.piece).find(|other| other.to == from)
    };
    std::iter::successors(Some(&candidates[index].piece), before).take(candidates.len()).count()
}

/// What is missing, as the end of a sentence.
fn lacking(missing: &NoChain, candidates: &[Candidate], have: Option<Guid>) -> String {
    match missing {
        NoChain::Broken { piece, needs } => format!(
            "{} needs the snapshot with the guid {needs}, and no file has it",
            printable(&candidates[*piece].path.to_string_lossy())
        ),
        NoChain::Absent | NoChain::Circle if have.is_some() => {
            "what is there already is no part of their chain".to_owned()
        }
        NoChain::Absent | NoChain::Circle => "no full stream leads to it".to_owned(),
    }
}

fn announce(request: &RestoreRequest, sink: &dyn Sink, way: &Way, goes_on: bool) {
    let bytes = Bytes(way.files.iter().map(|candidate| candidate.piece.bytes).sum());
    let goes_on = if goes_on { ", going on from what is there" } else { "" };
    let files = count(way.files.len(), "file");
    let text = if way.files.is_empty() {
        format!("All of {} is in {} already.", way.wanted.name, request.into)
    } else {
        format!("Restoring {} into {} from {files}, {bytes}{goes_on}.", way.wanted.name, request.into)
    };
    sink.event(Event::Note { text });
}

/// Reads all of them to their end: nothing of a chain is received when a part of it is damaged.
fn checked(reading: &Reading<'_>, mut way: Way) -> Result<Way, RestoreError> {
    for candidate in way.files.iter_mut().filter(|candidate| !candidate.is_checked) {
        let found = reading.check(&candidate.path, &mut candidate.file, candidate.piece.bytes)?;
        // Somebody wrote to it in the meantime.
        if found.last != candidate.last || Some(found.whole.bytes) != length(candidate) {
            let why = "it changed while it was read".to_owned();
            return Err(RestoreError::Unfit { file: candidate.path.clone(), why });
        }
    }
    Ok(way)
}

fn length(candidate: &Candidate) -> Option<u64> {
    candidate.file.metadata().ok().map(|metadata| metadata.len())
}

fn receive(
    request: &RestoreRequest,
    env: &Environment<'_>,
    system: &System,
    candidate: &Candidate,
    making: Option<Making>,
) -> Result<(), RestoreError> {
    let Candidate { path, file, piece, last, .. } = candidate;
    let unreadable = |source| RestoreError::Unreadable { path: path.clone(), source };
    let mut file = file.try_clone().map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let (into, started) = (&request.into, Instant::now());
    let name = printable(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
    let command = argv::receive_file(into, making.as_ref());
    log::debug!("{command} < {}", path.display());
    let mut watch = watch(env.sink, &name, Bytes(piece.bytes));
    let not_received = |source| RestoreError::NotReceived { file: path.clone(), into: into.clone(), source };
    let output = match system.feed(file, &command, &mut watch, env.cancel) {
        Ok(output) => output,
        Err(RunError::Cancelled) => return Err(RestoreError::Interrupted),
        Err(error) => return Err(not_received(ZfsError::Run(error))),
    };
    let PipeOutput { receive, receive_stderr: stderr, bytes, .. } = output;
    if !receive.is_success() {
        let output = crate::process::Output { exit: receive, stdout: Vec::new(), stderr };
        return Err(not_received(ZfsError::failed(command.to_string(), &output)));
    }
    let (done, took) = (Bytes(bytes), text::duration(started.elapsed()));
    env.sink.event(Event::OnFile { work: FileWork::Receiving, what: name.clone(), done, of: done });
    env.sink.event(Event::Note { text: format!("Received {} from {name} in {took}.", last.name) });
    Ok(())
}

/// Tells how far it is. A receive may be busy for long: nothing stops one but a person.
fn watch<'a>(sink: &'a dyn Sink, name: &'a str, of: Bytes) -> impl FnMut(u64) -> Watch + 'a {
    const TELL: Duration = Duration::from_millis(200);
    let mut told = Instant::now();
    move |bytes| {
        if told.elapsed() > TELL && bytes < of.0 {
            told = Instant::now();
            let (work, what) = (FileWork::Receiving, name.to_owned());
            sink.event(Event::OnFile { work, what, done: Bytes(bytes), of });
        }
        Watch::Continue
    }
}

/// It is believed when it is seen.
fn finish(request: &RestoreRequest, client: &Client<'_>, way: &Way) -> Result<(), RestoreError> {
    let into = &request.into;
    let zfs = |what: &str| {
        let what = what.to_owned();
        move |source| RestoreError::Zfs { what, source }
    };
    let there = client.received(into).map_err(zfs("what was received cannot be listed"))?;
    if there.and_then(|there| there.snapshots.last().copied()) != Some(way.wanted.to) {
        return Err(RestoreError::NotArrived { into: into.clone(), snapshot: way.wanted.name.clone() });
    }
    let forget = argv::inherit(argv::PROPERTY_RESTORING, [into]);
    client.run(&forget).map(drop).map_err(zfs("everything was received, and it still says that it was not"))
}

/// What there is now, and how it is used.
fn account(request: &RestoreRequest, way: &Way) -> String {
    let into = quoted(request.into.as_str());
    let mut text = format!("Restored {} into {}.", way.wanted.name, request.into);
    let (is_locked, is_volume) = (way.wanted.is_raw(), way.wanted.is_volume);
    if is_locked || !is_volume {
        text.push_str("\nNothing is mounted yet. When you want to use it:");
    }
    if is_locked {
        text.push_str(&format!("\n  zfs load-key {into}"));
    }
    if !is_volume {
        text.push_str(&format!("\n  zfs mount {into}"));
    }
    text
}
