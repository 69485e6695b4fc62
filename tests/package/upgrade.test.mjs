/** Upgrades from the release before, and back: the records of its authorization server, and records of a release to come. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "../../examples/origin/server.mjs";
import { startLogin } from "../e2e/support/login.mjs";
import { freePort } from "../e2e/support/processes.mjs";
import { RELEASE } from "./support.mjs";

describe("records of other releases", { timeout: 300_000, concurrency: false }, () => {
  let folder;
  let persist;
  let ports;
  let origin;
  let kept;
  let client;
  /** The refresh token that is valid now. */
  let current;

  /** Runs the gateway of a release with the records that are there; without `build` it is the one of the repository. */
  async function withGateway(build, act) {
    const scene = await startLogin({ persist, ports, origin, secrets: kept, build });
    const { IDP_SECRET: _, ...secrets } = scene.secrets;
    kept = secrets;
    try {
      return await act(scene);
    } finally {
      await Promise.all([scene.gateway.close(), scene.idp.close()]);
    }
  }

  const refresh = (scene) =>
    scene.token({ grant_type: "refresh_token", client_id: client.client_id, refresh_token: current });

  async function refreshes(scene) {
    const { status, body } = await refresh(scene);
    assert.equal(status, 200, JSON.stringify(body));
    current = body.refresh_token;
    const { status: answer } = await scene.call(body.access_token);
    assert.equal(answer, 400, "the origin server wants a session");
  }

  /** All records: the database of each, its columns and its version. No gateway may run. */
  function rows(change) {
    const files = readdirSync(persist, { recursive: true }).filter((name) => name.endsWith(".sqlite"));
    return files.flatMap((name) => {
      const database = new DatabaseSync(join(persist, name));
      try {
        if (!database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'record'").get()) return [];
        const columns = database.prepare("SELECT name FROM pragma_table_info('record')").all();
        if (change && !columns.some(({ name }) => name === "version"))
          database.exec("ALTER TABLE record ADD COLUMN version TEXT NOT NULL DEFAULT '1'");
        if (change) database.exec(change);
        const { version, text } = database.prepare("SELECT * FROM record").get() ?? {};
        return text === undefined ? [] : [{ version, isUser: "epoch" in JSON.parse(text) }];
      } finally {
        database.close();
      }
    });
  }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "portcullis-upgrade-"));
    persist = join(folder, "records");
    mkdirSync(persist);
    const { status, stderr } = spawnSync("tar", ["-xzf", RELEASE, "-C", folder], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    ports = { gateway: await freePort(), provider: await freePort() };
    origin = await startOrigin();
  });
  after(async () => {
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const old = () => join(folder, "package", "build-full");

  test("the release before stores records without a version", async () => {
    await withGateway(old(), async (scene) => {
      const { body: tokens, client: known } = await scene.login();
      client = known;
      current = tokens.refresh_token;
    });
    const found = rows();
    assert.ok(found.length >= 3, "a client, a grant and a user");
    assert.deepEqual([...new Set(found.map(({ version }) => version))], [undefined]);
  });

  test("this release reads them, and rewrites those that it changes", async () => {
    await withGateway(undefined, async (scene) => {
      await refreshes(scene);
      const { body } = await scene.admin({ action: "show", subject: "ada" });
      assert.equal(Object.keys(body.grants).length, 1);
    });
    let found = rows();
    assert.ok(
      found.some(({ version }) => version === "2"),
      "the grant was changed",
    );
    assert.deepEqual(
      found.filter(({ isUser }) => isUser).map(({ version }) => version),
      [undefined],
      "the user was only read",
    );
    await withGateway(undefined, async (scene) => {
      assert.equal((await scene.login({ client })).status, 200);
    });
    found = rows();
    assert.deepEqual(
      found.filter(({ isUser }) => isUser).map(({ version }) => version),
      ["3"],
    );
  });

  test("a rollback to the release before loses nothing", async () => {
    await withGateway(old(), async (scene) => {
      await refreshes(scene);
      const { body } = await scene.admin({ action: "show", subject: "ada" });
      assert.equal(Object.keys(body.grants).length, 2);
    });
    await withGateway(undefined, refreshes);
  });

  test("records of a newer release are refused with the reason, and are usable again under that release", async () => {
    const before = rows();
    rows("UPDATE record SET version = '9'");
    await withGateway(undefined, async (scene) => {
      const { status, body } = await refresh(scene);
      assert.equal(status, 503);
      assert.equal(body.error, "temporarily_unavailable");
      assert.equal((await scene.admin({ action: "show", subject: "ada" })).status, 503);
      const lines = scene.gateway.events().filter(({ reason }) => reason === "records_unavailable");
      const details = lines.map(({ detail }) => detail).join("\n");
      for (const kind of ["client", "subject"])
        assert.match(
          details,
          new RegExp(
            `a ${kind} record: .*the ${kind} record has version 9, and this Worker reads versions up to \\d: a newer Worker stored it`,
          ),
        );
    });
    assert.equal(rows().length, before.length, "nothing was deleted");
    rows(
      "UPDATE record SET version = CASE WHEN text LIKE '%\"epoch\"%' THEN '3' WHEN text LIKE '%\"terms\"%' THEN '2' ELSE '1' END",
    );
    await withGateway(undefined, refreshes);
  });
});
