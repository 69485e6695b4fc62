//! Keys of issuers: their form, where the gateway gets them, and how long it may use them.

pub mod discovery;
pub mod freshness;
pub mod key;
pub mod key_set;
pub mod signing_key;
pub mod spki;
