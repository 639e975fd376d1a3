//! Streams in files: written, listed, told whether they are whole, and made datasets again.

mod adopt;
mod archive;
mod error;
mod export;
mod find;
mod prune;
mod restore;
mod save;
mod send;
mod shelf;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use adopt::{Adopted, adopt};
pub use error::RestoreError;
pub use export::{ExportError, ExportRequest, export};
pub use prune::{Pruned, prune_all};
pub use restore::{RestoreRequest, restore};
pub use save::{SaveError, SaveSummary, save};
pub use send::NotSaved;
pub use shelf::{Listed, Shelf, State, shelves};
pub use verify::{Checked, Closely, Found, NotSound, verify};
