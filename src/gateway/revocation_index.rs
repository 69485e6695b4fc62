//! The revocation index: how an isolate gets what changed in it, and asks the records about credentials that it leaves open.

use crate::gateway::lookups::begin;
use crate::gateway::open::Gateway;
use crate::limits::STORE_MILLISECONDS;
use crate::observe::event::gateway_line;
use crate::platform_error::PlatformError;
use crate::ports::Ports;
use crate::token::cache::Digest;
use crate::token::lookups::LookupTarget;
use crate::token::revocation::copy_age::Due;
use crate::token::revocation::index::Revocable;

#[cfg(feature = "authorization-server")]
use crate::authorization_server::serve::revocation;

/// The name of the look-up for the index: no credential has this digest.
const INDEX: Digest = [1; 32];

/// Reads what changed in the index; returns whether this isolate has a current one now.
pub(super) async fn read<P: Ports>(gateway: &Gateway, ports: &P) -> bool {
    let seconds = gateway.settings.revocation_index.as_ref().map_or(0, |settings| settings.seconds);
    read_within(gateway, ports, seconds).await
}

/// The same, where a copy that is at most this many seconds old is current.
pub(super) async fn read_within<P: Ports>(gateway: &Gateway, ports: &P, most: u64) -> bool {
    let Some(settings) = &gateway.settings.revocation_index else { return false };
    let due = || gateway.memory.borrow().revocation_index.age.due(most, ports.now());
    let unavailable = |why: &dyn std::fmt::Display| {
        let detail = format!("revocation index, binding {:?}: {why}", settings.binding);
        ports.line(&gateway_line("error", "revocations_unavailable", &detail, ports.now()));
        false
    };
    let seconds = u64::from(STORE_MILLISECONDS / 1000);
    match begin(gateway, ports, (&INDEX, LookupTarget::Revocations), seconds, || due() == Due::No).await {
        Ok(true) => {}
        Ok(false) => return true,
        Err(error) => return unavailable(&error),
    }
    let asked = ports.now();
    let since = gateway.memory.borrow().revocation_index.version();
    let changes = changes_since(gateway, ports, since).await;
    let memory = &mut *gateway.memory.borrow_mut();
    memory.lookups.done(&INDEX);
    match changes {
        Ok((version, changes)) => {
            memory.revocation_index.stored(version, &changes, asked);
            true
        }
        Err(error) => {
            memory.revocation_index.age.failed(ports.now());
            unavailable(&error)
        }
    }
}

#[cfg(feature = "authorization-server")]
async fn changes_since(
    gateway: &Gateway,
    ports: &impl Ports,
    since: u64,
) -> Result<(u64, Vec<(u16, u64)>), PlatformError> {
    let Some((server, _)) = &gateway.authorization_server else { return Err(NONE.into()) };
    let changes = revocation::changes_since(server, ports, since).await?;
    Ok((changes.version, changes.changes))
}

/// Whether this gateway has revoked a token that depends on these and was issued at a second.
///
/// # Errors
/// Why that is not known.
#[cfg(feature = "authorization-server")]
pub(super) async fn is_revoked(
    gateway: &Gateway,
    ports: &impl Ports,
    of: &[Revocable],
    issued: u64,
) -> Result<bool, PlatformError> {
    let Some((server, _)) = &gateway.authorization_server else { return Err(NONE.into()) };
    revocation::is_revoked(server, ports, of, issued).await
}

const NONE: &str = "there is no authorization server";

#[cfg(not(feature = "authorization-server"))]
#[expect(clippy::unused_async, reason = "only the authorization server awaits")]
async fn changes_since(_: &Gateway, _: &impl Ports, _: u64) -> Result<(u64, Vec<(u16, u64)>), PlatformError> {
    Err(NONE.into())
}

/// A Worker that is built without the authorization server rejects every configuration that leads here.
///
/// # Errors
/// Always.
#[cfg(not(feature = "authorization-server"))]
#[expect(clippy::unused_async, reason = "only the authorization server awaits")]
pub(super) async fn is_revoked(_: &Gateway, _: &impl Ports, _: &[Revocable], _: u64) -> Result<bool, PlatformError> {
    Err(NONE.into())
}
