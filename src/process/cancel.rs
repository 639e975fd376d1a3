//! Why a command should not be waited for any longer: somebody asked us to stop, or the drive that it works on is gone.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

/// How urgently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interruption {
    /// Not at all.
    None,
    /// Stop sending, tidy up, export.
    Finish,
    /// Stop at once.
    Now,
}

/// Says why a drive cannot be used any more, once it cannot. Asked many times a second: must not block.
type Watch = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Shared between the signal handlers, the engine and the process layer. Cheap to clone and to ask.
#[derive(Clone, Default)]
pub struct Cancel {
    level: Arc<AtomicU8>,
    signal: Arc<AtomicU8>,
    watch: Option<Watch>,
}

impl Cancel {
    /// One that nobody has touched.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop because of this signal number; asking twice means at once.
    pub fn request(&self, signal: u8) {
        self.signal.store(signal, Ordering::Relaxed);
        let _ =
            self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| Some((level + 1).min(2)));
    }

    /// What was asked for once is done, and takes nothing else along. Who asked twice is not answered with this.
    pub fn settle(&self) {
        let _ = self.level.compare_exchange(1, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// How urgently we were asked to stop.
    pub fn interruption(&self) -> Interruption {
        match self.level.load(Ordering::Relaxed) {
            0 => Interruption::None,
            1 => Interruption::Finish,
            _ => Interruption::Now,
        }
    }

    /// Whether we were asked to stop at all.
    pub fn is_requested(&self) -> bool {
        self.interruption() != Interruption::None
    }

    /// The signal that asked, if any: decides the exit code.
    pub fn signal(&self) -> Option<u8> {
        self.is_requested().then(|| self.signal.load(Ordering::Relaxed))
    }

    /// The same requests, and a drive besides: commands that are given this end when it is gone (S13). Once it was lost
    /// it stays so, whatever the watch says later: while a disk goes, there are moments at which nothing shows it.
    pub fn watching(&self, watch: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        let seen = OnceLock::new();
        let lost = move || match seen.get() {
            Some(why) => Some(String::clone(why)),
            None => watch().map(|why| seen.get_or_init(|| why).clone()),
        };
        Self { watch: Some(Arc::new(lost)), ..self.clone() }
    }

    /// The same requests, for commands that go on when a drive is gone, or that make it go.
    pub fn unwatched(&self) -> Self {
        Self { watch: None, ..self.clone() }
    }

    /// Why the drive cannot be used any more; nothing while it can.
    pub fn lost(&self) -> Option<String> {
        self.watch.as_ref().and_then(|watch| watch())
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cancel = f.debug_struct("Cancel");
        cancel.field("interruption", &self.interruption()).field("watches", &self.watch.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_was_asked_once_can_be_settled_and_what_was_asked_twice_cannot() {
        let cancel = Cancel::new();
        cancel.request(2);
        cancel.settle();
        assert_eq!((cancel.interruption(), cancel.signal()), (Interruption::None, None));
        cancel.request(2);
        cancel.request(15);
        cancel.settle();
        assert_eq!((cancel.interruption(), cancel.signal()), (Interruption::Now, Some(15)));
    }

    #[test]
    fn what_is_lost_stays_lost() {
        let says = Arc::new(Mutex::new(None));
        let asked = Arc::clone(&says);
        let cancel = Cancel::new().watching(move || asked.lock().unwrap().clone());
        assert_eq!(cancel.lost(), None);
        *says.lock().unwrap() = Some("it no longer answers".to_owned());
        assert_eq!(cancel.lost().as_deref(), Some("it no longer answers"));
        *says.lock().unwrap() = None;
        assert_eq!(cancel.clone().lost().as_deref(), Some("it no longer answers"));
        assert_eq!(cancel.unwatched().lost(), None);
    }
}
