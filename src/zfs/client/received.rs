//! Datasets that are made of files; and who else than root may do something to one.

use super::super::error::Kind;
use super::super::{ZfsError, argv, parse};
use super::Client;
use crate::model::{Bytes, DatasetName, SnapshotName};
use crate::process::Invocation;

impl Client<'_> {
    /// Who else than root may do what to a dataset.
    ///
    /// # Errors
    /// As for every request.
    pub fn delegations(&self, dataset: &DatasetName) -> Result<Vec<parse::Delegation>, ZfsError> {
        self.ask(&argv::list_delegations(dataset), parse::delegations)
    }

    /// What was just taken.
    ///
    /// # Errors
    /// As for every request.
    pub fn taken(&self, names: &[SnapshotName]) -> Result<Vec<parse::Listed>, ZfsError> {
        self.ask(&argv::list_taken(names), parse::snapshots)
    }

    /// How long the stream would be that one of these commands estimates.
    ///
    /// # Errors
    /// As for every request.
    pub fn estimate(&self, send: &Invocation) -> Result<Bytes, ZfsError> {
        self.ask(send, parse::estimated)
    }

    /// What is there of a dataset that files are received into; nothing where there is none.
    ///
    /// # Errors
    /// As for every request.
    pub fn received(&self, dataset: &DatasetName) -> Result<Option<parse::Received>, ZfsError> {
        match self.ask(&argv::list_received(dataset), |output| parse::received(output, dataset)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == Kind::Missing => Ok(None),
            Err(error) => Err(error),
        }
    }
}
