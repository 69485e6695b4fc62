//! Portcullis: the gate in front of MCP servers.
//!
//! A request may pass only as a value that proves it was allowed to. Read [`gateway`] first: it is
//! the whole road, from an untrusted request to the origin server's answer, and [`pipeline`] next: the types
//! that each stage hands to the one after it.
//!
//! In scope: who calls, what they may reach, how the request and its answer travel.
//! Out of scope: what the tools behind the gate do, and storing anything that a request carried.
//!
//! Everything but [`worker`] is free of I/O and of the platform: stages are functions of typed values, the
//! time and the keys, and [`ports`] names what they need from the world.

pub mod authorization_server;
pub mod config;
pub mod forward;
pub mod gateway;
pub mod jwks;
pub mod limits;
pub mod mcp;
pub mod oauth;
pub mod observe;
pub mod page;
pub mod pipeline;
pub mod policy;
pub mod ports;
pub mod provider;
pub mod resource;
pub mod secret;
pub mod settings;
pub mod strict_json;
pub mod time;
pub mod token;
pub mod transport;

#[cfg(feature = "portable")]
pub mod portable;

// Tests bring their own platform, and the shell's imports exist in a Worker alone.
#[cfg(all(target_family = "wasm", not(feature = "portable")))]
pub mod worker;
