//! Streams in files: told whether they are whole, and made datasets again.

mod error;
mod find;
mod restore;
#[cfg(test)]
mod tests;
mod verify;

pub use error::RestoreError;
pub use restore::{RestoreRequest, restore};
pub use verify::{Checked, Found, NotSound, verify};
