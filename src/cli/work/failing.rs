//! From what a job says went wrong to what the user reads.

use crate::cli::failure::Failure;
use crate::execute::lock::LockError;
use crate::execute::luks::LuksError;
use crate::execute::session::SessionError;
use crate::jobs::JobError;
use crate::jobs::files::FilesError;
use crate::process::{Cancel, RunError};
use crate::zfs::{Kind, ZfsError};

/// From what went wrong to what the user reads.
pub fn failure_for(error: &JobError, cancel: &Cancel) -> Failure {
    let cause = retold(error);
    let hints = error.remedies();
    match error {
        JobError::Interrupted | JobError::Session(SessionError::Interrupted { .. }) => {
            Failure::Interrupted { signal: cancel.signal().unwrap_or_default() }
        }
        JobError::Session(SessionError::Luks(stopped)) | JobError::Luks(stopped)
            if stopped.is_interruption() =>
        {
            Failure::Interrupted { signal: cancel.signal().unwrap_or_default() }
        }
        JobError::Session(SessionError::Luks(LuksError::NotTyped { .. })) => {
            Failure::NotNow { cause, hint: hints.join("; ") }
        }
        JobError::Files(stopped) if stopped.is_interruption() => {
            Failure::Interrupted { signal: cancel.signal().unwrap_or_default() }
        }
        JobError::Lock(LockError::Taken { .. }) | JobError::Running { .. } => {
            Failure::NotNow { cause, hint: "wait until it is done, or stop it".to_owned() }
        }
        JobError::NoneConnected(_)
        | JobError::NoPool(_)
        | JobError::Paused { .. }
        | JobError::Files(FilesError::Running { .. })
        | JobError::Session(SessionError::Absent { .. }) => {
            let hint = hints
                .into_iter()
                .next()
                .unwrap_or_else(|| "plug it in, and run the command again".to_owned());
            Failure::NotNow { cause, hint }
        }
        JobError::Session(SessionError::Tools(source)) => match unusable(source) {
            Usable::Missing => Failure::ZfsMissing(cause),
            Usable::NotPermitted => Failure::NotPermitted(cause),
            Usable::Broken | Usable::Yes => Failure::ZfsBroken(cause),
        },
        JobError::Zfs { source, .. } | JobError::Session(SessionError::Zfs { source, .. }) => {
            match unusable(source) {
                Usable::NotPermitted => Failure::NotPermitted(cause),
                Usable::Missing => Failure::ZfsMissing(cause),
                Usable::Broken => Failure::ZfsBroken(cause),
                Usable::Yes => Failure::Failed { cause, hints },
            }
        }
        JobError::Session(SessionError::UnsafeZfs(refusal)) => {
            let hint = refusal.remedy.clone();
            Failure::ZfsUnsafe { cause, hint }
        }
        JobError::Session(SessionError::Gone { .. }) => Failure::ZfsBroken(cause),
        JobError::Checker { .. } => Failure::Internal(cause),
        _ => Failure::Failed { cause, hints },
    }
}

/// The error and its causes: what is read of it, without what it holds.
fn retold(error: &dyn std::error::Error) -> anyhow::Error {
    let texts = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let texts: Vec<String> = texts.collect();
    let mut deepest_first = texts.into_iter().rev();
    let deepest = deepest_first.next().unwrap_or_default();
    deepest_first.fold(anyhow::Error::msg(deepest), anyhow::Error::context)
}

enum Usable {
    Yes,
    NotPermitted,
    Missing,
    Broken,
}

/// Whether ZFS itself is the trouble.
fn unusable(error: &ZfsError) -> Usable {
    match error {
        ZfsError::Run(RunError::NotFound { .. }) => Usable::Missing,
        ZfsError::Failed { kind: Kind::Module, .. } => Usable::Missing,
        ZfsError::Failed { kind: Kind::Permission, .. } => Usable::NotPermitted,
        ZfsError::Unreadable { .. } | ZfsError::Contradiction { .. } => Usable::Broken,
        _ => Usable::Yes,
    }
}
