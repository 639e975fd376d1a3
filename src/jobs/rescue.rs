//! The rescue file system of a drive is kept current by each run: what is on it is decided in `plan::rescue`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::config::edit::NewDrive;
use crate::drive::{Disk, RescuePartition};
use crate::event::Event;
use crate::execute::rescue::{self, Contents};
use crate::execute::session::Session;
use crate::model::{Bytes, Guid, LuksUuid, Policy, PoolName, Side, SnapshotDetail};
use crate::plan::rescue::{Facts, Program, program, questions, texts};
use crate::zfs::ZfsError;

use super::Environment;
use super::drive_run::DriveRun;

/// What a run needs to know for it.
#[derive(Debug, Clone)]
pub struct Rescue {
    /// The configuration, as a file.
    pub config: String,
    /// The name of this computer.
    pub host: String,
    /// The program that is put there; nothing where it is not known.
    pub program: Option<Portable>,
}

/// A program for other computers.
#[derive(Debug, Clone)]
pub struct Portable {
    /// Its file.
    pub path: PathBuf,
    /// Whether it needs no library.
    pub is_static: bool,
}

impl Portable {
    /// Where packages put the build without libraries, from the directory of the program on.
    const BESIDE: &'static str = "../lib/zferry/zferry-static";

    /// For the program that runs: the build without libraries that was installed with it, else itself.
    fn of(running: PathBuf) -> Self {
        let beside = running.parent().map(|directory| directory.join(Self::BESIDE));
        match beside.filter(|path| path.is_file()) {
            Some(path) => Self { path, is_static: true },
            None => Self { path: running, is_static: cfg!(target_feature = "crt-static") },
        }
    }
}

impl Rescue {
    /// Of this process.
    pub fn new(config: String, host: &str) -> Self {
        Self { config, host: host.to_owned(), program: std::env::current_exe().ok().map(Portable::of) }
    }
}

/// The drive that it is for.
pub(super) struct Subject<'a> {
    pub(super) drive: &'a str,
    pub(super) pool: &'a PoolName,
    pub(super) guid: Guid,
    pub(super) luks: Option<&'a LuksUuid>,
    pub(super) policies: &'a [Policy],
    /// What is on it.
    pub(super) side: &'a Side,
    /// Of its newest snapshots.
    pub(super) details: &'a HashMap<String, SnapshotDetail>,
}

impl Rescue {
    /// What is to be on a file system with so much room in all.
    pub(super) fn contents(&self, env: &Environment<'_>, subject: &Subject<'_>, room: Bytes) -> Contents {
        let size = |portable: &Portable| Some(Bytes(std::fs::metadata(&portable.path).ok()?.len()));
        let decided = match self.program.as_ref().and_then(|portable| Some((portable, size(portable)?))) {
            Some((Portable { path, is_static }, size)) => program(path, *is_static, size, room),
            None => Program::LeftOut("its file was not found when this was written".to_owned()),
        };
        let facts = Facts {
            drive: subject.drive,
            pool: subject.pool,
            guid: subject.guid,
            luks: subject.luks,
            host: &self.host,
            version: env!("CARGO_PKG_VERSION"),
            now: (env.clock)(),
            side: subject.side,
            details: subject.details,
            policies: subject.policies,
            config: &self.config,
            program: &decided,
            printed: false,
        };
        let is_copied = matches!(decided, Program::Static | Program::Shared);
        let program = self.program.as_ref().filter(|_| is_copied).map(|portable| portable.path.clone());
        Contents { texts: texts(&facts), program }
    }
}

/// Where it is mounted while it is written: for nobody else to look at.
pub(super) fn mount_point(locks: &Path, guid: Guid) -> PathBuf {
    locks.join("rescue").join(guid.to_string())
}

impl DriveRun<'_> {
    /// Brings it up to date, where the configuration says that there is one. The backup is whole without it: what goes
    /// wrong is a warning.
    pub(super) fn keep_rescue_current(&self, env: &Environment<'_>, session: &Session) {
        let Some(rescue) = &self.rescue else { return };
        if env.cancel.is_requested() {
            return;
        }
        let host = env.host();
        let partition = match rescue::find(&host, &session.disks()) {
            Ok(partition) => partition,
            Err(error) => return rescue::warn(&host, self.drive, &error),
        };
        let (side, details) = match look(env, session) {
            Ok(seen) => seen,
            Err(error) => {
                let why = crate::execute::chain(&error);
                let text = format!("The rescue file system of {} is not up to date: {why}.", self.drive);
                return env.sink.event(Event::Warning { text });
            }
        };
        let subject = Subject {
            drive: self.drive,
            pool: self.pool,
            guid: self.guid,
            luks: self.luks.map(|luks| &luks.uuid),
            policies: &self.policies,
            side: &side,
            details: &details,
        };
        write(env, rescue, &partition, &subject);
    }
}

/// What is on the drive.
pub(super) fn look(
    env: &Environment<'_>,
    session: &Session,
) -> Result<(Side, HashMap<String, SnapshotDetail>), ZfsError> {
    let client = env.client();
    let side = crate::observe::list_drive(&client, &session.pool)?;
    let details = client.details(&questions(&side))?;
    Ok((side, details))
}

fn write(env: &Environment<'_>, rescue: &Rescue, partition: &RescuePartition, subject: &Subject<'_>) {
    let (host, at) = (env.host(), mount_point(env.locks, subject.guid));
    let contents = |room| rescue.contents(env, subject, room);
    if let Err(error) = rescue::keep_current(&host, partition, &at, contents) {
        // Of a drive that is gone the run tells by itself.
        if env.cancel.lost().is_none() {
            rescue::warn(&host, subject.drive, &error);
        }
    }
}

/// The first page, of a drive without a backup.
pub(super) fn write_first(env: &Environment<'_>, rescue: &Rescue, disk: &Disk, new: &NewDrive) {
    let host = env.host();
    let (side, details) = (Side::default(), HashMap::new());
    let drive = new.name.as_str();
    let subject = Subject {
        drive,
        pool: &new.pool,
        guid: new.guid,
        luks: new.luks.as_ref(),
        policies: &[],
        side: &side,
        details: &details,
    };
    match rescue::find(&host, std::slice::from_ref(disk)) {
        Ok(partition) => write(env, rescue, &partition, &subject),
        Err(error) => rescue::warn(&host, drive, &error),
    }
    if let Some(kept) = rescue::release(&host, drive, std::slice::from_ref(disk)) {
        env.sink.event(Event::Warning { text: format!("{drive} is still in use: {kept}.") });
    }
}
