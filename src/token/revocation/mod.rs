//! Credentials that are revoked before they expire: by the [`list`] that an operator keeps, and by the [`index`] that this
//! gateway writes itself.

pub mod copy_age;
pub mod index;
pub mod list;
