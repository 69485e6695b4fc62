//! The landing page: the resources of this gateway, and how clients connect to them. An HTML page for browsers, JSON
//! for other clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::oauth::form::form_encoded;
use crate::oauth::scope::Scope;
use crate::page::{Page, escaped, scope_list};
use crate::resource::document::{MAX_AGE, metadata_url};
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::transport::head::{Fields, Method};

/// The state of the keys of a resource's issuers, in this isolate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// The isolate has them.
    Ready,
    /// No request has needed them yet.
    Unasked,
    /// The last attempt to fetch them failed.
    Unavailable,
}

impl KeyStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unasked => "not asked for yet",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The state of a resource's origin server, as this isolate knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerStatus {
    /// This isolate has not sent it a request yet.
    #[default]
    Uncalled,
    /// It answered the last request.
    Answering,
    /// For the last request it could not be reached, or did not answer in time.
    Silent,
}

impl ServerStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Uncalled => "not called yet",
            Self::Answering => "answering",
            Self::Silent => "not answering",
        }
    }
}

/// Returns the state of a resource's keys and of its origin server.
pub type Status<'a> = &'a dyn Fn(&Resource) -> (KeyStatus, ServerStatus);

/// The answer: status, fields and body. `wants_page` states whether the client accepts HTML.
#[must_use]
pub fn landing_page(
    settings: &Settings,
    method: Method,
    wants_page: bool,
    status: Status<'_>,
) -> (u16, Fields, String) {
    let mut fields = Fields::new();
    let body = if wants_page {
        html(settings, status).complete(&settings.operator, &mut fields)
    } else {
        fields.set("content-type", "application/json");
        fields.set("access-control-allow-origin", "*");
        document(settings, status).to_string()
    };
    fields.set("cache-control", if wants_page { "no-cache" } else { MAX_AGE });
    fields.set("vary", "accept");
    (200, fields, if method == Method::Head { String::new() } else { body })
}

fn document(settings: &Settings, status: Status<'_>) -> Value {
    let resources: Vec<Value> = settings
        .resources
        .iter()
        .map(|resource| {
            let (keys, server) = status(resource);
            json!({
                "resource": resource.identifier,
                "name": name(resource),
                "scopes": resource.advertised(&resource.scopes).iter().map(Scope::as_str).collect::<Vec<_>>(),
                "metadata": metadata_url(resource, &settings.public_url),
                "documentation": resource.documentation,
                "keys": keys.as_str(),
                "server": server.as_str(),
            })
        })
        .collect();
    json!({ "resources": resources })
}

fn name(resource: &Resource) -> &str {
    resource.name.as_deref().unwrap_or_else(|| resource.path.as_str())
}

/// A name for the resource in a client's configuration, of letters, digits and `-`: from the name of the resource, or
/// from its host and path if that name is empty or not unique.
fn handle(resource: &Resource, settings: &Settings) -> String {
    let called = |resource: &Resource| resource.name.as_deref().map(plain).filter(|plain| !plain.is_empty());
    let place = plain(&format!("{}{}", settings.public_url.authority(), resource.path));
    let same = |name: &String| settings.resources.iter().filter(|other| called(other).as_ref() == Some(name)).count();
    called(resource).filter(|name| same(name) == 1).unwrap_or(place)
}

fn plain(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn html(settings: &Settings, status: Status<'_>) -> Page {
    let host = settings.public_url.authority().to_string();
    let sections: String =
        settings.resources.iter().map(|resource| section(resource, settings, status(resource))).collect();
    let own = settings.own_issuer.as_ref().map_or_else(String::new, |server| {
        format!(
            "<p><a href=\"{}\">Your connected applications</a>: see what they may do, and revoke it.</p>",
            escaped(&server.url("/grants"))
        )
    });
    let logins = if settings.resources.iter().any(|resource| metadata_url(resource, &settings.public_url).is_some()) {
        " Your application opens the login page by itself."
    } else {
        ""
    };
    let content = format!(
        "<h1>MCP servers at {}</h1>\n<p class=\"note\">Connect an application, such as an assistant or an editor, to a server.\
         {logins}</p>\n{sections}\n{own}",
        escaped(&host)
    );
    Page::new(format!("MCP servers at {host}"), content).with_copy_buttons()
}

fn section(resource: &Resource, settings: &Settings, status: (KeyStatus, ServerStatus)) -> String {
    let (url, handle) = (&resource.identifier, handle(resource, settings));
    let scopes = resource.advertised(&resource.scopes);
    let descriptions = settings.own_issuer.as_ref().map(|own| &own.scope_descriptions);
    let scopes = scope_list(scopes.iter().map(Scope::as_str).map(|name| {
        let description = descriptions.and_then(|all| all.get(name));
        (name, description.map(String::as_str))
    }));
    let documentation = resource.documentation.as_ref().map_or_else(String::new, |page| {
        format!("<p><a href=\"{}\" rel=\"noreferrer\">Documentation</a></p>", escaped(page))
    });
    // If there is no login, clients have to be configured with a credential.
    let has_login = metadata_url(resource, &settings.public_url).is_some();
    let scopes = match has_login {
        _ if scopes.is_empty() => scopes,
        true => format!("<p>Your application asks you to allow:</p>{scopes}"),
        false => format!("<p>Your credential needs:</p>{scopes}"),
    };
    let entry = |mut entry: Value| {
        if let (false, Some(entry)) = (has_login, entry.as_object_mut()) {
            entry.insert("headers".to_owned(), json!({ "Authorization": CREDENTIAL }));
        }
        entry
    };
    let code = entry(json!({ "name": handle, "type": "http", "url": url })).to_string();
    let cursor = STANDARD.encode(entry(json!({ "url": url })).to_string());
    let settings = json!({ "mcpServers": { handle.as_str(): entry(json!({ "type": "http", "url": url })) } });
    let settings = serde_json::to_string_pretty(&settings).unwrap_or_default();
    let (login, connector, header) = if has_login {
        let connector = "<h3>Claude, ChatGPT</h3><p>Add a custom connector with the URL above.</p>";
        (String::new(), connector, String::new())
    } else {
        let login = format!(
            "<p>There is no login here: replace CREDENTIAL with the credential that the operator of this server gave \
             you. Clients send it as <code>Authorization: {CREDENTIAL}</code>.</p>"
        );
        (login, "", format!(" --header \"Authorization: {CREDENTIAL}\""))
    };
    let command = |what: &str, text: &str| format!("<pre data-copy=\"{what}\"><code>{}</code></pre>", escaped(text));
    let query = |text: &str| form_encoded(text).replace('+', "%20");
    format!(
        "<article><h2>{}</h2>\n{}{}{login}{scopes}{documentation}\
         <h3>Claude Code</h3>{}{connector}\
         <h3>VS Code, Cursor</h3><p class=\"row\"><a class=\"button\" href=\"vscode:mcp/install?{}\">Add to VS Code</a>\
         <a class=\"button\" href=\"cursor://anysphere.cursor-deeplink/mcp/install?name={}&amp;config={}\">Add to Cursor</a></p>\
         <h3>Any client with a configuration file</h3>{}<h3>A client for local servers only</h3>{}</article>\n",
        escaped(name(resource)),
        words(status, has_login),
        command("the URL", url),
        command("the command for Claude Code", &format!("claude mcp add --transport http {handle} {url}{header}")),
        escaped(&query(&code)),
        escaped(&query(&handle)),
        escaped(&query(&cursor)),
        command("the configuration", &settings),
        command("the command for local clients", &format!("npx mcp-remote {url}{header}")),
    )
}

/// What clients send if there is no login.
const CREDENTIAL: &str = "Bearer CREDENTIAL";

/// What a user should know of the state of a resource.
fn words((keys, server): (KeyStatus, ServerStatus), has_login: bool) -> &'static str {
    match (keys, server) {
        (KeyStatus::Unavailable, _) if has_login => {
            "<p class=\"warn\">Logins do not work at the moment. Please try again in a few minutes.</p>"
        }
        (_, ServerStatus::Silent) => {
            "<p class=\"warn\">This server does not answer at the moment. Please try again in a few minutes.</p>"
        }
        (_, ServerStatus::Answering) => "<p class=\"note\">This server is available.</p>",
        _ => "",
    }
}
