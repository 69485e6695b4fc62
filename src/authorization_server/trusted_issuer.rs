//! Issuers whose assertions the token endpoint accepts (RFC 7523): identity providers that manage access for a company
//! (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant), and platforms that identify workloads (SEP-1933).
//!
//! All checks here are of claims that a key of the issuer signed.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value};

use crate::authorization_server::client::{Client, Workload};
use crate::authorization_server::login::signed_in::SignedIn;
use crate::authorization_server::login::{Admission, LoginProfile, UserRules};
use crate::authorization_server::settings::AuthorizationServer;
use crate::jwks::key::JwsAlgorithm;
use crate::jwks::key_set::{KeySet, NoKey};
use crate::provider::ProviderError;
use crate::secret::Secret;
use crate::token::claim_values::{claim, seconds, texts};
use crate::token::signature::SignatureCheck;
use crate::token::untrusted::{TokenType, UntrustedToken};
use crate::token::verified::Confirmation;

/// The grant type of assertions (RFC 7523 §2.1).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The profile of that grant in the metadata of a server that accepts ID-JAGs.
pub const ID_JAG_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// `typ` of an ID-JAG.
const ID_JAG_TYPE: &str = "oauth-id-jag+jwt";

/// Seconds that the clocks of an issuer and of the gateway may differ.
pub const LEEWAY: i64 = 30;

/// The most characters of a `jti` or of a subject.
const NAME_CHARS: usize = 255;

/// An issuer of assertions.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// Its place in the configuration.
    pub index: usize,
    /// Its name in the configuration.
    pub name: String,
    /// `iss` of its assertions.
    pub identifier: String,
    /// Where its keys come from.
    pub keys: TrustedKeys,
    /// Accepted values of `aud`, beside the issuer identifier of this server.
    pub audiences: Vec<String>,
    /// Seconds ahead that `exp` may be at most.
    pub most_seconds: u64,
    /// What is accepted in its ID-JAGs; `None` if they are not accepted.
    pub id_jag: Option<IdJagRules>,
    /// How its signals are received; `None` if they are not.
    pub signals: Option<SignalRules>,
    /// Claims of its assertions about workloads that access tokens contain.
    pub token_claims: Vec<String>,
}

impl TrustedIssuer {
    /// Its transmitter, if the gateway polls it, and how its signals are received.
    #[must_use]
    pub fn polled(&self) -> Option<(&PolledTransmitter, &SignalRules)> {
        match self.signals.as_ref()? {
            SignalRules { delivery: SignalDelivery::Push(_), .. } => None,
            rules @ SignalRules { delivery: SignalDelivery::Poll(transmitter), .. } => Some((transmitter, rules)),
        }
    }
}

/// Where the keys of a trusted issuer come from.
#[derive(Debug, Clone)]
pub enum TrustedKeys {
    /// From its metadata: at this URL, or at its issuer identifier.
    Discovered(Option<String>),
    /// From the JWK set at this URL.
    At(String),
    /// From the configuration.
    Static(Box<KeySet>),
}

/// How signals (SETs) of an issuer are received.
#[derive(Debug, Clone)]
pub struct SignalRules {
    /// How they come.
    pub delivery: SignalDelivery,
    /// Accepted values of `aud`.
    pub audiences: Vec<String>,
    /// Whether they are about the users of the login.
    pub about_login: bool,
    /// The identifiers of issuers whose tokens the gateway accepts, and whose users they are about.
    pub issuers: Vec<String>,
}

/// How signals come.
#[derive(Debug, Clone)]
pub enum SignalDelivery {
    /// The transmitter sends them (RFC 8935), with this in `Authorization`, if anything.
    Push(Option<Secret>),
    /// The gateway asks for them (RFC 8936).
    Poll(PolledTransmitter),
}

/// A transmitter that the gateway asks.
#[derive(Debug, Clone)]
pub struct PolledTransmitter {
    /// The URL of its poll endpoint.
    pub url: String,
    /// The access token that it accepts.
    pub token: Secret,
}

/// Whom an ID-JAG can name.
#[derive(Debug, Clone)]
pub struct IdJagRules {
    /// What the subjects of this issuer begin with; empty if they are the subjects of the login.
    pub prefix: String,
    /// The claim that holds the subject.
    pub subject_claim: String,
    /// The claim that holds the groups.
    pub groups_claim: String,
    /// Which users are admitted.
    pub admission: Admission,
}

impl IdJagRules {
    /// How it names its users, and which of them are admitted.
    #[must_use]
    pub fn users(&self) -> UserRules<'_> {
        UserRules {
            profile: LoginProfile::Generic,
            issuer: None,
            tenants: &[],
            prefix: &self.prefix,
            subject_claim: &self.subject_claim,
            groups_claim: &self.groups_claim,
            admission: &self.admission,
        }
    }
}

/// Why an assertion is not accepted. The texts complete "the assertion …"; they say nothing that its holder does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantAssertionError {
    /// It is not a JWT, or has a header member that must not be there.
    Malformed,
    /// Its issuer is not trusted.
    UnknownIssuer,
    /// Its algorithm is not supported.
    Algorithm,
    /// Its issuer has no such key.
    NoKey(NoKey),
    /// The keys of its issuer cannot be used.
    Keys(ProviderError),
    /// Its signature is wrong.
    Signature,
    /// It is for another server.
    Audience,
    /// `exp` is missing, has passed, or is too far ahead.
    Expiry(u64),
    /// `iat` is missing or in the future, or `nbf` is.
    NotYet,
    /// It has a claim that this server does not understand, and that limits its use.
    Limited(&'static str),
    /// It has no subject that can be used.
    NoSubject,
    /// `client_id` is not the client that sends it.
    OtherClient,
    /// `jti` is missing or too long.
    NoId,
    /// It was used before.
    Replayed,
    /// `resource` is missing, or is not one resource of this server.
    Resource,
    /// `resource` is not that of the request.
    OtherResource,
    /// The user whom it names is not admitted.
    NotAdmitted,
    /// What it says of the user does not fit into tokens.
    Claims(String),
    /// No client of the configuration is this workload.
    NoWorkload,
}

impl fmt::Display for GrantAssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not a JWT that can be accepted",
            Self::UnknownIssuer => "is from an issuer that is not trusted",
            Self::Algorithm => "has an algorithm that is not supported",
            Self::NoKey(_) => "is signed with a key that its issuer does not publish",
            Self::Keys(_) => "cannot be checked: the keys of its issuer cannot be used",
            Self::Signature => "has a wrong signature",
            Self::Audience => "is for another server: aud must be the issuer identifier of this one, alone",
            Self::Expiry(most) => return write!(f, "has expired, or must have an exp within {most} seconds"),
            Self::NotYet => "has no iat, or is not valid yet",
            Self::Limited(claim) => return write!(f, "has the claim {claim}, which this server does not support"),
            Self::NoSubject => "has no subject that can be used",
            Self::OtherClient => "is for another client: client_id must be the client that sends it",
            Self::NoId => "must have a jti of 1 to 255 characters",
            Self::Replayed => "was used before",
            Self::Resource => "must have one resource of this server as resource",
            Self::OtherResource => "is for another resource than the request",
            Self::NotAdmitted => "names a user who may not use this server",
            Self::Claims(why) => return write!(f, "cannot be used: {why}"),
            Self::NoWorkload => "is of a workload that no client of the configuration names",
        })
    }
}

impl Error for GrantAssertionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::Keys(error) = self { Some(error) } else { None }
    }
}

impl GrantAssertionError {
    /// What the log says, if it is more than the client learns.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::NoKey(error) => Some(format!("{self}: {error:?}")),
            Self::Keys(error) => Some(format!("{self}: {error}")),
            _ => None,
        }
    }
}

/// Whether a token says of itself that it is an ID-JAG.
#[must_use]
pub fn is_id_jag(token: &UntrustedToken) -> bool {
    *token.typ() == TokenType::Named(ID_JAG_TYPE.to_owned())
}

/// Whether a token can be an assertion about a workload: platforms name no type, or the general one, and no event is in it.
#[must_use]
pub fn may_be_workload(token: &UntrustedToken) -> bool {
    match token.typ() {
        TokenType::Absent => true,
        TokenType::Named(name) => name == "jwt" || name == "jose",
    }
}

/// The check of an assertion's signature.
///
/// # Errors
/// [`GrantAssertionError`] if its algorithm is not supported, or no key fits.
pub fn signature_check(token: &UntrustedToken, keys: &KeySet) -> Result<Box<SignatureCheck>, GrantAssertionError> {
    let algorithm = JwsAlgorithm::parse(token.algorithm()).ok_or(GrantAssertionError::Algorithm)?;
    let key = keys.select(token.kid(), algorithm).map_err(GrantAssertionError::NoKey)?;
    SignatureCheck::of(token, key, algorithm).map_err(|_| GrantAssertionError::Signature)
}

/// Checks what both kinds of assertions have: `aud` is this server alone, and the times are right. Returns the second from
/// which it is not accepted any more.
///
/// # Errors
/// [`GrantAssertionError`]: the first check that fails.
pub fn check_times_and_audience(
    claims: &Map<String, Value>,
    issuer: &TrustedIssuer,
    server: &AuthorizationServer,
    now: u64,
) -> Result<u64, GrantAssertionError> {
    let own = &server.own.identifier;
    let is_own = |audience: &String| {
        // A URL without a path is the same with `/` (RFC 3986 §6.2.3), and clients add it.
        audience == own || audience.strip_suffix('/') == Some(own) || issuer.audiences.contains(audience)
    };
    let audiences = claims.get("aud").and_then(texts).unwrap_or_default();
    if audiences.is_empty() || !audiences.iter().all(is_own) {
        return Err(GrantAssertionError::Audience);
    }
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let most = i64::try_from(issuer.most_seconds).unwrap_or(i64::MAX);
    let exp = seconds(claims, "exp").ok().flatten().filter(|exp| *exp + LEEWAY > now && *exp <= now + most + LEEWAY);
    let exp = exp.ok_or(GrantAssertionError::Expiry(issuer.most_seconds))?;
    let begins = |claim| seconds(claims, claim).map_err(|_| GrantAssertionError::NotYet);
    if begins("nbf")?.is_some_and(|nbf| nbf > now + LEEWAY) || begins("iat")?.is_some_and(|iat| iat > now + LEEWAY) {
        return Err(GrantAssertionError::NotYet);
    }
    Ok(u64::try_from(exp + LEEWAY).unwrap_or_default())
}

/// What an ID-JAG says, beside who the user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdJag {
    /// `jti`.
    pub id: String,
    /// The second from which it is not accepted any more.
    pub until: u64,
    /// `resource`.
    pub resource: String,
    /// `scope`.
    pub scope: Option<String>,
    /// How and when the user signed in.
    pub signed_in: SignedIn,
    /// The thumbprint of the key that the client must prove (`cnf.jkt`).
    pub key: Option<String>,
}

impl IdJag {
    /// Reads the claims of an ID-JAG that a client sends, and checks them (draft-ietf-oauth-identity-assertion-authz-grant
    /// §4.4, RFC 7523 §3, MCP Enterprise-Managed Authorization, A19).
    ///
    /// # Errors
    /// [`GrantAssertionError`]: the first check that fails.
    pub fn read(
        claims: &Map<String, Value>,
        issuer: &TrustedIssuer,
        server: &AuthorizationServer,
        client: &Client,
        now: u64,
    ) -> Result<Self, GrantAssertionError> {
        // They would limit who may use it, or for what: to ignore them would be to grant more than the provider did.
        if claims.contains_key("authorization_details") {
            return Err(GrantAssertionError::Limited("authorization_details"));
        }
        let key = match Confirmation::read(claims.get("cnf")) {
            Confirmation::None => None,
            Confirmation::Bound { jkt: Some(jkt), x5t: None } => Some(jkt),
            Confirmation::Bound { .. } | Confirmation::Unknown => return Err(GrantAssertionError::Limited("cnf")),
        };
        let until = check_times_and_audience(claims, issuer, server, now)?;
        if !claims.contains_key("iat") {
            return Err(GrantAssertionError::NotYet);
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("client_id") != Some(&client.id) {
            return Err(GrantAssertionError::OtherClient);
        }
        let subject = text("sub").filter(|subject| !subject.is_empty());
        if subject.is_none_or(|subject| subject.trim() != subject || subject.chars().any(char::is_control)) {
            return Err(GrantAssertionError::NoSubject);
        }
        let id = text("jti").filter(|id| (1..=NAME_CHARS).contains(&id.len())).ok_or(GrantAssertionError::NoId)?;
        let resource = match claims.get("resource").and_then(texts).as_deref() {
            Some([one]) => one.clone(),
            _ => return Err(GrantAssertionError::Resource),
        };
        let scope = match claims.get("scope") {
            None => None,
            Some(Value::String(scope)) => Some(scope.clone()),
            Some(_) => return Err(GrantAssertionError::Claims("scope is not a string".to_owned())),
        };
        Ok(Self { id: id.to_owned(), until, resource, scope, signed_in: SignedIn::of(claims, now), key })
    }
}

impl Workload {
    /// Whether the claims of an assertion of this issuer are of this workload.
    #[must_use]
    pub fn is(&self, issuer: &TrustedIssuer, claims: &Map<String, Value>) -> bool {
        let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| subject.len() <= NAME_CHARS);
        let has = |(name, accepted): &(String, Vec<String>)| {
            let found = claim(claims, name).and_then(texts).unwrap_or_default();
            found.iter().any(|value| accepted.contains(value))
        };
        self.issuer == issuer.name
            && subject.is_some_and(|subject| self.subject.matches(subject))
            && self.claims.iter().all(has)
    }
}
