//! Datasets that are made of files.

use super::super::error::Kind;
use super::super::{ZfsError, argv, parse};
use super::Client;
use crate::model::DatasetName;

impl Client<'_> {
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
