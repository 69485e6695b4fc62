// `portcullis grants`: shows, ends and deletes a user's grants for an administrator, over the admin endpoint of the authorization
// server. The secret comes from the environment, because other users of the machine can see arguments.
import { fail } from "../lib/run.mjs";
import { LOCAL } from "./doctor/requests.mjs";
import { printJson, readOptions, text, UNUSABLE } from "./options.mjs";

const USAGE = `PORTCULLIS_ADMIN_SECRET=… portcullis grants ACTION --issuer URL

  show --subject SUBJECT      everything that is known of a subject, as JSON: grants and approvals
  end --grant ID              ends one grant; its access tokens are over within access_token_seconds
  delete --subject SUBJECT    ends all grants of a subject, forgets what they approved, and signs them out

--issuer is the issuer identifier: public_url, and the path of the authorization server where it has one. The secret is
the one that authorization_server.admin_secret names. The answer is JSON.
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
  if (wants === undefined) fail(`the action must be show, end or delete\n\n${USAGE}`, UNUSABLE);
  const issuer = URL.parse(values.issuer ?? "");
  const local = LOCAL.test(issuer?.hostname ?? "");
  // The secret is sent to this URL.
  if (issuer?.protocol !== "https:" && !(issuer?.protocol === "http:" && local))
    fail(`--issuer must be an https URL\n\n${USAGE}`, UNUSABLE);
  if (!values[wants]) fail(`${action} needs --${wants}\n\n${USAGE}`, UNUSABLE);
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
    fail(`${values.issuer} cannot be asked: ${error.cause?.message ?? error.message}`);
  }
  const said = await answer.text();
  let body;
  try {
    body = JSON.parse(said);
  } catch {
    fail(`${values.issuer}/admin answered ${answer.status}, and no JSON: is it the issuer of a gateway?`);
  }
  if (!answer.ok)
    fail(`refused with ${answer.status}: ${body?.error_description ?? body?.error?.message ?? body?.error}`);
  printJson(body);
}
