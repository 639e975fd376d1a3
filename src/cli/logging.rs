//! Log lines on standard error: for a person, or with priorities for the journal.

use std::io::Write as _;

use env_logger::{Builder, Logger, Target, TimestampPrecision};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::request::Verbosity;

/// Starts logging. `-v` and `-q` win over `$RUST_LOG`. Calling it again changes nothing.
pub fn start(verbosity: Verbosity) {
    let mut builder = Builder::new();
    builder.target(Target::Stderr);
    match verbosity {
        Verbosity::Normal => builder.filter_level(LevelFilter::Warn).parse_default_env(),
        Verbosity::Quiet => builder.filter_level(LevelFilter::Error),
        Verbosity::Verbose => builder.filter_level(LevelFilter::Debug),
        Verbosity::Debug => builder.filter_level(LevelFilter::Trace),
    };
    if is_journal() {
        builder.format(|out, record| {
            let message = format!("{}", record.args());
            // The journal takes a priority per line, not per message.
            message.lines().try_for_each(|line| writeln!(out, "<{}>{line}", priority(record.level())))
        });
    } else {
        builder.format_target(false).format_timestamp(Some(TimestampPrecision::Millis));
    }
    let logger = Discreet(builder.build());
    let most = logger.0.filter();
    // It fails only when logging was started before, which tests do.
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(most);
    }
}

/// Leaves out what speaks to monitors on the network: it logs their addresses, which are secrets (S17).
struct Discreet(Logger);

impl Log for Discreet {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let talks = ["ureq", "rustls"].iter().any(|name| metadata.target().starts_with(name));
        !talks && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Whether standard error goes to the journal. That the variable is set is not enough, since children inherit it
/// (systemd.exec(5)): device and inode have to be those of our own descriptor.
pub fn is_journal() -> bool {
    let Some(announced) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(rustix::stdio::stderr()) else { return false };
    announced.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The number that sd-daemon(3) knows.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
