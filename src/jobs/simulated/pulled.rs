//! A drive that is pulled out, and a kernel that answers nothing any more.

use std::sync::Mutex;
use std::time::Duration;

use crate::event::{Then, Unplug};
use crate::process::{Cancel, Invocation, Output, PipeOutput, RunError, Runner, Watch};
use crate::sim::Host;
use crate::sim::fault::late;

use super::setting::{clean_run, invariants_hold, new_host, outcome, run_and_wait};

/// The drive is pulled out when this command is run; all others come to this from then on.
struct Pulled<'a> {
    host: &'a Host,
    at: &'a str,
    then: fn(&Invocation) -> RunError,
    /// What was asked after that.
    asked: Mutex<Option<Vec<String>>>,
}

impl Runner for Pulled<'_> {
    fn run(&self, command: &Invocation, cancel: &Cancel) -> Result<Output, RunError> {
        let mut asked = self.asked.lock().unwrap();
        if let Some(asked) = &mut *asked {
            asked.push(command.to_string());
            return Err((self.then)(command));
        }
        if command.to_string().starts_with(self.at) {
            self.host.drives.pull_out();
            *asked = Some(Vec::new());
            return Err(RunError::Cancelled);
        }
        self.host.run(command, cancel)
    }

    fn pipe(
        &self,
        send: &Invocation,
        receive: &Invocation,
        watch: &mut dyn FnMut(u64) -> Watch,
        cancel: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        self.host.pipe(send, receive, watch, cancel)
    }
}

/// What is asked after the drive was pulled out of its export, and how it ends.
fn pulled_out_of_its_export(host: &Host, then: fn(&Invocation) -> RunError) -> (Vec<String>, Unplug) {
    let pulled = Pulled { host, at: "zpool export", then, asked: Mutex::default() };
    let summary = run_and_wait(&pulled, &host.drives.root(), Duration::from_secs(60)).unwrap();
    (pulled.asked.into_inner().unwrap().unwrap(), summary.unplug)
}

/// Pulled out of its export, a drive took the lists of all pools along, and the run waited for an answer to each of the
/// questions by which the source is let go.
#[test]
fn when_no_tool_answers_after_a_pull_one_question_is_enough() {
    let host = new_host();
    let before = host.state();
    let (asked, unplug) = pulled_out_of_its_export(&host, late);
    assert!(matches!(unplug, Unplug::Gone { then: Then::Restart, .. }), "{unplug:?}");
    assert!(asked.len() == 1 && asked[0].starts_with("zpool list"), "{asked:?}");
    invariants_hold(&before, &host.state()).unwrap();
    clean_run(&host);
    outcome(&host.state()).is_tidy().unwrap();
}

/// Somebody who pressed Ctrl-C meanwhile was told to restart the computer.
#[test]
fn a_run_that_is_stopped_after_a_pull_asks_for_no_restart() {
    let host = new_host();
    let (asked, unplug) = pulled_out_of_its_export(&host, |_| RunError::Cancelled);
    assert!(matches!(unplug, Unplug::Gone { then: Then::PlugIn, .. }), "{unplug:?}");
    assert!(asked.len() > 1, "the source was not let go: {asked:?}");
}

/// What changes a pool when its drive goes, such as a prune, keeps the pool locked, and with it the list of all pools: before the
/// kernel goes on with it, that list is not asked for.
#[test]
fn the_list_of_pools_is_not_waited_for_before_the_drive_is_back() {
    let host = new_host();
    let before = host.state();
    host.drives.tell_guids();
    let pulled = Pulled { host: &host, at: "zfs list -Hp -d 0", then: late, asked: Mutex::default() };
    let summary = run_and_wait(&pulled, &host.drives.root(), Duration::from_millis(10)).unwrap();
    let asked = pulled.asked.into_inner().unwrap().unwrap();
    assert!(matches!(summary.unplug, Unplug::Gone { then: Then::PlugIn, .. }), "{:?}", summary.unplug);
    assert!(!asked.iter().any(|command| command.starts_with("zpool list")), "{asked:?}");
    // The source is let go all the same.
    assert!(asked.iter().any(|command| command.starts_with("zfs list")), "{asked:?}");
    invariants_hold(&before, &host.state()).unwrap();
}
