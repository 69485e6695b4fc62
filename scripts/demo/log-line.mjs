// The gateway's log in a readable form: one line for each event.
import { styleText } from "node:util";

const paint = (style, text) => styleText(style, text, { stream: process.stdout });

const clock = (time) => new Date(time).toTimeString().slice(0, 8);

// Generated ids are long; their first characters are enough to distinguish them.
const brief = (id) => (id.length > 12 ? `${id.slice(0, 8)}…` : id);

// The log contains text that callers send; it must not control the terminal.
const plain = (text) => String(text).replace(/[\p{Cc}\p{Cf}]/gu, "?");

const caller = ({ issuer, client, subject }) =>
  subject && `${brief(client ?? "?")} for ${brief(subject)} of ${issuer}`;

const dim = (parts) => paint("dim", parts.filter(Boolean).map(plain).join(" · "));

function request(event) {
  const { method, mcp_method, mcp_name, decision, reason, detail, status } = event;
  const verdict = decision === "allow" ? paint("green", "allow") : paint("red", "deny ");
  const what = [method, event.resource ?? event.path, mcp_method, mcp_name].filter(Boolean).join(" ");
  const why = decision === "allow" && reason === "forwarded" ? undefined : reason;
  return `${verdict} ${status}  ${plain(what)}  ${dim([caller(event), why, detail, `${event.duration_ms} ms`])}`;
}

const VERDICTS = { allow: "green", deny: "red", step_up: "yellow" };

/** A decision of the rules: verdict, MCP method, name and resource, the rule that decided, and the caller. */
function decision(event) {
  const { verdict, rule, enforced, missing, would, would_rule, mcp_method, name, resource } = event;
  const what = [mcp_method, name, "at", resource].filter(Boolean).join(" ");
  const rest = dim([
    `by ${rule}`,
    missing && `missing ${missing}`,
    enforced === false && "not enforced",
    would && `${would_rule} (observed) would decide ${would}`,
    caller(event),
  ]);
  // As wide as the verdict and the status of a request.
  return `${paint(VERDICTS[verdict] ?? "dim", plain(verdict).padEnd(9))}  ${plain(what)}  ${rest}`;
}

function gateway({ level, reason, detail }) {
  const style = level === "error" ? "red" : level === "warn" ? "yellow" : "dim";
  return paint(style, `${level}  ${reason}: ${plain(detail)}`);
}

const FORMATS = { request, decision, gateway };

/** The line for an event. */
export function logLine(event) {
  return `${paint("dim", clock(event.time))}  ${(FORMATS[event.event] ?? gateway)(event)}`;
}
