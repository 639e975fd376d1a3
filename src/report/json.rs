//! Events for machines: one object per line on stdout, `{"v":1,"event":…}` (docs/progress-v1.schema.json).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::lines::Lines;
use super::paper::{Paper, Written};
use super::{Line, Tone, Voice};
use crate::event::Event;
use crate::model::DatasetName;

/// The version of the objects. Fields and events may be added without a new one; readers skip what they do not know.
const VERSION: u32 = 1;
/// Between two progress events: at most five a second, of all streams together.
const PACE: Duration = Duration::from_millis(200);

/// Tells machines on stdout and people on stderr.
pub(super) struct Json {
    paper: Paper,
    people: Lines,
    // Streams under way, and when their progress was last written.
    running: HashMap<DatasetName, Option<Instant>>,
}

#[derive(Serialize)]
struct Object<'a> {
    v: u32,
    #[serde(flatten)]
    event: &'a Event,
}

impl Json {
    /// Writes objects on `paper`; `people` tells people.
    pub(super) fn new(paper: Paper, people: Lines) -> Self {
        Self { paper, people, running: HashMap::new() }
    }

    /// Whether the event is written: progress only as often as the pace allows, divided among the streams.
    fn is_due(&mut self, event: &Event, now: Instant) -> bool {
        match event {
            Event::SendStarted { target, .. } => {
                self.running.insert(target.clone(), None);
            }
            Event::SendProgress { target, .. } => {
                let streams = u32::try_from(self.running.len()).unwrap_or(u32::MAX).max(1);
                let last = self.running.entry(target.clone()).or_default();
                let due = last.is_none_or(|last| now.saturating_duration_since(last) >= PACE * streams);
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

/// One event as one line. A path that is not UTF-8 cannot be written as JSON; such an event is left out.
fn object(event: &Event) -> Option<String> {
    serde_json::to_string(&Object { v: VERSION, event }).ok()
}

impl Voice for Json {
    fn event(&mut self, event: &Event, now: Instant) {
        if self.is_due(event, now)
            && let Some(object) = object(event)
            && self.paper.line(&object) == Written::FirstLost
        {
            let text = "Warning: the JSON events cannot be written any more; the run goes on.";
            self.people.say(&Line::new(Tone::Warning, text));
        }
        self.people.event(event, now);
    }
}

#[cfg(test)]
mod tests;
