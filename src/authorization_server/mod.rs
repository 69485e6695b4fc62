//! The authorization server (OAuth 2.1) for people whose identity provider cannot do what MCP clients ask for: it lets
//! clients register or bring their metadata, asks users for consent, has them log in at the identity provider, and gives
//! tokens of its own, which the gate verifies like any other's.
//!
//! [`serve`] is where requests come in; it awaits and decides little. What is decided is in the modules beside it, and what
//! is remembered in [`state`], whose records are machines that wait for nothing.
//!
//! In scope: codes with PKCE, refresh tokens, client credentials, registration, revocation, introspection, consent.
//! Out of scope: passwords and users, which stay the identity provider's. New grant types join the table in
//! [`serve::token`].

pub mod access_token;
pub mod authorize;
pub mod client;
pub mod handle;
pub mod login;
pub mod memory;
pub mod metadata;
pub mod page;
pub mod refusal;
pub mod seal;
pub mod serve;
pub mod settings;
pub mod state;
