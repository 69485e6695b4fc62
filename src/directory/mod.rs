//! The directory: users and groups that identity providers provision with SCIM 2.0 (RFC 7643, RFC 7644). A user who is not active
//! has no access; the groups of a user feed authorization.
//!
//! Everything here is synchronous and pure. `request` reads what was sent, `answer` decides and writes through the trait in
//! `tables`, and names the effects on access for the caller to apply. The directory keeps as little as it needs: attributes that
//! `schema` does not list are accepted and dropped (RFC 7644 §3.3).

pub mod answer;
pub mod discovery;
pub mod error;
pub mod failure;
pub mod filter;
pub mod group;
pub mod links;
pub mod member_change;
pub mod memory;
pub mod object;
pub mod patch;
pub mod path;
pub mod person;
pub mod projection;
pub mod request;
pub mod schema;
pub mod search;
pub mod tables;
pub mod timestamp;
pub mod user;
pub mod values;
