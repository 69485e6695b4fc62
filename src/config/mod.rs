//! The configuration document `PORTCULLIS`: read strictly, with every mistake reported at once, each with its path.
//!
//! [`document`] holds the types as an operator writes them; the reference and the JSON Schema are generated from them.
//! [`Settings`](crate::settings::Settings) is what the gateway works with. [`Configuration::load`] is the only way from
//! the first to the second.

pub mod analysis;
mod approvals;
#[cfg(feature = "authorization-server")]
mod authorization_server_document;
#[cfg(feature = "authorization-server")]
mod authorization_server_reading;
mod bindings;
#[cfg(feature = "authorization-server")]
mod client_reading;
mod configuration;
mod content;
mod content_document;
mod contradictions;
mod credentials;
mod credentials_document;
pub mod document;
mod federation;
mod federation_document;
mod issuer;
mod lock;
mod lock_document;
#[cfg(feature = "authorization-server")]
mod login_reading;
mod mistakes;
mod operator;
mod origin_credential;
mod origin_credential_document;
mod own_issuer;
mod policy;
pub mod ranges;
mod receiver;
#[cfg(feature = "schema")]
pub mod reference;
pub mod renamed;
mod resource;
mod rules_document;
mod stand_ins;
mod stored;
mod table;
#[cfg(feature = "authorization-server")]
mod trusted_issuers_document;
#[cfg(feature = "authorization-server")]
mod trusted_issuers_reading;
mod values;
mod warnings;

#[cfg(feature = "authorization-server")]
pub use authorization_server_document::LoginProfileName;
pub use bindings::bindings;
pub use mistakes::Mistakes;

pub use configuration::Configuration;
pub use stored::{DocumentLocation, StoredDocument};
pub use values::Secrets;
pub use warnings::warnings;
