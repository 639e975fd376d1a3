//! Whether somebody asked us to stop, and how urgently.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// How urgently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interruption {
    /// Not at all.
    None,
    /// Stop sending, tidy up, export.
    Finish,
    /// Stop at once.
    Now,
}

/// Shared between the signal handlers, the engine and the process layer. Cheap to clone and to ask.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    level: Arc<AtomicU8>,
    signal: Arc<AtomicU8>,
}

impl Cancel {
    /// One that nobody has touched.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop because of this signal number; asking twice means at once.
    pub fn request(&self, signal: u8) {
        self.signal.store(signal, Ordering::Relaxed);
        let _ =
            self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| Some((level + 1).min(2)));
    }

    /// How urgently we were asked to stop.
    pub fn interruption(&self) -> Interruption {
        match self.level.load(Ordering::Relaxed) {
            0 => Interruption::None,
            1 => Interruption::Finish,
            _ => Interruption::Now,
        }
    }

    /// Whether we were asked to stop at all.
    pub fn is_requested(&self) -> bool {
        self.interruption() != Interruption::None
    }

    /// The signal that asked, if any: decides the exit code.
    pub fn signal(&self) -> Option<u8> {
        self.is_requested().then(|| self.signal.load(Ordering::Relaxed))
    }
}
