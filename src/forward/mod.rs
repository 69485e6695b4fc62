//! From a permit to the origin server and back: what the gateway forwards, and what it removes.

pub mod assertion;
pub mod body_filter;
mod handle_sealer;
pub mod identity;
pub mod list_key;
pub mod operation;
pub mod request;
pub mod response;
mod server_messages;
