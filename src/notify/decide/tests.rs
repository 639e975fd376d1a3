use super::*;
use crate::event::{Then, Unplug};
use crate::live::public::{Overdue, Problem};
use crate::notify::words::escaped;
use crate::notify::{About, Lasts, Offer, Urgency};

const T7: Guid = Guid(7);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn drive(state: State) -> DriveNow {
    let over = state != State::Running;
    DriveNow {
        drive: "t7".to_owned(),
        pool: "backup".parse().unwrap(),
        guid: T7,
        state,
        began: at(0),
        ended: over.then(|| at(60)),
        found: true,
        lost: None,
        wanted: None,
        message: "Safe to unplug t7 (exported and powered off).".to_owned(),
        problems: Vec::new(),
        account: over.then(|| "t7: 2 datasets backed up, 1 min".to_owned()),
        hints: Vec::new(),
        unplug: over.then_some(Unplug::Safe { powered_off: true }),
        exit: None,
    }
}

fn status(drive: DriveNow) -> Status {
    Status { drives: vec![drive], ..Status::default() }
}

/// What is new, with everything told afterwards.
fn tell(status: &Status, alive: bool, told: &mut Told, now: i64) -> Vec<Option<Note>> {
    let news = decide(status, &|_| alive, told, at(now));
    news.iter().for_each(|news| news.fact.note(told));
    assert_eq!(decide(status, &|_| alive, told, at(now)), [], "it would be told twice");
    news.into_iter().map(|news| news.note).collect()
}

fn only(notes: Vec<Option<Note>>) -> Note {
    assert_eq!(notes.len(), 1, "{notes:?}");
    notes.into_iter().flatten().next().unwrap()
}

/// The notification of a run that is told for the first time.
fn of(drive: DriveNow) -> Note {
    only(tell(&status(drive), true, &mut Told::default(), 61))
}

#[test]
fn a_run_is_told_at_its_start_and_at_its_end_and_each_once() {
    let mut told = Told::default();
    let waiting = DriveNow { found: false, ..drive(State::Running) };
    assert_eq!(tell(&status(waiting), true, &mut told, 0), [], "the drive is not there yet");
    let start = only(tell(&status(drive(State::Running)), true, &mut told, 1));
    assert_eq!((start.title.as_str(), start.body.as_str()), ("Backing up to t7", "Do not unplug it yet."));
    assert_eq!((start.urgency, start.lasts), (Urgency::Normal, Lasts::AsUsual));
    assert_eq!(start.offer, Some(Offer::Run("t7".to_owned())));
    let sending = DriveNow { message: "Sending: 1 GiB.".to_owned(), ..drive(State::Running) };
    assert_eq!(tell(&status(sending), true, &mut told, 30), [], "how far it is, is not told");
    let end = only(tell(&status(drive(State::Succeeded)), true, &mut told, 61));
    assert_eq!(
        (end.title.as_str(), end.body.as_str()),
        ("Safe to unplug t7", "t7: 2 datasets backed up, 1 min")
    );
    assert_eq!((end.urgency, end.lasts, end.about), (Urgency::Normal, Lasts::UntilDismissed, start.about));
    assert_eq!(end.offer, Some(Offer::Log("t7".to_owned())));
    // The next one is another one.
    let next = DriveNow { began: at(900), ..drive(State::Running) };
    assert_eq!(tell(&status(next), true, &mut told, 901).len(), 1);
}

#[test]
fn safe_to_unplug_is_said_only_of_a_drive_that_is() {
    for state in [State::Succeeded, State::Failed, State::Interrupted, State::NotNow] {
        for (unplug, safe) in [
            (Some(Unplug::Safe { powered_off: true }), true),
            (Some(Unplug::Safe { powered_off: false }), true),
            (Some(Unplug::Unsafe { why: "it is busy".to_owned() }), false),
            (Some(Unplug::OthersInUse { what: "/dev/sda2 is mounted".to_owned() }), false),
            (Some(Unplug::LeftImported { first: "zferry eject t7".to_owned() }), false),
            (Some(Unplug::Gone { why: String::new(), then: Then::PlugIn }), false),
            (Some(Unplug::Untouched), false),
            (None, false),
        ] {
            let message = "something happened".to_owned();
            let note = of(DriveNow { unplug: unplug.clone(), message, ..drive(state) });
            let all = format!("{} {}", note.title, note.body);
            assert_eq!(all.contains("Safe to unplug"), safe, "{state:?} {unplug:?}: {all}");
            let busy = matches!(
                unplug,
                Some(Unplug::Unsafe { .. } | Unplug::OthersInUse { .. } | Unplug::LeftImported { .. })
            );
            assert!(!busy || all.contains("NOT unplug"), "{state:?} {unplug:?}: {all}");
            assert!(unplug.is_some() || all.contains("zferry eject t7"), "{state:?}: {all}");
        }
    }
}

#[test]
fn a_failure_is_urgent_and_tells_what_happened_and_what_to_type() {
    let note = of(DriveNow {
        problems: vec!["“rpool/home” was not backed up to “backup/eds”: no space".to_owned()],
        hints: vec!["`sudo zferry plan t7`".to_owned()],
        account: Some(
            "t7: 1 dataset backed up, 1 min. 1 of 2 datasets was not backed up; see above.".to_owned(),
        ),
        ..drive(State::Failed)
    });
    assert_eq!((note.title.as_str(), note.urgency), ("The backup to t7 failed", Urgency::Critical));
    let lines: Vec<&str> = note.body.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "Safe to unplug t7 (exported and powered off).");
    assert!(
        lines[1].contains("no space") && lines[2].contains("plan t7") && lines[3].contains("1 of 2"),
        "{lines:?}"
    );
    // Before the drive could be used.
    let early = of(DriveNow {
        unplug: None,
        account: None,
        message: "the pool was last used by another host".to_owned(),
        hints: vec!["--last-used-by=desk".to_owned()],
        ..drive(State::Failed)
    });
    assert!(early.body.starts_with("the pool was last used by another host\n"), "{early:?}");
    assert!(
        early.body.contains("zferry eject t7") && early.body.contains("--last-used-by=desk"),
        "{early:?}"
    );
}

#[test]
fn a_drive_that_is_pulled_out_is_told_at_once_and_when_it_is_back() {
    let mut told = Told::default();
    tell(&status(drive(State::Running)), true, &mut told, 1);
    let lost =
        DriveNow { lost: Some("t7 is gone: its device vanished.".to_owned()), ..drive(State::Running) };
    let note = only(tell(&status(lost.clone()), true, &mut told, 5));
    assert_eq!((note.urgency, note.lasts), (Urgency::Critical, Lasts::UntilDismissed));
    assert!(
        note.title.starts_with("Trouble with t7") && note.body == "t7 is gone: its device vanished.",
        "{note:?}"
    );
    let wanted = Some("Plug in t7 again to continue (10 min left).".to_owned());
    let note = only(tell(&status(DriveNow { wanted, ..lost }), true, &mut told, 6));
    assert!(note.body.starts_with("Plug in t7 again") && note.body.contains("is gone"), "{note:?}");
    let back = only(tell(&status(drive(State::Running)), true, &mut told, 9));
    assert_eq!(back.title, "Backing up to t7");
    assert_eq!(tell(&status(drive(State::Succeeded)), true, &mut told, 61).len(), 1);
}

#[test]
fn a_run_that_was_killed_is_told_as_cut_off() {
    let mut told = Told::default();
    tell(&status(drive(State::Running)), true, &mut told, 1);
    let note = only(tell(&status(drive(State::Running)), false, &mut told, 5));
    assert_eq!((note.title.as_str(), note.urgency), ("The backup to t7 was cut off", Urgency::Critical));
    assert!(note.body.contains("Do NOT unplug t7"), "{note:?}");
    let waiting = DriveNow { found: false, ..drive(State::Running) };
    assert_eq!(tell(&status(waiting), false, &mut Told::default(), 5), [], "it had touched nothing");
}

#[test]
fn who_logs_in_is_told_of_failures_and_of_what_is_new_and_not_of_old_successes() {
    let day = 24 * 3600;
    for (state, now, shown) in [
        (State::Succeeded, 100, true),
        (State::Succeeded, day, false),
        (State::Interrupted, day, false),
        (State::NotNow, day, false),
        (State::Failed, day, true),
        // The clock was wrong, and is not any more.
        (State::Succeeded, -day, true),
    ] {
        let notes = tell(&status(drive(state)), true, &mut Told::default(), now);
        assert_eq!(notes.len(), 1, "it is remembered either way");
        assert_eq!(notes[0].is_some(), shown, "{state:?} at {now}");
        // What was begun on the screen is ended there.
        let mut told = Told::default();
        tell(&status(drive(State::Running)), true, &mut told, 1);
        assert!(tell(&status(drive(state)), true, &mut told, now)[0].is_some(), "{state:?} at {now}");
    }
}

#[test]
fn not_now_is_told_only_of_a_drive_that_was_there() {
    let absent = DriveNow { found: false, unplug: None, ..drive(State::NotNow) };
    assert_eq!(tell(&status(absent), true, &mut Told::default(), 61), [None]);
    let soon = DriveNow {
        found: false,
        unplug: Some(Unplug::Untouched),
        message: "t7 was backed up 2 h ago, and is left as it is.".to_owned(),
        ..drive(State::Succeeded)
    };
    let note = of(soon);
    assert_eq!((note.title.as_str(), note.lasts), ("No backup to t7 now", Lasts::AsUsual));
    assert_eq!(note.body, "t7 was backed up 2 h ago, and is left as it is.");
}

#[test]
fn overdue_drives_and_what_keeps_runs_from_starting_are_told_once_each() {
    let overdue = |seconds| Overdue {
        drive: "attic".to_owned(),
        guid: Guid(8),
        at: at(seconds),
        message: "attic: the last complete run was 15 d ago.".to_owned(),
    };
    let problem = |seconds| Problem { at: at(seconds), message: "not TOML".to_owned() };
    let mut told = Told::default();
    let of =
        |overdue, problem| Status { overdue: vec![overdue], problem: Some(problem), ..Status::default() };
    let notes = tell(&of(overdue(0), problem(0)), true, &mut told, 1);
    let [Some(first), Some(second)] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!((first.about, second.about), (About::Drive(Guid(8)), About::Runs));
    assert!(first.body.contains("15 d ago") && second.body.contains("not TOML"), "{notes:?}");
    assert_eq!(tell(&of(overdue(9), problem(0)), true, &mut told, 1).len(), 1, "the next day");
    assert_eq!(tell(&of(overdue(9), problem(9)), true, &mut told, 1).len(), 1, "plugged in again");
}

#[test]
fn nothing_foreign_moves_anything_fills_the_screen_or_becomes_an_argument() {
    let bad = "\u{1b}[2J<b>x</b>\u{202e}\n\n".repeat(4000);
    let note = of(DriveNow {
        drive: format!("--help {bad}"),
        message: bad.clone(),
        problems: vec![bad.clone(); 3],
        hints: vec![bad.clone()],
        account: Some(bad),
        ..drive(State::Failed)
    });
    assert_eq!(note.offer, None);
    assert!(note.title.chars().count() <= 81 && note.body.chars().count() <= 601, "{note:?}");
    let all = format!("{}{}", note.title, note.body.replace('\n', ""));
    assert!(!all.chars().any(|c| c.is_control() || c == '\u{202e}'), "{note:?}");
    assert_eq!(escaped("a<b>&\"c"), "a&lt;b&gt;&amp;\"c");
}
