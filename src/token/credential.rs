//! A credential as a caller presents it, and the keys under which caches store results about it.

use std::cell::OnceCell;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

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

    /// The keyed hash from which its cache keys are derived.
    #[must_use]
    pub fn fingerprint(&self, key: &[u8; 16]) -> Fingerprint {
        let mut hash = SipHasher24::new_with_key(key);
        hash.write(self.token.expose().as_bytes());
        Fingerprint { hash: hash.finish128().as_bytes(), field: self.field }
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

/// A hash of the text of a credential, with a key that no other isolate has. SipHash-2-4 with 128 bits is a pseudorandom
/// function: without the key, one cannot make a credential with the hash of another one except by guessing 128 bits, and the
/// hash reveals nothing about a credential.
#[derive(Debug)]
pub struct Fingerprint {
    hash: [u8; 16],
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

    /// The cache key of what the gateway obtained for the origin server of a resource in exchange for the credential, from the key
    /// that [`Self::verified_by`] returned for it.
    #[must_use]
    pub fn exchanged_at(verified: &Digest, resource: usize) -> Digest {
        let mut hash = [0; 16];
        hash.iter_mut().zip(verified).for_each(|(byte, part)| *byte = *part);
        Self { hash, field: CredentialField::Authorization }.name(5, 0, resource)
    }

    /// The hash, and in the other half what the key is for: the keys of one credential differ in the second half, the keys of
    /// two credentials in the first.
    fn name(&self, kind: u8, first: usize, second: usize) -> Digest {
        let word = |index: usize| u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes();
        let about = [kind].into_iter().chain(word(first)).chain(word(second));
        let mut name = [0; 32];
        name.iter_mut().zip(self.hash.into_iter().chain(about)).for_each(|(byte, part)| *byte = part);
        name
    }
}
