//! What the user typed, and how it ended: arguments to requests, errors to headings, hints and exit codes.
//!
//! The order of the checks is that of the user's attention: what was typed, then the configuration, then root, then
//! ZFS, then the drive.

pub mod args;
mod ask;
mod awake;
mod check;
mod complete;
mod config_command;
mod diff;
pub mod failure;
mod files;
mod logging;
mod notify;
mod pausing;
mod prepare;
mod request;
mod rescue_page;
mod signals;
mod stream;
mod triggered;
mod work;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};
use failure::Failure;

use crate::config::request::{Common, Verbosity};
use crate::config::{self, ConfigError, ReadError, Settings};
use crate::process::{Cancel, quoted};

/// The program.
pub fn main() -> ExitCode {
    complete::answer_the_shell();
    ExitCode::from(run(std::env::args_os().collect()))
}

/// Runs one command line, program name first, and gives its exit code.
pub fn run(typed: Vec<OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(&typed) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too. When nobody reads them, nothing is lost.
            let _ = error.print();
            return if error.use_stderr() { failure::USAGE } else { failure::DONE };
        }
    };
    logging::start(Verbosity::from(&arguments.global));
    match dispatch(arguments, &typed) {
        Ok(code) => code,
        Err(failure) => {
            failure.tell();
            failure.code()
        }
    }
}

fn dispatch(arguments: Arguments, typed: &[OsString]) -> Result<u8, Failure> {
    let Arguments { global, command } = arguments;
    let path = global.config.clone().unwrap_or_else(|| PathBuf::from(config::DEFAULT_PATH));
    let call = Call { global, path, host: host(), caller: Caller::this(typed) };
    match command {
        Command::Config { command } => {
            config_command::run(command, &call.path, &call.common(Vec::new()))?;
            Ok(failure::DONE)
        }
        Command::Completions { shell } => {
            print(&complete::script(&shell)?);
            Ok(failure::DONE)
        }
        Command::Stream { command } => stream::run(command, &call),
        Command::Man { directory } => {
            complete::manual(&directory)?;
            Ok(failure::DONE)
        }
        Command::Run(args::Run { pool_guid: Some(appeared), .. }) => triggered::run(&appeared, &call),
        Command::Run(run) if run.dry_run => {
            let typed = args::Plan {
                which: run.which,
                accept_source_loss: run.consent.accept_source_loss,
                rollback_target: run.consent.rollback_target,
            };
            call.as_root(|settings, common| request::plan(typed, settings, common), work::plan)
        }
        Command::Plan(typed) => {
            call.as_root(|settings, common| request::plan(typed, settings, common), work::plan)
        }
        Command::Run(typed) => {
            let (settings, common) = call.configured(Root::Needed)?;
            let request = request::run(typed, settings, common)?;
            let cancel = interruptible()?;
            match call.caller.require_root() {
                Ok(()) => work::run_or_attach(&request, cancel),
                // One that goes on may be looked at by everybody.
                Err(not_root) => work::attach_only(&request, &cancel).unwrap_or(Err(not_root)),
            }
        }
        Command::Replicate(typed) => {
            let request = request::replicate(typed, call.common(Vec::new()))?;
            call.caller.require_root()?;
            work::replicate(&request, interruptible()?)
        }
        Command::Status(typed) => {
            let (settings, common) = call.configured(Root::NotNeeded)?;
            work::status(&request::status(&typed, settings, common)?, interruptible()?)
        }
        Command::Check(typed) => check::run(typed, &call),
        Command::Verify(typed) => {
            call.as_root(|settings, common| request::verify(&typed, settings, common), work::verify)
        }
        Command::List(typed) => {
            call.as_root(|settings, common| request::list(typed, settings, common), work::list)
        }
        Command::Diff(typed) => {
            call.as_root(|settings, common| diff::request(typed, settings, common), diff::diff)
        }
        Command::Log(typed) => {
            let (settings, common) = call.configured(Root::NotNeeded)?;
            let typed = args::Status { drives: typed.drive.into_iter().collect() };
            work::log(&request::status(&typed, settings, common)?)
        }
        Command::Doctor(typed) => {
            call.as_root(|settings, common| request::doctor(&typed, settings, common), work::doctor)
        }
        Command::Open(typed) => {
            call.as_root(|settings, common| files::open_request(&typed, settings, common), files::open)
        }
        Command::Close(typed) => {
            call.as_root(|settings, common| files::close_request(&typed, settings, common), files::close)
        }
        Command::Pause(typed) => {
            call.as_root(|settings, common| pausing::request(&typed, settings, common), pausing::pause)
        }
        Command::Resume(typed) => {
            call.as_root(|settings, common| pausing::request(&typed, settings, common), pausing::resume)
        }
        Command::Rehearse(typed) => call
            .as_root(|settings, common| files::rehearse_request(&typed, settings, common), files::rehearse),
        Command::Restore(typed) if typed.into.is_none() => {
            call.as_root(|settings, common| files::restore_request(typed, settings, common), files::restore)
        }
        Command::Restore(typed) => {
            call.as_root(|settings, common| request::restore(typed, settings, common), work::restore)
        }
        Command::RescuePage(typed) => call
            .as_root(|settings, common| rescue_page::request(&typed, settings, common), rescue_page::print),
        Command::Notify => notify::run(&call),
        Command::Init(typed) => prepare::init(typed, &call),
        Command::Adopt(typed) => prepare::adopt(typed, &call),
        Command::Eject(typed) => {
            call.as_root(|settings, common| request::eject(&typed, settings, common), work::eject)
        }
    }
}

/// One call of the program: what every command is given.
struct Call<'a> {
    global: args::Global,
    path: PathBuf,
    host: String,
    caller: Caller<'a>,
}

impl Call<'_> {
    fn common(&self, warnings: Vec<String>) -> Common {
        request::common(&self.global, &self.host, warnings)
    }

    /// The configuration, with what it gives every request.
    fn configured(&self, root: Root) -> Result<(Settings, Common), Failure> {
        let (settings, common) = self.configured_at_all(root)?;
        if settings.drives.is_empty() {
            return Err(ConfigError::Without { file: settings.file, what: "drive" }.into());
        }
        Ok((settings, common))
    }

    /// The same where there need not be a drive in it.
    fn configured_at_all(&self, root: Root) -> Result<(Settings, Common), Failure> {
        let settings = settings(&self.path, &self.host, root, &self.caller)?;
        let common = self.common(settings.warnings.clone());
        Ok((settings, common))
    }

    /// The configuration, for what needs no drive.
    fn streams(&self) -> Result<Settings, Failure> {
        let settings = settings(&self.path, &self.host, Root::NotNeeded, &self.caller)?;
        if settings.streams.is_empty() {
            return Err(ConfigError::Without { file: settings.file, what: "stream" }.into());
        }
        Ok(settings)
    }

    /// Work that needs the configuration and root. What was typed wrong is told before who may not type it.
    fn as_root<R>(
        &self,
        ask: impl FnOnce(Settings, Common) -> Result<R, Failure>,
        work: impl FnOnce(&R, Cancel) -> Result<u8, Failure>,
    ) -> Result<u8, Failure> {
        let (settings, common) = self.configured(Root::Needed)?;
        let request = ask(settings, common)?;
        self.caller.require_root()?;
        work(&request, interruptible()?)
    }
}

/// From here on a signal asks the job to stop instead of ending the process.
fn interruptible() -> Result<Cancel, Failure> {
    let cancel = Cancel::new();
    signals::watch(&cancel)
        .map_err(|error| Failure::Internal(anyhow::Error::new(error).context("signals cannot be watched")))?;
    Ok(cancel)
}

/// Whether a command can do anything without root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Needed,
    NotNeeded,
}

/// Who calls, and how.
struct Caller<'a> {
    typed: &'a [OsString],
    is_root: bool,
}

impl<'a> Caller<'a> {
    fn this(typed: &'a [OsString]) -> Self {
        Self { typed, is_root: rustix::process::geteuid().is_root() }
    }

    /// The program does not elevate itself; it says what to type.
    fn require_root(&self) -> Result<(), Failure> {
        if self.is_root { Ok(()) } else { Err(self.not_root()) }
    }

    fn not_root(&self) -> Failure {
        Failure::NotRoot { command: elevated(self.typed, std::env::var_os("ZFERRY_CONFIG")) }
    }
}

/// The same command line behind sudo, which forgets the environment.
fn elevated(typed: &[OsString], config: Option<OsString>) -> String {
    let mut words = vec!["sudo".to_owned(), "zferry".to_owned()];
    let says_config = |word: &OsString| word.to_string_lossy().starts_with("--config");
    if let Some(path) = config.filter(|_| !typed.iter().any(says_config)) {
        words.extend(["--config".to_owned(), quoted(&path.to_string_lossy())]);
    }
    words.extend(typed.iter().skip(1).map(|word| quoted(&word.to_string_lossy())));
    words.join(" ")
}

fn settings(path: &Path, host: &str, root: Root, caller: &Caller<'_>) -> Result<Settings, Failure> {
    config::load(path, host).map_err(|error| match error {
        // A configuration that only root may read is no mistake of the user's.
        ConfigError::Read(ReadError::Denied(_)) if root == Root::Needed && !caller.is_root => {
            caller.not_root()
        }
        error => error.into(),
    })
}

/// This machine's name, as ZFS writes it into labels.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Prints a result. A reader who went away is no error: the exit code tells the rest.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_type_is_quoted_and_keeps_the_configuration() {
        let words = |line: &[&str]| line.iter().map(OsString::from).collect::<Vec<_>>();
        for (typed, config, expected) in [
            (&["zferry", "run", "t7"][..], None, "sudo zferry run t7"),
            (&["./zferry", "replicate", "a/b c", "d/e"], None, "sudo zferry replicate 'a/b c' d/e"),
            (&["zferry", "run"], Some("my.toml"), "sudo zferry --config my.toml run"),
            (&["zferry", "--config=a", "run"], Some("my.toml"), "sudo zferry --config=a run"),
        ] {
            assert_eq!(elevated(&words(typed), config.map(OsString::from)), expected);
        }
    }
}
