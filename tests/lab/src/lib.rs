//! The lab: real Debian guests with kernel ZFS, udev, systemd and udisks, and a
//! virtual USB drive that can be plugged in, pulled out and powered off.
//!
//! From the bottom up:
//!
//! - [`host`]: the machine it runs on; installs what is missing, calls cargo.
//! - [`image`]: the guest's system, built once, and its saved state after a boot.
//! - [`machine`]: one QEMU: started, plugged, saved, certainly ended.
//! - [`protocol`], [`job`]: what the agent in the guest understands and does.
//! - [`command`]: commands in the guest and what is expected of them.
//! - [`drive`]: a USB drive as seen from outside of the guest.
//! - [`lab`]: all of this as the words that scenarios are written in.
//! - [`scenarios`], [`runner`]: what is tried, two at a time.
//! - [`results`]: what came of it, kept for `docs/reliability.md`.
//! - [`reliability`]: that page.
//! - [`mutants`]: whether the planner's tests would notice a bug.
//! - [`fuzz`]: what reads text of others, given anything.
//! - [`demo`], [`shell`], [`mod@bench`]: for people.

pub mod bench;
pub mod command;
pub mod demo;
pub mod drive;
pub mod fuzz;
pub mod host;
pub mod image;
pub mod job;
pub mod lab;
pub mod machine;
pub mod mutants;
pub mod paths;
pub mod protocol;
pub mod reliability;
pub mod results;
pub mod runner;
pub mod scenarios;
pub mod shell;
pub mod soak;
pub mod transcript;
