//! The pages of the authorization server: consent, errors, and the user's own grants.

use crate::authorization_server::authorize::AuthorizationRequest;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::subject::{Listed, UserData};
use crate::oauth::scope::ScopeSet;
use crate::page::{escaped, page, with_head};
use crate::time::UnixMillis;
use crate::transport::head::Fields;

/// A page that tells the user what went wrong, with a link back to the application if there is one.
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

/// A page that sends the user on. It is not a redirect, because some browsers apply `form-action` of the page with the
/// form to each redirect that follows the form. It also leaves no entry in the browser's history.
#[must_use]
pub fn leave(url: &str, host: &str) -> (Fields, String) {
    let (target, host) = (escaped(url), escaped(host));
    let head = format!("<meta http-equiv=\"refresh\" content=\"0;url={target}\">\n");
    with_head(
        "One moment",
        &head,
        &format!(
            "<h1>One moment</h1>\n<p>You will be sent to <strong>{host}</strong>.</p>\n\
             <p class=\"row\"><a class=\"button main\" rel=\"noreferrer\" href=\"{target}\">Continue</a></p>"
        ),
    )
}

fn scope_items(server: &AuthorizationServer, scope: &ScopeSet) -> String {
    let item = |name: &str| match server.own.scope_descriptions.get(name) {
        Some(words) => format!("<li>{} <code>{}</code></li>", escaped(words), escaped(name)),
        None => format!("<li><code>{}</code></li>", escaped(name)),
    };
    scope.iter().map(|scope| item(scope.as_str())).collect()
}

/// The content of the consent page.
pub struct Consent<'a> {
    /// The request that the user decides about.
    pub request: &'a AuthorizationRequest,
    /// The host that vouches for the client, if there is one.
    pub client_host: Option<&'a str>,
    /// All codes of the client stay on the user's machine.
    pub loopback_only: bool,
    /// The new scopes; `None` if the user has approved nothing yet.
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
        None => format!("<dt>Application</dt><dd>{name} <span class=\"note\">(this name is not verified)</span></dd>"),
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
             started it yourself a moment ago: another program on this computer could pretend to be it.</p>"
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
         The application gets neither your password nor any data from {login}.</p>\n\
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
pub fn grants(server: &AuthorizationServer, subject: &str, known: &UserData, sealed: &str) -> (Fields, String) {
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
            "<p class=\"note\">You allowed this application before. It has no access now.</p>".to_owned()
        } else {
            format!("<dl>{lines}</dl>")
        };
        list.push_str(&format!(
            "<article><h2>{}</h2>\n<p class=\"note\"><code>{}</code></p>\n{lines}\n{}</article>\n",
            escaped(name),
            escaped(client),
            form("withdraw", client, "Revoke", ""),
        ));
    }
    if list.is_empty() {
        list.push_str("<p>No application can act in your name.</p>");
    } else {
        list.push_str(&format!(
            "<p class=\"note\">Revoking takes effect immediately. Access tokens that were already issued expire within {} \
             minutes.</p>",
            server.access_token_seconds.div_ceil(60)
        ));
    }
    let content = format!(
        "<h1>Applications that can act in your name</h1>\n<p class=\"note\">You are signed in as <code>{}</code>.</p>\n{list}\n\
         <div class=\"row\">{}</div>",
        escaped(subject),
        form("sign_out", "", "Sign out", "")
    );
    page("Your applications", &content)
}

fn day(second: u64) -> String {
    UnixMillis(second.saturating_mul(1000)).to_rfc3339().split('T').next().unwrap_or_default().to_owned()
}
