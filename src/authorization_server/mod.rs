//! The authorization server (OAuth 2.1) for operators whose identity provider cannot do what MCP clients expect.
//! Clients register or have a metadata document, users consent and log in at the identity provider, and the gateway
//! issues tokens of its own. The gateway verifies these tokens like those of any other issuer.
//!
//! [`serve`] receives the requests: it awaits, and decides little. The modules beside it decide. [`state`] holds the
//! records: state machines that never await.
//!
//! In scope: codes with PKCE, refresh tokens, client credentials, registration, revocation, introspection, consent. Out
//! of scope: passwords and user accounts, which stay at the identity provider. A new grant type goes into
//! [`serve::token`].

pub mod access_token;
pub mod approval_page;
pub mod authorize;
pub mod client;
pub mod client_error;
pub mod connect_link;
pub mod connect_page;
pub mod error_code;
pub mod grants_page;
pub mod handle;
pub mod login;
pub mod memory;
pub mod metadata;
pub mod page;
pub mod poll;
pub mod refusal;
pub mod security_event;
pub mod serve;
pub mod settings;
pub mod state;
pub mod third_party;
pub mod trusted_issuer;
