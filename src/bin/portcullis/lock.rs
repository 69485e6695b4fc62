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

/// An item, and its definition.
type Item = ((Defined, String), Map<String, Value>);

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
    let (mut origin, mut twice) = (None, Vec::new());
    for path in &arguments.list {
        let listed = object(&(host.read)(path)?, path)?;
        origin = origin.or_else(|| listed.get("origin").and_then(Value::as_str).map(str::to_owned));
        let answer = listed.get("answer").and_then(Value::as_object).unwrap_or(&listed);
        let result = answer.get("result").and_then(Value::as_object).unwrap_or(answer);
        for (id, definition) in listed_items(result)? {
            if items.insert(id.clone(), definition).is_some() {
                twice.push(format!("{} {:?}: is there twice; the lock has the last one", id.0.as_str(), id.1));
            }
        }
    }
    let (path, server) = place(arguments, &config, origin.as_deref())?;
    let name = lock_file(file.name());
    let known = read(&name, host)?;
    let before = known.as_ref().and_then(|lock| entries(lock, &path, server.as_deref()));
    let before = before.map(read_entries).transpose()?;
    let known_items = before.clone().unwrap_or_default();
    let mut text = String::new();
    let (mut changes, mut reviewed) = (Vec::new(), Vec::new());
    let places: Vec<&(Defined, String)> =
        known_items.keys().chain(items.keys().filter(|id| !known_items.contains_key(*id))).collect();
    for id @ (of, item) in places {
        let (old, new) = (known_items.get(id), items.get(id));
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
        let what = format!("{} {item:?}: {what}", of.as_str());
        changes.push(json!({ "list": of.list(), "name": item, "entry": entry, "change": what }));
        if new.is_some() {
            reviewed.push(id.clone());
        }
        text.push_str(&what);
        text.push('\n');
    }
    let others = known.as_ref().map(|lock| names_in(lock, &path, server.as_deref())).unwrap_or_default();
    let warnings: Vec<String> = twice.into_iter().chain(review::warnings(&items, &reviewed, &others)).collect();
    for warning in &warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let place = server.as_ref().map_or_else(|| path.clone(), |server| format!("{path}, server {server:?}"));
    text.push_str(&format!("{place}: {} items, {} changes, {} warnings\n", items.len(), changes.len(), warnings.len()));
    let good = changes.is_empty() && warnings.is_empty();
    let json = json!({
        "file": name, "resource": path, "server": server, "items": items.len(), "changes": changes, "warnings": warnings,
        "is_new": before.is_none(),
        "text": next(known, (&path, server.as_deref()), &changes, arguments.accept.as_deref(), &config)?,
    });
    Ok(Report { text, json, good })
}

/// The text of the lock file with the accepted changes: all of them, or those with these numbers. What the configuration no longer has of
/// the resource leaves it.
fn next(
    lock: Option<Map<String, Value>>,
    (path, server): (&str, Option<&str>),
    changes: &[Value],
    accepted: Option<&str>,
    config: &Settings,
) -> Result<String, Unusable> {
    let mut lock = lock.unwrap_or_else(|| Map::from_iter([("version".to_owned(), json!(VERSION))]));
    let resources = table(&mut lock, "resources")?;
    let resource = table(resources, path)?;
    let known = config.resources.iter().find(|known| known.path.as_str() == path);
    match known.and_then(|known| known.federation.as_ref()) {
        None => drop(resource.remove("servers")),
        Some(federation) => {
            resource.retain(|name, _| name == "servers");
            let has = |name: &str| federation.servers.iter().any(|server| server.names.server == name);
            table(resource, "servers")?.retain(|name, _| has(name));
        }
    }
    let place = match server {
        None => resource,
        Some(server) => table(table(resource, "servers")?, server)?,
    };
    let accepted: Option<Vec<&str>> = accepted.map(|numbers| numbers.split(',').collect());
    for (number, change) in changes.iter().enumerate() {
        if accepted.as_ref().is_some_and(|accepted| !accepted.contains(&number.to_string().as_str())) {
            continue;
        }
        let text = |key: &str| change.get(key).and_then(Value::as_str).unwrap_or_default();
        let entries = table(place, text("list"))?;
        match change.get("entry") {
            None | Some(Value::Null) => drop(entries.remove(text("name"))),
            Some(entry) => drop(entries.insert(text("name").to_owned(), entry.clone())),
        }
    }
    Ok(format!("{:#}\n", Value::Object(lock)))
}

/// The table of that name in another one, which is made where there is none.
fn table<'a>(within: &'a mut Map<String, Value>, name: &str) -> Result<&'a mut Map<String, Value>, Unusable> {
    let entry = within.entry(name).or_insert_with(|| json!({}));
    entry.as_object_mut().ok_or_else(|| format!("{LOCK_FILE}: {name} must be a table").into())
}

/// The items in the lists of a server, with their definitions.
fn listed_items(listed: &Map<String, Value>) -> Result<Vec<Item>, Unusable> {
    let mut items = Vec::new();
    for of in Defined::ALL {
        for item in listed.get(of.list()).and_then(Value::as_array).into_iter().flatten() {
            let item = item.as_object().ok_or_else(|| format!("an item of {} is no object", of.list()))?;
            let name = item.get(of.key()).and_then(Value::as_str);
            let name = name.ok_or_else(|| format!("an item of {} has no {}", of.list(), of.key()))?;
            items.push(((of, name.to_owned()), of.definition(item)));
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
    let text = match (host.read)(name) {
        Ok(text) => text,
        Err(why) if why.contains("no such file") || why.contains("No such file") => return Ok(None),
        Err(why) => return Err(why.into()),
    };
    let lock = object(text.strip_prefix('\u{feff}').unwrap_or(&text), name)?;
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

/// The document with empty locks, for a command that writes them.
pub(crate) fn without(mut document: Value) -> Value {
    for resource in document.get_mut("resources").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(resource) = resource.as_object_mut() else { continue };
        resource.remove("locked");
        if !resource.contains_key("lock") {
            continue;
        }
        let servers = resource.get("servers").and_then(Value::as_array);
        let names = servers.map(|all| all.iter().filter_map(|server| server.get("name")?.as_str()).collect::<Vec<_>>());
        let empty = match names {
            None => json!({}),
            Some(names) => {
                let each: Map<String, Value> = names.into_iter().map(|name| (name.to_owned(), json!({}))).collect();
                json!({ "servers": each })
            }
        };
        resource.insert("locked".to_owned(), empty);
    }
    document
}

/// Why a Worker could not load the lock of a configuration, if it could not: wrangler puts the document as it is into a variable.
pub(crate) fn unloaded(file: &File) -> Option<&'static str> {
    let is_of_wrangler = file.name().rsplit(['/', '\\']).next().is_some_and(|name| name.starts_with("wrangler."));
    let resources = file.document.get("resources").and_then(Value::as_array);
    let has_lock = resources.into_iter().flatten().any(|resource| resource.get("lock").is_some());
    (is_of_wrangler && has_lock).then_some(
        "a Worker cannot load the definitions of a lock from this file: put the document into a file of its own and push it into KV, or \
         run npx portcullis serve (docs/trust.md)",
    )
}
