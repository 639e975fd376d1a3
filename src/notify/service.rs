//! All of it together, until the session ends.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use jiff::Timestamp;

use super::Offer;
use super::decide::{News, decide};
use super::desktop::{Daemon, Desktop, Heard};
use super::memory::{Memory, MemoryError, Told};
use super::terminal::Terminal;
use super::watch::{Changed, watch};
use crate::execute::{chain, lock};
use crate::live::public::{self, State, Status};

/// Between two tries to reach a daemon while there is something to tell; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// After a run may have let go of its lock it is looked again, so often and at this distance.
const LOOKS: u8 = 3;
const BETWEEN: Duration = Duration::from_secs(1);

/// Where things are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The public status and the locks.
    pub status: PathBuf,
    /// What was told.
    pub memory: PathBuf,
    /// What the commands read that a click opens.
    pub config: PathBuf,
}

/// Why nobody is told anything.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// There is no session.
    #[error("the session bus cannot be reached, over which notifications go")]
    NoBus(#[source] zbus::Error),
    /// The session has ended.
    #[error("the session bus is gone: the session has ended")]
    BusGone,
    /// The status cannot be watched.
    #[error("{} cannot be watched: {why}", directory.display())]
    NotWatched {
        /// Where it is.
        directory: PathBuf,
        /// Why.
        why: String,
    },
    /// Nothing can be remembered.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// What wakes it.
enum Wake {
    Changed(Changed),
    NotWatched(String),
    Desktop(Heard),
}

/// Tells the user until the session ends. `say` tells whoever started it how it stands.
///
/// # Errors
/// When it cannot, or not any more.
pub fn serve(
    place: &Place,
    clock: &dyn Fn() -> Timestamp,
    say: &dyn Fn(&str),
) -> Result<std::convert::Infallible, NotifyError> {
    let memory = Memory::take(&place.memory)?;
    let desktop = Desktop::connect().map_err(NotifyError::NoBus)?;
    let (tell, wakes) = channel();
    desktop.listen(&tell, Wake::Desktop).map_err(NotifyError::NoBus)?;
    let directory = place.status.clone();
    let watching = move || {
        let why = match watch(&directory, |what| tell.send(Wake::Changed(what)).is_ok()) {
            Ok(()) => return,
            Err(error) => chain(&error),
        };
        // Nobody listens any more: then nobody misses it.
        let _ = tell.send(Wake::NotWatched(why));
    };
    let not_watched = |why: String| NotifyError::NotWatched { directory: place.status.clone(), why };
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(watching)
        .map_err(|error| not_watched(error.to_string()))?;
    say(&format!(
        "Watching {}. What becomes of the drives is shown on this desktop.",
        place.status.display()
    ));
    let told = memory.load();
    let terminal = Terminal::find(&place.config);
    let mut service = Service {
        place,
        clock,
        say,
        memory,
        desktop,
        terminal,
        told,
        daemon: None,
        offers: HashMap::new(),
        pause: None,
        looks: 0,
    };
    service.until_the_end(&wakes, &not_watched)
}

struct Service<'a> {
    place: &'a Place,
    clock: &'a dyn Fn() -> Timestamp,
    say: &'a dyn Fn(&str),
    memory: Memory,
    desktop: Desktop,
    terminal: Option<Terminal>,
    told: Told,
    daemon: Option<Daemon>,
    /// What the notifications offer that are shown, by their numbers.
    offers: HashMap<u32, Offer>,
    /// Since nothing could be shown: how long until the next try.
    pause: Option<Duration>,
    /// So many looks come without a reason of their own.
    looks: u8,
}

impl Service<'_> {
    fn until_the_end(
        &mut self,
        wakes: &Receiver<Wake>,
        not_watched: &dyn Fn(String) -> NotifyError,
    ) -> Result<std::convert::Infallible, NotifyError> {
        loop {
            let limit = if self.looks > 0 { Some(BETWEEN) } else { self.pause };
            let wake = match limit {
                None => wakes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => wakes.recv_timeout(pause),
            };
            match wake {
                Ok(Wake::Changed(what)) => {
                    if what == Changed::Lock {
                        self.looks = LOOKS;
                    }
                    self.look();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.looks = self.looks.saturating_sub(1);
                    self.look();
                }
                Ok(Wake::Desktop(Heard::Wanted(id))) => self.open(id),
                Ok(Wake::Desktop(Heard::Closed(id))) => drop(self.offers.remove(&id)),
                Ok(Wake::Desktop(Heard::Changed)) => {
                    self.daemon = None;
                    self.look();
                }
                Ok(Wake::Desktop(Heard::Gone)) => return Err(NotifyError::BusGone),
                Ok(Wake::NotWatched(why)) => return Err(not_watched(why)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(not_watched("nothing tells of it".to_owned()));
                }
            }
        }
    }

    /// Shows what is new, if anything is.
    fn look(&mut self) {
        let Some(status) = self.read() else { return };
        let is_alive = |guid| !lock::is_free(&self.place.status, guid);
        let mut news = decide(&status, &is_alive, &self.told, (self.clock)());
        // A run that has ended since the status was read has said so before it let go of its lock.
        if status.drives.iter().any(|drive| drive.state == State::Running && !is_alive(drive.guid)) {
            let Some(status) = self.read() else { return };
            news = decide(&status, &is_alive, &self.told, (self.clock)());
        }
        if news.is_empty() {
            self.pause = None;
            return;
        }
        match self.tell(news) {
            Ok(()) => self.pause = None,
            Err(error) => {
                if self.pause.is_none() {
                    (self.say)(&format!(
                        "Nothing can be shown at the moment: {error}. It is tried again, and as soon as a notification \
                         daemon starts."
                    ));
                }
                self.daemon = None;
                let next = self.pause.map_or(FIRST_PAUSE, |pause| pause.saturating_mul(2));
                self.pause = Some(next.min(LONGEST_PAUSE));
            }
        }
    }

    fn read(&self) -> Option<Status> {
        match public::read(&self.place.status) {
            Ok(status) => status,
            Err(error) => {
                log::warn!("{} cannot be read: {error}", self.place.status.join(public::FILE).display());
                None
            }
        }
    }

    fn tell(&mut self, news: Vec<News>) -> zbus::Result<()> {
        for News { fact, note } in news {
            if let Some(note) = note {
                let daemon = self.daemon()?;
                let offer =
                    note.offer.clone().filter(|_| self.terminal.as_ref().is_some_and(Terminal::can_open));
                let instead_of = self.told.number(note.about);
                let id = self.desktop.show(&daemon, &note, instead_of, offer.is_some())?;
                self.told.show(note.about, id);
                self.offers.remove(&id);
                self.offers.extend(offer.map(|offer| (id, offer)));
            }
            fact.note(&mut self.told);
            if let Err(error) = self.memory.save(&self.told) {
                log::warn!("what was told is not remembered, and may be told again: {error}");
            }
        }
        Ok(())
    }

    /// The daemon that shows notifications now.
    fn daemon(&mut self) -> zbus::Result<Daemon> {
        if let Some(daemon) = &self.daemon {
            return Ok(daemon.clone());
        }
        let daemon = self.desktop.daemon()?;
        (self.say)(&format!("Notifications are shown by {}.", crate::process::printable(&daemon.name)));
        // One that was started for the first notification is heard of after that was shown: it is the same.
        if self.told.daemon.as_ref() != Some(&daemon.identity) {
            self.offers.clear();
        }
        self.told.shown_by(&daemon.identity);
        self.daemon = Some(daemon.clone());
        Ok(daemon)
    }

    fn open(&mut self, id: u32) {
        let (Some(offer), Some(terminal)) = (self.offers.get(&id), &self.terminal) else { return };
        if let Err(error) = terminal.open(offer) {
            log::warn!("no terminal could be opened: {error}");
        }
    }
}
