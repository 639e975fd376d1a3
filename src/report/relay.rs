//! A thread that tells, so that a terminal stopped with Ctrl-S or a full pipe cannot stop a run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::output::{Channel, Output};
use super::{Voice, voice};
use crate::event::{Event, Sink};

/// How often bars are brought up to date when nothing happens.
const TICK: Duration = Duration::from_millis(250);
/// With so many events waiting, nobody is looking: progress is left out, everything else is kept.
const BACKLOG: usize = 32;

/// Takes events from any thread and tells them in order. Dropping it waits until all of them were told.
pub struct Reporter {
    // `None` only while dropping: the thread ends when the sender is gone.
    events: Option<Sender<Event>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    // When the thread could not be started or broke: lines, told on the caller's thread.
    spare: Mutex<Option<Box<dyn Voice>>>,
    output: Output,
}

impl Reporter {
    /// Starts the thread.
    pub(super) fn start(output: Output) -> Self {
        Self::with(output, move || voice(output))
    }

    fn with(output: Output, voice: impl FnOnce() -> Box<dyn Voice> + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || tell(&receiver, &counter, voice().as_mut()));
        // Without a thread the receiver is gone, every send fails, and the spare voice tells.
        Self { events: Some(sender), waiting, thread: thread.ok(), spare: Mutex::new(None), output }
    }

    /// Tells on this thread. No bars: they may have been what broke.
    fn tell_here(&self, event: &Event) {
        let channel =
            if self.output.channel == Channel::Terminal { Channel::Plain } else { self.output.channel };
        let output = Output { channel, ..self.output };
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.get_or_insert_with(|| voice(output)).event(event, Instant::now());
    }
}

impl Sink for Reporter {
    fn event(&self, event: Event) {
        let is_progress =
            matches!(event, Event::SendProgress { .. } | Event::Copying { .. } | Event::OnFile { .. });
        if is_progress && self.waiting.load(Ordering::Relaxed) >= BACKLOG {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let Some(events) = &self.events else { return };
        if let Err(SendError(event)) = events.send(event) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tell_here(&event);
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            // It broke: what came after was told by the spare voice.
            let _ = thread.join();
        }
    }
}

fn tell(events: &Receiver<Event>, waiting: &AtomicUsize, voice: &mut dyn Voice) {
    loop {
        match events.recv_timeout(TICK) {
            Ok(event) => {
                voice.event(&event, Instant::now());
                waiting.fetch_sub(1, Ordering::Relaxed);
            }
            Err(RecvTimeoutError::Timeout) => voice.tick(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Loudness;
    use crate::report::fixtures::{finished, output, progress};

    /// Keeps what it is told; the first event waits for the gate.
    struct Slow {
        gate: Receiver<()>,
        told: Arc<Mutex<Vec<Event>>>,
    }

    impl Voice for Slow {
        fn event(&mut self, event: &Event, _now: Instant) {
            let _ = self.gate.recv_timeout(Duration::from_secs(10));
            self.told.lock().unwrap().push(event.clone());
        }
    }

    #[test]
    fn a_stopped_reader_does_not_stop_the_run_and_loses_progress_only() {
        let (open, gate) = channel();
        let told = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow { gate, told: Arc::clone(&told) };
        let reporter = Reporter::with(output(Channel::Plain, Loudness::Normal), move || Box::new(slow));
        for mib in 0..1000 {
            reporter.event(progress(mib));
        }
        reporter.event(finished());
        drop(open);
        drop(reporter);
        let told = told.lock().unwrap();
        assert!(told.len() <= BACKLOG + 2, "{}", told.len());
        assert_eq!(told.last(), Some(&finished()));
    }

    #[test]
    fn a_reporter_that_broke_is_replaced() {
        struct Broken;
        impl Voice for Broken {
            fn event(&mut self, _event: &Event, _now: Instant) {
                panic!("a bug in the bars");
            }
        }
        let output = output(Channel::Terminal, Loudness::Quiet);
        let reporter = Reporter::with(output, || Box::new(Broken));
        reporter.event(progress(1));
        while !reporter.thread.as_ref().unwrap().is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        reporter.event(Event::Note { text: "The run goes on.".to_owned() });
        assert!(reporter.spare.lock().unwrap().is_some());
    }
}
