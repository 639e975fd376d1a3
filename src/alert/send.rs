//! Sends a request to a monitor, with limits for everything. The only place that speaks to the network.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags};
use ureq::config::{Config, RedirectAuthHeaders};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use super::request::Request;
use crate::model::{Address, AddressError, Ping};

/// The longest that one try may take, from the look-up of the name to the last byte of the answer.
const TRY: Duration = Duration::from_secs(8);
/// The longest that all tries at the end of a run may take, with the pauses between them.
const AT_THE_END: Duration = Duration::from_secs(18);
/// Pauses between tries. A computer that has just woken up may need the later ones.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(30)];
/// How often somebody who waits looks whether there is still a reason to.
const TICK: Duration = Duration::from_millis(100);
/// More than this in a file is not an address.
const LARGEST_FILE: u64 = 4096;

/// Why nothing was sent. None of these has the address in it.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// The file with the address.
    #[error("{path} cannot be read: {why}")]
    File {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// What stands in it.
    #[error("what stands in {path} {source}")]
    Address {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// The monitor answered with this status.
    #[error("{host} answers with status {status}{}", if (300..400).contains(status) { ", a redirection, which is not followed" } else { "" })]
    Status {
        /// Its host.
        host: String,
        /// The status.
        status: u16,
    },
    /// There was no answer.
    #[error("{host}: {why}")]
    Failed {
        /// Its host.
        host: String,
        /// Why.
        why: String,
    },
}

impl NotSent {
    /// Whether another try may go better: what is asked wrongly is asked wrongly again.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Failed { .. } => true,
            Self::File { .. } | Self::Address { .. } => false,
        }
    }
}

/// The address that a `ping` leads to, with whatever is dangerous about where it stands.
///
/// # Errors
/// When the file cannot be read, or no address stands in it.
pub fn address(ping: &Ping) -> Result<(Address, Option<String>), NotSent> {
    let path = match ping {
        Ping::Here(address) => return Ok((address.clone(), None)),
        Ping::File(path) => path,
    };
    let shown = path.display().to_string();
    let (text, mode) =
        read(path).map_err(|why| NotSent::File { path: shown.clone(), why: why.to_string() })?;
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let address = first.parse().map_err(|source| NotSent::Address { path: shown.clone(), source })?;
    let others = mode.contains(Mode::ROTH);
    Ok((address, others.then(|| format!("others may read {shown}, which is a secret: chmod 600 '{shown}'"))))
}

fn read(path: &Path) -> std::io::Result<(String, Mode)> {
    // Without NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&opened)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    File::from(opened).take(LARGEST_FILE).read_to_string(&mut text)?;
    Ok((text, Mode::from_raw_mode(stat.st_mode)))
}

/// How much time there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// A run goes on meanwhile.
    Little,
    /// Somebody waits for the last line.
    Some,
}

/// Sends it, more than once if need be. Gives up early when `ending` becomes true and there was time before.
///
/// # Errors
/// Why the last try failed.
pub fn send(host: &str, request: &Request, haste: Haste, ending: &AtomicBool) -> Result<(), NotSent> {
    let agent = agent();
    let started = Instant::now();
    let left = || match haste {
        Haste::Little => TRY,
        Haste::Some => AT_THE_END.saturating_sub(started.elapsed()).min(TRY),
    };
    let hurry = || haste == Haste::Little && ending.load(Ordering::Relaxed);
    let mut result = once(&agent, host, request, left());
    for pause in PAUSES {
        match &result {
            Err(error) if error.may_pass() && !hurry() => log::debug!("{error}; tried again in {pause:?}"),
            _ => return result,
        }
        if left() < TRY && left() <= pause {
            return result;
        }
        let until = Instant::now() + pause;
        while Instant::now() < until && !hurry() {
            std::thread::sleep(TICK);
        }
        result = once(&agent, host, request, left());
    }
    result
}

fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    Config::builder()
        .tls_config(tls)
        .http_status_as_error(false)
        // Where it leads to would be told a secret, and might be anything.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .redirect_auth_headers(RedirectAuthHeaders::Never)
        .user_agent(concat!("zferry/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

fn once(agent: &Agent, host: &str, request: &Request, within: Duration) -> Result<(), NotSent> {
    let answer = match &request.body {
        Some(body) => {
            let post = agent.post(&request.url).config().timeout_global(Some(within)).build();
            post.content_type("text/plain; charset=utf-8").send(body)
        }
        None => agent.get(&request.url).config().timeout_global(Some(within)).build().call(),
    };
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(NotSent::Status { host: host.to_owned(), status: answer.status().as_u16() }),
        Err(error) => Err(NotSent::Failed { host: host.to_owned(), why: why(&error) }),
    }
}

/// In words of our own: those of the library may have the address in them.
fn why(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "there was no answer in time".to_owned(),
        Error::HostNotFound => "no such host is known".to_owned(),
        Error::ConnectionFailed => "there is no connection".to_owned(),
        Error::Io(error) => error.kind().to_string(),
        Error::Rustls(error) => format!("no safe connection ({error})"),
        Error::Tls(what) => format!("no safe connection ({what})"),
        Error::Protocol(_) => "the answer is not one of a web server".to_owned(),
        Error::StatusCode(status) => format!("status {status}"),
        _ => "the request cannot be made".to_owned(),
    }
}

#[cfg(test)]
mod tests;
