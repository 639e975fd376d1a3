//! What a click opens: a terminal with a command of zferry that needs no root, as a unit of its own, so that it stays when
//! the notifier ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Offer;
use crate::process::{Program, find_program};

/// For starting it, not for how long it is open.
const DEADLINE: Duration = Duration::from_secs(20);

/// What of the session a terminal needs, as far as it is there.
const SESSION: [&str; 6] =
    ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "LANG"];

/// The window stays until somebody has read it. What it runs are its arguments, which the shell does not read.
const STAYS: &str = "\"$@\"; printf '\\nEnter closes this window. '; read -r _";

/// How terminals are opened on this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    // The program, and what stands before the command.
    words: Vec<String>,
    zferry: PathBuf,
    config: PathBuf,
}

impl Terminal {
    /// None where there is nothing to open one with.
    pub fn find(config: &Path) -> Option<Self> {
        let zferry = std::env::current_exe().ok()?;
        let runner = find_program("systemd-run").ok()?;
        let desktop = find_program("xdg-terminal-exec").map(|path| (path, None));
        let (terminal, option) =
            desktop.or_else(|_| find_program("x-terminal-emulator").map(|path| (path, Some("-e")))).ok()?;
        let mut words: Vec<String> =
            [runner.to_str()?, "--user", "--collect", "--quiet"].map(str::to_owned).to_vec();
        for name in SESSION {
            if let Ok(value) = std::env::var(name) {
                words.push(format!("--setenv={name}={value}"));
            }
        }
        words.extend(["--".to_owned(), terminal.to_str()?.to_owned()]);
        words.extend(option.map(str::to_owned));
        Some(Self { words, zferry, config: config.to_owned() })
    }

    /// Whether that would show anything: both commands read the configuration, which this user may not be allowed to.
    pub fn can_open(&self) -> bool {
        File::open(&self.config).is_ok()
    }

    /// Opens one with this.
    ///
    /// # Errors
    /// In words.
    pub fn open(&self, offer: &Offer) -> Result<(), String> {
        let words = self.command(offer);
        let variable = |name| std::env::var(name).ok().map(|value| (name, value));
        let variables: Vec<_> =
            ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"].into_iter().filter_map(variable).collect();
        let program = Program { words: &words, variables: &variables, input: "", deadline: DEADLINE };
        match program.run() {
            Ok(output) if output.exit.is_success() => Ok(()),
            Ok(output) => Err(format!("{}, {}", output.exit, output.stderr.trim())),
            Err(error) => Err(crate::execute::chain(&error)),
        }
    }

    fn command(&self, offer: &Offer) -> Vec<String> {
        let (command, drive) = match offer {
            Offer::Run(drive) => ("run", drive),
            Offer::Log(drive) => ("log", drive),
        };
        let (zferry, config) = (self.zferry.to_string_lossy(), self.config.to_string_lossy());
        let mut words = self.words.clone();
        words.extend(
            ["sh", "-c", STAYS, "sh", &zferry, "--config", &config, command, drive].map(str::to_owned),
        );
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_that_keeps_the_window_open_reads_nothing_of_the_command() {
        let terminal = Terminal {
            words: vec![
                "systemd-run".to_owned(),
                "--".to_owned(),
                "x-terminal-emulator".to_owned(),
                "-e".to_owned(),
            ],
            zferry: "/usr/bin/zferry".into(),
            config: "/etc/zferry/config.toml".into(),
        };
        let words = terminal.command(&Offer::Log("t7".to_owned()));
        let at = words.iter().position(|word| word == "-c").unwrap();
        assert_eq!(words[at + 1], STAYS);
        assert_eq!(
            words[at + 2..],
            ["sh", "/usr/bin/zferry", "--config", "/etc/zferry/config.toml", "log", "t7"]
        );
        assert!(!STAYS.contains("zferry"));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_nothing_to_open_a_window_for() {
        let terminal =
            |config: &str| Terminal { words: Vec::new(), zferry: "/".into(), config: config.into() };
        assert!(terminal("/dev/null").can_open());
        assert!(!terminal("/nonexistent/config.toml").can_open());
    }
}
