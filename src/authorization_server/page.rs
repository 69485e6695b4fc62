//! The pages of the authorization server: consent, errors, and the way to another site.

use std::borrow::Cow;

use crate::authorization_server::authorize::AuthorizationRequest;
use crate::authorization_server::settings::AuthorizationServer;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::page::{Page, escaped, scope_list};

/// A page that tells the user what went wrong, with a link back to the application if there is one.
#[must_use]
pub fn problem(title: &str, words: &str, back: Option<(&str, &str)>) -> Page {
    let back = back.map_or_else(String::new, |(url, host)| {
        format!(
            "<p class=\"row\"><a class=\"button\" rel=\"noreferrer\" href=\"{}\">Back to {}</a></p>",
            escaped(url),
            escaped(host)
        )
    });
    Page::new(title, format!("<h1>{}</h1>\n<p>{}</p>\n{back}", escaped(title), escaped(words)))
}

/// A page that sends the user on. It is not a redirect, because some browsers apply `form-action` of the page with the
/// form to each redirect that follows the form. It also leaves no entry in the browser's history.
#[must_use]
pub fn leave(url: &str, host: &str) -> Page {
    let (target, host) = (escaped(url), escaped(host));
    let head = format!("<meta http-equiv=\"refresh\" content=\"0;url={target}\">\n");
    let content = format!(
        "<h1>One moment</h1>\n<p>You will be sent to <strong>{host}</strong>.</p>\n\
         <p class=\"row\"><a class=\"button main\" rel=\"noreferrer\" href=\"{target}\">Continue</a></p>"
    );
    Page::new("One moment", content).with_head(head)
}

/// Scopes for the user, each with its description: that of the configuration, or the meaning that OpenID Connect and known
/// providers give it.
pub(super) fn scopes<'a>(server: &'a AuthorizationServer, names: impl Iterator<Item = &'a str>) -> String {
    let described = |name| server.own.scope_descriptions.get(name).map(String::as_str).or_else(|| meaning(name));
    scope_list(names.map(|name| (name, described(name))))
}

fn meaning(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "openid" => "Know who you are",
        "profile" | "read:user" => "See your name and profile",
        "email" | "user:email" => "See your email address",
        "groups" => "See your groups",
        "read:org" => "See your organizations",
        OFFLINE => "Keep the access while you are away",
        _ => return None,
    })
}

/// The scope of refresh tokens (OpenID Connect Core §11).
const OFFLINE: &str = "offline_access";

/// The page on which a user enters the code that a device shows. `hint` is passed on: where the user signs in.
#[must_use]
pub fn device_code(server: &AuthorizationServer, code: &str, hints: &[(&str, &str)], problem: Option<&str>) -> Page {
    let hint = hidden(hints);
    let (problem, described) = problem.map_or_else(Default::default, |problem| {
        let text = format!("<p class=\"warn\" id=\"problem\" role=\"alert\">{}</p>\n", escaped(problem));
        (text, " aria-describedby=\"problem\" aria-invalid=\"true\"")
    });
    let content = format!(
        "<h1>Connect a device</h1>\n<p>Enter the code that the device or application shows. Do this only if you started it \
         yourself: never enter a code that someone sent you.</p>\n{problem}\
         <form method=\"post\" action=\"{}\">\n{hint}<p><label for=\"code\">Code</label><br>\
         <input id=\"code\" name=\"user_code\" type=\"text\" value=\"{}\" autocomplete=\"off\" autocapitalize=\"characters\" \
         spellcheck=\"false\" maxlength=\"20\" required{described}></p>\n\
         <p class=\"row\"><button class=\"main\">Continue</button></p>\n</form>",
        escaped(&server.url("/device")),
        escaped(code),
    );
    Page::new("Connect a device", content)
}

/// The page after a user has connected a device.
#[must_use]
pub fn device_done() -> Page {
    let text = "The device has access now. You can close this page and go back to it.";
    Page::new("Connected", format!("<h1>Connected</h1>\n<p class=\"done\" role=\"status\">{text}</p>"))
}

/// What a user decides about a device.
pub struct DeviceConsent<'a> {
    /// The request.
    pub request: &'a AuthorizationRequest,
    /// The name of the resource, if it has one.
    pub resource_name: Option<&'a str>,
    /// The host that vouches for the client, if there is one.
    pub client_host: Option<&'a str>,
    /// The code that the device shows.
    pub code: &'a str,
    /// The network from which it asks; empty if that is not known.
    pub network: &'a str,
    /// The country from which it asks.
    pub country: Option<&'a str>,
    /// How many minutes ago it asked.
    pub minutes: u64,
    /// The request, sealed.
    pub sealed: &'a str,
}

/// The page on which a user decides about a device (RFC 8628 §3.3, §5.4).
#[must_use]
pub fn device_consent(server: &AuthorizationServer, asked_for: &DeviceConsent<'_>) -> Page {
    let request = asked_for.request;
    let name = escaped(&request.client_name);
    let who = match asked_for.client_host {
        Some(host) => format!("{name}, of <strong>{}</strong>", escaped(host)),
        None => format!("{name} <span class=\"note\">(this name is not verified)</span>"),
    };
    let place = match (asked_for.network, asked_for.country) {
        ("", None) => "not known".to_owned(),
        ("", Some(country)) => format!("country {}", escaped(country)),
        (network, None) => escaped(network),
        (network, Some(country)) => format!("{}, country {}", escaped(network), escaped(country)),
    };
    let when = match asked_for.minutes {
        0 => "less than a minute ago".to_owned(),
        1 => "a minute ago".to_owned(),
        minutes => format!("{minutes} minutes ago"),
    };
    let resource = escaped(asked_for.resource_name.unwrap_or(&request.resource));
    let of = server.login_named(request.login.as_deref()).unwrap_or(&server.login);
    let login = escaped(of.title.as_deref().unwrap_or(&of.host()));
    let asked = Consent {
        request,
        resource_name: asked_for.resource_name,
        client_host: asked_for.client_host,
        loopback_only: false,
        new: None,
        sealed: asked_for.sealed,
    };
    let content = format!(
        "<h1>Give a device access to {resource}?</h1>\n<p class=\"warn\" role=\"note\">Allow this only if the device is in front of you, \
         you started it yourself, and it shows exactly this code. If someone sent you the code or a link, deny: that person would get \
         your access.</p>\n<dl><dt>Code</dt><dd><strong>{}</strong></dd><dt>Application</dt><dd>{who}</dd>\
         <dt>Server</dt><dd><code>{}</code></dd><dt>Asked</dt><dd>{when}</dd><dt>From</dt><dd>{place}</dd></dl>\n{}\n\
         <form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"request\" value=\"{}\">\n\
         <p class=\"row\"><button class=\"main\" name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>\n\
         <p class=\"note\">If you allow it, you log in at {login} next.</p>",
        escaped(asked_for.code),
        escaped(&request.resource),
        wishes(server, &asked),
        escaped(&server.url("/consent")),
        escaped(asked_for.sealed),
    );
    Page::new("Give a device access?", content)
}

/// Hidden fields of a form.
fn hidden(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escaped(name), escaped(value))
    };
    fields.iter().map(field).collect()
}

/// The request for which a user chooses a login.
#[derive(Clone, Copy)]
pub struct FormOf<'a> {
    /// Where it goes.
    pub target: &'a str,
    /// Whether it is a POST.
    pub posts: bool,
    /// Its parameters, without hints.
    pub parameters: &'a [(&'a str, &'a str)],
}

/// How a login is chosen.
pub enum Way<'a> {
    /// By a link.
    Link(String),
    /// By a form with this `domain_hint`.
    Form(&'a str),
}

/// A login that the user may choose.
pub struct Choice<'a> {
    /// What it is called.
    pub title: Cow<'a, str>,
    /// The host at which users log in.
    pub host: String,
    /// How it is chosen.
    pub way: Way<'a>,
}

/// The page on which a user chooses where to sign in, `by_address` if an address may find the login. `unknown`: the address that finds
/// none.
#[must_use]
pub fn choose(form: &FormOf<'_>, choices: &[Choice<'_>], by_address: bool, unknown: Option<&str>) -> Page {
    let FormOf { target, posts, parameters } = *form;
    let item = |choice: &Choice<'_>| {
        let label = format!("{}<br><span class=\"note\">{}</span>", escaped(&choice.title), escaped(&choice.host));
        match &choice.way {
            Way::Link(url) => format!("<li><a class=\"button\" href=\"{}\">{label}</a></li>", escaped(url)),
            Way::Form(hint) => format!(
                "<li><form method=\"post\" action=\"{}\">\n{}<button class=\"button\">{label}</button></form></li>",
                escaped(target),
                hidden(parameters) + &hidden(&[("domain_hint", hint)])
            ),
        }
    };
    let items: String = choices.iter().map(item).collect();
    let by_address = by_address.then_some(parameters).map_or_else(String::new, |parameters| {
        let hidden = hidden(parameters);
        let method = if posts { "post" } else { "get" };
        let problem = unknown.map_or_else(String::new, |address| {
            format!(
                "<p class=\"warn\" id=\"unknown\" role=\"alert\">No organization here has the address <strong>{}</strong>. \
                 Check it, or choose below.</p>\n",
                escaped(address)
            )
        });
        let described = if unknown.is_some() { " aria-describedby=\"unknown\" aria-invalid=\"true\"" } else { "" };
        format!(
            "{problem}<form method=\"{method}\" action=\"{}\">\n{hidden}\
             <p><label for=\"address\">Your e-mail address at work</label><br>\
             <input id=\"address\" name=\"login_hint\" type=\"email\" autocomplete=\"email\" maxlength=\"255\" value=\"{}\" required{described}></p>\n\
             <p class=\"row\"><button class=\"main\">Continue</button></p>\n</form>\n<h2>Or choose</h2>\n",
            escaped(target),
            escaped(unknown.unwrap_or_default())
        )
    });
    let content = format!("<h1>Where do you sign in?</h1>\n{by_address}<ul class=\"choices\">{items}</ul>");
    Page::new("Where do you sign in?", content)
}

/// The content of the consent page.
pub struct Consent<'a> {
    /// The request that the user decides about.
    pub request: &'a AuthorizationRequest,
    /// The name of the resource, if it has one.
    pub resource_name: Option<&'a str>,
    /// The host that vouches for the client, if there is one.
    pub client_host: Option<&'a str>,
    /// All codes of the client stay on the user's machine.
    pub loopback_only: bool,
    /// The new scopes; `None` if the user has approved nothing yet.
    pub new: Option<&'a ScopeSet>,
    /// The request, sealed.
    pub sealed: &'a str,
}

/// What the application asks for.
fn wishes(server: &AuthorizationServer, asked_for: &Consent<'_>) -> String {
    let asked = ScopeSet::of_text(&asked_for.request.scope);
    let list = |scope: &ScopeSet| scopes(server, scope.iter().map(Scope::as_str));
    // Every client that may use refresh tokens gets one (A15), whether it asks for the scope or not.
    let offline = if asked_for.request.refreshes {
        format!(
            "<ul class=\"scopes\"><li>Keep this access while you are away, for up to {} days or until you revoke it<br>\
             <code>{OFFLINE}</code></li></ul>",
            server.grant_seconds.div_ceil(86_400)
        )
    } else {
        String::new()
    };
    match asked_for.new {
        Some(new) if !new.is_empty() => {
            let old: ScopeSet = asked.iter().filter(|scope| !new.iter().any(|it| it == *scope)).cloned().collect();
            let before = format!("{}{offline}", list(&old));
            let before = if before.is_empty() {
                before
            } else {
                format!("<p class=\"note\">You allowed this before:</p>\n<div class=\"note\">{before}</div>")
            };
            format!("<p>It asks for more than you allowed before:</p>\n{}\n{before}", list(new))
        }
        _ if asked.is_empty() => format!("<p>It asks to use the server in your name.</p>\n{offline}"),
        _ => format!("<p>It asks to do this in your name:</p>\n{}{offline}", list(&asked)),
    }
}

/// The consent page (P3, A6).
#[must_use]
pub fn consent(server: &AuthorizationServer, asked_for: &Consent<'_>) -> Page {
    let request = asked_for.request;
    let name = escaped(&request.client_name);
    let who = match asked_for.client_host {
        Some(host) => format!("<dt>Application</dt><dd>{name}, of <strong>{}</strong></dd>", escaped(host)),
        None => format!("<dt>Application</dt><dd>{name} <span class=\"note\">(this name is not verified)</span></dd>"),
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
    let of = server.login_named(request.login.as_deref()).unwrap_or(&server.login);
    let login = escaped(of.title.as_deref().unwrap_or(&of.host()));
    let resource = escaped(&request.resource);
    let (title, shown) = match asked_for.resource_name.map(escaped) {
        Some(named) => (named.clone(), format!("{named}<br><code>{resource}</code>")),
        None => (resource.clone(), format!("<code>{resource}</code>")),
    };
    let content = format!(
        "<h1>Allow {name} to use {title}?</h1>\n{}\n<dl>{who}<dt>Server</dt><dd>{shown}</dd>\
         <dt>Sends you to</dt><dd><strong>{}</strong></dd></dl>\n{warning}\n\
         <form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"request\" value=\"{}\">\n\
         <p class=\"row\"><button class=\"main\" name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>\n\
         <h2>Next, you log in at {login}</h2>\n\
         <p class=\"note\">Its page may list these scopes. They tell this server who you are, and are not for the application: it \
         gets neither your password nor any data from {login}.</p>\n<div class=\"note\">{}</div>\n\
         <p class=\"note\"><a href=\"{}\">Your connected applications</a>: revoke there what you allow here.</p>",
        wishes(server, asked_for),
        escaped(&request.redirect_host()),
        escaped(&server.url("/consent")),
        escaped(asked_for.sealed),
        scopes(server, of.scopes.iter().map(String::as_str)),
        escaped(&server.url("/grants")),
    );
    Page::new(format!("Allow {}?", request.client_name), content)
}
