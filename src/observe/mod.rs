//! What the gateway records about requests and about itself. It contains nothing that gives access to anything.

pub mod decision;
pub mod event;
pub mod metrics;
pub mod point;
pub mod replay;
pub mod span;
