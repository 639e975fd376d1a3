//! What the source keeps for the next increment, and what it lets go of. What does not work out is a warning: the files are
//! there, and the next save tries it again.

use std::collections::{HashMap, HashSet};

use super::Subject;
use crate::config::Stream;
use crate::event::Event;
use crate::jobs::Environment;
use crate::model::{Dataset, DatasetName, Guid, Snapshot};
use crate::plan::saving::{Tidying, bookmark_name, perhaps_taken, tidying};
use crate::zfs::program::{self, EEXIST, Fate};
use crate::zfs::{ZfsError, argv};

/// Makes and removes bookmarks, and removes snapshots that were taken for earlier streams.
pub(super) fn tidy(
    stream: &Stream,
    subjects: &[Subject<'_>],
    taken: &HashMap<DatasetName, Snapshot>,
    env: &Environment<'_>,
) {
    if let Err(error) = try_to_tidy(stream, subjects, taken, env)
        && !error.is_interruption()
    {
        let why = crate::execute::chain(&error);
        let text = format!(
            "{}: what the next increment builds on could not be bookmarked, or what nothing builds on not be removed: {why}.",
            stream.name
        );
        env.sink.event(Event::Warning { text });
    }
}

fn try_to_tidy(
    stream: &Stream,
    subjects: &[Subject<'_>],
    taken: &HashMap<DatasetName, Snapshot>,
    env: &Environment<'_>,
) -> Result<(), ZfsError> {
    let client = env.client();
    let (policy, pool) = (&stream.policy, stream.policy.source.pool());
    // As the source is now: with what was just taken.
    let datasets: Vec<Dataset> = subjects
        .iter()
        .map(|subject| with(subject.dataset, taken.get(&subject.dataset.name)))
        .collect::<Result<_, _>>()?;
    let asked: Vec<String> = datasets
        .iter()
        .flat_map(|dataset| {
            perhaps_taken(policy, dataset).map(|one| format!("{}@{}", dataset.name, one.name))
        })
        .collect();
    let ours: HashSet<String> =
        if asked.is_empty() { HashSet::new() } else { client.own_snapshots(&asked)? };
    let work: Vec<(&Dataset, Tidying)> = subjects
        .iter()
        .zip(&datasets)
        .map(|(subject, dataset)| {
            let is_ours = |one: &&Snapshot| ours.contains(&format!("{}@{}", dataset.name, one.name));
            let own: Vec<Guid> = perhaps_taken(policy, dataset).filter(is_ours).map(|one| one.guid).collect();
            (dataset, tidying(policy, dataset, &subject.archive.saved(), &own))
        })
        .collect();
    let bookmark = |dataset: &Dataset, one: &Snapshot| {
        let snapshot = format!("{}@{}", dataset.name, one.name);
        program::bookmark_argument(&snapshot, one.guid, &bookmark_name(&policy.name, one.guid))
    };
    let marks: Vec<String> = work
        .iter()
        .flat_map(|(dataset, work)| work.bookmark.iter().map(|one| bookmark(dataset, one)))
        .collect();
    if !marks.is_empty() {
        let fates = client.program(&pool, program::BOOKMARK, &marks)?;
        refused("a bookmark", &fates, |errno| errno != EEXIST)?;
    }
    for (dataset, work) in &work {
        for one in &work.unbookmark {
            let Ok(name) = dataset.name.bookmark(&one.name) else { continue };
            client.run(&argv::destroy_bookmark(&name))?;
        }
    }
    let going: Vec<String> = work
        .iter()
        .flat_map(|(dataset, work)| {
            work.destroy.iter().filter_map(|one| Some((dataset.name.snapshot(&one.name).ok()?, one.guid)))
        })
        .map(|(name, guid)| program::destroy_argument(&name, guid))
        .collect();
    if !going.is_empty() {
        // One that is held or cloned stays until it is not.
        client.program(&pool, program::DESTROY, &going)?;
    }
    Ok(())
}

fn with(dataset: &Dataset, taken: Option<&Snapshot>) -> Result<Dataset, ZfsError> {
    let mut dataset = dataset.clone();
    if let Some(taken) = taken {
        let mut snapshots = dataset.history.snapshots().to_vec();
        snapshots.push(taken.clone());
        let history = crate::model::History::new(snapshots, dataset.history.bookmarks().to_vec());
        dataset.history = history.map_err(|error| ZfsError::Contradiction {
            command: "zfs list".to_owned(),
            message: error.to_string(),
        })?;
    }
    Ok(dataset)
}

fn refused(
    what: &str,
    fates: &std::collections::BTreeMap<String, Fate>,
    matters: impl Fn(i64) -> bool,
) -> Result<(), ZfsError> {
    let failed = fates.iter().find_map(|(name, fate)| match fate {
        Fate::Errno(errno) if matters(*errno) => Some(format!("{what} of {name} was refused: error {errno}")),
        _ => None,
    });
    failed
        .map_or(Ok(()), |message| Err(ZfsError::Contradiction { command: "zfs program".to_owned(), message }))
}
