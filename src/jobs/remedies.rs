//! What a user can do when a drive could not be worked with.

use crate::execute::session::SessionError;

use crate::plan::NotRestored;

use super::JobError;

impl JobError {
    /// Each a command or a sentence; none where the error says it all.
    pub fn remedies(&self) -> Vec<String> {
        match self {
            Self::Session(SessionError::Absent { other: Some((disk, guid)), pool, guid: wanted, .. }) => {
                vec![format!(
                    "{disk} is connected and has a pool {pool} too, but it is another one (guid {guid}, not {wanted})"
                )]
            }
            Self::Session(SessionError::ForeignHost { host, .. }) => {
                let name = host.split(' ').next().unwrap_or_default();
                let there = format!("export it there: `zpool export` on {name}");
                // It comes from the drive, and is about to be typed.
                if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                    let here = format!(
                        "if {name} will not use it any more, the same command with --last-used-by={name}"
                    );
                    vec![there, here]
                } else {
                    vec!["that is no host's name: find out where the drive was before you use it".to_owned()]
                }
            }
            Self::NotStopped { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                vec!["the same command as root".to_owned()]
            }
            Self::Session(SessionError::NameTaken { name, .. }) => {
                vec![format!("zpool export {name}, and run again")]
            }
            Self::Session(SessionError::Unfit { remedy, .. }) => vec![remedy.clone()],
            Self::Session(SessionError::Stuck { .. }) => {
                vec!["restart this computer, and run again: what had arrived on the drive is kept".to_owned()]
            }
            Self::Session(SessionError::Failing { .. }) => vec![
                "unplug it and plug it in again, with another cable or at another port, and run again"
                    .to_owned(),
                "if that does not help, restart this computer; what had arrived on the drive is kept"
                    .to_owned(),
            ],
            Self::Session(SessionError::Changed { .. }) => vec![
                "nothing was written to it here, and what is on it is as the other computer left it"
                    .to_owned(),
                "unplug it, restart this computer, and only then plug it in again".to_owned(),
            ],
            Self::OtherName { found, .. } => vec![format!("set pool = \"{found}\" in the configuration")],
            Self::Ambiguous { .. } => vec!["say which one with --pool-guid".to_owned()],
            Self::Session(SessionError::Luks(error)) | Self::Luks(error) => error.remedies(),
            Self::Prepare(error) => error.remedies(),
            Self::NotImported(pool) => vec![format!("zpool import {pool}, and run again")],
            Self::NotRestored(NotRestored::NoCopy(_)) => vec![
                "look at what the drive has, with `zferry plan`, and at the target of that backup in the configuration"
                    .to_owned(),
            ],
            Self::NotRestored(NotRestored::Exists(dataset) | NotRestored::InUse { dataset, .. }) => vec![
                "restore into another name: --into with a dataset that does not exist".to_owned(),
                format!("zfs rename {dataset} {dataset}-before, and run again: nothing of it is lost"),
            ],
            Self::NotRestored(NotRestored::Locked { root, .. }) => {
                vec![format!("zfs load-key {root}, and run again")]
            }
            Self::NotRestored(NotRestored::Readable(_)) => vec![
                "name a dataset below an encrypted one".to_owned(),
                "the same command with --decrypted --allow-plaintext, if that is what you want".to_owned(),
                "if the drive has it encrypted: the same command without --decrypted, and it stays so, with its own passphrase"
                    .to_owned(),
            ],
            Self::Files(error) => error.remedies(),
            Self::NotCompared { remedies, .. } => remedies.clone(),
            Self::Paused { drive, .. } => vec![format!("zferry resume {drive}, and run again")],
            Self::ScrubEnded { drive } => vec![
                format!("if nobody canceled it, look at `zpool status` while `zferry verify {drive}` runs again"),
            ],
            _ => Vec::new(),
        }
    }
}
