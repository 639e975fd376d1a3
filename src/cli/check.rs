//! `check`: which drives were not backed up to for too long.

use serde_json::json;

use super::failure::{self, Failure};
use super::work::World;
use super::{Call, Root, args, interruptible, print, request};
use crate::config::request::Format;
use crate::jobs::overdue::{Alerting, check};
use crate::report::{self, Line, Loudness, Output, Tone};

/// Says it on standard output. Who is not root only reads.
pub(super) fn run(typed: args::Check, call: &Call<'_>) -> Result<u8, Failure> {
    let (settings, common) = call.configured_at_all(Root::NotNeeded)?;
    let request = request::status(&args::Status { drives: typed.drives }, settings, common)?;
    let alerting = if call.caller.is_root { Alerting::Yes } else { Alerting::No };
    let world = World::new(&request.common, interruptible()?);
    let checked = check(&request, alerting, &world.environment());
    drop(world);
    match request.common.format {
        Format::Json => print(&format!("{}\n", json!({"v": 1, "drives": checked}))),
        Format::Human => {
            let output = Output::detect(report::Format::Text, Loudness::Normal);
            let mut lines: Vec<Line> = checked
                .iter()
                .map(|one| Line::new(if one.overdue { Tone::Danger } else { Tone::Plain }, &one.text))
                .collect();
            if lines.is_empty() {
                lines.push(Line::new(Tone::Plain, "`warn-after` is written for none of these drives."));
            }
            print(&lines.iter().map(|line| line.paint(output) + "\n").collect::<String>());
        }
    }
    let overdue = checked.iter().any(|one| one.overdue);
    Ok(if overdue { failure::INCOMPLETE } else { failure::DONE })
}
