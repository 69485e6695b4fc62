//! How what is hidden is kept from being told apart from what is not there.
//!
//! Where rules let names that nobody has heard of through (an allow for `*`), the origin server answers for those. A refusal
//! of the gate's own would then give a hidden name away. So the origin server is asked for a name that surely does not
//! exist, which the rules do allow, and its answer is given with the name that was asked for.

use serde_json::Value;

use crate::policy::caller::Caller;
use crate::policy::decide::{Arguments, Decision, Policy};
use crate::policy::operation::{Kind, Operation};
use crate::strict_json;

/// A name in place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoy {
    /// The name that was asked for.
    pub hidden: String,
    /// The one that stands in for it.
    pub name: String,
}

impl Decoy {
    /// What stands in for a hidden name, and what the rules say of that. `random` is nobody's to guess.
    #[must_use]
    pub fn of(
        policy: &Policy,
        operation: &Operation,
        caller: &Caller,
        arguments: Arguments<'_>,
        random: &str,
    ) -> Option<(Self, Decision)> {
        let (kind, hidden) = operation.target.as_ref()?;
        let name = match kind {
            Kind::Tool | Kind::Prompt => format!("x{random}"),
            Kind::Resource => format!("x{random}:x"),
        };
        let stand_in = Operation::on(&operation.method, *kind, &name);
        let decision = policy.decide(&stand_in, caller, arguments);
        Some((Self { hidden: hidden.clone(), name }, decision))
    }

    /// A message that is known to be strict, with the name replaced.
    #[must_use]
    pub fn message(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut message = strict_json::parse(body).ok()?;
        let params = message.get_mut("params")?.as_object_mut()?;
        for holder in ["name", "uri"] {
            replace(params.get_mut(holder), self);
        }
        if let Some(reference) = params.get_mut("ref").and_then(Value::as_object_mut) {
            for holder in ["name", "uri"] {
                replace(reference.get_mut(holder), self);
            }
        }
        serde_json::to_vec(&message).ok()
    }
}

fn replace(value: Option<&mut Value>, decoy: &Decoy) {
    if let Some(value) = value.filter(|value| value.as_str() == Some(&decoy.hidden)) {
        *value = Value::from(decoy.name.as_str());
    }
}

/// Puts the name that was asked for back into an answer, in whatever pieces it comes.
pub struct Restore {
    from: Vec<u8>,
    to: Vec<u8>,
    held: Vec<u8>,
}

impl Restore {
    /// For the answer to a decoy.
    #[must_use]
    pub fn new(decoy: &Decoy) -> Self {
        let quoted = Value::from(decoy.hidden.as_str()).to_string();
        let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        Self { from: decoy.name.clone().into_bytes(), to: inside.as_bytes().to_vec(), held: Vec::new() }
    }

    /// Takes bytes and writes what may go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.held.push(byte);
            if self.held == self.from {
                out.extend_from_slice(&self.to);
                self.held.clear();
            }
            // What is held is always the beginning of the name.
            while !self.from.starts_with(&self.held) {
                out.push(self.held.remove(0));
            }
        }
    }

    /// Writes what is left.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}
