//! Whose partial state is dropped.

use std::sync::Mutex;
use std::time::Duration;

use crate::event::{Event, Sink};
use crate::execute::{Context, Execution, State, Tally};
use crate::model::{Guid, ResumeState};
use crate::plan::testing::{EXPORTED, World, name, policy};
use crate::plan::{Phase, Step};
use crate::process::testing::Commands;
use crate::process::{Cancel, Exit, Invocation, Output, RunError};
use crate::zfs::Client;

#[derive(Default)]
struct Host {
    asked: Mutex<Vec<String>>,
}

impl Host {
    fn answer(&self, command: &Invocation) -> Result<Output, RunError> {
        self.asked.lock().unwrap().push(command.to_string());
        Ok(Output { exit: Exit::Code(0), stdout: Vec::new(), stderr: String::new() })
    }
}

impl Sink for Host {
    fn event(&self, _event: Event) {}
}

/// Seen in the lab: what was refused for lack of space kept its partial receive, and with it the space of the others.
#[test]
fn what_is_refused_still_drops_what_leads_nowhere_and_what_failed_is_left_as_it_is() {
    let world = World::new()
        .source("tank/data", "@a,1 @b,2")
        .target("backup/eds", "@a,1")
        .edit_target("backup/eds", |copy| copy.resume = ResumeState::Token("1-nonsense".to_owned()));
    let plan = world.plan(&[policy()]);
    let steps: Vec<(usize, Step)> =
        plan.phase(Phase::Prepare).map(|(index, step)| (index, step.clone())).collect();
    assert!(matches!(steps[..], [(0, Step::DropPartial(..))]));
    for (state, asked) in [
        (State::Running, &["zfs receive -A backup/eds"][..]),
        (State::Refused, &["zfs receive -A backup/eds"]),
        (State::Failed, &[]),
    ] {
        let (host, cancel) = (Host::default(), Cancel::new());
        let runner = Commands(|command: &Invocation| host.answer(command));
        let context = Context {
            client: Client::new(&runner, &cancel),
            sink: &host,
            pool: name("backup"),
            drive: Guid(7),
            afterwards: EXPORTED,
            foreboding: Duration::ZERO,
            errors_before: 0,
            holds_left: false,
        };
        let tally = Tally { states: vec![state], ..Tally::default() };
        Execution { context: &context, plan: &plan, tally, holds_left: false }.prepare(&steps);
        assert_eq!(host.asked.into_inner().unwrap(), asked);
    }
}
