//! The whole gateway, stage by stage and as one, with a platform in memory. The same suite runs natively and in wasm.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_precision_loss,
    clippy::single_match_else,
    clippy::type_complexity,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    reason = "a test that goes wrong should stop at once, and reads its own JSON"
)]

mod anonymous;
mod assertion;
mod attacks;
mod authorization_server;
mod binding;
mod bounds;
mod cache;
mod conditions;
mod configuration;
mod contradictions;
mod credentials;
mod custom_verifiers;
mod decoys;
mod directory;
mod disclosure;
#[cfg(not(target_family = "wasm"))]
mod documents;
mod drivers;
mod eras;
mod face;
mod federated_lists;
mod federation;
mod gateway;
#[cfg(not(target_family = "wasm"))]
mod guard_properties;
mod guards;
#[cfg(not(target_family = "wasm"))]
mod guide;
mod handles;
mod hidden;
mod hook_attacks;
mod hooks;
mod hostile;
mod introspection;
mod jwks;
mod limits;
mod list_events;
mod list_memory;
mod lists;
mod lock;
mod messages;
mod metrics;
mod observation;
mod operator;
mod origin_credentials;
mod paths;
mod policy;
mod profiles;
#[cfg(not(target_family = "wasm"))]
mod properties;
mod refusals;
mod remembered;
mod replay;
#[cfg(not(target_family = "wasm"))]
mod rooms;
mod scopes;
mod server_answers;
mod sessions;
mod sign_in;
mod signatures;
mod stored;
mod support;
mod tokens;
mod tool_views;
mod transport;
