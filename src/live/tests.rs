use std::path::Path;

use super::follow::{Follower, News};
use super::public::{FILE, Overdue, State, Status};
use super::record::{Recording, Run};
use super::*;
use crate::event::Silence;
use crate::event::Sink as _;
use crate::model::{Guid, PoolName};
use crate::report::fixtures::{finished, one_of_each};

fn noon() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000).unwrap()
}

fn begin<'a>(directory: &'a Path, pool: &PoolName, (drive, guid): (&str, u64)) -> Recording<'a> {
    let run = Run { drive, pool, guid: Guid(guid), owner: "process 12, since noon", began: noon() };
    Recording::begin(&Silence, directory, run)
}

fn all(follower: &mut Follower) -> Vec<News> {
    std::iter::from_fn(|| follower.news().unwrap()).collect()
}

fn status(directory: &Path) -> Status {
    serde_json::from_slice(&std::fs::read(directory.join(FILE)).unwrap()).unwrap()
}

#[test]
fn whoever_looks_on_sees_every_event_and_the_end_as_they_were() {
    let (directory, pool) = (tempfile::tempdir().unwrap(), "backup".parse().unwrap());
    let recording = begin(directory.path(), &pool, ("t7", 7));
    let open = |owner| Follower::open(directory.path(), Guid(7), owner).unwrap();
    assert!(open("process 13, since noon; it backs up").is_none(), "the record of another run");
    let mut follower = open("process 12, since noon; it backs up").unwrap();
    assert_eq!(follower.news().unwrap(), None);
    let events: Vec<Event> = one_of_each().into_iter().map(|(event, _)| event).collect();
    for event in &events {
        recording.event(event.clone());
    }
    let mut expected: Vec<News> = events.into_iter().map(News::Event).collect();
    assert_eq!(all(&mut follower), expected);
    let ending = Ending { code: 1, error: vec!["it failed".to_owned()], hints: vec!["try again".to_owned()] };
    recording.ended(ending.clone(), noon());
    assert_eq!(all(&mut follower), [News::Ended(ending.clone())]);
    // Who comes late sees all of it.
    expected.push(News::Ended(ending));
    assert_eq!(all(&mut open("process 12, since noon").unwrap()), expected);
}

#[test]
fn a_line_that_is_half_written_or_unknown_is_not_read() {
    let (directory, pool) = (tempfile::tempdir().unwrap(), "backup".parse().unwrap());
    let _recording = begin(directory.path(), &pool, ("t7", 7));
    let mut follower = Follower::open(directory.path(), Guid(7), "process 12, since noon").unwrap().unwrap();
    let append = |text: &str| {
        use std::io::Write as _;
        let mut file = std::fs::File::options().append(true).open(directory.path().join("7.events")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("{\"event\":{\"event\":\"from-the-future\"}}\nnonsense\n{\"ended\":{\"co");
    assert_eq!(all(&mut follower), []);
    append("de\":3}}\n");
    assert_eq!(all(&mut follower), [News::Ended(Ending { code: 3, ..Ending::default() })]);
}

#[test]
fn the_public_status_has_every_drive_and_how_it_is() {
    let (directory, pool) = (tempfile::tempdir().unwrap(), "backup".parse().unwrap());
    let now = || status(directory.path()).drives.into_iter().map(|drive| (drive.drive, drive.state));
    begin(directory.path(), &pool, ("t7", 7)).ended(Ending { code: 143, ..Ending::default() }, noon());
    let recording = begin(directory.path(), &pool, ("attic", 8));
    let two = [("attic".to_owned(), State::Running), ("t7".to_owned(), State::Interrupted)];
    assert_eq!(now().collect::<Vec<_>>(), two);
    recording.event(finished());
    recording.ended(Ending::default(), noon());
    let attic = status(directory.path()).drives.swap_remove(0);
    assert_eq!((attic.state, attic.exit, attic.ended), (State::Succeeded, Some(0), Some(noon())));
    assert!(attic.unplug.is_some() && attic.message.contains("Safe to unplug"), "{attic:?}");
    // One that cannot be read is written anew.
    std::fs::write(directory.path().join(FILE), "{\"v\":").unwrap();
    begin(directory.path(), &pool, ("t7", 7)).ended(Ending { code: 75, ..Ending::default() }, noon());
    assert_eq!(now().collect::<Vec<_>>(), [("t7".to_owned(), State::NotNow)]);
}

#[test]
fn the_public_status_tells_what_somebody_else_has_to_know() {
    let (directory, pool) = (tempfile::tempdir().unwrap(), "backup".parse().unwrap());
    let now = || status(directory.path()).drives.swap_remove(0);
    let recording = begin(directory.path(), &pool, ("t7", 7));
    assert!(!now().found);
    for (event, _) in one_of_each() {
        let found = matches!(event, Event::Found { .. });
        let lost = matches!(event, Event::Lost { .. });
        let wanted = matches!(event, Event::Waiting { .. } | Event::WaitingForReplug { .. });
        recording.event(event);
        assert!(!found || now().found);
        assert!(!lost || now().lost.is_some());
        assert!(!wanted || now().wanted.is_some());
    }
    let imported =
        Event::Imported { pool: "backup".parse().unwrap(), how: crate::event::ImportHow::Recovered };
    recording.event(imported);
    assert_eq!((now().lost, now().wanted), (None, None), "it is back");
    let problems = now().problems;
    assert!(!problems.is_empty() && problems.len() <= 3, "{problems:?}");
    recording.event(finished());
    recording.ended(Ending { code: 1, error: Vec::new(), hints: vec!["try".to_owned()] }, noon());
    let end = now();
    assert!(end.account.as_ref().is_some_and(|text| text.starts_with("t7: ")), "{end:?}");
    assert!(!end.account.unwrap().contains("unplug") && end.message.contains("unplug"));
    assert_eq!(end.hints, ["try"]);
}

#[test]
fn what_gets_no_run_and_what_is_overdue_is_public_too() {
    let (directory, pool) = (tempfile::tempdir().unwrap(), "backup".parse().unwrap());
    let here = directory.path();
    let overdue =
        |guid| Overdue { drive: "t7".to_owned(), guid: Guid(guid), at: noon(), message: "15 d".to_owned() };
    public::overdue(here, Guid(7), Some(overdue(7)));
    public::overdue(here, Guid(8), Some(overdue(8)));
    public::overdue(here, Guid(8), None);
    public::unclear(here, "not TOML".to_owned(), noon());
    let all = status(here);
    assert_eq!(
        (all.overdue, all.problem.map(|problem| problem.message)),
        (vec![overdue(7)], Some("not TOML".to_owned()))
    );
    let run = Run { drive: "t7", pool: &pool, guid: Guid(7), owner: "", began: noon() };
    public::left(here, &run, &Ending { code: 78, error: vec!["wrong".to_owned()], hints: Vec::new() });
    let all = status(here);
    assert_eq!((all.drives[0].state, all.drives[0].message.as_str()), (State::Failed, "wrong"));
    assert_eq!(all.drives[0].unplug, Some(crate::event::Unplug::Untouched));
    assert_eq!(all.overdue.len(), 1, "nothing was backed up");
    assert_eq!(all.problem, None);
    let recording = begin(here, &pool, ("t7", 7));
    recording.event(finished());
    recording.ended(Ending::default(), noon());
    assert_eq!(status(here).overdue, []);
}

/// A new field must be documented.
#[test]
fn the_schema_knows_every_field_of_the_public_status() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/status-v1.schema.json")).unwrap();
    let (directory, pool) = (tempfile::tempdir().unwrap(), "backup".parse().unwrap());
    let recording = begin(directory.path(), &pool, ("t7", 7));
    for (event, _) in one_of_each() {
        recording.event(event);
    }
    recording.event(finished());
    recording.ended(Ending { code: 1, error: Vec::new(), hints: vec!["try".to_owned()] }, noon());
    let overdue = Overdue { drive: "t7".to_owned(), guid: Guid(7), at: noon(), message: "15 d".to_owned() };
    public::overdue(directory.path(), Guid(7), Some(overdue));
    public::unclear(directory.path(), "not TOML".to_owned(), noon());
    let mut written = serde_json::to_value(status(directory.path())).unwrap();
    // As long as the drive is gone.
    written["drives"][0]["lost"] = "t7 is gone".into();
    written["drives"][0]["wanted"] = "Plug in t7".into();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let documented = &schema["properties"];
    assert_eq!(keys(&written), keys(documented));
    assert_eq!(keys(&written["drives"][0]), keys(&documented["drives"]["items"]["properties"]));
    assert_eq!(keys(&written["overdue"][0]), keys(&documented["overdue"]["items"]["properties"]));
    assert_eq!(keys(&written["problem"]), keys(&documented["problem"]["properties"]));
    assert_eq!(written["v"], schema["properties"]["v"]["const"]);
}
