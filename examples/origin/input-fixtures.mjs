// The conformance suite's tools and prompts that need input from the client before they can answer. Each is
// written once, for the modern era: it answers `input_required` and is called again. For a legacy session the
// package turns the same into a request to the client.

import { acceptedContent, fromJsonSchema, inputRequired, inputResponse } from "@modelcontextprotocol/server";

const text = (value) => ({ content: [{ type: "text", text: value }] });
const object = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required });

// An input is a request to send and a function that reads the answer; it returns undefined until there is a usable one.
function elicit(message, schema) {
  const validator = fromJsonSchema(schema);
  return {
    request: inputRequired.elicit({ message, requestedSchema: schema }),
    read(responses, key) {
      const answer = inputResponse(responses, key);
      if (answer.kind !== "elicit") return undefined;
      // Declining is an answer. Accepting with the wrong content is not.
      if (answer.action !== "accept") return { action: answer.action };
      const content = acceptedContent(responses, key, validator);
      return content && { action: "accept", content };
    },
  };
}

function sample(prompt, maxTokens = 100) {
  return {
    request: inputRequired.createMessage({
      messages: [{ role: "user", content: { type: "text", text: prompt } }],
      maxTokens,
    }),
    read(responses, key) {
      const answer = inputResponse(responses, key);
      return answer.kind === "sampling" ? answer.result : undefined;
    },
  };
}

const listRoots = {
  request: inputRequired.listRoots(),
  read(responses, key) {
    const answer = inputResponse(responses, key);
    return answer.kind === "roots" ? answer.roots : undefined;
  },
};

/**
 * The answers to all inputs, or undefined when one is missing. Ignores answers that were not asked for.
 */
function answersTo(inputs, ctx) {
  const answers = {};
  for (const [key, input] of Object.entries(inputs)) {
    answers[key] = input.read(ctx.mcpReq.inputResponses, key);
    if (answers[key] === undefined) return undefined;
  }
  return answers;
}

// The server keeps nothing of an incomplete round, so the next round asks for everything again.
function ask(inputs, requestState) {
  const inputRequests = Object.fromEntries(
    Object.entries(inputs).map(([key, { request }]) => [key, request]),
  );
  return inputRequired({ inputRequests, ...(requestState !== undefined && { requestState }) });
}

/** A handler that asks for all inputs at once, and finishes when it has them. */
const once = (inputs, finish) => (ctx) => {
  const answers = answersTo(inputs, ctx);
  return answers === undefined ? ask(inputs) : finish(answers);
};

const nameSchema = object({ name: { type: "string" } });
const name = elicit("What is your name?", nameSchema);
const described = (answer) => `action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`;

export function registerInputFixtures(mcp, { mint }) {
  registerLegacyNames(mcp);
  registerSingleRound(mcp);
  registerWithState(mcp, mint);
}

function registerLegacyNames(mcp) {
  mcp.registerTool(
    "test_sampling",
    {
      description: "Asks the client's model",
      inputSchema: fromJsonSchema(object({ prompt: { type: "string" } })),
    },
    ({ prompt }, ctx) =>
      once({ sampling: sample(prompt) }, ({ sampling }) =>
        text(`LLM response: ${sampling.content.text ?? JSON.stringify(sampling.content)}`),
      )(ctx),
  );

  const account = object({
    username: { type: "string", description: "User's response" },
    email: { type: "string", description: "User's email address" },
  });
  mcp.registerTool(
    "test_elicitation",
    {
      description: "Asks the user for a name and an address",
      inputSchema: fromJsonSchema(object({ message: { type: "string" } })),
    },
    ({ message }, ctx) =>
      once({ account: elicit(message, account) }, (answer) =>
        text(`User response: ${described(answer.account)}`),
      )(ctx),
  );

  const forms = {
    test_elicitation_sep1034_defaults: object(
      {
        name: { type: "string", default: "John Doe" },
        age: { type: "integer", default: 30 },
        score: { type: "number", default: 95.5 },
        status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
        verified: { type: "boolean", default: true },
      },
      [],
    ),
    test_elicitation_sep1330_enums: object(
      {
        untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
        titledSingle: { type: "string", oneOf: titled("value1", "value2", "value3") },
        legacyEnum: {
          type: "string",
          enum: ["opt1", "opt2", "opt3"],
          enumNames: ["Option One", "Option Two", "Option Three"],
        },
        untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
        titledMulti: { type: "array", items: { anyOf: titled("value1", "value2", "value3") } },
      },
      [],
    ),
  };
  for (const [tool, schema] of Object.entries(forms)) {
    const form = elicit("Please fill in the form", schema);
    mcp.registerTool(
      tool,
      { description: "Asks the user to fill in a form" },
      once({ form }, (answer) => text(`Elicitation completed: ${described(answer.form)}`)),
    );
  }
}

function titled(...values) {
  return values.map((value) => ({ const: value, title: `Option ${value}` }));
}

function registerSingleRound(mcp) {
  const greet = ({ user_name }) => text(`Hello, ${user_name.content?.name ?? "stranger"}!`);
  const tools = {
    test_input_required_result_elicitation: once({ user_name: name }, greet),
    test_streaming_elicitation: once({ user_name: name }, greet),
    test_input_required_result_sampling: once(
      { capital_question: sample("What is the capital of France?") },
      ({ capital_question }) => text(capital_question.content.text ?? "No text"),
    ),
    // The package refuses this tool for clients without sampling, as the suite expects.
    test_missing_capability: once({ question: sample("Anything") }, () => text("Sampled")),
    test_input_required_result_list_roots: once({ client_roots: listRoots }, ({ client_roots }) =>
      text(`Roots: ${client_roots.map(({ uri }) => uri).join(", ")}`),
    ),
  };
  for (const [tool, handler] of Object.entries(tools)) {
    mcp.registerTool(tool, { description: "Needs input from the client" }, handler);
  }

  mcp.registerTool(
    "test_input_required_result_capabilities",
    { description: "Asks only for input that the client supports" },
    (ctx) => {
      const able = mcp.server.getClientCapabilities() ?? {};
      const inputs = {
        ...(able.elicitation && { user_name: name }),
        ...(able.sampling && { greeting: sample("Generate a greeting") }),
        ...(able.roots && { client_roots: listRoots }),
      };
      if (Object.keys(inputs).length === 0) return text("The client supports no kind of input");
      return once(inputs, (answers) => text(`Answered: ${Object.keys(answers).join(", ")}`))(ctx);
    },
  );

  const context = elicit("What context should the prompt use?", object({ context: { type: "string" } }));
  mcp.registerPrompt(
    "test_input_required_result_prompt",
    { description: "Asks for a context first" },
    once({ user_context: context }, ({ user_context }) => ({
      messages: [
        {
          role: "user",
          content: { type: "text", text: `In the context of ${user_context.content?.context ?? "nothing"}` },
        },
      ],
    })),
  );
}

// The package checks the signature of the state before these handlers read it, so the client did reach the step in it.
function registerWithState(mcp, mint) {
  const confirm = elicit("Please confirm", object({ ok: { type: "boolean" } }));
  const stateful = {
    test_input_required_result_request_state: { confirm },
    test_input_required_result_tampered_state: { confirm },
    test_input_required_result_multiple_inputs: {
      user_name: name,
      greeting: sample("Generate a greeting", 50),
      client_roots: listRoots,
    },
  };
  for (const [tool, inputs] of Object.entries(stateful)) {
    mcp.registerTool(tool, { description: "Needs input, and the state that it issued" }, async (ctx) => {
      const answers = ctx.mcpReq.requestState()?.tool === tool && answersTo(inputs, ctx);
      if (!answers) return ask(inputs, await mint({ tool }, ctx));
      return text(`state-ok: ${Object.keys(answers).join(", ")}`);
    });
  }

  const tool = "test_input_required_result_multi_round";
  const step1 = elicit("Step 1: What is your name?", nameSchema);
  const step2 = elicit("Step 2: What is your favorite color?", object({ color: { type: "string" } }));
  mcp.registerTool(tool, { description: "Needs input twice" }, async (ctx) => {
    const state = ctx.mcpReq.requestState();
    const reached = state?.tool === tool ? state.step : 0;
    if (reached === 2) {
      const second = answersTo({ step2 }, ctx)?.step2;
      if (second) return text(`${state.name} likes ${second.content?.color ?? "no color"}`);
      return ask({ step2 }, await mint(state, ctx));
    }
    const first = reached === 1 && answersTo({ step1 }, ctx)?.step1;
    if (!first) return ask({ step1 }, await mint({ tool, step: 1 }, ctx));
    return ask(
      { step2 },
      await mint({ tool, step: 2, name: first.content?.name ?? "A person without a name" }, ctx),
    );
  });
}
