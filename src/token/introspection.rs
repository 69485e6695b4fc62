//! Tokens that their authorization server is asked about (RFC 7662), and its answers, signed ones too (RFC 9701).

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::oauth::client_credentials;
use crate::oauth::form::Form;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::strict_json;
use crate::time::UnixMillis;
use crate::token::claim_values::{text, texts, times};
use crate::token::claims::{accept, scopes_of};
use crate::token::credential::Credential;
use crate::token::error::TokenError;
use crate::token::issuer::{Introspection, Issuer};
use crate::token::jwt;
use crate::token::principal::{CredentialKind, Interests, Rights, Subject};
use crate::token::profile::Profile;
use crate::token::untrusted::{TokenType, UntrustedToken};
use crate::token::verified::{Confirmation, VerifiedToken};
use crate::token::verifier::{Answered, Evidence, TokenVerifier, Verification};
use crate::transport::provider::{ProviderDocument, ProviderRequest};

const JSON: &str = "application/json";
const SIGNED: &str = "application/token-introspection+jwt";

/// Asks the authorization server of one issuer.
pub struct IntrospectionVerifier<'a> {
    /// The issuer.
    pub issuer: &'a Issuer,
    /// How it is asked.
    pub introspection: &'a Introspection,
    /// What rules read of tokens.
    pub interests: &'a Interests,
}

impl TokenVerifier for IntrospectionVerifier<'_> {
    /// 1. the answer is of the media type that was asked for;
    /// 2. a signed one (RFC 9701 §5) is of the right type, signed by the issuer, from it and for this client;
    /// 3. `active` is a boolean; false refuses the token, anything else leaves it unknown;
    /// 4. `iss`, where it is there, is the issuer, with a tenant that is accepted; the claims that must hold do;
    /// 5. see `read_active`.
    fn verify(&self, credential: &Credential, evidence: &Evidence<'_>) -> Verification {
        let _ = credential;
        let Some(Answered::Provider(document)) = evidence.answer else { return Verification::NeedAnswer };
        let members = if self.introspection.signed_response {
            match self.signed(document, evidence) {
                Ok(members) => members,
                Err(verification) => return verification,
            }
        } else {
            match plain(document) {
                Ok(members) => members,
                Err(why) => return Verification::Unusable(why),
            }
        };
        let members = without_nulls(members);
        // An answer that does not say whose the token is speaks of this issuer's, unless that is many.
        let iss = match members.get("iss") {
            None if self.issuer.is_template() => {
                return Verification::Unusable("the answer has no iss, and the issuer is many".to_owned());
            }
            None => &self.issuer.identifier,
            Some(Value::String(iss)) if self.issuer.tenant_of(iss).is_some() => iss,
            Some(_) => return Verification::Unusable("the answer is of another issuer".to_owned()),
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
        let unusable = |why: &str| Verification::Unusable(why.to_owned());
        if document.media_type() != SIGNED {
            return Err(unusable("the answer is not application/token-introspection+jwt"));
        }
        let text = std::str::from_utf8(&document.body).map_err(|_| unusable("the answer is not text"))?;
        let jws = UntrustedToken::parse(text.trim()).map_err(|_| unusable("the answer is no signed JWT"))?;
        let types = [TokenType::Named("token-introspection+jwt".to_owned())];
        let keys = evidence.keys.ok_or(Verification::NeedKeys)?;
        jwt::signed(&jws, self.issuer, &types, keys, evidence).map_err(|verification| match verification {
            // The answer is at fault here, not the caller's token.
            Verification::Refused(_) => unusable("the answer is not signed by the issuer, or not as configured"),
            other => other,
        })?;
        let claims = jws.claims();
        let ours = claims
            .get("aud")
            .and_then(texts)
            .is_some_and(|audiences| audiences.contains(&self.introspection.client_id));
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer.identifier) || !ours {
            return Err(unusable("the signed answer is from somebody else, or for somebody else"));
        }
        match claims.get("token_introspection") {
            Some(Value::Object(members)) => Ok(members.clone()),
            _ => Err(unusable("the signed answer has no token_introspection")),
        }
    }
}

/// The JSON object of an answer.
///
/// # Errors
/// Why there is none.
pub(super) fn plain(document: &ProviderDocument) -> Result<Map<String, Value>, String> {
    if document.media_type() != JSON {
        return Err("the answer is not application/json".to_owned());
    }
    match strict_json::parse(&document.body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("the answer is no JSON object".to_owned()),
        Err(error) => Err(format!("the answer is {error}")),
    }
}

/// Members that are `null` say nothing: some servers write those so that they have nothing to say about.
pub(super) fn without_nulls(members: Map<String, Value>) -> Map<String, Value> {
    members.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// How an answer in the terms of RFC 7662 §2.2 is read.
pub(super) struct Rules<'a> {
    /// Who vouches, where the answer does not say.
    pub(super) issuer: &'a str,
    /// The kind of credential.
    pub(super) kind: CredentialKind,
    /// Whether `aud` must be there.
    pub(super) audience_required: bool,
    /// Seconds by which clocks may differ.
    pub(super) leeway: u64,
    /// Scopes of every token.
    pub(super) grant_scopes: &'a ScopeSet,
    /// What rules ask about.
    pub(super) interests: &'a Interests,
    /// The habits of who answers.
    pub(super) profile: Profile,
    /// The most seconds that a good answer is used.
    pub(super) cache_seconds: u64,
    /// Seconds that a bad one is.
    pub(super) negative_seconds: u64,
}

/// Reads `active` and what follows from it: an access token, a subject (`sub`, else `client_id`), `aud` where it is required, times that
/// are plausible, scopes.
pub(super) fn read_active(members: &Map<String, Value>, rules: &Rules<'_>, now: UnixMillis) -> Verification {
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Verification::RefusedFor(TokenError::Inactive, rules.negative_seconds),
        _ => return Verification::Unusable("the answer has no boolean `active`".to_owned()),
    }
    match active(members, rules, now).and_then(|verified| verified.lives(now).map(|()| verified)) {
        Ok(verified) => Verification::Verified(Box::new(verified)),
        // The token is active, and what is said of it makes no sense: that is no fault of the caller's.
        Err(TokenError::ClaimMalformed(member)) => {
            Verification::Unusable(format!("the answer's {member} is malformed"))
        }
        Err(error) => Verification::RefusedFor(error, rules.negative_seconds),
    }
}

/// Servers look among all their tokens, whatever the hint says (RFC 7662 §2.1): a refresh token, or one for somebody's
/// login, is active too and opens nothing. Each of these members says what a token is where it is there.
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
    let subject = named("sub")?.or_else(|| client.clone()).ok_or(TokenError::ClaimMissing("sub"))?;
    let audiences = match members.get("aud") {
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
        rights: Rights::of(members, rules.interests, rules.profile),
    };
    let times = times(members, false)?;
    Ok(VerifiedToken {
        subject: Rc::new(subject),
        audiences,
        // Past `exp` whoever knows the token is asked again: the leeway is for clocks, not for longer lives.
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

/// What the token is bound to. One that is said to be bound, and not to what, is bound to something that nobody here knows.
fn confirmation(members: &Map<String, Value>) -> Confirmation {
    let said = members.get("token_type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
    match Confirmation::read(members.get("cnf")) {
        Confirmation::Bound { jkt: None, .. } | Confirmation::None if said => Confirmation::Unknown,
        read => read,
    }
}

/// The request of RFC 7662 §2.1. `assertion` is the signed client assertion, where the client authenticates so.
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
    client_credentials::authenticate(client_id, authentication, assertion, &mut form, &mut fields);
    let body = Some(form.into_text());
    ProviderRequest { url: endpoint.to_owned(), service: None, fields, body, seconds: introspection.timeout }
}
