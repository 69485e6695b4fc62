//! Transport security: scheme, host, web origin, CORS, sizes.

pub mod certificate;
pub mod connection;
pub mod cors;
pub mod head;
pub mod head_text;
pub mod path;
pub mod provider;
pub mod trace;
pub mod url;
pub mod web_origin;
