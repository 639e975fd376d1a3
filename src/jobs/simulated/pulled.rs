//! A drive that is pulled out, and a kernel that answers nothing any more.

use std::sync::Mutex;
use std::time::Duration;

use crate::event::{Then, Unplug};
use crate::process::{Cancel, Invocation, Output, PipeOutput, RunError, Runner, Watch};
use crate::sim::Host;

use super::setting::{clean_run, invariants_hold, new_host, outcome, run_and_wait};

/// The drive is pulled out when this command is run; it and all others hang from then on.
struct Hanging<'a> {
    host: &'a Host,
    at: &'a str,
    /// What was asked after that.
    asked: Mutex<Option<Vec<String>>>,
}

impl Runner for Hanging<'_> {
    fn run(&self, command: &Invocation, cancel: &Cancel) -> Result<Output, RunError> {
        let mut asked = self.asked.lock().unwrap();
        if let Some(asked) = &mut *asked {
            asked.push(command.to_string());
            return Err(RunError::Deadline { command: command.to_string(), deadline: command.deadline });
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

/// Pulled out of its export, a drive took the lists of all pools along, and the run waited for an answer to each of the
/// questions by which the source is let go.
#[test]
fn when_no_tool_answers_after_a_pull_one_question_is_enough() {
    let host = new_host();
    let before = host.state();
    let hanging = Hanging { host: &host, at: "zpool export", asked: Mutex::default() };
    let summary = run_and_wait(&hanging, &host.drives.root(), Duration::from_secs(60)).unwrap();
    assert!(matches!(summary.unplug, Unplug::Gone { then: Then::Restart, .. }), "{:?}", summary.unplug);
    let asked = hanging.asked.into_inner().unwrap().unwrap();
    assert!(asked.len() == 1 && asked[0].starts_with("zpool list"), "{asked:?}");
    invariants_hold(&before, &host.state()).unwrap();
    clean_run(&host);
    outcome(&host.state()).is_tidy().unwrap();
}
