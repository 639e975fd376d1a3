//! What the user can do about a refusal, as commands to type wherever a command does it. Said from here, so that `plan`
//! and `run` use the same words.

use crate::model::{DatasetName, PoolName, SnapshotName};
use crate::zfs::argv;

use super::refusal::count;
use super::{Frees, Limit, Refusal};

/// What there is when a person types what was printed.
#[derive(Debug, Clone, Copy)]
pub struct Afterwards<'a> {
    /// The command that was typed, for consents to be put behind.
    pub retry: &'a str,
    /// Whether the pool is imported then: it is when it was before.
    pub imported: bool,
}

impl Afterwards<'_> {
    /// A command that wants the pool, which may have to be brought back for it and let go again.
    pub fn on_drive(&self, pool: &PoolName, command: &str) -> String {
        if self.imported {
            command.to_owned()
        } else {
            format!("zpool import -N {pool} && {command} && zpool export {pool}")
        }
    }
}

impl Refusal {
    /// What the user can do: each a sentence, or a command to type.
    pub fn remedies(
        &self,
        source: &DatasetName,
        target: &DatasetName,
        afterwards: &Afterwards<'_>,
    ) -> Vec<String> {
        let (pool, retry) = (target.pool(), afterwards.retry);
        let on_drive = |command: String| afterwards.on_drive(&pool, &command);
        let aside = || {
            let (from, to) = (quote(target.as_str()), quote(&format!("{target}_old")));
            on_drive(format!("zfs rename {from} {to} && zfs set {}=on {to}", argv::PROPERTY_RETIRED))
        };
        let snapshot = format!("zfs snapshot {}", quote(&format!("{source}@first")));
        let plaintext = "set allow-plaintext = true for this backup, if that is what you want".to_owned();
        match self {
            Self::SourceMissing { now: None } => vec!["correct `source` in the configuration".to_owned()],
            Self::SourceMissing { now: Some(now) } => vec![
                format!("zfs rename {} {}   (as it was)", quote(now.as_str()), quote(source.as_str())),
                format!("or set source = \"{now}\" in the configuration"),
            ],
            Self::NoSnapshot => vec![snapshot],
            Self::NoneSelected { .. } => {
                vec![
                    "select more in `snapshots` (for `replicate`: --include-snapshots, --exclude-snapshots)"
                        .to_owned(),
                ]
            }
            Self::Plaintext | Self::PlainSend => vec![plaintext],
            Self::KeyNotLoaded { root } => vec![format!("zfs load-key {}", quote(root.as_str()))],
            Self::NameTooLong(_) => vec!["choose a shorter `target`".to_owned()],
            Self::FeatureMissing { feature } => vec![format!(
                "{}   (older ZFS may then not read the drive)",
                on_drive(format!("zpool set feature@{feature}=enabled {pool}"))
            )],
            Self::NotOurs { .. } => vec![
                format!(
                    "{}   (if nothing in it is needed)",
                    on_drive(format!("zfs destroy {}", quote(target.as_str())))
                ),
                format!("{}   (keeps it)", aside()),
            ],
            Self::OtherMode => vec![
                "set `send` back to what it was (for `replicate`: --send)".to_owned(),
                format!("{}   (keeps the old copy; the next run starts afresh)", aside()),
            ],
            Self::OtherKind
            | Self::OtherKey
            | Self::DriveKey { .. }
            | Self::EncryptionRoot { .. }
            | Self::OtherIvset { .. }
            | Self::NoIvset { .. } => {
                vec![format!("{}   (keeps the old copy; the next run starts afresh)", aside())]
            }
            Self::Modified { .. } | Self::Ahead { .. } => vec![
                format!("{}   (keeps what is there; the next run starts afresh)", aside()),
                match self {
                    Self::Ahead { stuck: Some(stuck), .. } => stuck.remedy(&on_drive),
                    _ => format!(
                        "{retry} --rollback-target={}   (destroys it, and it may be the only copy)",
                        quote(target.as_str())
                    ),
                },
            ],
            Self::NoCommon { origin, .. } => {
                let promote = |origin: &SnapshotName| {
                    let source = quote(source.as_str());
                    format!("zfs promote {source}   (takes back what went to {})", origin.dataset)
                };
                let afresh = format!("{}   (keeps the old copy; the next run starts afresh)", aside());
                origin.iter().map(|origin| promote(origin)).chain([afresh]).collect()
            }
            Self::Inconsistent => vec![on_drive(format!("zfs destroy {}", quote(target.as_str())))],
            Self::Elsewhere { follows: Some(above), .. } => {
                vec![format!("what is done about {above} takes it along")]
            }
            Self::Elsewhere { copy, missing, below_encrypted, follows: None } => {
                let (copy, target) = (quote(copy.as_str()), quote(target.as_str()));
                let made = |(index, name)| argv::create_placeholder(name, *below_encrypted && index == 0);
                let made: String =
                    missing.iter().enumerate().map(|each| format!("{} && ", made(each))).collect();
                vec![
                    format!(
                        "{}   (continues it there)",
                        on_drive(format!("{made}zfs rename {copy} {target}"))
                    ),
                    "or set `target` in the configuration to where it is".to_owned(),
                    format!(
                        "{}   (keeps it; the next run starts afresh)",
                        on_drive(format!("zfs set {}=on {copy}", argv::PROPERTY_RETIRED))
                    ),
                ]
            }
            Self::Unrecognised { drive, .. } => vec![format!(
                "if you did set it up anew, remove what is recorded: zfs list -t bookmark -r {} shows it, zfs destroy DATASET#zferry_{drive}_… removes it",
                quote(source.as_str())
            )],
            Self::NoSpace { limit, waiting, .. } => no_space(limit, *waiting, target, on_drive),
            Self::PlannedTwice { .. } => {
                vec!["exclude the dataset from one of the two backups in the configuration".to_owned()]
            }
            Self::Redacted(_) | Self::ParentRefused(_) => Vec::new(),
        }
    }
}

/// The ways out of a lack of space.
fn no_space(
    limit: &Limit,
    (waiting, frees): (usize, Frees),
    target: &DatasetName,
    on_drive: impl Fn(String) -> String,
) -> Vec<String> {
    let mut ways = Vec::new();
    if let Limit::Quota { dataset, property, raised, .. } = limit {
        let command = format!("zfs set {property}={}M {}", raised.0 >> 20, quote(dataset.as_str()));
        ways.push(format!("{}   (raises the limit)", on_drive(command)));
    }
    if waiting > 0 {
        ways.push(format!(
            "--accept-source-loss={}   (with the same command: {} that the source no longer has may go, which frees at least {})",
            quote(target.as_str()),
            count(waiting, "snapshot"),
            frees.least
        ));
    }
    ways.push(match limit {
        Limit::Pool => "make room on the drive, exclude datasets, or use a larger drive".to_owned(),
        Limit::Quota { .. } => "or exclude datasets".to_owned(),
    });
    ways
}

/// For a shell: only names with spaces need it.
pub(super) fn quote(name: &str) -> String {
    if name.contains(' ') { format!("'{name}'") } else { name.to_owned() }
}
