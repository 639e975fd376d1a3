//! `zferry notify`: tells the user who is logged in what becomes of the drives.
//!
//! It runs as that user, in that user's session. It reads the public status ([`crate::live::public`]), which root writes
//! and everybody may read, and nothing of root's reads anything of the user's.
//!
//! | file | holds |
//! |---|---|
//! | [`decide`] | pure: status and what was told before, to what is to be shown now |
//! | [`words`] | pure: a drive and what happened to it, to title and text |
//! | [`memory`] | what was told, kept for the next start |
//! | `watch` | waits for the status to change |
//! | `desktop` | the daemon that shows notifications, on the session bus |
//! | `terminal` | what a click opens |
//! | `service` | all of it together, until the session ends |

pub mod decide;
mod desktop;
pub mod memory;
mod service;
mod terminal;
mod watch;
pub mod words;

pub use service::{NotifyError, Place, serve};

use crate::model::Guid;

/// What a notification is about. The next one about the same takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A drive.
    Drive(Guid),
    /// What keeps runs from being started at all.
    Runs,
}

/// How much it wants to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// As most.
    Normal,
    /// Something is wrong.
    Critical,
}

/// How long it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// As long as the daemon shows such things.
    AsUsual,
    /// Until the user closes it.
    UntilDismissed,
}

/// What a click opens in a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// The run that goes on.
    Run(String),
    /// The runs that were.
    Log(String),
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub about: About,
    /// How much it wants to be seen.
    pub urgency: Urgency,
    /// How long it is shown.
    pub lasts: Lasts,
    /// In a few words.
    pub title: String,
    /// The rest.
    pub body: String,
    /// What a click opens, if anything.
    pub offer: Option<Offer>,
}
