//! Portcullis: a security gateway in front of MCP servers, on Cloudflare Workers.
//!
//! A request is forwarded only as a value that proves that it was authorized. Read [`gateway`] first: it drives a request
//! from its untrusted head to the answer of the origin server. Then read [`pipeline`]: the stages, and the types that each
//! stage hands to the next.
//!
//! In scope: who calls, what they may reach, how the request and its answer travel.
//! Out of scope: what the tools behind the gateway do, and storing anything that a request carried.
//!
//! # The order of rooms
//! A room uses rooms below it, never one beside or above it. `tests/gate/rooms.rs` reads this list and the imports, and
//! fails on the first import that runs upward.
//!
//! ```text
//! worker                the shell: the only room that names the platform
//! gateway               drives requests through the stages; the only awaits outside the authorization server
//! config                reads documents into settings
//! authorization_server  its own endpoints, on the same ports
//! provider              documents of identity providers, fetched through the ports
//! ports                 what the rooms above need from the world
//! observe               log lines, counters, spans, data points and records of decisions
//! forward               from a permit to the origin server, and the answer back
//! pipeline              the stages from a request to a permit; every way to refuse
//! resource              the documents that the gateway publishes
//! settings              what a configuration means
//! policy                rules and limits
//! token                 credentials and what verifies them
//! page                  the frame of HTML pages
//! oauth                 the vocabulary of OAuth: challenges, scopes, forms
//! mcp                   messages, lists, event streams and sessions of MCP
//! portable              signatures without WebCrypto, for hosts and tests
//! jwks                  keys: their forms, sets and freshness
//! transport             URLs, paths, fields, web origins
//! strict_json           JSON that all readers read alike
//! secret                a secret value
//! limits                every bound, with its reason
//! time                  moments
//! ```
//!
//! Everything but `worker` is free of I/O and of the platform: stages are functions of typed values, the time and the
//! keys.

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
