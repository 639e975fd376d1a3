//! `diff`: from what was typed to what is printed.

use super::failure::Failure;
use super::files::bad_path;
use super::{args, request, work};
use crate::config::Settings;
use crate::config::request::{Common, Format};
use crate::jobs::diff::{self, DiffRequest};
use crate::plan::files::SnapPath;
use crate::process::Cancel;
use crate::report;

/// What `diff` is to do.
///
/// # Errors
/// When the drive or the backup is not configured, a bookmark is named, or a path is none within a backup.
pub fn request(typed: args::Diff, settings: Settings, common: Common) -> Result<DiffRequest, Failure> {
    let drive = request::one(&typed.drive, std::slice::from_ref(&typed.backup), settings)?;
    if let Some(bookmark) = typed.from.iter().chain(&typed.to).find(|name| name.starts_with('#')) {
        return Err(Failure::Usage {
            what: format!("{bookmark} is a bookmark, and has no files to compare with"),
            hint: "a snapshot, a day or a time".to_owned(),
        });
    }
    let paths: Result<Vec<SnapPath>, _> = typed.paths.iter().map(|path| SnapPath::new(path)).collect();
    let retry = format!("{} diff {} {}", common.command, drive.name, typed.backup);
    Ok(DiffRequest { common, drive, from: typed.from, to: typed.to, paths: paths.map_err(bad_path)?, retry })
}

/// `diff`
pub fn diff(request: &DiffRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let results = diff::diff(request, &world.environment());
    drop(world);
    let results = results.map_err(|error| work::failure_of(error, &cancel))?;
    let (mut compared, mut ended) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => compared.push(one),
            Err(error) => ended.push(Err(error)),
        }
    }
    if !compared.is_empty() {
        let drive = request.drive.name.as_str();
        let backup = request.drive.backups.first().map(|backup| backup.name.as_str()).unwrap_or_default();
        super::print(&match request.common.format {
            Format::Human => report::diff::text(drive, &compared),
            Format::Json => report::diff::json(drive, backup, &compared),
        });
    }
    work::worst(ended, &cancel)
}
