import { createHmac, randomBytes } from "node:crypto";

/** An API key: what its owner has, and the record that the gateway has of it. */
export function makeApiKey({
  prefix = "pk",
  id = randomBytes(8).toString("hex"),
  secret = randomBytes(32).toString("base64url"),
  label = "CI of the tools team",
  scopes = ["mcp:tools"],
  expires,
} = {}) {
  const salt = randomBytes(16);
  const digest = createHmac("sha256", salt).update(secret).digest("base64url");
  const hash = `hmac-sha256$${salt.toString("base64url")}$${digest}`;
  return {
    key: `${prefix}_${id}_${secret}`,
    id,
    secret,
    record: { id, label, hash, scopes, ...(expires && { expires }) },
    storedAt: `apikey:${prefix}:${id}`,
  };
}
