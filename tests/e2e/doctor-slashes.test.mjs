/** What the SDKs do where an identifier has a slash at its end or lacks one: the table of docs/doctor.md, run. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { promisify } from "node:util";
import { checkResourceAllowed, discoverAuthorizationServerMetadata } from "@modelcontextprotocol/client";
import { ROOT } from "./support/processes.mjs";
import { noPython, python } from "./support/python.mjs";

const PLAIN = "https://x.example/mcp";
const SLASH = `${PLAIN}/`;
/** What clients use or are given, and what the metadata says. */
const CASES = [
  ["resource", PLAIN, SLASH],
  ["resource", SLASH, PLAIN],
  ["issuer", PLAIN, SLASH],
  ["issuer", SLASH, PLAIN],
];

const typescript = {
  resource: (used, said) =>
    checkResourceAllowed({ requestedResource: new URL(used), configuredResource: said }),
  issuer: async (used, said) => {
    const metadata = {
      ...{ issuer: said, authorization_endpoint: `${PLAIN}/authorize`, token_endpoint: `${PLAIN}/token` },
      ...{ response_types_supported: ["code"], code_challenge_methods_supported: ["S256"] },
    };
    const found = discoverAuthorizationServerMetadata(used, { fetchFn: async () => Response.json(metadata) });
    return found.then(
      ({ issuer }) => issuer === said,
      (error) => {
        assert.match(error.message, /[Ii]ssuer mismatch/);
        return false;
      },
    );
  },
};

const SCRIPT = `
import json, sys
from mcp.client.auth import OAuthFlowError
from mcp.client.auth.utils import validate_metadata_issuer
from mcp.shared.auth import OAuthMetadata
from mcp.shared.auth_utils import check_resource_allowed

def issuer(used, said):
    metadata = {"issuer": said, "authorization_endpoint": used, "token_endpoint": used}
    try:
        validate_metadata_issuer(OAuthMetadata.model_validate(metadata), used)
        return True
    except OAuthFlowError:
        return False

print(json.dumps([{"resource": check_resource_allowed, "issuer": issuer}[kind](used, said) for kind, used, said in json.loads(sys.argv[1])]))
`;

describe("a slash at the end of an identifier", { timeout: 500_000 }, () => {
  let rows;
  before(async () => {
    const guide = await readFile(join(ROOT, "docs", "doctor.md"), "utf8");
    const [, table] = guide.split("## Slashes");
    rows = [
      ...table.matchAll(
        /^\| `(resource|issuer)`.* \| (with|without) .* \| (accepts|rejects) \| (accepts|rejects) \|$/gm,
      ),
    ];
    assert.equal(rows.length, CASES.length);
  });
  const documented = (column) => rows.map((row) => row[column] === "accepts");
  const order = () => rows.map(([, kind, said]) => [kind, said === "with"]);

  test("the table has the cases in this order", () => {
    assert.deepEqual(
      order(),
      CASES.map(([kind, , said]) => [kind, said === SLASH]),
    );
  });

  test("the TypeScript SDK does what the guide says", async () => {
    const done = await Promise.all(CASES.map(([kind, used, said]) => typescript[kind](used, said)));
    assert.deepEqual(done, documented(3));
  });

  test("the Python SDK does what the guide says", { skip: noPython, timeout: 420_000 }, async () => {
    const { stdout } = await promisify(execFile)(await python(), ["-c", SCRIPT, JSON.stringify(CASES)]);
    assert.deepEqual(JSON.parse(stdout), documented(4));
  });
});
