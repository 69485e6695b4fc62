/** Calls that wait for a person, with clients of both eras, a real identity provider, and a real browser. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { chromium, startBrowser } from "../e2e/support/browser.mjs";
import { homeWithoutBrowser } from "../e2e/support/clients/no-browser.mjs";
import { headOf } from "../e2e/support/http.mjs";
import { lookAt } from "../e2e/support/look.mjs";
import { BIN, startProcess, within } from "../e2e/support/processes.mjs";
import { noPython } from "../e2e/support/python.mjs";
import { CLIENTS, eventually, textOf } from "../federation/support/scene.mjs";
import { answer, person, startApproving, urlIn } from "./support/approving.mjs";
import { startLeaky } from "./support/leaky.mjs";

const PATIENCE = { timeout: 180_000 };
const ADA = { sub: "ada", email: "ada@acme.example", email_verified: true };
const BOSS = { sub: "boss", email: "boss@acme.example", email_verified: true, groups: ["finance"] };
const MONEY = { amount: 5, currency: "EUR", to: "DE12" };

const call = (client, args = MONEY) => client.callTool({ name: "transfer", arguments: args });

describe("approval", { ...PATIENCE, skip: noPython }, () => {
  let server;
  let scene;
  before(async () => {
    server = await startLeaky();
    scene = await startApproving(server);
  });
  after(async () => {
    await scene?.close();
    await server?.close();
  });

  for (const [name, { connect, era }] of Object.entries(CLIENTS)) {
    /** A client whose user opens URLs; `opened` does what the user does with one. */
    const withUrls = async (opened) =>
      connect(await scene.as(ADA), {
        capabilities: { elicitation: { url: {} } },
        prepare(client) {
          if (era === "modern")
            client.setRequestHandler("elicitation/create", async ({ params }) => {
              assert.equal(params.mode, "url");
              return { action: (await opened(params.url)) ?? "accept" };
            });
        },
      });

    /** Calls, and where the client learns the URL from an error, has the user open it and calls again. */
    const callAgain = async (client, args, opened) => {
      try {
        return await call(client, args);
      } catch (error) {
        assert.equal(era, "legacy");
        assert.equal(error.code, -32042, error.message);
        const [{ mode, url }] = error.data.elicitations;
        assert.equal(mode, "url");
        await opened(url);
        return call(client, args);
      }
    };

    test(`${name}: the user approves at the URL that the client opens`, PATIENCE, async () => {
      const opened = async (url) => {
        assert.equal((await answer(url)).status, 200);
      };
      const client = await withUrls(opened);
      const result = await callAgain(client, MONEY, opened);
      assert.equal(textOf(result), "moved 5 EUR to DE12");
      await client.close();
    });

    test(`${name}: a person who takes some time`, PATIENCE, async () => {
      let deciding;
      const opened = async (url) => {
        deciding = new Promise((resolve) => setTimeout(resolve, 2_500)).then(() => answer(url));
      };
      const client = await withUrls(opened);
      const result = await callAgain(client, { ...MONEY, amount: 6 }, opened);
      assert.equal(textOf(result), "moved 6 EUR to DE12");
      assert.equal((await deciding).status, 200);
      await client.close();
    });

    test(`${name}: a denial, with its reason`, PATIENCE, async () => {
      const opened = async (url) => {
        await answer(url, "deny", "not on a Monday");
      };
      const client = await withUrls(opened);
      const result = await callAgain(client, { ...MONEY, amount: 7 }, opened);
      assert.equal(result.isError, true);
      assert.match(textOf(result), /It was not approved\. The reason: not on a Monday/);
      await client.close();
    });

    test(`${name}: a client that opens no URLs has them in words`, PATIENCE, async () => {
      const client = await connect(await scene.as(ADA));
      const { tools } = await client.listTools();
      assert.ok(
        tools.some((tool) => tool.name === "transfer"),
        "the list has what needs an approval",
      );
      const args = { ...MONEY, amount: 8 };
      const waits = await call(client, args);
      assert.equal(waits.isError, true);
      const url = urlIn(textOf(waits));
      assert.equal((await answer(url)).status, 200);
      assert.equal(textOf(await call(client, args)), "moved 8 EUR to DE12");
      const next = await client.callTool({ name: "echo", arguments: { text: "other tools do not wait" } });
      assert.equal(textOf(next), "other tools do not wait");
      await client.close();
    });
  }

  test("modern: a user who does not open the URL", PATIENCE, async () => {
    const { connect } = CLIENTS["client 2.x, modern"];
    const client = await connect(await scene.as(ADA), {
      capabilities: { elicitation: { url: {} } },
      prepare: (it) => it.setRequestHandler("elicitation/create", () => ({ action: "decline" })),
    });
    const result = await call(client, { ...MONEY, amount: 9 });
    assert.match(textOf(result), /the user declined/);
    await client.close();
  });

  /** A call without a client's library: method, fields and body of its request. */
  const rawRequest = async (user, args, more = {}) => {
    const token = await user.token();
    const meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": { elicitation: { url: {} } },
    };
    const params = { name: "transfer", arguments: args, _meta: meta, ...more };
    return {
      method: "POST",
      fields: {
        Authorization: `Bearer ${token}`,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "transfer",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
    };
  };
  const raw = async (...call) => {
    const { method, fields, body } = await rawRequest(...call);
    const text = await (await fetch(scene.resource, { method, headers: fields, body })).text();
    return JSON.parse(text.startsWith("{") ? text : text.match(/^data: (.*)$/m)[1]);
  };
  const back = ({ result }) => ({
    requestState: result.requestState,
    inputResponses: { approval: { action: "accept" } },
  });

  for (const inspectorEra of ["modern", "legacy"])
    test(`Inspector, ${inspectorEra}: a call waits, and is made after the approval`, PATIENCE, async () => {
      const token = await (await scene.as(ADA)).token();
      const folder = await mkdtemp(join(tmpdir(), "portcullis-inspector-"));
      const args = { ...MONEY, amount: inspectorEra === "modern" ? 41 : 42 };
      const run = async () => {
        const options = ["--cli", scene.resource, "--transport", "http", "--protocol-era", inspectorEra];
        const call = ["--method", "tools/call", "--tool-name", "transfer"];
        const given = [
          "--tool-args-json",
          JSON.stringify(args),
          "--header",
          `Authorization: Bearer ${token}`,
        ];
        const env = { ...(await homeWithoutBrowser(folder)), MCP_INSPECTOR_SECRET_STORE: "file" };
        const program = startProcess(join(BIN, "mcp-inspector"), [...options, ...call, ...given], { env });
        try {
          await within(30_000, "the Inspector ends", program.exited, program.tail);
          return program.output.stdout + program.output.stderr;
        } finally {
          await program.stop();
        }
      };
      try {
        const waits = await run();
        const url = urlIn(waits);
        assert.ok(url, waits);
        assert.equal((await answer(url)).status, 200);
        assert.match(await run(), new RegExp(`moved ${args.amount} EUR`));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });

  test("one approval is for one of thirty equal calls", PATIENCE, async () => {
    const ada = await scene.as(ADA);
    const args = { ...MONEY, amount: 20 };
    const first = await raw(ada, args);
    assert.equal((await answer(first.result.inputRequests.approval.params.url)).status, 200);
    const all = await Promise.all(Array.from({ length: 30 }, () => raw(ada, args, back(first))));
    const made = all.filter(({ result }) => JSON.stringify(result).includes("moved 20"));
    assert.equal(made.length, 1);
    assert.equal(all.filter(({ result }) => result.resultType === "input_required").length, 29);
  });

  test("a client that leaves while its call is held uses up no approval", PATIENCE, async () => {
    const ada = await scene.as(ADA);
    const args = { ...MONEY, amount: 23 };
    const first = await raw(ada, args);
    const { body, ...request } = await rawRequest(ada, args, back(first));
    const socket = connect(scene.gateway.directPort, "127.0.0.1");
    socket.write(headOf(scene.gateway, { ...request, body }) + body);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    socket.resetAndDestroy();
    assert.equal((await answer(first.result.inputRequests.approval.params.url)).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const states = scene.decisions().map(({ approval_state: state }) => state);
    const made = await raw(ada, args, back(first));
    assert.match(JSON.stringify(made), /moved 23 EUR/, "the approval is still there");
    assert.notEqual(states.at(-1), "approved");
  });

  test("a state is for these arguments and this user", PATIENCE, async () => {
    const ada = await scene.as(ADA);
    const args = { ...MONEY, amount: 21 };
    const first = await raw(ada, args);
    assert.equal((await answer(first.result.inputRequests.approval.params.url)).status, 200);
    const other = await raw(ada, { ...args, to: "DE13" }, back(first));
    assert.equal(other.error.code, -32602);
    const boss = await raw(await scene.as(BOSS), args, back(first));
    assert.equal(boss.error.code, -32602);
    assert.match(JSON.stringify(await raw(ada, args, back(first))), /moved 21/);
  });

  test("the page is for its approver alone, once, and not in a frame", PATIENCE, async () => {
    const ada = await scene.as(ADA);
    const first = await raw(ada, { ...MONEY, amount: 22, to: "DE22" });
    const { url } = first.result.inputRequests.approval.params;
    // A link preview follows no login, and learns nothing.
    const preview = await fetch(url, { redirect: "manual" });
    assert.equal(preview.status, 302);
    assert.doesNotMatch(await preview.text(), /DE22/);
    scene.idp.user = BOSS;
    const refused = await person().visit(url);
    assert.equal(refused.status, 403);
    assert.doesNotMatch(refused.text, /DE22|transfer/);
    scene.idp.user = ADA;
    const someone = person();
    const page = await someone.visit(url);
    assert.match(page.text, /DE22/);
    const shown = await someone.send(url);
    assert.match(shown.headers.get("content-security-policy"), /frame-ancestors 'none'/);
    assert.equal(shown.headers.get("x-frame-options"), "DENY");
    const foreign = await someone.send(url, {
      method: "POST",
      headers: { origin: "https://evil.example", "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ decision: "approve" }),
    });
    assert.equal(foreign.status, 403);
    assert.equal((await someone.decide(page, "approve")).status, 200);
    const twice = await someone.decide(page, "deny");
    assert.equal(twice.status, 404);
    assert.match(twice.text, /No call waits here/);
    assert.match(
      JSON.stringify(await raw(ada, { ...MONEY, amount: 22, to: "DE22" }, back(first))),
      /moved 22/,
    );
  });

  test("the log and the records have who decided, and no argument", PATIENCE, async () => {
    const states = scene.decisions().filter(({ verdict }) => verdict === "approve");
    const seen = new Set(states.map(({ approval_state: state }) => state));
    assert.deepEqual([...seen].sort(), ["approved", "denied", "waits", "withdrawn"]);
    for (const { approval_state: state, approver, decided_at: at, approval } of states) {
      assert.match(approval, /^[\w-]{43}$/);
      assert.equal(approver === undefined, ["waits", "withdrawn"].includes(state));
      if (approver) assert.match(`${approver} ${at}`, /^[0-9a-f]{16} 20/);
    }
    assert.ok(scene.gateway.logs.every((line) => !/DE12|DE22|not on a Monday/.test(line)));
  });
});

describe("approval by others", { ...PATIENCE, skip: noPython }, () => {
  test(
    "members of a group learn of it by a webhook and a queue, and the server of them",
    PATIENCE,
    async () => {
      const server = await startLeaky();
      const [messages, hooks] = [[], []];
      const hook = createServer(async (request, response) => {
        let body = "";
        for await (const part of request) body += part;
        hooks.push({ body: JSON.parse(body), authorization: request.headers.authorization });
        response.writeHead(204).end();
      });
      await new Promise((resolve) => hook.listen(0, "127.0.0.1", resolve));
      const url = `http://127.0.0.1:${hook.address().port}/approvals`;
      const scene = await startApproving(server, {
        resource: {
          rule: { approver_groups: ["finance"] },
          approvals: { url, secret: "HOOK_SECRET", queue: "CALLS", wait_seconds: 0 },
        },
        queues: { CALLS: (message) => messages.push(message) },
      });
      try {
        const client = await CLIENTS["sdk 1.x"].connect(await scene.as(ADA));
        const waits = textOf(await call(client));
        assert.match(waits, /^Another person has to approve this call of "transfer" in a browser: http/);
        await eventually(() => hooks.length === 1 && messages.length === 1, "both messages");
        assert.equal(hooks[0].authorization, `Bearer ${scene.secrets.HOOK_SECRET}`);
        const notice = typeof messages[0] === "string" ? JSON.parse(messages[0]) : messages[0];
        assert.deepEqual(notice, hooks[0].body);
        assert.equal(notice.url, urlIn(waits));
        assert.deepEqual(notice.caller, { ...notice.caller, issuer: scene.issuer, subject: "ada" });
        assert.doesNotMatch(JSON.stringify(notice), /DE12/);
        // The caller is no approver of an own call.
        scene.idp.user = { ...ADA, groups: ["finance"] };
        assert.equal((await person().visit(notice.url)).status, 403);
        scene.idp.user = BOSS;
        const boss = person();
        const list = await boss.visit(`${scene.issuer}/approvals`);
        assert.ok(list.text.includes(notice.url), "it is in the list");
        const page = await boss.visit(notice.url);
        assert.match(page.text, /a member of <code>finance<\/code>, and not the caller/);
        assert.equal((await boss.decide(page, "approve")).status, 200);
        assert.equal(textOf(await call(client)), "moved 5 EUR to DE12");
        assert.match((await boss.visit(`${scene.issuer}/approvals`)).text, /No call waits for you/);
        await client.close();
      } finally {
        await scene.close();
        await server.close();
        await new Promise((resolve) => hook.close(resolve));
      }
    },
  );
});

describe("approval in a browser", {
  ...PATIENCE,
  skip: noPython || (chromium === undefined && "there is no Chromium here"),
}, () => {
  let server;
  let scene;
  let browser;
  let client;
  let ask;
  before(async () => {
    browser = await startBrowser();
    server = await startLeaky();
    scene = await startApproving(server, {
      resource: { approvals: { wait_seconds: 0 }, name: "Tools of the bank" },
    });
    client = await CLIENTS["sdk 1.x"].connect(await scene.as(ADA));
    ask = async (args) => urlIn(textOf(await call(client, args)));
  });
  after(async () => {
    await client?.close();
    await browser?.close();
    await scene?.close();
    await server?.close();
  });

  const newPage = async () => (await browser.newContext()).newPage();

  test("a call is approved", async () => {
    const page = await newPage();
    await page.goto(await ask(MONEY));
    const text = await page.textContent("main");
    for (const shown of ["transfer", "Tools of the bank", "DE12", "ada", "money"])
      assert.ok(text.includes(shown), `${shown} is shown`);
    await lookAt(browser, page, "approval");
    await page.getByRole("button", { name: "Approve" }).click();
    assert.match(await page.textContent("h1"), /Approved/);
    await lookAt(browser, page, "approved");
    assert.equal(textOf(await call(client)), "moved 5 EUR to DE12");
    await page.context().close();
  });

  test("a call is denied by keyboard, with a reason", async () => {
    const page = await newPage();
    const args = { ...MONEY, amount: 31 };
    await page.goto(await ask(args));
    await page
      .getByLabel("Reason, if you deny it: the application reads it (optional)")
      .fill("<b>too late</b>");
    await page.getByRole("button", { name: "Deny" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Deny");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=Denied");
    assert.match(await page.textContent("h1"), /Denied/);
    await lookAt(browser, page, "denied");
    assert.match(textOf(await call(client, args)), /The reason: <b>too late<\/b>/);
    await page.context().close();
  });

  test("the list, and the way from it", async () => {
    await ask({ ...MONEY, amount: 32 });
    const page = await newPage();
    await page.goto(`${scene.issuer}/approvals`);
    await lookAt(browser, page, "approvals");
    await page.getByRole("link", { name: "Decide about transfer" }).first().click();
    assert.match(await page.textContent("h1"), /Approve this call of transfer/);
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByRole("link", { name: "All calls that wait for you" }).click();
    assert.match(await page.textContent("main"), /No call waits for you/);
    await lookAt(browser, page, "approvals-none");
    await page.context().close();
  });

  test("another user, an old link, and a frame", async () => {
    const url = await ask({ ...MONEY, amount: 33 });
    scene.idp.user = BOSS;
    const page = await newPage();
    await page.goto(url);
    assert.match(await page.textContent("main"), /not an approver of this call/);
    await lookAt(browser, page, "approval-of-another");
    scene.idp.user = ADA;
    const own = await newPage();
    await own.goto(`${scene.issuer}/approvals/nothing`);
    assert.match(await own.textContent("main"), /No call waits here/);
    const site = createServer((_, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end(`<iframe src="${url}"></iframe>`),
    );
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    await own.goto(`http://localhost:${site.address().port}/`);
    await own.waitForTimeout(500);
    const framed = own.frames().filter((frame) => frame !== own.mainFrame());
    for (const frame of framed)
      assert.doesNotMatch(await frame.content().catch(() => ""), /Approve this call/);
    site.closeAllConnections();
    await new Promise((resolve) => site.close(resolve));
    await page.context().close();
    await own.context().close();
  });
});
