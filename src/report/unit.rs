//! The status of the systemd unit that a run is: what `systemctl status` shows in its line "Status:".

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::output::Loudness;
use super::{Tone, Voice, text};
use crate::event::Event;
use crate::model::{Bytes, DatasetName};

/// Numbers that only grow are told so often at most.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells the service manager, beside the voice that tells people.
pub(super) struct Status {
    beside: Box<dyn Voice>,
    progress: Progress,
    told: Option<Instant>,
}

impl Status {
    /// `beside` alone where no service manager wants to know.
    pub(super) fn beside(beside: Box<dyn Voice>) -> Box<dyn Voice> {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return beside;
        }
        Box::new(Self { beside, progress: Progress::default(), told: None })
    }
}

impl Voice for Status {
    fn event(&mut self, event: &Event, now: Instant) {
        self.beside.event(event, now);
        let Some(status) = self.progress.after(event) else { return };
        let only_grows = matches!(event, Event::SendProgress { .. } | Event::ScrubProgress { .. });
        if only_grows && self.told.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
            return;
        }
        self.told = Some(now);
        // The journal has all of it: a status that cannot be told is no loss.
        if let Err(error) = sd_notify::notify(&[NotifyState::Status(&status)]) {
            log::debug!("the unit's status cannot be told: {error}");
        }
    }

    fn tick(&mut self, now: Instant) {
        self.beside.tick(now);
    }
}

/// How far all streams of a drive are, in one line.
#[derive(Default)]
pub struct Progress {
    estimate: Bytes,
    ended: Bytes,
    sent: HashMap<DatasetName, Bytes>,
}

impl Progress {
    /// One line that is true after this event; nothing when the last one still is.
    pub fn after(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Planned { estimate, .. } => {
                *self = Self { estimate: *estimate, ..Self::default() };
            }
            Event::SendProgress { target, sent } => {
                self.sent.insert(target.clone(), *sent);
                return Some(self.sending(target));
            }
            Event::SendFinished { target, sent, .. } => {
                self.sent.remove(target);
                self.ended = Bytes(self.ended.0.saturating_add(sent.0));
                return None;
            }
            Event::ScrubProgress { pool, done, left, .. } => {
                return Some(text::scrubbed(pool.as_str(), *done, *left).text);
            }
            // What was said before goes on; the journal has these.
            Event::Warning { .. } | Event::Note { .. } | Event::Pruned { .. } | Event::Done { .. } => {
                return None;
            }
            _ => {}
        }
        // The last line of a drive tells whether it may be unplugged; of anything else the first tells what it is about.
        let mut lines = text::lines(event, Loudness::Normal);
        if matches!(event, Event::DriveFinished(_)) {
            lines.reverse();
        }
        lines.into_iter().find(|line| line.tone != Tone::Detail).map(|line| line.text)
    }

    fn sending(&self, target: &DatasetName) -> String {
        let sent = self.sent.values().fold(self.ended.0, |sum, sent| sum.saturating_add(sent.0));
        let (sent, estimate) = (Bytes(sent), self.estimate);
        match text::percent(sent, estimate) {
            Some(percent) => format!("Sending: {sent} of about {estimate} ({percent} %), to “{target}”."),
            None => format!("Sending: {sent}, to “{target}”."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{finished, one_of_each, progress, started, target};

    #[test]
    fn it_tells_how_far_all_streams_are_and_what_came_of_it() {
        let mut progress_of_all = Progress::default();
        let planned = Event::Planned { datasets: 2, up_to_date: 0, snapshots: 2, estimate: Bytes(200 << 20) };
        let mut after = |event: &Event| progress_of_all.after(event);
        assert!(after(&planned).is_some_and(|text| text.starts_with("To send: 2 datasets")));
        after(&started(100));
        assert_eq!(
            after(&progress(50)).as_deref(),
            Some("Sending: 50.0 MiB of about 200 MiB (25 %), to “backup/home”.")
        );
        let took = Duration::from_secs(1);
        assert_eq!(after(&Event::SendFinished { target: target(), sent: Bytes(100 << 20), took }), None);
        let next = Event::SendProgress { target: "backup/mail".parse().unwrap(), sent: Bytes(50 << 20) };
        assert!(after(&next).is_some_and(|text| text.contains("150 MiB of about 200 MiB (75 %)")));
        assert!(after(&finished()).is_some_and(|text| text.contains("Safe to unplug")));
    }

    #[test]
    fn it_is_one_line_whatever_happens() {
        for (event, _) in one_of_each() {
            let status = Progress::default().after(&event);
            assert!(status.is_none_or(|text| !text.is_empty() && !text.contains('\n')), "{event:?}");
        }
    }
}
