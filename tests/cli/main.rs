//! The program as its user meets it: the built binary, its texts and its exit codes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod configuration;
mod documents;
mod program;
