//! Transport security: scheme, host, web origin, CORS, sizes.

pub mod cors;
pub mod guard;
pub mod head;
pub mod url;
pub mod web_origin;
