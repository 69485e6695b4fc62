//! Transport security: scheme, host, web origin, CORS, sizes.

pub mod certificate;
pub mod cors;
pub mod guard;
pub mod head;
pub mod url;
pub mod web_origin;
