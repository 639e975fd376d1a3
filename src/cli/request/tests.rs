use std::path::Path;

use clap::Parser as _;

use super::*;
use crate::cli::args::{Arguments, Command};

const CONFIG: &str = r#"
[drives.a]
pool = "backup"
pool-guid = "1"
[drives.b]
pool = "backup"
pool-guid = "2"
backups = ["home"]
[backups.home]
source = "rpool/home"
target = "eds"
prune = "mirror"
[backups.mail]
source = "rpool/mail"
target = "mail"
prune = "never"
"#;

fn typed(line: &str) -> (Command, Common) {
    let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
    (arguments.command, common(&arguments.global, "laptop", Vec::new()))
}

fn run_of(line: &str) -> Result<RunRequest, Failure> {
    let settings = crate::config::parse(CONFIG, Path::new("config.toml"), "laptop").unwrap();
    let (Command::Run(arguments), common) = typed(line) else { panic!("{line}") };
    run(arguments, settings, common)
}

fn replicate_of(line: &str) -> Result<ReplicateRequest, Failure> {
    let (Command::Replicate(arguments), common) = typed(line) else { panic!("{line}") };
    replicate(arguments, common)
}

/// `drive: backup backup, …`
fn chosen(request: &RunRequest) -> String {
    let drive = |drive: &Drive| {
        let names: Vec<_> = drive.backups.iter().map(|backup| backup.name.as_str()).collect();
        format!("{}: {}", drive.name, names.join(" "))
    };
    request.drives.iter().map(drive).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_run_is_reduced_to_what_was_asked_for() {
    for (line, expected, selection) in [
        ("zferry run", "a: home mail, b: home", Selection::Connected),
        ("zferry run b", "b: home", Selection::Named),
        ("zferry run b b", "b: home", Selection::Named),
        ("zferry run --backup mail", "a: mail", Selection::Connected),
        ("zferry run a --backup mail --backup home", "a: home mail", Selection::Named),
    ] {
        let request = run_of(line).unwrap();
        assert_eq!((chosen(&request).as_str(), request.selection), (expected, selection), "{line}");
    }
}

#[test]
fn flags_of_this_run_win_over_the_configuration() {
    let request = run_of("zferry run a --eject --no-power-off --wait=10m -vv --json").unwrap();
    assert_eq!(request.drives[0].power_off, PowerOff::No);
    assert_eq!(request.export, Export::Always);
    assert_eq!(request.wait, Wait::For(std::time::Duration::from_secs(600)));
    assert_eq!((request.common.format, request.common.verbosity), (Format::Json, Verbosity::Debug));
}

#[test]
fn what_is_not_configured_and_consents_for_something_else_are_usage_errors() {
    for (line, part) in [
        ("zferry run c", "no drive c is configured"),
        ("zferry run b --backup mail", "the drive b carries no backup mail"),
        ("zferry run --backup male", "carries no backup male"),
        ("zferry run --accept-source-loss backup/eds", "is a consent for one drive"),
        ("zferry run a --accept-source-loss backup/edsx", "does not write to that dataset"),
        ("zferry run --rollback-target backup/eds", "--rollback-target is a consent for one drive"),
        ("zferry run a --rollback-target backup/edsx", "--rollback-target=backup/edsx: this run does not"),
        ("zferry run --last-used-by desktop", "is a consent for one drive"),
    ] {
        let failure = run_of(line).unwrap_err();
        assert!(failure.code() == 2 && failure.text().contains(part), "{line}: {}", failure.text());
    }
    let docs = ["backup/eds/docs".parse().unwrap()];
    let request = run_of("zferry run a --accept-source-loss backup/eds/docs").unwrap();
    assert_eq!((request.consents.source_loss.as_slice(), request.consents.rollback.len()), (&docs[..], 0));
    let request = run_of("zferry run a --rollback-target backup/eds/docs").unwrap();
    assert_eq!((request.consents.rollback.as_slice(), request.consents.source_loss.len()), (&docs[..], 0));
}

#[test]
fn all_drives_are_paused_unless_some_are_named() {
    for (line, expected) in [("zferry pause", "a b"), ("zferry resume b", "b"), ("zferry pause b a b", "b a")]
    {
        let settings = crate::config::parse(CONFIG, Path::new("config.toml"), "laptop").unwrap();
        let (Command::Pause(arguments) | Command::Resume(arguments), common) = typed(line) else {
            panic!("{line}")
        };
        let request = crate::cli::pausing::request(&arguments, settings, common).unwrap();
        let names: Vec<_> = request.drives.iter().map(|drive| drive.name.as_str()).collect();
        assert_eq!(names.join(" "), expected, "{line}");
    }
}

#[test]
fn a_snapshot_is_taken_first_only_when_that_was_asked_for() {
    let taking = |line: &str| {
        let request = run_of(line).unwrap();
        request.drives.iter().flat_map(|drive| &drive.backups).filter(|backup| backup.own.is_some()).count()
    };
    assert_eq!((taking("zferry run"), taking("zferry run --snapshot")), (0, 3));
    assert_eq!(taking("zferry run --backup mail --snapshot"), 1);
}

#[test]
fn replicate_prunes_nothing_unless_told_and_stays_out_of_its_own_pool() {
    let request = replicate_of("zferry replicate rpool/home backup/eds").unwrap();
    assert_eq!(request.backup.prune, crate::model::Prune::Never);
    assert!(!request.backup.recursive);
    for (line, part) in [
        ("zferry replicate rpool/home backup", "is a pool"),
        ("zferry replicate rpool/home rpool/copy", "both in the pool rpool"),
        ("zferry replicate rpool/home backup/eds --accept-source-loss rpool/home", "does not write to"),
        ("zferry replicate rpool/home backup/eds --rollback-target backup", "does not write to"),
    ] {
        let failure = replicate_of(line).unwrap_err();
        assert!(failure.code() == 2 && failure.text().contains(part), "{line}: {}", failure.text());
    }
}

#[test]
fn everything_that_replicate_is_told_reaches_the_policy() {
    let line = "zferry replicate -r --skip-parent --snapshot --exclude videos --include-snapshots auto* --exclude-snapshots *_hourly \
                --history newest --prune mirror --send plain --allow-plaintext --power-off --pool-guid 7 \
                rpool/home backup/eds";
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let request = replicate_of(&line).unwrap();
    let policy = request.backup.policy(crate::model::Guid(7), &request.consents);
    assert!(policy.recursive && policy.skip_parent && policy.allow_plaintext);
    assert!(!policy.datasets.wants("videos") && policy.datasets.wants("mail"));
    let wants = |name: &str| policy.snapshots.wants(&name.parse().unwrap());
    assert!(wants("auto1_daily") && !wants("auto1_hourly") && !wants("manual"));
    assert_eq!(policy.history, crate::model::HistoryMode::Newest);
    assert_eq!(policy.prune, crate::model::Prune::Mirror);
    assert_eq!(policy.own, Some(crate::config::OWN_KEEP));
    assert_eq!(policy.send, crate::model::SendMode::Plain);
    assert_eq!((request.guid, request.power_off), (Some(crate::model::Guid(7)), PowerOff::Yes));
    let again = replicate_of(&request.retry.replace('\'', "")).unwrap();
    assert_eq!((again.retry.as_str(), again.guid), (request.retry.as_str(), request.guid));
    assert_eq!(
        format!("{:?}", again.backup),
        format!("{:?}", request.backup),
        "what is offered is what was typed"
    );
}

#[test]
fn a_command_that_is_printed_names_the_configuration_that_was_named() {
    for (line, command) in [
        ("zferry run a", "zferry"),
        ("zferry --config ./my.toml run a", "zferry --config ./my.toml"),
        ("zferry run a --config=$x;y", "zferry --config '$x;y'"),
    ] {
        assert_eq!(typed(line).1.command, command);
    }
    assert_eq!(quoted("rpool/my home"), "'rpool/my home'");
    assert_eq!(quoted("it's"), r"'it'\''s'");
}
