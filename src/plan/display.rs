//! The sentences: what `plan` prints is what `run` logs.

use std::fmt;

use crate::model::{Base, Bytes, DatasetName, SnapshotName};

use super::prune::{HeldBack, PruneHold};
use super::refusal::count;
use super::swap::Repair;
use super::tripwire::Change;
use super::{Cause, Drop, Rollback, SendKind, SendStep, Step};

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "its resume token is not usable ({why})"),
            Self::SnapshotGone(guid) => {
                write!(f, "the snapshot that was being received (guid {guid}) is no longer on the source")
            }
            Self::NotRestoredNow(guid) => write!(
                f,
                "the snapshot that was being received (guid {guid}) is none of those that are restored now"
            ),
            Self::OtherBase => f.write_str("it builds on another snapshot than the newest one there"),
            Self::OtherMode => f.write_str("it is raw where plain is wanted, or the other way round"),
            Self::NoRoom { rest, available } => write!(
                f,
                "about {rest} of it are still missing and there is room for {available}, so that it only takes space from the others"
            ),
        }
    }
}

/// "full @a", "@a … @f, 5 snapshots from @base".
impl fmt::Display for SendStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.delivers.last().map(|delivery| delivery.name.as_str()).unwrap_or_default();
        match &self.kind {
            SendKind::Full => write!(f, "@{last} in full")?,
            SendKind::Increment(base @ Base::Snapshot(_)) => {
                write!(f, "@{last}, the difference to {}", base.argument())?;
            }
            SendKind::Increment(base @ Base::Bookmark(_)) => {
                write!(f, "@{last}, the difference to the bookmark {}", base.argument())?;
            }
            SendKind::Range(from, _) => {
                let snapshots = count(self.delivers.len(), "snapshot");
                write!(f, "{snapshots} up to @{last}, from @{from}")?;
            }
            SendKind::Resume(_) => write!(f, "the rest of @{last}, which was interrupted")?,
        }
        match &self.rename_to {
            Some(name) => write!(f, " (as @{name}, since another snapshot has its name there)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.discards.iter().map(|o| format!("@{}", o.snapshot.snap)).collect();
        let destroyed = match names.as_slice() {
            [] => String::new(),
            [one] => format!(", which destroys {one} there"),
            all => format!(", which destroys {} there: {}", count(all.len(), "snapshot"), all.join(", ")),
        };
        let written = match self.written {
            Bytes(0) => String::new(),
            written if names.is_empty() => format!(", which discards {written} written since"),
            written => format!("; and discards {written} written since"),
        };
        write!(f, "roll {} back to @{}{destroyed}{written}", self.to.dataset, self.to.snap)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DropPartial(dataset, why) => {
                write!(f, "drop the interrupted receive of {dataset}: {why}")
            }
            Self::Rollback(rollback) => rollback.fmt(f),
            Self::CreatePlaceholder { dataset, .. } => {
                write!(f, "create {dataset}, empty, for the datasets below it")
            }
            Self::Protect(made) => write!(f, "bookmark {} before it is sent", made.bookmark),
            Self::Hold(snapshot) => write!(f, "hold {snapshot} while the run lasts"),
            Self::Send(send) => write!(f, "send {}: {send}", send.source),
            Self::MakeRoom(room) if room.candidates.is_empty() => {
                f.write_str("look whether there is room before anything is sent")
            }
            Self::MakeRoom(room) => write!(
                f,
                "make room before anything is sent: of {} that go in any case, as many as it takes",
                count(room.candidates.len(), "snapshot")
            ),
            Self::Verify(expected) => {
                write!(f, "verify that {}@{} arrived (guid {})", expected.into, expected.name, expected.guid)
            }
            Self::Keep(made) => write!(f, "bookmark {} as the base for next time", made.bookmark),
            Self::Unbookmark(bookmark, _) => write!(f, "remove the bookmark {bookmark}"),
            Self::Prune(obsolete) => {
                let why = match obsolete.cause {
                    Cause::Gone => "the source no longer has it",
                    Cause::NoRule => "no rule of `keep` keeps it",
                    Cause::Displaced => "no rule of `keep` keeps it once the new ones are there",
                };
                write!(f, "destroy {} on the drive: {why}", obsolete.snapshot)
            }
            Self::Mark { snapshot, since: Some(_), .. } => {
                write!(f, "note on {snapshot} that the source no longer has it")
            }
            Self::Mark { snapshot, since: None, .. } => {
                write!(f, "note on {snapshot} that the source has it again")
            }
            Self::Alarm { target, .. } => write!(f, "note on {target} that most of its source was replaced"),
            Self::EndAlarm(target) => write!(f, "forget that most of the source of {target} was replaced"),
            Self::RenameSnapshot { from, to, .. } => {
                write!(f, "rename {from} on the drive to @{to}, its name on the source")
            }
            Self::Swap { placeholder, received, .. } => {
                write!(f, "put {received} in the place of the empty {placeholder}")
            }
            Self::Record { target, .. } => write!(f, "record on {target} where it comes from"),
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MoveChild { from, to, .. } | Self::TakeName { from, to, .. } => {
                write!(f, "rename {from} to {to} on the drive")
            }
            Self::DestroyPlaceholder(dataset) => write!(f, "destroy the empty placeholder {dataset}"),
        }
    }
}

impl HeldBack {
    /// The warning: what, why, and the consent to type.
    pub fn warning(&self, target: &DatasetName, retry: &str) -> String {
        let what = count(self.snapshots.len(), "snapshot");
        let why = match &self.why {
            PruneHold::FirstRun if self.cause != Cause::Gone => {
                return format!(
                    "{target}: the first run with these rules there prunes nothing. The one after it may destroy {what} that no rule of `keep` keeps, within prune-limit, which frees at least {}: {}.",
                    self.frees.least,
                    self.names()
                );
            }
            PruneHold::FirstRun => {
                return format!(
                    "{target}: the first run that mirrors this source there prunes nothing. The one after it may destroy {what} that the source no longer has, within prune-limit, which frees at least {}: {}.",
                    self.frees.least,
                    self.names()
                );
            }
            PruneHold::Rewritten { since, change } => {
                return self.alarm(target, since.as_ref(), *change, retry);
            }
            PruneHold::Limit { total, percent } => {
                format!("that is more than {percent} % of its {total} snapshots")
            }
            PruneHold::OtherSource { recorded } => {
                format!(
                    "it is the copy of another dataset (guid {recorded}): the source was created anew or restored"
                )
            }
            PruneHold::Moved { moved } => {
                format!("{moved} of them are elsewhere in the source's pool now (promoted or renamed)")
            }
        };
        // Whoever backs up seldom and keeps little of much destroys most of it each time.
        let or = match (&self.why, self.cause) {
            (PruneHold::Limit { .. }, Cause::NoRule | Cause::Displaced) => "   (or raise `prune-limit`)",
            _ => "",
        };
        format!(
            "{target}: {what} that {} were kept, since {why}: {}. Destroying them would free at least {}. If they may go: {}{or}",
            self.lacks(),
            self.names(),
            self.frees.least,
            consent(target, retry)
        )
    }

    /// What would make them go.
    fn lacks(&self) -> &'static str {
        if self.cause == Cause::Gone { "the source no longer has" } else { "no rule of `keep` keeps" }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.snapshots.iter().take(8).map(|name| format!("@{}", name.snap)).collect();
        match self.snapshots.len().saturating_sub(names.len()) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    /// Most of the source was replaced: also told when there is nothing to prune yet.
    fn alarm(
        &self,
        target: &DatasetName,
        since: Option<&SnapshotName>,
        change: Option<Change>,
        retry: &str,
    ) -> String {
        let since = since.map(|since| format!(" since @{}", since.snap)).unwrap_or_default();
        let found = match change {
            Some(change) => format!(
                "{target}: {} of the {} that the source had were replaced or deleted{since} ({} %)",
                change.replaced,
                change.before,
                change.percent()
            ),
            None => format!("{target}: most of what the source had was replaced or deleted{since}"),
        };
        let kept = match self.snapshots.len() {
            0 => String::new(),
            kept => format!(
                " {} that {} were kept: {}. Destroying them would free at least {}.",
                count(kept, "snapshot"),
                self.lacks(),
                self.names(),
                self.frees.least
            ),
        };
        format!(
            "{found}. Something may have encrypted or destroyed its files: look at them. What there is now is backed up, and nothing is pruned on the drive until you say that this was meant.{kept} If it was: {}",
            consent(target, retry)
        )
    }
}

fn consent(target: &DatasetName, retry: &str) -> String {
    let target = if target.as_str().contains(' ') { format!("'{target}'") } else { target.to_string() };
    format!("{retry} --accept-source-loss={target}")
}
