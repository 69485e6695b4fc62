// Says who calls, from the assertion that the gateway in front of this server has signed; throws where there is none.
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/** The gateway's keys could not be fetched. This says nothing about the caller, whose request must be refused all the same. */
export class KeysUnavailable extends Error {}

/**
 * `gate` is the gateway's `public_url`; `origin` is this server's URL, exactly as in the gateway's `origin`. The function that is
 * returned takes the field `x-portcullis-assertion` of a request and resolves to its claims.
 */
export function whoCalls({ gate, origin }) {
  // Keys are cached for five minutes; an unknown key is looked up at most twice a minute.
  const published = createRemoteJWKSet(new URL("/.well-known/jwks.json", gate), { cacheMaxAge: 300_000 });

  const keyFor = (header, token) =>
    published(header, token).catch((cause) => {
      if (cause instanceof errors.JWKSNoMatchingKey) throw cause;
      throw new KeysUnavailable("the gateway's keys are unavailable", { cause });
    });

  return async (assertion) => {
    const { payload } = await jwtVerify(assertion ?? "", keyFor, {
      algorithms: ["ES256", "EdDSA"],
      issuer: gate,
      audience: origin,
      // A gateway that is an authorization server signs other JWTs too.
      typ: "portcullis-assertion+jwt",
      requiredClaims: ["exp", "sub", "subject_issuer"],
    });
    return payload;
  };
}

/** The member of `params` that names what a method acts on. */
const NAMES = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };

/**
 * Whether `message`, which the request has in its body, asks for what the gateway has signed: the method, the tool, and the
 * arguments (RFC 8785). `caller` are the claims of the assertion. Where they do not name what the request asks for, the result is
 * `!required`: set `identity_assertion.operation` at the gateway, so that they always do.
 */
export function isSigned(caller, message, required) {
  if (caller.mcp_method === undefined) return !required;
  const { method, params } = message ?? {};
  const members = params ?? {};
  if (caller.mcp_method !== method) return false;
  if (Object.hasOwn(NAMES, method) && caller.mcp_name !== members[NAMES[method]]) return false;
  if (method !== "tools/call" && method !== "prompts/get") return true;
  // Arguments that have no canonical form have no digest.
  if (typeof caller.arguments_sha256 !== "string") return false;
  try {
    const digest = createHash("sha256").update(canonicalize(members.arguments ?? {}));
    return caller.arguments_sha256 === digest.digest("base64url");
  } catch {
    return false;
  }
}
