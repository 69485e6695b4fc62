//! Rules (which caller may do what) and rate limits (how often).

pub mod approval;
pub mod budget;
pub mod caller;
pub mod condition;
pub mod counters;
pub mod decide;
pub mod decoy;
mod index;
pub mod limit;
pub mod lock;
pub mod pattern;
mod possible;
pub mod rule;
pub mod server_names;
pub mod sign_in;
mod stand_in;
mod uri;
pub mod verdict;
