//! Why a request could not be carried out.

use super::error::ScimError;
use super::tables::TablesError;

/// Why a request could not be carried out: the request is refused, or the store failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The request is refused.
    Refused(ScimError),
    /// The store failed.
    Store(TablesError),
}

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        Self::Refused(error)
    }
}

impl From<TablesError> for Failure {
    fn from(error: TablesError) -> Self {
        Self::Store(error)
    }
}
