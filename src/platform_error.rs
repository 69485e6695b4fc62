//! What the platform says about an operation that failed.

use std::error::Error;
use std::fmt;

/// An operation of the platform failed, with the platform's own description. It is for the log, and has no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformError(String);

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for PlatformError {}

impl From<String> for PlatformError {
    fn from(description: String) -> Self {
        Self(description)
    }
}

impl From<&str> for PlatformError {
    fn from(description: &str) -> Self {
        Self(description.to_owned())
    }
}
