//! `stream`: streams in files. Neither a configuration nor root nor ZFS is needed to look at one.

use super::{Call, args, failure, print, request};
use crate::config::request::Format;
use crate::jobs;
use crate::report::{self, Loudness, Output};

/// Says it on standard output: for people one file after the other, as they are read.
pub(super) fn run(command: &args::StreamCommand, call: &Call<'_>) -> u8 {
    let args::StreamCommand::Verify { files } = command;
    let format = request::common(&call.global, &call.host, Vec::new()).format;
    let output = Output::detect(report::Format::Text, Loudness::Normal);
    let mut all = Vec::new();
    jobs::stream::verify(files, &mut |one| {
        if format == Format::Human {
            print(&(report::stream::line(&one).paint(output) + "\n"));
        }
        all.push(one);
    });
    match format {
        Format::Json => print(&report::stream::json(&all)),
        Format::Human => {
            if let Some(hint) = report::stream::hint(&all) {
                print(&(hint.paint(output) + "\n"));
            }
        }
    }
    if all.iter().all(|one| one.found.is_ok()) { failure::DONE } else { failure::INCOMPLETE }
}
