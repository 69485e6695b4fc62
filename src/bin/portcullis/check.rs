//! `portcullis check`.

use std::rc::Rc;

use portcullis::authorization_server::third_party::redirect_uri;
use portcullis::config::analysis::{self, useless_scopes};
use portcullis::config::{DocumentLocation, warnings};
use portcullis::content::schema::{Unchecked, unchecked};
use portcullis::mcp::definition::Defined;
use portcullis::mcp::kind::Kind;
use portcullis::origin_credential::OriginCredential;
use portcullis::settings::Settings;
use portcullis::settings::federation::Server;
use portcullis::settings::resource::Resource;
use portcullis::strict_json;
use serde_json::{Value, json};

use crate::arguments::CheckArguments;
use crate::document::{File, resource};
use crate::host::Host;
use crate::lock;
use crate::outcome::{Report, Unusable};

/// The size limit of one variable on Cloudflare Workers.
const VARIABLE_BYTES: usize = 5 * 1024;
const STORED_BYTES: usize = portcullis::limits::STORED_BYTES;

/// What of the schemas of tools cannot be checked, where calls are held to them.
fn unchecked_schemas(resource: &Resource) -> Vec<(String, Unchecked)> {
    let checks =
        resource.content.as_ref().is_some_and(|content| content.bounds.iter().any(|it| it.bounds.schema.is_some()));
    if !checks {
        return Vec::new();
    }
    let servers = resource.federation.iter().flat_map(|federation| &federation.servers);
    let locks = resource.lock.iter().chain(servers.filter_map(|server| server.resource.lock.as_ref()));
    let tools = locks.flat_map(|lock| &lock.items).filter(|((of, _), _)| *of == Defined::Tool);
    let of_each = |((_, name), definition): (&(Defined, String), &_)| {
        unchecked(definition).into_iter().map(|what| (name.clone(), what)).collect::<Vec<_>>()
    };
    tools.flat_map(of_each).collect()
}

/// What calls cannot be held to, as findings, and notes about what is not checked.
fn schema_findings(resource: &Resource) -> (Vec<String>, String) {
    let (mut unusable, mut notes) = (Vec::new(), String::new());
    for (tool, what) in unchecked_schemas(resource) {
        match what {
            Unchecked::Schema(member, why) => {
                unusable.push(format!("tool {tool:?}: its {member} cannot be used, and every call is refused: {why}"));
            }
            Unchecked::Pattern(place) => notes.push_str(&format!(
                "note: tool {tool:?}: {place} is not checked: it would take more than linear time\n"
            )),
        }
    }
    (unusable, notes)
}

pub(crate) fn check(arguments: &CheckArguments, host: &Host<'_>) -> Result<Report, Unusable> {
    if !arguments.origin.is_empty() || !arguments.origin_header_from.is_empty() {
        return Err("this program sends no requests: --origin is an option of `npx portcullis check`".into());
    }
    let file = File::read(&arguments.source, host)?;
    if let Ok(DocumentLocation::Stored(stored)) = DocumentLocation::of(file.document.clone()) {
        let text = format!(
            "{}: the document is in KV {:?}, under the key {:?}: name the file that you push there with --config\n",
            file.name(),
            stored.kv,
            stored.key
        );
        let json = json!({ "file": file.name(), "valid": true, "stored": { "kv": stored.kv, "key": stored.key } });
        return Ok(Report { text, json, good: true });
    }
    let config = file.config()?.settings;
    let mut lists = Vec::new();
    for path in &arguments.list {
        lists.push(listed(&(host.read)(path)?).ok_or_else(|| unlisted(path))?);
    }
    let count: usize = lists.iter().map(|list| list.items.len()).sum();
    let looked_at = match &arguments.resource {
        Some(path) => vec![resource(Some(path), &config)?],
        None => (0..config.resources.len()).collect(),
    };
    let (mut text, mut resources) = (String::new(), Vec::new());
    let mut findings: Vec<Value> = Vec::new();
    let mut find = |text: &mut String, resource: Option<&str>, finding: String| {
        text.push_str(&finding);
        text.push('\n');
        findings.push(json!({ "resource": resource, "finding": finding }));
    };
    for &index in &looked_at {
        let Some(resource) = config.resources.get(index) else { continue };
        let path = resource.path.as_str();
        let known: Vec<(Kind, String)> = lists.iter().flat_map(|list| list.as_clients_see(resource)).collect();
        let found = resource.policy.as_ref().map(|policy| analysis::check(policy, &known)).unwrap_or_default();
        for finding in &found {
            find(&mut text, Some(path), finding.to_string());
        }
        let rules = resource.policy.as_ref().map(|policy| policy.rules().len());
        resources.push((path, rules, found.len()));
    }
    for finding in useless_scopes(&config) {
        find(&mut text, None, finding.to_string());
    }
    let size = file.document.to_string().len();
    let limit = if file.alone { STORED_BYTES } else { VARIABLE_BYTES };
    if size > limit {
        let remedy = if file.alone { "a gateway reads no more from KV" } else { "put it into KV: docs/operations.md" };
        find(&mut text, None, format!("too large: the document has {size} bytes, the limit is {limit}; {remedy}"));
    }
    if let Some(why) = lock::unloaded(&file) {
        find(&mut text, None, why.to_owned());
    }
    for &index in &looked_at {
        let Some(resource) = config.resources.get(index) else { continue };
        let (unusable, notes) = schema_findings(resource);
        for finding in unusable {
            find(&mut text, Some(resource.path.as_str()), finding);
        }
        text.push_str(&notes);
    }
    for warning in warnings(&config) {
        text.push_str(&format!("note: {warning}\n"));
    }
    for (path, rules, found) in &resources {
        let rules = rules.map_or("no rules".to_owned(), |rules| format!("{rules} rules"));
        text.push_str(&format!("{path}: {rules}, {count} listed, {found} findings\n"));
    }
    let credentials = credentials(&config, &looked_at);
    text.push_str(&credentials_as_text(&credentials));
    let holds = if file.alone {
        format!("a gateway reads at most {limit} from KV")
    } else {
        format!("PORTCULLIS, one environment variable of a Worker, holds {limit} (5 KB)")
    };
    text.push_str(&format!(
        "{}: valid, {} findings; the document has {size} bytes, and {holds}\n",
        file.name(),
        findings.len()
    ));
    let good = findings.is_empty();
    let resources: Vec<Value> = resources
        .iter()
        .map(|(path, rules, found)| json!({ "path": path, "rules": rules, "findings": found }))
        .collect();
    let json = json!({
        "file": file.name(),
        "valid": true,
        "bytes": size,
        "limit": limit,
        "findings": findings,
        "warnings": warnings(&config),
        "listed": count,
        "resources": resources,
        "credentials": credentials.iter().map(|(path, it)| json!({ "path": path, "credential": it })).collect::<Vec<_>>(),
    });
    Ok(Report { text, json, good })
}

/// What resources send their origin servers to authenticate, each with the words for where that is.
fn credentials(settings: &Settings, looked_at: &[usize]) -> Vec<(String, Value)> {
    let servers = looked_at.iter().filter_map(|&index| settings.resources.get(index)).flat_map(servers_of);
    let found = servers.filter_map(|(server, resource)| {
        let (path, credential) = credential(settings, resource)?;
        Some((server.map_or_else(|| path.to_owned(), |server| format!("{path}, server {server:?}")), credential))
    });
    found.collect()
}

/// The same, for people.
fn credentials_as_text(credentials: &[(String, Value)]) -> String {
    let mut text = String::new();
    for (path, it) in credentials {
        let from = it["token_endpoints"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        let from = if from.is_empty() { String::new() } else { format!(" from {}", from.join(", then ")) };
        let identity = it["identity"].as_str().unwrap_or_default();
        let kind = it["kind"].as_str().unwrap_or_default();
        text.push_str(&format!("{path}: the origin server gets credential.{kind}{from}; identity {identity}\n"));
        if let Some(url) = it["redirect_uri"].as_str() {
            text.push_str(&format!("{path}: redirect URI of the gateway's client there: {url}\n"));
        }
    }
    text
}

/// A resource as it is forwarded to each of its servers, with the name of the server if there are several.
fn servers_of(resource: &Rc<Resource>) -> Vec<(Option<&str>, &Rc<Resource>)> {
    match &resource.federation {
        None => vec![(None, resource)],
        Some(federation) => {
            let servers = federation.servers.iter();
            servers.map(|server| (Some(server.names.server.as_str()), &server.resource)).collect()
        }
    }
}

/// What a resource sends its origin server to authenticate, if it does: the kind, where it comes from, and whether the origin
/// server learns who calls. For accounts of users also the redirect URI that an operator may have to register.
fn credential<'a>(settings: &Settings, resource: &'a Resource) -> Option<(&'a str, Value)> {
    let credential = resource.credential.as_ref()?;
    let endpoints: Vec<&str> = credential.endpoints().iter().map(|endpoint| endpoint.url.as_str()).collect();
    let identity = if resource.names_caller { "forward" } else { "none" };
    let own = settings.own_issuer.as_deref().filter(|_| matches!(**credential, OriginCredential::PerUser(_)));
    let redirect_uri = own.map(|own| redirect_uri(own, resource));
    let mut shown = json!({ "kind": credential.kind().name(), "token_endpoints": endpoints, "identity": identity });
    if let (Some(members), Some(url)) = (shown.as_object_mut(), redirect_uri) {
        members.insert("redirect_uri".to_owned(), Value::String(url));
    }
    Some((resource.path.as_str(), shown))
}

fn unlisted(path: &str) -> String {
    format!(
        "{path} is not an answer to a list method: it must be JSON with an array `tools`, `prompts`, `resources` or \
         `resourceTemplates`"
    )
}

/// The items in an answer to a list method, and the URL of the server that gave it, if that is known.
struct Listed {
    origin: Option<String>,
    items: Vec<(Kind, String)>,
}

impl Listed {
    /// The items under the names that clients of a resource see: a server of several has names of its own.
    fn as_clients_see(&self, resource: &Resource) -> Vec<(Kind, String)> {
        let servers = resource.federation.iter().flat_map(|federation| &federation.servers);
        let is_at = |origin: &str, server: &Server| server.resource.origin.url.to_string() == origin;
        let mut servers = servers.filter(|server| self.origin.as_deref().is_some_and(|origin| is_at(origin, server)));
        match servers.next() {
            None => self.items.clone(),
            Some(server) => {
                let seen = |(kind, name): &(Kind, String)| Some((*kind, server.names.advertised(*kind, name)?));
                self.items.iter().filter_map(seen).collect()
            }
        }
    }
}

/// Reads an answer to a list method. The text is the whole message, or only its result.
fn listed(text: &str) -> Option<Listed> {
    let answer = strict_json::parse(text.as_bytes()).ok()?;
    let message = answer.get("answer").unwrap_or(&answer);
    let result = message.get("result").unwrap_or(message);
    let origin = answer.get("origin").and_then(Value::as_str).map(str::to_owned);
    let lists = [
        ("tools", "name", Kind::Tool),
        ("prompts", "name", Kind::Prompt),
        ("resources", "uri", Kind::Resource),
        ("resourceTemplates", "uriTemplate", Kind::Resource),
    ];
    let found: Vec<_> =
        lists.into_iter().filter_map(|(list, key, kind)| Some((result.get(list)?.as_array()?, key, kind))).collect();
    if found.is_empty() {
        return None;
    }
    let named = found.into_iter().flat_map(|(items, key, kind)| {
        items.iter().filter_map(move |item| Some((kind, item.get(key)?.as_str()?.to_owned())))
    });
    Some(Listed { origin, items: named.collect() })
}
