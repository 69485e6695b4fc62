//! MCP as far as the gate must understand it: eras, and the JSON-RPC envelope.

pub mod envelope;
pub mod era;
pub mod inspect;
