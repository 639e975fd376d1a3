//! zferry carries ZFS snapshots to a removable drive.
//!
//! # The map
//!
//! | module | holds |
//! |---|---|
//! | [`model`] | the vocabulary: names, identities, histories; no I/O, no clock, no decisions |
//! | [`plan`] | pure: policy and inventory to plan, and the independent checker of plans |
//! | [`zfs`] | typed requests on `zfs` and `zpool`, and the parsers of what they print |
//! | [`observe`] | listings to inventory; reads only |
//! | [`execute`] | effects: the steps of a plan, the session from import to power-off |
//! | [`drive`] | the device: find, wait, watch, labels, power off |
//! | [`process`] | the seam to the world: the only place that spawns |
//! | [`config`] | the configuration file: as written, validated, printed |
//! | [`jobs`] | one file per command, as the user would tell it |
//! | [`event`], [`report`] | what happened as data; bars, lines, JSON, summary |
//! | [`alert`] | others who are told: monitors on the network, programs of the user's |
//! | [`live`] | what others may see of a run while it goes on |
//! | [`notify`] | the user's own process: that status as notifications on the desktop |
//! | [`state`] | what is remembered between runs |
//! | [`stream`] | what `zfs send` writes, checked without ZFS and without a key |
//! | `sim` | a host in memory, for tests: text in, text out, with faults |
//! | [`cli`] | what the user typed; errors to headings, hints and exit codes |
//!
//! # Dependencies point down only
//!
//! `main → cli → jobs → {alert, config, observe, plan, execute, report}`, `execute → {plan, zfs, drive, state, event}`,
//! `alert → {config, report, state, process}`, `notify → {live, config, report, process}`, `report → {event, plan, state} → model`, `observe → plan → {zfs, model}`, `{zfs, drive} → {process, model}`,
//! `stream → {model, process}`, `model → nothing`. Spawning only in `process`, the wall clock only in `cli` (fenced by clippy's
//! `disallowed-methods`), printing only in `report` and `cli`.

pub mod alert;
pub mod cli;
pub mod config;
pub mod drive;
pub mod event;
pub mod execute;
pub mod jobs;
pub mod live;
pub mod model;
pub mod notify;
pub mod observe;
pub mod plan;
pub mod process;
pub mod report;
#[cfg(test)]
mod sim;
pub mod state;
pub mod stream;
pub mod zfs;
