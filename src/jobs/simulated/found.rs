//! What the simulation has found, each as a test with a name.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crate::event::Unplug;
use crate::process::{Cancel, Exit, Invocation, Output, PipeOutput, RunError, Runner, Watch};
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty, Place};

use super::setting::{clean_run, disturbed_run, new_host, outcome, run};

/// The commands of a first run that begin like this.
fn commands(beginning: &str) -> Vec<Place> {
    let host = new_host();
    let faulty = Faulty::new(&host, Vec::new());
    run(&faulty, &host.drives.root()).unwrap();
    let given = faulty.given().into_iter();
    let found: Vec<_> = given.filter(|(text, _)| text.starts_with(beginning)).collect();
    assert!(!found.is_empty(), "no command begins with {beginning}");
    found
}

/// A first run with this fault, and what the next one leaves.
fn holds_after(fault: (Place, Fault)) -> Host {
    let host = new_host();
    disturbed_run(&host, vec![fault]).unwrap();
    clean_run(&host);
    host
}

/// A snapshot with a pending and a verified bookmark was released twice; the second time failed, and ended the releasing
/// of all others. Their bookmarks went in the same run, so that nothing told of them any more.
#[test]
fn a_run_that_died_while_it_released_its_holds_leaves_none_behind() {
    for place in commands("zfs release") {
        let host = holds_after((place, Fault::DiesBefore));
        outcome(&host.state()).is_tidy().unwrap();
    }
}

/// The same when `zfs release` fails, or only says that it succeeded.
#[test]
fn holds_that_could_not_be_released_are_released_by_the_next_run() {
    for fault in [Fault::Fails, Fault::DoesNothing, Fault::Hangs] {
        for place in commands("zfs release") {
            let host = holds_after((place, fault));
            outcome(&host.state()).is_tidy().unwrap();
        }
    }
}

/// The kernel goes on with the import of a run that was killed: when the next one imports, it is done, or has the
/// devices to itself until then.
struct ImportedMeanwhile<'a> {
    host: &'a Host,
    // So many imports find no device that they may open.
    kept_away: AtomicUsize,
}

impl Runner for ImportedMeanwhile<'_> {
    fn run(&self, command: &Invocation, cancel: &Cancel) -> Result<Output, RunError> {
        if command.to_string().starts_with("zpool import") {
            if self.kept_away.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                let stderr = "cannot import '7': no such pool available".to_owned();
                return Ok(Output { exit: Exit::Code(1), stdout: Vec::new(), stderr });
            }
            self.host.run(command, cancel)?;
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

#[test]
fn a_pool_that_a_killed_run_still_imported_is_adopted_and_exported() {
    for kept_away in [0, 2] {
        let host = new_host();
        let runner = ImportedMeanwhile { host: &host, kept_away: AtomicUsize::new(kept_away) };
        let summary = run(&runner, &host.drives.root()).unwrap();
        assert_eq!((summary.failed, summary.unplug), (0, Unplug::Safe { powered_off: true }));
    }
}
