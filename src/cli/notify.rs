//! `notify`: what becomes of the drives, on the desktop of the user who is logged in.

use std::path::PathBuf;

use super::failure::Failure;
use super::{Call, work};
use crate::execute::lock;
use crate::notify::memory::MemoryError;
use crate::notify::{NotifyError, Place, serve};

/// Runs until the session ends.
pub(super) fn run(call: &Call<'_>) -> Result<u8, Failure> {
    if call.caller.is_root {
        return Err(Failure::Usage {
            what: "`zferry notify` belongs to the session of a user, and root has none".to_owned(),
            hint: "the same as the user who is logged in, without sudo; or, as that user: systemctl --user enable --now zferry-notify"
                .to_owned(),
        });
    }
    let memory = memory().ok_or_else(|| Failure::Failed {
        cause: anyhow::anyhow!("neither XDG_STATE_HOME nor HOME says where to remember what was told"),
        hints: Vec::new(),
    })?;
    // Terminals are opened elsewhere.
    let config = std::path::absolute(&call.path).unwrap_or_else(|_| call.path.clone());
    let place = Place { status: PathBuf::from(lock::DIRECTORY), memory, config };
    let quiet = call.global.quiet;
    let say = |text: &str| {
        if !quiet {
            super::print(&format!("{text}\n"));
        }
    };
    match serve(&place, &work::now, &say) {
        Ok(never) => match never {},
        Err(error) => Err(failure(error)),
    }
}

/// As the XDG Base Directory Specification has it.
fn memory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("zferry"))
}

fn failure(error: NotifyError) -> Failure {
    let hint = match &error {
        NotifyError::NoBus(_) => {
            "start it within a desktop session, where DBUS_SESSION_BUS_ADDRESS names the bus: systemctl --user start zferry-notify"
        }
        NotifyError::BusGone => "it is started again with the next session",
        NotifyError::Memory(MemoryError::Taken(_)) => {
            "one is enough: `systemctl --user status zferry-notify` shows it, if it is the unit"
        }
        NotifyError::Memory(_) | NotifyError::NotWatched { .. } => {
            return Failure::Failed { cause: anyhow::Error::new(error), hints: Vec::new() };
        }
    };
    Failure::NotNow { hint: hint.to_owned(), cause: anyhow::Error::new(error) }
}
