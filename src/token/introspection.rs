//! Token introspection (RFC 7662), with signed responses (RFC 9701).

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::oauth::client_authentication;
use crate::oauth::form::Form;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::answer_error::AnswerError;
use crate::token::claim_values::{text, texts, times};
use crate::token::claims::{accept, scopes_of};
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::issuer::{Introspection, Issuer};
use crate::token::jwt;
use crate::token::principal::{ClaimSelection, CredentialKind, SelectedClaims, Subject};
use crate::token::profile::Profile;
use crate::token::untrusted::{TokenType, UntrustedToken};
use crate::token::verified::{Confirmation, VerifiedToken};
use crate::token::verifier::{Evidence, TokenVerifier, Verification, VerifierAnswer};
use crate::transport::provider::{ProviderDocument, ProviderRequest};

const JSON: &str = "application/json";
const SIGNED: &str = "application/token-introspection+jwt";

/// Reads the introspection responses of one issuer.
pub struct IntrospectionVerifier<'a> {
    /// The issuer.
    pub issuer: &'a Issuer,
    /// How the gateway introspects tokens there.
    pub introspection: &'a Introspection,
    /// What rules read about the subjects.
    pub interests: &'a ClaimSelection,
}

impl TokenVerifier for IntrospectionVerifier<'_> {
    /// 1. The answer has the media type that the gateway asked for.
    /// 2. A signed answer (RFC 9701 §5) has the right `typ`, is signed by the issuer, and names the issuer and this
    ///    client.
    /// 3. `iss` is the issuer's; it may be missing unless the issuer is multi-tenant.
    /// 4. For an active token, the tenant is accepted and the required claims have accepted values.
    /// 5. `read_active` accepts the rest.
    ///
    /// An answer that fails 1, 2 or 3, or has no boolean `active`, is unusable: the gateway knows nothing about the
    /// token.
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        let _ = credential;
        let Some(VerifierAnswer::Provider(document)) = evidence.answer else { return Verification::NeedAnswer };
        let members = if self.introspection.signed_response {
            match self.signed(document, evidence) {
                Ok(members) => members,
                Err(verification) => return verification,
            }
        } else {
            match plain(document) {
                Ok(members) => members,
                Err(error) => return Verification::Unusable(error),
            }
        };
        let members = without_nulls(members);
        // An answer without `iss` is about a token of this issuer, unless the issuer is a template for many tenants.
        let iss = match members.get("iss") {
            None if self.issuer.is_template() => {
                return Verification::Unusable(AnswerError::IssuerMissing);
            }
            None => &self.issuer.identifier,
            Some(Value::String(iss)) if self.issuer.tenant_of(iss).is_some() => iss,
            Some(_) => return Verification::Unusable(AnswerError::OtherIssuer),
        };
        if members.get("active") == Some(&Value::Bool(true))
            && let Err(error) = accept(&members, iss, self.issuer)
        {
            return Verification::RefusedFor(error, self.introspection.negative_seconds);
        }
        let rules = Rules {
            issuer: &self.issuer.identifier,
            kind: CredentialKind::Introspection,
            audience_required: !self.introspection.allow_missing_audience,
            leeway: self.issuer.leeway,
            subject_claim: self.introspection.subject_claim.as_deref(),
            grant_scopes: &self.issuer.grant_scopes,
            interests: self.interests,
            profile: self.issuer.profile,
            cache_seconds: self.introspection.cache_seconds,
            negative_seconds: self.introspection.negative_seconds,
        };
        read_active(&members, &rules, evidence.now)
    }
}

impl IntrospectionVerifier<'_> {
    fn signed(&self, document: &ProviderDocument, evidence: &Evidence<'_>) -> Result<Map<String, Value>, Verification> {
        if document.media_type() != SIGNED {
            return Err(Verification::Unusable(AnswerError::NotSignedType));
        }
        let jws = std::str::from_utf8(&document.body).ok().and_then(|text| UntrustedToken::parse(text.trim()).ok());
        let jws = jws.ok_or(Verification::Unusable(AnswerError::NotJwt))?;
        let types = [TokenType::Named("token-introspection+jwt".to_owned())];
        let keys = evidence.keys.ok_or(Verification::NeedKeys)?;
        jwt::signed(&jws, self.issuer, &types, keys, evidence).map_err(|verification| match verification {
            // The fault is in the answer, not in the caller's token.
            Verification::Refused(_) => Verification::Unusable(AnswerError::NotSigned),
            other => other,
        })?;
        let claims = jws.claims();
        let ours = claims
            .get("aud")
            .and_then(texts)
            .is_some_and(|audiences| audiences.contains(&self.introspection.client_id));
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer.identifier) || !ours {
            return Err(Verification::Unusable(AnswerError::OtherClient));
        }
        match claims.get("token_introspection") {
            Some(Value::Object(members)) => Ok(members.clone()),
            _ => Err(Verification::Unusable(AnswerError::TokenMissing)),
        }
    }
}

/// The JSON object in an unsigned answer.
///
/// # Errors
/// Why there is no JSON object.
pub(super) fn plain(document: &ProviderDocument) -> Result<Map<String, Value>, AnswerError> {
    if document.media_type() != JSON {
        return Err(AnswerError::NotJsonType);
    }
    match strict_json::parse(&document.body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(AnswerError::NotObject),
        Err(error) => Err(AnswerError::NotJson(error)),
    }
}

/// Removes members that are `null`: some servers send these for values that they do not have.
pub(super) fn without_nulls(members: Map<String, Value>) -> Map<String, Value> {
    members.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// How the gateway reads an answer with the members of RFC 7662 §2.2.
pub(super) struct Rules<'a> {
    /// The issuer of the subject if the answer does not name one.
    pub(super) issuer: &'a str,
    /// The kind of credential.
    pub(super) kind: CredentialKind,
    /// Whether `aud` is required.
    pub(super) audience_required: bool,
    /// The member that identifies the user; `None` for `sub`, or `client_id` without it.
    pub(super) subject_claim: Option<&'a str>,
    /// Clock leeway in seconds.
    pub(super) leeway: u64,
    /// Scopes that every token gets.
    pub(super) grant_scopes: &'a ScopeSet,
    /// What rules read about the subject.
    pub(super) interests: &'a ClaimSelection,
    /// The profile of the server that answers.
    pub(super) profile: Profile,
    /// Maximum number of seconds for which the gateway reuses a positive answer.
    pub(super) cache_seconds: u64,
    /// Seconds for which the gateway reuses a negative answer.
    pub(super) negative_seconds: u64,
}

/// Reads `active` and, if it is true, what follows from it: the token is an access token with a subject (`sub`, else
/// `client_id`), `aud` if it is required, plausible times, and scopes.
pub(super) fn read_active(members: &Map<String, Value>, rules: &Rules<'_>, now: UnixMillis) -> Verification {
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Verification::RefusedFor(TokenError::Inactive, rules.negative_seconds),
        _ => return Verification::Unusable(AnswerError::ActiveMissing),
    }
    match active(members, rules, now).and_then(|verified| verified.check_times(now).map(|()| verified)) {
        Ok(verified) => Verification::Verified(Box::new(verified)),
        // The token is active, but the description of it makes no sense. That is not the caller's fault.
        Err(TokenError::ClaimMalformed(member)) => Verification::Unusable(AnswerError::Malformed(member)),
        Err(error) => Verification::RefusedFor(error, rules.negative_seconds),
    }
}

/// Servers search all their tokens, whatever the hint says (RFC 7662 §2.1), so a refresh token or an ID token can be
/// active too; neither authorizes a request. Each of these members, if present, says what the token is.
fn is_access_token(members: &Map<String, Value>) -> bool {
    let one_of = |member: &str, words: &[&str]| match members.get(member) {
        None => true,
        Some(Value::String(text)) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
        Some(_) => false,
    };
    one_of("token_type", &["Bearer", "DPoP", "access_token"])
        && one_of("token_use", &["access", "access_token"])
        && one_of("typ", &["Bearer", "DPoP", "at+jwt", "application/at+jwt", "JWT"])
}

fn active(members: &Map<String, Value>, rules: &Rules<'_>, now: UnixMillis) -> Result<VerifiedToken, TokenError> {
    if !is_access_token(members) {
        return Err(TokenError::TypeNotAllowed);
    }
    let named = |claim| text(members, claim).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    let client = named("client_id")?;
    let subject = match rules.subject_claim {
        Some(claim) => members.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned),
        None => named("sub")?.or_else(|| client.clone()),
    };
    let subject = subject.ok_or(TokenError::ClaimMissing("sub"))?;
    let audiences = match members.get("aud") {
        // An empty list states no audience.
        Some(Value::Array(items)) if items.is_empty() && !rules.audience_required => None,
        Some(aud) => Some(texts(aud).ok_or(TokenError::ClaimMalformed("aud"))?),
        None if rules.audience_required => return Err(TokenError::ClaimMissing("aud")),
        None => None,
    };
    let scopes: Vec<Scope> = match members.get("scope") {
        None => Vec::new(),
        Some(scope) => scopes_of(scope).ok_or(TokenError::ClaimMalformed("scope"))?,
    };
    let subject = Subject {
        issuer: named("iss")?.unwrap_or_else(|| rules.issuer.to_owned()),
        subject,
        client,
        scopes: scopes.iter().chain(rules.grant_scopes.iter()).cloned().collect(),
        kind: rules.kind,
        label: named("label")?,
        rights: SelectedClaims::of(members, rules.interests, rules.profile),
    };
    let times = times(members, false)?;
    Ok(VerifiedToken {
        subject: Rc::new(subject),
        audiences,
        // After `exp` the gateway asks again: the leeway covers clock differences and does not extend the life of a
        // token.
        revocation_buckets: Vec::new(),
        usable_until: usable_until(times.expiration.map(|end| end.timestamp()), rules.cache_seconds, now),
        times,
        leeway: rules.leeway,
        id: named("jti")?,
        confirmation: confirmation(members),
        signed_with: None,
    })
}

fn usable_until(end: Option<i64>, cache_seconds: u64, now: UnixMillis) -> UnixMillis {
    let end = end.and_then(|end| u64::try_from(end).ok()).map(|end| UnixMillis(end.saturating_mul(1000)));
    let cached = now.plus_seconds(cache_seconds);
    end.map_or(cached, |end| end.min(cached))
}

/// What the token is bound to. If `token_type` says that the token is bound but `cnf` names no key, the gateway cannot
/// check the binding.
fn confirmation(members: &Map<String, Value>) -> Confirmation {
    let said = members.get("token_type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
    match Confirmation::read(members.get("cnf")) {
        Confirmation::Bound { jkt: None, .. } | Confirmation::None if said => Confirmation::Unknown,
        read => read,
    }
}

/// The request of RFC 7662 §2.1. `assertion` is the signed client assertion, if the client authenticates with one.
#[must_use]
pub fn request(introspection: &Introspection, endpoint: &str, token: &str, assertion: Option<&str>) -> ProviderRequest {
    let mut form = Form::default();
    form.add("token", token);
    form.add("token_type_hint", "access_token");
    let mut fields = vec![
        ("accept", if introspection.signed_response { SIGNED } else { JSON }.to_owned()),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    let (client_id, authentication) = (&introspection.client_id, &introspection.authentication);
    client_authentication::authenticate(client_id, authentication, assertion, &mut form, &mut fields);
    let body = Some(form.into_text());
    ProviderRequest { url: endpoint.to_owned(), service: None, fields, body, seconds: introspection.timeout }
}
