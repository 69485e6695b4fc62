//! Portcullis: a security gateway in front of MCP servers, on Cloudflare Workers.
//!
//! The gateway forwards a request only as a value that proves that the request was authorized. Read [`gateway`] first:
//! it drives a request from its untrusted head to the answer of the origin server. Then read [`pipeline`]: the stages,
//! and the types that each stage hands to the next.
//!
//! In scope: who calls, what they may reach, how the request and its answer travel.
//! Out of scope: what the tools behind the gateway do, and storing anything that a request carried.
//!
//! # The order of rooms
//! A room is a module at the top level of this crate. A room uses the rooms below it, never one beside or above it.
//! `tests/gate/rooms.rs` reads this list and the imports, and fails on the first import that runs upward.
//!
//! ```text
//! worker                the shell: the only room that uses the platform (Cloudflare Workers)
//! gateway               drives requests through the stages
//! config                reads configuration documents into settings
//! authorization_server  the endpoints of the gateway's own authorization server, on the same ports
//! provider              fetches documents of identity providers through the ports
//! directory             users and groups that identity providers provision (SCIM)
//! ports                 what the rooms above need from the platform, as traits
//! observe               log lines, counters, spans, data points and records of decisions
//! forward               from a permit to the origin server, and the answer back
//! pipeline              the stages from a request to a permit; every reason for a rejection
//! resource              the documents that the gateway publishes
//! settings              the typed values that a configuration stands for
//! content               guards and bounds: what calls and results contain
//! policy                rules and limits
//! origin_credential     what origin servers get in place of the caller's token, and how the gateway obtains it
//! token                 credentials and what verifies them
//! page                  the frame of HTML pages
//! oauth                 the vocabulary of OAuth: challenges, scopes, forms
//! mcp                   messages, lists, event streams and sessions of MCP
//! portable              signatures without WebCrypto, for hosts and tests
//! jwks                  keys: their forms, sets and freshness
//! transport             URLs, paths, fields, web origins
//! seal                  encryption of values that leave the gateway, or rest in a store
//! strict_json           strict reading of JSON: one meaning for every document
//! secret                a secret value
//! limits                every limit, with its reason
//! platform_error        what the platform says about an operation that failed
//! time                  points in time
//! ```
//!
//! No room except `worker` knows the platform. The stages do no I/O: they are functions of typed values, the time and the
//! keys. Only `worker`, `gateway`, `provider` and `authorization_server::serve` await. Ids such as (T13) name requirements:
//! `docs/requirements.md` has them.

pub mod authorization_server;
pub mod config;
pub mod content;
pub mod directory;
pub mod forward;
pub mod gateway;
pub mod jwks;
pub mod limits;
pub mod mcp;
pub mod oauth;
pub mod observe;
pub mod origin_credential;
pub mod page;
pub mod pipeline;
pub mod platform_error;
pub mod policy;
pub mod ports;
pub mod provider;
pub mod resource;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod strict_json;
pub mod time;
pub mod token;
pub mod transport;

#[cfg(feature = "portable")]
pub mod portable;

// Tests bring their own platform, and the JavaScript that the shell imports exists only in a Worker.
#[cfg(all(target_family = "wasm", not(any(feature = "portable", feature = "command"))))]
pub mod worker;
