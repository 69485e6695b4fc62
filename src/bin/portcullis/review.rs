//! What a person should look at before a definition is locked. The patterns are few and simple on purpose: a model that reads a
//! definition can be steered by any text, so this finds the clumsy attempts, and a person has to read the rest.

use std::collections::BTreeMap;

use portcullis::mcp::definition::Defined;
use portcullis::mcp::operation::is_invisible;
use serde_json::{Map, Value};

/// Phrases that speak to the model instead of saying what the item does. docs/trust.md lists them.
pub(crate) const PHRASES: [&str; 14] = [
    "ignore previous",
    "ignore all previous",
    "ignore the above",
    "disregard",
    "system prompt",
    "do not tell the user",
    "don't tell the user",
    "do not mention",
    "without telling the user",
    "without asking the user",
    "you must always",
    "before using any other tool",
    "instead of the other tool",
    "<important>",
];

/// Most characters of a text that a warning shows.
const SHOWN_CHARS: usize = 60;

/// The warnings about those items of a server that are new or changed; `others` are the tools of the other servers behind the same resource.
pub(crate) fn warnings(
    items: &BTreeMap<(Defined, String), Map<String, Value>>,
    reviewed: &[(Defined, String)],
    others: &[(String, String)],
) -> Vec<String> {
    let mut found = Vec::new();
    for ((of, name), definition) in items.iter().filter(|(id, _)| reviewed.contains(id)) {
        let what = format!("{} {name:?}", of.as_str());
        let whole = Value::Object(definition.clone());
        let mut texts = Vec::new();
        texts_of("", &whole, &mut texts);
        for (at, text) in &texts {
            if let Some(c) = hidden(text) {
                found.push(format!("{what}: {at} has the invisible character U+{:04X}", u32::from(c)));
            }
            let lower = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some(phrase) = PHRASES.iter().find(|phrase| lower.contains(**phrase)) {
                found.push(format!("{what}: {at} speaks to the model: {phrase:?}"));
            }
            for url in lower.split_whitespace().filter_map(url) {
                found.push(format!("{what}: {at} has a URL: {}", url.chars().take(SHOWN_CHARS).collect::<String>()));
            }
        }
        if *of == Defined::Tool && takes_anything(definition.get("inputSchema")) {
            found.push(format!("{what}: inputSchema accepts any argument: additionalProperties is not false, and there are no properties"));
        }
        if *of == Defined::Tool {
            let alike = others.iter().find(|(_, other)| other == name || skeleton(other) == skeleton(name));
            if let Some((server, other)) = alike {
                found.push(format!("{what}: looks like {other:?} of the server {server:?}"));
            }
            let same = items
                .keys()
                .find(|(kind, other)| *kind == Defined::Tool && other < name && skeleton(other) == skeleton(name));
            if let Some((_, other)) = same {
                found.push(format!("{what}: looks like {other:?}"));
            }
        }
    }
    found
}

/// The first invisible character of a text, besides those that lay it out, and that choose the form of a symbol.
fn hidden(text: &str) -> Option<char> {
    let mut before = ' ';
    for c in text.chars() {
        let is_form = matches!(c, '\u{fe0f}' | '\u{200d}') && u32::from(before) > 0x2000;
        if is_invisible(c) && !is_form && !matches!(c, '\n' | '\t' | '\r') {
            return Some(c);
        }
        before = c;
    }
    None
}

/// The URL in a word, if it has one.
fn url(word: &str) -> Option<&str> {
    ["http://", "https://", "www."].iter().find_map(|begin| word.find(begin)).and_then(|at| word.get(at..))
}

/// All texts in a value, the names of members among them, each with its place.
fn texts_of<'a>(at: &str, value: &'a Value, found: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) => found.push((at.to_owned(), text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts_of(&format!("{at}[{index}]"), item, found);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                // Names of JSON Schema's own are URLs by their nature.
                if matches!(name.as_str(), "$schema" | "$id" | "$ref") {
                    continue;
                }
                let place = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                found.push((format!("the name of {place}"), name));
                texts_of(&place, value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a schema for arguments holds them to nothing.
fn takes_anything(schema: Option<&Value>) -> bool {
    let Some(Value::Object(schema)) = schema else { return true };
    let is_closed = match schema.get("additionalProperties") {
        Some(Value::Object(members)) => !members.is_empty(),
        Some(open) => *open == Value::Bool(false),
        None => false,
    };
    // Many servers declare tools without arguments with empty properties.
    let says = ["properties", "allOf", "anyOf", "oneOf", "$ref"];
    !is_closed && !says.iter().any(|name| schema.contains_key(*name))
}

/// A name as it looks: without separators and case, and with letters that look alike made the same.
fn skeleton(name: &str) -> String {
    let lower = name.to_lowercase().replace("rn", "m").replace("vv", "w").replace("cl", "d");
    lower
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | '/' | ' '))
        .map(|c| match c {
            '0' | 'о' | 'ο' => 'o',
            '1' | 'i' | 'і' | '|' => 'l',
            'а' | 'α' => 'a',
            'е' => 'e',
            'с' => 'c',
            'р' => 'p',
            'х' => 'x',
            'у' => 'y',
            '5' => 's',
            other => other,
        })
        .collect()
}
