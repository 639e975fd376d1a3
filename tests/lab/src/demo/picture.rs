//! What a terminal shows, as an SVG picture: its text stays text, which can be selected and found.

use std::num::NonZero;

use anstyle::{Ansi256Color, Color, RgbColor, Style};
use anstyle_svg::Term;
use vt100::{Cell, Parser, Screen};

/// More lines than a run prints.
const ROWS: NonZero<u16> = NonZero::new(200).unwrap();
/// As wide as fits beside the text of a page.
pub(super) const COLUMNS: NonZero<u16> = NonZero::new(100).unwrap();
/// A dark panel of its own, for light and dark pages alike.
const PAPER: Color = Color::Rgb(RgbColor(0x1e, 0x22, 0x2a));
const INK: Color = Color::Rgb(RgbColor(0xd7, 0xda, 0xe0));

/// The picture of commands, each with what it printed on a terminal, progress bars and all: what was there at its end.
pub(super) fn svg(commands: &[(String, Vec<u8>)]) -> String {
    let bold = Style::new().bold();
    let mut text = String::new();
    for (line, printed) in commands {
        text.push_str(&format!("{bold}$ {line}{bold:#}\n{}\n", shown(printed)));
    }
    let picture = Term::new().fg_color(INK).bg_color(PAPER).render_svg(text.trim_end());
    // Of two tones of grey, the darker one is not readable on this paper.
    picture.replace("#555555", "#9aa0a6")
}

/// What stands there when all was printed, with its colours and without the movements of the cursor.
fn shown(printed: &[u8]) -> String {
    let mut terminal = Parser::new(ROWS, COLUMNS, 0);
    terminal.process(printed);
    let lines: Vec<String> = (0..ROWS.get()).map(|row| line(terminal.screen(), row)).collect();
    let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines.into_iter().take(used).map(|line| line + "\n").collect()
}

fn line(screen: &Screen, row: u16) -> String {
    let cells: Vec<&Cell> = (0..COLUMNS.get()).filter_map(|column| screen.cell(row, column)).collect();
    let used = cells.iter().rposition(|cell| !cell.contents().trim().is_empty()).map_or(0, |last| last + 1);
    let mut text = String::new();
    let mut style = Style::new();
    for cell in cells.into_iter().take(used).filter(|cell| !cell.is_wide_continuation()) {
        let now = style_of(cell);
        if now != style {
            text.push_str(&format!("{style:#}{now}"));
            style = now;
        }
        text.push_str(if cell.has_contents() { cell.contents() } else { " " });
    }
    format!("{text}{style:#}")
}

fn style_of(cell: &Cell) -> Style {
    let colour = match cell.fgcolor() {
        vt100::Color::Default => None,
        vt100::Color::Idx(number) => Some(Color::Ansi256(Ansi256Color(number))),
        vt100::Color::Rgb(red, green, blue) => Some(Color::Rgb(RgbColor(red, green, blue))),
    };
    let style = Style::new().fg_color(colour);
    let style = if cell.bold() { style.bold() } else { style };
    if cell.dim() { style.dimmed() } else { style }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_overwritten_is_not_shown_and_text_stays_text() {
        let printed = b"10 %\r\x1b[2K\x1b[32mSent <1> MiB\x1b[0m  in 2 s\r\n\r\nSafe to unplug t7.\r\n";
        let text = shown(printed);
        assert_eq!(text, "\x1b[38;5;2mSent <1> MiB\x1b[0m  in 2 s\n\nSafe to unplug t7.\n");
        let picture = svg(&[("zferry run t7".to_owned(), printed.to_vec())]);
        for words in ["$ zferry run t7", "Sent &lt;1&gt; MiB", "Safe to unplug t7."] {
            assert!(picture.contains(words), "{words}\n{picture}");
        }
        assert!(!picture.contains("10 %") && !picture.contains('\x1b'), "{picture}");
        assert_eq!(picture, svg(&[("zferry run t7".to_owned(), printed.to_vec())]), "it is always the same");
    }
}
