//! A terminal: a bar for each stream and one for all of them, sentences above. The only place that knows indicatif.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::gauge::Gauge;
use super::output::Output;
use super::terminal::Terminal;
use super::{Voice, text};
use crate::event::Event;
use crate::model::{Bytes, DatasetName};

/// What is done sooner needs no bar that flashes by.
const PATIENCE: Duration = Duration::from_millis(250);
/// Drawings a second, at most.
const HERTZ: u8 = 8;

/// Tells on a terminal.
pub(super) struct Bars {
    terminal: Terminal,
    output: Output,
    multi: MultiProgress,
    /// Streams under way.
    streams: HashMap<DatasetName, Stream>,
    /// All streams of the drive.
    total: Option<Total>,
    /// A file that is being copied.
    copying: Option<ProgressBar>,
    /// When the first stream of the drive began.
    since: Option<Instant>,
    shown: bool,
}

struct Stream {
    estimate: Bytes,
    sent: Bytes,
    bar: ProgressBar,
}

struct Total {
    /// Bytes of streams that ended.
    ended: Bytes,
    /// Estimate of the rest, streams under way included.
    ahead: Bytes,
    bar: ProgressBar,
}

impl Bars {
    /// Draws on `terminal`.
    pub(super) fn new(terminal: Terminal, output: Output) -> Self {
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), HERTZ);
        Self {
            terminal,
            output,
            multi: MultiProgress::with_draw_target(target),
            streams: HashMap::new(),
            total: None,
            copying: None,
            since: None,
            shown: false,
        }
    }

    /// A bar that counts already and is not drawn yet.
    fn bar(&self, label: &str, estimate: Bytes) -> ProgressBar {
        let (label, terminal) = (label.to_owned(), self.terminal.clone());
        let draw = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // The last column stays free: some terminals wrap as soon as it is filled.
            let columns = usize::from(terminal.width()).saturating_sub(1);
            // Nobody can be told that a bar was not drawn.
            let _ = out.write_str(&gauge(&label, state).render(columns));
        };
        let template =
            ProgressStyle::with_template("{line}").unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(estimate.0), ProgressDrawTarget::hidden())
            .with_style(template.with_key("line", draw))
    }

    fn follow(&mut self, event: &Event, now: Instant) {
        match event {
            Event::DriveStarted { .. } => self.clear(),
            Event::Planned { estimate, .. } => self.plan(*estimate),
            Event::SendStarted { target, estimate, .. } => {
                self.begin(target, *estimate);
                self.since.get_or_insert(now);
            }
            Event::SendProgress { target, sent } => {
                if let Some(stream) = self.streams.get_mut(target) {
                    stream.sent = *sent;
                    stream.bar.set_position(sent.0);
                }
                self.count();
            }
            Event::Copying { what, copied: done, of } | Event::OnFile { what, done, of, .. } => {
                self.copy(what, *done, *of);
            }
            Event::ScrubProgress { pool, done, total, .. } => {
                let scrub = DatasetName::root_of(pool);
                if !self.streams.contains_key(&scrub) {
                    self.begin(&scrub, *total);
                    self.since.get_or_insert(now);
                }
                if let Some(stream) = self.streams.get_mut(&scrub) {
                    stream.sent = Bytes((total.0 / 10_000).saturating_mul(u64::from(*done)));
                    stream.bar.set_position(stream.sent.0);
                }
            }
            Event::SendFinished { target, sent, .. } => self.end(target, Some(*sent)),
            Event::Failed { target, .. } => self.end(target, None),
            // Nothing travels any more: a rate that only falls would say otherwise.
            Event::Verified { .. }
            | Event::Exported { .. }
            | Event::NotExported { .. }
            | Event::Lost { .. }
            | Event::DriveFinished(_) => self.clear(),
            _ => {}
        }
    }

    /// A copy, or a check, goes on or is done.
    fn copy(&mut self, what: &str, copied: Bytes, of: Bytes) {
        if copied >= of {
            self.copying.take().iter().for_each(|bar| self.remove(bar));
            return;
        }
        if self.copying.is_none() {
            let bar = self.bar(what, of);
            self.multi.add(bar.clone());
            self.copying = Some(bar);
        }
        self.copying.iter().for_each(|bar| bar.set_position(copied.0));
    }

    /// A plan, or a plan made anew: what was sent stays sent.
    fn plan(&mut self, estimate: Bytes) {
        if let Some(total) = &mut self.total {
            total.ahead = estimate;
        } else {
            let bar = self.bar("in total", estimate);
            if self.shown {
                self.multi.add(bar.clone());
            }
            self.total = Some(Total { ended: Bytes(0), ahead: estimate, bar });
        }
        self.count();
    }

    /// A stream begins, perhaps again: what was expected of it is ahead once more.
    fn begin(&mut self, target: &DatasetName, estimate: Bytes) {
        self.end(target, None);
        let bar = self.bar(target.as_str(), estimate);
        if self.shown {
            self.add(&bar);
        }
        self.streams.insert(target.clone(), Stream { estimate, sent: Bytes(0), bar });
        if let Some(total) = &mut self.total {
            total.ahead = total.ahead.max(self.streams.values().map(|stream| stream.estimate).sum());
        }
        self.count();
    }

    /// A stream ended: its bytes are facts now, no estimate.
    fn end(&mut self, target: &DatasetName, sent: Option<Bytes>) {
        let Some(stream) = self.streams.remove(target) else { return };
        if let Some(total) = &mut self.total {
            total.ended += sent.unwrap_or(stream.sent);
            total.ahead = total.ahead.saturating_sub(stream.estimate);
        }
        self.remove(&stream.bar);
        self.count();
    }

    fn count(&self) {
        let Some(total) = &self.total else { return };
        let running: Bytes = self.streams.values().map(|stream| stream.sent).sum();
        total.bar.set_length((total.ended + total.ahead).0);
        total.bar.set_position((total.ended + running).0);
    }

    fn show_when_due(&mut self, now: Instant) {
        let due = self.since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        if self.shown || !due {
            return;
        }
        self.shown = true;
        if let Some(total) = &self.total {
            self.multi.add(total.bar.clone());
        }
        for stream in self.streams.values() {
            self.add(&stream.bar);
        }
    }

    fn redraw(&self) {
        if self.shown {
            self.streams.values().for_each(|stream| stream.bar.tick());
            self.total.iter().for_each(|total| total.bar.tick());
        }
    }

    /// Streams stand above the total.
    fn add(&self, bar: &ProgressBar) {
        match &self.total {
            Some(total) => self.multi.insert_before(&total.bar, bar.clone()),
            None => self.multi.add(bar.clone()),
        };
    }

    fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.multi.remove(bar);
    }

    fn clear(&mut self) {
        let streams = std::mem::take(&mut self.streams).into_values().map(|stream| stream.bar);
        let total = self.total.take().map(|total| total.bar);
        for bar in streams.chain(total).chain(self.copying.take()) {
            self.remove(&bar);
        }
        // The terminal swallows its errors.
        let _ = self.multi.clear();
        (self.since, self.shown) = (None, false);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is not negative, and the cast saturates"
)]
fn gauge<'a>(label: &'a str, state: &ProgressState) -> Gauge<'a> {
    let rate = Bytes(state.per_sec() as u64);
    let (sent, estimate) = (Bytes(state.pos()), Bytes(state.len().unwrap_or_default()));
    // An estimate that was too low says nothing about the time left, nor do the first streams of a run, which are small
    // and cost what they cost: hours were shown of a run that took twenty seconds.
    let tells = sent <= estimate && sent.0 >= estimate.0 / 50;
    let left = (rate.0 > 0 && tells).then(|| state.eta());
    Gauge { label, sent, estimate, rate, left }
}

impl Voice for Bars {
    fn event(&mut self, event: &Event, now: Instant) {
        self.follow(event, now);
        self.show_when_due(now);
        // Where a stream begins, its bar says so.
        if matches!(
            event,
            Event::SendStarted { .. }
                | Event::SendProgress { .. }
                | Event::Copying { .. }
                | Event::OnFile { .. }
        ) {
            return;
        }
        let lines = text::lines(event, self.output.loudness);
        if !lines.is_empty() {
            // What stands below the sentences is repeated from the last drawing, which may be old, or wider.
            self.redraw();
            self.multi.suspend(|| lines.iter().for_each(|line| self.terminal.line(&line.paint(self.output))));
        }
    }

    fn tick(&mut self, now: Instant) {
        self.show_when_due(now);
        self.redraw();
    }
}

/// A run that ends early must not leave half a bar before the error message.
impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests;
