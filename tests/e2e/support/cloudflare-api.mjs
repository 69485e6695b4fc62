/** The part of Cloudflare's API that wrangler calls for a deployment, with its state in memory. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";

const ACCOUNT = "0123456789abcdef0123456789abcdef";
const id = () => randomBytes(16).toString("hex");

/** An answer of the API with an error. */
const refused = (status, code, message) => ({
  status,
  body: { success: false, errors: [{ code, message }], messages: [], result: null },
});
const granted = (result, more = {}) => ({
  status: 200,
  body: { success: true, errors: [], messages: [], result, ...more },
});

/** A page of a list. */
function paged(list, query) {
  const size = Number(query.get("per_page") ?? 20);
  const page = Number(query.get("page") ?? 1);
  const items = list.slice((page - 1) * size, page * size);
  const info = { page, per_page: size, count: items.length, total_count: list.length };
  return granted(items, { result_info: { ...info, total_pages: Math.ceil(list.length / size) } });
}

/**
 * Starts it. `state` is what is there: namespaces, queues, scripts with their secrets. `requests` are those that came, and `forbidden` a
 * pattern of those (METHOD PATH) that get the answer to a token without permission; `broken` one of those that are cut off.
 */
export async function startCloudflareApi() {
  const state = { namespaces: [], values: new Map(), queues: [], scripts: new Map(), domains: [] };
  const api = {
    account: ACCOUNT,
    state,
    requests: [],
    unknown: [],
    forbidden: undefined,
    broken: undefined,
    slow: undefined,
  };

  /** A Worker, as it is uploaded: secrets that the upload does not name stay. */
  async function upload([, name], _body, _query, form) {
    const { bindings = [], migrations } = JSON.parse((await form()).get("metadata"));
    const before = state.scripts.get(name) ?? { secrets: {} };
    const own = bindings.filter(({ type }) => type === "secret_text");
    const secrets = Object.fromEntries(own.map((one) => [one.name, one.text]));
    state.scripts.set(name, {
      secrets: { ...before.secrets, ...secrets },
      bindings: bindings.filter(({ type }) => type !== "secret_text"),
      migrations: migrations ?? before.migrations,
      migration: migrations?.new_tag ?? before.migration,
    });
    const resources = { script: { etag: id(), handlers: ["fetch"] }, bindings: [], script_runtime: {} };
    return granted({
      id: id(),
      startup_time_ms: 1,
      deployment_id: id(),
      etag: id(),
      metadata: {},
      resources,
    });
  }

  const ROUTES = [
    ["GET", /^\/memberships$/, () => granted([{ id: "m", account: { id: ACCOUNT, name: "Test" } }])],
    ["GET", /^\/accounts$/, () => granted([{ id: ACCOUNT, name: "Test" }])],
    ["GET", /^\/user\/tokens\/verify$/, () => granted({ id: id(), status: "active" })],
    ["GET", /^\/user$/, () => granted({ id: "user", email: "ada@example.com" })],
    ["GET", /^\/storage\/kv\/namespaces$/, (_match, _body, query) => paged(state.namespaces, query)],
    [
      "POST",
      /^\/storage\/kv\/namespaces$/,
      (_match, body) => {
        const { title } = JSON.parse(body);
        if (state.namespaces.some((one) => one.title === title))
          return refused(
            400,
            10014,
            "create namespace: 'a namespace with this account ID and title already exists'",
          );
        const made = { id: id(), title, supports_url_encoding: true };
        state.namespaces.push(made);
        return granted(made);
      },
    ],
    [
      "GET",
      /^\/storage\/kv\/namespaces\/(\w+)\/keys$/,
      ([, ns], _body, query) => {
        const prefix = query.get("prefix") ?? "";
        const names = [...state.values.keys()].filter((name) => name.startsWith(`${ns}/${prefix}`));
        return granted(
          names.map((name) => ({ name: name.slice(ns.length + 1) })),
          { result_info: { count: names.length, cursor: "" } },
        );
      },
    ],
    [
      "PUT",
      /^\/storage\/kv\/namespaces\/(\w+)\/values\/(.+)$/,
      ([, ns, key], body) => {
        state.values.set(`${ns}/${decodeURIComponent(key)}`, body);
        return granted({});
      },
    ],
    [
      "GET",
      /^\/storage\/kv\/namespaces\/(\w+)\/values\/(.+)$/,
      ([, ns, key]) => ({ status: 200, text: state.values.get(`${ns}/${decodeURIComponent(key)}`) ?? "" }),
    ],
    [
      "GET",
      /^\/queues$/,
      (_match, _body, query) => {
        const found = state.queues.filter(({ queue_name: name }) => [null, name].includes(query.get("name")));
        return paged(found, query);
      },
    ],
    [
      "POST",
      /^\/queues$/,
      (_match, body) => {
        const made = {
          queue_id: id(),
          queue_name: JSON.parse(body).queue_name,
          producers: [],
          consumers: [],
        };
        state.queues.push(made);
        return granted(made);
      },
    ],
    [
      "GET",
      /^\/queues\/(\w+)$/,
      ([, queue]) => granted(state.queues.find(({ queue_id: known }) => known === queue) ?? null),
    ],
    [
      "GET",
      /^\/workers\/scripts\/([\w-]+)\/secrets$/,
      ([, name]) => {
        const script = state.scripts.get(name);
        if (!script) return refused(404, 10007, "This Worker does not exist on your account.");
        return granted(Object.keys(script.secrets).map((secret) => ({ name: secret, type: "secret_text" })));
      },
    ],
    [
      "GET",
      /^\/workers\/services\/([\w-]+)$/,
      ([, name]) => {
        if (!state.scripts.has(name))
          return refused(404, 10090, "This Worker does not exist on your account.");
        return granted({
          id: name,
          default_environment: {
            environment: "production",
            script: { id: name, last_deployed_from: "wrangler" },
          },
        });
      },
    ],
    [
      "GET",
      /^\/workers\/scripts$/,
      () =>
        granted([...state.scripts].map(([name, { migration }]) => ({ id: name, migration_tag: migration }))),
    ],
    [
      "GET",
      /^\/workers\/scripts\/([\w-]+)\/subdomain$/,
      () => granted({ enabled: false, previews_enabled: false }),
    ],
    [
      "POST",
      /^\/workers\/scripts\/([\w-]+)\/subdomain$/,
      () => granted({ enabled: false, previews_enabled: false }),
    ],
    ["GET", /^\/workers\/subdomain$/, () => granted({ subdomain: "test" })],
    ["PUT", /^\/workers\/scripts\/([\w-]+)$/, upload],
    ["POST", /^\/workers\/scripts\/([\w-]+)\/versions$/, upload],
    ["POST", /^\/workers\/scripts\/([\w-]+)\/deployments$/, () => granted({ id: id() })],
    ["PATCH", /^\/workers\/scripts\/([\w-]+)\/(script-)?settings$/, () => granted({})],
    ["GET", /^\/workers\/scripts\/([\w-]+)\/deployments$/, () => granted({ deployments: [] })],
    ["GET", /^\/workers\/scripts\/([\w-]+)\/versions$/, () => granted({ items: [] })],
    ["PUT", /^\/workers\/scripts\/([\w-]+)\/domains\/records$/, () => granted([])],
    [
      "POST",
      /^\/workers\/scripts\/([\w-]+)\/domains\/changeset$/,
      () => granted({ added: [], removed: [], updated: [], conflicting: [] }),
    ],
    [
      "GET",
      /^\/workers\/scripts\/([\w-]+)\/settings$/,
      ([, name]) => granted({ bindings: state.scripts.get(name)?.bindings ?? [], tags: [] }),
    ],
    [
      "GET",
      /^\/workers\/workers\/([\w-]+)$/,
      ([, name]) => granted({ id: name, name, subdomain: { enabled: false } }),
    ],
    ["PATCH", /^\/workers\/workers\/([\w-]+)$/, ([, name]) => granted({ id: name, name })],
    ["GET", /^\/workers\/durable_objects\/namespaces$/, (_match, _body, query) => paged([], query)],
  ];

  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const bytes = Buffer.concat(chunks);
      const body = bytes.toString("latin1");
      const type = { "content-type": request.headers["content-type"] };
      const form = () => new Response(bytes, { headers: type }).formData();
      const url = new URL(request.url, "http://api");
      const path = url.pathname.replace("/client/v4", "").replace(`/accounts/${api.account}`, "");
      const line = `${request.method} ${path || "/"}`;
      api.requests.push({ line, authorization: request.headers.authorization, body });
      if (api.broken?.test(line)) return request.socket.destroy();
      // A request without an answer: the test ends the program that waits for it.
      if (api.slow?.test(line)) return;
      const answer = api.forbidden?.test(line)
        ? refused(403, 10000, "Authentication error")
        : await answerTo(line, request.method, path, body, url.searchParams, form);
      if (answer.text !== undefined) return response.writeHead(answer.status).end(answer.text);
      response
        .writeHead(answer.status, { "content-type": "application/json" })
        .end(JSON.stringify(answer.body));
    });
  });
  function answerTo(line, method, path, body, query, form) {
    for (const [known, pattern, act] of ROUTES) {
      const match = method === known && path.match(pattern);
      if (match) return act(match, body, query, form);
    }
    api.unknown.push(line);
    return refused(404, 7003, `there is no ${line} here`);
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(api, {
    env: {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${server.address().port}/client/v4`,
      CLOUDFLARE_API_TOKEN: "token-of-the-test",
      CLOUDFLARE_ACCOUNT_ID: ACCOUNT,
    },
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  });
}
