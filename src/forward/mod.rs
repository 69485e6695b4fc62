//! From a permit to the origin server and back: what the gateway forwards, and what it removes.

pub mod assertion;
pub mod body_filter;
pub mod content_of_answer;
mod handle_sealer;
pub mod identity;
mod item_policy;
pub mod list_key;
pub mod operation;
pub mod request;
pub mod response;
pub mod response_transform;
mod running_calls;
mod server_messages;
