// A hook as a Worker: it holds back transfers of more than 1,000, and removes internal links from results.
// The contract is in docs/trust.md. Bind it as a service of the gateway's Worker, and name the binding in `hooks[].service`.

const LIMIT = 1000;

/** Says what becomes of the arguments of a call. */
function aboutArguments({ name, arguments: given }) {
  // Servers may ignore the case of names.
  if (name?.toLowerCase() === "transfer" && !(given.amount <= LIMIT))
    return {
      action: "deny",
      reason: `Transfers of more than ${LIMIT} need a person. Ask the user to make it in the bank's own page.`,
    };
  return { action: "pass" };
}

/** Says what becomes of a message of the server. */
function aboutMessage({ message }) {
  const text = JSON.stringify(message);
  const without = text.replaceAll(/https:\/\/[\w.-]*\.internal\.example[^\s"\\]*/g, "[internal link]");
  return without === text ? { action: "pass" } : { action: "replace", message: JSON.parse(without) };
}

export default {
  async fetch(request) {
    const question = await request.json();
    if (question.version !== 1) return new Response("unknown version", { status: 400 });
    return Response.json(question.phase === "arguments" ? aboutArguments(question) : aboutMessage(question));
  },
};
