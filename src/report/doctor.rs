//! What `zferry doctor` prints. Pure.

use serde::Serialize;

use super::{Line, Tone};
use crate::plan::doctor::Finding;
use crate::report::text::count;

/// The version of the JSON object.
const VERSION: u32 = 1;

/// What a checkup came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkup {
    /// What should be otherwise.
    pub findings: Vec<Finding>,
    /// What could be otherwise, and makes no run fail.
    pub hints: Vec<Finding>,
    /// The drives that were not looked at, since they are not connected.
    pub away: Vec<String>,
}

/// One paragraph for each finding, with what mends it below.
pub fn lines(checkup: &Checkup) -> Vec<Line> {
    let mut lines = Vec::new();
    for Finding { about, what, remedies } in &checkup.findings {
        lines.push(Line::new(Tone::Warning, &format!("{about}: {what}")));
        lines.extend(remedies.iter().map(|remedy| Line::new(Tone::Detail, &format!("  try: {remedy}"))));
    }
    for Finding { about, what, remedies } in &checkup.hints {
        lines.push(Line::new(Tone::Plain, &format!("Hint, {about}: {what}")));
        lines.extend(remedies.iter().map(|remedy| Line::new(Tone::Detail, &format!("  try: {remedy}"))));
    }
    if !checkup.away.is_empty() {
        let names = checkup.away.join(", ");
        lines.push(Line::new(Tone::Plain, &format!("Not connected, and so not looked at: {names}.")));
    }
    lines.push(match checkup.findings.len() {
        0 => Line::new(Tone::Safe, "Nothing was found that would make the next run fail."),
        found => Line::new(Tone::Warning, &format!("{}.", count(found, "finding"))),
    });
    lines
}

#[derive(Serialize)]
struct Told<'a> {
    v: u32,
    findings: &'a [Finding],
    hints: &'a [Finding],
    #[serde(rename = "not-connected")]
    away: &'a [String],
}

/// The same for machines.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn json(checkup: &Checkup) -> Result<String, serde_json::Error> {
    let Checkup { findings, hints, away } = checkup;
    serde_json::to_string(&Told { v: VERSION, findings, hints, away })
}
