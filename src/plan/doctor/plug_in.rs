//! Whether plugging a drive in starts a run: udev's rule and systemd's unit, as they are installed, against those that
//! belong to this version. And whether udisks is there to power a drive off.

use std::path::PathBuf;

use super::{Finding, HERE};

/// As they belong to this version.
const RULE: &str = include_str!("../../../udev-rules/90-zferry.rules");
const UNIT: &str = include_str!("../../../udev-rules/zferry@.service");

const INSTALL: &str =
    "install both again, as docs/how-to/plug-in.md says (with a package: install that again)";
const OWN_CHANGES: &str = "what you want different belongs into `systemctl edit zferry@.service`";

/// A file that is installed, with what is added to it. An empty one hides one of the same name (as a link to /dev/null does).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Where.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

impl Installed {
    /// Somebody does not want it to be used.
    fn is_masked(&self) -> bool {
        settings(&self.text).next().is_none()
    }
}

/// What there is of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlugIn {
    /// Udev's rule.
    pub rule: Option<Installed>,
    /// Systemd's unit.
    pub unit: Option<Installed>,
    /// The program that the unit starts is not where systemd looks for it.
    pub lacks_program: bool,
}

/// What keeps a drive that is plugged in from being backed up to, although somebody has seen to that.
pub fn of_plug_in(installed: &PlugIn) -> Vec<Finding> {
    let finding = |what: String, remedies: &[&str]| vec![Finding::new(HERE, what, remedies)];
    let (rule, unit) = match (&installed.rule, &installed.unit) {
        (Some(rule), _) if rule.is_masked() => return Vec::new(),
        (_, Some(unit)) if unit.is_masked() => return Vec::new(),
        // With the module for NixOS, that is how the option to start nothing is carried out.
        (None, _) => return Vec::new(),
        (Some(rule), None) => {
            let what = format!(
                "Plugging a drive in starts nothing: there is udev's rule {}, and not the unit zferry@.service that it starts.",
                rule.path.display()
            );
            return finding(what, &[INSTALL]);
        }
        (Some(rule), Some(unit)) => (rule, unit),
    };
    let mut found = Vec::new();
    if lacking(RULE, &rule.text).next().is_some() {
        let what = format!("{} is not the rule that belongs to this version of zferry.", rule.path.display());
        found.extend(finding(what, &[INSTALL]));
    }
    let keys: Vec<&str> = lacking(service(UNIT), &unit.text).map(key).collect();
    if !keys.is_empty() {
        let what = format!(
            "{} is not the unit that belongs to this version of zferry: {} {} otherwise there.",
            unit.path.display(),
            keys.join(", "),
            if keys.len() == 1 { "is" } else { "are" },
        );
        found.extend(finding(what, &[INSTALL, OWN_CHANGES]));
    }
    let (program, arguments) = command(&unit.text);
    if installed.lacks_program {
        let what = format!(
            "Plugging a drive in starts nothing: {} starts {program}, which is not there.",
            unit.path.display()
        );
        found.extend(finding(what, &["install the program there, such as in /usr/local/bin", OWN_CHANGES]));
    }
    if arguments != command(UNIT).1 {
        let what = format!(
            "{} starts `{program} {arguments}`, and this version of zferry is to be started as `zferry {}`.",
            unit.path.display(),
            command(UNIT).1
        );
        found.extend(finding(what, &[INSTALL]));
    }
    found
}

/// That nothing starts is no fault, and what many want.
pub fn hint_of_plug_in(installed: &PlugIn) -> Option<Finding> {
    let what = match (&installed.rule, &installed.unit) {
        (Some(_), _) => return None,
        (None, Some(unit)) if unit.is_masked() => return None,
        (None, Some(unit)) => format!(
            "Plugging a drive in starts no run: there is the unit {}, and not udev's rule 90-zferry.rules that starts it.",
            unit.path.display()
        ),
        (None, None) => {
            "Plugging a drive in starts no run: udev's rule and the unit for it are not installed.".to_owned()
        }
    };
    Some(Finding::new(HERE, what, &["if you want that: docs/how-to/plug-in.md"]))
}

/// What powering a drive off is like without udisks; why it does not answer.
pub fn hint_of_udisks(why: &str) -> Finding {
    let what = format!(
        "Drives are powered off by the kernel and not by udisks ({why}): they are detached after their cache was written, and some keep their power or go on turning."
    );
    Finding::new(HERE, what, &["install udisks2"])
}

/// The program that a unit starts, and what it is given. Of several the last one counts, as for additions to a unit.
pub fn command(unit: &str) -> (&str, &str) {
    let started = settings(unit).filter(|line| key(line) == "ExecStart");
    let mut commands = started.filter_map(|line| line.split_once('=')).map(|(_, command)| command.trim());
    let line = commands.rfind(|command| !command.is_empty()).unwrap_or_default();
    let (program, arguments) = line.split_once(' ').unwrap_or((line, ""));
    // What systemd makes special of the start of a program.
    (program.trim_start_matches(['@', '-', ':', '+', '!']), arguments.trim())
}

/// What of the settings is nowhere in the text; but for the command, whose program may be anywhere.
fn lacking<'a>(expected: &'a str, text: &str) -> impl Iterator<Item = &'a str> {
    let there: Vec<&str> = settings(text).collect();
    settings(expected).filter(move |line| key(line) != "ExecStart" && !there.contains(line))
}

fn key(line: &str) -> &str {
    line.split('=').next().unwrap_or_default().trim()
}

/// Lines that are no comments.
fn settings(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// How it runs; the rest of a unit says what it is called, and the like.
fn service(unit: &str) -> &str {
    unit.find("[Service]").and_then(|at| unit.get(at..)).unwrap_or(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(path: &str, text: &str) -> Option<Installed> {
        Some(Installed { path: path.into(), text: text.to_owned() })
    }

    fn both(unit: &str) -> PlugIn {
        PlugIn {
            rule: installed("/etc/udev/rules.d/90-zferry.rules", RULE),
            unit: installed("/etc/systemd/system/zferry@.service", unit),
            lacks_program: false,
        }
    }

    fn told(installed: &PlugIn) -> String {
        let found: Vec<_> = of_plug_in(installed).into_iter().map(|finding| finding.what).collect();
        found.join("\n")
    }

    #[test]
    fn both_as_they_are_shipped_are_no_finding_and_neither_is_a_hint() {
        assert_eq!(told(&both(UNIT)), "");
        assert_eq!(hint_of_plug_in(&both(UNIT)), None);
        assert_eq!(of_plug_in(&PlugIn::default()), []);
        assert!(hint_of_plug_in(&PlugIn::default()).unwrap().what.starts_with("Plugging a drive in starts"));
    }

    #[test]
    fn a_rule_without_its_unit_is_a_finding_and_a_unit_without_its_rule_a_hint() {
        let alone = told(&PlugIn { unit: None, ..both(UNIT) });
        assert!(alone.contains("/etc/udev/rules.d/90-zferry.rules, and not the unit"), "{alone}");
        assert_eq!(hint_of_plug_in(&PlugIn { unit: None, ..both(UNIT) }), None);
        let unit = PlugIn { rule: None, ..both(UNIT) };
        assert_eq!(told(&unit), "");
        let hint = hint_of_plug_in(&unit).unwrap();
        assert!(hint.what.contains("/etc/systemd/system/zferry@.service, and not udev's rule"), "{hint:?}");
    }

    #[test]
    fn what_somebody_has_hidden_is_wanted_so() {
        let hidden = installed("/etc/systemd/system/zferry@.service", "");
        assert_eq!(told(&PlugIn { unit: hidden.clone(), ..both(UNIT) }), "");
        let alone = PlugIn { unit: hidden.clone(), rule: None, ..both(UNIT) };
        assert_eq!((told(&alone), hint_of_plug_in(&alone)), (String::new(), None));
        assert_eq!(told(&PlugIn { rule: hidden, ..both(UNIT) }), "");
    }

    #[test]
    fn the_place_of_the_program_and_what_is_added_are_free_and_the_rest_is_of_this_version() {
        for (from, to, expected) in [
            ("ExecStart=zferry", "ExecStart=/nix/store/x/bin/zferry", ""),
            ("ExecStart=zferry", "ExecStart=-/usr/bin/zferry", ""),
            (
                "Nice=10",
                "Nice=10\nEnvironment=A=b\n[Service]\nExecStart=\nExecStart=/a run --triggered --pool-guid %i",
                "",
            ),
            (
                "Description=Back up to the drive with the ZFS pool or LUKS container %i",
                "Description=Mine",
                "",
            ),
            ("KillMode=process", "", "KillMode is otherwise"),
            ("SuccessExitStatus=75 143", "SuccessExitStatus=75", "SuccessExitStatus is otherwise"),
            ("run --triggered --pool-guid %i", "run t7", "starts `zferry run t7`"),
        ] {
            let found = told(&both(&UNIT.replace(from, to)));
            assert!(
                if expected.is_empty() { found.is_empty() } else { found.contains(expected) },
                "{to}: {found}"
            );
        }
        let other = RULE.replace("ACTION==\"add\"", "ACTION!=\"remove\"");
        let rule = installed("/etc/udev/rules.d/90-zferry.rules", &other);
        assert!(told(&PlugIn { rule, ..both(UNIT) }).contains("is not the rule"));
        let lacking = told(&PlugIn { lacks_program: true, ..both(UNIT) });
        assert!(lacking.contains("starts zferry, which is not there"), "{lacking}");
    }

    #[test]
    fn the_program_is_what_the_last_command_begins_with() {
        for (unit, expected) in [
            (UNIT, ("zferry", "run --triggered --pool-guid %i")),
            ("[Service]\nExecStart=/a b\n# ExecStart=/c\nExecStart=\nExecStart = @/d e f\n", ("/d", "e f")),
            ("ExecStart=/alone", ("/alone", "")),
            ("[Service]", ("", "")),
        ] {
            assert_eq!(command(unit), expected);
        }
    }
}
