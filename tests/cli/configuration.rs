//! Configurations, good and bad, through the binary. Each file in config/invalid has what is said about it beside it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use crate::program::{Answer, Place, at, zferry};

const VALID: &str = include_str!("config/valid/minimal.toml");
/// A user and group that own nothing: `nobody`.
const NOBODY: u32 = 65_534;

/// The TOML files of a directory, at least `expected` of them.
fn files(directory: &str, expected: usize) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/config").join(directory);
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = all.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    assert!(files.len() >= expected, "only {} files", files.len());
    files
}

#[test]
fn valid_configurations_are_taken() {
    for file in files("valid", 4) {
        let answer = Place::with(&fs::read_to_string(&file).unwrap()).zferry(&["config", "check"]);
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{}", file.display());
    }
}

#[test]
fn what_is_wrong_is_said_with_line_key_and_remedy() {
    for file in files("invalid", 20) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let place = Place::with(&fs::read_to_string(&file).unwrap());
        let answer = place.zferry(&["config", "check"]);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(78), ""), "{name}");
        assert_eq!(place.zferry(&["run"]), answer, "{name}: a run says the same");
        insta::with_settings!({
            snapshot_path => "config/invalid",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, answer.stderr);
        });
    }
}

#[test]
fn a_configuration_that_others_may_write_is_refused() {
    let place = Place::with(VALID);
    for mode in [0o666, 0o646, 0o664] {
        place.set_mode(mode);
        let answer = place.zferry(&["run", "t7"]);
        assert_eq!(answer.code, Some(78));
        let expected = format!(
            "zferry: error: the configuration FILE is not trusted: others may write it (mode {mode:04o})\n  \
             try: chmod go-w 'FILE'\n"
        );
        assert_eq!(answer.stderr, expected);
    }
}

#[test]
fn a_link_to_a_read_only_file_is_fine() {
    let place = Place::with(VALID);
    place.set_mode(0o444);
    let link = place.path().join("link.toml");
    symlink(place.config(), &link).unwrap();
    let output = zferry().env("ZFERRY_CONFIG", &link).args(["config", "check"]).output().unwrap();
    assert_eq!(Answer::of(output, None).code, Some(0));
}

#[test]
fn a_missing_configuration_says_how_to_begin() {
    let output = zferry().args(["--config", "/nonexistent/config.toml", "run"]).output().unwrap();
    let answer = Answer::of(output, None);
    assert_eq!(answer.code, Some(78));
    assert!(answer.stderr.contains("zferry config example"), "{}", answer.stderr);
}

#[test]
fn arguments_come_before_the_configuration_and_the_configuration_before_root() {
    let place = Place::with("drives = 1");
    assert_eq!(place.zferry(&["run", "--no-such-flag"]).code, Some(2));
    assert_eq!(place.zferry(&["run", "a@b"]).code, Some(2));
    assert_eq!(place.zferry(&["run", "t7"]).code, Some(78));
    assert_eq!(Place::with(VALID).zferry(&["run", "t8"]).code, Some(2));
    assert_eq!(
        zferry().arg("replicate").arg("rpool/home").arg("rpool/copy").output().unwrap().status.code(),
        Some(2)
    );
}

/// Another test may have forked while the copy was being written; until its child calls exec, that child has the copy
/// open for writing, and the kernel does not run such a file.
fn output_when_free(command: &mut Command) -> Output {
    for _ in 0..500 {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => sleep(Duration::from_millis(10)),
            other => return other.unwrap(),
        }
    }
    panic!("the copy of the binary is busy for ever");
}

/// Runs a copy of the binary, in a place that anyone may enter, as a user who is not root.
fn as_nobody(place: &Place, args: &[&str]) -> Answer {
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = place.path().join("zferry");
    fs::copy(env!("CARGO_BIN_EXE_zferry"), &binary).unwrap();
    let mut command = at(&binary);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.env("ZFERRY_CONFIG", place.config()).args(args);
    Answer::of(output_when_free(&mut command), Some(&place.config()))
}

#[test]
fn who_is_not_root_is_told_what_to_type() {
    let expected = |command: &str| {
        format!(
            "zferry: error: only root may import pools and send and receive snapshots\n  try: {command}\n"
        )
    };
    let place = Place::with(VALID);
    for (args, command) in [
        (&["run", "t7"][..], "sudo zferry --config FILE run t7"),
        (&["run", "-n"], "sudo zferry --config FILE run -n"),
        (&["plan"], "sudo zferry --config FILE plan"),
        (&["eject", "t7"], "sudo zferry --config FILE eject t7"),
        (&["replicate", "a/b c", "d/e"], "sudo zferry --config FILE replicate 'a/b c' d/e"),
    ] {
        let answer = as_nobody(&place, args);
        assert_eq!((answer.code, answer.stderr), (Some(77), expected(command)), "{args:?}");
    }
    assert_eq!(as_nobody(&place, &["config", "show"]).code, Some(0), "looking at it needs no root");
}

#[test]
fn a_reader_who_went_away_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = zferry().args(["config", "example"]).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn machines_get_json() {
    let place = Place::with(VALID);
    let json = |answer: &Answer| serde_json::from_str::<serde_json::Value>(&answer.stdout).unwrap();
    let shown = json(&place.zferry(&["--json", "config", "show"]));
    assert_eq!(shown["sections"][0]["name"], "drives.t7");
    assert_eq!(shown["sections"][0]["rows"][0]["from"], "file");
    assert_eq!(json(&place.zferry(&["--json", "config", "check"]))["valid"], true);
    let wrong = Place::with("drive = 1").zferry(&["--json", "config", "check"]);
    assert_eq!((wrong.code, json(&wrong)["problems"][0]["line"].clone()), (Some(78), 1.into()));
}

#[test]
fn what_is_shown_names_lines_and_defaults() {
    let place = Place::with(include_str!("config/valid/two-drives.toml"));
    insta::assert_snapshot!(place.zferry(&["config", "show"]).stdout);
}
