// Makes docs/portcullis.d.ts: the configuration from its JSON Schema, and what programs of users exchange with the gateway.
// tests/e2e/types.test.mjs compares the file with this (`UPDATE=1` writes it).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tools.mjs";

/** What has no schema of its own: the contract of custom verifiers (docs/custom-verifier.md), and files of examples (docs/policy.md). */
const CONTRACTS = `
/** What the gateway sends a custom verifier behind a service binding. */
export interface VerifierRequest {
  version: 1;
  /** The credential, as the caller sent it. */
  token: string;
  /** The resource identifier. */
  resource: string;
}

/** What a custom verifier answers, with the members of RFC 7662 §2.2. */
export type VerifierAnswer =
  | { active: false }
  | ({
      active: true;
      scope?: string;
      iss?: string;
      aud?: string | string[];
      /** Seconds since 1970. */
      exp?: number;
      nbf?: number;
      iat?: number;
      jti?: string;
      /** What the credential is bound to (RFC 7800). */
      cnf?: { jkt?: string; "x5t#S256"?: string };
      token_type?: string;
      /** Shown in the log. */
      label?: string;
      [claim: string]: unknown;
    } & ({ sub: string; client_id?: string } | { client_id: string }));

/** A decision of the rules, as a file of examples expects it. */
export type ExpectedDecision = "allow" | "deny" | "login" | \`step_up \${string}\`;

/** Who calls, in a file of examples. */
export interface PolicyCaller {
  /** The claims of the token. */
  claims?: Record<string, unknown>;
  /** There are no credentials. */
  anonymous?: boolean;
  /** Scopes in addition to those of the claims, separated by spaces. */
  scopes?: string;
  /** The name of the issuer, the verifier or the prefix of the API key. */
  issuer?: string;
  /** ISO 3166-1 alpha-2. */
  country?: string;
  /** The number of the autonomous system. */
  asn?: number;
  /** Whether the caller presents a client certificate. */
  mtls?: boolean;
}

/** A request, in a file of examples. */
export interface PolicyRequest {
  /** The JSON-RPC method; without it, the one that uses the tool, the prompt or the MCP resource. */
  method?: string;
  tool?: string;
  prompt?: string;
  uri?: string;
  arguments?: Record<string, unknown>;
}

/** A file of examples for \`portcullis test\`. */
export interface PolicyExamples {
  /** The path of the resource; without it, the first one with rules. */
  resource?: string;
  /** Callers by name. */
  callers: Record<string, PolicyCaller>;
  /** Requests by name. */
  requests: Record<string, PolicyRequest>;
  /** The expected decisions, by caller and request. */
  decisions: Record<string, Record<string, ExpectedDecision>>;
  $schema?: string;
}
`;

/** A schema without what types cannot say, or say better: null stands for a key that is not there. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const { type, anyOf, ...rest } = value;
  const known = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, plain(inner)]));
  if (type !== undefined) {
    const types = [type].flat().filter((one) => one !== "null");
    known.type = types.length === 1 ? types[0] : types;
  }
  if (anyOf !== undefined) {
    const kinds = anyOf.filter((one) => one.type !== "null").map(plain);
    if (kinds.length > 1) known.anyOf = kinds;
    else Object.assign(known, kinds[0]);
  }
  if (Array.isArray(known.enum)) known.enum = known.enum.filter((one) => one !== null);
  return known;
}

/** The text of docs/portcullis.d.ts. */
export async function types() {
  const { compile } = await import("json-schema-to-typescript");
  const schema = JSON.parse(readFileSync(join(root, "docs", "portcullis.schema.json"), "utf8"));
  // Which of its members are required depends on where the document is.
  const { anyOf: _, title: __, ...document } = schema;
  const text = await compile({ ...plain(document), additionalProperties: false }, "PortcullisConfiguration", {
    additionalProperties: false,
    bannerComment: "/* Made from docs/portcullis.schema.json. */",
    unreachableDefinitions: false,
  });
  return `${text}${CONTRACTS}`;
}
