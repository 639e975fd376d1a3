//! A thread that tells one kind of listener, in order. It keeps no run waiting, and at its end is waited for only so long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::told::Told;

/// Tells one thing, and gives back a warning where that did not work. The flag is true once the end is waited for.
pub(super) type Tell = Box<dyn FnMut(&Told, &AtomicBool) -> Vec<String> + Send>;

/// One listener.
pub(super) struct Lane {
    name: &'static str,
    told: Sender<Told>,
    warnings: Receiver<String>,
    ending: Arc<AtomicBool>,
}

impl Lane {
    /// Starts the thread. None where there can be no more of them; then nobody is told.
    pub(super) fn start(name: &'static str, mut tell: Tell) -> Option<Self> {
        let (told, to_tell) = channel::<Told>();
        let (warn, warnings) = channel();
        let ending = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ending);
        let body = move || {
            for told in to_tell {
                for warning in tell(&told, &flag) {
                    // Nobody listens any more when the end was not waited for.
                    let _ = warn.send(warning);
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        thread.map_err(|error| log::warn!("{name}: {error}")).ok()?;
        Some(Self { name, told, warnings, ending })
    }

    /// Has this told, after everything before it.
    pub(super) fn tell(&self, told: Told) {
        if self.told.send(told).is_err() {
            log::warn!("{}: its thread is gone", self.name);
        }
    }

    /// Waits until all was told, at most so long, and gives what went wrong.
    pub(super) fn end(self, at_most: Duration) -> Vec<String> {
        let Self { name, told, warnings, ending } = self;
        ending.store(true, Ordering::Relaxed);
        drop(told);
        let until = Instant::now() + at_most;
        let mut all = Vec::new();
        loop {
            match warnings.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(warning) => all.push(warning),
                Err(RecvTimeoutError::Disconnected) => return all,
                Err(RecvTimeoutError::Timeout) => {
                    all.push(format!(
                        "The {name} did not end in time, and whether it was told is not known."
                    ));
                    return all;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::Moment;
    use super::super::told::tests::told;
    use super::*;

    #[test]
    fn all_is_told_in_order_and_the_end_is_not_waited_for_for_ever() {
        let tell: Tell = Box::new(|told, _| vec![told.moment.word().to_owned()]);
        let lane = Lane::start("monitor", tell).unwrap();
        lane.tell(told(Moment::Start));
        lane.tell(told(Moment::Failure));
        assert_eq!(lane.end(Duration::from_secs(20)), ["start", "failure"]);

        let (release, gate) = channel::<()>();
        let tell: Tell = Box::new(move |_, _| {
            let _ = gate.recv();
            Vec::new()
        });
        let lane = Lane::start("monitor", tell).unwrap();
        lane.tell(told(Moment::Start));
        let warnings = lane.end(Duration::from_millis(50));
        assert!(warnings.len() == 1 && warnings[0].contains("did not end in time"), "{warnings:?}");
        drop(release);
    }
}
