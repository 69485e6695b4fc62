//! From a permit to the origin server and back: what travels, and what stops here.

pub mod answer;
pub mod assertion;
pub mod list_key;
pub mod request;
pub mod response;
