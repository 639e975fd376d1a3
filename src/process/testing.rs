//! For the tests of other modules.

use super::{Cancel, Invocation, Output, PipeOutput, RunError, Runner, Watch};

/// A host that answers commands and transfers nothing.
pub(crate) struct Commands<F>(pub F);

impl<F: Fn(&Invocation) -> Result<Output, RunError> + Send + Sync> Runner for Commands<F> {
    fn run(&self, command: &Invocation, _cancel: &Cancel) -> Result<Output, RunError> {
        (self.0)(command)
    }

    fn pipe(
        &self,
        send: &Invocation,
        receive: &Invocation,
        _watch: &mut dyn FnMut(u64) -> Watch,
        _cancel: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        unreachable!("nothing is to be sent: {send} | {receive}")
    }
}
