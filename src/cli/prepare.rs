//! `init` and `adopt`: they work without a configuration, and one of them asks a person.

use std::io::{self, Write as _};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::failure::Failure;
use super::{Call, args, interruptible, work};
use crate::config::edit;
use crate::config::preparing::{AdoptRequest, InitRequest};
use crate::process::Cancel;

/// How often it is looked whether somebody pressed Ctrl-C instead of answering.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// No serial is longer.
const LONGEST: usize = 1024;

/// `init`
///
/// # Errors
/// When it was typed wrong, the configuration cannot be used, or there is no new drive.
pub fn init(typed: args::Init, call: &Call<'_>) -> Result<u8, Failure> {
    let pool = match typed.pool {
        Some(pool) => pool,
        None => typed.name.as_str().parse().map_err(|error| Failure::Usage {
            what: format!("the pool cannot be called as the drive: {error}"),
            hint: "another name for the pool, with --pool POOL".to_owned(),
        })?,
    };
    call.caller.require_root()?;
    let request = InitRequest {
        common: call.common(Vec::new()),
        drive: typed.name,
        device: typed.device,
        pool,
        wipe: typed.wipe,
        internal: typed.internal,
        rescue: !typed.no_rescue,
        luks: typed.luks,
        serial: typed.serial,
        compatibility: typed.compatibility,
        place: edit::place(&call.path, &call.host)?,
    };
    work::init(&request, interruptible()?)
}

/// `adopt`
///
/// # Errors
/// When it was typed wrong, the configuration cannot be used, or the pool cannot.
pub fn adopt(typed: args::Adopt, call: &Call<'_>) -> Result<u8, Failure> {
    call.caller.require_root()?;
    let request = AdoptRequest {
        common: call.common(Vec::new()),
        drive: typed.name,
        pool: typed.pool,
        internal: typed.internal,
        last_used_by: typed.last_used_by,
        place: edit::place(&call.path, &call.host)?,
    };
    work::adopt(&request, interruptible()?)
}

/// Asks on the terminal. Nothing: the person pressed Ctrl-C, or closed it.
///
/// # Errors
/// When the terminal cannot be read.
pub fn ask(question: &str, cancel: &Cancel) -> io::Result<Option<String>> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let input = rustix::stdio::stdin();
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < LONGEST {
        if cancel.is_requested() {
            return Ok(None);
        }
        let mut interest = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut interest, Some(&TICK)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Past the buffer of the standard library, in which a second line would be lost sight of.
        let mut bytes = [0_u8; 256];
        match rustix::io::read(input, &mut bytes) {
            Ok(0) => return Ok(None),
            Ok(count) => line.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()))
}
