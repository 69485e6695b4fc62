//! Reads the lock of a resource.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::document::ResourceDocument;
use crate::config::lock_document::{LockDocument, RefusalName, UnlockedName};
use crate::config::mistakes::Mistakes;
use crate::config::rules_document::ModeName;
use crate::mcp::definition::Defined;
use crate::policy::lock::Lock;

/// The member of `locked` that has the items of several servers.
const SERVERS: &str = "servers";

/// Reads the lock of one server of a resource.
pub(super) fn read(
    document: &ResourceDocument,
    server: Option<&str>,
    at: &str,
    mistakes: &mut Mistakes,
) -> Option<Lock> {
    let (Some(how), Some(locked)) = (&document.lock, &document.locked) else { return None };
    let table = match server {
        None => Some(locked),
        Some(server) => locked.get(SERVERS).and_then(|servers| servers.get(server)),
    };
    let place = server.map_or_else(|| format!("{at}.locked"), |server| format!("{at}.locked.{SERVERS}.{server}"));
    let Some(table) = table.and_then(Value::as_object) else {
        mistakes.note(place, "is missing, or no table: npx portcullis lock writes it");
        return None;
    };
    let LockDocument { mode, unlocked, refusal } = how;
    Some(Lock {
        observe: *mode == Some(ModeName::Observe),
        opens_others: *unlocked == Some(UnlockedName::Observe),
        says_why: *refusal == Some(RefusalName::Reason),
        items: read_items(table, &place, mistakes),
    })
}

/// Reads the lock of a resource with one server, and notes what is wrong with that of any: a lock without its items, items without a lock,
/// and items of servers that do not exist.
pub(super) fn of_resource(document: &ResourceDocument, at: &str, mistakes: &mut Mistakes) -> Option<Lock> {
    note(document, at, mistakes);
    if document.servers.is_some() { None } else { read(document, None, at, mistakes) }
}

fn note(document: &ResourceDocument, at: &str, mistakes: &mut Mistakes) {
    match (&document.lock, &document.locked) {
        (Some(_), None) => mistakes.note(
            format!("{at}.lock"),
            "has no definitions: npx portcullis lock writes portcullis.lock.json, which commands read beside the configuration",
        ),
        (None, Some(_)) => mistakes.note(format!("{at}.locked"), "has no effect without lock"),
        (Some(_), Some(locked)) => {
            let Some(locked) = locked.as_object() else {
                return mistakes.note(format!("{at}.locked"), "must be a table");
            };
            let lists: Vec<&str> = Defined::ALL.iter().map(|of| of.list()).collect();
            let is_known = |name: &str| match &document.servers {
                None => lists.contains(&name),
                Some(_) => name == SERVERS,
            };
            for name in locked.keys().filter(|name| !is_known(name)) {
                let known = if document.servers.is_some() { SERVERS.to_owned() } else { lists.join(", ") };
                mistakes.note(format!("{at}.locked.{name}"), format_args!("is unknown: known are {known}"));
            }
            let servers = locked.get(SERVERS).and_then(Value::as_object).into_iter().flatten();
            let has = |name: &str| document.servers.iter().flatten().any(|server| server.name == name);
            for (name, _) in servers.filter(|(name, _)| !has(name)) {
                mistakes.note(format!("{at}.locked.{SERVERS}.{name}"), "is no server of this resource");
            }
        }
        (None, None) => {}
    }
}

fn read_items(
    table: &Map<String, Value>,
    at: &str,
    mistakes: &mut Mistakes,
) -> BTreeMap<(Defined, String), Map<String, Value>> {
    let mut items = BTreeMap::new();
    for (list, entries) in table {
        let at = format!("{at}.{list}");
        let of = Defined::ALL.into_iter().find(|of| of.list() == list);
        let (Some(of), Some(entries)) = (of, entries.as_object()) else {
            let lists: Vec<&str> = Defined::ALL.iter().map(|of| of.list()).collect();
            // That of a resource with one server is noted with the resource.
            if of.is_some() || list != SERVERS {
                mistakes.note(at, format_args!("must be a table, one of {}", lists.join(", ")));
            }
            continue;
        };
        for (name, entry) in entries {
            let at = format!("{at}.{name}");
            let known = ["digest", "definition"];
            let definition = entry.get("definition").and_then(Value::as_object);
            let has_digest = entry.get("digest").is_some_and(Value::is_string);
            let others = entry.as_object().is_some_and(|entry| entry.keys().any(|key| !known.contains(&key.as_str())));
            let Some(definition) = definition.filter(|_| has_digest && !others) else {
                mistakes.note(at, "must have digest and definition, and nothing else");
                continue;
            };
            if of.definition(definition) != *definition {
                mistakes.note(&at, "has members in its definition that are none of a definition");
            }
            if definition.get(of.key()).and_then(Value::as_str) != Some(name) {
                mistakes.note(&at, format_args!("must have the same {} in its definition", of.key()));
            }
            items.insert((of, name.clone()), definition.clone());
        }
    }
    items
}
