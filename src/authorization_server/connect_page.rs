//! The pages on which a user connects an account at an origin server's authorization server, and sees what is connected.

use crate::authorization_server::page::scopes;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::connection::Connection;
use crate::page::{Page, escaped};
use crate::settings::resource::Resource;
use crate::time::UnixMillis;

/// The name of a resource as its pages show it, and its identifier.
fn titles(resource: &Resource) -> (String, String) {
    let identifier = escaped(&resource.identifier);
    match resource.name.as_deref().map(escaped) {
        Some(name) => (name.clone(), format!("{name}<br><code>{identifier}</code>")),
        None => (identifier.clone(), format!("<code>{identifier}</code>")),
    }
}

/// The question whether the user wants to connect the account.
#[must_use]
pub fn question(
    server: &AuthorizationServer,
    resource: &Resource,
    (subject, (account, host), scope): (&str, (&str, &str), &str),
    sealed: &str,
) -> Page {
    let (title, shown) = titles(resource);
    let (account, host, subject) = (escaped(account), escaped(host), escaped(subject));
    let list = scopes(server, scope.split(' ').filter(|name| !name.is_empty()));
    let list = if list.is_empty() { list } else { format!("<dt>It asks for</dt><dd>{list}</dd>") };
    let content = format!(
        "<h1>Connect your account for {title}?</h1>\n\
         <p>An application wants to use this server in your name. For that, the gateway needs access to your account there.</p>\n\
         <dl><dt>Server</dt><dd>{shown}</dd><dt>Account at</dt><dd><strong>{account}</strong></dd>{list}\
         <dt>Connected to</dt><dd>you, <code>{subject}</code></dd></dl>\n\
         <form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"link\" value=\"{}\">\n\
         <p class=\"row\"><button class=\"main\" name=\"decision\" value=\"connect\">Continue at {host}</button>\n\
         <button name=\"decision\" value=\"cancel\">Cancel</button></p>\n</form>\n\
         <p class=\"note\">Continue only if you asked for this a moment ago. Every application that you allow to use this server here \
         acts there with this account. <a href=\"{}\">Your connected applications and accounts</a>: disconnect it there.</p>",
        escaped(&server.url("/connect")),
        escaped(sealed),
        escaped(&server.url("/grants")),
    );
    Page::new("Connect your account", content)
}

/// What the user sees after connecting.
#[must_use]
pub fn connected(server: &AuthorizationServer, resource: &Resource, host: &str) -> Page {
    let (title, _) = titles(resource);
    let content = format!(
        "<h1>Connected</h1>\n<p>Your account at <strong>{}</strong> is connected for {title}. Go back to your application, and let it \
         try again.</p>\n<p class=\"note\"><a href=\"{}\">Your connected applications and accounts</a></p>",
        escaped(host),
        escaped(&server.url("/grants")),
    );
    Page::new("Connected", content)
}

/// The part of the page of grants that lists connected accounts; empty if there is none. `form` makes a form with one button for the
/// identifier of a resource.
#[must_use]
pub fn list(
    server: &AuthorizationServer,
    connections: &[(&Resource, Connection)],
    form: &dyn Fn(&str) -> String,
) -> String {
    if connections.is_empty() {
        return String::new();
    }
    let day = |second: u64| {
        let text = UnixMillis(second.saturating_mul(1000)).to_rfc3339();
        format!("<time>{}</time>", text.split('T').next().unwrap_or_default())
    };
    let entry = |(resource, connection): &(&Resource, Connection)| {
        let (title, shown) = titles(resource);
        let list = scopes(server, connection.scope.split(' ').filter(|name| !name.is_empty()));
        let list = if list.is_empty() { list } else { format!("<dt>It may</dt><dd>{list}</dd>") };
        format!(
            "<article><h3>{title}</h3>\n<dl><dt>Server</dt><dd>{shown}</dd><dt>Account at</dt><dd><code>{}</code></dd>{list}\
             <dt>Since</dt><dd>{}</dd><dt>Last used</dt><dd>{}</dd></dl>\n<div class=\"row\">{}</div></article>\n",
            escaped(&connection.issuer),
            day(connection.created),
            day(connection.used),
            form(&resource.identifier),
        )
    };
    let entries: String = connections.iter().map(entry).collect();
    format!(
        "<h2>Accounts that this gateway uses for you</h2>\n\
         <p class=\"note\">Your applications act with these accounts at the servers behind this gateway.</p>\n{entries}"
    )
}
