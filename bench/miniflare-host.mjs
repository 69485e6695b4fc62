// The process that miniflare.mjs starts: it runs one Miniflare.
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { childOf } from "./processes.mjs";
import { compatibility } from "./settings.mjs";

let worker;

const tasks = {
  async start({ modules, bindings, flags = [], kv = false }) {
    worker = new Miniflare(
      convertV4MiniflareOptions({
        log: new Log(LogLevel.NONE),
        host: "127.0.0.1",
        port: 0,
        cf: false,
        handleStructuredLogs() {},
        modules: modules.map(({ path, content }) => ({
          type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
          path,
          contents: Buffer.from(content, "base64"),
        })),
        compatibilityDate: compatibility.date,
        compatibilityFlags: flags,
        bindings,
        kvNamespaces: kv ? ["OAUTH_KV"] : [],
      }),
    );
    const { port } = await worker.ready;
    return { port: Number(port), pid: childOf(process.pid) };
  },
  async stop() {
    await worker.dispose();
    return {};
  },
};

process.on("message", async ({ task, input }) => {
  try {
    process.send(await tasks[task](input));
  } catch (error) {
    process.send({ error: error.stack });
  }
});
process.on("disconnect", () => process.exit());
