//! A JWS in compact form (RFC 7515 §7.1), parsed strictly and not yet verified.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::limits::{KID_BYTES, TOKEN_BYTES, TOKEN_CLAIMS, TOKEN_HEADER_MEMBERS};
use crate::strict_json;
use crate::token::error::TokenError;
use crate::token::signature::SignatureProof;

/// A `typ` header, in lower case and without `application/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenType {
    /// No `typ`.
    Absent,
    /// This value.
    Named(String),
}

impl TokenType {
    /// The type that the configuration names; `absent` means no `typ`.
    #[must_use]
    pub fn configured(text: &str) -> Self {
        if text == "absent" { Self::Absent } else { Self::of(Some(text)) }
    }

    /// The type that a token's header names (RFC 7515 §4.1.9: case is ignored, and `application/` may be omitted).
    #[must_use]
    pub fn of(typ: Option<&str>) -> Self {
        typ.map_or(Self::Absent, |typ| {
            let typ = typ.to_ascii_lowercase();
            Self::Named(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
        })
    }
}

/// Header members that change what is signed, or what a reader must understand.
const FORBIDDEN: [&str; 3] = ["crit", "b64", "zip"];

/// Header members that contain a key or the location of one: a token must not choose the key that verifies it (RFC 8725
/// §3.10).
const KEY_HEADERS: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];

/// What a reader does with [`KEY_HEADERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyHeaders {
    /// It rejects the token.
    Reject,
    /// It requires `jwk`, and rejects the others.
    RequireJwk,
    /// It keeps the name of the first, and never reads its value.
    Note,
}

/// A well-formed JWS whose signature has not been verified; no claim may be trusted yet.
pub struct UntrustedToken {
    signing_input: String,
    signature: Vec<u8>,
    algorithm: String,
    kid: Option<String>,
    typ: TokenType,
    jwk: Option<Value>,
    key_header: Option<&'static str>,
    claims: Map<String, Value>,
}

impl UntrustedToken {
    /// Parses a token:
    ///
    /// 1. It has at most [`TOKEN_BYTES`].
    /// 2. It has three parts in canonical base64url without padding.
    /// 3. The header is a strict JSON object with members of the expected types, and without members that would change
    ///    the verification (RFC 8725 §3.10, §3.1). `crit` is among these, because the gateway supports no extension.
    /// 4. The claims are a strict JSON object of at most [`TOKEN_CLAIMS`] members.
    ///
    /// # Errors
    /// The [`TokenError`] of the first check that fails.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        Self::read(text, KeyHeaders::Reject)
    }

    /// Parses a JWS that contains its own key, as DPoP proofs do (RFC 9449 §4.2). The checks are the same, except that
    /// the header must have `jwk`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with_key(text: &str) -> Result<Self, TokenError> {
        Self::read(text, KeyHeaders::RequireJwk)
    }

    /// Parses a token as [`Self::parse`] does, but accepts members that contain a key or the location of one, and
    /// ignores their values: [`Self::key_header`] names the first. The caller must reject such a token, unless the
    /// configuration of its issuer says `ignore_key_headers`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with_key_headers(text: &str) -> Result<Self, TokenError> {
        Self::read(text, KeyHeaders::Note)
    }

    fn read(text: &str, key_headers: KeyHeaders) -> Result<Self, TokenError> {
        if text.len() > TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signing_input.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
        let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);
        if signature.is_empty() {
            return Err(TokenError::Malformed);
        }
        let header = match strict_json::parse(&header) {
            Ok(Value::Object(members)) if members.len() <= TOKEN_HEADER_MEMBERS => members,
            _ => return Err(TokenError::HeaderMalformed),
        };
        if let Some(member) = FORBIDDEN.into_iter().find(|member| header.contains_key(*member)) {
            return Err(TokenError::ForbiddenHeader(member));
        }
        let unfit = |member: &&str| {
            let required = key_headers == KeyHeaders::RequireJwk && *member == "jwk";
            header.contains_key(*member) != required
        };
        let key_header = KEY_HEADERS.into_iter().find(unfit);
        if let Some(member) = key_header.filter(|_| key_headers != KeyHeaders::Note) {
            return Err(TokenError::ForbiddenHeader(member));
        }
        let text = |member: &str| match header.get(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(TokenError::HeaderMalformed),
        };
        let kid = text("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES) {
            return Err(TokenError::HeaderMalformed);
        }
        let claims = match strict_json::parse(&claims) {
            Ok(Value::Object(claims)) => claims,
            Ok(_) => return Err(TokenError::ClaimMalformed("claims")),
            Err(error) => return Err(TokenError::ClaimsNotJson(error)),
        };
        if claims.len() > TOKEN_CLAIMS {
            return Err(TokenError::ClaimsTooMany);
        }
        Ok(Self {
            signing_input: signing_input.to_owned(),
            signature,
            algorithm: text("alg")?.ok_or(TokenError::AlgorithmNotAllowed)?,
            kid,
            typ: TokenType::of(text("typ")?.as_deref()),
            jwk: header.get("jwk").filter(|_| key_headers == KeyHeaders::RequireJwk).cloned(),
            key_header,
            claims,
        })
    }

    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The first header member that contains a key or the location of one, after [`Self::parse_with_key_headers`].
    #[must_use]
    pub fn key_header(&self) -> Option<&'static str> {
        self.key_header
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `typ`.
    #[must_use]
    pub fn typ(&self) -> &TokenType {
        &self.typ
    }

    /// The key in its header, if it may have one.
    pub(super) fn jwk(&self) -> Option<&Value> {
        self.jwk.as_ref()
    }

    /// The unverified `iss`, only to select whose keys to try. It must not be used for anything else.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The signing input (RFC 7515 §5.1).
    #[must_use]
    pub fn signing_input(&self) -> &str {
        &self.signing_input
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The claims, if `proof` shows that they were signed.
    #[must_use]
    pub fn claims_with(&self, proof: &SignatureProof) -> Option<&Map<String, Value>> {
        proof.is_of(self).then_some(&self.claims)
    }

    /// The claims, which may be unverified: code in [`crate::token`] checks the signature itself, other code uses
    /// [`Self::claims_with`].
    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

impl fmt::Debug for UntrustedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UntrustedToken({} bytes)", self.signing_input.len() + self.signature.len())
    }
}
