//! Signatures, with WebCrypto.

use js_sys::Uint8Array;
use jwt_compact::jwk::JsonWebKey;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::gateway::{CheckingSignature, SigningAssertion, Suspended};
use crate::jwks::signing_key::SigningKey;
use crate::platform_error::PlatformError;
use crate::ports::SignatureVerifier;
use crate::token::signature::SignatureCheck;
use crate::worker::platform::{Workers, described};
use crate::worker::shell_request::{AwaitingAssertionSignature, AwaitingSignatureCheck};

#[wasm_bindgen(module = "/src/worker/signatures.js")]
extern "C" {
    fn check(jwk: &str, algorithm: &str, signature: &[u8], input: &str, checking: AwaitingSignatureCheck) -> JsValue;

    fn sign(jwk: &str, algorithm: &str, input: &[u8], signing: AwaitingAssertionSignature) -> JsValue;

    #[wasm_bindgen(catch)]
    async fn checked(jwk: &str, algorithm: &str, signature: &[u8], input: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    async fn signed(jwk: &str, algorithm: &str, input: &[u8]) -> Result<JsValue, JsValue>;
}

/// A key as text for WebCrypto: passing a string to JavaScript costs a fraction of passing an object.
fn jwk_text(jwk: &JsonWebKey<'_>) -> Result<String, PlatformError> {
    serde_json::to_string(jwk).map_err(|error| error.to_string().into())
}

/// Makes JavaScript check a signature and call the object that `needed` makes.
pub(in crate::worker) fn check_signature(
    request: Suspended<CheckingSignature>,
    needed: impl FnOnce(Suspended<CheckingSignature>) -> AwaitingSignatureCheck,
) -> Result<JsValue, JsValue> {
    let it = request.check();
    let jwk = match jwk_text(it.key.jwk()) {
        Ok(jwk) => jwk,
        Err(error) => return needed(request).failed(error.to_string()),
    };
    let (algorithm, signature, input) = (it.algorithm.as_str(), it.signature.clone(), it.signing_input.clone());
    Ok(check(&jwk, algorithm, &signature, &input, needed(request)))
}

/// Makes JavaScript sign an assertion and call the object that `needed` makes.
pub(in crate::worker) fn sign_assertion(
    key: &SigningKey,
    request: Suspended<SigningAssertion>,
    needed: impl FnOnce(Suspended<SigningAssertion>) -> AwaitingAssertionSignature,
) -> Result<JsValue, JsValue> {
    let jwk = match jwk_text(key.expose()) {
        Ok(jwk) => jwk,
        Err(error) => return needed(request).failed(error.to_string()),
    };
    let input = request.input().to_owned();
    Ok(sign(&jwk, key.algorithm().as_str(), input.as_bytes(), needed(request)))
}

impl SignatureVerifier for Workers {
    async fn verify(&self, check: &SignatureCheck) -> Result<bool, PlatformError> {
        let jwk = jwk_text(check.key.jwk())?;
        checked(&jwk, check.algorithm.as_str(), &check.signature, &check.signing_input)
            .await
            .map(|good| good.is_truthy())
            .map_err(|error| described(&error))
    }

    async fn sign(&self, key: &SigningKey, input: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let jwk = jwk_text(key.expose())?;
        signed(&jwk, key.algorithm().as_str(), input)
            .await
            .map(|signature| Uint8Array::new(&signature).to_vec())
            .map_err(|error| described(&error))
    }
}
