//! What the gateway revoked: written into the index that all isolates read, and asked of the records that know for certain.

use super::authorize::person;
use super::clients::REGISTERED;
use super::{Failure, ServerContext, records};
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::client::{Registration, RegistrationQuestion};
use crate::authorization_server::state::grant::{Grant, GrantAnswer, GrantQuestion};
use crate::authorization_server::state::identifier::{Identifier, IdentifierName, IdentifierQuestion};
use crate::authorization_server::state::revocation_index::{
    RevocationIndex, RevocationIndexChanges, RevocationIndexQuestion, THE_INDEX,
};
use crate::authorization_server::state::subject::{UserQuestion, UserRecord};
use crate::limits::REVOCATION_SETTLES;
use crate::platform_error::PlatformError;
use crate::ports::Ports;
use crate::token::revocation::index::Revocable;

/// What changed in the index since a version.
///
/// # Errors
/// Why it did not answer.
pub async fn changes_since(
    server: &AuthorizationServer,
    ports: &impl Ports,
    version: u64,
) -> Result<RevocationIndexChanges, PlatformError> {
    let question = RevocationIndexQuestion::Since(version);
    records::ask::<RevocationIndex>((server, ports), THE_INDEX, question).await
}

/// Whether an access token of this server's that depends on these and was issued at a second is revoked.
///
/// # Errors
/// Why a record did not answer.
pub async fn is_revoked(
    server: &AuthorizationServer,
    ports: &impl Ports,
    of: &[Revocable],
    issued: u64,
) -> Result<bool, PlatformError> {
    for revocable in of {
        let is_revoked = match revocable {
            Revocable::Grant(id) => {
                let question = GrantQuestion::Accepts(issued);
                records::ask::<Grant>((server, ports), id, question).await? != GrantAnswer::Done
            }
            // Clients of the configuration and those with a metadata document have no record.
            Revocable::Client(id) if id.starts_with(REGISTERED) && !server.clients.iter().any(|it| it.id == *id) => {
                let question = RegistrationQuestion::Use(0);
                records::ask::<Registration>((server, ports), id, question).await?.is_none()
            }
            Revocable::Client(_) => false,
            Revocable::Subject { issuer, subject } => {
                let name = IdentifierName::Subject { scope: issuer, subject };
                let question = IdentifierQuestion::Accepts(issued);
                !records::ask::<Identifier>((server, ports), &name.record(), question).await?.accepted
            }
            Revocable::User(subject) => {
                let known =
                    records::ask::<UserRecord>((server, ports), &person(server, subject), UserQuestion::Read).await?;
                issued < known.ended_before
            }
        };
        if is_revoked {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<P: Ports> ServerContext<'_, P> {
    /// Has all isolates ask about these within [`AuthorizationServer::revocation_seconds`]. Call it before their records
    /// change: what fails after it can be done again, and a revocation that isolates do not learn of never happens.
    pub(super) async fn announce(&self, revoked: &[Revocable]) -> Result<(), Failure> {
        self.announce_for(revoked, self.server.access_token_seconds).await
    }

    /// The same for credentials that live for this many seconds at most.
    pub(super) async fn announce_for(&self, revoked: &[Revocable], seconds: u64) -> Result<(), Failure> {
        let buckets = revoked.iter().map(Revocable::bucket).collect();
        let seconds = seconds + REVOCATION_SETTLES;
        let question = RevocationIndexQuestion::Revoke(buckets, seconds);
        self.ask::<RevocationIndex>(THE_INDEX, question).await.map(|_| ())
    }
}
