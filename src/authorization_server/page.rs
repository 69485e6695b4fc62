//! Pages for people: made here whole, without script and without anything from elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::authorization_server::authorize::AuthorizationRequest;
use crate::authorization_server::state::subject::{Known, Listed};
use crate::config::AuthorizationServer;
use crate::oauth::scope::ScopeSet;
use crate::time::UnixMillis;
use crate::transport::head::Fields;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#17202a;--soft:#51606f;--line:#d5dbe1;--paper:#fff;--wash:#f3f5f7;--act:#0b57d0;--act-ink:#fff;--warn:#8a4b00;--warn-wash:#fff4e0}\
@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--soft:#a9b5c1;--line:#3a4653;--paper:#161c22;--wash:#0e1318;--act:#8ab4f8;--act-ink:#0b1a33;--warn:#ffcf8b;--warn-wash:#3a2a10}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--wash);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:34rem;margin:6vh auto;padding:2rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}\
@media(max-width:36rem){main{margin:0;border:0;border-radius:0;min-height:100vh;padding:1.25rem}}\
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem}h2{font-size:1rem;margin:1.5rem 0 .25rem}\
p{margin:.5rem 0}ul{margin:.5rem 0;padding-left:1.25rem}li{margin:.25rem 0}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1rem 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
.note{color:var(--soft);font-size:.9rem}.warn{background:var(--warn-wash);color:var(--warn);padding:.75rem 1rem;border-radius:.5rem}\
.row{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.5rem}\
button,.button{font:inherit;font-weight:600;padding:.6rem 1.4rem;border-radius:.5rem;border:1px solid var(--line);background:var(--paper);color:var(--ink);cursor:pointer;text-decoration:none}\
.main{background:var(--act);border-color:var(--act);color:var(--act-ink)}\
button:focus-visible,a:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
a{color:var(--act)}code{font-size:.9em;overflow-wrap:anywhere}\
article{border-top:1px solid var(--line);padding:1rem 0}article h2{margin-top:0}";

/// A text as it stands in HTML, in content and in quoted attributes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What turns the direction of a text around can make one name look like another.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            other => out.push(other),
        }
    }
    out
}

/// A page: its fields and its text.
#[must_use]
pub fn page(title: &str, content: &str) -> (Fields, String) {
    with_head(title, "", content)
}

fn with_head(title: &str, head: &str, content: &str) -> (Fields, String) {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let mut fields = Fields::new();
    fields.set("content-type", "text/html; charset=utf-8");
    fields.set("cache-control", "no-store");
    fields.set(
        "content-security-policy",
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    );
    fields.set("x-frame-options", "DENY");
    fields.set("cross-origin-opener-policy", "same-origin");
    // Not `no-referrer`: browsers would send `Origin: null` with the forms.
    fields.set("referrer-policy", "same-origin");
    let title = escaped(title);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{head}<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n{content}\n</main>\n</body>\n</html>\n"
    );
    (fields, text)
}

/// What went wrong, in words for the user; and the way back to the application, where there is one.
#[must_use]
pub fn problem(title: &str, words: &str, back: Option<(&str, &str)>) -> (Fields, String) {
    let back = back.map_or_else(String::new, |(url, host)| {
        format!(
            "<p class=\"row\"><a class=\"button\" rel=\"noreferrer\" href=\"{}\">Back to {}</a></p>",
            escaped(url),
            escaped(host)
        )
    });
    page(title, &format!("<h1>{}</h1>\n<p>{}</p>\n{back}", escaped(title), escaped(words)))
}

/// Sends the user on. A redirect would be held to the policy of the page whose form led here, hop by hop, in some
/// browsers; this is not, and leaves no entry in the history.
#[must_use]
pub fn leave(url: &str, host: &str) -> (Fields, String) {
    let (target, host) = (escaped(url), escaped(host));
    let head = format!("<meta http-equiv=\"refresh\" content=\"0;url={target}\">\n");
    with_head(
        "One moment",
        &head,
        &format!(
            "<h1>One moment</h1>\n<p>You are on your way to <strong>{host}</strong>.</p>\n\
             <p class=\"row\"><a class=\"button main\" rel=\"noreferrer\" href=\"{target}\">Continue</a></p>"
        ),
    )
}

fn scope_items(server: &AuthorizationServer, scope: &ScopeSet) -> String {
    let item = |name: &str| match server.words.get(name) {
        Some(words) => format!("<li>{} <code>{}</code></li>", escaped(words), escaped(name)),
        None => format!("<li><code>{}</code></li>", escaped(name)),
    };
    scope.iter().map(|scope| item(scope.as_str())).collect()
}

/// What the consent page is about.
pub struct Consent<'a> {
    /// What is asked.
    pub request: &'a AuthorizationRequest,
    /// The host that vouches for the client.
    pub client_host: Option<&'a str>,
    /// The client's codes go nowhere but to this machine.
    pub loopback_only: bool,
    /// What is new; everything, where the user has approved nothing yet.
    pub new: Option<&'a ScopeSet>,
    /// The request, sealed.
    pub sealed: &'a str,
}

/// The consent page (P3, A6).
#[must_use]
pub fn consent(server: &AuthorizationServer, asked_for: &Consent<'_>) -> (Fields, String) {
    let request = asked_for.request;
    let asked = ScopeSet::of_text(&request.scope);
    let name = escaped(&request.client_name);
    let who = match asked_for.client_host {
        Some(host) => format!("<dt>Application</dt><dd>{name}, of <strong>{}</strong></dd>", escaped(host)),
        None => format!("<dt>Application</dt><dd>{name} <span class=\"note\">(it named itself so)</span></dd>"),
    };
    let what = match asked_for.new {
        Some(new) if !new.is_empty() => {
            let old: ScopeSet = asked.iter().filter(|scope| !new.iter().any(|it| it == *scope)).cloned().collect();
            let before = if old.is_empty() {
                String::new()
            } else {
                format!(
                    "<p class=\"note\">You allowed this before:</p>\n<ul class=\"note\">{}</ul>",
                    scope_items(server, &old)
                )
            };
            format!("<p>It asks for more than you allowed before:</p>\n<ul>{}</ul>\n{before}", scope_items(server, new))
        }
        _ if asked.is_empty() => "<p>It asks to use the server in your name.</p>".to_owned(),
        _ => format!("<p>It asks to do this in your name:</p>\n<ul>{}</ul>", scope_items(server, &asked)),
    };
    let warning = if request.is_local() {
        let everywhere = if asked_for.loopback_only { "an application" } else { "a part of it" };
        format!(
            "<p class=\"warn\" role=\"note\">The answer goes to {everywhere} on your own computer. Allow this only if you \
             started it yourself a moment ago: other programs there can pass for it.</p>"
        )
    } else {
        String::new()
    };
    let login = escaped(&server.login.host());
    let upstream = escaped(&server.login.scopes.join(" "));
    let content = format!(
        "<h1>Allow {name} to use this server?</h1>\n{what}\n<dl>{who}<dt>Server</dt><dd>{}</dd>\
         <dt>Sends you to</dt><dd><strong>{}</strong></dd></dl>\n{warning}\n\
         <p class=\"note\">Next you sign in at {login}, which tells this server who you are (<code>{upstream}</code>). \
         The application learns neither your password nor anything from there.</p>\n\
         <form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"request\" value=\"{}\">\n\
         <p class=\"row\"><button class=\"main\" name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>",
        escaped(&request.resource),
        escaped(&request.redirect_host()),
        escaped(&server.url("/consent")),
        escaped(asked_for.sealed),
    );
    page(&format!("Allow {}?", request.client_name), &content)
}

/// The page of a user's own grants.
#[must_use]
pub fn grants(server: &AuthorizationServer, subject: &str, known: &Known, sealed: &str) -> (Fields, String) {
    let form = |action: &str, value: &str, label: &str, kind: &str| {
        format!(
            "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"form\" value=\"{}\">\
             <input type=\"hidden\" name=\"client\" value=\"{}\">\
             <button class=\"{kind}\" name=\"action\" value=\"{action}\">{}</button></form>",
            escaped(&server.url("/grants")),
            escaped(sealed),
            escaped(value),
            escaped(label),
        )
    };
    let mut clients: Vec<&str> = known.grants.values().map(|grant| grant.client_id.as_str()).collect();
    clients.extend(known.approvals.iter().map(|(client, _)| client.as_str()));
    clients.sort_unstable();
    clients.dedup();
    let mut list = String::new();
    for client in clients {
        let grants: Vec<&Listed> = known.grants.values().filter(|grant| grant.client_id == client).collect();
        let name = grants.first().map_or(client, |grant| grant.client_name.as_str());
        let lines: String = grants
            .iter()
            .map(|grant| {
                format!(
                    "<dt>{}</dt><dd>{} at <code>{}</code></dd>",
                    day(grant.created),
                    if grant.scope.is_empty() {
                        String::new()
                    } else {
                        format!("<code>{}</code>", escaped(&grant.scope))
                    },
                    escaped(&grant.resource)
                )
            })
            .collect();
        let lines = if lines.is_empty() {
            "<p class=\"note\">Allowed before, and not in use.</p>".to_owned()
        } else {
            format!("<dl>{lines}</dl>")
        };
        list.push_str(&format!(
            "<article><h2>{}</h2>\n<p class=\"note\"><code>{}</code></p>\n{lines}\n{}</article>\n",
            escaped(name),
            escaped(client),
            form("withdraw", client, "Withdraw", ""),
        ));
    }
    if list.is_empty() {
        list.push_str("<p>No application can act in your name.</p>");
    } else {
        list.push_str(&format!(
            "<p class=\"note\">What is withdrawn ends at once, but for access tokens that are out already: they end within {} \
             minutes.</p>",
            server.access_token_seconds.div_ceil(60)
        ));
    }
    let content = format!(
        "<h1>Applications that can act in your name</h1>\n<p class=\"note\">You are <code>{}</code>.</p>\n{list}\n\
         <div class=\"row\">{}</div>",
        escaped(subject),
        form("sign_out", "", "Sign out", "")
    );
    page("Your applications", &content)
}

fn day(second: u64) -> String {
    UnixMillis(second.saturating_mul(1000)).to_rfc3339().split('T').next().unwrap_or_default().to_owned()
}
