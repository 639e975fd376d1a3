//! Who is not there is told too: a monitor on the network, and programs of the user's.
//!
//! | file | holds |
//! |---|---|
//! | [`told`] | pure: what is told, and whether at all |
//! | [`request`] | pure: the same as a request of the kind that a monitor understands |
//! | [`send`] | sends it, with limits for everything |
//! | [`program`] | runs a program of the user's |
//! | `lane` | one thread for each of both, which keeps the order and keeps nobody waiting |
//! | [`alarm`] | listens to the events of one drive's run |
//! | [`metrics`] | leaves a drive's numbers for Prometheus' node_exporter |
//! | [`check`] | what would keep anybody from being told |
//!
//! Nothing here can fail a run: what was not told is a warning. No address is ever shown (S17).

pub mod alarm;
pub mod check;
mod lane;
pub mod metrics;
pub mod program;
pub mod request;
pub mod send;
pub mod told;
