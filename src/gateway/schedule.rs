//! What the gateway does by itself, when the schedule of the Worker (a cron trigger) says so.

use std::future::pending;

use crate::authorization_server::serve::poll::poll;
use crate::gateway::concurrently::{Work, concurrently};
use crate::gateway::open::Gateway;
use crate::ports::Ports;

/// Runs what is due each minute: polls the transmitters of signals.
pub async fn run_schedule<P: Ports>(gateway: &Gateway, ports: &P) {
    let Some((server, memory)) = &gateway.authorization_server else { return };
    let polls: Vec<Work<'_, ()>> = server
        .trusted_issuers
        .iter()
        .filter(|issuer| issuer.polled().is_some())
        .map(|issuer| Box::pin(poll((server, memory), &gateway.settings, ports, issuer)) as Work<'_, ()>)
        .collect();
    let most = polls.len();
    concurrently(polls, most, Box::pin(pending())).await;
}
