//! Runs the built binary.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory with a configuration in it.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// With this text as configuration. Written anew, since a checkout may be writable by a group.
    pub fn with(text: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(place.config(), text).unwrap();
        place.set_mode(0o644);
        place
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn set_mode(&self, mode: u32) {
        fs::set_permissions(self.config(), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs `zferry --config THIS ARGS…`.
    pub fn zferry(&self, args: &[&str]) -> Answer {
        let config = self.config();
        let words =
            [OsStr::new("--config"), config.as_os_str()].into_iter().chain(args.iter().map(OsStr::new));
        Answer::of(zferry().args(words).output().unwrap(), Some(&config))
    }
}

/// What it said, with the configuration's path replaced by FILE.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn of(output: Output, config: Option<&Path>) -> Self {
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            config.map_or(text.clone(), |config| text.replace(config.to_str().unwrap(), "FILE"))
        };
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The binary with an environment that does not depend on who runs the tests.
pub fn zferry() -> Command {
    at(Path::new(env!("CARGO_BIN_EXE_zferry")))
}

#[expect(clippy::disallowed_methods, reason = "the binary under test is spawned, not a tool of the system")]
pub fn at(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().env("COLUMNS", "100").stdin(Stdio::null());
    command
}
