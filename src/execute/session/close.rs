//! The way out: export, confirm from outside the command's own exit status, power off, confirm that the device is
//! gone (S8). The same on every error and signal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::drive::{self, Holder, Label, Outcome, PoolState, Watcher};
use crate::event::{Event, ImportHow, Then, Unplug};
use crate::execute::luks;
use crate::model::PoolName;
use crate::zfs::{Kind, ZfsError, argv};

use super::{Host, Session, is_worth_a_warning};

/// For what still has the pool open for a moment: udev looking at it, a receive that is dying.
const PATIENCE: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_millis(500);
/// For reading a label back.
const LABEL: Duration = Duration::from_secs(20);

/// What happens after the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Export, and leave the device as it is.
    Export,
    /// Export and power off.
    PowerOff,
}

/// Proof that the pool was exported and that this was seen from outside. Only [`Session::close`] makes one.
#[derive(Debug)]
pub struct Exported {
    _seen: (),
}

impl Session {
    /// Whether the pool is imported when the session is over: somebody else's is left alone unless `export_foreign`.
    pub fn stays_imported(&self, export_foreign: bool) -> bool {
        self.how == ImportHow::Foreign && !export_foreign
    }

    /// Ends the session and says whether the drive may be unplugged. A drive that is gone is not touched any more
    /// (S13). A pool that somebody else imported is left alone unless `export_foreign`.
    pub fn close(&self, host: &Host<'_>, after: After, export_foreign: bool) -> Unplug {
        if let Some(why) = host.client.cancel().lost() {
            return self.gone(host, why);
        }
        if self.stays_imported(export_foreign) {
            return Unplug::LeftImported { first: self.eject() };
        }
        match (self.export(host), host.client.cancel().lost()) {
            (Ok(exported), _) => {
                host.sink.event(Event::Exported { pool: self.pool.clone() });
                // From here on it is meant to go.
                let cancel = host.client.cancel().unwatched();
                let host = Host { client: host.client.with_cancel(&cancel), ..*host };
                self.let_go(&host, after, export_foreign, &exported)
            }
            (Err(_), Some(why)) => self.gone(host, why),
            (Err(why), None) => {
                host.sink.event(Event::NotExported { pool: self.pool.clone(), why: why.clone() });
                Unplug::Unsafe { why }
            }
        }
    }

    /// A pool that is suspended while it is imported read-only stays so: `zpool clear` says that it is read-only,
    /// `zpool export` that it is suspended (measured with ZFS 2.4.4).
    fn gone(&self, host: &Host<'_>, why: String) -> Unplug {
        let stays = self.how == ImportHow::ReadOnly && Watcher::is_suspended(host.root, &self.pool);
        Unplug::Gone { why, then: if stays { Then::RestartReader } else { Then::PlugIn } }
    }

    /// Ends a session that came to nothing: what it imported is exported, nothing is powered off.
    pub(super) fn leave(self, host: &Host<'_>) {
        if self.how == ImportHow::Foreign {
            return;
        }
        match self.export(host) {
            Ok(_) => host.sink.event(Event::Exported { pool: self.pool.clone() }),
            Err(why) => {
                host.sink.event(Event::NotExported { pool: self.pool.clone(), why });
                let text = format!("Do NOT unplug {} before `{}` said so.", self.drive, self.eject());
                host.sink.event(Event::Warning { text });
            }
        }
    }

    fn export(&self, host: &Host<'_>) -> Result<Exported, String> {
        if self.found_only {
            return self.confirm(host);
        }
        if self.how != ImportHow::ReadOnly {
            self.write_out(host)?;
        }
        export_when_free(host, &self.pool, PATIENCE).map_err(|error| self.why_not(host, &error))?;
        self.confirm(host)
    }

    /// What is not written yet is written before the export, which would do so while it keeps the list of all pools
    /// locked: a drive that is pulled out then takes every `zpool` and `zfs` of this computer along (measured with
    /// ZFS 2.4.4). Whatever fails here fails again in the export, and is told there.
    fn write_out(&self, host: &Host<'_>) -> Result<(), String> {
        let _ = host.client.run(&argv::sync(&self.pool));
        host.client.cancel().lost().map_or(Ok(()), Err)
    }

    /// Gone from the list, and every label says EXPORTED (after a read-only session: says what it said before).
    fn confirm(&self, host: &Host<'_>) -> Result<Exported, String> {
        let pools =
            host.client.pools().map_err(|error| format!("whether it was exported is not known: {error}"))?;
        if pools.iter().any(|pool| pool.guid == self.guid) {
            return Err(format!("“{}” is still imported", self.pool));
        }
        if self.locked {
            return Ok(Exported { _seen: () });
        }
        if self.members.is_empty() {
            return Err("the export cannot be confirmed: udev knows no device of the pool".to_owned());
        }
        for member in &self.members {
            let label = host.root.label(&member.node, LABEL).map_err(|error| {
                format!("the export cannot be confirmed: {}", crate::execute::chain(&error))
            })?;
            self.check_label(&label)?;
        }
        Ok(Exported { _seen: () })
    }

    fn check_label(&self, label: &Label) -> Result<(), String> {
        if label.pool_guid != self.guid {
            return Err(format!("the drive's label is that of another pool now (guid {})", label.pool_guid));
        }
        if self.how == ImportHow::ReadOnly {
            let before = self.labels.iter().find(|before| before.vdev_guid == label.vdev_guid);
            return match before {
                Some(before) if (before.state, before.txg) == (label.state, label.txg) => Ok(()),
                Some(_) => Err("the drive's label changed in a session that only read".to_owned()),
                None => Err("the drive's label could not be read before, to compare it with now".to_owned()),
            };
        }
        match label.state {
            PoolState::Exported => Ok(()),
            other => Err(format!("the drive's label does not say that it was exported, but {other:?}")),
        }
    }

    /// The command that lets it go. A pool that was given on the command line has no drive's name to eject.
    fn eject(&self) -> String {
        let command = if self.drive == self.pool.as_str() { "zpool export" } else { "zferry eject" };
        format!("{command} {}", self.drive)
    }

    /// The refusal with the processes that are the cause of it.
    pub(super) fn why_not(&self, host: &Host<'_>, error: &crate::zfs::ZfsError) -> String {
        let mut holders = drive::list_holders(host.root, &self.pool);
        holders.extend(drive::list_receivers(host.root, &self.pool));
        if error.kind() != Kind::Busy || holders.is_empty() {
            return crate::execute::chain(error);
        }
        let named: Vec<_> = holders.iter().take(5).map(describe).collect();
        let more = holders.len().saturating_sub(named.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let named = named.join("; ");
        format!("“{}” is in use by {named}{more}; once that has ended: `{}`", self.pool, self.eject())
    }

    /// After the export: powers off where that is wanted. Where something else on the device is in use the pool is
    /// safe, and pulling the plug would still do harm.
    fn let_go(&self, host: &Host<'_>, after: After, export_foreign: bool, exported: &Exported) -> Unplug {
        // Before it is looked who else uses the disk: the open container would be one.
        let stays = self.luks.as_ref().and_then(|uuid| luks::close(host, &self.drive, uuid, export_foreign));
        let imported = match host.client.devices(None) {
            Ok(imported) => imported,
            Err(error) => {
                if after == After::PowerOff {
                    let text =
                        format!("{} was not powered off: {}.", self.drive, crate::execute::chain(&error));
                    host.sink.event(Event::Warning { text });
                }
                return Unplug::Safe { powered_off: false };
            }
        };
        let kept = crate::execute::rescue::release(host, &self.drive, &self.disks());
        let kept = kept.or(stays);
        let in_use = self.disks().iter().find_map(|disk| drive::find_other_use(host.root, disk, &imported));
        match in_use {
            Some(what) => Unplug::OthersInUse { what: kept.unwrap_or_else(|| what.to_string()) },
            None => {
                let powered_off = after == After::PowerOff && self.power_off(host, &imported, exported);
                Unplug::Safe { powered_off }
            }
        }
    }

    /// Powers off every disk of the pool. Says whether all are gone; anything else is a warning, since the export
    /// stands.
    fn power_off(&self, host: &Host<'_>, imported: &[PathBuf], _exported: &Exported) -> bool {
        let disks = self.disks();
        let mut all_gone = !disks.is_empty();
        for disk in &disks {
            let client = &host.client;
            let outcome = drive::power_off(host.root, client.runner(), disk, imported, client.cancel());
            let warning = match outcome {
                Ok(Outcome::Gone) => continue,
                Ok(Outcome::StillThere { why }) => {
                    Some(format!("{} could not be powered off: {why}", self.drive))
                }
                Err(error) if is_worth_a_warning(&error) => Some(format!("{}: {error}", self.drive)),
                Err(error) => {
                    host.sink.event(Event::Note { text: format!("{error}.") });
                    None
                }
            };
            all_gone = false;
            if let Some(text) = warning {
                host.sink.event(Event::Warning { text: format!("{text}.") });
            }
        }
        if all_gone {
            host.sink.event(Event::PoweredOff { drive: self.drive.clone() });
        }
        all_gone
    }
}

/// Exports a pool; one that is busy is asked again for so long. One that is not there any more is as good.
pub(super) fn export_when_free(host: &Host<'_>, pool: &PoolName, patience: Duration) -> Result<(), ZfsError> {
    let started = Instant::now();
    let export = argv::export(pool);
    loop {
        match host.client.run(&export) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == Kind::Missing => return Ok(()),
            Err(error) if error.kind() == Kind::Busy && started.elapsed() < patience => {
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// "rsync (process 4711 of anna: working directory /mnt/x)".
pub(crate) fn describe(holder: &Holder) -> String {
    let user = holder.user.as_deref().map(|user| format!(" of {user}")).unwrap_or_default();
    match holder.pid {
        Some(pid) => format!("{} (process {pid}{user}: {})", holder.command, holder.what),
        None => format!("{} ({})", holder.command, holder.what),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::drive::Root;
    use crate::event::Silence;
    use crate::execute::session::Wanted;
    use crate::model::Guid;
    use crate::process::testing::Commands;
    use crate::process::{Cancel, Exit, Output};
    use crate::zfs::Client;
    use crate::zfs::argv::Access;

    /// What is run to end a session that came about like this, when the drive goes at the first command, or not.
    fn ending(how: ImportHow, goes: bool) -> (Vec<String>, Unplug) {
        let (commands, gone) = (Mutex::new(Vec::new()), Arc::new(AtomicBool::new(false)));
        let host = Commands(|command: &crate::process::Invocation| {
            let mut commands = commands.lock().unwrap();
            commands.push(command.to_string());
            gone.store(goes, Ordering::Relaxed);
            Ok(Output { exit: Exit::Code(0), stdout: Vec::new(), stderr: String::new() })
        });
        let seen = Arc::clone(&gone);
        let cancel =
            Cancel::new().watching(move || seen.load(Ordering::Relaxed).then(|| "it is gone".to_owned()));
        let pool: PoolName = "backup".parse().unwrap();
        let wanted = Wanted {
            drive: "t7",
            pool: &pool,
            guid: Guid(7),
            luks: None,
            access: Access::ReadWrite,
            wait: Duration::ZERO,
            last_used_by: None,
            lost: None,
        };
        let session = Session::new(&wanted, pool.clone(), how, Vec::new(), Vec::new());
        let root = Root::default();
        let host =
            Host { client: Client::new(&host, &cancel), root: &root, sink: &Silence, ask: &luks::nobody };
        let unplug = session.close(&host, After::Export, false);
        let commands = commands.lock().unwrap().clone();
        (commands, unplug)
    }

    #[test]
    fn what_is_left_is_written_before_the_export_and_a_drive_that_is_gone_is_not_exported() {
        let (commands, _) = ending(ImportHow::Fresh, false);
        assert_eq!(commands[..2], ["zpool sync backup", "zpool export backup"]);
        let (commands, _) = ending(ImportHow::ReadOnly, false);
        assert_eq!(commands[0], "zpool export backup");
        let (commands, unplug) = ending(ImportHow::Fresh, true);
        assert_eq!(commands, ["zpool sync backup"]);
        assert!(matches!(unplug, Unplug::Gone { then: Then::PlugIn, .. }), "{unplug:?}");
    }
}
