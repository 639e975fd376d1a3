//! Events for machines: one object per line on stdout, `{"v":1,"event":…}` (docs/progress-v1.schema.json).

use std::time::{Duration, Instant};

use serde::Serialize;

use super::lines::Lines;
use super::pace::Pace;
use super::paper::{Paper, Written};
use super::{Line, Tone, Voice};
use crate::event::Event;

/// The version of the objects. Fields and events may be added without a new one; readers skip what they do not know.
const VERSION: u32 = 1;
/// Between two progress events: at most five a second, of all streams together.
const PACE: Duration = Duration::from_millis(200);

/// Tells machines on stdout and people on stderr.
pub(super) struct Json {
    paper: Paper,
    people: Lines,
    pace: Pace,
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
        Self { paper, people, pace: Pace::new(PACE) }
    }
}

/// One event as one line. A path that is not UTF-8 cannot be written as JSON; such an event is left out.
fn object(event: &Event) -> Option<String> {
    serde_json::to_string(&Object { v: VERSION, event }).ok()
}

impl Voice for Json {
    fn event(&mut self, event: &Event, now: Instant) {
        if self.pace.is_due(event, now)
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
