// Says who calls, as the gate in front of this server has signed it; throws where it has not.
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/** The gate's keys cannot be had: that says nothing of the caller, who still must not pass. */
export class KeysUnavailable extends Error {}

/**
 * `gate` is the gate's `public_url`, `origin` this server's URL as it stands there in `origin`. What is returned takes
 * the field `x-portcullis-assertion` of a request and gives its claims.
 */
export function whoCalls({ gate, origin }) {
  // Kept for five minutes; a key that is not among them is looked for twice a minute at most.
  const published = createRemoteJWKSet(new URL("/.well-known/jwks.json", gate), { cacheMaxAge: 300_000 });

  const keyFor = (header, token) =>
    published(header, token).catch((cause) => {
      if (cause instanceof errors.JWKSNoMatchingKey) throw cause;
      throw new KeysUnavailable("no keys of the gate", { cause });
    });

  return async (assertion) => {
    const { payload } = await jwtVerify(assertion ?? "", keyFor, {
      algorithms: ["ES256", "EdDSA"],
      issuer: gate,
      audience: origin,
      // The gate signs other JWTs too, where it is an authorization server.
      typ: "portcullis-assertion+jwt",
      requiredClaims: ["exp", "sub", "subject_issuer"],
    });
    return payload;
  };
}
