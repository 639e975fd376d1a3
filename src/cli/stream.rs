//! `stream`: streams in files. Neither a configuration nor root nor ZFS is needed to look at one.

use super::{Call, args, failure, print, request};
use crate::config::request::Format;
use crate::jobs;
use crate::report::{self, Loudness, Output};

/// Says it on standard output.
pub(super) fn run(command: &args::StreamCommand, call: &Call<'_>) -> u8 {
    let args::StreamCommand::Verify { files } = command;
    let checked = jobs::stream::verify(files);
    match request::common(&call.global, &call.host, Vec::new()).format {
        Format::Json => print(&report::stream::json(&checked)),
        Format::Human => {
            let output = Output::detect(report::Format::Text, Loudness::Normal);
            let lines = report::stream::lines(&checked);
            print(&lines.iter().map(|line| line.paint(output) + "\n").collect::<String>());
        }
    }
    if checked.iter().all(|one| one.found.is_ok()) { failure::DONE } else { failure::INCOMPLETE }
}
