//! The fourth stage: what is asked for.

use crate::mcp::era::Era;
use crate::observe::trail::Trail;
use crate::pipeline::Authenticated;
use crate::transport::head::Method;

/// A request of a known caller, with what it asks for as far as that has to be known.
///
/// So far no configuration needs the body: rules on methods and tools come with their own issue and are decided here.
/// Until then what the fields say goes to the log as the caller's claim, and nothing is decided on it (T19).
#[derive(Debug)]
pub struct Inspected {
    authenticated: Authenticated,
}

impl Inspected {
    /// The request and its caller.
    #[must_use]
    pub fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }
}

/// Notes what a request says it asks for.
#[must_use]
pub fn inspect(authenticated: Authenticated, trail: &mut Trail) -> Inspected {
    let admitted = authenticated.request().admitted();
    // Old-era clients send these fields too, and nothing holds them to the body (T18).
    if admitted.era() == Era::Modern && admitted.head().method == Method::Post {
        let fields = &admitted.head().fields;
        trail.claims_to_ask(fields.get("mcp-method"), fields.get("mcp-name"));
    }
    Inspected { authenticated }
}
