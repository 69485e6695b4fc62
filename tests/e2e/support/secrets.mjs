// Every credential, key and secret that a test process uses, and that no log may hold.
import assert from "node:assert/strict";

/** Shorter ones appear in any text by chance. */
const TELLING = 16;
const known = new Set();
/** Fields that hold credentials. */
const FIELDS = ["authorization", "x-api-key", "cf-access-jwt-assertion", "dpop"];

/** Keeps a secret in mind, and the parts of it that could be used. */
export function remember(text) {
  if (typeof text !== "string") return text;
  const parts = text.split(".");
  // A token is nothing without its signature; its header is no secret.
  const telling = parts.length === 3 ? [text, parts[1], parts[2]] : [text];
  for (const part of telling) if (part.length >= TELLING) known.add(part);
  return text;
}

/** Keeps in mind what a request's fields, as pairs, bring. */
export function rememberFields(pairs) {
  for (const [name, value] of pairs) {
    if (!FIELDS.includes(name.toLowerCase())) continue;
    for (const part of String(value).split(/[\s,]+/)) remember(part);
  }
}

/** Keeps in mind a secret of the Worker: a text, or the private parts of a JWK. */
export function rememberSecret(value) {
  remember(value);
  try {
    for (const name of ["d", "p", "q", "k"]) remember(JSON.parse(value)[name]);
  } catch {
    // It is no JWK.
  }
}

/** No line holds any of them. */
export function assertNoneIn(lines) {
  const text = lines.join("\n");
  for (const secret of known) {
    // Not the secret itself in the message, which is a log too.
    assert.ok(
      !text.includes(secret),
      `the log holds a secret of ${secret.length} characters, ${secret.slice(0, 4)}…`,
    );
  }
}
