//! `open`, `close`, and `restore` of files: from what was typed to what was done.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ask::Asking;
use super::failure::{self, Failure};
use super::{args, request, work};
use crate::config::request::{Common, Format};
use crate::config::{PowerOff, Settings};
use crate::jobs::files::{self, CloseRequest, Destination, FilesRequest, OpenRequest, RehearseRequest};
use crate::plan::files::{BadPath, SnapPath, Wanted};
use crate::process::Cancel;
use crate::report;

/// What `open` is to do.
///
/// # Errors
/// When the drive or a backup is not configured.
pub fn open_request(typed: &args::Open, settings: Settings, common: Common) -> Result<OpenRequest, Failure> {
    let drive = request::one(&typed.drive, &typed.backups, settings)?;
    Ok(OpenRequest { common, drive, wait: request::waiting(typed.wait), stop_run: typed.yes })
}

/// What `close` is to do.
///
/// # Errors
/// When the drive is not configured.
pub fn close_request(
    typed: &args::Close,
    settings: Settings,
    common: Common,
) -> Result<CloseRequest, Failure> {
    let mut drive = request::one(&typed.drive, &[], settings)?;
    if typed.no_power_off {
        drive.power_off = PowerOff::No;
    }
    Ok(CloseRequest { common, drive })
}

/// What `rehearse` is to do.
///
/// # Errors
/// When the drive is not configured.
pub fn rehearse_request(
    typed: &args::Rehearse,
    settings: Settings,
    common: Common,
) -> Result<RehearseRequest, Failure> {
    let mut drive = request::one(&typed.drive, &[], settings)?;
    if typed.no_power_off {
        drive.power_off = PowerOff::No;
    }
    let retry = format!("{} rehearse {}", common.command, drive.name);
    Ok(RehearseRequest { common, drive, wait: request::waiting(typed.wait), retry })
}

/// What `restore` of files is to do.
///
/// # Errors
/// When the drive or the backup is not configured, or a path is none within a backup.
pub fn restore_request(
    typed: args::Restore,
    settings: Settings,
    common: Common,
) -> Result<FilesRequest, Failure> {
    let mut drive = request::one(&typed.drive, std::slice::from_ref(&typed.backup), settings)?;
    let none = || Failure::Internal(anyhow::anyhow!("{} was found and is not there", typed.backup));
    let backup = drive.backups.pop().ok_or_else(none)?;
    let paths: Vec<SnapPath> =
        typed.paths.iter().map(|path| SnapPath::new(path).map_err(bad_path)).collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    if let Some(twice) = paths.iter().find(|path| typed.to.is_some() && !names.insert(path.name())) {
        return Err(Failure::Usage {
            what: format!("two of the paths would both become {}", twice.name().display()),
            hint: "restore them one after the other, to two directories".to_owned(),
        });
    }
    let to = typed.to.as_deref().map(absolute).transpose()?;
    let to = to.map(|directory| Destination { directory, force: typed.force });
    let from = typed.from.map_or(Wanted::Newest, Wanted::AsOf);
    Ok(FilesRequest { common, drive, backup, paths, from, wait: request::waiting(typed.wait), to })
}

pub(super) fn bad_path(error: BadPath) -> Failure {
    let hint = match &error {
        BadPath::Absolute(path) => {
            let inside = path.strip_prefix("/").unwrap_or(path);
            format!("{}, or what comes behind the place where the backup is mounted", inside.display())
        }
        BadPath::Leaves(_) | BadPath::Empty(_) => "a path as in: Documents/tax.pdf".to_owned(),
    };
    Failure::Usage { what: error.to_string(), hint }
}

/// Children run in another directory.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Usage {
        what: format!("{} is no directory: {error}", path.display()),
        hint: "name a directory that exists".to_owned(),
    })
}

/// `open`
pub fn open(request: &OpenRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let mut agree = |question: &str| super::prepare::ask(question, &cancel);
    let result = files::open(request, &world.environment(), &mut Asking::new(&cancel), &mut agree);
    drop(world);
    let opened = result.map_err(|error| work::failure_of(error, &cancel))?;
    super::print(&match request.common.format {
        Format::Human => report::files::opened(&opened, &request.common.command),
        Format::Json => report::files::opened_json(&opened),
    });
    Ok(failure::DONE)
}

/// `close`
pub fn close(request: &CloseRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let result = files::close(request, &world.environment());
    drop(world);
    work::worst(vec![result], &cancel)
}

/// `rehearse`
pub fn rehearse(request: &RehearseRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let result = files::rehearse(request, &world.environment(), &mut Asking::new(&cancel));
    drop(world);
    work::worst(vec![result], &cancel)
}

/// `restore` of files, and `--versions`.
pub fn restore(request: &FilesRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = work::World::new(&request.common, cancel.clone());
    let mut ask = Asking::new(&cancel);
    if request.to.is_some() {
        let result = files::restore(request, &world.environment(), &mut ask);
        drop(world);
        return work::worst(vec![result], &cancel);
    }
    let zone = world.zone();
    let result = files::versions(request, &world.environment(), &mut ask);
    drop(world);
    let (versions, summary) = result.map_err(|error| work::failure_of(error, &cancel))?;
    super::print(&match request.common.format {
        Format::Human => report::files::versions(&versions, &zone),
        Format::Json => report::files::versions_json(&versions),
    });
    work::worst(vec![Ok(summary)], &cancel)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Arguments, Command};
    use super::*;

    const CONFIG: &str = r#"
[drives.t7]
pool = "backup"
pool-guid = "1"
[backups.home]
source = "rpool/home"
target = "eds"
prune = "mirror"
[backups.mail]
source = "rpool/mail"
target = "mail"
prune = "never"
"#;

    fn settings() -> Settings {
        crate::config::parse(CONFIG, Path::new("config.toml"), "laptop").unwrap()
    }

    fn restore_of(line: &str) -> Result<FilesRequest, Failure> {
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let common = request::common(&arguments.global, "laptop", Vec::new());
        let Command::Restore(typed) = arguments.command else { panic!("{line}") };
        restore_request(typed, settings(), common)
    }

    #[test]
    fn files_and_a_dataset_are_not_restored_by_one_command() {
        for bad in [
            "zferry restore t7 home",
            "zferry restore t7 home letter",
            "zferry restore t7 home --to /tmp",
            "zferry restore t7 home letter --to /tmp --into rpool/x",
            "zferry restore t7 home letter --into rpool/x",
            "zferry restore t7 home letter --to /tmp --decrypted",
            "zferry restore t7 home --into rpool/x --allow-plaintext",
            "zferry restore t7 home --into rpool/x --force",
            "zferry restore t7 home --into rpool/x --versions",
            "zferry restore t7 home letter --versions --to /tmp",
            "zferry restore t7 home --versions",
            "zferry open",
            "zferry close",
            "zferry close t7 home",
        ] {
            let parsed = Arguments::try_parse_from(bad.split(' '));
            assert_eq!(parsed.unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn what_was_typed_becomes_a_request() {
        let request =
            restore_of("zferry restore t7 home a/letter b --from yesterday --to /tmp --force").unwrap();
        assert_eq!(request.backup.name, "home");
        assert_eq!(request.from, Wanted::AsOf("yesterday".to_owned()));
        assert_eq!(request.to, Some(Destination { directory: "/tmp".into(), force: true }));
        assert_eq!(request.paths.len(), 2);
        let request = restore_of("zferry restore t7 home letter --to there").unwrap();
        let directory = request.to.unwrap().directory;
        assert!(directory.is_absolute() && directory.ends_with("there"), "{directory:?}");
        assert!(restore_of("zferry restore t7 home letter --versions").unwrap().to.is_none());
    }

    #[test]
    fn a_path_that_is_none_is_a_usage_error_with_what_to_type_instead() {
        for (line, what, hint) in [
            ("zferry restore t7 home /home/anna --to /tmp", "begins with “/”", "home/anna"),
            ("zferry restore t7 home a/../../b --to /tmp", "leads out of the backup", "Documents"),
            ("zferry restore t7 home a/x b/x --to /tmp", "would both become x", "two directories"),
            ("zferry restore t7 hom x --to /tmp", "carries no backup hom", "home, mail"),
            ("zferry restore t8 home x --to /tmp", "no drive t8", "t7"),
        ] {
            let Err(Failure::Usage { what: found, hint: hinted }) = restore_of(line) else {
                panic!("{line}")
            };
            assert!(found.contains(what) && hinted.contains(hint), "{line}: {found}; {hinted}");
        }
    }
}
