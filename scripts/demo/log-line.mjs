// The gateway's log in a readable form: one line for each event.
import { styleText } from "node:util";

const paint = (style, text) => styleText(style, text, { stream: process.stdout });

const clock = (time) => new Date(time).toTimeString().slice(0, 8);

// Generated ids are long; their first characters are enough to distinguish them.
const brief = (id) => (id.length > 12 ? `${id.slice(0, 8)}…` : id);

// The log contains text that callers send; it must not control the terminal.
const plain = (text) => String(text).replace(/[\p{Cc}\p{Cf}]/gu, "?");

function request(event) {
  const { method, mcp_method, mcp_name, issuer, client, subject, decision, reason, detail, status } = event;
  const verdict = decision === "allow" ? paint("green", "allow") : paint("red", "deny ");
  const what = [method, event.resource, mcp_method, mcp_name].filter(Boolean).join(" ");
  const who = subject && `${brief(client ?? "?")} for ${brief(subject)} of ${issuer}`;
  const why = decision === "allow" && reason === "forwarded" ? undefined : reason;
  const rest = [who, why, detail, `${event.duration_ms} ms`].filter(Boolean).map(plain).join(" · ");
  return `${verdict} ${status}  ${plain(what)}  ${paint("dim", rest)}`;
}

function gateway({ level, reason, detail }) {
  const style = level === "error" ? "red" : level === "warn" ? "yellow" : "dim";
  return paint(style, `${level}  ${reason}: ${plain(detail)}`);
}

/** The line for an event. */
export function logLine(event) {
  return `${paint("dim", clock(event.time))}  ${event.event === "request" ? request(event) : gateway(event)}`;
}
