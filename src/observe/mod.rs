//! What the gate says of itself: one line for each request, and nothing that could be used.

pub mod decision;
pub mod event;
pub mod metrics;
pub mod point;
pub mod replay;
pub mod span;
