// Signatures with WebCrypto: its native code costs a tenth of the same operation in WebAssembly.

const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
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

/** Whether a signature is valid. Throws if it cannot be verified. */
export async function verify(jwk, algorithm, signature, input) {
  // `signature` is a view of WebAssembly's memory, which may move before the promise settles.
  const copy = signature.slice();
  const key = await importKey(jwk, algorithm, "verify");
  return crypto.subtle.verify(ALGORITHMS[algorithm], key, copy, encoder.encode(input));
}

/** The signature of `input`. */
export async function sign(jwk, algorithm, input) {
  const copy = input.slice();
  const key = await importKey(jwk, algorithm, "sign");
  return crypto.subtle.sign(ALGORITHMS[algorithm], key, copy);
}

const words = (error) => (typeof error === "string" ? error : (error?.message ?? "failed"));

/** Verifies a signature, and continues with `checking`. */
export async function check(jwk, algorithm, signature, input, checking) {
  let good;
  try {
    good = await verify(jwk, algorithm, signature, input);
  } catch (error) {
    return checking.failed(words(error));
  }
  return checking.checked(good);
}

/** Signs, and continues with `signing`. */
export async function signed(jwk, algorithm, input, signing) {
  let signature;
  try {
    signature = await sign(jwk, algorithm, input);
  } catch (error) {
    return signing.failed(words(error));
  }
  return signing.signed(new Uint8Array(signature));
}
