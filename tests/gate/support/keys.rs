//! Keys that protect nothing, and tokens signed with them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_compact::jwk::JsonWebKey;
use portcullis::jwks::key::JwsAlgorithm;
use portcullis::portable;
use serde_json::{Value, json};

use super::world::NOON;
use super::{ISSUER, RESOURCE};

const KEYS: &str = include_str!("../../vectors/keys.json");

/// A key of `vectors/keys.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
    /// Published by nobody.
    OtherRsa,
    /// 1024 bits.
    WeakRsa,
}

impl Key {
    /// The keys that the identity provider publishes.
    pub const ALL: [Self; 5] = [Self::Rsa, Self::P256, Self::P384, Self::P521, Self::Ed25519];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
            Self::Ed25519 => "ed25519",
            Self::OtherRsa => "other_rsa",
            Self::WeakRsa => "weak_rsa",
        }
    }

    pub fn private_jwk(self) -> Value {
        let keys: Value = serde_json::from_str(KEYS).expect("the keys are JSON");
        keys[self.name()].clone()
    }

    fn jwk(self) -> JsonWebKey<'static> {
        serde_json::from_value(self.private_jwk()).expect("the key is a JWK")
    }

    /// The public key as a provider publishes it; its `kid` is its name.
    pub fn public_jwk(self) -> Value {
        let mut jwk = serde_json::to_value(self.jwk().to_verifying_key()).expect("a JWK is JSON");
        jwk["kid"] = json!(self.name());
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn sign(self, algorithm: JwsAlgorithm, input: &str) -> Vec<u8> {
        portable::sign(&self.jwk(), algorithm, input.as_bytes()).expect("the key fits")
    }

    /// Algorithms that this key can sign with.
    pub fn algorithms(self) -> &'static [JwsAlgorithm] {
        use JwsAlgorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa | Self::OtherRsa => &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
            Self::P256 => &[Es256],
            Self::P384 => &[Es384],
            Self::P521 => &[Es512],
            Self::Ed25519 => &[EdDsa],
            Self::WeakRsa => &[],
        }
    }
}

/// The claims of a token that is good, to be spoiled.
#[derive(Clone)]
pub struct Claims(pub Value);

impl Claims {
    pub fn good() -> Self {
        Self(json!({
            "iss": ISSUER, "sub": "ada", "aud": RESOURCE, "client_id": "client-1", "scope": "mcp:tools",
            "iat": NOON - 10, "exp": NOON + 600, "jti": "1",
        }))
    }

    pub fn with(mut self, claim: &str, value: Value) -> Self {
        self.0[claim] = value;
        self
    }

    pub fn without(mut self, claim: &str) -> Self {
        if let Value::Object(claims) = &mut self.0 {
            claims.remove(claim);
        }
        self
    }
}

/// A token signed with the Ed25519 key, the fastest of them.
pub fn token(claims: &Claims) -> String {
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "ed25519" });
    token_with_header(&header.to_string(), &claims.0.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa)
}

/// A token with this header and these claims, byte for byte.
pub fn token_with_header(header: &str, claims: &str, key: Key, algorithm: JwsAlgorithm) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(algorithm, &input);
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
