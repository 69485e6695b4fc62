//! Polls transmitters for SETs (RFC 8936). The schedule of the Worker (a cron trigger) runs this every minute, and each run lasts
//! nearly until the next one.

use super::signals::NotReceived;
use super::{Failure, ServerContext};
use crate::authorization_server::memory::ServerMemory;
use crate::authorization_server::poll::{Acknowledgements, PollAnswer, PollError};
use crate::authorization_server::security_event::{SetError, is_set};
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::trusted_issuer::{PolledTransmitter, SignalRules, TrustedIssuer};
use crate::limits::{
    POLL_HELD_SECONDS, POLL_PAUSE_MILLISECONDS, POLL_REQUESTS, POLL_RETRY_MILLISECONDS, POLL_RUN_SECONDS,
};
use crate::ports::Ports;
use crate::settings::Settings;
use crate::token::untrusted::UntrustedToken;
use crate::transport::provider::ProviderRequest;

/// How many SETs a run got.
#[derive(Default)]
struct Counts {
    received: usize,
    refused: usize,
}

/// Polls the transmitter of a trusted issuer for one run, if it has one.
pub async fn poll<P: Ports>(
    (server, memory): (&AuthorizationServer, &ServerMemory),
    settings: &Settings,
    ports: &P,
    issuer: &TrustedIssuer,
) {
    if let Some((transmitter, rules)) = issuer.polled() {
        ServerContext { server, memory, settings, ports }.poll(issuer, rules, transmitter).await;
    }
}

impl<P: Ports> ServerContext<'_, P> {
    async fn poll(&self, issuer: &TrustedIssuer, rules: &SignalRules, transmitter: &PolledTransmitter) {
        let until = self.now() + POLL_RUN_SECONDS;
        let mut said = Acknowledgements::default();
        let mut counts = Counts::default();
        let mut failed = false;
        let mut requests = 0;
        while self.now() < until && requests < POLL_REQUESTS {
            requests += 1;
            let asked = self.now();
            let seconds = POLL_HELD_SECONDS.min(until - asked);
            let pause = match self.ask_transmitter(transmitter, said.with_request(), seconds).await {
                Ok(answer) => {
                    let has_more = answer.has_more;
                    said = self.received_all(issuer, rules, answer, &mut counts).await;
                    // What is to be acknowledged is not asked for again; without it, the same SETs would come at once.
                    if has_more && !said.is_empty() { 0 } else { POLL_PAUSE_MILLISECONDS }
                }
                // The transmitter held the request for longer than this run waits: it had no SET.
                Err(PollError::NoAnswer(_)) if self.now() >= asked + seconds => 0,
                Err(error) => {
                    if !failed {
                        let detail = format!("transmitter of trusted issuer {:?}: {error}", issuer.name);
                        self.say("error", "signals_unavailable", &detail);
                    }
                    failed = true;
                    POLL_RETRY_MILLISECONDS
                }
            };
            self.ports.sleep(pause).await;
        }
        if !said.is_empty() {
            // If this fails, the SETs come again, and change nothing.
            let _answered = self.ask_transmitter(transmitter, said.alone(), POLL_HELD_SECONDS).await;
        }
        let Counts { received, refused } = counts;
        let detail = format!("{}: received {received}, refused {refused}", issuer.name);
        self.say("info", "signals_polled", &detail);
    }

    async fn ask_transmitter(
        &self,
        transmitter: &PolledTransmitter,
        body: String,
        seconds: u64,
    ) -> Result<PollAnswer, PollError> {
        let request = ProviderRequest {
            url: transmitter.url.clone(),
            service: None,
            fields: vec![
                ("accept", "application/json".to_owned()),
                ("content-type", "application/json".to_owned()),
                ("authorization", format!("Bearer {}", transmitter.token.expose())),
            ],
            body: Some(body),
            seconds,
        };
        let document = self.ports.ask(&request).await.map_err(PollError::NoAnswer)?;
        PollAnswer::read(&document)
    }

    /// Applies the SETs of an answer. What is not acknowledged comes again.
    async fn received_all(
        &self,
        issuer: &TrustedIssuer,
        rules: &SignalRules,
        answer: PollAnswer,
        counts: &mut Counts,
    ) -> Acknowledgements {
        let mut said = Acknowledgements::default();
        for (id, set) in answer.sets {
            match self.received_one(issuer, rules, &id, set.as_deref().unwrap_or_default()).await {
                Ok(Ok(())) => {
                    counts.received += 1;
                    said.take(id);
                }
                Ok(Err(NotReceived::Refused(error, detail))) => {
                    counts.refused += 1;
                    let why = detail.as_deref().unwrap_or_else(|| error.description());
                    self.say("warn", "signal_refused", &format!("{}: {}: {why}", issuer.name, error.code()));
                    // The keys of the issuer may be changing: what is refused for them comes again.
                    if error != SetError::InvalidKey {
                        said.refuse(id, error);
                    }
                }
                Ok(Err(NotReceived::Unavailable(_))) | Err(_) => {}
            }
        }
        said
    }

    async fn received_one(
        &self,
        issuer: &TrustedIssuer,
        rules: &SignalRules,
        id: &str,
        set: &str,
    ) -> Result<Result<(), NotReceived>, Failure> {
        let refused = |why| Ok(Err(NotReceived::Refused(SetError::InvalidRequest(why), None)));
        let Some(token) = UntrustedToken::parse(set.trim()).ok().filter(is_set) else {
            return refused("it is not a SET");
        };
        match self.claims_of_set(issuer, rules, &token, || true).await {
            Ok(set) if set.id != id => refused("its jti is not the one by which it was sent"),
            Ok(set) => self.received(issuer, rules, &set).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}
