//! Revocation (RFC 7009) and introspection (RFC 7662).

use serde_json::{Map, Value, json};

use super::clients::NoClient;
use super::held_tokens::HeldTokens;
use super::revocation::is_revoked;
use super::{Context, Failure, Reply};
use crate::authorization_server::access_token::grant_of;
use crate::authorization_server::client::Client;
use crate::authorization_server::handle::{Handle, HandleKind};
use crate::authorization_server::login::Login;
use crate::authorization_server::refusal::Refusal;
use crate::authorization_server::state::grant::{Grant, GrantAnswer, GrantContent, GrantQuestion};
use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::oauth::form::Parameters;
use crate::ports::Ports;
use crate::token::revocation::index::Revocable;
use crate::token::signature::SignatureCheck;
use crate::token::untrusted::UntrustedToken;

/// A token of this server's.
enum OwnToken {
    Refresh(Handle),
    Access(Map<String, Value>),
}

impl<P: Ports> Context<'_, P> {
    /// Form and client of a request about a token.
    async fn about_token(&self, body: &P::RequestBody) -> Result<Result<(Client, Parameters), Reply>, Failure> {
        let Some(form) = self.form(body).await? else {
            return Ok(Err(Reply::refusal(Refusal::BodyNotForm)));
        };
        if form.repeated().is_some() {
            return Ok(Err(Reply::refusal(Refusal::ParameterRepeated { is_target: false })));
        }
        let client = match self.authenticated_client(&form).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if form.get("token").is_none() {
            return Ok(Err(Reply::refusal(Refusal::ParameterMissing("token"))));
        }
        Ok(Ok((client, form)))
    }

    /// Reads a token that this server made and that is not over.
    async fn own_token(&self, text: &str) -> Option<OwnToken> {
        if let Some(handle) = Handle::parse(HandleKind::Refresh, text, &self.server.seals) {
            return Some(OwnToken::Refresh(handle));
        }
        let token = UntrustedToken::parse(text).ok()?;
        let algorithm = JwsAlgorithm::parse(token.algorithm())?;
        let signer =
            self.server.keys.iter().find(|key| Some(key.id()) == token.kid() && key.algorithm() == algorithm)?;
        let key = VerificationKey::parse(&signer.public_jwk()).ok()?;
        let check = SignatureCheck::of(&token, &key, algorithm).ok()?;
        let good = self.ports.verify(&check).await.ok()?;
        let proof = check.answered(good).ok()?;
        let claims = token.claims_with(&proof)?.clone();
        let own = claims.get("iss").and_then(Value::as_str) == Some(&self.server.own.identifier);
        let lives = claims.get("exp").and_then(Value::as_u64).is_some_and(|exp| self.now() < exp);
        (own && lives).then_some(OwnToken::Access(claims))
    }

    /// Revokes the grant of a token. With a refresh token, the gateway also revokes the provider's tokens (A16); with an access
    /// token it cannot decrypt them. An unknown token is no error.
    pub(super) async fn revoke(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        let (client, form) = match self.about_token(body).await? {
            Ok(about) => about,
            Err(refusal) => return Ok(refusal),
        };
        let done = || Ok(Reply::json(200, &json!({}), "token_revoked"));
        let known = self.own_token(form.get("token").unwrap_or_default()).await;
        let (grant, handle) = match &known {
            Some(OwnToken::Refresh(handle)) => (handle.grant().to_owned(), Some(handle)),
            Some(OwnToken::Access(claims)) => match claims.get("jti").and_then(Value::as_str).and_then(grant_of) {
                Some(grant) => (grant.to_owned(), None),
                None => return done(),
            },
            None => return done(),
        };
        let GrantAnswer::Content(seen) = self.ask::<Grant>(&grant, GrantQuestion::Read).await? else { return done() };
        // A client cannot revoke another client's tokens (RFC 7009 §2.1).
        if seen.terms.client_id != client.id {
            return done();
        }
        self.end_all(&seen.terms.subject, &[grant], "revoked_by_client").await?;
        let login = self.server.login_at(&seen.terms.subject, seen.terms.provider.as_deref());
        if let (Some(handle), Some(login)) = (handle, login)
            && let Some(tokens) = opened(&seen, handle, login)
        {
            self.provider_of(login).revoke_there(&tokens).await;
        }
        done()
    }

    /// What a token is good for, for servers that may ask.
    pub(super) async fn introspect(&self, body: &P::RequestBody) -> Result<Reply, Failure> {
        let (client, form) = match self.about_token(body).await? {
            Ok(about) => about,
            Err(refusal) => return Ok(refusal),
        };
        if !client.introspects {
            return Ok(Reply::refusal(Refusal::MayNotIntrospect));
        }
        let inactive = || Ok(Reply::json(200, &json!({ "active": false }), "introspected"));
        match self.own_token(form.get("token").unwrap_or_default()).await {
            Some(OwnToken::Access(mut claims)) => {
                // A token of a client that no longer exists is inactive.
                let id = claims.get("client_id").and_then(Value::as_str).unwrap_or_default();
                if matches!(self.client(id, false).await?, Err(NoClient::Unknown(_))) {
                    return inactive();
                }
                let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
                let issued_at = claims.get("iat").and_then(Value::as_u64).unwrap_or_default();
                let user = [Revocable::User(text("sub").to_owned())];
                let has_grant = grant_of(text("jti")).is_some();
                if !has_grant
                    && is_revoked(self.server, self.ports, &user, issued_at).await.map_err(|why| {
                        self.say("error", "records_unavailable", &why.to_string());
                        Failure::Records
                    })?
                {
                    return inactive();
                }
                if let Some(grant) = claims.get("jti").and_then(Value::as_str).and_then(grant_of) {
                    let issued = claims.get("iat").and_then(Value::as_u64).unwrap_or_default();
                    if self.ask::<Grant>(grant, GrantQuestion::Accepts(issued)).await? != GrantAnswer::Done {
                        return inactive();
                    }
                }
                claims.insert("active".to_owned(), json!(true));
                let is_bound = claims.get("cnf").and_then(|cnf| cnf.get("jkt")).is_some();
                claims.insert("token_type".to_owned(), json!(if is_bound { "DPoP" } else { "Bearer" }));
                Ok(Reply::json(200, &Value::Object(claims), "introspected"))
            }
            Some(OwnToken::Refresh(handle)) => {
                let GrantAnswer::Content(seen) = self.ask::<Grant>(handle.grant(), GrantQuestion::Read).await? else {
                    return inactive();
                };
                if matches!(self.client(&seen.terms.client_id, false).await?, Err(NoClient::Unknown(_))) {
                    return inactive();
                }
                let current =
                    seen.refresh.as_ref().filter(|(hash, until)| *hash == handle.hash() && self.now() < *until);
                let Some((_, until)) = current else { return inactive() };
                let members = json!({
                    "active": true,
                    "iss": self.server.own.identifier,
                    "sub": seen.terms.subject,
                    "client_id": seen.terms.client_id,
                    "scope": seen.terms.scope,
                    "exp": until,
                });
                Ok(Reply::json(200, &members, "introspected"))
            }
            None => inactive(),
        }
    }
}

/// The provider's tokens to revoke, if this is the handle that opens them and the login is that of the provider.
fn opened(seen: &GrantContent, handle: &Handle, login: &Login) -> Option<Vec<(String, &'static str)>> {
    let (held, _) = HeldTokens::open(seen.vault.as_ref()?, handle).filter(|(held, _)| held.are_of(login))?;
    let refresh_token = held.refresh_token.map(|token| (token, "refresh_token"));
    Some(refresh_token.into_iter().chain([(held.access_token, "access_token")]).collect())
}
