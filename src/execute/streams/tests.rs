//! What becomes of streams: side by side, and each by itself.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::execute::{Context, Tally};
use crate::model::Guid;
use crate::plan::Phase;
use crate::plan::testing::{EXPORTED, World, name, policy};
use crate::process::{Cancel, Output, Runner, Tool};
use crate::zfs::Client;

/// A host where every receive works, but for the ones that are named.
#[derive(Default)]
struct Host {
    fails: Option<&'static str>,
    breaks: Option<&'static str>,
    running: Mutex<BTreeSet<String>>,
    most: AtomicUsize,
}

impl Runner for Host {
    fn run(&self, command: &Invocation, _cancel: &Cancel) -> Result<Output, RunError> {
        panic!("nothing else is asked: {command}");
    }

    fn pipe(
        &self,
        _send: &Invocation,
        receive: &Invocation,
        watch: &mut dyn FnMut(u64) -> Watch,
        _cancel: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        let into = receive.args.last().cloned().unwrap_or_default();
        assert!(self.running.lock().unwrap().insert(into.clone()), "two streams into {into}");
        self.most.fetch_max(self.running.lock().unwrap().len(), Ordering::Relaxed);
        // A busy machine may start the others late.
        let started = Instant::now();
        while self.most.load(Ordering::Relaxed) < AT_ONCE && started.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(watch(7), Watch::Continue);
        self.running.lock().unwrap().remove(&into);
        assert!(self.breaks.is_none_or(|name| !into.ends_with(name)), "a bug");
        let code = i32::from(self.fails.is_some_and(|name| into.ends_with(name)));
        Ok(PipeOutput {
            send: Exit::Code(0),
            receive: Exit::Code(code),
            send_stderr: String::new(),
            receive_stderr: String::new(),
            bytes: 7,
        })
    }
}

/// Counts the streams that are said to begin.
#[derive(Default)]
struct Begun(AtomicUsize);

impl Sink for Begun {
    fn event(&self, event: Event) {
        self.0.fetch_add(usize::from(matches!(event, Event::SendStarted { .. })), Ordering::Relaxed);
    }
}

/// Sends an increment for each of ten datasets, and says which are still going on afterwards.
fn send_ten(host: &Host, cancel: &Cancel) -> (Vec<(String, State)>, Bytes) {
    send_and_tell(host, cancel, &Begun::default())
}

fn send_and_tell(host: &Host, cancel: &Cancel, sink: &Begun) -> (Vec<(String, State)>, Bytes) {
    let mut world = World::new();
    for number in 0..10 {
        let at = number * 10;
        let history = format!("@a,{} @b,{}", at + 1, at + 2);
        let source = format!("tank/data/d{number}");
        world = world
            .source(&source, &history)
            .target(&format!("backup/eds/d{number}"), &format!("@a,{}", at + 1));
    }
    let world = world.source("tank/data", "").placeholder("backup/eds");
    let plan = world.plan(&[policy()]);
    let context = Context {
        client: Client::new(host, cancel),
        sink,
        pool: name("backup"),
        drive: Guid(7),
        afterwards: EXPORTED,
        foreboding: Duration::ZERO,
        errors_before: 0,
        holds_left: false,
    };
    let tally = Tally { states: vec![State::Running; plan.datasets.len()], ..Tally::default() };
    let steps: Vec<_> = plan.phase(Phase::Send).map(|(index, step)| (index, step.clone())).collect();
    assert_eq!(steps.len(), 10);
    let mut execution = Execution { context: &context, plan: &plan, tally, holds_left: false };
    execution.send(&steps);
    let states = execution.tally.states.into_iter();
    let ended = plan.datasets.iter().map(|dataset| dataset.target.to_string()).zip(states);
    (ended.filter(|(_, state)| *state != State::Running).collect(), execution.tally.sent)
}

#[test]
fn four_streams_run_at_once_and_one_that_fails_ends_its_own_dataset_only() {
    let host = Host { fails: Some("d3"), ..Host::default() };
    let (ended, sent) = send_ten(&host, &Cancel::new());
    assert_eq!(ended, [("backup/eds/d3".to_owned(), State::Failed)]);
    assert_eq!((host.most.into_inner(), sent), (AT_ONCE, Bytes(70)));
}

#[test]
fn what_a_thread_that_broke_had_sent_does_not_count_as_sent() {
    let host = Host { breaks: Some("d0"), ..Host::default() };
    let (ended, _) = send_ten(&host, &Cancel::new());
    assert_eq!(ended[0], ("backup/eds/d0".to_owned(), State::Failed));
}

/// Also of those that may run side by side with the one that lost it.
#[test]
fn nothing_is_begun_nor_said_to_begin_after_the_drive_is_gone() {
    let (host, begun) = (Host::default(), Begun::default());
    let cancel = Cancel::new().watching(|| Some("it was removed".to_owned()));
    let (ended, sent) = send_and_tell(&host, &cancel, &begun);
    assert!(ended.iter().all(|(_, state)| *state == State::Lost) && ended.len() >= 10, "{ended:?}");
    assert_eq!((begun.0.into_inner(), host.most.into_inner(), sent), (0, 0, Bytes(0)));
    let (host, begun) = (Host::default(), Begun::default());
    let seen = std::sync::Arc::new(AtomicUsize::new(0));
    let looks = std::sync::Arc::clone(&seen);
    // Gone while the first ones run: it is looked once before each of them.
    let lost = move || (looks.fetch_add(1, Ordering::Relaxed) > 7).then(|| "it was removed".to_owned());
    let _ = send_and_tell(&host, &Cancel::new().watching(lost), &begun);
    assert!(begun.0.into_inner() < 10, "all were said to begin");
}

#[test]
fn nothing_is_begun_after_somebody_asked_to_stop() {
    let (host, cancel) = (Host::default(), Cancel::new());
    cancel.request(15);
    let (ended, sent) = send_ten(&host, &cancel);
    assert!(ended.iter().all(|(_, state)| *state == State::Interrupted) && ended.len() == 10, "{ended:?}");
    assert_eq!((host.most.into_inner(), sent), (0, Bytes(0)));
}

#[test]
fn both_exit_codes_count_and_a_broken_pipe_is_not_told() {
    let send = Invocation::new(Tool::Zfs, ["send", "a@b"], Duration::ZERO);
    let receive = Invocation::new(Tool::Zfs, ["receive", "c"], Duration::ZERO);
    let output = |send, receive, send_says: &str, receive_says: &str| PipeOutput {
        send,
        receive,
        send_stderr: send_says.into(),
        receive_stderr: receive_says.into(),
        bytes: 0,
    };
    let table = [
        (output(Exit::Code(0), Exit::Code(0), "", "warning"), None),
        (
            output(Exit::Code(1), Exit::Code(0), "gone", ""),
            Some("`zfs send a@b` failed with exit code 1: gone"),
        ),
        (
            output(Exit::Signal(13), Exit::Code(1), "", "out of\n space"),
            Some(
                "the drive is full, or a quota on it was reached, in mid-send: `zfs receive c` says “out of space”.",
            ),
        ),
        (
            output(Exit::Code(0), Exit::Code(1), "", "it is busy"),
            Some("`zfs receive c` failed with exit code 1: it is busy"),
        ),
        (
            output(Exit::Code(0), Exit::Code(1), "", ""),
            Some("`zfs receive c` failed with exit code 1: no message"),
        ),
    ];
    for (output, expected) in table {
        let judged = judge(&send, &receive, &output);
        let begins = |begin: &str| judged.as_deref().is_some_and(|text| text.starts_with(begin));
        assert!(expected.map_or(judged.is_none(), begins), "{judged:?}");
    }
}
