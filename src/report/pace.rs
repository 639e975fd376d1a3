//! How often progress is written down: what only grows need not be read as often as it grows.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::model::DatasetName;

/// Lets progress through so often, of all streams together, and everything else always.
pub struct Pace {
    every: Duration,
    // Streams under way, and when their progress was last written.
    running: HashMap<DatasetName, Option<Instant>>,
}

impl Pace {
    /// Once in this time.
    pub fn new(every: Duration) -> Self {
        Self { every, running: HashMap::new() }
    }

    /// Whether the event is written: progress only as often as the pace allows, divided among the streams.
    pub fn is_due(&mut self, event: &Event, now: Instant) -> bool {
        match event {
            Event::SendStarted { target, .. } => {
                self.running.insert(target.clone(), None);
            }
            Event::SendProgress { target, .. } => {
                let streams = u32::try_from(self.running.len()).unwrap_or(u32::MAX).max(1);
                let last = self.running.entry(target.clone()).or_default();
                let due = last.is_none_or(|last| now.saturating_duration_since(last) >= self.every * streams);
                if due {
                    *last = Some(now);
                }
                return due;
            }
            Event::SendFinished { target, .. } | Event::Failed { target, .. } => {
                self.running.remove(target);
            }
            Event::DriveFinished(_) => self.running.clear(),
            _ => {}
        }
        true
    }
}
