//! One sentence with its meaning, and how it looks on a terminal, in a pipe and in the journal.

use anstyle::{AnsiColor, Style};

use super::output::{Channel, Colour, Output};

/// What a line means. Colours and journal priorities come from this, never from the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It goes on as it should.
    Plain,
    /// Belongs to the line above.
    Detail,
    /// Safe: the drive may be unplugged.
    Safe,
    /// The user should know.
    Warning,
    /// Something was not done, or the drive must not be unplugged.
    Danger,
}

/// One line of text for people, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it means.
    pub tone: Tone,
    /// The text: one line, nothing in it that a terminal would obey.
    pub text: String,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain | Self::Detail => Style::new(),
            Self::Safe => AnsiColor::Green.on_default().bold(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Danger => AnsiColor::Red.on_default().bold(),
        }
    }

    /// The priority of syslog(3): 3 error, 4 warning, 5 notice, 6 information.
    fn priority(self) -> u8 {
        match self {
            Self::Plain | Self::Detail => 6,
            Self::Safe => 5,
            Self::Warning => 4,
            Self::Danger => 3,
        }
    }
}

impl Line {
    /// A line. What a terminal would obey is replaced: device names and error texts are written by others.
    pub fn new(tone: Tone, text: &str) -> Self {
        Self { tone, text: text.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect() }
    }

    /// A text of one or more lines: what follows the first is indented below it, with the same meaning.
    pub fn paragraph(tone: Tone, text: &str) -> Vec<Self> {
        let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let first = Self::new(tone, lines.next().unwrap_or_default());
        std::iter::once(first).chain(lines.map(|line| Self::new(tone, &format!("  {line}")))).collect()
    }

    /// As it is written to `output`, without the end of the line.
    pub fn paint(&self, output: Output) -> String {
        let Self { tone, text } = self;
        match (output.channel, output.colour) {
            (Channel::Journal, _) => format!("<{}>{text}", tone.priority()),
            (_, Colour::Never) => text.clone(),
            (_, Colour::Ansi) => {
                let style = tone.style();
                format!("{style}{text}{style:#}")
            }
        }
    }
}

/// Control characters, and those that reorder the text around them ("Trojan Source").
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::output::{Format, Loudness};

    fn output(channel: Channel, colour: Colour) -> Output {
        Output { format: Format::Text, loudness: Loudness::Normal, channel, colour }
    }

    #[test]
    fn a_line_is_painted_for_where_it_goes() {
        let table = [
            (Tone::Plain, Channel::Terminal, Colour::Ansi, "x"),
            (Tone::Safe, Channel::Terminal, Colour::Ansi, "\x1b[1m\x1b[32mx\x1b[0m"),
            (Tone::Danger, Channel::Plain, Colour::Ansi, "\x1b[1m\x1b[31mx\x1b[0m"),
            (Tone::Danger, Channel::Terminal, Colour::Never, "x"),
            (Tone::Plain, Channel::Journal, Colour::Never, "<6>x"),
            (Tone::Safe, Channel::Journal, Colour::Never, "<5>x"),
            (Tone::Warning, Channel::Journal, Colour::Never, "<4>x"),
            (Tone::Danger, Channel::Journal, Colour::Ansi, "<3>x"),
        ];
        for (tone, channel, colour, painted) in table {
            assert_eq!(Line::new(tone, "x").paint(output(channel, colour)), painted, "{tone:?} {channel:?}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_passed_on() {
        let table = [
            ("Samsung \x1b[2J\rT7", "Samsung \u{fffd}[2J\u{fffd}T7"),
            ("a\u{202e}b\u{9b}c", "a\u{fffd}b\u{fffd}c"),
            ("“ünïcode”, 日本", "“ünïcode”, 日本"),
        ];
        for (given, shown) in table {
            assert_eq!(Line::new(Tone::Plain, given).text, shown);
        }
    }

    #[test]
    fn a_text_of_several_lines_is_indented_below_its_first() {
        let texts = |text: &str| -> Vec<String> {
            Line::paragraph(Tone::Warning, text).into_iter().map(|line| line.text).collect()
        };
        assert_eq!(texts("one"), ["one"]);
        assert_eq!(texts("one\n\ntwo  \nthree\n"), ["one", "  two", "  three"]);
        assert_eq!(texts(""), [""]);
    }
}
