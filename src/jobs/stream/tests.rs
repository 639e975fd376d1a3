//! Which file is given to ZFS, when, and when none is. The tools answer by rote; what ZFS does with the bytes is tried in the
//! lab.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;

use super::*;
use crate::config::Stream;
use crate::drive::Root;
use crate::event::{Event, Sink};
use crate::jobs::Environment;
use crate::model::Keep;
use crate::plan::files::Wanted;
use crate::process::{Cancel, System};
use crate::state::Store;
use crate::stream::imitation::one;

mod files;

/// A `zfs` that takes what it is given, and knows of it what was given: the names of the files are in their bytes.
const ANSWER: &str = r#"
case "$*" in
list*) cat "$here/there" 2>/dev/null || { echo "cannot open 'rpool/new': dataset does not exist" >&2; exit 1; } ;;
receive*)
    [ -e "$here/there" ] || printf 'rpool/new\t1\t9\n' > "$here/there"
    cat > "$here/taken"
    printf 'rpool/new@x\t%s\t9\n' "$(cksum < "$here/taken" | cut -d' ' -f1)" >> "$here/there"
    cat "$here/taken" >> "$here/all"
    [ ! -e "$here/fail" ] || { echo "cannot receive: out of space" >&2; exit 1; } ;;
esac
"#;

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Sink for Told {
    fn event(&self, event: Event) {
        if let Event::Warning { text } | Event::Note { text } = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

struct Host {
    directory: tempfile::TempDir,
    told: Told,
    cancel: Cancel,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-tool.sh"), directory.path().join("zfs"))
            .unwrap();
        fs::write(directory.path().join("answer"), ANSWER).unwrap();
        fs::create_dir(directory.path().join("files")).unwrap();
        Self { directory, told: Told::default(), cancel: Cancel::new() }
    }

    /// A file with a stream of `pool/diary`, made at this second.
    fn file(&self, name: &str, snapshot: &str, from: u64, to: u64) -> Vec<u8> {
        let bytes = one(&format!("pool/diary@{snapshot}"), from, to, to * 86_400);
        fs::write(self.at(name), &bytes).unwrap();
        bytes
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join("files").join(name)
    }

    fn restore(&self, from: &[&str], at: Option<&str>) -> Result<(), String> {
        let request = RestoreRequest {
            into: "rpool/new".parse().unwrap(),
            from: from.iter().map(|name| self.at(name)).collect(),
            wanted: at.map_or(Wanted::Newest, |at| Wanted::AsOf(at.to_owned())),
            dataset: None,
        };
        let system = self.system();
        self.with(|env| restore(&request, env, &system)).map_err(|error| crate::execute::chain(&error))
    }

    fn system(&self) -> System {
        System::with_directories(vec![self.directory.path().to_owned()])
    }

    fn with<T>(&self, work: impl FnOnce(&Environment<'_>) -> T) -> T {
        let system = self.system();
        let locks = self.directory.path().join("locks");
        work(&Environment {
            runner: &system,
            cancel: &self.cancel,
            root: &Root::imitation(self.directory.path().join("root")),
            sink: &self.told,
            ask: &crate::execute::luks::nobody,
            clock: &|| Timestamp::from_second(100 * 86_400).unwrap(),
            zone: &jiff::tz::TimeZone::UTC,
            store: &Store::new(self.directory.path().join("state")),
            locks: &locks,
            ending: &|_| crate::live::Ending::default(),
            interactive: false,
        })
    }

    /// What saves to the directory with the files.
    fn stream(&self, keep: Keep) -> Stream {
        let directory = self.at("");
        let text =
            format!("[streams.diary]\nsource = \"pool/diary\"\ndirectory = \"{}\"\n", directory.display());
        let mut stream = crate::config::parse(&text, Path::new("c"), "h").unwrap().streams.remove(0);
        stream.policy.keep = Some(keep);
        stream
    }

    /// The bytes that ZFS was given, of all files together.
    fn received(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("all")).unwrap_or_default()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default()
    }
}

#[test]
fn files_are_received_in_the_order_of_their_guids_whatever_they_are_called() {
    let host = Host::new();
    let last = host.file("a", "c", 2, 3);
    let first = host.file("b", "a", 0, 1);
    let middle = host.file("c", "b", 1, 2);
    // What was received is not what the tool says of it, and that is not believed.
    let error = host.restore(&[""], None).unwrap_err();
    assert_eq!(error, "rpool/new is not what it should be: its newest snapshot is not pool/diary@c");
    assert_eq!(host.received(), [first, middle, last].concat());
    let calls = host.calls();
    let receives: Vec<_> = calls.lines().filter(|line| line.contains("receive")).collect();
    assert_eq!(
        receives,
        [
            "zfs receive -u -o org.zferry:restoring=3 rpool/new",
            "zfs receive -u rpool/new",
            "zfs receive -u rpool/new"
        ]
    );
}

#[test]
fn of_two_snapshots_of_one_second_that_is_newest_which_goes_on_from_the_other() {
    let host = Host::new();
    for (name, snapshot, from, to) in [("a", "b", 1, 2), ("b", "a", 0, 1), ("c", "c", 2, 3)] {
        fs::write(host.at(name), one(&format!("pool/diary@{snapshot}"), from, to, 86_400)).unwrap();
    }
    let error = host.restore(&[""], None).unwrap_err();
    assert!(error.ends_with("newest snapshot is not pool/diary@c"), "{error}");
}

#[test]
fn nothing_is_received_when_any_file_of_the_chain_is_damaged_or_missing() {
    let host = Host::new();
    host.file("a", "a", 0, 1);
    let mut bytes = host.file("b", "b", 1, 2);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(host.at("b"), &bytes).unwrap();
    let error = host.restore(&[""], None).unwrap_err();
    assert!(error.contains("is not what `zfs send` wrote: nothing of it was received: record "), "{error}");
    // An earlier state does not need it.
    assert!(host.restore(&[""], Some("a")).unwrap_err().contains("is not what it should be"));
    let host = Host::new();
    host.file("b", "b", 1, 2);
    let error = host.restore(&[""], None).unwrap_err();
    assert!(error.contains("needs the snapshot with the guid 1, and no file has it"), "{error}");
    assert!(host.received().is_empty());
}

#[test]
fn what_is_there_is_not_touched_unless_an_earlier_restore_left_it() {
    let host = Host::new();
    host.file("a", "a", 0, 1);
    let last = host.file("b", "b", 1, 2);
    let there = host.directory.path().join("there");
    fs::write(&there, "rpool/new\t7\t-\nrpool/new@a\t1\t-\n").unwrap();
    assert!(host.restore(&[""], None).unwrap_err().starts_with("rpool/new exists already"));
    fs::write(&there, "rpool/new\t7\t2\nrpool/new@a\t1\t2\n").unwrap();
    host.restore(&["a", "b"], None).unwrap_err();
    assert_eq!(host.received(), last);
    // All of it is there: it only still says that it is not.
    fs::write(&there, "rpool/new\t7\t2\nrpool/new@a\t1\t2\nrpool/new@b\t2\t2\n").unwrap();
    host.restore(&[""], None).unwrap();
    assert!(host.calls().ends_with("zfs inherit org.zferry:restoring rpool/new\n"), "{}", host.calls());
}

#[test]
fn a_file_that_was_named_is_used_or_refused_and_one_that_lies_about_is_told() {
    let host = Host::new();
    host.file("a", "a", 0, 1);
    host.file("b", "b", 1, 2);
    fs::write(host.at("list.txt"), "no stream").unwrap();
    fs::write(host.at(".aside"), "no stream").unwrap();
    let error = host.restore(&["a", "b"], Some("a")).unwrap_err();
    assert!(error.ends_with("b cannot be used: pool/diary@a is made without it"), "{error}");
    assert!(host.restore(&["a", "list.txt"], None).unwrap_err().contains("list.txt is not what"));
    assert!(host.restore(&["none"], None).unwrap_err().contains("none cannot be read"));
    assert!(host.received().is_empty());
    host.restore(&[""], None).unwrap_err();
    let told = host.told.0.lock().unwrap().join("\n");
    assert!(told.contains("list.txt is left out: record 1, at byte 0: "), "{told}");
    assert!(!told.contains(".aside"), "{told}");
}

#[test]
fn what_zfs_does_not_take_is_told_with_its_words() {
    let host = Host::new();
    host.file("a", "a", 0, 1);
    host.file("b", "b", 1, 2);
    fs::write(host.directory.path().join("fail"), "").unwrap();
    let error = host.restore(&[""], None).unwrap_err();
    assert!(
        error.contains("a was not received into rpool/new: ") && error.ends_with("out of space"),
        "{error}"
    );
    let host = Host::new();
    host.file("a", "a", 0, 1);
    host.cancel.request(2);
    assert_eq!(host.restore(&[""], None).unwrap_err(), "interrupted");
    assert!(host.received().is_empty());
}
