//! Reads several servers behind one resource.

use std::rc::Rc;

use base16ct::lower::encode_string as hex;
use sha2::{Digest as _, Sha256};

use crate::config::document::ResourceDocument;
use crate::config::federation_document::{EraName, ServerDocument, ViewName};
use crate::config::lock;
use crate::config::mistakes::Mistakes;
use crate::config::origin_credential::{self, OriginPart};
use crate::config::ranges;
use crate::config::resource::{ThisGateway, read_origin};
use crate::config::table::Table;
use crate::config::values::bounded;
use crate::limits::{ADVERTISED_NAME_BYTES, SERVER_NAME_BYTES, SERVERS};
use crate::mcp::era::Era;
use crate::mcp::kind::Kind;
use crate::mcp::tool_view::{CALL_FOUND_TOOL, SEARCH_TOOLS, View};
use crate::policy::pattern::{Pattern, fold};
use crate::policy::server_names::ServerNames;
use crate::settings::federation::{Federation, Server};
use crate::settings::resource::{OriginServer, Resource};
use crate::transport::url::HttpUrl;

/// Longest description of a tool in characters.
const DESCRIPTION_CHARS: usize = 1024;

/// Longest prefix in bytes.
const PREFIX_BYTES: usize = 40;

/// Reads where the requests of a resource go to: to its origin server, or to the first of several.
pub(super) fn first_origin(
    part: OriginPart<'_>,
    at: &str,
    development: bool,
    mistakes: &mut Mistakes,
) -> Option<(HttpUrl, Option<String>)> {
    let path = &part.resource.path;
    let Some(entries) = &part.resource.servers else {
        return read_origin(part.origin, part.service, path, at, development, mistakes);
    };
    if entries.is_empty() || entries.len() > SERVERS {
        mistakes.note(format_args!("{at}.servers"), format_args!("must have 1 to {SERVERS} entries"));
    }
    let first = entries.first()?;
    let at = format!("{at}.servers[0]");
    read_origin(first.origin.as_deref(), first.service.as_deref(), path, &at, development, mistakes)
}

/// Reads the servers of a resource, if it has several.
pub(super) fn read(
    document: &ResourceDocument,
    resource: &Resource,
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Option<Federation> {
    let Some(entries) = document.servers.as_ref() else {
        let of_servers = [
            ("view", document.view.is_some()),
            ("strict_servers", document.strict_servers.is_some()),
            ("list_timeout_seconds", document.list_timeout_seconds.is_some()),
        ];
        for (key, is_set) in of_servers {
            if is_set {
                mistakes.note(format_args!("{at}.{key}"), "is possible only with servers");
            }
        }
        return None;
    };
    let of_each = [
        ("origin", document.origin.is_some()),
        ("service", document.service.is_some()),
        ("credential", document.credential.is_some()),
        ("identity", document.identity.is_some()),
    ];
    for (key, _) in of_each.into_iter().filter(|(_, is_set)| *is_set) {
        mistakes.note(format_args!("{at}.{key}"), "must not be set beside servers: set it in each server");
    }
    if document.anonymous.as_ref().is_some_and(|methods| !methods.is_empty()) {
        mistakes.note(format_args!("{at}.anonymous"), "must be empty with servers");
    }
    if gateway.sessions.is_none() {
        mistakes.note(
            format_args!("{at}.servers"),
            "needs sessions: the cursors of merged lists are sealed with its secrets",
        );
    }
    let mut servers: Vec<Rc<Server>> = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let at = format!("{at}.servers[{number}]");
        let names = read_names(entry, &at, &servers, mistakes);
        let of_server = of_server(entry, (document, resource), number, &at, gateway, mistakes);
        if let (Some(names), Some(resource)) = (names, of_server) {
            let fingerprint = fingerprint(&names.server, &resource.origin);
            let era = entry.era.map(|era| match era {
                EraName::Modern => Era::Modern,
                EraName::Legacy => Era::Legacy,
            });
            servers.push(Rc::new(Server { names: Rc::new(names), fingerprint, resource: Rc::new(resource), era }));
        }
    }
    note_shared_names(&servers, at, mistakes);
    let hash = hash(&servers);
    let view = match document.view {
        None | Some(ViewName::All) => View::All,
        Some(ViewName::Names) => View::Names,
        Some(ViewName::Search) => View::Search,
    };
    if view == View::Search {
        note_names_of_view(&servers, at, mistakes);
    }
    let key = format!("{at}.list_timeout_seconds");
    let list_seconds = bounded(document.list_timeout_seconds, ranges::LIST_TIMEOUT, &key, mistakes);
    Some(Federation { servers, strict: document.strict_servers.unwrap_or(false), view, list_seconds, hash })
}

/// The place of a resource, by that of one of its servers.
fn at_resource(at: &str) -> &str {
    at.split_once(".servers").map_or(at, |(at, _)| at)
}

/// The resource as it is forwarded to one server.
fn of_server(
    entry: &ServerDocument,
    (document, resource): (&ResourceDocument, &Resource),
    number: usize,
    at: &str,
    gateway: ThisGateway<'_>,
    mistakes: &mut Mistakes,
) -> Option<Resource> {
    let part = OriginPart {
        origin: entry.origin.as_deref(),
        service: entry.service.as_deref(),
        credential: entry.credential.as_ref(),
        identity: entry.identity,
        resource: document,
    };
    if entry.credential.as_ref().is_some_and(|credential| credential.per_user.is_some()) {
        mistakes.note(format_args!("{at}.credential.per_user"), "is not possible for one of several servers");
        return None;
    }
    let credential = origin_credential::read(part, at, gateway, &resource.accepts, mistakes);
    // A list that was made for another caller is not for a caller that gets no credential.
    let is_for_all = credential.as_ref().is_none_or(|it| it.is_for_all());
    let cache_lists = document.cache_lists.unwrap_or(resource.policy.is_some() && is_for_all);
    let names_caller = origin_credential::names_caller(part, at, credential.as_deref(), mistakes);
    // The first one was read with the resource.
    let (url, service) = match number {
        0 => (resource.origin.url.clone(), resource.origin.service.clone()),
        _ => read_origin(part.origin, part.service, &document.path, at, gateway.development, mistakes)?,
    };
    Some(Resource {
        lock: lock::read(document, Some(&entry.name), at_resource(at), mistakes).map(Rc::new),
        // Beyond the indexes of all resources, so that what is remembered of one server is never taken for that of another.
        index: (resource.index + 1) * 1_000 + number,
        origin: OriginServer { url, service, ..resource.origin.clone() },
        federation: None,
        cache_lists,
        credential,
        names_caller,
        ..resource.clone()
    })
}

fn read_names(entry: &ServerDocument, at: &str, others: &[Rc<Server>], mistakes: &mut Mistakes) -> Option<ServerNames> {
    let before = mistakes.lines().len();
    let name = &entry.name;
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !begins || name.len() > SERVER_NAME_BYTES || !name.bytes().all(fits) {
        mistakes.note(
            format_args!("{at}.name"),
            format_args!("must be 1 to {SERVER_NAME_BYTES} lower-case letters, digits and -, beginning with a letter, got {name:?}"),
        );
    }
    if others.iter().any(|other| other.names.server == *name) {
        mistakes.note(format_args!("{at}.name"), format_args!("is there twice: {name:?}"));
    }
    let prefix = entry.prefix.clone().unwrap_or_else(|| format!("{name}_"));
    if prefix.is_empty() || prefix.len() > PREFIX_BYTES || !prefix.bytes().all(is_of_name) {
        mistakes.note(
            format_args!("{at}.prefix"),
            format_args!("must be 1 to {PREFIX_BYTES} characters of A-Z a-z 0-9 _ - . /, got {prefix:?}"),
        );
    }
    let aliases = read_aliases(entry.aliases.as_ref(), &format!("{at}.aliases"), mistakes);
    let prompt_aliases = read_aliases(entry.prompt_aliases.as_ref(), &format!("{at}.prompt_aliases"), mistakes);
    let descriptions = read_descriptions(entry.descriptions.as_ref(), &format!("{at}.descriptions"), mistakes);
    let kept_uris = entry.keep_uris.clone().unwrap_or_default();
    for (number, begin) in kept_uris.iter().enumerate() {
        if !is_begin_of_uri(begin) {
            mistakes.note(
                format_args!("{at}.keep_uris[{number}]"),
                format_args!("must begin with a scheme in lower case and \":\", not with \"ui:\", got {begin:?}"),
            );
        }
    }
    let mut hidden = Vec::new();
    for (number, pattern) in entry.hidden.iter().flatten().enumerate() {
        match Pattern::parse(pattern) {
            Ok(pattern) => hidden.push(pattern),
            Err(error) => mistakes.note(format_args!("{at}.hidden[{number}]"), error),
        }
    }
    (mistakes.lines().len() == before).then(|| ServerNames {
        server: name.clone(),
        prefix,
        aliases,
        prompt_aliases,
        descriptions,
        kept_uris,
        hidden,
    })
}

fn read_aliases(table: Option<&Table<String>>, at: &str, mistakes: &mut Mistakes) -> Vec<(String, String)> {
    let mut aliases = Vec::new();
    for (original, alias) in table.iter().flat_map(|table| table.iter()) {
        if alias.is_empty() || alias.len() > ADVERTISED_NAME_BYTES || !alias.bytes().all(is_of_name) {
            mistakes.note(
                format_args!("{at}.{original}"),
                format_args!(
                    "must be 1 to {ADVERTISED_NAME_BYTES} characters of A-Z a-z 0-9 _ - . / (SEP-986), got {alias:?}"
                ),
            );
        }
        aliases.push((original.clone(), alias.clone()));
    }
    aliases
}

fn read_descriptions(table: Option<&Table<String>>, at: &str, mistakes: &mut Mistakes) -> Vec<(String, String)> {
    let mut descriptions = Vec::new();
    for (tool, text) in table.iter().flat_map(|table| table.iter()) {
        if text.is_empty() || text.chars().count() > DESCRIPTION_CHARS {
            let got = text.chars().count();
            let what = format_args!("must be 1 to {DESCRIPTION_CHARS} characters, got {got}");
            mistakes.note(format_args!("{at}.{tool}"), what);
        }
        descriptions.push((tool.clone(), text.clone()));
    }
    descriptions
}

/// Whether URIs can begin with a text: it has a scheme, and is not that of a user interface.
fn is_begin_of_uri(begin: &str) -> bool {
    let Some((scheme, _)) = begin.split_once(':') else { return false };
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    scheme != "ui" && scheme.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase()) && scheme.bytes().all(fits)
}

/// A character of a tool's name (SEP-986).
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}

/// Notes names that could belong to two servers: then a permission for one of them could move to the other.
fn note_shared_names(servers: &[Rc<Server>], at: &str, mistakes: &mut Mistakes) {
    for (number, server) in servers.iter().enumerate() {
        let at = format!("{at}.servers[{number}]");
        let ServerNames { prefix, kept_uris, .. } = &*server.names;
        let others = servers.iter().enumerate().filter(|(other, _)| *other != number);
        for (_, other) in others.filter(|(_, other)| fold(prefix).starts_with(&fold(&other.names.prefix))) {
            let (theirs, name) = (&other.names.prefix, &other.names.server);
            mistakes.note(
                format_args!("{at}.prefix"),
                format_args!("must not begin with the prefix {theirs:?} of the server {name:?}, got {prefix:?}"),
            );
        }
        for (kind, table) in [(Kind::Tool, "aliases"), (Kind::Prompt, "prompt_aliases")] {
            note_shared_aliases(servers, server, kind, &format!("{at}.{table}"), mistakes);
        }
        for (place, begin) in kept_uris.iter().enumerate() {
            let key = format!("{at}.keep_uris[{place}]");
            let mapped = servers.iter().find(|other| begin.starts_with(&format!("{}+", other.names.server)));
            if let Some(other) = mapped {
                let name = &other.names.server;
                mistakes.note(&key, format_args!("must not begin as the URIs of the server {name:?}, got {begin:?}"));
            }
            let others = servers.iter().enumerate().filter(|(other, _)| *other != number);
            let theirs = others.flat_map(|(_, other)| &other.names.kept_uris).find(|theirs| begin.starts_with(*theirs));
            if let Some(theirs) = theirs {
                mistakes.note(&key, format_args!("must not begin with {theirs:?} of another server, got {begin:?}"));
            }
        }
    }
}

/// Notes names that could be those of the two tools of a view.
fn note_names_of_view(servers: &[Rc<Server>], at: &str, mistakes: &mut Mistakes) {
    for name in [SEARCH_TOOLS, CALL_FOUND_TOOL] {
        let takes = |server: &&Rc<Server>| {
            name.starts_with(&fold(&server.names.prefix)) || server.names.aliases.iter().any(|(_, it)| fold(it) == name)
        };
        if let Some(server) = servers.iter().find(takes) {
            let server = &server.names.server;
            mistakes.note(format_args!("{at}.view"), format_args!("the server {server:?} could have a tool {name:?}"));
        }
    }
}

fn note_shared_aliases(servers: &[Rc<Server>], server: &Server, kind: Kind, at: &str, mistakes: &mut Mistakes) {
    for (original, alias) in server.names.aliases(kind) {
        let key = format!("{at}.{original}");
        if let Some(owner) = servers.iter().find(|other| fold(alias).starts_with(&fold(&other.names.prefix))) {
            let (prefix, name) = (&owner.names.prefix, &owner.names.server);
            mistakes.note(
                &key,
                format_args!("must not begin with the prefix {prefix:?} of the server {name:?}, got {alias:?}"),
            );
        }
        let all = servers.iter().flat_map(|other| other.names.aliases(kind));
        if all.filter(|(_, other)| fold(other) == fold(alias)).count() > 1 {
            mistakes.note(&key, format_args!("is there twice: {alias:?}"));
        }
    }
}

/// Identifies servers and their names.
fn hash(servers: &[Rc<Server>]) -> String {
    let mut hash = Sha256::new();
    for server in servers {
        let hidden: Vec<&str> = server.names.hidden.iter().map(Pattern::as_str).collect();
        let names = &server.names;
        let renamed = format!("{:?}{:?}{:?}", names.aliases, names.prompt_aliases, names.kept_uris);
        hash.update(format!("{:?}{renamed}{hidden:?}{}", names.prefix, server.fingerprint));
    }
    hex(&hash.finalize())
}

/// Identifies a server: its name and where it is.
fn fingerprint(name: &str, origin: &OriginServer) -> String {
    let digest = Sha256::digest(format!("{name:?}{:?}{:?}", origin.url.to_string(), origin.service));
    digest.get(..8).map(hex).unwrap_or_default()
}
