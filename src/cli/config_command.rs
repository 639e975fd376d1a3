//! `zferry config check|show|example`: needs neither root nor ZFS.

use std::path::Path;

use serde_json::json;

use super::args::ConfigCommand;
use super::failure::Failure;
use super::print;
use crate::alert;
use crate::config::request::{Common, Format};
use crate::config::{self, ConfigError, Settings};

/// Does one of them.
///
/// # Errors
/// When the configuration cannot be read or is wrong.
pub fn run(command: ConfigCommand, path: &Path, common: &Common) -> Result<(), Failure> {
    match command {
        ConfigCommand::Example => print(config::EXAMPLE),
        ConfigCommand::Show => {
            let shown = config::show(path, &common.host)?;
            match common.format {
                Format::Human => print(&shown.to_string()),
                Format::Json => print(&format!("{}\n", json!(shown))),
            }
        }
        ConfigCommand::Check => check(path, common)?,
    }
    Ok(())
}

fn check(path: &Path, common: &Common) -> Result<(), Failure> {
    let mut checked = config::load(path, &common.host);
    if let Ok(settings) = &mut checked {
        let is_root = rustix::process::geteuid().is_root();
        settings.warnings.extend(alert::check::problems(&settings.drives, &settings.streams, is_root));
    }
    match (&checked, common.format) {
        (Ok(settings), Format::Human) => print(&summary(settings)),
        (Ok(settings), Format::Json) => {
            let drives: Vec<_> = settings.drives.iter().map(|drive| drive.name.as_str()).collect();
            let streams: Vec<_> = settings.streams.iter().map(|stream| stream.name.as_str()).collect();
            let answer = json!({"valid": true, "file": path, "drives": drives, "streams": streams, "warnings": settings.warnings});
            print(&format!("{answer}\n"));
        }
        (Err(ConfigError::Invalid { problems, .. }), Format::Json) => {
            print(&format!("{}\n", json!({"valid": false, "file": path, "problems": problems})));
        }
        (Err(_), _) => {}
    }
    checked.map(|_| ()).map_err(Failure::from)
}

fn summary(settings: &Settings) -> String {
    let mut lines = vec![format!("{} is valid.", settings.file.display())];
    for drive in &settings.drives {
        lines.push(format!("{} (pool {}, guid {}):", drive.name, drive.pool, drive.guid));
        let pair = |backup: &config::Backup| format!("  {} → {}", backup.source, backup.target);
        lines.extend(drive.backups.iter().map(pair));
    }
    for stream in &settings.streams {
        lines.push(format!(
            "{}: files with {} in {}",
            stream.name,
            stream.policy.source,
            stream.directory.display()
        ));
    }
    lines.extend(settings.warnings.iter().map(|warning| format!("Warning: {warning}")));
    lines.join("\n") + "\n"
}
