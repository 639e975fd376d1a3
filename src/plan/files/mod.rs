//! Getting files back: which snapshot is meant, which dataset a path is in, where datasets are mounted, and whether there
//! is room. Pure.

mod asof;
mod paths;
mod places;
mod room;

pub use asof::{Dated, Unclear, Wanted};
pub use paths::{BadPath, Candidate, SnapPath, nearest_name};
pub use places::{Copy, Place, has_files, places};
pub use room::{Amount, Room};
