//! The documents that the gateway publishes about its resources: metadata (RFC 9728), signing keys, the landing page.

pub mod document;
pub mod landing_page;
