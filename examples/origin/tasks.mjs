// Tasks (SEP-2663) for the origin. The server package does not have them yet, so this module answers their requests itself, before
// the package sees them. A client that does not declare the extension gets the tools without tasks, from the package.
//
// This server does not bind tasks to users: any caller who has an id may use it. The gateway gives each user an id that only that user can use.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fromJsonSchema } from "@modelcontextprotocol/server";

const EXTENSION = "io.modelcontextprotocol/tasks";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";
const TTL_MS = 60_000;
const POLL_MS = 100;
const METHODS = ["tasks/get", "tasks/update", "tasks/cancel"];
const ENDED = ["completed", "failed", "cancelled"];

const text = (value) => ({ content: [{ type: "text", text: value }] });
const object = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required });
const elicit = (message, properties) => ({
  method: "elicitation/create",
  params: { mode: "form", message, requestedSchema: object(properties) },
});
const confirmation = (message) => elicit(message, { confirm: { type: "boolean" } });

/** The tools: `work` runs as a task, with a signal for its cancellation and a way to ask the user. */
const TOOLS = {
  slow_compute: {
    schema: object({ seconds: { type: "number" }, label: { type: "string" } }, []),
    async work({ seconds = 1, label = "done" }, { signal }) {
      await sleep(seconds * 1000, undefined, { signal });
      return text(`computed ${label}`);
    },
  },
  failing_job: {
    required: true,
    schema: object({}),
    async work(_, { signal }) {
      await sleep(200, undefined, { signal });
      return { ...text("the job failed"), isError: true };
    },
  },
  protocol_error_job: {
    schema: object({}),
    async work() {
      throw Object.assign(new Error("the job broke"), { code: -32603 });
    },
  },
  confirm_delete: {
    schema: object({ filename: { type: "string" } }),
    async work({ filename }, { ask }) {
      const { confirm } = await ask({ confirm: confirmation(`Delete ${filename}?`) });
      return text(confirm?.content?.confirm ? `deleted ${filename}` : `kept ${filename}`);
    },
  },
  multi_input: {
    schema: object({}),
    async work(_, { ask }) {
      const answers = await ask({ first: confirmation("First?"), second: confirmation("Second?") });
      return text(`answered ${Object.keys(answers).sort().join(", ")}`);
    },
  },
  test_tool_with_task: {
    required: true,
    schema: object({}),
    // Asks before there is a task, and begins it when it has the answer.
    before: { user_name: elicit("What is your name?", { name: { type: "string" } }) },
    async work(_, { given }) {
      return text(`Hello, ${given.user_name?.content?.name ?? "stranger"}!`);
    },
  },
};

export function createTasks() {
  const tasks = new Map();
  const watchers = new Set();

  const shown = (task) => {
    const { id: taskId, status, createdAt, lastUpdatedAt, inputRequests, result, error } = task;
    const common = { taskId, status, createdAt, lastUpdatedAt, ttlMs: TTL_MS, pollIntervalMs: POLL_MS };
    if (status === "input_required") return { ...common, inputRequests };
    if (status === "completed") return { ...common, result };
    return status === "failed" ? { ...common, error } : common;
  };

  function change(task, changes) {
    if (ENDED.includes(task.status)) return;
    Object.assign(task, changes, { lastUpdatedAt: new Date().toISOString() });
    for (const watcher of watchers) watcher(task);
  }

  function begin(tool, args, given) {
    const now = new Date().toISOString();
    const task = { id: randomUUID(), tool, status: "working", createdAt: now, lastUpdatedAt: now };
    const stop = new AbortController();
    task.cancel = () => {
      change(task, { status: "cancelled" });
      stop.abort();
    };
    const ask = (inputRequests) =>
      new Promise((resolve) => {
        const answers = {};
        task.answer = (responses) => {
          const open = { ...task.inputRequests };
          for (const [key, response] of Object.entries(responses ?? {})) {
            if (!(key in open)) continue;
            answers[key] = response;
            delete open[key];
          }
          const done = Object.keys(open).length === 0;
          change(task, { inputRequests: open, status: done ? "working" : "input_required" });
          if (done) resolve(answers);
        };
        change(task, { status: "input_required", inputRequests });
      });
    tasks.set(task.id, task);
    TOOLS[tool].work(args ?? {}, { signal: stop.signal, ask, given: given ?? {} }).then(
      (result) => change(task, { status: "completed", result: { resultType: "complete", ...result } }),
      ({ code, message }) =>
        change(task, { status: "failed", error: { code: Number(code) || -32603, message } }),
    );
    return task;
  }

  function call({ name, arguments: args, inputResponses }, declared) {
    const { before, required } = TOOLS[name];
    if (!declared && required) return undeclared();
    if (before && !inputResponses) {
      return {
        result: { resultType: "input_required", inputRequests: before, requestState: `state of ${name}` },
      };
    }
    return { result: { resultType: "task", ...shown(begin(name, args, inputResponses)) } };
  }

  function answer({ method, params }, declared) {
    if (method === "tools/call") return call(params, declared);
    if (!declared) return undeclared();
    const task = tasks.get(params.taskId);
    if (!task) return { error: { code: -32602, message: `Task not found: ${params.taskId}` } };
    if (method === "tasks/get") return { result: { resultType: "complete", ...shown(task) } };
    if (method === "tasks/cancel") task.cancel();
    else task.answer?.(params.inputResponses);
    return { result: { resultType: "complete" } };
  }

  /** A stream that tells of changes of the tasks that it names. */
  function listen({ id, params }, req, res) {
    const { taskIds } = params.notifications;
    const send = (method, params) => {
      const message = { jsonrpc: "2.0", method, params: { ...params, _meta: { [SUBSCRIPTION]: id } } };
      res.write(`data: ${JSON.stringify(message)}\n\n`);
    };
    res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    send("notifications/subscriptions/acknowledged", { notifications: { taskIds } });
    const watcher = (task) => taskIds.includes(task.id) && send("notifications/tasks", shown(task));
    watchers.add(watcher);
    req.once("close", () => watchers.delete(watcher));
    res.once("close", () => watchers.delete(watcher));
  }

  return {
    extensions: { [EXTENSION]: {} },

    register(mcp) {
      for (const [name, { schema, work, required }] of Object.entries(TOOLS)) {
        const description = required ? "Runs as a task" : "May run as a task";
        mcp.registerTool(name, { description, inputSchema: fromJsonSchema(schema) }, (args, { mcpReq }) =>
          work(args, { signal: mcpReq.signal, given: {}, ask: async () => ({}) }),
        );
      }
      mcp.registerTool(
        "greet",
        { description: "Greets", inputSchema: fromJsonSchema(object({ name: { type: "string" } })) },
        ({ name }) => text(`Hello, ${name}!`),
      );
    },

    /** Whether this module answers a request. */
    handles({ method, params } = {}) {
      if (METHODS.includes(method)) return true;
      if (method === "subscriptions/listen") return Array.isArray(params?.notifications?.taskIds);
      const tool = method === "tools/call" && Object.hasOwn(TOOLS, params?.name) && TOOLS[params.name];
      return Boolean(tool) && (declares(params) || Boolean(tool.required));
    },

    serve(req, res, body) {
      const { method, params } = body;
      const mirrored = method.startsWith("tasks/") ? params?.taskId : params?.name;
      const reply = (status, message) => {
        res.writeHead(status, { "content-type": "application/json" });
        res.end(JSON.stringify({ jsonrpc: "2.0", id: body.id, ...message }));
      };
      const named = method === "subscriptions/listen" || req.headers["mcp-name"] === mirrored;
      if (req.headers["mcp-method"] !== method || !named) {
        return reply(400, { error: { code: -32020, message: "The header fields do not match the body" } });
      }
      if (method === "subscriptions/listen") return listen(body, req, res);
      const answered = answer(body, declares(params));
      reply(answered.error?.code === -32021 ? 400 : 200, answered);
    },
  };
}

const declares = (params) => params?._meta?.[CAPABILITIES]?.extensions?.[EXTENSION] !== undefined;

const undeclared = () => ({
  error: {
    code: -32021,
    message: "The client has to declare the extension for tasks",
    data: { requiredCapabilities: { extensions: { [EXTENSION]: {} } } },
  },
});
