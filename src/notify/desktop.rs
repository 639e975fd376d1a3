//! The daemon that shows notifications, on the user's session bus (the Desktop Notifications Specification).

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use futures_core::Stream as _;
use zbus::connection::{Builder, Connection};
use zbus::message::Type;
use zbus::{MatchRule, Message, MessageStream, Variant, block_on};

use super::words::escaped;
use super::{Lasts, Note, Urgency};

/// Its name on the bus, and that of what it can.
const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// The bus itself.
const BUS: &str = "org.freedesktop.DBus";
/// The daemon may have to be started for it.
const DEADLINE: Duration = Duration::from_secs(30);
/// The icon of a drive, which every theme has.
const ICON: &str = "drive-removable-media";
/// The key of what a click on the notification does, and of a button that does the same.
const CLICK: &str = "default";
const SHOW: &str = "show";

/// What was heard from the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The user wants what the notification with this number offers.
    Wanted(u32),
    /// The notification with this number is not shown any more.
    Closed(u32),
    /// Another daemon shows notifications, or none.
    Changed,
    /// The bus is gone: the session has ended.
    Gone,
}

/// The session bus.
#[derive(Debug, Clone)]
pub struct Desktop {
    connection: Connection,
}

/// The daemon that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Tells it from one of another session, and from the one before.
    pub identity: String,
    /// What it calls itself.
    pub name: String,
    /// Whether it shows buttons.
    pub has_actions: bool,
    /// Whether it takes the text for markup.
    pub has_markup: bool,
}

impl Desktop {
    /// Connects to the bus of this session.
    ///
    /// # Errors
    /// When there is none.
    pub fn connect() -> zbus::Result<Self> {
        let connection = block_on(Builder::session().method_timeout(DEADLINE).build())?;
        Ok(Self { connection })
    }

    /// Tells what is heard from now on.
    ///
    /// # Errors
    /// When the bus does not tell.
    pub fn listen<T: Send + 'static>(&self, tell: &Sender<T>, wrap: fn(Heard) -> T) -> zbus::Result<()> {
        let signal = || MatchRule::builder().msg_type(Type::Signal);
        let rules = [
            signal().sender(NAME).interface(NAME).build()?,
            signal().sender(BUS).interface(BUS).member("NameOwnerChanged").add_arg(NAME).build()?,
        ];
        for rule in rules {
            let stream = block_on(MessageStream::for_match_rule(rule, &self.connection, None))?;
            let tell = tell.clone();
            let hear = move || {
                let mut stream = pin!(stream);
                let mut next = || block_on(poll_fn(|context| stream.as_mut().poll_next(context)));
                while let Some(Ok(message)) = next() {
                    let news = heard(&message);
                    if news.is_some_and(|news| tell.send(wrap(news)).is_err()) {
                        return;
                    }
                }
                // Nobody listens any more: then nobody misses it.
                let _ = tell.send(wrap(Heard::Gone));
            };
            thread::Builder::new()
                .name("desktop".to_owned())
                .spawn(hear)
                .map_err(|error| zbus::Error::InputOutput(error.into()))?;
        }
        Ok(())
    }

    /// Asks the daemon what it can; one is started for it where the session knows how.
    ///
    /// # Errors
    /// When there is none.
    pub fn daemon(&self) -> zbus::Result<Daemon> {
        let capabilities: Vec<String> =
            self.call(NAME, PATH, "GetCapabilities", &())?.body().deserialize()?;
        let (name, _, version, _): (String, String, String, String) =
            self.call(NAME, PATH, "GetServerInformation", &())?.body().deserialize()?;
        let owner: String =
            self.call(BUS, "/org/freedesktop/DBus", "GetNameOwner", &NAME)?.body().deserialize()?;
        let can = |what: &str| capabilities.iter().any(|capability| capability == what);
        Ok(Daemon {
            identity: format!("{} {owner}", self.connection.server_guid()),
            name: format!("{name} {version}"),
            has_actions: can("actions"),
            has_markup: can("body-markup"),
        })
    }

    /// Shows it, in the place of the notification with this number, and gives its number.
    ///
    /// # Errors
    /// When the daemon does not take it.
    pub fn show(
        &self,
        daemon: &Daemon,
        note: &Note,
        instead_of: Option<u32>,
        offers: bool,
    ) -> zbus::Result<u32> {
        let actions: &[&str] =
            if offers && daemon.has_actions { &[CLICK, "Show", SHOW, "Show"] } else { &[] };
        let urgency: u8 = match note.urgency {
            Urgency::Normal => 1,
            Urgency::Critical => 2,
        };
        let hints: HashMap<&str, Variant<'_>> = HashMap::from([
            ("urgency", Variant::from(urgency)),
            ("category", Variant::from("device")),
            ("desktop-entry", Variant::from("zferry")),
        ]);
        let expires: i32 = match note.lasts {
            Lasts::AsUsual => -1,
            Lasts::UntilDismissed => 0,
        };
        let body = if daemon.has_markup { escaped(&note.body) } else { note.body.clone() };
        let instead_of = instead_of.unwrap_or(0);
        let arguments = ("zferry", instead_of, ICON, note.title.as_str(), body, actions, hints, expires);
        self.call(NAME, PATH, "Notify", &arguments)?.body().deserialize()
    }

    fn call<B>(&self, to: &str, path: &str, method: &str, body: &B) -> zbus::Result<Message>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        block_on(self.connection.call_method(Some(to), path, Some(to), method, body))
    }
}

fn heard(message: &Message) -> Option<Heard> {
    let header = message.header();
    let member = header.member()?;
    match member.as_str() {
        "ActionInvoked" => {
            let (id, key): (u32, String) = message.body().deserialize().ok()?;
            [CLICK, SHOW].contains(&key.as_str()).then_some(Heard::Wanted(id))
        }
        "NotificationClosed" => {
            let (id, _): (u32, u32) = message.body().deserialize().ok()?;
            Some(Heard::Closed(id))
        }
        "NameOwnerChanged" => Some(Heard::Changed),
        _ => None,
    }
}
