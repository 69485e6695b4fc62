//! Protected resources: canonical paths, the choice of a resource, and the documents that the gateway publishes.

pub mod document;
pub mod face;
pub mod path;
pub mod route;
