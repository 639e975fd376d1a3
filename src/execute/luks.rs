//! LUKS containers, by `cryptsetup`: opened with a passphrase that a person types or with a key file, closed again when
//! the pool in them was exported. A passphrase goes over standard input and nowhere else (S17).

use std::path::Path;
use std::time::Duration;

use super::files::{NotTyped, Secret, TRIES};
use super::session::Host;
use crate::drive::{LuksDevice, LuksMapping, find_luks, luks_mappings};
use crate::model::{Guid, Luks, LuksUuid};
use crate::process::{Exit, Invocation, Tool};
use crate::zfs::{Client, ZfsError};

/// Deriving the key takes seconds by design, and much longer on a computer that is slower than the one that made it.
const DERIVE: Duration = Duration::from_secs(300);
/// For everything else.
const SHORT: Duration = Duration::from_secs(60);
/// What `cryptsetup` returns for a key that opens nothing.
const WRONG: Exit = Exit::Code(2);
/// As short as ZFS allows its own passphrases to be.
const SHORTEST: usize = 8;

/// Asks a person for a passphrase: of what, and whether the last one was wrong.
pub type Asker<'a> = dyn Fn(&str, bool) -> Result<Secret, NotTyped> + 'a;

/// Where nobody is there.
///
/// # Errors
/// Always.
pub fn nobody(_of: &str, _again: bool) -> Result<Secret, NotTyped> {
    Err(NotTyped::Ended)
}

/// Why a container is not open, or not closed.
#[derive(Debug, thiserror::Error)]
pub enum LuksError {
    /// Nobody typed a passphrase.
    #[error("{drive} was not opened: its pool lies in a LUKS container, and nothing says what opens it")]
    NotTyped {
        /// The drive.
        drive: String,
        /// Why not.
        #[source]
        source: NotTyped,
    },
    /// None of the passphrases.
    #[error("{drive} was not opened: the passphrase of its LUKS container was wrong {TRIES} times")]
    Wrong {
        /// The drive.
        drive: String,
    },
    /// The key file is not one of its keys.
    #[error("{drive} was not opened: {file} is no key of its LUKS container")]
    WrongFile {
        /// The drive.
        drive: String,
        /// The key file.
        file: String,
        /// The container.
        uuid: LuksUuid,
    },
    /// It is open, and the drive's pool is not in it.
    #[error("the LUKS container of {drive} is open, and no pool with the guid {pool} is in it")]
    NoPool {
        /// The drive.
        drive: String,
        /// What was looked for.
        pool: Guid,
    },
    /// It was open when the drive was pulled out, and the kernel does not let go of what is left of it.
    #[error(
        "{drive} was pulled out while it was in use, and what is left of its open LUKS container cannot be closed"
    )]
    Left {
        /// The drive.
        drive: String,
        /// Why not.
        #[source]
        source: ZfsError,
    },
    /// The passphrases for a new one are not good.
    #[error("no LUKS container was made: {0}")]
    Unfit(&'static str),
    /// `cryptsetup` did not do it.
    #[error("{what}")]
    Tool {
        /// What was tried, on what.
        what: String,
        /// What came back.
        #[source]
        source: ZfsError,
    },
}

impl LuksError {
    /// Whether it is because somebody asked us to stop.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::NotTyped { source, .. } => *source == NotTyped::Interrupted,
            Self::Tool { source, .. } => source.is_interruption(),
            _ => false,
        }
    }

    /// What the user can do.
    pub fn remedies(&self) -> Vec<String> {
        match self {
            Self::NotTyped { drive, .. } => vec![format!(
                "type the command on a terminal; or name a key file, for runs without a person: luks-key-file = \"/path\" in [drives.{drive}]"
            )],
            Self::Wrong { .. } => {
                vec!["it is the passphrase of the drive itself, not that of the source".to_owned()]
            }
            Self::WrongFile { file, uuid, .. } => {
                vec![format!("make it one: cryptsetup luksAddKey {} {file}", uuid.link().display())]
            }
            Self::Left { .. } => {
                vec!["restart this computer, and run again: what had arrived on the drive is kept".to_owned()]
            }
            Self::Tool { .. } => vec!["if `cryptsetup` is missing, install it".to_owned()],
            Self::NoPool { .. } | Self::Unfit(_) => Vec::new(),
        }
    }
}

/// Opens the container of a drive that is there, unless it is open. What an earlier time left, when the drive was pulled
/// out, is closed before: it has the name.
///
/// # Errors
/// When it stays closed.
pub fn open(host: &Host<'_>, drive: &str, luks: &Luks, device: &LuksDevice) -> Result<(), LuksError> {
    let mappings = luks_mappings(host.root, &luks.uuid, Some(device));
    for dead in mappings.iter().filter(|mapping| !mapping.is_alive) {
        close_mapping(&host.client, &dead.name)
            .map_err(|source| LuksError::Left { drive: drive.to_owned(), source })?;
    }
    if mappings.iter().any(|mapping| mapping.is_alive) {
        return Ok(());
    }
    unlock(host, drive, luks, &device.node)
}

fn unlock(host: &Host<'_>, drive: &str, luks: &Luks, node: &Path) -> Result<(), LuksError> {
    let open = |key: &str, stdin: &[u8]| {
        let node = node.display().to_string();
        let arguments = ["open", "--type", "luks", "--key-file", key, &node, &luks.uuid.mapping()];
        let open =
            Invocation { stdin: stdin.to_owned(), ..Invocation::new(Tool::Cryptsetup, arguments, DERIVE) };
        match host.client.run(&open) {
            Ok(_) => Ok(true),
            Err(ZfsError::Failed { exit: WRONG, .. }) => Ok(false),
            Err(source) => {
                let what = format!("the LUKS container of {drive} cannot be opened");
                Err(LuksError::Tool { what, source })
            }
        }
    };
    if let Some(file) = &luks.key_file {
        let file = file.display().to_string();
        return match open(&file, &[])? {
            true => Ok(()),
            false => Err(LuksError::WrongFile { drive: drive.to_owned(), file, uuid: luks.uuid.clone() }),
        };
    }
    for attempt in 0..TRIES {
        let typed = (host.ask)(&format!("the LUKS container of {drive}"), attempt > 0);
        let secret = typed.map_err(|source| LuksError::NotTyped { drive: drive.to_owned(), source })?;
        if open("-", secret.bytes())? {
            return Ok(());
        }
    }
    Err(LuksError::Wrong { drive: drive.to_owned() })
}

/// Whether what a person types opens the container of a drive, open or not. Nothing is opened.
///
/// # Errors
/// When nobody types anything, or `cryptsetup` does not say.
pub fn try_passphrase(
    host: &Host<'_>,
    drive: &str,
    luks: &Luks,
    device: &LuksDevice,
) -> Result<bool, LuksError> {
    let node = device.node.display().to_string();
    let arguments = ["open", "--test-passphrase", "--type", "luks", "--key-file", "-", &node];
    for attempt in 0..TRIES {
        let typed = (host.ask)(&format!("the LUKS container of {drive}"), attempt > 0);
        let secret = typed.map_err(|source| LuksError::NotTyped { drive: drive.to_owned(), source })?;
        let command = Invocation::new(Tool::Cryptsetup, arguments, DERIVE);
        match host.client.run(&Invocation { stdin: secret.bytes().to_owned(), ..command }) {
            Ok(_) => return Ok(true),
            Err(ZfsError::Failed { exit: WRONG, .. }) => {}
            Err(source) => {
                let what = format!("what opens the LUKS container {} of {drive} cannot be tried", luks.uuid);
                return Err(LuksError::Tool { what, source });
            }
        }
    }
    Ok(false)
}

/// Closes what zferry opened of a container, and what others did if `foreign`. Says what stays open, and why, for who
/// wants to unplug the drive.
pub fn close(host: &Host<'_>, drive: &str, uuid: &LuksUuid, foreign: bool) -> Option<String> {
    // Whether or not the drive is about to go.
    let cancel = host.client.cancel().unwatched();
    let client = host.client.with_cancel(&cancel);
    let found = find_luks(host.root, uuid);
    let is_dead = |mapping: &LuksMapping| found.is_ok() && !mapping.is_alive;
    let device = found.as_ref().ok().and_then(Option::as_ref);
    let mut stays = None;
    for mapping in luks_mappings(host.root, uuid, device) {
        let name = &mapping.name;
        let is_ours = *name == uuid.mapping();
        stays = if is_ours || foreign || is_dead(&mapping) {
            close_mapping(&client, name).err().map(|error| {
                format!("its LUKS container cannot be closed ({})", super::chain(&error))
            })
        } else {
            Some(format!(
                "its LUKS container is open as /dev/mapper/{name}, as it was before; `zferry eject {drive}` closes it"
            ))
        }
        .or(stays);
    }
    stays
}

/// Of a drive that is not there: nothing can come of it any more. What the kernel does not let go stays.
pub fn close_dead(host: &Host<'_>, uuid: &LuksUuid) {
    for mapping in luks_mappings(host.root, uuid, None) {
        if let Err(error) = close_mapping(&host.client, &mapping.name) {
            log::info!("{}", super::chain(&error));
        }
    }
}

fn close_mapping(client: &Client<'_>, name: &str) -> Result<(), ZfsError> {
    client.run(&Invocation::new(Tool::Cryptsetup, ["close", name], SHORT)).map(drop)
}

/// Whether a new container could be made here: nothing is erased before that is known.
///
/// # Errors
/// When `cryptsetup` is not there.
pub fn check_tool(client: &Client<'_>) -> Result<(), LuksError> {
    let asked = client.run(&Invocation::new(Tool::Cryptsetup, ["--version"], SHORT));
    let what = "no LUKS container can be made here".to_owned();
    asked.map(drop).map_err(|source| LuksError::Tool { what, source })
}

/// Has the passphrase of a new container typed, twice.
///
/// # Errors
/// When they differ, or there is none.
pub fn new_passphrase(ask: &Asker<'_>, drive: &str) -> Result<Secret, LuksError> {
    let not_typed = |source| LuksError::NotTyped { drive: drive.to_owned(), source };
    let first = ask(&format!("the new LUKS container of {drive}"), false).map_err(not_typed)?;
    if first.bytes().len() < SHORTEST {
        return Err(LuksError::Unfit("a passphrase has 8 characters or more"));
    }
    let second = ask("the same again", false).map_err(not_typed)?;
    if first == second { Ok(first) } else { Err(LuksError::Unfit("the two passphrases are not the same")) }
}

/// Makes a container of a partition, and opens it.
///
/// # Errors
/// When it is not there, or not open.
pub fn make(host: &Host<'_>, node: &Path, secret: &Secret) -> Result<LuksUuid, LuksError> {
    let tool = |source| LuksError::Tool {
        what: format!("no LUKS container can be made on {}", node.display()),
        source,
    };
    let node = node.display().to_string();
    let format = ["luksFormat", "--batch-mode", "--type", "luks2", "--key-file", "-", &node];
    let format = Invocation::new(Tool::Cryptsetup, format, DERIVE);
    host.client.run(&Invocation { stdin: secret.bytes().to_owned(), ..format }).map_err(tool)?;
    let asked =
        host.client.run(&Invocation::new(Tool::Cryptsetup, ["luksUUID", &node], SHORT)).map_err(tool)?;
    let printed = String::from_utf8_lossy(&asked.stdout);
    let uuid: LuksUuid = printed.trim().parse().map_err(|error: crate::model::LuksUuidError| {
        let what = error.to_string();
        tool(ZfsError::Unreadable { command: format!("cryptsetup luksUUID {node}"), line: 1, what })
    })?;
    let open = ["open", "--type", "luks", "--key-file", "-", &node, &uuid.mapping()];
    let open = Invocation::new(Tool::Cryptsetup, open, DERIVE);
    host.client.run(&Invocation { stdin: secret.bytes().to_owned(), ..open }).map_err(tool)?;
    Ok(uuid)
}

#[cfg(test)]
mod tests;
