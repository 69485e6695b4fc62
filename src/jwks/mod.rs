//! Keys of issuers: what a key is, where keys come from, and how long they may be used.

pub mod discovery;
pub mod freshness;
pub mod key;
pub mod key_set;
pub mod signing_key;
pub mod spki;
