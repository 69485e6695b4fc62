//! MCP as far as the gate must understand it: eras, messages and how fields mirror them, lists, streams, sessions.

pub mod agreement;
pub mod envelope;
pub mod era;
pub mod kind;
pub mod known_items;
pub mod list_cache;
pub mod list_filter;
pub mod members;
pub mod message;
pub mod method;
pub mod operation;
pub mod outline;
pub mod session;
pub mod sse;
