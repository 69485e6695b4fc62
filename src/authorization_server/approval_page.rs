//! The pages on which a person approves calls: the question about one call, and the list of those that wait.

use serde_json::{Map, Value};

use crate::authorization_server::serve::pending_calls::ShownCall;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::pending_call::Waiting;
use crate::limits::REASON_CHARS;
use crate::page::{Page, escaped, is_invisible};
use crate::settings::Settings;
use crate::strict_json;
use crate::time::UnixMillis;

/// What the pages are made of.
pub struct ApprovalPage<'a> {
    /// The authorization server.
    pub server: &'a AuthorizationServer,
    /// The settings, for the names of resources.
    pub settings: &'a Settings,
    /// The approver.
    pub subject: &'a str,
}

/// A text of a caller for HTML. What is invisible or changes the direction of text is shown by its number, because the person decides
/// about exactly this text.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || !(is_invisible(character) || character.is_control()) {
            out.push(character);
        } else {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
        }
    }
    escaped(&out)
}

/// A value in readable form.
fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text),
        other => visible(&serde_json::to_string_pretty(other).unwrap_or_default()),
    }
}

/// The arguments of a call, each with its name. A number that some readers read differently is shown as it is written.
fn arguments(text: &str) -> String {
    let read = strict_json::parse(text.as_bytes()).ok().filter(|value| !strict_json::has_large_integer(value));
    match read {
        Some(Value::Object(members)) => named(&members),
        _ => format!("<pre>{}</pre>", visible(text)),
    }
}

fn named(members: &Map<String, Value>) -> String {
    if members.is_empty() {
        return "none".to_owned();
    }
    let entry = |(name, value): (&String, &Value)| {
        let kind = match value {
            Value::String(_) => " <span class=\"note\">(text)</span>",
            _ => "",
        };
        format!("<dt><code>{}</code>{kind}</dt><dd><pre>{}</pre></dd>", visible(name), readable(value))
    };
    format!("<dl class=\"arguments\">{}</dl>", members.iter().map(entry).collect::<String>())
}

fn time(second: u64) -> String {
    let text = UnixMillis(second.saturating_mul(1000)).to_rfc3339();
    let text = text.replace('T', " ");
    format!("<time>{} UTC</time>", text.split(['.', 'Z']).next().unwrap_or_default())
}

impl ApprovalPage<'_> {
    /// The name of a resource, its server and its identifier.
    fn resource(&self, call: &ShownCall) -> String {
        let named = self.settings.resources.iter().find(|it| it.identifier == call.resource);
        let name = named.and_then(|it| it.name.as_deref()).map_or_else(String::new, |it| escaped(it) + "<br>");
        let server = call.server.as_deref().map_or_else(String::new, |it| format!("<br>server {}", escaped(it)));
        format!("{name}<code>{}</code>{server}", escaped(&call.resource))
    }

    fn caller(&self, call: &ShownCall) -> String {
        let own = if call.subject == self.subject && call.issuer == self.server.own.identifier { " (you)" } else { "" };
        let client = call
            .client
            .as_deref()
            .map_or_else(String::new, |it| format!("<br>with the application <code>{}</code>", visible(it)));
        format!("<code>{}</code>{own}{client}", visible(&call.subject))
    }

    /// What the rules say about the call.
    fn rule(call: &ShownCall, waiting: &Waiting) -> String {
        let groups: Vec<String> =
            waiting.groups.iter().map(|group| format!("<code>{}</code>", escaped(group))).collect();
        let who = match (waiting.caller.is_some(), groups.is_empty()) {
            (true, true) => "the caller, after a fresh login".to_owned(),
            (true, false) => format!("the caller, after a fresh login, or a member of {}", groups.join(" or ")),
            (false, _) => format!("a member of {}, and not the caller", groups.join(" or ")),
        };
        format!("Rule <code>{}</code>: it waits until {who} approves it", escaped(&call.rule))
    }

    /// The question about a call.
    #[must_use]
    pub fn question(&self, (id, waiting, call): (&str, &Waiting, &ShownCall), sealed: &str) -> Page {
        let content = format!(
            "<h1>Approve this call of <code>{tool}</code>?</h1>\n\
             <p>An application wants to do this now. If you approve it, it is done once, with exactly these arguments.</p>\n\
             <dl><dt>Tool</dt><dd><code>{tool}</code></dd><dt>Server</dt><dd>{}</dd><dt>Asked by</dt><dd>{}</dd>\
             <dt>Policy</dt><dd>{}</dd><dt>Waits until</dt><dd>{}</dd></dl>\n\
             <h2>Arguments</h2>\n{}\n\
             <form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"form\" value=\"{}\">\n\
             <p><label for=\"reason\">Reason, for the application (optional)</label><br>\
             <input id=\"reason\" name=\"reason\" maxlength=\"{REASON_CHARS}\" autocomplete=\"off\"></p>\n\
             <p class=\"row\"><button class=\"main\" name=\"decision\" value=\"approve\">Approve</button>\n\
             <button class=\"bad\" name=\"decision\" value=\"deny\">Deny</button></p>\n</form>\n\
             <p class=\"note\">A model may have made this call because of a text that somebody else wrote. Approve it only if you want \
             exactly this. You are signed in as <code>{}</code>. <a href=\"{}\">All calls that wait for you</a></p>",
            self.resource(call),
            self.caller(call),
            Self::rule(call, waiting),
            time(waiting.until),
            arguments(&call.arguments),
            escaped(&self.server.url(&format!("/approvals/{id}"))),
            escaped(sealed),
            visible(self.subject),
            escaped(&self.server.url("/approvals")),
            tool = visible(&call.tool),
        );
        Page::new(format!("Approve {}?", call.tool), content)
    }

    /// What the person sees after deciding.
    #[must_use]
    pub fn decided(&self, call: &ShownCall, approves: bool) -> Page {
        let tool = visible(&call.tool);
        let (title, words) = if approves {
            (
                "Approved",
                "The application can make the call now, once. Go back to it; if it does not go on by itself, let it try again.",
            )
        } else {
            ("Denied", "The call is not made. The application learns that, and your reason.")
        };
        let content = format!(
            "<h1>{title}: <code>{tool}</code></h1>\n<p>{words}</p>\n<p class=\"note\"><a href=\"{}\">All calls that wait for you</a></p>",
            escaped(&self.server.url("/approvals")),
        );
        Page::new(title, content)
    }

    /// The list of calls that wait for an approver.
    #[must_use]
    pub fn list(&self, calls: &[(String, Waiting, ShownCall)]) -> Page {
        let entry = |(id, waiting, call): &(String, Waiting, ShownCall)| {
            format!(
                "<article><h2><code>{tool}</code></h2>\n<dl><dt>Server</dt><dd>{}</dd><dt>Asked by</dt><dd>{}</dd>\
                 <dt>Since</dt><dd>{}</dd><dt>Waits until</dt><dd>{}</dd></dl>\n\
                 <div class=\"row\"><a class=\"button\" href=\"{}\">Decide about <code>{tool}</code></a></div></article>\n",
                self.resource(call),
                self.caller(call),
                time(waiting.created),
                time(waiting.until),
                escaped(&self.server.url(&format!("/approvals/{id}"))),
                tool = visible(&call.tool),
            )
        };
        let entries: String = if calls.is_empty() {
            "<p>No call waits for you.</p>".to_owned()
        } else {
            calls.iter().map(entry).collect()
        };
        let content = format!(
            "<h1>Calls that wait for your approval</h1>\n<p class=\"note\">You are signed in as <code>{}</code>.</p>\n{entries}",
            visible(self.subject),
        );
        Page::new("Calls that wait", content)
    }
}
