//! The configuration document `PORTCULLIS`: read strictly, every mistake at once, each with its path.
//!
//! [`document`] holds the types as a user writes them (the reference and the JSON Schema are generated from them),
//! [`Config`] what the gate works with. There is no way from one to the other but [`Config::load`].

pub mod analysis;
mod authorization_server;
#[cfg(feature = "authorization-server")]
mod authorization_server_document;
#[cfg(feature = "authorization-server")]
mod authorization_server_reading;
mod contradictions;
mod credentials;
mod credentials_document;
pub mod document;
mod issuer;
mod mistakes;
mod policy;
#[cfg(feature = "schema")]
pub mod reference;
mod resource;
mod rules_document;
mod settings;
mod stored;

pub use authorization_server::{AuthorizationServer, Registrations};
#[cfg(feature = "authorization-server")]
pub use authorization_server_document::LoginProfileName;
pub use mistakes::Mistakes;
pub use resource::{OriginServer, PublicPath, Resource};
pub use settings::{Config, Pseudonyms, Secrets};
pub use stored::{Place, Stored};
