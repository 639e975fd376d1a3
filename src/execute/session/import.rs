//! The import itself: by guid, from the drive's own devices, never forced but by the user's word.

use std::time::Duration;

use crate::drive::{Label, PoolState};
use crate::event::{Event, ImportHow};
use crate::model::PoolName;
use crate::zfs::argv::{self, Access, ForeignHost};
use crate::zfs::parse::Imported;
use crate::zfs::{Kind, ZfsError};

use super::open::{LABEL, pools, wait, zfs};
use super::together;
use super::{Host, Session, SessionError, Wanted, altroot, guard};

/// How often an import is tried that another one seems to keep from its devices.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);

impl Session {
    /// Imports the pool, or takes it as whoever was quicker imported it.
    pub(super) fn import(
        host: &Host<'_>,
        wanted: &Wanted<'_>,
        imported: &[Imported],
    ) -> Result<Self, SessionError> {
        let members = together::gather(host, wanted, wait(host, wanted)?)?;
        host.sink.event(Event::Found {
            drive: wanted.drive.to_owned(),
            description: members.first().map(|member| member.disk.title()).unwrap_or_default(),
            devices: members.iter().map(|member| member.node.clone()).collect(),
        });
        let labels: Vec<Label> =
            members.iter().filter_map(|member| host.root.label(&member.node, LABEL).ok()).collect();
        if let Some(label) = labels.first() {
            refuse_name(wanted, label, imported)?;
        }
        let foreign = foreign_host(wanted, &labels)?;
        let devices: Vec<_> = members.iter().map(|member| member.stable.clone()).collect();
        let root = altroot(wanted.guid).display().to_string();
        let import = argv::import(wanted.guid, &devices, &root, wanted.access, foreign);
        let disks = members.iter().map(|member| member.disk.clone()).collect();
        let cancel = guard(host, disks, None);
        let mut tries = TRIES;
        while let Err(source) = host.client.with_cancel(&cancel).run(&import) {
            if let Some(why) = cancel.lost() {
                return Err(SessionError::Lost { drive: wanted.drive.to_owned(), why });
            }
            tries -= 1;
            if tries == 0 || !is_another_under_way(&source) || cancel.is_requested() {
                return Err(import_error(wanted, &labels, source));
            }
            let imported = pools(host)?;
            if let Some(pool) = imported.iter().find(|pool| pool.guid == wanted.guid) {
                return Ok(Self::take_over(host, wanted, pool)?.beside(&imported));
            }
            // Another drive's, which was quicker.
            if let Some(label) = labels.first() {
                refuse_name(wanted, label, &imported)?;
            }
            std::thread::sleep(PAUSE);
        }
        let how = match wanted.access {
            Access::ReadOnly => ImportHow::ReadOnly,
            Access::ReadWrite => ImportHow::Fresh,
        };
        let name = labels.first().and_then(|label| label.pool_name.parse::<PoolName>().ok());
        match pools(host) {
            Ok(imported) => {
                let here = imported.iter().find(|pool| pool.guid == wanted.guid);
                let here = here.ok_or_else(|| SessionError::Gone { drive: wanted.drive.to_owned() })?;
                Ok(Self::new(wanted, here.name.clone(), how, members, labels).beside(&imported))
            }
            Err(error) => {
                if let Some(name) = name {
                    Self::new(wanted, name, how, members, labels).leave(host);
                }
                Err(error)
            }
        }
    }
}

/// Whether it failed as it does while the same pool is imported already, or is about to be: the kernel goes on with the
/// import of a run that was killed, whose devices nobody else may open for that long.
fn is_another_under_way(error: &ZfsError) -> bool {
    matches!(error.kind(), Kind::NameTaken | Kind::Missing)
}

fn refuse_name(wanted: &Wanted<'_>, label: &Label, imported: &[Imported]) -> Result<(), SessionError> {
    match imported.iter().find(|pool| pool.name.as_str() == label.pool_name) {
        None => Ok(()),
        Some(other) => Err(SessionError::NameTaken {
            name: other.name.to_string(),
            imported: other.guid,
            wanted: wanted.guid,
        }),
    }
}

/// Whether the import has to be forced, which only the user can allow, by the name of the host (S2).
fn foreign_host(wanted: &Wanted<'_>, labels: &[Label]) -> Result<ForeignHost, SessionError> {
    let Some(given) = wanted.last_used_by else { return Ok(ForeignHost::Refuse) };
    let active = labels.iter().find(|label| label.state == PoolState::Active);
    match active {
        Some(label) if label.hostname.as_deref() == Some(given) => Ok(ForeignHost::TakeOver),
        Some(label) => Err(SessionError::OtherHost {
            drive: wanted.drive.to_owned(),
            host: host_of(label),
            given: given.to_owned(),
        }),
        None => Ok(ForeignHost::Refuse),
    }
}

fn host_of(label: &Label) -> String {
    let name = crate::process::printable(label.hostname.as_deref().unwrap_or("a host without a name"));
    match label.hostid {
        Some(id) => format!("{name} (hostid {id:x})"),
        None => name,
    }
}

fn import_error(wanted: &Wanted<'_>, labels: &[Label], source: ZfsError) -> SessionError {
    let active = labels.iter().find(|label| label.state == PoolState::Active);
    match (source.kind(), active) {
        (Kind::ForeignHost, Some(label)) => {
            SessionError::ForeignHost { drive: wanted.drive.to_owned(), host: host_of(label) }
        }
        _ => zfs(format!("{} cannot be imported", wanted.drive), source),
    }
}
