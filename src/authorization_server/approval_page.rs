//! The pages on which a person approves calls: the question about one call, and the list of those that wait.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

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

/// Whether a character cannot be seen, or looks like another: such a character is shown by its number.
fn is_unclear(character: char) -> bool {
    let is_space = character.is_whitespace() && !matches!(character, ' ' | '\n');
    is_space
        || character != '\n' && character.is_control()
        || is_invisible(character)
        || matches!(
            character,
            '\u{180f}' | '\u{2800}' | '\u{13430}'..='\u{13455}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}'
        )
}

/// A text of a caller for HTML. The person decides about exactly this text, so what cannot be seen is shown by its number.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut plain = String::new();
    for character in text.chars() {
        if is_unclear(character) {
            out.push_str(&escaped(&std::mem::take(&mut plain)));
            out.push_str(&format!("<mark>U+{:04X}</mark>", u32::from(character)));
        } else {
            plain.push(character);
        }
    }
    out + &escaped(&plain)
}

/// The arguments of a call, each with its name and as it is forwarded: numbers as they are written.
fn arguments(text: &str) -> String {
    let members: Option<BTreeMap<String, &RawValue>> = strict_json::part(text);
    let Some(members) = members else { return format!("<pre>{}</pre>", visible(text)) };
    if members.is_empty() {
        return "<p>none</p>".to_owned();
    }
    let entry = |(name, value): (&String, &&RawValue)| {
        let (kind, shown) = match strict_json::part::<String>(value.get()).filter(|_| value.get().starts_with('"')) {
            Some(text) => (" <span class=\"note\">(text)</span>", text),
            None => ("", strict_json::in_order(value.get(), true).unwrap_or_else(|| value.get().to_owned())),
        };
        format!("<dt><code>{}</code>{kind}</dt><dd><pre>{}</pre></dd>", visible(name), visible(&shown))
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
        // A subject names a person only at its issuer.
        let whose = match call.issuer == self.server.own.identifier {
            true if call.subject == self.subject => " (you)".to_owned(),
            true => String::new(),
            false => format!("<br>of <code>{}</code>", visible(&call.issuer)),
        };
        let client = call
            .client
            .as_deref()
            .map_or_else(String::new, |it| format!("<br>with the application <code>{}</code>", visible(it)));
        format!("<code>{}</code>{whose}{client}", visible(&call.subject))
    }

    /// What the server gets besides the arguments, if it gets something.
    fn rest(call: &ShownCall) -> String {
        let target = Some(("below the path", &call.target)).filter(|(_, target)| !target.is_empty());
        let fields = call.fields.iter().map(|(name, value)| (name.as_str(), value));
        let all: Vec<String> = target
            .into_iter()
            .chain(fields)
            .map(|(name, value)| format!("<li>{}: <code>{}</code></li>", visible(name), visible(value)))
            .collect();
        if all.is_empty() { String::new() } else { format!("<dt>With it</dt><dd><ul>{}</ul></dd>", all.concat()) }
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
        format!("Rule <code>{}</code>: it has to be approved by {who}", escaped(&call.rule))
    }

    /// The question about a call.
    #[must_use]
    pub fn question(&self, (id, waiting, call): (&str, &Waiting, &ShownCall), sealed: &str) -> Page {
        let content = format!(
            "<h1>Approve this call of <code>{tool}</code>?</h1>\n\
             <p>An application wants to do this now. If you approve it, it is done once, with exactly these arguments.</p>\n\
             <dl><dt>Tool</dt><dd><code>{tool}</code></dd><dt>Server</dt><dd>{}</dd><dt>Asked by</dt><dd>{}</dd>\
             {}<dt>Policy</dt><dd>{}</dd><dt>Waits until</dt><dd>{}</dd></dl>\n\
             <h2>Arguments</h2>\n{}\n\
             <form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"form\" value=\"{}\">\n\
             <p><label for=\"reason\">Reason, if you deny it: the application reads it (optional)</label><br>\
             <textarea id=\"reason\" name=\"reason\" maxlength=\"{REASON_CHARS}\" autocomplete=\"off\"></textarea></p>\n\
             <p class=\"row arm\"><button class=\"main\" name=\"decision\" value=\"approve\">Approve</button>\n\
             <button class=\"bad\" name=\"decision\" value=\"deny\">Deny</button></p>\n</form>\n\
             <p class=\"note\">A model may have made this call because of a text that another party wrote. Approve it only if you want \
             exactly this. You are signed in as <code>{}</code>. <a href=\"{}\">All calls that wait for you</a></p>",
            self.resource(call),
            self.caller(call),
            Self::rest(call),
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
