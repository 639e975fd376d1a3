use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn contents(texts: &[(&'static str, &str)], program: Option<PathBuf>) -> Contents {
    Contents { texts: texts.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(), program }
}

fn write(at: &Path, contents: &Contents) -> Result<(), RescueError> {
    write_all(at, contents, &AtomicBool::new(false))
}

#[test]
fn files_are_written_once_and_again_only_when_they_differ() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("mounted");
    fs::create_dir(&at).unwrap();
    let program = directory.path().join("program");
    fs::write(&program, vec![7; CHUNK * 2 + 5]).unwrap();
    let wanted = contents(&[("README.txt", "read\n")], Some(program.clone()));
    write(&at, &wanted).unwrap();
    let seen = |name: &str| {
        let status = fs::metadata(at.join(name)).unwrap();
        (std::os::unix::fs::MetadataExt::ino(&status), status.permissions().mode() & 0o777)
    };
    let before = (seen("README.txt"), seen(PROGRAM));
    assert_eq!((before.0.1, before.1.1), (0o644, 0o755));
    write(&at, &wanted).unwrap();
    assert_eq!((seen("README.txt"), seen(PROGRAM)), before, "what is the same is left alone");
    // Of the same length, and different in its last byte.
    let mut changed = vec![7; CHUNK * 2 + 5];
    *changed.last_mut().unwrap() = 8;
    fs::write(&program, &changed).unwrap();
    write(&at, &wanted).unwrap();
    assert_ne!(seen(PROGRAM), before.1);
    assert_eq!(fs::read(at.join(PROGRAM)).unwrap(), changed);
    assert_eq!(fs::read_dir(&at).unwrap().count(), 2);
}

#[test]
fn no_link_is_followed_and_nothing_outside_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let (at, outside) = (directory.path().join("mounted"), directory.path().join("passwd"));
    fs::create_dir(&at).unwrap();
    fs::write(&outside, "root\n").unwrap();
    for name in ["README.txt", "config.toml", STAGE] {
        symlink(&outside, at.join(name)).unwrap();
    }
    fs::hard_link(&outside, at.join("datasets.txt")).unwrap();
    // Opening it to read would wait for somebody who writes.
    rustix::fs::mknodat(CWD, at.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let texts = [("README.txt", "root\n"), ("config.toml", "c"), ("datasets.txt", "d"), ("pipe", "p")];
    write(&at, &contents(&texts, None)).unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "root\n");
    for (name, text) in texts {
        assert!(fs::symlink_metadata(at.join(name)).unwrap().is_file(), "{name}");
        assert_eq!(fs::read_to_string(at.join(name)).unwrap(), text);
    }
}

#[test]
fn one_that_cannot_be_written_is_told_and_keeps_no_other_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::create_dir_all(at.join("README.txt/full")).unwrap();
    let error = write(at, &contents(&[("README.txt", "r"), ("config.toml", "c")], None)).unwrap_err();
    assert!(error.to_string().starts_with("README.txt cannot be written"), "{error}");
    assert_eq!(fs::read_to_string(at.join("config.toml")).unwrap(), "c");
    assert!(!at.join(STAGE).exists());
    let gone = contents(&[("a", "a")], Some(at.join("no such program")));
    assert!(write(at, &gone).is_err());
    assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "a");
}

#[test]
fn it_stops_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = AtomicBool::new(true);
    assert!(write_all(directory.path(), &contents(&[("a", "a")], None), &stopped).is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
