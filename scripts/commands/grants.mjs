// `portcullis grants`: shows, ends and deletes a user's grants for an administrator, over the admin endpoint of the authorization
// server. The secret comes from the environment, because other users of the machine can see arguments.
import { fail } from "../lib/run.mjs";
import { LOCAL } from "./doctor/requests.mjs";
import { printJson, readOptions, text, UNUSABLE } from "./options.mjs";

const USAGE = `PORTCULLIS_ADMIN_SECRET=… portcullis grants ACTION --issuer URL

  show --subject SUBJECT      prints everything that the gateway stores about a subject: grants and approvals
  end --grant ID              ends one grant; its access tokens expire within access_token_seconds
  delete --subject SUBJECT    ends all grants of a subject, deletes the subject's approvals, and signs the subject out

--issuer is the issuer identifier: public_url, followed by the path of the authorization server if it has one.
PORTCULLIS_ADMIN_SECRET is the value of the secret that authorization_server.admin_secret names. The output is JSON.
`;

export async function grants(args) {
  const { values, positionals } = readOptions(
    args,
    USAGE,
    { issuer: text, subject: text, grant: text },
    { positionals: 1 },
  );
  const [action] = positionals;
  const wants = { show: "subject", end: "grant", delete: "subject" }[action];
  if (wants === undefined)
    fail(`ACTION must be show, end or delete, got ${action ?? "none"}\n\n${USAGE}`, UNUSABLE);
  const issuer = URL.parse(values.issuer ?? "");
  const local = LOCAL.test(issuer?.hostname ?? "");
  // The secret is sent to this URL.
  if (issuer?.protocol !== "https:" && !(issuer?.protocol === "http:" && local))
    fail(
      `--issuer must be an https URL, or an http URL of this machine, got "${values.issuer ?? ""}"\n\n${USAGE}`,
      UNUSABLE,
    );
  if (!values[wants]) fail(`${action} requires --${wants}\n\n${USAGE}`, UNUSABLE);
  const secret = process.env.PORTCULLIS_ADMIN_SECRET;
  if (!secret) fail(`PORTCULLIS_ADMIN_SECRET is not set\n\n${USAGE}`, UNUSABLE);

  let answer;
  try {
    answer = await fetch(`${values.issuer.replace(/\/$/, "")}/admin`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify({ action, [wants]: values[wants] }),
      redirect: "error",
      signal: AbortSignal.timeout(30_000),
    });
  } catch (error) {
    fail(`${values.issuer} cannot be reached: ${error.cause?.message ?? error.message}`);
  }
  const said = await answer.text();
  let body;
  try {
    body = JSON.parse(said);
  } catch {
    fail(
      `${values.issuer}/admin answered ${answer.status} without JSON: is --issuer the issuer identifier of a gateway?`,
    );
  }
  if (!answer.ok)
    fail(
      `the gateway answered ${answer.status}: ${body?.error_description ?? body?.error?.message ?? body?.error}`,
    );
  printJson(body);
}
