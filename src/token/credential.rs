//! A credential as a caller presents it, and the keys under which caches store results about it.

use std::cell::OnceCell;

use sha2::{Digest as _, Sha256};

use crate::oauth::bearer::{AuthScheme, BearerToken};
use crate::token::cache::Digest;
use crate::token::error::TokenError;
use crate::token::issuer::Issuer;
use crate::token::untrusted::UntrustedToken;
use crate::token::verifier_id::VerifierId;

/// A credential as the caller presented it.
#[derive(Debug)]
pub struct Credential {
    /// The authentication scheme that it was sent under.
    pub scheme: AuthScheme,
    /// Its text.
    pub token: BearerToken,
    field: CredentialField,
    /// The parsed JWS, if it is one; parsed on first use.
    jws: OnceCell<Result<Box<UntrustedToken>, TokenError>>,
}

/// Where in a request a credential was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialField {
    Authorization,
    ApiKey,
    Access,
}

impl Credential {
    /// A credential from the `Authorization` field.
    #[must_use]
    pub fn authorization(scheme: AuthScheme, token: BearerToken) -> Self {
        Self::new(scheme, token, CredentialField::Authorization)
    }

    pub(super) fn new(scheme: AuthScheme, token: BearerToken, field: CredentialField) -> Self {
        Self { scheme, token, field, jws: OnceCell::new() }
    }

    /// The salted digest from which its cache keys are derived.
    #[must_use]
    pub fn fingerprint(&self, salt: &[u8; 32]) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update(salt);
        hash.update(self.token.expose());
        Fingerprint { digest: hash.finalize().into(), field: self.field }
    }

    /// The issuer that the credential names, if it is a JWS that names one.
    ///
    /// # Errors
    /// Why it is not a JWS.
    pub fn claimed_issuer(&self) -> Result<Option<&str>, TokenError> {
        self.parsed().map(UntrustedToken::claimed_issuer)
    }

    /// The credential as a parsed JWS of this issuer.
    ///
    /// # Errors
    /// Why it is not a JWS, or not one that the gateway accepts from this issuer.
    pub fn jws_of(&self, issuer: &Issuer) -> Result<&UntrustedToken, TokenError> {
        let token = self.parsed()?;
        match token.key_header().filter(|_| !issuer.ignore_key_headers) {
            Some(member) => Err(TokenError::ForbiddenHeader(member)),
            None => Ok(token),
        }
    }

    fn parsed(&self) -> Result<&UntrustedToken, TokenError> {
        let read = self.jws.get_or_init(|| UntrustedToken::parse_with_key_headers(self.token.expose()).map(Box::new));
        read.as_deref().map_err(Clone::clone)
    }

    /// Where in the request it was found.
    pub(super) fn field(&self) -> CredentialField {
        self.field
    }

    /// Its scheme, if it came in the `Authorization` field.
    #[must_use]
    pub fn authorization_scheme(&self) -> Option<AuthScheme> {
        (self.field == CredentialField::Authorization).then_some(self.scheme)
    }
}

/// SHA-256 over a salt that no other isolate has, and the text of a credential.
#[derive(Debug)]
pub struct Fingerprint {
    digest: Digest,
    field: CredentialField,
}

impl Fingerprint {
    /// The cache key for what a verifier says about the credential. For a custom verifier, the key depends on the
    /// resource, because the gateway tells the verifier the resource and the answer may depend on it.
    #[must_use]
    pub fn verified_by(&self, verifier: VerifierId, resource: usize) -> Digest {
        match verifier {
            VerifierId::Jwt(index) => self.name(0, index, 0),
            VerifierId::Introspection(index) => self.name(1, index, 0),
            VerifierId::ApiKeys(index) => self.name(2, index, 0),
            VerifierId::Custom(index) => self.name(3, index, resource),
        }
    }

    /// The cache key of the choice of a verifier for the credential at a resource.
    #[must_use]
    pub fn chosen_at(&self, resource: usize) -> Digest {
        self.name(4, self.field as usize, resource)
    }

    /// The keys of one credential differ only in their last 17 bytes; the keys of two credentials differ in the first
    /// 15 bytes too.
    fn name(&self, kind: u8, first: usize, second: usize) -> Digest {
        let word = |index: usize| u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes();
        let about = [kind].into_iter().chain(word(first)).chain(word(second));
        let mut name = self.digest;
        for (byte, other) in name.iter_mut().skip(15).zip(about) {
            *byte ^= other;
        }
        name
    }
}
