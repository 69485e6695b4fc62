//! Credentials: strict parsing, verification, and the caller that a credential identifies.

pub mod accepted;
pub mod answer_error;
pub mod api_key;
pub mod binding;
pub mod cache;
pub mod claim_values;
pub mod claims;
pub mod compiled;
pub mod credential;
pub mod custom;
pub mod error;
pub mod introspection;
pub mod issuer;
pub mod jwt;
pub mod lookups;
pub mod principal;
pub mod profile;
pub mod revocation;
pub mod selection;
pub mod signature;
pub mod untrusted;
pub mod verified;
pub mod verifier;
pub mod verifier_id;
