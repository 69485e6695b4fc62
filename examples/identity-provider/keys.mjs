import { generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";

const generate = promisify(generateKeyPair);

/** There is one key for each of these signature algorithms, all of which the gateway must support. */
export const SIGNING_ALGORITHMS = ["RS256", "ES256", "EdDSA"];

async function generateJwk(alg) {
  const { privateKey } = await {
    RS256: () => generate("rsa", { modulusLength: 2048 }),
    ES256: () => generate("ec", { namedCurve: "P-256" }),
    EdDSA: () => generate("ed25519"),
  }[alg]();
  const kid = `${alg.toLowerCase()}-${randomBytes(6).toString("hex")}`;
  return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
}

/** Makes a new set of private keys (JWKs), which are kept in memory only. */
export function generateKeys() {
  return Promise.all(SIGNING_ALGORITHMS.map(generateJwk));
}
