/** `npx portcullis grants`, run against a gateway that is an authorization server: what it shows, ends and deletes, and when it refuses. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { eventually } from "./support/http.mjs";
import { startLogin } from "./support/login.mjs";
import { freePort, ROOT, startProcess, within } from "./support/processes.mjs";
import { remember } from "./support/secrets.mjs";

const PATIENCE = { timeout: 120_000 };
const COMMAND = join(ROOT, "scripts", "portcullis.mjs");

/** Runs a program to its end. It has the administrator's secret only as this argument gives it. */
async function run(program, args, secret) {
  const running = startProcess(program, args, { env: { PORTCULLIS_ADMIN_SECRET: secret ?? "" } });
  try {
    const { code } = await within(60_000, `${program} ${args.join(" ")}`, running.exited, running.tail);
    return { code, ...running.output };
  } finally {
    await running.stop();
  }
}

describe("npx portcullis grants", PATIENCE, () => {
  let scene;
  before(
    async () => {
      scene = await startLogin({ server: { path: "/login" } });
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close());

  const grants = (args, { secret = scene.secrets.ADMIN_SECRET, issuer = scene.issuer } = {}) =>
    run(process.execPath, [COMMAND, "grants", ...args, "--issuer", issuer], secret);
  const loginAs = (sub, client) => {
    scene.idp.user = { sub, email: `${sub}@acme.example`, email_verified: true, groups: ["tools"] };
    return scene.login({ client });
  };
  const refresh = ({ client, body }) =>
    scene.token({
      ...{ grant_type: "refresh_token", client_id: client.client_id, refresh_token: body.refresh_token },
    });
  const shown = async (subject) => {
    const { code, stdout, stderr } = await grants(["show", "--subject", subject]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout).grants;
  };
  const assertEnded = async (login) => {
    const { status, body } = await refresh(login);
    assert.deepEqual([status, body.error], [400, "invalid_grant"]);
  };
  /** Neither output has a token, nor the administrator's secret. */
  const assertNoSecret = ({ stdout, stderr }, ...logins) => {
    const tokens = logins.flatMap(({ body }) => [body.access_token, body.refresh_token]);
    for (const secret of [scene.secrets.ADMIN_SECRET, ...tokens])
      assert.ok(!`${stdout}${stderr}`.includes(secret), "the output has a secret");
  };

  test("show prints the grants of one subject and of no other, and no token", async () => {
    const [one, two] = [await loginAs("show-ada"), await loginAs("show-ada")];
    const other = await loginAs("show-bob");
    const said = await grants(["show", "--subject", "show-ada"]);
    assert.deepEqual([said.code, said.stderr], [0, ""]);
    assertNoSecret(said, one, two, other);
    for (const { client } of [one, two]) assert.ok(said.stdout.includes(client.client_id));
    assert.ok(!said.stdout.includes(other.client.client_id));
    assert.equal(Object.keys(JSON.parse(said.stdout).grants).length, 2);
    assert.deepEqual(await shown("show-eve"), {});
    assert.equal((await refresh(one)).status, 200, "to show a grant does not end it");
  });

  test("end ends one grant, and the others of the subject go on", async () => {
    const one = await loginAs("end-ada");
    const [id, ...none] = Object.keys(await shown("end-ada"));
    assert.deepEqual(none, []);
    const two = await loginAs("end-ada");
    const said = await grants(["end", "--grant", id]);
    assert.equal(said.code, 0, said.stderr);
    JSON.parse(said.stdout);
    await assertEnded(one);
    assert.equal((await refresh(two)).status, 200);
    assert.deepEqual(
      Object.values(await shown("end-ada")).map(({ client_id }) => client_id),
      [two.client.client_id],
    );
    await eventually("a line in the log", () =>
      scene.gateway.events().some(({ reason }) => reason === "grant_ended"),
    );
  });

  test("an id may begin with a hyphen", async () => {
    const said = await grants(["end", "--grant", "-no-such-grant"]);
    assert.doesNotMatch(said.stderr, /needs a value/);
    assert.notEqual(said.code, 2, said.stderr);
    assert.equal((await grants(["end", "--grant", "--json"])).code, 2);
  });

  test("delete ends all grants of a subject, and no grant of another", async () => {
    const [one, two] = [await loginAs("delete-ada"), await loginAs("delete-ada")];
    const other = await loginAs("delete-bob");
    const said = await grants(["delete", "--subject", "delete-ada"]);
    assert.equal(said.code, 0, said.stderr);
    assertNoSecret(said, one, two, other);
    await assertEnded(one);
    await assertEnded(two);
    assert.deepEqual(await shown("delete-ada"), {});
    assert.equal((await refresh(other)).status, 200);
  });

  test("a wrong secret is refused: exit status 1, nothing on standard output, nothing ended", async () => {
    const login = await loginAs("wrong-ada");
    const [id] = Object.keys(await shown("wrong-ada"));
    const secret = remember("w".repeat(48));
    for (const args of [
      ["show", "--subject", "wrong-ada"],
      ["end", "--grant", id],
      ["delete", "--subject", "wrong-ada"],
    ]) {
      const said = await grants(args, { secret });
      assert.deepEqual([said.code, said.stdout], [1, ""], args[0]);
      assert.match(said.stderr, /the gateway answered 40[13]: /);
      assert.ok(!said.stderr.includes(secret) && !said.stderr.includes("    at "));
    }
    assert.deepEqual(Object.keys(await shown("wrong-ada")), [id]);
    assert.equal((await refresh(login)).status, 200);
  });

  test("without the secret, with the wrong option, or with an unknown action: exit status 2", async () => {
    const unset = await grants(["show", "--subject", "ada"], { secret: "" });
    assert.equal(unset.code, 2);
    assert.match(unset.stderr, /PORTCULLIS_ADMIN_SECRET is not set/);
    for (const args of [
      ["show"],
      ["show", "--grant", "x"],
      ["end", "--subject", "ada"],
      ["end"],
      ["delete"],
      ["list", "--subject", "ada"],
    ]) {
      const said = await grants(args);
      assert.deepEqual([said.code, said.stdout], [2, ""], args.join(" "));
      assertNoSecret(said);
    }
  });

  test("a grant that does not exist, and an issuer that is not one: exit status 1", async () => {
    const unknown = await grants(["end", "--grant", "there-is-no-such-grant"]);
    assert.deepEqual([unknown.code, unknown.stdout], [1, ""]);
    for (const issuer of [scene.url, `${scene.url}/elsewhere`, `http://127.0.0.1:${await freePort()}`]) {
      const said = await grants(["show", "--subject", "ada"], { issuer });
      assert.deepEqual([said.code, said.stdout], [1, ""], issuer);
      assert.ok(said.stderr.includes(issuer) || /the gateway answered 4\d\d/.test(said.stderr), said.stderr);
      assertNoSecret(said);
    }
  });

  test("the secret is sent to no other machine over plain HTTP, and follows no redirect", async () => {
    for (const issuer of ["http://mcp.example.com", "ftp://mcp.example.com", "mcp.example.com"])
      assert.equal((await grants(["show", "--subject", "ada"], { issuer })).code, 2, issuer);
    const seen = [];
    const server = createServer((request, response) => {
      seen.push(request.url);
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    try {
      const issuer = `http://127.0.0.1:${server.address().port}`;
      const said = await grants(["show", "--subject", "ada"], { issuer });
      assert.deepEqual([said.code, said.stdout], [1, ""]);
      assert.deepEqual(seen, ["/admin"]);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test("--json: results as without it, errors as JSON", async () => {
    await loginAs("json-ada");
    const args = ["show", "--subject", "json-ada"];
    const [plain, json] = [await grants(args), await grants([...args, "--json"])];
    assert.equal(json.code, 0, json.stderr);
    assert.deepEqual(JSON.parse(json.stdout), JSON.parse(plain.stdout));
    for (const [how, code, message] of [
      [{ secret: remember("v".repeat(48)) }, 1, /the gateway answered 40[13]/],
      [{ secret: "" }, 2, /PORTCULLIS_ADMIN_SECRET/],
    ]) {
      const said = await grants([...args, "--json"], how);
      assert.equal(said.code, code);
      assert.match(JSON.parse(said.stdout).error, message);
    }
  });

  test("through a pipe: a slow reader gets all of it, and one that stops gets no stack trace", async () => {
    let login = await loginAs("pipe-ada");
    const clients = [login.client];
    // One client has at most 10 grants of a user.
    for (let count = 1; count < 20; count += 1) {
      login = await loginAs("pipe-ada", count < 10 ? clients[0] : clients[1]);
      if (count === 10) clients.push(login.client);
    }
    const piped = (reader) =>
      run(
        "bash",
        [
          ...["-c", `set -o pipefail; "$@" | ${reader}`, "bash", process.execPath, COMMAND, "grants"],
          ...["show", "--subject", "pipe-ada", "--issuer", scene.issuer],
        ],
        scene.secrets.ADMIN_SECRET,
      );
    const slow = await piped("(sleep 1; cat)");
    assert.equal(slow.code, 0, slow.stderr);
    assert.equal(Object.keys(JSON.parse(slow.stdout).grants).length, 20);
    const stopped = await piped("true");
    assert.doesNotMatch(stopped.stderr, /EPIPE|^\s+at /m);
  });
});
