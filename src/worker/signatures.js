// Signatures with WebCrypto: its native code costs a tenth of the same operation in WebAssembly.
import { guarded } from "./platform.js";

const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  ES512: { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" },
  EdDSA: { name: "Ed25519" },
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  PS384: { name: "RSA-PSS", hash: "SHA-384", saltLength: 48 },
  PS512: { name: "RSA-PSS", hash: "SHA-512", saltLength: 64 },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  RS512: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
};

/** Imported keys, because importing a key costs more than verifying a signature. A full cache drops its oldest key. */
const keys = new Map();
const KEYS_MAX = 256;

async function importKey(jwk, algorithm, usage) {
  const name = `${usage} ${algorithm} ${jwk}`;
  const known = keys.get(name);
  if (known !== undefined) return known;
  const key = await crypto.subtle.importKey("jwk", JSON.parse(jwk), ALGORITHMS[algorithm], false, [usage]);
  if (keys.size >= KEYS_MAX) keys.delete(keys.keys().next().value);
  keys.set(name, key);
  return key;
}

const encoder = new TextEncoder();

const words = (error) => (typeof error === "string" ? error : (error?.message ?? "failed"));

/** Verifies a signature, and continues with `checking`; its `failed` gets the reason if the signature cannot be checked. */
export function check(jwk, algorithm, signature, input, checking) {
  // `signature` is a view of WebAssembly's memory, which may move before the promise settles.
  const copy = signature.slice();
  return importKey(jwk, algorithm, "verify")
    .then((key) => crypto.subtle.verify(ALGORITHMS[algorithm], key, copy, encoder.encode(input)))
    .then(
      guarded((good) => checking.checked(good)),
      guarded((error) => checking.failed(words(error))),
    );
}

/** Signs `input`, and continues with `signing`; its `failed` gets the reason if that is not possible. */
export function sign(jwk, algorithm, input, signing) {
  const copy = input.slice();
  return importKey(jwk, algorithm, "sign")
    .then((key) => crypto.subtle.sign(ALGORITHMS[algorithm], key, copy))
    .then(
      guarded((signature) => signing.signed(new Uint8Array(signature))),
      guarded((error) => signing.failed(words(error))),
    );
}

/** A promise of what {@link check} finds. */
export const checked = (jwk, algorithm, signature, input) =>
  new Promise((resolve, reject) => {
    check(jwk, algorithm, signature, input, { checked: resolve, failed: reject });
  });

/** A promise of what {@link sign} makes. */
export const signed = (jwk, algorithm, input) =>
  new Promise((resolve, reject) => {
    sign(jwk, algorithm, input, { signed: resolve, failed: reject });
  });
