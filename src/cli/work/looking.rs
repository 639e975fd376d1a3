//! `list` and `log`: results on standard output.

use crate::config::request::{Format, ListRequest, StatusRequest};
use crate::event::{Event, Sink as _};
use crate::execute::chain;
use crate::jobs;
use crate::process::Cancel;
use crate::report::{self, Line, Loudness, Output};

use super::{Failure, World, failure, worst};

/// `list`
pub fn list(request: &ListRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let results = jobs::list::list(request, &world.environment());
    drop(world);
    let mut seen = Vec::new();
    let mut ended = Vec::new();
    for result in results {
        match result {
            Ok((drive, summary)) => {
                seen.push(drive);
                ended.extend(summary.map(Ok));
            }
            Err(error) => ended.push(Err(error)),
        }
    }
    if !seen.is_empty() {
        tell(request.common.format, &report::list::table(&seen), || report::list::json(&seen))?;
    }
    worst(ended, &cancel)
}

/// `log`
pub fn log(request: &StatusRequest) -> Result<u8, Failure> {
    let world = World::new(&request.common, Cancel::new());
    let mut drives = Vec::new();
    for drive in &request.drives {
        let loaded = world.store.load(drive.name.as_str(), drive.guid);
        if let Some(warning) = loaded.warning {
            world.reporter.event(Event::Warning { text: format!("{}.", chain(&warning)) });
        }
        drives.push(report::log::DriveLog { name: drive.name.to_string(), runs: loaded.state.runs });
    }
    let zone = world.zone.clone();
    drop(world);
    tell(request.common.format, &report::log::table(&drives, &zone), || report::log::json(&drives))?;
    Ok(failure::DONE)
}

fn tell(
    format: Format,
    lines: &[Line],
    json: impl FnOnce() -> serde_json::Result<String>,
) -> Result<(), Failure> {
    let output = Output::detect(report::Format::Text, Loudness::Normal);
    super::super::print(&match format {
        Format::Human => lines.iter().map(|line| line.paint(output) + "\n").collect::<String>(),
        Format::Json => json().map_err(|error| Failure::Internal(error.into()))? + "\n",
    });
    Ok(())
}
