use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const GUID: Guid = Guid(11_906_027_114_410_063_854);

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(directory.path().join("zferry"));
    (directory, store)
}

fn with_file(content: &[u8]) -> (tempfile::TempDir, Store) {
    let (directory, store) = store();
    fs::create_dir(&store.directory).unwrap();
    fs::write(store.path("t7"), content).unwrap();
    (directory, store)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn summary(done: usize, failed: usize, interrupted: bool, unplug: Unplug) -> Summary {
    Summary {
        fault: crate::event::Fault::None,
        drive: "t7".to_owned(),
        done,
        failed,
        warnings: 1,
        snapshots: 12,
        pruned: 4,
        sent: Bytes(312 << 20),
        took: Duration::from_secs(72),
        interrupted,
        unplug,
    }
}

fn run(second: i64, failed: usize) -> RunRecord {
    let safe = Unplug::Safe { powered_off: true };
    RunRecord::new(&summary(5, failed, false, safe), at(second), at(second + 72))
}

fn remembered(runs: i64) -> DriveState {
    let mut state = DriveState::empty("t7", GUID);
    (0..runs).for_each(|number| state.record(run(number * 100, 0)));
    state
}

#[test]
fn what_is_saved_is_loaded_again() {
    let (_directory, store) = store();
    let state = remembered(3);
    store.save(&state).unwrap();
    let loaded = store.load("t7", GUID);
    assert_eq!(loaded.state, state);
    assert!(loaded.warning.is_none());
}

#[test]
fn nothing_is_remembered_of_a_drive_that_never_was_here() {
    let (_directory, store) = store();
    let loaded = store.load("t7", GUID);
    assert_eq!(loaded.state, DriveState::empty("t7", GUID));
    assert!(loaded.warning.is_none());
    assert!(!store.directory.exists(), "loading changes nothing");
}

#[test]
fn what_is_known_of_a_copy_is_replaced_and_of_the_others_kept() {
    let (_directory, store) = store();
    let copy = |dataset, snapshot| KnownCopy { dataset: Guid(dataset), snapshot: Guid(snapshot) };
    let mut state = remembered(1);
    state.record_copies(vec![copy(1, 10), copy(2, 20)]);
    state.record_copies(vec![copy(2, 21), copy(3, 30)]);
    store.save(&state).unwrap();
    assert_eq!(store.load("t7", GUID).state.copies, [copy(1, 10), copy(2, 21), copy(3, 30)]);
}

#[test]
fn the_last_fifty_runs_are_kept_and_a_failure_does_not_move_the_last_success() {
    let mut state = remembered(60);
    state.record(run(9000, 1));
    assert_eq!(state.runs.len(), RUNS);
    assert_eq!(state.runs[0].started, at(1100));
    assert_eq!(state.last_run, Some(run(9000, 1)));
    assert_eq!(state.last_success, Some(at(5972)));
}

#[test]
fn a_run_is_complete_only_when_nothing_failed_and_the_drive_was_left_well() {
    let safe = || Unplug::Safe { powered_off: false };
    let busy = || Unplug::Unsafe { why: "busy".to_owned() };
    let table = [
        (summary(5, 0, false, safe()), Outcome::Complete),
        (
            summary(5, 0, false, Unplug::LeftImported { first: "zferry eject t7".to_owned() }),
            Outcome::Complete,
        ),
        (summary(5, 1, false, safe()), Outcome::Partial),
        (summary(5, 0, false, busy()), Outcome::Partial),
        (summary(0, 5, false, safe()), Outcome::Failed),
        (summary(0, 0, false, Unplug::Untouched), Outcome::Failed),
        (summary(5, 0, true, safe()), Outcome::Interrupted),
        (summary(0, 1, true, busy()), Outcome::Interrupted),
    ];
    for (summary, outcome) in table {
        assert_eq!(RunRecord::new(&summary, at(0), at(72)).outcome, outcome, "{summary:?}");
    }
}

#[test]
fn whatever_cannot_be_read_is_a_warning_and_counts_as_nothing() {
    let whole = serde_json::to_vec(&remembered(2)).unwrap();
    let mut huge = whole.clone();
    huge.resize(MAX_SIZE as usize + 1, b' ');
    let table: [(&str, &[u8], &str); 9] = [
        ("empty", b"", "is damaged (EOF"),
        ("truncated", &whole[..whole.len() / 2], "is damaged (EOF"),
        ("garbage", b"\x00\x01\x02", "is damaged"),
        ("not UTF-8", b"{\"version\":1,\"drive\":\"\xff\"}", "is damaged"),
        ("another form", b"[1,2]", "is damaged"),
        ("version 0", b"{\"version\":0}", "is damaged (version 0"),
        ("fields missing", b"{\"version\":1}", "is damaged (missing field"),
        ("too large", &huge, "is damaged (larger than 8.00 MiB"),
        ("deeply nested", &[b'['; 100_000], "is damaged"),
    ];
    for (name, content, warning) in table {
        let (_directory, store) = with_file(content);
        let loaded = store.load("t7", GUID);
        assert_eq!(loaded.state, DriveState::empty("t7", GUID), "{name}");
        let text = loaded.warning.unwrap().to_string();
        assert!(text.contains(warning), "{name}: {text}");
        store.save(&loaded.state).unwrap();
        assert!(store.load("t7", GUID).warning.is_none(), "{name}: saving mends it");
    }
}

#[test]
fn a_directory_in_place_of_the_file_is_a_warning_both_ways() {
    let (_directory, store) = store();
    fs::create_dir_all(store.path("t7")).unwrap();
    assert!(matches!(store.load("t7", GUID).warning, Some(StateWarning::Unreadable { .. })));
    assert!(matches!(store.save(&remembered(1)), Err(StateWarning::Unwritable { .. })));
    let left: Vec<_> =
        fs::read_dir(&store.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["t7.json"], "no temporary file is left");
}

#[test]
fn what_is_remembered_of_another_pool_is_not_believed() {
    let (_directory, store) = store();
    store.save(&remembered(2)).unwrap();
    let loaded = store.load("t7", Guid(1));
    assert_eq!(loaded.state, DriveState::empty("t7", Guid(1)));
    assert!(matches!(loaded.warning, Some(StateWarning::OtherPool { found: GUID, .. })));
}

#[test]
fn a_file_that_says_another_drives_name_is_not_written_to_that_drives_file() {
    for name in ["other", "../../etc/passwd", "\u{1b}[2J"] {
        let mut state = serde_json::to_value(remembered(2)).unwrap();
        state["drive"] = name.into();
        let (_directory, store) = with_file(state.to_string().as_bytes());
        let loaded = store.load("t7", GUID);
        assert_eq!((loaded.state.drive.as_str(), loaded.state.runs.len()), ("t7", 2));
        store.save(&loaded.state).unwrap();
        assert_eq!(fs::read_dir(&store.directory).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn a_newer_file_is_read_as_far_as_understood_and_never_written() {
    let state = remembered(2);
    let mut newer = serde_json::to_value(&state).unwrap();
    newer["version"] = 2.into();
    newer["runs"][0]["outcome"] = "postponed".into();
    newer["more"] = true.into();
    let (_directory, store) = with_file(newer.to_string().as_bytes());
    let loaded = store.load("t7", GUID);
    assert!(matches!(loaded.warning, Some(StateWarning::Newer { version: 2, .. })));
    assert_eq!(loaded.state.runs[0].outcome, Outcome::Unknown);
    assert_eq!(loaded.state.last_success, state.last_success);
    for state in [loaded.state, state] {
        assert!(matches!(store.save(&state), Err(StateWarning::Newer { version: 2, .. })));
    }
    let (_directory, store) = with_file(b"{\"version\":99999999999,\"pools\":{}}");
    let loaded = store.load("t7", GUID);
    assert_eq!(loaded.state, DriveState::empty("t7", GUID));
    assert!(matches!(loaded.warning, Some(StateWarning::Newer { version: 99_999_999_999, .. })));
    assert!(matches!(store.save(&loaded.state), Err(StateWarning::Newer { .. })));
}

#[test]
fn everybody_may_read_it_and_nothing_else_is_left_in_the_directory() {
    let (_directory, store) = store();
    store.save(&remembered(1)).unwrap();
    store.save(&remembered(2)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&store.directory), 0o755);
    assert_eq!(mode(&store.path("t7")), 0o644);
    assert_eq!(fs::read_dir(&store.directory).unwrap().count(), 1);
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let store = Store::new("/var/lib/zferry");
    for name in ["../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b"] {
        let path = store.path(name);
        assert_eq!(path.parent(), Some(Path::new("/var/lib/zferry")), "{name}");
        assert!(path.as_os_str().as_bytes().ends_with(b".json"));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(Path::new("t7.json"), &bytes, GUID);
    }

    #[test]
    fn a_valid_file_with_any_byte_changed_is_read_or_warned_of(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = serde_json::to_vec(&remembered(2)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = parse(Path::new("t7.json"), &bytes, GUID);
    }
}

#[test]
fn a_file_from_before_scrubs_were_remembered_is_read_and_a_scrub_is_kept_by_later_runs() {
    let old = format!(
        r#"{{"version":1,"drive":"t7","pool_guid":"{GUID}","last_run":null,"last_success":null,"runs":[],"copies":[]}}"#
    );
    let (_directory, store) = with_file(old.as_bytes());
    let loaded = store.load("t7", GUID);
    assert!(loaded.warning.is_none(), "{:?}", loaded.warning);
    assert_eq!(
        (loaded.state.last_scrub, loaded.state.last_rehearsal, loaded.state.fullness.len()),
        (None, None, 0)
    );
    let mut state = loaded.state;
    for second in 0..60 {
        state.record_fullness(Some(Fullness { at: at(second), used: Bytes(1), size: Bytes(2) }));
    }
    state.record_fullness(None);
    assert_eq!((state.fullness.len(), state.fullness[0].at), (RUNS, at(10)));
    state.last_scrub = Some(ScrubRecord { ended: at(7), errors: 2 });
    store.save(&state).unwrap();
    let mut later = store.load("t7", GUID).state;
    later.record(run(100, 0));
    store.save(&later).unwrap();
    assert_eq!(store.load("t7", GUID).state.last_scrub, state.last_scrub);
}
