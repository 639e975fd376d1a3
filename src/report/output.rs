//! Where to tell and how much.

use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;

use anstream::ColorChoice;

/// What machines get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Nothing: stdout stays empty.
    #[default]
    Text,
    /// `--json`: events on stdout; people's text stays on stderr.
    Json,
}

/// How much people get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loudness {
    /// `-q`: warnings, refusals, failures and the last line.
    Quiet,
    /// Everything.
    #[default]
    Normal,
}

/// What stderr is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A terminal on which a cursor can be moved.
    Terminal,
    /// The systemd journal: `<N>` priorities; it has its own colours and times.
    Journal,
    /// A pipe, a file, a terminal that knows no cursor.
    Plain,
}

/// Whether colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Text only.
    Never,
    /// ANSI colours.
    Ansi,
}

/// Where to tell and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// What machines get.
    pub format: Format,
    /// How much people get.
    pub loudness: Loudness,
    /// What stderr is.
    pub channel: Channel,
    /// Whether colours are written to it.
    pub colour: Colour,
}

impl Output {
    /// Looks at stderr and at the environment (`JOURNAL_STREAM`, `TERM`, `NO_COLOR`, `CLICOLOR_FORCE`).
    pub fn detect(format: Format, loudness: Loudness) -> Self {
        let stderr = std::io::stderr();
        let channel = if stderr_is_journal() {
            Channel::Journal
        } else if stderr.is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb") {
            Channel::Terminal
        } else {
            Channel::Plain
        };
        let colour = match anstream::AutoStream::choice(&stderr) {
            _ if channel == Channel::Journal => Colour::Never,
            ColorChoice::Never => Colour::Never,
            ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => Colour::Ansi,
        };
        Self { format, loudness, channel, colour }
    }

    /// Bars need a cursor, somebody who wants to see them, and a screen that is not shared with JSON.
    pub(super) fn draws_bars(self) -> bool {
        self.format == Format::Text && self.loudness == Loudness::Normal && self.channel == Channel::Terminal
    }
}

/// systemd sets `JOURNAL_STREAM=device:inode`. A child of a service inherits the variable also when its own stderr
/// goes elsewhere, hence the comparison (systemd.exec(5)).
fn stderr_is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(rustix::stdio::stderr()) else { return false };
    stream.as_bytes() == format!("{}:{}", stat.st_dev, stat.st_ino).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_drawn_on_a_terminal_only_and_not_beside_json_or_when_quiet() {
        let table = [
            (Format::Text, Loudness::Normal, Channel::Terminal, true),
            (Format::Json, Loudness::Normal, Channel::Terminal, false),
            (Format::Text, Loudness::Quiet, Channel::Terminal, false),
            (Format::Text, Loudness::Normal, Channel::Journal, false),
            (Format::Text, Loudness::Normal, Channel::Plain, false),
        ];
        for (format, loudness, channel, bars) in table {
            let output = Output { format, loudness, channel, colour: Colour::Never };
            assert_eq!(output.draws_bars(), bars, "{output:?}");
        }
    }
}
