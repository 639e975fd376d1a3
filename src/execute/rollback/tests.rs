//! In which order a rollback is carried out, and where it stops.

use std::sync::Mutex;
use std::time::Duration;

use crate::event::{Event, Sink};
use crate::execute::{Context, State, execute};
use crate::model::Guid;
use crate::plan::testing::{EXPORTED, World, name, policy};
use crate::process::testing::Commands;
use crate::process::{Cancel, Exit, Invocation, Output, RunError};
use crate::zfs::Client;

/// The pool as a rollback asks about it.
#[derive(Clone, Copy)]
struct Drive {
    /// Of the base, as it is found now.
    guid: u64,
    /// What becomes of the two that are newer, newest first.
    fates: [&'static str; 2],
    /// What the head differs by afterwards.
    written: u64,
    /// Errors of the drive.
    errors: u64,
}

const SOUND: Drive = Drive { guid: 1, fates: ["0", "0"], written: 0, errors: 0 };

struct Host {
    drive: Drive,
    asked: Mutex<Vec<String>>,
    told: Mutex<Vec<Event>>,
}

impl Host {
    fn answer(&self, command: &Invocation) -> Result<Output, RunError> {
        let Drive { guid, fates, written, errors } = self.drive;
        let verb = command.args[0].as_str();
        let stdout = match (verb, command.args.iter().any(|argument| argument.contains("ivsetguid"))) {
            ("status", _) => format!(
                " state: ONLINE\nconfig:\n\n\tNAME STATE READ WRITE CKSUM\n\tbackup ONLINE 0 0 {errors}\n\nerrors: none\n"
            ),
            ("list", true) => format!("backup/eds@a\t{guid}\t7\n"),
            ("list", false) => format!("backup/eds\tbackup/eds@a\t{written}\t-\n"),
            ("program", _) if command.stdin.starts_with(b"\nargs") => {
                format!(r#"{{"return": {{"backup/eds@y": "{}", "backup/eds@x": "{}"}}}}"#, fates[0], fates[1])
            }
            _ => String::new(),
        };
        let arguments = command.args.iter().filter(|argument| argument.contains('=')).cloned();
        let short = [verb.to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ");
        self.asked.lock().unwrap().push(short);
        Ok(Output { exit: Exit::Code(0), stdout: stdout.into_bytes(), stderr: String::new() })
    }
}

impl Sink for Host {
    fn event(&self, event: Event) {
        self.told.lock().unwrap().push(event);
    }
}

/// Carries out the rollback of a copy that has two snapshots of its own and whose source has nothing new.
fn carried_out(drive: Drive, cancel: &Cancel) -> (Vec<String>, Vec<Event>, State) {
    let world = World::new().source("tank/data", "@a,1 #V,1").target("backup/eds", "@a,1 @x,8 @y,9");
    let mut policy = policy();
    policy.consents.rollback = vec![name("backup/eds")];
    let plan = world.plan(&[policy]);
    let host = Host { drive, asked: Mutex::default(), told: Mutex::default() };
    let runner = Commands(|command: &Invocation| host.answer(command));
    let context = Context {
        client: Client::new(&runner, cancel),
        sink: &host,
        pool: name("backup"),
        drive: Guid(7),
        afterwards: EXPORTED,
        foreboding: Duration::ZERO,
        errors_before: 0,
        holds_left: false,
    };
    let state = execute(&context, &plan).states.remove(0);
    (host.asked.into_inner().unwrap(), host.told.into_inner().unwrap(), state)
}

#[test]
fn what_goes_is_told_first_and_everything_is_looked_at_before_and_after() {
    let (asked, told, state) = carried_out(SOUND, &Cancel::new());
    let destroyed = "program backup/eds@y=9 backup/eds@x=8";
    assert_eq!(asked, ["status", "list", destroyed, "rollback", "list"]);
    let sentence =
        "As --rollback-target says: roll backup/eds back to @a, which destroys 2 snapshots there: @y, @x.";
    assert_eq!(told[0], Event::Note { text: sentence.to_owned() });
    assert!(matches!(&told[2], Event::Pruned { snapshots, .. } if *snapshots == ["y", "x"]), "{told:#?}");
    assert_eq!(state, State::Running);
}

#[test]
fn it_stops_at_the_first_thing_that_is_not_as_it_was_planned() {
    for (drive, last, words) in [
        (Drive { errors: 1, ..SOUND }, "status", "the drive reported errors"),
        (Drive { guid: 2, ..SOUND }, "list", "backup/eds@a is another snapshot now"),
        (
            Drive { fates: ["kept", "16"], ..SOUND },
            "program",
            "backup/eds@x was kept, since it is held or in use",
        ),
        (Drive { fates: ["guid", "kept"], ..SOUND }, "program", "backup/eds@y was kept, since it is another"),
        (Drive { written: 5, ..SOUND }, "list", "backup/eds still differs from backup/eds@a"),
    ] {
        let (asked, told, state) = carried_out(drive, &Cancel::new());
        assert!(asked.last().unwrap().starts_with(last), "{words}: {asked:?}");
        let failed = told.iter().find_map(|event| match event {
            Event::Failed { error, .. } => Some(error.clone()),
            _ => None,
        });
        assert!(failed.as_ref().is_some_and(|error| error.contains(words)), "{words}: {failed:?}");
        assert_eq!(state, State::Failed);
    }
}
