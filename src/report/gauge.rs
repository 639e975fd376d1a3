//! One bar as text, in any width. Pure.

use std::time::Duration;

use super::columns::{fit, width};
use super::text::{percent, roughly};
use crate::model::Bytes;

/// How far something is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauge<'a> {
    /// What it is about.
    pub(super) label: &'a str,
    /// Bytes so far.
    pub(super) sent: Bytes,
    /// Estimate of all bytes.
    pub(super) estimate: Bytes,
    /// Bytes in a second, lately.
    pub(super) rate: Bytes,
    /// Time left.
    pub(super) left: Option<Duration>,
}

const METER: usize = 20;

impl Gauge<'_> {
    /// The richest line that fits `columns`, exactly that wide.
    pub(super) fn render(&self, columns: usize) -> String {
        for (detail, label_wish) in self.details() {
            let label_wish = label_wish.min(width(self.label));
            if let Some(room) = columns.checked_sub(width(&detail) + 2).filter(|room| *room >= label_wish) {
                return format!("{}  {detail}", fit(self.label, room));
            }
        }
        fit(self.label, columns)
    }

    /// What stands to the right of the label, richest first, with the columns that the label should have beside it.
    /// Fields have fixed widths, so that a line does not change its form with every number.
    fn details(&self) -> [(String, usize); 5] {
        let Self { sent, estimate, rate, .. } = self;
        // ZFS has no estimate for what is smaller than it can tell: then there is nothing that it could be a part of.
        let (percent, of) = match percent(*sent, *estimate) {
            Some(percent) => (format!("{percent:>3} %"), format!("{sent:>8} of {estimate:>8}")),
            None => (" ".repeat(5), format!("{sent:>8}{:12}", "")),
        };
        let rate = format!("{:>10}", format!("{rate}/s"));
        let left = format!("{:>6}", self.left.map(roughly).unwrap_or_default());
        let left_word = if self.left.is_some() { " left" } else { "     " };
        [
            (format!("{} {percent}  {of}  {rate}  {left}{left_word}", self.meter()), 30),
            (format!("{percent}  {of}  {rate}  {left}{left_word}"), 20),
            (format!("{percent}  {rate}  {left}"), 10),
            (format!("{percent}  {left}"), 10),
            (percent, 6),
        ]
    }

    fn meter(&self) -> String {
        let full = percent(self.sent, self.estimate).map_or(0, |percent| percent as usize * METER / 100);
        format!("[{}{}]", "=".repeat(full), " ".repeat(METER.saturating_sub(full)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Gauge<'static> = Gauge {
        label: "backup/eds/home/pictures",
        sent: Bytes(312 << 20),
        estimate: Bytes(624 << 20),
        rate: Bytes(54 << 20),
        left: Some(Duration::from_secs(754)),
    };

    #[test]
    fn a_bar_says_as_much_as_its_width_allows() {
        let table = [
            (
                110,
                "backup/eds/home/pictures           [==========          ]  50 %   312 MiB of  624 MiB  54.0 MiB/s  12 min left",
            ),
            (79, "backup/eds/home/pictures    50 %   312 MiB of  624 MiB  54.0 MiB/s  12 min left"),
            (39, "..e/pictures   50 %  54.0 MiB/s  12 min"),
            (26, "../pictures   50 %  12 min"),
            (14, "..tures   50 %"),
            (6, "..ures"),
            (1, " "),
            (0, ""),
        ];
        for (columns, line) in table {
            let rendered = HALF.render(columns);
            assert_eq!(rendered.trim_end(), line.trim_end(), "{columns}");
        }
    }

    #[test]
    fn a_stream_without_an_estimate_has_no_part_of_it() {
        let gauge = Gauge { estimate: Bytes(0), left: None, ..HALF };
        let line = gauge.render(80);
        assert!(line.contains("312 MiB ") && !line.contains(" of ") && !line.contains('%'), "{line}");
    }

    #[test]
    fn a_bar_is_exactly_as_wide_as_asked_whatever_it_shows() {
        let gauges = [
            HALF,
            Gauge { label: "日本/ünïcode/データ", ..HALF },
            Gauge { sent: Bytes(0), rate: Bytes(0), left: None, ..HALF },
            Gauge { estimate: Bytes(0), ..HALF },
            Gauge { sent: Bytes(u64::MAX), rate: Bytes(u64::MAX), left: Some(Duration::MAX), ..HALF },
        ];
        for gauge in gauges {
            for columns in 0..200 {
                assert_eq!(width(&gauge.render(columns)), columns, "{gauge:?}");
            }
        }
    }
}
