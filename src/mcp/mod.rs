//! The parts of MCP that the gateway has to understand: eras, messages and the header fields that mirror them, lists,
//! event streams, sessions.

pub mod agreement;
pub mod combined_session;
pub mod conversation;
pub mod definition;
pub mod envelope;
pub mod era;
pub mod events;
pub mod handle;
pub mod input_needed;
pub mod item_meta;
pub mod kind;
pub mod known_items;
pub mod known_tasks;
pub mod list_cache;
pub mod list_filter;
pub mod list_item;
pub mod listen;
pub mod members;
pub mod merge;
pub mod message;
pub mod message_position;
pub mod method;
pub mod operation;
pub mod outline;
pub mod rewrite;
pub mod session;
pub mod sse;
pub mod tool_search;
pub mod tool_view;
