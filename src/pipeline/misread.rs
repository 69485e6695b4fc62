//! Arguments that the gateway and the origin server may read differently.

use std::collections::BTreeMap;

use serde_json::Map;

use crate::mcp::message::{Malformed, Message, Params};
use crate::mcp::operation::Operation;
use crate::pipeline::rejection::Rejection;
use crate::policy::caller::Caller;
use crate::policy::decide::Policy;
use crate::policy::decoy::Decoy;
use crate::policy::pattern::fold;
use crate::policy::verdict::{Arguments, Decision, Verdict};

/// Arguments by folded name: the name as it was sent, and whether the gateway can read the argument.
type ByFoldedName<'a> = BTreeMap<String, Vec<(&'a str, bool)>>;

/// Arguments that the gateway and the origin server may read differently: those that the gateway cannot read, and those
/// whose names differ only in case from a name that a rule tests.
pub(super) struct Misread<'a> {
    policy: &'a Policy,
    messages: &'a [Message],
    /// The arguments of one message: its index, and their names.
    names: Option<(usize, ByFoldedName<'a>)>,
}

impl<'a> Misread<'a> {
    pub(super) fn new(policy: &'a Policy, messages: &'a [Message]) -> Self {
        // A policy that is only observed rejects nothing.
        let messages = if policy.observe || !policy.tests_arguments() { &[] } else { messages };
        Self { policy, messages, names: None }
    }

    /// Whether a rule tests one of them.
    pub(super) fn is_tested(&mut self, operation: &Operation, at: usize, caller: &Caller) -> bool {
        let Some(call) = self.messages.get(at).and_then(Message::call) else { return false };
        let tested = self.policy.tested_arguments(operation, caller);
        if tested.is_empty() {
            return false;
        }
        let (_, names) = match self.names.take() {
            Some(names) if names.0 == at => self.names.insert(names),
            _ => self.names.insert((at, by_folded_name(&call.params))),
        };
        // If a name differs only in case from the tested one, another parser may take it for the tested one.
        let misread = |(name, readable): &(&str, bool)| !readable || !tested.contains(name);
        tested.iter().any(|name| names.get(&fold(name)).is_some_and(|found| found.iter().any(misread)))
    }
}

/// Finds the decoy for a hidden name that is called with these arguments.
pub(super) type Find<'a> = dyn Fn(Arguments<'a>) -> Option<(Decoy, Operation, Decision)> + 'a;

impl Misread<'_> {
    /// The decoy for a hidden name. Its arguments are tested like those of a name that does not exist.
    pub(super) fn stand_in<'b>(
        &mut self,
        find: &Find<'b>,
        (known, is_misread): (Arguments<'b>, bool),
        at: usize,
        caller: &Caller,
    ) -> Result<Option<(Decoy, Operation, Decision)>, Rejection> {
        let with = |is_misread| find(if is_misread { Arguments::Unknown } else { known });
        let mut found = with(is_misread);
        let Some((_, instead, _)) = &found else { return Ok(None) };
        let is_tested = self.is_tested(instead, at, caller);
        if is_tested != is_misread {
            found = with(is_tested);
        }
        let passes = found.as_ref().is_some_and(|(.., decision)| decision.verdict != Verdict::Deny);
        if is_tested && passes { Err(self.rejection(at)) } else { Ok(found) }
    }

    pub(super) fn rejection(&self, at: usize) -> Rejection {
        let error = Malformed::Params("an argument that a rule tests cannot be read");
        let id = self.messages.get(at).map(Message::id).unwrap_or_default();
        Rejection::MalformedMessage { error, id: Box::new(id) }
    }
}

fn by_folded_name(params: &Params) -> ByFoldedName<'_> {
    let known = params.arguments.iter().flat_map(Map::keys).map(|name| (name.as_str(), true));
    let mut names = ByFoldedName::new();
    for (name, readable) in known.chain(params.unreadable.iter().map(|name| (name.as_str(), false))) {
        names.entry(fold(name)).or_default().push((name, readable));
    }
    names
}
