//! What is wanted of a dataset that is saved to files.

use std::time::Duration;

use super::{DatasetFilter, DatasetName, Keep, SendMode, SnapshotFilter};

/// One `[streams.NAME]`, as far as it decides what is saved.
#[derive(Debug, Clone)]
pub struct SavePolicy {
    /// NAME; part of the names of bookmarks and snapshots on the source.
    pub name: String,
    /// The top dataset.
    pub source: DatasetName,
    /// Whether the datasets below it are saved too.
    pub recursive: bool,
    /// Datasets that are left out.
    pub datasets: DatasetFilter,
    /// Which snapshot is saved.
    pub taking: Taking,
    /// Raw or plain.
    pub send: SendMode,
    /// Whether datasets that are not encrypted may be saved.
    pub allow_plaintext: bool,
    /// When a stream is a full one again.
    pub full: Full,
    /// What the others build on.
    pub base: BaseRule,
    /// Which streams are kept; nothing: all.
    pub keep: Option<Keep>,
}

/// Which snapshot is saved.
#[derive(Debug, Clone)]
pub enum Taking {
    /// One that is taken for it.
    Take,
    /// The newest of these.
    Existing(SnapshotFilter),
}

/// When a stream is a full one again, after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The first of each week, from Monday to Sunday.
    Weekly,
    /// The first of each month.
    Monthly,
    /// The first of each year.
    Yearly,
    /// When the last full one is as old as this.
    After(Duration),
    /// Each so manieth; 1: all of them.
    Every(u32),
    /// Never.
    Never,
}

/// What a stream that is not full builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseRule {
    /// The last full one.
    Full,
    /// The one before.
    Chain,
}
