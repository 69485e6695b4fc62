//! The pages of a user's connected applications: the list, and the question before something is revoked.

use std::collections::{BTreeMap, BTreeSet};

use crate::authorization_server::connect_page;
use crate::authorization_server::page::scopes;
use crate::authorization_server::settings::AuthorizationServer;
use crate::authorization_server::state::connection::Connection;
use crate::authorization_server::state::subject::{Listed, UserData};
use crate::page::{Page, escaped};
use crate::settings::Settings;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;

/// A grant: its id, its content, and the second at which its client last got a token, if that is known.
type GrantLine<'a> = (&'a str, &'a Listed, Option<u64>);

/// A client that is not known beforehand, under its unverified name, or one that is, under its client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'a> {
    Named(&'a str),
    Known(&'a str),
}

/// Which application a grant belongs to. A client that registers itself does so again on each machine, so each of its
/// installations has another client id. The configuration and metadata documents state the others.
fn identity<'a>(server: &AuthorizationServer, grant: &'a Listed) -> Identity<'a> {
    let id = &grant.client_id;
    if id.contains("://") || server.clients.iter().any(|client| client.id == *id) {
        Identity::Known(id)
    } else {
        Identity::Named(&grant.client_name)
    }
}

/// The grants of the same application as this client's.
fn same_application<'a>(
    server: &'a AuthorizationServer,
    known: &'a UserData,
    client: &str,
) -> Vec<(&'a String, &'a Listed)> {
    let own = known.grants.values().find(|grant| grant.client_id == client).map(|grant| identity(server, grant));
    known.grants.iter().filter(move |(_, grant)| Some(identity(server, grant)) == own).collect()
}

const ALL: &str = "It can no longer act in your name. To use it again, you have to log in and allow it again.";

/// What a user wants to revoke.
pub struct Revoked<'a> {
    /// The parameter that names it, and its value.
    parameter: (&'static str, &'a str),
    /// The name of the application.
    name: String,
    /// The grants to end.
    pub grants: Vec<(&'a String, &'a Listed)>,
    /// The clients whose approvals end, too.
    pub clients: BTreeSet<String>,
    /// The application has other grants, which stay.
    leaves_others: bool,
}

impl<'a> Revoked<'a> {
    /// One grant, or everything of the application that a client belongs to; `None` if the user has no such grant and no
    /// such approval. With the last grant of a client, its approval ends.
    #[must_use]
    pub fn of(
        server: &'a AuthorizationServer,
        known: &'a UserData,
        grant: Option<&'a str>,
        client: Option<&'a str>,
    ) -> Option<Self> {
        let (parameter, client) = match (grant, client) {
            (Some(id), _) => (("grant", id), known.grants.get(id)?.client_id.as_str()),
            (None, Some(client)) => (("client", client), client),
            (None, None) => return None,
        };
        let all = same_application(server, known, client);
        let is_of_client = |(_, listed): &&(&String, &Listed)| listed.client_id == client;
        let leaves_others = grant.is_some() && all.len() > 1;
        let (grants, clients) = if leaves_others {
            let is_last = all.iter().filter(is_of_client).count() == 1;
            let clients = is_last.then(|| client.to_owned()).into_iter().collect();
            (all.into_iter().filter(|(id, _)| Some(id.as_str()) == grant).collect(), clients)
        } else {
            let clients = all.iter().map(|(_, listed)| listed.client_id.clone()).chain([client.to_owned()]).collect();
            (all, clients)
        };
        let name = match grants.first() {
            Some((_, listed)) => &listed.client_name,
            None => known.approvals.iter().find(|(of, _)| of == client).map(|(_, approval)| &approval.redirect_uri)?,
        };
        Some(Self { parameter, name: name.clone(), grants, clients, leaves_others })
    }

    /// What was revoked, for the user.
    #[must_use]
    pub fn report(&self, server: &AuthorizationServer, ended: usize) -> String {
        let name = &self.name;
        let what = match (self.leaves_others, ended) {
            (_, 0) => return format!("{name} is forgotten. You are asked again before it gets access."),
            (true, _) => format!("One connection of {name} is revoked."),
            (false, 1) => format!("The access of {name} is revoked."),
            (false, _) => format!("All {ended} connections of {name} are revoked."),
        };
        let minutes = server.access_token_seconds.div_ceil(60);
        format!("{what} Access tokens that were already issued expire within {minutes} minutes.")
    }
}

/// What the pages are made of.
pub struct GrantsPage<'a> {
    /// The authorization server.
    pub server: &'a AuthorizationServer,
    /// The settings, for the names of resources.
    pub settings: &'a Settings,
    /// The user.
    pub subject: &'a str,
    /// The proof that a form is of this page, sealed.
    pub sealed: &'a str,
}

impl GrantsPage<'_> {
    /// A form with one button.
    fn form(&self, (name, value): (&str, &str), action: &str, (class, label): (&str, &str)) -> String {
        format!(
            "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"form\" value=\"{}\">\
             <input type=\"hidden\" name=\"{name}\" value=\"{}\">\
             <button class=\"{class}\" name=\"action\" value=\"{action}\">{}</button></form>",
            escaped(&self.server.url("/grants")),
            escaped(self.sealed),
            escaped(value),
            escaped(label),
        )
    }

    /// The list. `used` has the second of the last token by grant, and `done` is what the user has just revoked.
    #[must_use]
    pub fn list(
        &self,
        known: &UserData,
        used: &BTreeMap<String, u64>,
        connections: &[(&Resource, Connection)],
        done: &str,
    ) -> Page {
        let mut applications: BTreeMap<Identity<'_>, Vec<GrantLine<'_>>> = BTreeMap::new();
        for (id, grant) in &known.grants {
            let line = (id.as_str(), grant, used.get(id).copied());
            applications.entry(identity(self.server, grant)).or_default().push(line);
        }
        let mut list: String = applications.values().map(|grants| self.application(grants)).collect();
        let has_access = |client: &str| known.grants.values().any(|grant| grant.client_id == client);
        let mut idle: Vec<(&str, &str)> = known
            .approvals
            .iter()
            .filter(|(client, _)| !has_access(client))
            .map(|(client, approval)| (client.as_str(), approval.redirect_uri.as_str()))
            .collect();
        idle.dedup_by_key(|(client, _)| *client);
        for (client, redirect_uri) in idle {
            list.push_str(&format!(
                "<article><h2><code>{}</code></h2>\n<p class=\"note\">You allowed this application before (<code>{}</code>). It has no \
                 access now.</p>\n{}</article>\n",
                escaped(redirect_uri),
                escaped(client),
                self.form(("client", client), "confirm", ("bad", "Forget")),
            ));
        }
        if list.is_empty() {
            list.push_str("<p>No application can act in your name.</p>");
        }
        let done = if done.is_empty() {
            String::new()
        } else {
            format!("<p class=\"done\" role=\"status\">{}</p>\n", escaped(done))
        };
        let content = format!(
            "{done}<h1>Applications that can act in your name</h1>\n\
             <p class=\"note\">You are signed in as <code>{}</code>.</p>\n{list}\n{}<div class=\"row\">{}</div>",
            escaped(self.subject),
            connect_page::list(self.server, connections, &|resource| {
                self.form(("resource", resource), "disconnect", ("bad", "Disconnect"))
            }),
            self.form(("client", ""), "sign_out", ("", "Sign out")),
        );
        Page::new("Your applications", content)
    }

    /// What grants allow: once for all of the same scopes at the same server.
    fn rows(&self, grants: &[GrantLine<'_>]) -> (usize, String) {
        let mut rows: BTreeMap<(&str, &str), Vec<&GrantLine<'_>>> = BTreeMap::new();
        for line in grants {
            rows.entry((line.1.resource.as_str(), line.1.scope.as_str())).or_default().push(line);
        }
        let row = |((resource, scope), lines): (&(&str, &str), &Vec<&GrantLine<'_>>)| {
            let since = lines.iter().map(|(_, grant, _)| grant.created).min().unwrap_or_default();
            let used = lines.iter().filter_map(|(_, _, used)| *used).max();
            let used = used.map_or_else(String::new, |used| format!("<dt>Last used</dt><dd>{}</dd>", day(used)));
            let scopes = scopes(self.server, scope.split(' ').filter(|name| !name.is_empty()));
            let scopes = if scopes.is_empty() { scopes } else { format!("<dt>It may</dt><dd>{scopes}</dd>") };
            let resource = self.resource(resource);
            format!("<dl><dt>Server</dt><dd>{resource}</dd>{scopes}<dt>Since</dt><dd>{}</dd>{used}</dl>", day(since))
        };
        (rows.len(), rows.iter().map(row).collect())
    }

    /// An application: what it may do, and each of its connections.
    fn application(&self, grants: &[GrantLine<'_>]) -> String {
        let Some((first_id, first, _)) = grants.first() else { return String::new() };
        let (count_of_rows, rows) = self.rows(grants);
        let several = grants.len() > 1;
        let id = format!("<code>{}</code>", escaped(&first.client_id));
        let verified = match identity(self.server, first) {
            Identity::Known(_) => id,
            Identity::Named(_) if several => "This name is not verified.".to_owned(),
            Identity::Named(_) => format!("This name is not verified. {id}"),
        };
        let actions = if several {
            let connection = |(id, grant, used): &GrantLine<'_>| {
                let used = used.map_or_else(String::new, |used| format!(", last used {}", day(used)));
                let place = if count_of_rows > 1 {
                    format!("<br><code>{}</code> {}", escaped(&grant.resource), escaped(&grant.scope))
                } else {
                    String::new()
                };
                format!(
                    "<li>Since {}{used}<br><code>{}</code>{place}{}</li>",
                    day(grant.created),
                    escaped(&grant.client_id),
                    self.form(("grant", id), "confirm", ("bad small", "Revoke this connection")),
                )
            };
            let (count, lines) = (grants.len(), grants.iter().map(connection).collect::<String>());
            let all = format!("Revoke all {count} connections");
            format!(
                "<details><summary>{count} connections</summary><ul>{lines}</ul></details>\n<div class=\"row\">{}</div>",
                self.form(("client", &first.client_id), "confirm", ("bad", &all)),
            )
        } else {
            format!("<div class=\"row\">{}</div>", self.form(("grant", first_id), "confirm", ("bad", "Revoke")))
        };
        format!(
            "<article><h2>{}</h2>\n<p class=\"note\">{verified}</p>\n{rows}\n{actions}</article>\n",
            escaped(&first.client_name),
        )
    }

    /// The question before something is revoked: a grant, or everything of an application.
    #[must_use]
    pub fn question(&self, revoked: &Revoked<'_>) -> Page {
        let (name, count) = (&revoked.name, revoked.grants.len());
        let (title, label, effect) = match (revoked.leaves_others, count) {
            (_, 0) => (format!("Forget {name}?"), "Forget", "You are asked again before it gets access."),
            (true, _) => (
                format!("Revoke one connection of {name}?"),
                "Revoke",
                "This connection can no longer act in your name. Other connections of the application keep their access.",
            ),
            (false, 1) => (format!("Revoke the access of {name}?"), "Revoke", ALL),
            (false, _) => (format!("Revoke all {count} connections of {name}?"), "Revoke", ALL),
        };
        let lines: Vec<GrantLine<'_>> = revoked.grants.iter().map(|(id, grant)| (id.as_str(), *grant, None)).collect();
        let content = format!(
            "<h1>{}</h1>\n{}\n<p>{effect}</p>\n<div class=\"row\">{}<a class=\"button\" href=\"{}\">Cancel</a></div>",
            escaped(&title),
            self.rows(&lines).1,
            self.form(revoked.parameter, "withdraw", ("main bad", label)),
            escaped(&self.server.url("/grants")),
        );
        Page::new(title, content)
    }

    /// The name and the identifier of a resource.
    fn resource(&self, identifier: &str) -> String {
        let named = self.settings.resources.iter().find(|it| it.identifier == identifier);
        let name = named.and_then(|it| it.name.as_deref()).map_or_else(String::new, |it| escaped(it) + "<br>");
        format!("{name}<code>{}</code>", escaped(identifier))
    }
}

fn day(second: u64) -> String {
    let day = UnixMillis(second.saturating_mul(1000)).to_rfc3339();
    format!("<time>{}</time>", day.split('T').next().unwrap_or_default())
}
