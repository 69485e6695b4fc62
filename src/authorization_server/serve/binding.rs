//! Bound tokens: the token endpoint checks the DPoP proof of a request (RFC 9449 §5), and reads its client certificate (RFC 8705 §3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Context, Failure, Reply};
use crate::authorization_server::client::Client;
use crate::authorization_server::refusal::Refusal;
use crate::ports::Ports;
use crate::settings::resource::Resource;
use crate::token::binding::Requirement;
use crate::token::binding::proof::{Expected, Proof, ProofError};
use crate::token::binding::replay::Use;
use crate::transport::url::HttpUrl;

/// What the tokens of a request are bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Binding {
    /// The thumbprint of a key (`jkt`).
    pub(super) key: Option<String>,
    /// The thumbprint of a certificate (`x5t#S256`).
    pub(super) certificate: Option<String>,
}

impl Binding {
    /// As the claim `cnf` has it.
    pub(super) fn as_claims(&self) -> (Option<&str>, Option<&str>) {
        (self.key.as_deref(), self.certificate.as_deref())
    }
}

impl<P: Ports> Context<'_, P> {
    /// Whether tokens of this request may be bound, so that the resource has to be known before a code or refresh token is used.
    pub(super) fn may_bind(&self, client: &Client) -> bool {
        let is_bound =
            |it: &std::rc::Rc<Resource>| it.dpop != Requirement::Off || it.certificate_bound != Requirement::Off;
        client.metadata.binds_to_key || self.settings.resources.iter().any(is_bound)
    }

    /// What tokens for a resource are bound to. A key that the resource does not accept is not looked at: such a token would not
    /// work there.
    pub(super) async fn binding(
        &self,
        client: &Client,
        resource: &Resource,
    ) -> Result<Result<Binding, Reply>, Failure> {
        let refused = |refusal| Ok(Err(Reply::refusal(refusal)));
        let has_proof = self.request.field("dpop").is_some();
        let key = match resource.dpop {
            Requirement::Off if client.metadata.binds_to_key => return refused(Refusal::BindingNotAccepted),
            Requirement::Off => None,
            _ if has_proof => match self.proven_key().await? {
                Ok(key) => Some(key),
                Err(refusal) => return refused(refusal),
            },
            Requirement::Optional if !client.metadata.binds_to_key => None,
            Requirement::Optional | Requirement::Required => {
                return refused(Refusal::ProofInvalid(ProofError::Missing));
            }
        };
        let certificate =
            self.request.admitted().head().certificate.as_ref().map(|it| URL_SAFE_NO_PAD.encode(it.digest));
        let certificate = match (resource.certificate_bound, certificate) {
            (Requirement::Off, _) | (Requirement::Optional, None) => None,
            (_, Some(digest)) => Some(digest),
            (Requirement::Required, None) => return refused(Refusal::CertificateMissing),
        };
        Ok(Ok(Binding { key, certificate }))
    }

    /// The thumbprint of the key of the request's proof.
    async fn proven_key(&self) -> Result<Result<String, Refusal>, Failure> {
        let (dpop, now) = (&self.settings.dpop, self.ports.now());
        let urls: Vec<HttpUrl> = HttpUrl::parse(&self.server.url("/token")).into_iter().collect();
        let head = self.request.admitted().head();
        let expected =
            Expected { method: head.method.as_str(), urls: &urls, token: None, jkt: None, window: dpop.window, now };
        let proof = match Proof::read(head.fields.get("dpop"), &expected) {
            Ok(proof) => proof,
            Err(error) => return Ok(Err(Refusal::ProofInvalid(error))),
        };
        if let Some(key) = &dpop.nonce_key
            && !proof.nonce().is_some_and(|nonce| key.accepts(nonce, now))
        {
            return Ok(Err(Refusal::ProofInvalid(ProofError::Nonce)));
        }
        let Ok(Some(check)) = proof.signature(None) else {
            return Ok(Err(Refusal::ProofInvalid(ProofError::Signature)));
        };
        if !self.ports.verify(&check).await.is_ok_and(|good| good) {
            return Ok(Err(Refusal::ProofInvalid(ProofError::Signature)));
        }
        let jkt = proof.jkt().to_owned();
        // Each key counts for itself: a client cannot use up what others need.
        let single = proof.single_use((&self.server.own.identifier, &jkt));
        let used = match &dpop.replay_binding {
            Some(binding) => self.ports.use_once(binding, &single).await.map_err(|error| {
                self.say("error", "records_unavailable", &format!("dpop.replay_binding: {error}"));
                Failure::Records
            })?,
            None => self.memory.proofs.borrow_mut().use_once(&single, now),
        };
        Ok(match used {
            Use::First => Ok(jkt),
            Use::Again => Err(Refusal::ProofInvalid(ProofError::Replayed)),
            Use::Full => return Err(Failure::Records),
        })
    }

    /// A nonce for the next proof, where proofs must have one (RFC 9449 §8).
    pub(super) fn next_nonce(&self) -> Option<String> {
        self.settings.dpop.nonce_key.as_ref().map(|key| key.issue(self.ports.now()))
    }
}
