//! Who is told how a run went: a monitor on the network, programs of the user's.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ureq::http::Uri;

/// `[drives.NAME.alerts]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    /// `ping`
    pub ping: Option<Ping>,
    /// `on-start`: a program and its arguments; empty: none.
    pub on_start: Vec<String>,
    /// `on-success`
    pub on_success: Vec<String>,
    /// `on-failure`
    pub on_failure: Vec<String>,
    /// `metrics`: the directory of the textfile collector.
    pub metrics: Option<PathBuf>,
}

impl Alerts {
    /// Whether nobody is told anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The programs, each with its key.
    pub fn programs(&self) -> [(&'static str, &[String]); 3] {
        [("on-start", &self.on_start), ("on-success", &self.on_success), ("on-failure", &self.on_failure)]
    }
}

/// `ping`: where the address of a monitor stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ping {
    /// `file:/etc/zferry/ping-t7`: in the first line of a file that is read when it is needed.
    File(PathBuf),
    /// In the configuration itself.
    Here(Address),
}

impl FromStr for Ping {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix(FILE) {
            Some(path) if path.starts_with('/') => Ok(Self::File(path.into())),
            Some(_) => Err(AddressError::RelativeFile),
            None => text.parse().map(Self::Here),
        }
    }
}

/// What a `ping` begins with that stands in a file.
pub const FILE: &str = "file:";

/// What a monitor understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// healthchecks.io, or a server of the same kind.
    Healthchecks,
    /// cronitor.io.
    Cronitor,
    /// Any other: its address is fetched.
    Get,
    /// Any other: the message is posted to it.
    Post,
}

/// The words that may stand before an address to say what it is.
const PREFIXES: [(&str, Service); 4] = [
    ("healthchecks:", Service::Healthchecks),
    ("cronitor:", Service::Cronitor),
    ("get:", Service::Get),
    ("post:", Service::Post),
];

/// The hosts that say it by themselves, each with the hosts below it.
const HOSTS: [(&str, Service); 4] = [
    ("hc-ping.com", Service::Healthchecks),
    ("healthchecks.io", Service::Healthchecks),
    ("cronitor.link", Service::Cronitor),
    ("cronitor.io", Service::Cronitor),
];

/// The address of a monitor. Who knows it can tell that monitor anything: it is a secret, and nothing but [`Self::url`]
/// gives it out (S17).
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// What is told to it, and how.
    pub service: Service,
    url: String,
    host: String,
}

impl Address {
    /// The address itself, with whatever placeholders stand in it. For sending to it, and nothing else.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its host, for people.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:?}, at {})", self.service, self.host)
    }
}

/// Why a text is not the address of a monitor. None of these has the text in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `file:` and no absolute path.
    #[error("the path behind `file:` does not begin with “/”")]
    RelativeFile,
    /// Not a URL, or none of the web.
    #[error("is no address that begins with `https://` or `http://` (it is not shown: it is a secret)")]
    NotUrl,
    /// A user or a password in it.
    #[error(
        "has a user or a password before the host, which is not supported (it is not shown: it is a secret)"
    )]
    User,
    /// Nobody knows what is to be told to it.
    #[error(
        "is the address of a host that is not known: write `healthchecks:`, `cronitor:`, `get:` or `post:` before it"
    )]
    UnknownHost,
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let said = PREFIXES.iter().find_map(|(word, service)| Some((text.strip_prefix(word)?, *service)));
        let (url, said) = said.map_or((text, None), |(url, service)| (url.trim_start(), Some(service)));
        // Placeholders are no characters of a URL; what replaces them is.
        let filled = url.replace(['{', '}'], "");
        let uri: Uri = filled.parse().map_err(|_| AddressError::NotUrl)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(AddressError::NotUrl);
        }
        let authority = uri.authority().ok_or(AddressError::NotUrl)?;
        if authority.as_str().contains('@') {
            return Err(AddressError::User);
        }
        let host = authority.host().to_ascii_lowercase();
        let known = |(name, service): &(&str, Service)| {
            let below = host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            below.then_some(*service)
        };
        let service = said.or_else(|| HOSTS.iter().find_map(known)).ok_or(AddressError::UnknownHost)?;
        Ok(Self { service, url: url.to_owned(), host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_is_for_is_said_by_its_host_or_before_it() {
        for (text, service, host) in [
            ("https://hc-ping.com/5c7b", Service::Healthchecks, "hc-ping.com"),
            (" https://hc-ping.com/key/t7?create=1\n", Service::Healthchecks, "hc-ping.com"),
            ("healthchecks:https://hc.example.org:8000/ping/5c7b", Service::Healthchecks, "hc.example.org"),
            ("https://cronitor.link/p/key/t7", Service::Cronitor, "cronitor.link"),
            ("post: http://ntfy.sh/topic?title={drive}+{event}", Service::Post, "ntfy.sh"),
            ("get:https://hc-ping.com/x", Service::Get, "hc-ping.com"),
            ("https://eu.HC-ping.com/x", Service::Healthchecks, "eu.hc-ping.com"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.service, address.host()), (service, host), "{text}");
        }
        assert_eq!("file:/etc/x".parse(), Ok(Ping::File("/etc/x".into())));
    }

    #[test]
    fn what_is_no_address_is_told_without_being_shown() {
        for (text, error) in [
            ("", AddressError::NotUrl),
            ("secret", AddressError::NotUrl),
            ("ftp://secret.example/", AddressError::NotUrl),
            ("https:///secret", AddressError::NotUrl),
            ("get:hc-ping.com/secret", AddressError::NotUrl),
            ("https://hc-ping.com/a secret", AddressError::NotUrl),
            ("https://user:secret@hc-ping.com/x", AddressError::User),
            ("https://secret.example/x", AddressError::UnknownHost),
            ("https://nothc-ping.com/secret", AddressError::UnknownHost),
            ("file:secret", AddressError::RelativeFile),
        ] {
            let found = text.parse::<Ping>().unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(
                !format!("{found} {found:?}").contains("secret.") && !found.to_string().contains("hc-ping")
            );
        }
        let address: Ping = "https://hc-ping.com/secret".parse().unwrap();
        assert_eq!(format!("{address:?}"), "Here(Address(Healthchecks, at hc-ping.com))");
    }
}
