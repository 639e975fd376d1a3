//! `open`: the drive's pool is imported read-only and its datasets are mounted where a file manager can go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::event::Event;
use crate::execute::files::{self, Ask, Keyring, Looked};
use crate::execute::session::{After, Session};
use crate::model::{DatasetName, ResumeState, Side};
use crate::plan::files::{Copy, Place, places};

use super::super::handover::take_over;
use super::super::init::Ask as Agree;
use super::super::{Environment, JobError};
use super::reach::{Was, datasets, directory_of, go_on, reach, unlock};
use super::{FilesError, OpenRequest};

/// What is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The drive.
    pub drive: String,
    /// It was open before.
    pub already: bool,
    /// What is mounted, parents first.
    pub places: Vec<OpenedPlace>,
}

/// A dataset that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedPlace {
    /// It.
    pub dataset: DatasetName,
    /// Where its files are.
    pub directory: PathBuf,
}

/// Opens, or says again where everything is. A run that has the drive is stopped when somebody agrees to that.
///
/// # Errors
/// When it cannot be opened; then it is as it was before, but for a run that was stopped.
pub fn open(
    request: &OpenRequest,
    env: &Environment<'_>,
    ask: &mut dyn Ask,
    agree: &mut Agree<'_>,
) -> Result<Opened, JobError> {
    let drive = &request.drive;
    let _lock = take_over(request, env, agree)?;
    let (session, was) = reach(env, drive, request.wait)?;
    if was == Was::Elsewhere {
        return Err(FilesError::ImportedElsewhere { drive: drive.name.to_string() }.into());
    }
    let guarded = session.guard(&env.host());
    let env = &Environment { cancel: &guarded, ..*env };
    let mut keys = Keyring::new(ask);
    let mut opening =
        Opening { request, env, session: &session, directory: directory_of(env, drive), mounted: Vec::new() };
    match opening.work(&mut keys) {
        Ok(places) => Ok(Opened { drive: drive.name.to_string(), already: was == Was::Open, places }),
        Err(error) => {
            opening.undo(&keys, was);
            Err(error)
        }
    }
}

struct Opening<'a> {
    request: &'a OpenRequest,
    env: &'a Environment<'a>,
    session: &'a Session,
    directory: PathBuf,
    /// By us, oldest first.
    mounted: Vec<PathBuf>,
}

impl Opening<'_> {
    fn work(&mut self, keys: &mut Keyring<'_>) -> Result<Vec<OpenedPlace>, JobError> {
        let drive = &self.request.drive;
        let side = datasets(self.env, drive, self.session)?;
        let copies: Vec<Copy<'_>> = drive
            .backups
            .iter()
            .map(|backup| Copy { name: &backup.name, top: &backup.target, recursive: backup.recursive })
            .collect();
        let wanted = self.without_unfinished(places(&copies, &side), &side)?;
        if wanted.is_empty() {
            let tops: Vec<_> = copies.iter().map(|copy| copy.top.as_str()).collect();
            return Err(FilesError::NoFiles { drive: drive.name.to_string(), tops: tops.join(", ") }.into());
        }
        // All keys first: nothing is mounted before a person has typed what is needed.
        for place in &wanted {
            go_on(self.env, drive)?;
            if let Some(dataset) = side.get(&place.dataset) {
                unlock(self.env, keys, &side, dataset)?;
            }
        }
        Ok(self.mount_all(&wanted)?)
    }

    /// A dataset whose first backup was stopped in the middle has nothing to look into yet.
    fn without_unfinished(&self, places: Vec<Place>, side: &Side) -> Result<Vec<Place>, FilesError> {
        let mut wanted = Vec::new();
        for place in places {
            let resume = side.get(&place.dataset).map(|dataset| &dataset.resume);
            let unfinished = match resume {
                None | Some(ResumeState::Clean) => false,
                Some(ResumeState::Inconsistent) => true,
                Some(ResumeState::Token(_)) => {
                    let listed = self.env.client().dated(&place.dataset);
                    let not_listed =
                        |source| FilesError::NotListed { dataset: place.dataset.clone(), source };
                    listed.map_err(not_listed)?.is_empty()
                }
            };
            if unfinished {
                let text = format!(
                    "“{}” has no complete backup yet: its first one was interrupted, and there is nothing to look into.",
                    place.dataset
                );
                self.env.sink.event(Event::Warning { text });
            } else {
                wanted.push(place);
            }
        }
        Ok(wanted)
    }

    fn mount_all(&mut self, wanted: &[Place]) -> Result<Vec<OpenedPlace>, FilesError> {
        let directory = self.directory.clone();
        for path in [self.env.locks, &self.env.locks.join("open"), &directory] {
            public(path)?;
        }
        let there = self.session.mounted_below(&self.env.host(), &directory);
        let mut places: BTreeMap<DatasetName, PathBuf> = BTreeMap::new();
        let mut opened = Vec::new();
        for place in wanted {
            go_on(self.env, &self.request.drive)?;
            let before = there.iter().find(|mounted| mounted.source == place.dataset.as_str());
            let point = match before {
                Some(mounted) => mounted.point.clone(),
                None => self.mount(place, &places)?,
            };
            places.insert(place.dataset.clone(), point.clone());
            opened.push(OpenedPlace { dataset: place.dataset.clone(), directory: point });
        }
        Ok(opened)
    }

    /// In the directory of the dataset above that has its name; beside the backup's where there is none.
    fn mount(
        &mut self,
        place: &Place,
        places: &BTreeMap<DatasetName, PathBuf>,
    ) -> Result<PathBuf, FilesError> {
        let above = place.dataset.parent().and_then(|parent| places.get(&parent).cloned());
        let inside =
            above.map(|above| self.directory_in(&above, place.dataset.leaf())).transpose()?.flatten();
        let point = match inside {
            Some(point) => point,
            None => {
                let point = self.directory.join(place.beside());
                public(&point)?;
                point
            }
        };
        files::mount_dataset(&self.env.client(), &place.dataset, &point)
            .map_err(|source| FilesError::Mount { what: place.dataset.to_string(), source })?;
        self.mounted.push(point.clone());
        Ok(point)
    }

    /// A real directory of that name: what is on a drive is not to be trusted, and nothing is mounted where a symbolic
    /// link leads to (S9).
    fn directory_in(&self, above: &Path, name: &str) -> Result<Option<PathBuf>, FilesError> {
        let (root, path) = (above.to_owned(), PathBuf::from(name));
        let read = |source| FilesError::Read { path: above.join(name), source };
        let looked = files::attended(self.env.cancel, move || files::find(&root, &path)).map_err(read)?;
        let Some(looked) = looked else {
            go_on(self.env, &self.request.drive)?;
            return Err(FilesError::Interrupted);
        };
        let expected = above.join(name);
        Ok(match looked {
            Looked::There(found) if found.is_directory && found.real == expected => Some(expected),
            _ => None,
        })
    }

    /// As it was before.
    fn undo(&self, keys: &Keyring<'_>, was: Was) {
        let host = self.env.host();
        if self.env.cancel.lost().is_some() {
            return;
        }
        if was == Was::Closed {
            let unplug = self.session.close(&host, After::Export, false);
            remove_directories(&self.directory);
            let truth = crate::report::summary::truth(self.request.drive.name.as_str(), &unplug);
            self.env.sink.event(Event::Note { text: truth.text });
            return;
        }
        let mut left = Vec::new();
        for point in self.mounted.iter().rev() {
            left.extend(files::unmount(&host.client, point).err().map(|error| crate::execute::chain(&error)));
        }
        for root in keys.loaded() {
            let unload = crate::zfs::argv::unload_key(root);
            left.extend(host.client.run(&unload).err().map(|error| crate::execute::chain(&error)));
        }
        for error in left {
            self.env.sink.event(Event::Warning { text: format!("Something was left open: {error}.") });
        }
    }
}

fn public(path: &Path) -> Result<(), FilesError> {
    files::public_directory(path).map_err(|source| FilesError::Directory { path: path.to_owned(), source })
}

/// The directories that things were mounted on. Only empty ones go.
pub(super) fn remove_directories(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let _ = std::fs::remove_dir(entry.path());
    }
    let _ = std::fs::remove_dir(directory);
}
