//! The result of examining a call.

use std::rc::Rc;

use crate::content::bound::Bounds;
use crate::content::fault::Fault;
use crate::content::hook::Hook;
use crate::content::in_flight::Running;
use crate::content::report::Found;
use crate::mcp::envelope::RequestId;
use crate::mcp::era::Era;

/// What guards and bounds say about a permitted call.
#[derive(Debug, Clone, Default)]
pub struct Examined {
    /// Its bounds.
    pub bounds: Bounds,
    /// Fields that mirror arguments in which something was masked, with what they mirror now.
    pub fields: Vec<(String, String)>,
    /// How many calls at the same time there may be: by the index of the bound, how many, and how many calls these are.
    pub at_once: Vec<(usize, u64, usize)>,
    /// The hooks that are asked about its arguments.
    pub hooks: Vec<Rc<Hook>>,
    /// Whether they replaced the arguments.
    pub replaces_arguments: bool,
    /// The places of the calls among those that run, if they are counted.
    pub running: Vec<Rc<Running>>,
}

/// A call that does not pass because of what it contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Why.
    pub fault: Fault,
    /// The id of the request.
    pub id: RequestId,
    /// Whether it calls a tool, so that the answer is a result that a model reads.
    pub is_tool: bool,
    /// The era of the client.
    pub era: Era,
    /// What guards found.
    pub found: Vec<Found>,
}
