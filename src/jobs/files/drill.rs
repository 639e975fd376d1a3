//! `verify --drill`: the copies are opened as they would be after a fire, and files of them are compared with the source.
//! The drive is imported read-only, so that nothing on it changes.

use std::path::{Path, PathBuf};

use crate::config::request::{DrillRequest, VerifyRequest};
use crate::drive::mounts_of;
use crate::event::Event;
use crate::execute::chain;
use crate::execute::files::{self, Ask, Checked, KeyError, Keyring};
use crate::execute::session::Session;
use crate::model::{Bytes, Consents, Inventory, SnapshotName};
use crate::plan::drill::{Finding, Listing, Look, Sampling, differences, looks, sample};
use crate::report::drill::{Drilled, tell};
use crate::zfs::Kind;
use crate::zfs::argv::Access;

use super::super::checked::{Visit, checked};
use super::super::verify::chains;
use super::super::{DriveResult, Environment, JobError};
use super::FilesError;
use super::reach::{go_on, snapshot_directory, unload, unlock};

/// Seeds are typed by people.
const SEEDS: i128 = 1_000_000;

/// Checks whether the drive can be continued, and reads files of each copy. What is wrong is counted in `failed`.
///
/// # Errors
/// When the drive cannot be used, or was not read as far as was wanted.
pub fn drill(
    request: &VerifyRequest,
    which: DrillRequest,
    env: &Environment<'_>,
    ask: &mut dyn Ask,
) -> DriveResult {
    let visit =
        Visit { drive: &request.drive, access: Access::ReadOnly, wait: request.wait, retry: &request.retry };
    checked(&visit, env, |env, session, stays_imported| {
        let mut keys = Keyring::new(ask);
        let result = work(request, which, env, session, &mut keys);
        if stays_imported {
            unload(env, &keys);
        }
        result
    })
}

/// How much is wrong.
fn work(
    request: &VerifyRequest,
    which: DrillRequest,
    env: &Environment<'_>,
    session: &Session,
    keys: &mut Keyring<'_>,
) -> Result<usize, JobError> {
    let drive = &request.drive;
    let (broken, inventory) = chains(drive, env, session)?;
    let looks = looks(&drive.policies(&Consents::default()), &inventory);
    if looks.is_empty() {
        let tops: Vec<_> = drive.backups.iter().map(|backup| backup.target.as_str()).collect();
        let tops = tops.join(", ");
        return Err(FilesError::NoFiles { drive: drive.name.to_string(), tops }.into());
    }
    let sampling = match which {
        DrillRequest::All => Sampling::All,
        DrillRequest::Some(Some(seed)) => Sampling::Some { seed },
        DrillRequest::Some(None) => {
            let nanoseconds = (env.clock)().as_nanosecond() / 1000;
            Sampling::Some { seed: u64::try_from(nanoseconds.rem_euclid(SEEDS)).unwrap_or_default() }
        }
    };
    let point = snapshot_directory(env, session.guid);
    let drill = Drill { request, env, session, inventory: &inventory, sampling, point };
    let wrong = drill.run(&looks, keys);
    drill.tell_of_what_stays();
    let _ = std::fs::remove_dir(&drill.point);
    let _ = drill.point.parent().map(std::fs::remove_dir);
    let wrong = wrong?;
    if let Sampling::Some { seed } = sampling {
        let text = format!("`{} --drill --seed {seed}` reads the same files again.", request.retry);
        env.sink.event(Event::Note { text });
    }
    Ok(broken + wrong)
}

struct Drill<'a> {
    request: &'a VerifyRequest,
    env: &'a Environment<'a>,
    session: &'a Session,
    inventory: &'a Inventory,
    sampling: Sampling,
    point: PathBuf,
}

impl Drill<'_> {
    /// How many copies are not as they should be.
    fn run(&self, looks: &[Look], keys: &mut Keyring<'_>) -> Result<usize, FilesError> {
        let mut opened = Vec::new();
        // All keys first: a person types them and may go away.
        for look in looks {
            go_on(self.env, &self.request.drive)?;
            let copy = self.inventory.target.get(&look.there.dataset);
            match copy.map_or(Ok(()), |copy| unlock(self.env, keys, &self.inventory.target, copy)) {
                Ok(()) => opened.push(look),
                // Nobody can type it, and the others can be read.
                Err(error @ FilesError::Key(KeyError::Bytes { .. })) => {
                    let text = format!("{} was not read: {}.", look.there, chain(&error));
                    self.env.sink.event(Event::Warning { text });
                }
                Err(error) => return Err(error),
            }
        }
        let mut wrong = looks.len() - opened.len();
        for look in opened {
            go_on(self.env, &self.request.drive)?;
            let directory = |source| FilesError::Directory { path: self.point.clone(), source };
            files::private_directory(&self.point).map_err(directory)?;
            let mounted = files::mount_snapshot(&self.env.client(), &look.there, &self.point)
                .map_err(|source| FilesError::Mount { what: look.there.to_string(), source });
            let drilled = mounted.and_then(|()| self.is_mounted(look)).and_then(|()| self.read(look));
            let left = self.leave();
            let drilled = drilled.and_then(|drilled| left.map(|()| drilled))?;
            self.env.sink.event(tell(look, &drilled));
            wrong += usize::from(!drilled.findings.is_empty());
        }
        Ok(wrong)
    }

    /// An empty directory must not pass for a snapshot.
    fn is_mounted(&self, look: &Look) -> Result<(), FilesError> {
        let there = self.session.mounted_below(&self.env.host(), &self.point);
        let is_it = there.last().is_some_and(|mounted| mounted.source == look.there.to_string());
        if is_it { Ok(()) } else { Err(FilesError::NotMounted(look.there.clone())) }
    }

    /// What is mounted is unmounted, also what a mount that gave no answer left.
    fn leave(&self) -> Result<(), FilesError> {
        let what = self.point.display().to_string();
        let is_mounted = || !self.session.mounted_below(&self.env.host(), &self.point).is_empty();
        match files::unmount(&self.env.client(), &self.point) {
            Err(source) if is_mounted() => Err(FilesError::Unmount { what, source }),
            _ => Ok(()),
        }
    }

    /// Of a drive that is gone nothing is unmounted here: whoever still reads from it keeps it.
    fn tell_of_what_stays(&self) {
        if self.env.cancel.lost().is_none()
            || self.session.mounted_below(&self.env.host(), &self.point).is_empty()
        {
            return;
        }
        let text = format!(
            "What of {0} was being read is still mounted. `zferry close {0}` lets go of it, or says what does.",
            self.request.drive.name
        );
        self.env.sink.event(Event::Warning { text });
    }

    /// Compares a mounted snapshot with that of the source.
    fn read(&self, look: &Look) -> Result<Drilled, FilesError> {
        let there = self.list(&self.point)?;
        let mut alone = look.here.as_ref().err().map(ToString::to_string);
        let mut here: Option<(PathBuf, Listing)> = None;
        if let Ok(snapshot) = &look.here {
            match self.snapshot_of_source(snapshot)? {
                Ok(found) => here = Some(found),
                Err(why) => alone = Some(why),
            }
        }
        let listing = here.as_ref().map(|(_, listing)| listing);
        let mut drilled = Drilled {
            entries: there.entries.len(),
            all: there.files(),
            findings: differences(&there, listing),
            alone,
            read: 0,
            bytes: Bytes(0),
            not_compared: Vec::new(),
        };
        for (path, length) in sample(&there, self.sampling) {
            // What is known to differ is read all the same: it may be damaged too.
            let with = here.as_ref().filter(|(_, here)| here.entries.get(path) == there.entries.get(path));
            let with = with.map(|(root, _)| root.join(path));
            let (file, cancel) = (self.point.join(path), self.env.cancel.clone());
            let checked = self.attended(path, move || files::check(&file, with.as_deref(), &cancel))?;
            drilled.note(path, length, checked);
        }
        // One that was destroyed and made anew meanwhile is another one.
        if let (Ok(snapshot), true) = (&look.here, drilled.findings.values().any(is_of_source))
            && !self.is_still_there(look, snapshot)
        {
            drilled.findings.retain(|_, finding| !is_of_source(finding));
            drilled.alone = Some(format!("{snapshot} was destroyed or renamed meanwhile"));
        }
        Ok(drilled)
    }

    /// What the source has there; or why that cannot be said.
    fn snapshot_of_source(
        &self,
        snapshot: &SnapshotName,
    ) -> Result<Result<(PathBuf, Listing), String>, FilesError> {
        let pool = snapshot.dataset.pool();
        let mounts = mounts_of(self.env.root, &pool).unwrap_or_default();
        // Of several places the last one is that which can be reached.
        let Some(top) = mounts.iter().rev().find(|mounted| mounted.source == snapshot.dataset.as_str())
        else {
            return Ok(Err(format!("{} is not mounted", snapshot.dataset)));
        };
        let root = top.point.join(".zfs/snapshot").join(snapshot.snap.as_str());
        let listing = self.list(&root)?;
        if let Some(why) = listing.unreadable.get(Path::new("")) {
            return Ok(Err(format!("{} cannot be read: {why}", root.display())));
        }
        // Whoever mounted something over the dataset would be compared with otherwise.
        let mounts = mounts_of(self.env.root, &pool).unwrap_or_default();
        let is_it = mounts.iter().any(|m| m.source == snapshot.to_string() && m.point == root);
        if !is_it {
            return Ok(Err(format!("{} is not what is mounted at {}", snapshot, root.display())));
        }
        Ok(Ok((root, listing)))
    }

    fn is_still_there(&self, look: &Look, here: &SnapshotName) -> bool {
        let guid = self
            .inventory
            .target
            .get(&look.there.dataset)
            .and_then(|copy| copy.history.named(&look.there.snap).map(|snapshot| snapshot.guid));
        match self.env.client().named_snapshots([here]) {
            Ok(now) => now.get(here).map(|(now, _)| *now) == guid,
            // Without an answer what was found stands.
            Err(error) => error.kind() != Kind::Missing,
        }
    }

    fn list(&self, root: &Path) -> Result<Listing, FilesError> {
        let (at, cancel) = (root.to_owned(), self.env.cancel.clone());
        self.attended(root, move || files::list(&at, &cancel))
    }

    /// Reads for as long as the drive is there and nobody wants us to stop.
    fn attended<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, FilesError> {
        let read = |source| FilesError::Read { path: path.to_owned(), source };
        let result = files::attended(self.env.cancel, work);
        go_on(self.env, &self.request.drive)?;
        result.map_err(read)?.ok_or(FilesError::Interrupted)
    }
}

/// Whether it is told by the comparison, and not by the drive alone.
fn is_of_source(finding: &Finding) -> bool {
    !matches!(finding, Finding::Unreadable(_))
}

impl Drilled {
    fn note(&mut self, path: &Path, length: Bytes, checked: Checked) {
        self.read += 1;
        self.bytes += length;
        match checked {
            Checked::Good => {}
            // What the drive does not give says more than that its length differs.
            Checked::Bad(finding @ Finding::Unreadable(_)) => {
                self.findings.insert(path.to_owned(), finding);
            }
            Checked::Bad(finding) => {
                self.findings.entry(path.to_owned()).or_insert(finding);
            }
            Checked::NotCompared(why) => self.not_compared.push((path.to_owned(), why)),
        }
    }
}
