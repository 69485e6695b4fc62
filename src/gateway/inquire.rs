//! Finds out what a request needs to know about its credential.

use std::rc::Rc;

use crate::gateway::active_request::{Action, Suspended};
use crate::gateway::inquiry::Inquiry;
use crate::gateway::keys::{await_keys, fetch_keys};
use crate::gateway::lookups::{ask, read_revocations};
use crate::gateway::open::Gateway;
use crate::gateway::revocation_index;
use crate::pipeline::authenticate::Authenticating;
use crate::ports::Ports;

/// Finds it out, and goes on.
pub(super) async fn inquire<P: Ports + Clone + 'static>(
    gateway: &Rc<Gateway>,
    ports: &P,
    inquiry: Inquiry,
    request: Suspended<Box<Authenticating>>,
) -> Action {
    match inquiry {
        Inquiry::Keys(issuer) => {
            let keys = fetch_keys(gateway, ports, &issuer).await;
            request.keys_fetched(gateway, ports, keys)
        }
        Inquiry::KeysOnTheirWay(issuer) => {
            let keys = await_keys(gateway, ports, &issuer).await;
            request.keys_fetched(gateway, ports, keys)
        }
        Inquiry::Verifier => {
            let answer = ask(gateway, ports, request.stage()).await;
            request.verifier_answered(gateway, ports, answer)
        }
        Inquiry::Revocations => {
            let got = read_revocations(gateway, ports).await;
            request.revocations_read(gateway, ports, got)
        }
        Inquiry::RevocationIndex => {
            let got = revocation_index::read(gateway, ports).await;
            request.revocations_read(gateway, ports, got)
        }
        Inquiry::Standing(of, second) => {
            let asked = ports.now();
            let revoked = revocation_index::is_revoked(gateway, ports, &of, second).await;
            request.standing_answered(gateway, ports, asked, revoked)
        }
        Inquiry::FirstUse(single) => {
            let used = match &gateway.settings.dpop.replay_binding {
                Some(binding) => ports.use_once(binding, &single).await,
                None => Err("there is no binding".into()),
            };
            request.proof_used(gateway, ports, used)
        }
    }
}
