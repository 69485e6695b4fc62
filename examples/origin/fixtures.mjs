// The tools, prompts and resources that the official conformance suite requires of a server. The suite defines
// their names and shapes; `conformance server --verbose` describes each.

import { setTimeout as sleep } from "node:timers/promises";
import { fromJsonSchema, ResourceTemplate } from "@modelcontextprotocol/server";

const WATCHED = "test://watched-resource";

// A PNG of one transparent pixel.
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const text = (value) => ({ type: "text", text: value });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const audio = { type: "audio", data: silence().toString("base64"), mimeType: "audio/wav" };
const resource = (uri, mimeType, value) => ({ type: "resource", resource: { uri, mimeType, text: value } });

export function registerFixtures(mcp, { changes }) {
  registerContentTools(mcp);
  registerNotifyingTools(mcp, changes);
  registerSchemaTools(mcp);
  registerResources(mcp);
  registerPrompts(mcp);
}

function registerContentTools(mcp) {
  const contents = {
    test_simple_text: [text("This is a simple text response for testing.")],
    test_image_content: [image],
    test_audio_content: [audio],
    test_embedded_resource: [
      resource("test://embedded-resource", "text/plain", "This is an embedded resource content."),
    ],
    test_multiple_content_types: [
      text("Multiple content types test:"),
      image,
      resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
  };
  for (const [name, content] of Object.entries(contents)) {
    const types = content.map(({ type }) => type).join(", ");
    mcp.registerTool(name, { description: `Answers with ${types}` }, () => ({ content }));
  }

  mcp.registerTool("test_error_handling", { description: "Always fails" }, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
}

function registerNotifyingTools(mcp, changes) {
  // The suite checks that the messages arrive one by one, so there is a pause between them.
  const pause = () => sleep(50);

  mcp.registerTool("test_tool_with_logging", { description: "Logs while it works" }, async ({ mcpReq }) => {
    await mcpReq.log("info", "Tool execution started");
    await pause();
    await mcpReq.log("info", "Tool processing data");
    await pause();
    await mcpReq.log("info", "Tool execution completed");
    return { content: [text("Logged three messages")] };
  });

  mcp.registerTool("test_logging_tool", { description: "Logs one message" }, async ({ mcpReq }) => {
    await mcpReq.log("info", "Only for clients that asked for a log level");
    return { content: [text("Logged, if the client asked for a log level")] };
  });

  mcp.registerTool("test_tool_with_progress", { description: "Reports progress" }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await pause();
      if (progressToken === undefined) continue;
      await mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress, total: 100 },
      });
    }
    return { content: [text("Done")] };
  });

  mcp.registerTool(
    "test_reconnection",
    {
      description:
        "Closes its own stream before it answers, so that the client must reconnect for the result",
    },
    async ({ http }) => {
      http?.closeSSE?.();
      await pause();
      return { content: [text("Fetched after a reconnection")] };
    },
  );

  // The lists do not really change: the suite only checks that the client gets the notification.
  const triggers = {
    test_trigger_tool_change: () => changes.toolsChanged(),
    test_trigger_prompt_change: () => changes.promptsChanged(),
    test_trigger_resource_update: () => changes.resourceUpdated(WATCHED),
  };
  for (const [name, announce] of Object.entries(triggers)) {
    mcp.registerTool(name, { description: "Sends a notification of a change" }, async () => {
      await announce();
      return { content: [text("Announced")] };
    });
  }
}

function registerSchemaTools(mcp) {
  // Keywords that an intermediary or a library might drop on the way to the client.
  mcp.registerTool(
    "json_schema_2020_12_tool",
    {
      description: "Takes a person, described with keywords of JSON Schema 2020-12",
      inputSchema: fromJsonSchema({
        $schema: "https://json-schema.org/draft/2020-12/schema",
        $defs: {
          address: {
            $anchor: "address",
            type: "object",
            properties: { street: { type: "string" }, city: { type: "string" } },
          },
        },
        type: "object",
        properties: {
          name: { type: "string" },
          address: { $ref: "#/$defs/address" },
          reachBy: { enum: ["mail", "phone"] },
          mail: { type: "string" },
          phone: { type: "string" },
        },
        allOf: [{ anyOf: [{ required: ["name"] }, { required: ["address"] }] }],
        if: { properties: { reachBy: { const: "phone" } }, required: ["reachBy"] },
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, in an object that is never awaited
        then: { required: ["phone"] },
        else: { required: ["mail"] },
        additionalProperties: false,
      }),
    },
    ({ name }) => ({ content: [text(`Met ${name ?? "a person without a name"}`)] }),
  );

  mcp.registerTool(
    "test_custom_header",
    {
      description: "Takes a region that modern clients repeat in the header Mcp-Param-Region",
      inputSchema: fromJsonSchema({
        type: "object",
        properties: { region: { type: "string", "x-mcp-header": "Region" } },
        required: ["region"],
      }),
    },
    ({ region }) => ({ content: [text(`Region ${region}`)] }),
  );
}

function registerResources(mcp) {
  const single = (uri, mimeType, content) => () => ({ contents: [{ uri, mimeType, ...content }] });
  const fixed = [
    ["static-text", "text/plain", { text: "This is the content of the static text resource." }],
    ["static-binary", "image/png", { blob: PNG }],
    ["watched-resource", "text/plain", { text: "Subscribe to me." }],
  ];
  for (const [name, mimeType, content] of fixed) {
    const uri = `test://${name}`;
    mcp.registerResource(
      name,
      uri,
      { description: `Fixture ${name}`, mimeType },
      single(uri, mimeType, content),
    );
  }

  const suggestions = ["1", "12", "123"];
  mcp.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", {
      list: undefined,
      complete: { id: (typed) => suggestions.filter((id) => id.startsWith(typed)) },
    }),
    { description: "Data for any id", mimeType: "application/json" },
    (uri, { id }) => {
      const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
      return single(uri.href, "application/json", { text: data })();
    },
  );
}

function registerPrompts(mcp) {
  const user = (...contents) => ({ messages: contents.map((content) => ({ role: "user", content })) });
  const strings = (...names) => {
    const properties = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
    return fromJsonSchema({ type: "object", properties, required: names });
  };

  mcp.registerPrompt("test_simple_prompt", { description: "A fixed text" }, () =>
    user(text("This is a simple prompt for testing.")),
  );
  mcp.registerPrompt(
    "test_prompt_with_arguments",
    { description: "A text with two arguments", argsSchema: strings("arg1", "arg2") },
    ({ arg1, arg2 }) => user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  mcp.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "A resource of your choice and a text", argsSchema: strings("resourceUri") },
    ({ resourceUri }) =>
      user(
        resource(resourceUri, "text/plain", "Embedded resource content for testing."),
        text("Please process the embedded resource above."),
      ),
  );
  mcp.registerPrompt("test_prompt_with_image", { description: "An image and a text" }, () =>
    user(image, text("Please analyze the image above.")),
  );
}

// A WAV file of eight silent samples: 8 kHz, mono, 8 bits, where 128 is silence.
function silence() {
  const samples = Buffer.alloc(8, 128);
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + samples.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8000, 24);
  header.writeUInt32LE(8000, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.length, 40);
  return Buffer.concat([header, samples]);
}
