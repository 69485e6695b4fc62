//! The whole gateway, stage by stage and as one, with a platform in memory. The same suite runs natively and in wasm.

mod configuration;
mod disclosure;
mod gateway;
mod jwks;
mod observation;
mod paths;
mod refusals;
mod scopes;
mod signatures;
mod support;
mod tokens;
mod transport;
