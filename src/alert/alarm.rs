//! Listens to the events of one drive's run, or of what is saved to files, and has others told of what they mean.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::lane::{Lane, Tell};
use super::program;
use super::request::request;
use super::send::{Haste, address, send};
use super::told::{About, MOST, Moment, Told, ended, happened};
use crate::event::{Event, Sink, Summary};
use crate::model::{Alerts, Ping};
use crate::report::{Loudness, text};

/// The longest that the end of a run waits for a monitor: a try that is under way, and the tries of the end.
const MONITOR: Duration = Duration::from_secs(28);
/// The longest that it waits for programs: one that was started at the beginning of a short run, one in mid-run, and the
/// last.
const PROGRAMS: Duration = Duration::from_secs(3 * program::DEADLINE.as_secs() + 5);

/// Whom it is about, and who is to be told.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The drive's or the stream's name in the configuration.
    pub name: &'a str,
    /// Which of both.
    pub about: About,
    /// This machine's name.
    pub host: &'a str,
    /// Who is to be told.
    pub alerts: &'a Alerts,
}

/// Passes the events of one run on, and has others told. The last event is held back until they were, so that what went
/// wrong with that is said before the last line.
pub struct Alarm<'a> {
    inner: &'a dyn Sink,
    subject: Subject<'a>,
    run: Option<Uuid>,
    since: Instant,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    lanes: Vec<(Lane, Duration)>,
    log: VecDeque<String>,
    length: usize,
    began: bool,
    lost: Option<Event>,
    told_lost: bool,
}

impl<'a> Alarm<'a> {
    /// For one run.
    pub fn of_run(subject: Subject<'a>, inner: &'a dyn Sink) -> Self {
        Self::new(subject, inner, Some(Uuid::new_v4()))
    }

    /// For what is about no run.
    pub fn of_drive(subject: Subject<'a>, inner: &'a dyn Sink) -> Self {
        Self::new(subject, inner, None)
    }

    fn new(subject: Subject<'a>, inner: &'a dyn Sink, run: Option<Uuid>) -> Self {
        let desk = Mutex::new(Desk { lanes: lanes(subject.alerts), ..Desk::default() });
        Self { inner, subject, run, since: Instant::now(), desk }
    }

    /// A run ended with this exit code, and without a last event. Who was told of its start is told of its end, too.
    pub fn ended_early(&self, code: u8, message: &str) {
        let moment = Moment::of_code(code);
        if moment == Some(Moment::Failure) || self.desk().began {
            self.raise(moment.unwrap_or(Moment::Stopped), message);
        }
    }

    /// Tells this, and waits until it was told.
    pub fn raise(&self, moment: Moment, message: &str) {
        self.tell(&mut self.desk(), moment, message.to_owned(), true);
        self.end();
    }

    /// Waits until everybody was told; gives what went wrong with that.
    fn end(&self) -> usize {
        let lanes = std::mem::take(&mut self.desk().lanes);
        // The first ends first: what the others do meanwhile is no time lost.
        let warnings: Vec<_> = lanes.into_iter().flat_map(|(lane, at_most)| lane.end(at_most)).collect();
        let number = warnings.len();
        for text in warnings {
            self.inner.event(Event::Warning { text });
        }
        number
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, desk: &mut Desk, moment: Moment, message: String, last: bool) {
        let log = desk.log.iter().map(|line| format!("{line}\n")).collect();
        let Subject { name, about, host, .. } = self.subject.clone();
        let told = Told {
            moment,
            name: name.to_owned(),
            about,
            host: host.to_owned(),
            message,
            log,
            run: self.run,
            took: self.since.elapsed(),
            last,
        };
        for (lane, _) in &desk.lanes {
            lane.tell(told.clone());
        }
    }

    /// What is to be told in mid-run.
    fn note(&self, event: &Event) {
        let mut desk = self.desk();
        if desk.lanes.is_empty() {
            return;
        }
        desk.write_down(event);
        match event {
            // Before that, the drive may turn out to be away, or another run to have it.
            Event::Found { .. } | Event::Imported { .. } if !desk.began => {
                desk.began = true;
                let message = format!("A run to {} has begun.", self.subject.name);
                self.tell(&mut desk, Moment::Start, message, false);
            }
            Event::StreamStarted { stream, .. } if !desk.began => {
                desk.began = true;
                self.tell(&mut desk, Moment::Start, format!("Saving {stream} has begun."), false);
            }
            Event::Lost { .. } => desk.lost = Some(event.clone()),
            // Nobody may look at the screen for as long as that takes. Once is enough: the end of the run tells the rest.
            Event::Waiting { .. } | Event::WaitingForReplug { .. } if !desk.told_lost => {
                if let Some(lost) = desk.lost.take() {
                    desk.told_lost = true;
                    let message = happened(&[&lost, event]);
                    self.tell(&mut desk, Moment::Failure, message, false);
                }
            }
            _ => {}
        }
    }

    fn finished(&self, mut summary: Summary) {
        let mut desk = self.desk();
        desk.write_down(&Event::DriveFinished(summary.clone()));
        self.tell(&mut desk, Moment::of(&summary), ended(&summary), true);
        drop(desk);
        summary.warnings += self.end();
        self.inner.event(Event::DriveFinished(summary));
    }
}

impl Sink for Alarm<'_> {
    fn event(&self, event: Event) {
        if let Event::DriveFinished(summary) = event {
            self.finished(summary);
            return;
        }
        self.note(&event);
        self.inner.event(event);
    }
}

impl Desk {
    /// Keeps the last lines.
    fn write_down(&mut self, event: &Event) {
        for line in text::lines(event, Loudness::Normal) {
            self.length += line.text.len() + 1;
            self.log.push_back(line.text);
        }
        while self.length > MOST
            && let Some(first) = self.log.pop_front()
        {
            self.length -= first.len() + 1;
        }
    }
}

fn lanes(alerts: &Alerts) -> Vec<(Lane, Duration)> {
    let monitor = alerts.ping.clone().and_then(|ping| Lane::start("monitor", to_monitor(ping)));
    let named = alerts.programs().iter().any(|(_, words)| !words.is_empty());
    let alerts = alerts.clone();
    let tell: Tell = Box::new(move |told, _| program::run(&alerts, told).into_iter().collect());
    let programs = named.then(|| Lane::start("program", tell)).flatten();
    let both = [monitor.map(|lane| (lane, MONITOR)), programs.map(|lane| (lane, PROGRAMS))];
    both.into_iter().flatten().collect()
}

/// Sends to the monitor. Its address is read once, and what is wrong with that is said once.
fn to_monitor(ping: Ping) -> Tell {
    let mut known = None;
    Box::new(move |told, ending| {
        let mut warnings = Vec::new();
        let address = known.get_or_insert_with(|| match address(&ping) {
            Ok((address, dangerous)) => {
                warnings.extend(
                    dangerous.map(|why| format!("The address of the monitor of {}: {why}.", told.name)),
                );
                Some(address)
            }
            Err(error) => {
                warnings.push(format!("The monitor of {} is not told anything: {error}.", told.name));
                None
            }
        });
        let Some((address, request)) =
            address.as_ref().and_then(|address| Some((address, request(address, told)?)))
        else {
            return warnings;
        };
        // Who has just pressed Ctrl-C waits for one try, and for no more.
        let waited_for = told.last && told.moment != Moment::Stopped;
        let haste = if waited_for { Haste::Some } else { Haste::Little };
        if let Err(error) = send(address.host(), &request, haste, ending) {
            let word = told.moment.word();
            warnings.push(format!("The monitor of {} was not told “{word}”: {error}.", told.name));
        }
        warnings
    })
}

#[cfg(test)]
mod tests;
