// `portcullis grants`: shows, ends and deletes a user's grants for an administrator, over the admin endpoint of the authorization
// server. The secret comes from the environment, because other users of the machine can see arguments.
import { CANNOT, readOptions, refuse } from "../lib/options.mjs";
import { fail, printJson, UNUSABLE } from "../lib/run.mjs";
import { LOCAL } from "./doctor/requests.mjs";

export const GRANTS = {
  name: "portcullis grants",
  about:
    "Shows, ends and deletes a user's grants and connected accounts, for an administrator of the authorization server.",
  operands: [
    {
      name: "ACTION",
      required: true,
      about:
        "show: prints everything that the gateway stores about a subject; end: ends one grant, whose access tokens expire within access_token_seconds; delete: ends all grants of a subject, disconnects the subject's accounts, deletes the approvals, and signs the subject out; disconnect: ends the subject's connection to the account of one resource (credential.per_user), and revokes its tokens",
    },
  ],
  options: {
    issuer: {
      value: "URL",
      required: true,
      about:
        "The issuer identifier: public_url, followed by the path of the authorization server if it has one",
    },
    subject: { value: "SUBJECT", about: "The subject", only: ["show", "delete", "disconnect"] },
    resource: {
      value: "URL",
      about: "The identifier of the resource, as show prints it",
      only: ["disconnect"],
    },
    grant: { value: "ID", about: "The grant", only: ["end"] },
    json: { about: "Prints errors as JSON too; results always are" },
  },
  notes: [
    "The environment variable PORTCULLIS_ADMIN_SECRET must have the value of the secret that authorization_server.admin_secret names.",
  ],
  statuses: { 0: "the gateway did it", 1: "the gateway refused, or cannot be reached", 2: CANNOT },
};

export async function grants(args) {
  const {
    values,
    operands: [action],
  } = readOptions(args, GRANTS);
  const wants = {
    show: ["subject"],
    end: ["grant"],
    delete: ["subject"],
    disconnect: ["subject", "resource"],
  }[action];
  if (wants === undefined)
    refuse(GRANTS, `ACTION must be show, end, delete or disconnect, got ${JSON.stringify(action)}`);
  const issuer = URL.parse(values.issuer);
  const local = LOCAL.test(issuer?.hostname ?? "");
  // The secret is sent to this URL.
  if (issuer?.protocol !== "https:" && !(issuer?.protocol === "http:" && local))
    refuse(
      GRANTS,
      `--issuer must be an https URL, or an http URL of this machine, got ${JSON.stringify(values.issuer)}`,
    );
  const missing = wants.find((name) => !values[name]);
  if (missing) refuse(GRANTS, `${action} requires --${missing}`);
  const secret = process.env.PORTCULLIS_ADMIN_SECRET;
  if (!secret) fail("the environment variable PORTCULLIS_ADMIN_SECRET is not set", UNUSABLE);

  let answer;
  try {
    answer = await fetch(`${values.issuer.replace(/\/$/, "")}/admin`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify({ action, ...Object.fromEntries(wants.map((name) => [name, values[name]])) }),
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
