//! Plain lines: for pipes, files, the journal, and for those who asked for quiet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::output::{Loudness, Output};
use super::paper::Paper;
use super::{Line, Voice, text};
use crate::event::Event;
use crate::model::{Bytes, DatasetName};

/// The longest silence of a stream.
const SILENCE: Duration = Duration::from_secs(30);
/// Streams that end within it say nothing in between.
const FLOOR: Duration = Duration::from_secs(1);

/// Tells in lines on stderr.
pub(super) struct Lines {
    paper: Paper,
    output: Output,
    streams: HashMap<DatasetName, Stream>,
    copying: Option<Stream>,
    /// Of a scrub: hundredths of a percent that were told last, and when.
    scrub: Option<(u32, Instant)>,
}

/// What was last said of a stream.
struct Stream {
    estimate: Bytes,
    sent: Bytes,
    said: Instant,
}

impl Lines {
    /// Tells on `paper`.
    pub(super) fn new(paper: Paper, output: Output) -> Self {
        Self { paper, output, streams: HashMap::new(), copying: None, scrub: None }
    }

    /// Writes one line.
    pub(super) fn say(&mut self, line: &Line) {
        // Whoever read this is gone; nobody is left to be told so.
        let _ = self.paper.line(&line.paint(self.output));
    }

    fn follow(&mut self, event: &Event, now: Instant) -> Option<Line> {
        match event {
            Event::SendStarted { target, estimate, .. } => {
                let stream = Stream { estimate: *estimate, sent: Bytes(0), said: now };
                self.streams.insert(target.clone(), stream);
            }
            Event::SendProgress { target, sent } => {
                return self.streams.get_mut(target)?.progress(target, *sent, now);
            }
            Event::Copying { what, copied, of } => return self.read("Copying", what, *copied, *of, now),
            Event::OnFile { work, what, done, of } => {
                return self.read(work.word(), what, *done, *of, now);
            }
            Event::ScrubProgress { pool, done, left, .. } => {
                let (told, at) = *self.scrub.get_or_insert((*done, now));
                let silence = now.saturating_duration_since(at);
                if silence < FLOOR || (silence < SILENCE && done.saturating_sub(told) < 1000) {
                    return None;
                }
                self.scrub = Some((*done, now));
                return Some(text::scrubbed(pool.as_str(), *done, *left));
            }
            Event::SendFinished { target, .. } | Event::Failed { target, .. } => {
                self.streams.remove(target);
            }
            Event::DriveFinished(_) => self.streams.clear(),
            _ => {}
        }
        None
    }

    /// A file is read on, or to its end.
    fn read(&mut self, verb: &str, what: &str, done: Bytes, of: Bytes, now: Instant) -> Option<Line> {
        if done >= of {
            self.copying = None;
            return None;
        }
        let stream = self.copying.get_or_insert(Stream { estimate: of, sent: Bytes(0), said: now });
        stream.is_due(done, now).then(|| text::reading(verb, what, done, of))
    }
}

impl Stream {
    /// A line for every tenth, and when a tenth takes long, for every half minute.
    fn progress(&mut self, target: &DatasetName, sent: Bytes, now: Instant) -> Option<Line> {
        self.is_due(sent, now).then(|| text::progress(target, sent, self.estimate))
    }

    fn is_due(&mut self, sent: Bytes, now: Instant) -> bool {
        let silence = now.saturating_duration_since(self.said);
        let tenth = sent.saturating_sub(self.sent).0 >= (self.estimate.0 / 10).max(1);
        if silence < FLOOR || (silence < SILENCE && !tenth) {
            return false;
        }
        (self.sent, self.said) = (sent, now);
        true
    }
}

impl Voice for Lines {
    fn event(&mut self, event: &Event, now: Instant) {
        if let Some(line) = self.follow(event, now)
            && self.output.loudness == Loudness::Normal
        {
            self.say(&line);
        }
        for line in text::lines(event, self.output.loudness) {
            self.say(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{Sheet, finished, output, progress, started};
    use crate::report::{Channel, Colour};

    fn told(output: Output, events: &[(u64, Event)]) -> Vec<String> {
        let sheet = Sheet::default();
        let mut lines = Lines::new(Paper::new(sheet.clone()), output);
        let start = Instant::now();
        for (second, event) in events {
            lines.event(event, start + Duration::from_secs(*second));
        }
        sheet.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn progress_is_told_at_every_tenth_or_half_minute() {
        // (second, MiB of 100, whether it is told)
        let table = [
            (0, 30, false), // within the first second
            (1, 31, true),
            (2, 40, false),
            (3, 41, true),
            (32, 42, false),
            (33, 43, true),
            (63, 43, true), // nothing moved, and that is worth a line
            (64, 120, true),
        ];
        let mut events = vec![(0, started(100))];
        events.extend(table.iter().map(|(second, mib, _)| (*second, progress(*mib))));
        let lines = told(output(Channel::Plain, Loudness::Normal), &events);
        let expected: Vec<String> = table
            .iter()
            .filter(|(_, _, told)| *told)
            .map(|(_, mib, _)| match mib {
                120 => "Sending to “backup/home”: 120 MiB.".to_owned(),
                _ => format!("Sending to “backup/home”: {} of about 100 MiB ({mib} %).", Bytes(mib << 20)),
            })
            .collect();
        assert_eq!(lines[1..], expected);
    }

    #[test]
    fn quiet_keeps_trouble_and_the_last_line() {
        let events = [
            (0, started(100)),
            (40, progress(50)),
            (41, Event::Note { text: "Something.".to_owned() }),
            (42, Event::Warning { text: "the pool is 91 % full.".to_owned() }),
            (50, finished()),
        ];
        assert_eq!(
            told(output(Channel::Plain, Loudness::Quiet), &events),
            ["Warning: the pool is 91 % full.", "Safe to unplug t7 (exported and powered off)."]
        );
    }

    #[test]
    fn the_journal_gets_priorities_and_no_colours() {
        let output = Output { colour: Colour::Ansi, ..output(Channel::Journal, Loudness::Quiet) };
        let events = [(0, Event::Warning { text: "one\ntwo".to_owned() }), (1, finished())];
        assert_eq!(
            told(output, &events),
            ["<4>Warning: one", "<4>  two", "<5>Safe to unplug t7 (exported and powered off)."]
        );
    }
}
