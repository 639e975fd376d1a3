//! The drive was pulled out while its pool was imported, and is back: the kernel still has the pool, suspended, and
//! goes on with it after `zpool clear`. First it is made sure that nobody else wrote to the drive meanwhile (S13).

use std::path::Path;
use std::time::{Duration, Instant};

use crate::drive::{
    Disk, Handwriting, LabelError, Member, Watcher, is_dying, list_receivers, newest_committed,
};
use crate::event::ImportHow;
use crate::model::{PoolName, Txg};
use crate::process::Cancel;
use crate::zfs::argv::{self, Access};
use crate::zfs::parse::Imported;
use crate::zfs::{Client, ZfsError};

use super::open::{LABEL, wait};
use super::{Host, Session, SessionError, Wanted, altroot, guard, opened};

/// What the kernel gets for each step of taking the drive back. One that goes on ends a transaction group every few
/// seconds; but a computer that is busy, or a slow drive, may need minutes for what was under way.
const PATIENCE: Patience = Patience {
    at_a_standstill: Duration::from_secs(90),
    altogether: Duration::from_secs(6 * 60),
    pause: Duration::from_millis(250),
};

/// How long is waited for something.
struct Patience {
    /// While nothing is written.
    at_a_standstill: Duration,
    /// In all.
    altogether: Duration,
    /// Between two looks.
    pause: Duration,
}

/// What is to be done with a pool that is imported already.
pub(super) enum Found {
    /// It is to be taken as it is, having come to be so in this way.
    Usable(ImportHow),
    /// One that only read, and died or lost its drive, left it: nothing can have been written since.
    LeftReadOnly,
    /// It lost its drive in mid-run, and it was zferry that had imported it.
    Suspended,
}

/// Judges an imported pool by zferry's mark (S7) and the kernel's word.
pub(super) fn judge(host: &Host<'_>, wanted: &Wanted<'_>, pool: &Imported) -> Result<Found, SessionError> {
    let marked = pool.altroot.as_deref().is_some_and(|root| Path::new(root) == altroot(wanted.guid));
    let for_a_run = marked && wanted.access == Access::ReadWrite;
    let suspended = Watcher::is_suspended(host.root, &pool.name);
    if marked && pool.readonly {
        opened::refuse_if_suspended(host, pool)?;
        return match (opened::is_open(host, pool), wanted.access) {
            (false, _) => Ok(Found::LeftReadOnly),
            // Somebody looks into it, and who only reads too may look on.
            (true, Access::ReadOnly) => Ok(Found::Usable(ImportHow::Foreign)),
            (true, Access::ReadWrite) => Err(opened::unfit_since_open(wanted, pool)),
        };
    }
    match (for_a_run, suspended || wanted.lost.is_some()) {
        (true, true) => Ok(Found::Suspended),
        (true, false) => Ok(Found::Usable(ImportHow::Adopted)),
        (false, _) if !suspended => Ok(Found::Usable(ImportHow::Foreign)),
        (false, _) if marked => {
            Err(unfit(&pool.name, format!("plug it in, then `zferry run {}`", wanted.drive)))
        }
        (false, _) => Err(unfit(
            &pool.name,
            format!(
                "if no other computer has used it since: zpool clear {}; otherwise unplug it and restart this one",
                pool.name
            ),
        )),
    }
}

pub(super) fn unfit(pool: &PoolName, remedy: String) -> SessionError {
    let finding = "its drive was pulled out while it was in use".to_owned();
    SessionError::Unfit { pool: pool.clone(), finding, remedy }
}

impl Session {
    /// Takes up a pool that this run lost, without asking for the list of pools before the kernel goes on with it: that
    /// list was seen to hang while a `zfs program` was under way, by the source of ZFS 2.4.4 because what changes a pool
    /// keeps its properties locked (`dsl_sync_task_sync()`, `spa_prop_get()`). None when that pool is not there.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(super) fn recover_unasked(
        host: &Host<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Self>, SessionError> {
        let Some(pool) = wanted.lost.as_ref().and_then(|lost| lost.pool.as_ref()) else { return Ok(None) };
        if !Watcher::is_kept(host.root, pool, wanted.guid) {
            return Ok(None);
        }
        Self::recover(host, wanted, pool, wait(host, wanted)?).map(Some)
    }

    /// Takes up a pool whose drive is back.
    pub(super) fn recover(
        host: &Host<'_>,
        wanted: &Wanted<'_>,
        pool: &PoolName,
        members: Vec<Member>,
    ) -> Result<Self, SessionError> {
        refuse_if_changed(host, wanted, pool, &members)?;
        refuse_if_received_into(host, pool)?;
        let session = Self::new(wanted, pool.clone(), ImportHow::Recovered, members, Vec::new());
        let cancel = guard(host, session.disks(), None);
        let client = host.client.with_cancel(&cancel);
        let before = newest_committed(host.root, pool);
        let plug = Plug::of(wanted, &session.members);
        clear(&client, pool).map_err(|error| told(wanted.drive, plug, error))?;
        let suspended = || Watcher::is_suspended(host.root, pool);
        let resumed = || !suspended();
        let newest = || newest_committed(host.root, pool);
        let written = || newest() > before;
        let let_go = || list_receivers(host.root, pool).is_empty();
        let steps: [Step<'_>; 3] = [
            (&resumed, "the pool stays suspended"),
            (&written, "nothing more is written"),
            (&let_go, "the receive that was cut off does not end"),
        ];
        for (number, step) in steps.into_iter().enumerate() {
            let fails = || number > 0 && suspended();
            wait_until(&PATIENCE, &cancel, step, &fails, &newest)
                .map_err(|error| told(wanted.drive, plug, error))?;
        }
        Ok(session)
    }
}

/// What became of the plug since the pool was suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plug {
    /// This run lost the drive, and it was not unplugged.
    Stayed,
    /// This run lost it, and it was plugged in again.
    Moved,
    /// An earlier run lost it.
    Unknown,
}

impl Plug {
    fn of(wanted: &Wanted<'_>, members: &[Member]) -> Self {
        let Some(lost) = &wanted.lost else { return Self::Unknown };
        let is_one_of = |disk: &Disk| members.iter().any(|member| member.disk == *disk);
        if lost.disks.iter().any(is_one_of) { Self::Stayed } else { Self::Moved }
    }
}

/// The kernel is at fault only when the drive was certainly plugged in anew.
fn told(drive: &str, plug: Plug, error: GivenUp) -> SessionError {
    let drive = drive.to_owned();
    match (error, plug) {
        (GivenUp::Lost(why), _) => SessionError::Lost { drive, why },
        (GivenUp::Suspended, _) => {
            SessionError::Failing { drive, what: "its pool was suspended again at once".to_owned() }
        }
        (GivenUp::Refused(what), Plug::Stayed | Plug::Unknown) | (GivenUp::Stuck(what), Plug::Stayed) => {
            SessionError::Failing { drive, what }
        }
        (GivenUp::Refused(what) | GivenUp::Stuck(what), _) => SessionError::Stuck { drive, what },
    }
}

/// Tells the kernel to go on. One that refuses or does not answer will not do so the next time either (seen with ZFS
/// 2.1.11, which keeps the disk FAULTED: "cannot clear errors: I/O error").
fn clear(client: &Client<'_>, pool: &PoolName) -> Result<(), GivenUp> {
    client.run(&argv::clear(pool)).map(drop).map_err(|error| match client.cancel().lost() {
        // Once more: it is waited for again.
        Some(why) => GivenUp::Lost(why),
        None if matches!(error, ZfsError::Failed { .. }) => GivenUp::Refused(crate::execute::chain(&error)),
        None => GivenUp::Stuck(crate::execute::chain(&error)),
    })
}

/// Why something is waited for no longer.
#[derive(Debug, PartialEq, Eq)]
enum GivenUp {
    /// The drive is gone once more.
    Lost(String),
    /// It is there, and its pool was suspended once more.
    Suspended,
    /// The kernel says no.
    Refused(String),
    /// Nothing happens, or not that.
    Stuck(String),
}

/// What must become so, and what is to be said when it does not.
type Step<'a> = (&'a dyn Fn() -> bool, &'a str);

/// Waits for what the kernel does by itself when all is well; for longer while `newest` shows that it goes on.
fn wait_until(
    patience: &Patience,
    cancel: &Cancel,
    (is_so, otherwise): Step<'_>,
    fails: &dyn Fn() -> bool,
    newest: &dyn Fn() -> Option<Txg>,
) -> Result<(), GivenUp> {
    let started = Instant::now();
    let (mut last, mut went_on) = (newest(), started);
    while !is_so() {
        if let Some(why) = cancel.lost() {
            return Err(GivenUp::Lost(why));
        }
        if fails() {
            return Err(GivenUp::Suspended);
        }
        let now = newest();
        if now > last {
            (last, went_on) = (now, Instant::now());
        }
        if went_on.elapsed() > patience.at_a_standstill || started.elapsed() > patience.altogether {
            return Err(GivenUp::Stuck(otherwise.to_owned()));
        }
        std::thread::sleep(patience.pause);
    }
    Ok(())
}

/// Before anything is written: what the drive itself says (S13).
fn refuse_if_changed(
    host: &Host<'_>,
    wanted: &Wanted<'_>,
    pool: &PoolName,
    members: &[Member],
) -> Result<(), SessionError> {
    let here = Handwriting::of(host.root, pool);
    for member in members {
        let drive = wanted.drive.to_owned();
        let label = host.root.label(&member.node, LABEL);
        let told = |error: &LabelError| crate::execute::chain(error);
        let evidence = match &label {
            Ok(label) => here.differs(label, wanted.guid),
            // What cannot be read tells of errors, not of another computer; nor may it be written to.
            Err(error @ (LabelError::Read { .. } | LabelError::Late { .. })) => {
                return Err(SessionError::Failing { drive, what: told(error) });
            }
            Err(error @ (LabelError::None { .. } | LabelError::NoPool { .. })) => Some(told(error)),
        };
        if let Some(evidence) = evidence {
            return Err(SessionError::Changed { drive, evidence });
        }
    }
    Ok(())
}

/// A receive that was not killed before the drive is back hangs for good, and everything after it (measured: facts
/// zfs.md 5.4).
fn refuse_if_received_into(host: &Host<'_>, pool: &PoolName) -> Result<(), SessionError> {
    let receivers = list_receivers(host.root, pool).into_iter();
    let mut living = receivers.filter_map(|receiver| receiver.pid).filter(|&pid| !is_dying(host.root, pid));
    match living.next() {
        None => Ok(()),
        Some(pid) => Err(unfit(pool, format!("kill -KILL {pid}, then run again"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::Commands;
    use crate::process::{Exit, Output, RunError};

    #[test]
    fn a_kernel_that_does_not_go_on_is_told_as_such_and_a_second_loss_as_a_loss() {
        let refuses = || {
            let stderr = "cannot clear errors for backup: I/O error".to_owned();
            Ok(Output { exit: Exit::Code(1), stdout: Vec::new(), stderr })
        };
        let hangs =
            || Err(RunError::Deadline { command: "zpool clear".to_owned(), deadline: Duration::ZERO });
        let answers: [fn() -> Result<Output, RunError>; 2] = [refuses, hangs];
        let pool = "backup".parse().unwrap();
        for answer in answers {
            let host = Commands(move |_: &_| answer());
            let (here, gone) = (Cancel::new(), Cancel::new().watching(|| Some("it is gone".to_owned())));
            let after =
                |cancel, plug| told("t7", plug, clear(&Client::new(&host, cancel), &pool).unwrap_err());
            let (moved, stayed) = (after(&here, Plug::Moved), after(&here, Plug::Stayed));
            assert!(matches!(moved, SessionError::Stuck { .. }), "{moved:?}");
            assert!(matches!(stayed, SessionError::Failing { .. }), "{stayed:?}");
            let lost = after(&gone, Plug::Unknown);
            assert!(matches!(lost, SessionError::Lost { .. }), "{lost:?}");
        }
    }

    #[test]
    fn a_kernel_that_goes_on_gets_more_time_and_none_gets_all_of_it() {
        use std::cell::Cell;
        let patience = Patience {
            at_a_standstill: Duration::from_millis(60),
            altogether: Duration::from_secs(2),
            pause: Duration::from_millis(5),
        };
        let here = Cancel::new();
        let gone = Cancel::new().watching(|| Some("it is gone".to_owned()));
        let looks = Cell::new(0);
        let goes_on = || {
            looks.set(looks.get() + 1);
            Some(Txg(looks.get()))
        };
        let stands = || Some(Txg(7));
        let late = || looks.get() > 10;
        let no = || false;
        let stuck = || Err(GivenUp::Stuck("it stands".to_owned()));
        assert_eq!(wait_until(&patience, &here, (&late, "it stands"), &no, &goes_on), Ok(()));
        let started = Instant::now();
        assert_eq!(wait_until(&patience, &here, (&no, "it stands"), &no, &goes_on), stuck());
        assert!(started.elapsed() >= patience.altogether);
        assert_eq!(wait_until(&patience, &here, (&no, "it stands"), &no, &stands), stuck());
        let lost = GivenUp::Lost("it is gone".to_owned());
        assert_eq!(wait_until(&patience, &gone, (&no, "it stands"), &|| true, &stands), Err(lost));
        let again = wait_until(&patience, &here, (&no, "it stands"), &|| true, &stands);
        assert_eq!(again, Err(GivenUp::Suspended));
    }
}
