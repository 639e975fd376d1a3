//! What starts a run when a drive is plugged in, where udev and systemd look for it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Root;

/// Where udev looks for rules: of one name the first counts.
const RULES: [&str; 5] = [
    "/etc/udev/rules.d",
    "/run/udev/rules.d",
    "/usr/local/lib/udev/rules.d",
    "/usr/lib/udev/rules.d",
    "/lib/udev/rules.d",
];
/// Where systemd looks for units: of one name the first counts.
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Where systemd looks for a program that is named without its place.
const PROGRAMS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A file, and its text.
pub type Read = (PathBuf, String);

impl Root {
    /// Whether systemd runs this computer, as `sd_booted` has it.
    pub fn is_run_by_systemd(&self) -> bool {
        self.at("/run/systemd/system").is_dir()
    }

    /// Udev's rule of this name.
    pub fn udev_rule(&self, name: &str) -> Option<Read> {
        self.first(&RULES, name)
    }

    /// Systemd's unit of this name, with what is added to it.
    pub fn unit(&self, name: &str) -> Option<Read> {
        let (path, mut text) = self.first(&UNITS, name)?;
        for directory in UNITS.iter().rev().map(|place| Path::new(place).join(format!("{name}.d"))) {
            for added in self.names(&directory).into_iter().filter(|added| added.ends_with(".conf")) {
                text.push('\n');
                text.push_str(&self.text(directory.join(added)).unwrap_or_default());
            }
        }
        Some((path, text))
    }

    /// Whether systemd finds this program.
    pub fn has_program(&self, program: &str) -> bool {
        let is_program = |path: &Path| {
            let found = std::fs::metadata(self.at(path));
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        match Path::new(program) {
            named if named.is_absolute() => is_program(named),
            named => PROGRAMS.iter().any(|place| is_program(&Path::new(place).join(named))),
        }
    }

    fn first(&self, places: &[&str], name: &str) -> Option<Read> {
        places.iter().map(|place| Path::new(place).join(name)).find_map(|path| {
            let text = self.text(&path)?;
            Some((path, text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_name_the_first_counts_and_what_is_added_is_read_too() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::imitation(directory.path().to_owned());
        let write = |path: &str, text: &str| {
            let path = root.at(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert!(!root.is_run_by_systemd());
        assert_eq!((root.unit("a.service"), root.udev_rule("a.rules")), (None, None));
        write("/usr/lib/systemd/system/a.service", "theirs");
        assert_eq!(root.unit("a.service").unwrap().1, "theirs");
        write("/etc/systemd/system/a.service", "mine");
        write("/etc/systemd/system/a.service.d/b.conf", "added");
        write("/etc/systemd/system/a.service.d/notes", "not read");
        assert_eq!(
            root.unit("a.service"),
            Some(("/etc/systemd/system/a.service".into(), "mine\nadded".into()))
        );
        write("/lib/udev/rules.d/a.rules", "rule");
        assert_eq!(root.udev_rule("a.rules").unwrap().1, "rule");
        std::fs::create_dir_all(root.at("/run/systemd/system")).unwrap();
        assert!(root.is_run_by_systemd());
    }

    #[test]
    fn a_program_is_a_file_that_may_be_run() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::imitation(directory.path().to_owned());
        let program = root.at("/usr/bin/zferry");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::write(&program, "").unwrap();
        assert!(!root.has_program("zferry") && !root.has_program("/usr/bin"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(root.has_program("zferry") && root.has_program("/usr/bin/zferry"));
        assert!(!root.has_program("/usr/local/bin/zferry"));
    }
}
