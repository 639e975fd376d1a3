//! Events to people's eyes and to machines: bars, lines, journal, JSON, and the last line that tells the truth.
//!
//! | file | holds |
//! |---|---|
//! | [`text`] | pure: an event to sentences |
//! | [`summary`] | pure: the last lines of a drive |
//! | `output` | where to tell and how much |
//! | `line` | a sentence with its meaning, painted for a terminal, a pipe or the journal |
//! | `bars`, `gauge`, `columns` | a terminal: bars below, sentences above; `gauge` fits one bar into any width |
//! | `lines` | everything that is not a terminal, and `-q` |
//! | `pace` | how often progress is written down |
//! | `json` | `--json`: one object per line on stdout |
//! | `paper`, `terminal` | writing that cannot end a run, whatever becomes of the reader |
//! | `relay` | a thread of its own, so that a stopped terminal (Ctrl-S) cannot stop a run |
//! | [`status`] | pure: the table of `zferry status` |
//! | `unit` | one line for `systemctl status`, beside the others |

mod bars;
mod columns;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod files;
mod gauge;
mod json;
mod line;
mod lines;
pub mod list;
pub mod log;
mod output;
mod pace;
mod paper;
pub mod plan;
mod relay;
pub mod shelves;
pub mod status;
pub mod stream;
pub mod summary;
mod terminal;
pub mod text;
mod unit;

pub use line::{Line, Tone};
pub use output::{Channel, Colour, Format, Loudness, Output};
pub use pace::Pace;
pub use relay::Reporter;
pub use unit::Progress;

use std::time::Instant;

use crate::event::Event;

/// Somebody who tells. Lives on the reporting thread, hence `&mut self`; time comes in so that tests own it.
trait Voice: Send {
    /// Tells one event.
    fn event(&mut self, event: &Event, now: Instant);

    /// A moment passed: what shows time goes on.
    fn tick(&mut self, _now: Instant) {}
}

/// Starts the reporter for `output`. Hand it to the engine as a [`crate::event::Sink`]; drop it before anything else
/// is printed: dropping waits until everything was told.
pub fn reporter(output: Output) -> Reporter {
    Reporter::start(output)
}

/// The voice for `output`.
fn voice(output: Output) -> Box<dyn Voice> {
    let lines = || lines::Lines::new(paper::Paper::new(std::io::stderr()), output);
    let voice: Box<dyn Voice> = match output.format {
        Format::Json => Box::new(json::Json::new(paper::Paper::new(std::io::stdout()), lines())),
        Format::Text if output.draws_bars() => {
            Box::new(bars::Bars::new(terminal::Terminal::stderr(), output))
        }
        Format::Text => Box::new(lines()),
    };
    unit::Status::beside(voice)
}

#[cfg(test)]
pub(crate) mod fixtures;
