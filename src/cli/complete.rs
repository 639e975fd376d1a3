//! What the shell is told when somebody presses the tab key, and the manual pages. Neither needs root, ZFS or a valid
//! configuration: what cannot be read offers nothing, silently.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;

use super::args::Arguments;
use super::failure::Failure;
use crate::config::{self, Settings};

/// The variable by which the shell's script asks for candidates. Nothing else is done then.
const ASKED: &str = "COMPLETE";

/// Answers the shell and ends, if it is the shell that asks.
pub fn answer_the_shell() {
    CompleteEnv::with_factory(command).var(ASKED).complete();
}

/// All commands, with what is configured as the values of their arguments.
fn command() -> clap::Command {
    Arguments::command().mut_subcommands(with_candidates)
}

/// Of a command and of those below it.
fn with_candidates(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommands(with_candidates);
    command.mut_args(|argument| match argument.get_id().as_str() {
        "drive" | "drives" => argument.add(ArgValueCandidates::new(drives)),
        "streams" | "places" => argument.add(ArgValueCandidates::new(streams)),
        "backup" | "backups" => argument.add(ArgValueCandidates::new(backups)),
        _ => argument,
    })
}

/// The configuration, when this person may read it and it is a good one.
fn settings() -> Option<Settings> {
    let path =
        std::env::var_os("ZFERRY_CONFIG").map_or_else(|| PathBuf::from(config::DEFAULT_PATH), PathBuf::from);
    config::load(&path, &super::host()).ok()
}

fn drives() -> Vec<CompletionCandidate> {
    let drives = settings().into_iter().flat_map(|settings| settings.drives);
    drives.map(|drive| CompletionCandidate::new(drive.name.to_string())).collect()
}

fn streams() -> Vec<CompletionCandidate> {
    let streams = settings().into_iter().flat_map(|settings| settings.streams);
    streams.map(|stream| CompletionCandidate::new(stream.name.to_string())).collect()
}

fn backups() -> Vec<CompletionCandidate> {
    let drives = settings().into_iter().flat_map(|settings| settings.drives);
    let names: std::collections::BTreeSet<String> =
        drives.flat_map(|drive| drive.backups).map(|backup| backup.name).collect();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The script for this shell, which asks the program itself.
///
/// # Errors
/// When there is none for it.
pub fn script(shell: &str) -> Result<String, Failure> {
    let shells = Shells::builtins();
    let Some(found) = shells.completer(shell) else {
        let all: Vec<_> = shells.names().collect();
        let what = format!("there are no completions for {shell:?}");
        return Err(Failure::Usage { what, hint: format!("one of these: {}", all.join(", ")) });
    };
    let mut script = Vec::new();
    let written = found.write_registration(ASKED, "zferry", "zferry", "zferry", &mut script);
    written.map_err(|error| Failure::Internal(error.into()))?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Writes a manual page for the program and each of its commands.
///
/// # Errors
/// When the directory cannot be written to.
pub fn manual(directory: &Path) -> Result<(), Failure> {
    clap_mangen::generate_to(Arguments::command(), directory).map_err(|error| {
        let what = format!("the manual pages cannot be written to {}: {error}", directory.display());
        Failure::Usage { what, hint: "name a directory that exists and may be written to".to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_asks_the_program() {
        for shell in ["bash", "zsh", "fish"] {
            let script = script(shell).unwrap();
            assert!(script.contains("zferry") && script.contains(ASKED), "{shell}: {script}");
        }
        assert!(matches!(script("tcsh"), Err(Failure::Usage { hint, .. }) if hint.contains("bash")));
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let directory = tempfile::tempdir().unwrap();
        manual(directory.path()).unwrap();
        for command in Arguments::command().get_subcommands() {
            let page = directory.path().join(format!("zferry-{}.1", command.get_name()));
            assert!(std::fs::read_to_string(&page).unwrap().contains("zferry"), "{}", page.display());
        }
        assert!(matches!(manual(&directory.path().join("none")), Err(Failure::Usage { .. })));
    }
}
