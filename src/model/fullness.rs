use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Bytes;

/// How full a pool was at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fullness {
    /// When.
    pub at: Timestamp,
    /// Bytes in use.
    pub used: Bytes,
    /// Bytes in all.
    pub size: Bytes,
}
