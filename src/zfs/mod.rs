//! Typed requests on `zfs` and `zpool`, and typed answers.
//!
//! [`argv`] builds argument vectors (pure), [`parse`] reads what comes back (pure), [`error`] is the only place that
//! looks at message text. [`Client`] puts them together. Nothing here decides anything.

pub mod argv;
mod client;
pub mod error;
pub mod parse;
pub mod program;
pub mod token;
pub mod version;

pub use client::Client;
pub use error::{Kind, ZfsError};
