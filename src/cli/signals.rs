//! Signals become requests to stop. The job decides what that means: once finishes cleanly, twice stops at once.

use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process::Cancel;

/// Watches for the rest of the process's life. A broken pipe needs nothing: Rust programs start with SIGPIPE ignored,
/// and a write to a closed output is an error that whoever writes may ignore.
///
/// # Errors
/// When the system refuses the handlers or the thread.
pub fn watch(cancel: &Cancel) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let cancel = cancel.clone();
    let forward = move || {
        for signal in signals.forever() {
            match signal {
                // The terminal was closed. A backup that is half done is worth finishing.
                SIGHUP => log::info!("the terminal was closed; the run goes on"),
                // Signal numbers are below 65.
                _ => cancel.request(u8::try_from(signal).unwrap_or(u8::MAX)),
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(forward).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::process::Interruption;

    /// Sends a signal to this process and waits until it arrived; the others must not disturb.
    fn send(signal: i32, cancel: &Cancel, wanted: Interruption) {
        signal_hook::low_level::raise(signal).unwrap();
        let begin = Instant::now();
        while cancel.interruption() != wanted && begin.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(cancel.interruption(), wanted, "signal {signal}");
    }

    #[test]
    fn one_signal_finishes_two_stop_and_a_closed_terminal_is_not_one() {
        let cancel = Cancel::new();
        watch(&cancel).unwrap();
        send(SIGHUP, &cancel, Interruption::None);
        send(SIGINT, &cancel, Interruption::Finish);
        assert_eq!(cancel.signal(), Some(2));
        send(SIGTERM, &cancel, Interruption::Now);
        assert_eq!(cancel.signal(), Some(15));
    }
}
