//! What people and programs do to the source between two backups.

use anyhow::{Context, Result};

use super::chance::Chance;
use crate::lab::{KEY, Lab, PASSPHRASE};

/// The source.
pub const HOME: &str = "rpool/nixos/home";

/// How the command begins that gives the source a new passphrase.
const NEW_KEY: &str = "echo -n 'correct horse ";

/// All passphrases that the source had, the oldest first, as its transcript tells them: `change-key` reaches the copy of
/// a dataset with the next snapshot of it only, so that one without any opens with the old one.
pub fn passphrases(transcript: &str) -> Vec<String> {
    let set = |line: &str| {
        let (_, rest) = line.split_once(NEW_KEY)?;
        Some(format!("correct horse {}", rest.split_once('\'')?.0))
    };
    [PASSPHRASE.to_owned()].into_iter().chain(transcript.lines().filter_map(set)).collect()
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Write,
    Append,
    Remove,
    SnapshotAll,
    SnapshotOne,
    DestroySnapshot,
    RenameSnapshot,
    Rollback,
    ChangeKey,
    CreateDataset,
    DestroyDataset,
    Sanoid,
}

/// As often as they stand here.
const ACTS: [Act; 24] = [
    Act::Write,
    Act::Write,
    Act::Write,
    Act::Write,
    Act::Append,
    Act::Append,
    Act::Append,
    Act::Remove,
    Act::Remove,
    Act::SnapshotAll,
    Act::SnapshotAll,
    Act::SnapshotAll,
    Act::SnapshotOne,
    Act::SnapshotOne,
    Act::SnapshotOne,
    Act::DestroySnapshot,
    Act::DestroySnapshot,
    Act::DestroySnapshot,
    Act::RenameSnapshot,
    Act::Rollback,
    Act::ChangeKey,
    Act::CreateDataset,
    Act::DestroyDataset,
    Act::Sanoid,
];

/// Keeps three hourly snapshots of everything.
const SANOID: &str = "[rpool/nixos/home]\n\tuse_template = lab\n\trecursive = yes\n\n[template_lab]\n\thourly = 3\n\
    \tdaily = 0\n\tmonthly = 0\n\tyearly = 0\n\tfrequently = 0\n\tautosnap = yes\n\tautoprune = yes\n";

/// A few of them, and then a snapshot of everything, so that there is something to send. `tag` is part of each new name.
pub fn goes_on(lab: &mut Lab, chance: &mut Chance, tag: &str) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for number in 0..3 + chance.below(4) {
        let act = *chance.pick(&ACTS).context("an act")?;
        let what = perform(lab, chance, act, &format!("{tag}-{number}"))
            .with_context(|| format!("{act:?} on the source"))?;
        done.push(what.unwrap_or_else(|| format!("{act:?}: nothing to do")));
    }
    lab.run(&format!("zpool sync rpool; zfs snapshot -r {HOME}@{tag}"))?.exits(0)?;
    Ok(done)
}

/// The datasets below the source that live at the same place below `/home`.
fn datasets(lab: &mut Lab) -> Result<Vec<String>> {
    let listed = lab.run(&format!("zfs list -H -o name -r -t filesystem {HOME}"))?;
    Ok(listed.exits(0)?.stdout().lines().map(str::to_owned).collect())
}

fn snapshots(lab: &mut Lab, dataset: &str) -> Result<Vec<String>> {
    let listed = lab.run(&format!("zfs list -H -o name -t snapshot -s createtxg {dataset}"))?;
    Ok(listed.exits(0)?.stdout().lines().map(str::to_owned).collect())
}

/// `None`: there was nothing that it could be done to.
fn perform(lab: &mut Lab, chance: &mut Chance, act: Act, tag: &str) -> Result<Option<String>> {
    let all = datasets(lab)?;
    let dataset = chance.pick(&all).context("no dataset")?.clone();
    let place = dataset.replacen(HOME, "/home", 1);
    let line = match act {
        Act::Write => format!("head -c {}K /dev/urandom > {place}/file-{tag}", 1 + chance.below(3000)),
        Act::Append => format!("for f in {place}/file-*; do test -e $f && echo {tag} >> $f; done; true"),
        Act::Remove => format!("find {place} -maxdepth 1 -name 'file-*' | sort | head -n 2 | xargs -r rm"),
        Act::SnapshotAll => format!("zfs snapshot -r {HOME}@all-{tag}"),
        Act::SnapshotOne => format!("zfs snapshot {dataset}@one-{tag}"),
        Act::DestroySnapshot | Act::RenameSnapshot => {
            let all = snapshots(lab, &dataset)?;
            let Some(snapshot) = chance.pick(&all).cloned() else { return Ok(None) };
            match act {
                Act::DestroySnapshot => format!("zfs destroy {snapshot}"),
                _ => format!("zfs rename {snapshot} {dataset}@renamed-{tag}"),
            }
        }
        Act::Rollback => {
            let all = snapshots(lab, &dataset)?;
            let Some(older) = all.len().checked_sub(2) else { return Ok(None) };
            format!("zfs rollback -r {}", all[older])
        }
        Act::ChangeKey => format!(
            "{NEW_KEY}{tag}' > {KEY}.new; zfs change-key -o keyformat=passphrase \
             -o keylocation=file://{KEY}.new -o pbkdf2iters=100000 rpool; mv {KEY}.new {KEY}; \
             zfs set keylocation=prompt rpool"
        ),
        Act::CreateDataset if all.len() < 6 => format!("zfs create {HOME}/d{tag}"),
        // Its copy stays on the drives.
        Act::DestroyDataset if all.len() > 3 => {
            let Some(last) = all.last() else { return Ok(None) };
            format!("zfs destroy -r {last}")
        }
        Act::CreateDataset | Act::DestroyDataset => return Ok(None),
        Act::Sanoid => {
            lab.write("/etc/sanoid/sanoid.conf", SANOID)?;
            "date -s '+61 minutes' >&2; sanoid --cron".to_owned()
        }
    };
    lab.run(&line)?.exits(0)?;
    Ok(Some(format!("{act:?}: {line}")))
}
