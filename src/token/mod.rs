//! Access tokens: reading them strictly, verifying them, and who they say is calling.

pub mod authenticate;
pub mod claims;
pub mod jwt;
pub mod principal;
pub mod untrusted;
pub mod verifier;
