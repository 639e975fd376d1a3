//! The way in: find the drive by its pool's guid, import it without mounting or forcing anything, look at its state.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::drive::{
    Disk, Label, Member, WaitError, members_in_luks, wait_for_luks, wait_for_pool, wait_until_gone,
};
use crate::event::{Event, ImportHow};
use crate::execute::luks;
use crate::model::{Guid, Luks, PoolFacts, PoolName};
use crate::plan::Afterwards;
use crate::process::Tool;
use crate::zfs::ZfsError;
use crate::zfs::argv::Access;
use crate::zfs::parse::Imported;
use crate::zfs::version::{self, Versions};

use super::close::export_when_free;
use super::encased;
use super::recover::{self, Found};
use super::{Host, Session, SessionError};

/// For reading a label from a device that answers.
pub(super) const LABEL: Duration = Duration::from_secs(20);

/// For the `zfs send` of one that was killed while it read from a drive: it ends when what it had asked for has come.
const DYING: Duration = Duration::from_secs(60);

/// What is to be opened.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The drive's name in the configuration.
    pub drive: &'a str,
    /// The pool's name there: for people.
    pub pool: &'a PoolName,
    /// The pool's guid: what decides.
    pub guid: Guid,
    /// The LUKS container that it lies in.
    pub luks: Option<&'a Luks>,
    /// For a run or for a look.
    pub access: Access,
    /// How long to wait for the drive.
    pub wait: Duration,
    /// The host that the user said used it last.
    pub last_used_by: Option<&'a str>,
    /// This run had it before, and lost it: what the kernel still has of its pool is not to be relied on.
    pub lost: Option<Lost>,
}

/// A drive that a run had and lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The disks that it was on; none where they are not known.
    pub disks: Vec<Disk>,
    /// Whether it has to be unplugged and plugged in again before it is tried once more.
    pub anew: bool,
    /// Its pool, when this run had imported it and had not begun to export it.
    pub pool: Option<PoolName>,
}

impl Session {
    /// Opens a session. The drive's lock must be held.
    ///
    /// # Errors
    /// When the drive is not there, or must not be used. Nothing is left imported that was not before.
    pub fn open(host: &Host<'_>, wanted: &Wanted<'_>) -> Result<Self, SessionError> {
        let opened = Self::open_found(host, wanted);
        if let (Err(_), Some(luks)) = (&opened, wanted.luks)
            && let Some(stays) = luks::close(host, wanted.drive, &luks.uuid, false)
        {
            log::info!("{}: {stays}", wanted.drive);
        }
        opened
    }

    fn open_found(host: &Host<'_>, wanted: &Wanted<'_>) -> Result<Self, SessionError> {
        let recovered = Self::recover_unasked(host, wanted)?;
        let imported = host.client.pools().map_err(SessionError::Tools)?;
        let versions = host.client.check_tool(Tool::Zfs).map_err(SessionError::Tools)?;
        if let Some(refusal) = version::refusal(&versions) {
            return Err(SessionError::UnsafeZfs(refusal));
        }
        if imported.is_empty() {
            // Not even the source's pool: a tool that says nothing at all would look like this.
            host.client.check_tool(Tool::Zpool).map_err(SessionError::Tools)?;
        }
        let session = match (recovered, imported.iter().find(|pool| pool.guid == wanted.guid)) {
            (Some(session), _) => session.beside(&imported),
            (None, Some(pool)) => Self::take_over(host, wanted, pool)?.beside(&imported),
            (None, None) => Self::import(host, wanted, &imported)?,
        };
        let session = Self { versions, ..session };
        host.sink.event(Event::Imported { pool: session.pool.clone(), how: session.how });
        Ok(session)
    }

    /// A session to be closed at once, for `eject`: the pool as it is, imported or not.
    ///
    /// # Errors
    /// When the pool is neither imported nor on a connected drive.
    pub fn find(host: &Host<'_>, wanted: &Wanted<'_>) -> Result<Self, SessionError> {
        let imported = host.client.pools().map_err(SessionError::Tools)?;
        if let Some(opened) = Self::opened_among(host, wanted, &imported)? {
            return Ok(opened);
        }
        let imported = imported.into_iter().find(|pool| pool.guid == wanted.guid);
        match imported {
            Some(pool) => Self::take_over(host, wanted, &pool),
            None => {
                let (members, locked) = match wanted.luks {
                    Some(luks) => encased::find(host, wanted, luks)?,
                    None => (wait(host, wanted)?, false),
                };
                let found = Self::new(wanted, wanted.pool.clone(), ImportHow::Fresh, members, Vec::new());
                Ok(Self { found_only: true, locked, ..found })
            }
        }
    }

    /// The pool is imported: by somebody else, or by a run that died.
    pub(super) fn take_over(
        host: &Host<'_>,
        wanted: &Wanted<'_>,
        pool: &Imported,
    ) -> Result<Self, SessionError> {
        let how = match recover::judge(host, wanted, pool)? {
            Found::Usable(how) => how,
            Found::Suspended => return Self::recover(host, wanted, &pool.name, wait(host, wanted)?),
            Found::LeftReadOnly => {
                // Its label was never touched.
                export_when_free(host, &pool.name, DYING).map_err(|source| {
                    zfs(format!("{} is imported read-only and cannot be exported", pool.name), source)
                })?;
                return Self::import(host, wanted, &pools(host)?);
            }
        };
        let members = members(host, wanted).unwrap_or_default();
        Ok(Self::new(wanted, pool.name.clone(), how, members, Vec::new()))
    }

    pub(super) fn new(
        wanted: &Wanted<'_>,
        pool: PoolName,
        how: ImportHow,
        members: Vec<Member>,
        labels: Vec<Label>,
    ) -> Self {
        let facts = PoolFacts { name: pool.clone(), guid: wanted.guid, features: BTreeMap::new() };
        let (drive, imported) = (wanted.drive.to_owned(), Vec::new());
        Self {
            drive,
            pool,
            guid: wanted.guid,
            how,
            facts,
            imported,
            members,
            errors: 0,
            damaged: false,
            labels,
            found_only: false,
            luks: wanted.luks.map(|luks| luks.uuid.clone()),
            locked: false,
            versions: Versions::default(),
        }
    }

    /// Together with what else is imported.
    pub(super) fn beside(self, imported: &[Imported]) -> Self {
        Self { imported: imported.iter().map(|pool| pool.name.clone()).collect(), ..self }
    }

    /// Health, error counters, read-only, checkpoint: whether the pool may be written to. And what it can do.
    ///
    /// # Errors
    /// When it must not be written to, or its state is not known. The session goes on, to be closed.
    pub fn examine(
        &mut self,
        host: &Host<'_>,
        access: Access,
        afterwards: &Afterwards<'_>,
    ) -> Result<(), SessionError> {
        let asked = |source| zfs(format!("the state of {} is not known", self.pool), source);
        let status = host.client.status(&self.pool).map_err(asked)?;
        let properties = host.client.pool_properties([&self.pool]).map_err(asked)?;
        let all = properties.get(&self.pool);
        let property = |name: &str| all.and_then(|all| all.get(name)).map(String::as_str);
        self.facts = PoolFacts::read(self.pool.clone(), self.guid, all.into_iter().flatten());
        self.errors = status.errors;
        self.damaged = status.damage.is_some();
        if access == Access::ReadOnly {
            return Ok(());
        }
        let unfit = |finding: &str, remedy: String| {
            Err(SessionError::Unfit { pool: self.pool.clone(), finding: finding.to_owned(), remedy })
        };
        if status.state != "ONLINE" {
            let look = afterwards.on_drive(&self.pool, &format!("zpool status -v {}", self.pool));
            return unfit(&format!("its state is {}", status.state), look);
        }
        if property("readonly") == Some("on") {
            let remedy = format!("zpool export {}   (then run again)", self.pool);
            return unfit("it is imported read-only", remedy);
        }
        if !matches!(property("checkpoint"), None | Some("-" | "" | "none")) {
            let remedy = afterwards.on_drive(&self.pool, &format!("zpool checkpoint -d -w {}", self.pool));
            return unfit("it has a checkpoint, so that nothing that is pruned would become free", remedy);
        }
        self.await_receivers(host)
    }
}

/// All imported pools.
pub(super) fn pools(host: &Host<'_>) -> Result<Vec<Imported>, SessionError> {
    host.client.pools().map_err(|source| zfs("the imported pools cannot be listed".to_owned(), source))
}

pub(super) fn zfs(what: String, source: ZfsError) -> SessionError {
    SessionError::Zfs { what, source }
}

/// The drive's devices now, without waiting.
pub(super) fn members(host: &Host<'_>, wanted: &Wanted<'_>) -> Option<Vec<Member>> {
    if let Some(luks) = wanted.luks {
        return members_in_luks(host.root, &luks.uuid, wanted.guid).ok();
    }
    let all = host.root.members().ok()?;
    Some(all.into_iter().filter(|member| member.pool_guid == wanted.guid).collect())
}

/// Waits for the drive for as long as the user wants to, and says so.
pub(super) fn wait(host: &Host<'_>, wanted: &Wanted<'_>) -> Result<Vec<Member>, SessionError> {
    let drive = wanted.drive.to_owned();
    let within = match &wanted.lost {
        Some(Lost { disks, anew: true, .. }) => wait_for_replug(host, wanted, disks)?,
        _ => wanted.wait,
    };
    let mut told = false;
    let mut tick = |_left: Duration| {
        if !told && !within.is_zero() {
            told = true;
            host.sink.event(Event::waiting(drive.clone(), within));
        }
    };
    let cancel = host.client.cancel();
    let found = match wanted.luks {
        None => wait_for_pool(host.root, wanted.guid, within, cancel, &mut tick),
        Some(luks) => match wait_for_luks(host.root, &luks.uuid, within, cancel, &mut tick) {
            Ok(device) => return encased::enter(host, wanted, luks, &device),
            Err(error) => Err(error),
        },
    };
    match found {
        Ok(members) => Ok(members),
        Err(error) => Err(not_found(host, wanted, error)),
    }
}

pub(super) fn not_found(host: &Host<'_>, wanted: &Wanted<'_>, error: WaitError) -> SessionError {
    let drive = wanted.drive.to_owned();
    match error {
        WaitError::Cancelled => SessionError::Interrupted { drive },
        WaitError::Find(source) => SessionError::Find { drive, source },
        WaitError::Late { .. } => SessionError::Absent {
            drive,
            pool: wanted.pool.clone(),
            guid: wanted.guid,
            other: namesake(host, wanted),
        },
    }
}

/// Waits until a drive that fails was unplugged. Returns the time that is left for plugging it in again.
fn wait_for_replug(host: &Host<'_>, wanted: &Wanted<'_>, disks: &[Disk]) -> Result<Duration, SessionError> {
    let drive = wanted.drive.to_owned();
    host.sink.event(Event::WaitingForReplug { drive: drive.clone(), seconds: wanted.wait.as_secs() });
    wait_until_gone(host.root, disks, wanted.guid, wanted.wait, host.client.cancel()).map_err(|error| {
        match error {
            WaitError::Cancelled => SessionError::Interrupted { drive },
            WaitError::Find(source) => SessionError::Find { drive, source },
            WaitError::Late { .. } => {
                SessionError::Failing { drive, what: "it was not unplugged and plugged in again".to_owned() }
            }
        }
    })
}

/// Another connected drive whose pool has the same name: the first thing that a person wonders about.
fn namesake(host: &Host<'_>, wanted: &Wanted<'_>) -> Option<(String, Guid)> {
    let all = host.root.members().ok()?;
    let other = all.into_iter().find(|member| member.pool_name == wanted.pool.as_str())?;
    Some((other.disk.to_string(), other.pool_guid))
}
