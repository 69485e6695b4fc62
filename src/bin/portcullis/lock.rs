//! `portcullis lock`, and the lock file beside a configuration.

use std::collections::BTreeMap;

use base16ct::lower::encode_string as hex;
use portcullis::mcp::definition::{Defined, differences};
use portcullis::settings::Settings;
use portcullis::settings::resource::Resource;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::arguments::LockArguments;
use crate::document::{File, object};
use crate::host::Host;
use crate::outcome::{Report, Unusable};
use crate::review;

/// The name of the lock file, in the folder of the configuration.
pub(crate) const LOCK_FILE: &str = "portcullis.lock.json";

/// The version of its format.
const VERSION: u64 = 1;

/// Definitions by kind and name.
type Items = BTreeMap<(Defined, String), Map<String, Value>>;

/// The digest of a definition: SHA-256 of its canonical form (RFC 8785).
fn digest(definition: &Map<String, Value>) -> Result<String, Unusable> {
    let canonical = serde_json_canonicalizer::to_string(definition);
    let canonical = canonical.map_err(|error| format!("a definition has no canonical form (RFC 8785): {error}"))?;
    Ok(format!("sha256-{}", hex(&Sha256::digest(canonical))))
}

/// Compares the lists of a server with the lock, and prints what the lock becomes.
pub(crate) fn lock(arguments: &LockArguments, host: &Host<'_>) -> Result<Report, Unusable> {
    if arguments.list.is_empty() {
        return Err("this program sends no requests: --origin is an option of `npx portcullis lock`".into());
    }
    let file = File::read(&arguments.source, host)?;
    let config = file.config_without_lock()?.settings;
    let mut items = Items::new();
    let mut origin = None;
    for path in &arguments.list {
        let listed = object(&(host.read)(path)?, path)?;
        origin = origin.or_else(|| listed.get("origin").and_then(Value::as_str).map(str::to_owned));
        items.extend(listed_items(&listed)?);
    }
    let (path, server) = place(arguments, &config, origin.as_deref())?;
    let name = lock_file(file.name());
    let known = read(&name, host)?;
    let before = known.as_ref().and_then(|lock| entries(lock, &path, server.as_deref()));
    let before = before.map(read_entries).transpose()?.unwrap_or_default();
    let mut text = String::new();
    let mut changes = Vec::new();
    let places: Vec<&(Defined, String)> =
        before.keys().chain(items.keys().filter(|id| !before.contains_key(*id))).collect();
    for id @ (of, item) in places {
        let (old, new) = (before.get(id), items.get(id));
        let what = match (old, new) {
            (Some(old), Some(new)) => match differences(old, new) {
                Some(what) => format!("changed: {what}"),
                None => continue,
            },
            (None, Some(_)) => "new".to_owned(),
            (_, None) => "gone".to_owned(),
        };
        let entry = match new {
            Some(new) => json!({ "digest": digest(new)?, "definition": new }),
            None => Value::Null,
        };
        let what = format!("{} {item}: {what}", of.as_str());
        changes.push(json!({ "list": of.list(), "name": item, "entry": entry, "change": what }));
        text.push_str(&what);
        text.push('\n');
    }
    let others = known.as_ref().map(|lock| names_in(lock, &path, server.as_deref())).unwrap_or_default();
    let warnings = review::warnings(&items, &others);
    for warning in &warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let place = server.as_ref().map_or_else(|| path.clone(), |server| format!("{path}, server {server:?}"));
    text.push_str(&format!("{place}: {} items, {} changes, {} warnings\n", items.len(), changes.len(), warnings.len()));
    let good = changes.is_empty() && warnings.is_empty();
    let json = json!({
        "file": name, "resource": path, "server": server, "items": items.len(), "changes": changes, "warnings": warnings,
        "version": VERSION,
    });
    Ok(Report { text, json, good })
}

/// The items in the lists of a server, with their definitions.
fn listed_items(listed: &Map<String, Value>) -> Result<Items, Unusable> {
    let mut items = Items::new();
    for of in Defined::ALL {
        for item in listed.get(of.list()).and_then(Value::as_array).into_iter().flatten() {
            let item = item.as_object().ok_or_else(|| format!("an item of {} is no object", of.list()))?;
            let name = item.get(of.key()).and_then(Value::as_str);
            let name = name.ok_or_else(|| format!("an item of {} has no {}", of.list(), of.key()))?;
            items.insert((of, name.to_owned()), of.definition(item));
        }
    }
    Ok(items)
}

/// The path of the resource, and the name of the server if it has several.
fn place(
    arguments: &LockArguments,
    config: &Settings,
    origin: Option<&str>,
) -> Result<(String, Option<String>), Unusable> {
    let resources: Vec<_> = config
        .resources
        .iter()
        .filter(|resource| arguments.resource.as_deref().is_none_or(|path| resource.path.as_str() == path))
        .collect();
    let paths = || config.resources.iter().map(|resource| resource.path.as_str()).collect::<Vec<_>>().join(", ");
    let resource: &Resource = match resources.as_slice() {
        [one] => one,
        [] => return Err(format!("there is no such resource; the resources are {}", paths()).into()),
        _ => return Err(format!("name a resource with --resource: {}", paths()).into()),
    };
    let path = resource.path.as_str().to_owned();
    let Some(federation) = &resource.federation else {
        return match &arguments.server {
            None => Ok((path, None)),
            Some(_) => Err(format!("{path} has one server: --server is for resources with several").into()),
        };
    };
    let named = federation.servers.iter().filter(|server| match &arguments.server {
        Some(name) => server.names.server == *name,
        None => origin.is_some_and(|origin| server.resource.origin.url.to_string() == origin),
    });
    let named: Vec<_> = named.collect();
    if let [server] = named.as_slice() {
        return Ok((path, Some(server.names.server.clone())));
    }
    let all: Vec<&str> = federation.servers.iter().map(|server| server.names.server.as_str()).collect();
    Err(format!("name the server with --server: {}", all.join(", ")).into())
}

/// The lock file in the folder of a configuration.
fn lock_file(config: &str) -> String {
    match config.rfind(['/', '\\']) {
        Some(at) => format!("{}{LOCK_FILE}", config.get(..=at).unwrap_or_default()),
        None => LOCK_FILE.to_owned(),
    }
}

/// Reads a lock file, if there is one. Each digest has to be that of its definition.
fn read(name: &str, host: &Host<'_>) -> Result<Option<Map<String, Value>>, Unusable> {
    let Ok(text) = (host.read)(name) else { return Ok(None) };
    let lock = object(&text, name)?;
    if lock.get("version").and_then(Value::as_u64) != Some(VERSION) {
        return Err(format!("{name}: version must be {VERSION}: another release wrote this file").into());
    }
    let resources = lock.get("resources").and_then(Value::as_object);
    let resources = resources.ok_or_else(|| format!("{name}: resources must be a table"))?;
    for (path, locked) in resources {
        let servers = locked.get("servers").and_then(Value::as_object).into_iter().flatten();
        for table in std::iter::once(locked).chain(servers.map(|(_, table)| table)) {
            for (list, item, entry) in of_table(table) {
                let definition = entry.get("definition").and_then(Value::as_object);
                let is_right = match definition {
                    Some(definition) => entry.get("digest").and_then(Value::as_str) == Some(&digest(definition)?),
                    None => false,
                };
                if !is_right {
                    let why = "the digest is not that of the definition: restore the file, or remove it and run npx portcullis lock";
                    return Err(format!("{name}: {path}: {list}.{item}: {why}").into());
                }
            }
        }
    }
    Ok(Some(lock))
}

fn of_table(table: &Value) -> Vec<(&'static str, &str, &Value)> {
    let lists = Defined::ALL.iter().map(|of| of.list());
    let entries = lists.filter_map(|list| Some((list, table.get(list)?.as_object()?)));
    entries.flat_map(|(list, entries)| entries.iter().map(move |(name, entry)| (list, name.as_str(), entry))).collect()
}

/// The entries of a resource, or of one of its servers.
fn entries<'a>(lock: &'a Map<String, Value>, path: &str, server: Option<&str>) -> Option<&'a Value> {
    let locked = lock.get("resources")?.get(path)?;
    match server {
        None => Some(locked),
        Some(server) => locked.get("servers")?.get(server),
    }
}

fn read_entries(table: &Value) -> Result<Items, Unusable> {
    let mut items = Items::new();
    for (list, name, entry) in of_table(table) {
        let of = Defined::ALL.into_iter().find(|of| of.list() == list).ok_or("an unknown list")?;
        let definition = entry.get("definition").and_then(Value::as_object).ok_or("an entry has no definition")?;
        items.insert((of, name.to_owned()), definition.clone());
    }
    Ok(items)
}

/// The names of the tools of the other servers of a resource.
fn names_in(lock: &Map<String, Value>, path: &str, server: Option<&str>) -> Vec<(String, String)> {
    let servers = lock.get("resources").and_then(|it| it.get(path)?.get("servers")?.as_object());
    let others = servers.into_iter().flatten().filter(|(name, _)| Some(name.as_str()) != server);
    let tools = others.filter_map(|(name, table)| Some((name, table.get("tools")?.as_object()?)));
    tools.flat_map(|(server, tools)| tools.keys().map(|tool| (server.clone(), tool.clone()))).collect()
}

/// Puts the lock file beside a configuration into its document: into the resources that have a lock.
pub(crate) fn merge(document: &mut Value, config: &str, host: &Host<'_>) -> Result<(), Unusable> {
    let resources = document.get_mut("resources").and_then(Value::as_array_mut);
    let mut wants: Vec<&mut Map<String, Value>> = resources
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
        .filter(|resource| resource.contains_key("lock") && !resource.contains_key("locked"))
        .collect();
    if wants.is_empty() {
        return Ok(());
    }
    let Some(lock) = read(&lock_file(config), host)? else { return Ok(()) };
    for resource in &mut wants {
        let path = resource.get("path").and_then(Value::as_str).unwrap_or_default();
        let locked = lock.get("resources").and_then(|resources| resources.get(path)).cloned();
        if let Some(locked) = locked {
            resource.insert("locked".to_owned(), locked);
        }
    }
    Ok(())
}

/// The document without its locks, for a command that writes them.
pub(crate) fn without(mut document: Value) -> Value {
    for resource in document.get_mut("resources").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(resource) = resource.as_object_mut() {
            resource.remove("lock");
            resource.remove("locked");
        }
    }
    document
}
